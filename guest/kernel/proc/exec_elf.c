// SPDX-License-Identifier: MIT
// Loading ELF programs: static and dynamic (PT_INTERP), fixed (ET_EXEC) and position-independent
// (ET_DYN). elf(5).
#include "abi/auxv.h"
#include "abi/elf.h"
#include "abi/rseq.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "proc/cred.h"
#include "proc/exec_internal.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"

#define STACK_TOP TASK_SIZE
#define DYN_BASE (TASK_SIZE / 3 * 2 & PAGE_MASK) // where a program with an interpreter goes
#define MAX_PHDR_BYTES 65536UL
#define AUXV_WORDS 44

struct elf_image {
    struct file *file;
    struct elf64_header h;
    struct elf64_phdr *ph; // kmalloc'ed
    u64 bias;
    u64 lowest, highest; // page-aligned extent of the segments, before the bias
    u64 start_code, end_code, start_data, end_data, end; // loaded, after the bias
};

static int read_exactly(struct file *f, void *buf, u64 n, u64 at)
{
    loff_t pos = (loff_t)at;
    ssize_t got = kernel_read(f, buf, n, &pos);
    if (got < 0)
        return (int)got;
    return (u64)got == n ? 0 : -EIO;
}

static bool header_valid(const struct elf64_header *h)
{
    return memcmp(h->ident, ELF_MAGIC, 4) == 0 && h->ident[4] == ELF_CLASS64 &&
           h->ident[5] == ELF_DATA_LSB && (h->type == ELF_TYPE_EXEC || h->type == ELF_TYPE_DYN) &&
           h->machine == ELF_MACHINE_X86_64 && h->phentsize == sizeof(struct elf64_phdr) &&
           h->phnum > 0 && h->phnum * sizeof(struct elf64_phdr) <= MAX_PHDR_BYTES;
}

static bool segment_valid(const struct elf64_phdr *p)
{
    return p->filesz <= p->memsz && p->memsz <= TASK_SIZE && p->vaddr <= TASK_SIZE - p->memsz &&
           p->offset <= (1UL << 62) && p->filesz <= (1UL << 62) &&
           (p->vaddr - p->offset) % PAGE_SIZE == 0;
}

// Reads and checks the program headers. The header is in img->h already.
static int image_read(struct elf_image *img, struct file *file)
{
    if (!header_valid(&img->h))
        return -ENOEXEC;
    u64 size = img->h.phnum * sizeof(struct elf64_phdr);
    img->file = file;
    img->ph = kmalloc(size, GFP_KERNEL);
    if (!img->ph)
        return -ENOMEM;
    int error = read_exactly(file, img->ph, size, img->h.phoff);
    if (error)
        return error == -EIO ? -ENOEXEC : error;
    img->lowest = ~0UL;
    for (unsigned i = 0; i < img->h.phnum; i++) {
        const struct elf64_phdr *p = &img->ph[i];
        if (p->type != ELF_PT_LOAD)
            continue;
        if (!segment_valid(p))
            return -ENOEXEC;
        img->lowest = min(img->lowest, p->vaddr & PAGE_MASK);
        img->highest = max(img->highest, PAGE_ALIGN(p->vaddr + p->memsz));
    }
    return img->lowest < img->highest ? 0 : -ENOEXEC;
}

static const struct elf64_phdr *image_find(const struct elf_image *img, u32 type)
{
    for (unsigned i = 0; i < img->h.phnum; i++) {
        if (img->ph[i].type == type)
            return &img->ph[i];
    }
    return NULL;
}

static u64 segment_prot(const struct elf64_phdr *p)
{
    return (p->flags & ELF_PF_R ? PROT_READ : 0) | (p->flags & ELF_PF_W ? PROT_WRITE : 0) |
           (p->flags & ELF_PF_X ? PROT_EXEC : 0);
}

