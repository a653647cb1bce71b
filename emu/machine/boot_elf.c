// SPDX-License-Identifier: MIT
// The PVH loader. Every number in the file is a stranger's: nothing is added before it is compared.
#include "machine/boot_elf.h"

#include "base/bits.h"
#include "machine/pvh.h"

#include <elf.h>
#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define SEGMENTS_MAX 64

// A range of guest physical memory that the boot has used.
struct range {
    u64 start, end;
};

struct loader {
    struct machine *m;
    const struct boot_params *params;
    const Elf64_Ehdr *elf;
    u32 entry;
    struct range used[SEGMENTS_MAX + 1];
    unsigned used_count;
};

bool boot_elf_is(const struct boot_file *file)
{
    return file->size >= SELFMAG && memcmp(file->bytes, ELFMAG, SELFMAG) == 0;
}

static struct status bad(const struct loader *l, const char *what)
{
    return status_error(STATUS_BAD_INPUT, "kernel %s: %s", l->params->kernel.name, what);
}

static bool in_file(const struct loader *l, u64 offset, u64 size)
{
    u64 all = l->params->kernel.size;
    return offset <= all && size <= all - offset;
}

static struct status check_header(struct loader *l)
{
    const struct boot_file *file = &l->params->kernel;
    if (!boot_elf_is(file) || file->size < sizeof(Elf64_Ehdr)) {
        return bad(l, "not an ELF file (a PVH kernel like build/fern is needed)");
    }
    l->elf = (const Elf64_Ehdr *)file->bytes;
    if (l->elf->e_ident[EI_CLASS] != ELFCLASS64 || l->elf->e_ident[EI_DATA] != ELFDATA2LSB ||
        l->elf->e_machine != EM_X86_64 || l->elf->e_type != ET_EXEC) {
        return bad(l, "not a 64-bit x86 ELF executable");
    }
    if (l->elf->e_phentsize != sizeof(Elf64_Phdr) || !l->elf->e_phnum ||
        l->elf->e_phnum > SEGMENTS_MAX ||
        !in_file(l, l->elf->e_phoff, (u64)l->elf->e_phnum * sizeof(Elf64_Phdr))) {
        return bad(l, "its program headers are damaged or cut off");
    }
    return status_success();
}

static void get_segment(const struct loader *l, unsigned i, Elf64_Phdr *ph)
{
    memcpy(ph, l->params->kernel.bytes + l->elf->e_phoff + i * sizeof(*ph), sizeof(*ph));
}

static bool is_free(const struct loader *l, u64 start, u64 end)
{
    for (unsigned i = 0; i < l->used_count; i++) {
        if (start < l->used[i].end && end > l->used[i].start) {
            return false;
        }
    }
    return true;
}

static struct status load_segment(struct loader *l, const Elf64_Phdr *ph)
{
    const struct physmem *mem = machine_memory(l->m);
    if (!in_file(l, ph->p_offset, ph->p_filesz) || ph->p_filesz > ph->p_memsz) {
        return bad(l, "a segment is cut off");
    }
    if (!ph->p_memsz) {
        return status_success();
    }
    if (ph->p_paddr < PVH_LOW_END || ph->p_paddr >= mem->low_bytes ||
        ph->p_memsz > mem->low_bytes - ph->p_paddr) {
        return bad(l, "a segment does not fit into guest memory; try a larger --mem");
    }
    u64 end = ph->p_paddr + ph->p_memsz;
    if (!is_free(l, ph->p_paddr, end)) {
        return bad(l, "its segments overlap");
    }
    // RAM is zero before the boot, so .bss needs no store.
    physmem_write(machine_memory(l->m), ph->p_paddr, l->params->kernel.bytes + ph->p_offset,
                  ph->p_filesz);
    l->used[l->used_count++] = (struct range){ph->p_paddr, end};
    return status_success();
}

// Looks for the Xen note with the 32-bit entry point.
static bool find_entry(struct loader *l, const Elf64_Phdr *ph)
{
    if (!in_file(l, ph->p_offset, ph->p_filesz)) {
        return false;
    }
    const u8 *p = l->params->kernel.bytes + ph->p_offset;
    u64 left = ph->p_filesz;
    while (left >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note;
        memcpy(&note, p, sizeof(note));
        u64 name_size = align_up(note.n_namesz, 4);
        u64 desc_size = align_up(note.n_descsz, 4);
        u64 size = sizeof(note) + name_size + desc_size;
        if (size > left) {
            return false;
        }
        const u8 *name = p + sizeof(note);
        if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
            !memcmp(name, "Xen", 4) && note.n_descsz >= 4) {
            memcpy(&l->entry, name + name_size, sizeof(l->entry));
            return true;
        }
        p += size;
        left -= size;
    }
    return false;
}

static struct status load_kernel(struct loader *l)
{
    struct status s = check_header(l);
    bool found = false;
    for (unsigned i = 0; status_ok(&s) && i < l->elf->e_phnum; i++) {
        Elf64_Phdr ph;
        get_segment(l, i, &ph);
        if (ph.p_type == PT_LOAD) {
            s = load_segment(l, &ph);
        } else if (ph.p_type == PT_NOTE && !found) {
            found = find_entry(l, &ph);
        }
    }
    if (status_ok(&s) && !found) {
        return bad(l, "no PVH entry point (Xen ELF note 18)");
    }
    if (status_ok(&s) && is_free(l, l->entry, (u64)l->entry + 1)) {
        return bad(l, "its PVH entry point lies outside its segments");
    }
    return s;
}

// Modules go to the top of low memory, downwards, page-aligned.
static struct status load_module(struct loader *l, const struct boot_file *file, u64 *top,
                                 struct pvh_module *module)
{
    u64 size = align_up(file->size, PAGE_SIZE);
    u64 start = *top - size;
    if (size > *top || start < 0x100000 || !is_free(l, start, *top)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s does not fit into guest memory; try a larger --mem", file->name);
    }
    physmem_write(machine_memory(l->m), start, file->bytes, file->size);
    *module = (struct pvh_module){.address = start, .size = file->size};
    *top = start;
    return status_success();
}

static void set_entry_state(struct machine *m, u32 entry)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(m, 0), &regs);
    const struct cpu_segment data = {.attributes = 0xC093, .limit = UINT32_MAX};
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        regs.seg[i] = data;
    }
    regs.seg[CPU_CS].attributes = 0xC09B;
    regs.tr = (struct cpu_segment){.attributes = 0x008B, .limit = 0x67};
    memset(regs.gpr, 0, sizeof(regs.gpr));
    regs.gpr[CPU_RBX] = PVH_START_INFO;
    regs.rip = entry;
    regs.rflags = 2;
    regs.cr0 = 0x11; // PE, ET
    regs.cr3 = regs.cr4 = regs.efer = 0;
    regs.cpl = 0;
    cpu_set_regs(machine_cpu(m, 0), &regs);
}

struct status boot_elf(struct machine *m, const struct boot_params *params)
{
    struct loader l = {.m = m, .params = params};
    struct status s = load_kernel(&l);
    struct pvh_module modules[2];
    unsigned count = 0;
    u64 top = align_down(machine_memory(m)->low_bytes, PAGE_SIZE);
    // The initramfs comes first: Linux takes module 0 for it. fern tells the two apart by their
    // magic.
    if (status_ok(&s) && params->initrd.bytes) {
        s = load_module(&l, &params->initrd, &top, &modules[count++]);
    }
    if (status_ok(&s) && params->tree.bytes) {
        s = load_module(&l, &params->tree, &top, &modules[count++]);
    }
    if (status_ok(&s)) {
        s = pvh_write_start_info(m, params->command_line, modules, count);
    }
    if (status_ok(&s)) {
        set_entry_state(m, l.entry);
    }
    return s;
}