// The part of a segment that the file does not cover: the rest of its last page, then anonymous
// pages.
static int map_bss(const struct elf_image *img, const struct elf64_phdr *p, u64 start)
{
    u64 file_end = start + p->filesz, end = start + p->memsz, page_end = PAGE_ALIGN(file_end);
    if (end == file_end)
        return 0;
    // A read-only segment with a tail cannot be cleared; Linux lets that pass as well.
    if (page_end != file_end && (p->flags & ELF_PF_W) &&
        clear_user((void __user *)file_end, page_end - file_end))
        return (u64)i_size_read(img->file->f_inode) < p->offset + p->filesz ? -EFAULT : -ENOMEM;
    if (p->filesz == 0)
        page_end = start & PAGE_MASK;
    if (PAGE_ALIGN(end) <= page_end)
        return 0;
    long at = vm_mmap(NULL, page_end, PAGE_ALIGN(end) - page_end, segment_prot(p),
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
    return IS_ERR_VALUE(at) ? (int)at : 0;
}

static int map_segment(struct elf_image *img, const struct elf64_phdr *p, u64 fixed)
{
    u64 start = p->vaddr + img->bias;
    if (p->filesz) {
        u64 offset = start % PAGE_SIZE;
        long at = vm_mmap(img->file, start - offset, p->filesz + offset, segment_prot(p),
                          MAP_PRIVATE | fixed, p->offset - offset);
        if (IS_ERR_VALUE(at))
            return (int)at;
    }
    int error = map_bss(img, p, start);
    if (error)
        return error;
    if (p->flags & ELF_PF_X) {
        img->start_code = min(img->start_code, start);
        img->end_code = max(img->end_code, start + p->filesz);
    }
    img->start_data = max(img->start_data, start);
    img->end_data = max(img->end_data, start + p->filesz);
    img->end = max(img->end, start + p->memsz);
    return 0;
}

// Maps all segments into current's address space. `hint`: where a position-independent image goes,
// 0 = anywhere.
static int image_map(struct elf_image *img, u64 hint)
{
    u64 fixed = MAP_FIXED_NOREPLACE;
    img->start_code = ~0UL;
    if (img->h.type == ELF_TYPE_DYN) {
        // One mapping finds room for the whole; the segments then replace it piece by piece.
        u64 size = img->highest - img->lowest;
        long at =
            vm_mmap(NULL, hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
        if (IS_ERR_VALUE(at))
            return (int)at;
        int error = vm_munmap((u64)at, size);
        if (error)
            return error;
        img->bias = (u64)at - img->lowest;
    }
    for (unsigned i = 0; i < img->h.phnum; i++) {
        if (img->ph[i].type != ELF_PT_LOAD)
            continue;
        int error = map_segment(img, &img->ph[i], fixed);
        if (error)
            return error;
    }
    return 0;
}

// --- the interpreter (dynamic linker)

static int interp_open(const struct elf_image *img, struct elf_image *interp)
{
    const struct elf64_phdr *p = image_find(img, ELF_PT_INTERP);
    if (!p)
        return 0;
    if (p->filesz < 2 || p->filesz > PATH_MAX)
        return -ENOEXEC;
    char *path = kmalloc(p->filesz, GFP_KERNEL);
    if (!path)
        return -ENOMEM;
    int error = read_exactly(img->file, path, p->filesz, p->offset);
    if (!error && path[p->filesz - 1])
        error = -ENOEXEC;
    if (!error) {
        struct file *f = open_exec_kernel(path);
        error = PTR_ERR_OR_ZERO(f);
        if (!error) {
            interp->file = f;
            error = read_exactly(f, &interp->h, sizeof(interp->h), 0);
            if (!error)
                error = image_read(interp, f);
            if (error == -ENOEXEC)
                error = -ELIBBAD;
        }
    }
    kfree(path);
    return error;
}

static void interp_close(struct elf_image *interp)
{
    if (interp->file) {
        allow_write_access(interp->file);
        fput(interp->file);
    }
    kfree(interp->ph);
}

// --- start

static u64 phdr_address(const struct elf_image *img)
{
    for (unsigned i = 0; i < img->h.phnum; i++) {
        const struct elf64_phdr *p = &img->ph[i];
        if (p->type == ELF_PT_LOAD && p->offset <= img->h.phoff &&
            img->h.phoff < p->offset + p->filesz)
            return img->h.phoff - p->offset + p->vaddr + img->bias;
    }
    return 0;
}

static u64 min_sigstack_size(void)
{
    return ALIGN_UP(sizeof(struct linux_rt_sigframe) + fpu_user_frame_size() + 64 + 16 + 8, 16UL);
}

static void fill_auxv(u64 *auxv, const struct exec *e, const struct elf_image *img,
                      const struct elf_image *interp)
{
    const struct cred *c = e->cred;
    const u64 values[AUXV_WORDS] = {
        AT_MINSIGSTKSZ, min_sigstack_size(),
        AT_RSEQ_FEATURE_SIZE, RSEQ_FEATURE_SIZE,
        AT_RSEQ_ALIGN, RSEQ_ALIGN,
        AT_HWCAP, cpuid(1, 0).edx,
        AT_PAGESZ, PAGE_SIZE,
        AT_CLKTCK, USER_HZ,
        AT_PHDR, phdr_address(img),
        AT_PHENT, sizeof(struct elf64_phdr),
        AT_PHNUM, img->h.phnum,
        AT_BASE, interp->file ? interp->bias : 0,
        AT_FLAGS, 0,
        AT_ENTRY, img->h.entry + img->bias,
        AT_UID, c->uid,
        AT_EUID, c->euid,
        AT_GID, c->gid,
        AT_EGID, c->egid,
        AT_SECURE, e->secure,
        AT_RANDOM, 0, // these three: exec_args_write
        AT_HWCAP2, 0,
        AT_EXECFN, 0,
        AT_PLATFORM, 0,
        AT_NULL, 0,
    };
    memcpy(auxv, values, sizeof(values));
}

static void set_bounds(struct mm_struct *mm, const struct elf_image *img, bool moves_brk)
{
    mm->start_code = img->start_code;
    mm->end_code = img->end_code;
    mm->start_data = img->start_data;
    mm->end_data = img->end_data;
    // A static position-independent program lies among the mappings: its heap gets room of its own.
    mm->start_brk = mm->brk = moves_brk ? DYN_BASE : PAGE_ALIGN(img->end);
}

// Builds the program in current's address space (the new one, for the moment). The stack pointer or
// -errno.
static long build_program(struct exec *e, struct elf_image *img, struct elf_image *interp)
{
    u64 auxv[AUXV_WORDS];
    bool dynamic = interp->file != NULL;
    int error = image_map(img, dynamic ? DYN_BASE : 0);
    if (!error && dynamic)
        error = image_map(interp, 0);
    if (error)
        return error;
    set_bounds(current->mm, img, img->h.type == ELF_TYPE_DYN && !dynamic);
    fill_auxv(auxv, e, img, interp);
    return exec_args_write(e->args, e->filename, STACK_TOP, auxv, AUXV_WORDS);
}

// Everything that can fail for want of memory happens while the old program can still be told so.
static int load_program(struct exec *e, struct elf_image *img, struct elf_image *interp)
{
    struct mm_struct *old = mm_swap_current(e->mm);
    long sp = build_program(e, img, interp);
    mm_swap_current(old);
    if (sp < 0)
        return (int)sp;
    int error = exec_point_of_no_return(e);
    if (error)
        return error;
    const struct elf_image *first = interp->file ? interp : img;
    start_thread(current_pt_regs(), first->h.entry + first->bias, (u64)sp);
    return 0;
}

int exec_load_elf(struct exec *e)
{
    struct elf_image img = {0}, interp = {0};
    memcpy(&img.h, e->header, sizeof(img.h));
    int error = image_read(&img, e->file);
    if (!error)
        error = interp_open(&img, &interp);
    if (error)
        goto out;
    const struct elf64_phdr *stack = image_find(&img, ELF_PT_GNU_STACK);
    error = mm_setup_stack(e->mm, STACK_TOP, stack && (stack->flags & ELF_PF_X) ? VM_EXEC : 0);
    if (!error)
        error = exec_compute_creds(e);
    if (!error)
        error = load_program(e, &img, &interp);
out:
    interp_close(&interp);
    kfree(img.ph);
    return error;
}
