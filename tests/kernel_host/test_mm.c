// SPDX-License-Identifier: MIT
// Address spaces against a page-by-page model: random mmap, munmap, mprotect, mremap, madvise,
// fork, exit, reads, writes, write-back and reclaim, with and without failing allocations; at the
// end nothing may be left over.
#include "mm_shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "abi/signal.h"
#include "mm/mm_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

#define BASE 0x3fff80000UL // a 1 GiB boundary, and with it a 2 MiB one, lies in the middle
#define NPAGES 256
#define MAX_MMS 4
#define FILE_PAGES 64

enum kind { NONE, ANON, FILE_PRIVATE, FILE_SHARED };
struct model_page {
    enum kind kind;
    unsigned prot;
    bool own;       // private: has its own contents
    u64 value;      // of its first word, when own or anonymous
    unsigned fpage; // file page
};
struct model {
    struct mm_struct *mm;
    struct model_page page[NPAGES];
};
static struct model models[MAX_MMS];
static int live, cur;
static u64 file_value[FILE_PAGES]; // first word of each page; 0 beyond the end
static unsigned file_size;         // pages
static struct file *file;
static u64 seed;

static unsigned rnd(unsigned n)
{
    seed = seed * 6364136223846793005UL + 1442695040888963407UL;
    return (unsigned)((seed >> 33) % n);
}

static u64 addr_of(unsigned page)
{
    return BASE + page * PAGE_SIZE;
}

static void use(int i)
{
    cur = i;
    host_current->mm = models[i].mm;
    host_current->active_mm = models[i].mm;
}

// One access as a CPU makes it. 0 or the signal.
static int access_word(u64 addr, bool write, u64 *value, int *code)
{
    struct mm_struct *mm = host_current->mm;

    for (int tries = 0; tries < 20; tries++) {
        pte_t *pte = pte_lookup(mm, addr, NULL);
        int sig;

        if (pte && pte_hw_present(*pte) && (!write || pte_write(*pte))) {
            u64 *word = (u64 *)page_address(pfn_to_page(pte_pfn(*pte)));

            assert_true(page_count(pfn_to_page(pte_pfn(*pte))) > 0);
            *pte |= PTE_ACCESSED | (write ? PTE_DIRTY : 0);
            if (write)
                *word = *value;
            else
                *value = *word;
            return 0;
        }
        sig = mm_user_fault(addr, (write ? FAULT_FLAG_WRITE : 0) | FAULT_FLAG_USER, code);
        if (sig)
            return sig;
    }
    fail_msg("access at %#lx does not end", addr);
    return 0;
}

static u64 expected(const struct model_page *p)
{
    if (p->own || p->kind == ANON)
        return p->value;
    return file_value[p->fpage];
}

static void check_access(unsigned page, bool write)
{
    struct model_page *p = &models[cur].page[page];
    u64 v = write ? ((u64)rnd(1u << 30) << 8) | 1 : 0;
    int code = 0, sig = access_word(addr_of(page), write, &v, &code);

    if (p->kind == NONE) {
        assert_int_equal(sig, SIGSEGV);
        assert_int_equal(code, SEGV_MAPERR);
        return;
    }
    if (write ? !(p->prot & PROT_WRITE) : !p->prot) {
        assert_int_equal(sig, SIGSEGV);
        assert_int_equal(code, SEGV_ACCERR);
        return;
    }
    if (p->kind != ANON && !p->own && p->fpage >= file_size) {
        assert_int_equal(sig, SIGBUS);
        assert_int_equal(code, BUS_ADRERR);
        return;
    }
    assert_int_equal(sig, 0);
    if (!write) {
        assert_int_equal(v, expected(p));
    } else if (p->kind == FILE_SHARED) {
        file_value[p->fpage] = v;
    } else {
        p->own = true;
        p->value = v;
    }
}

// Areas: in order, apart, counted, in the tree as in the list; and each page as the model has it.
static void check_areas(void)
{
    struct model *m = &models[cur];
    struct mm_struct *mm = m->mm;
    struct vm_area_struct *vma;
    struct rb_node *n = rb_first(&mm->mm_rb);
    u64 last = 0, total = 0;
    int count = 0;

    list_for_each_entry(vma, &mm->mmap_list, vm_list)
    {
        assert_true(vma->vm_start >= last && vma->vm_end > vma->vm_start);
        assert_ptr_equal(n, &vma->vm_rb);
        n = rb_next(n);
        last = vma->vm_end;
        total += vma_pages(vma);
        count++;
    }
    assert_null(n);
    assert_int_equal(count, mm->map_count);
    assert_int_equal(total, mm->total_vm);
    for (unsigned i = 0; i < NPAGES; i++) {
        struct model_page *p = &m->page[i];

        vma = find_vma_intersection(mm, addr_of(i), addr_of(i) + 1);
        assert_int_equal(p->kind != NONE, vma != NULL);
        if (vma)
            assert_int_equal(p->prot, (vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC)));
    }
}

// After a failed change of several areas: what was done stays done. Contents are still the model's.
static void resync(unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n && i < NPAGES; i++) {
        struct model_page *p = &models[cur].page[i];
        struct vm_area_struct *vma =
            find_vma_intersection(models[cur].mm, addr_of(i), addr_of(i) + 1);

        if (!vma)
            *p = (struct model_page){0};
        else
            p->prot = vma->vm_flags & (VM_READ | VM_WRITE | VM_EXEC);
    }
}

static void op_mmap(unsigned first, unsigned n)
{
    enum kind kind = ANON + rnd(3);
    unsigned prot = rnd(8), fpage = rnd(FILE_PAGES - 1);
    u64 flags = MAP_FIXED | (kind == FILE_SHARED ? MAP_SHARED : MAP_PRIVATE);

    n = min(n, FILE_PAGES - fpage);
    long r =
        vm_mmap(kind == ANON ? NULL : file, addr_of(first), n * PAGE_SIZE, prot,
                flags | (kind == ANON ? MAP_ANONYMOUS : 0), kind == ANON ? 0 : fpage * PAGE_SIZE);
    if (r == -ENOMEM && shim_failed) {
        resync(first, n);
        return;
    }
    assert_int_equal(r, addr_of(first));
    for (unsigned i = 0; i < n; i++)
        models[cur].page[first + i] =
            (struct model_page){.kind = kind, .prot = prot, .fpage = fpage + i};
}

static void op_munmap(unsigned first, unsigned n)
{
    int r = vm_munmap(addr_of(first), n * PAGE_SIZE);

    if (r == -ENOMEM && shim_failed)
        return;
    assert_int_equal(r, 0);
    memset(&models[cur].page[first], 0, n * sizeof(struct model_page));
}

static void op_mprotect(unsigned first, unsigned n)
{
    unsigned prot = rnd(8), covered = 0;
    struct sys_args a = {.arg = {addr_of(first), n * PAGE_SIZE, prot}};
    long r = sys_mprotect(&a);

    if (r == -ENOMEM && shim_failed) {
        resync(first, n);
        return;
    }
    while (covered < n && models[cur].page[first + covered].kind != NONE)
        covered++;
    assert_int_equal(r, covered == n ? 0 : -ENOMEM);
    for (unsigned i = 0; i < covered; i++)
        models[cur].page[first + i].prot = prot;
}

static void op_dontneed(unsigned first, unsigned n)
{
    struct sys_args a = {.arg = {addr_of(first), n * PAGE_SIZE, MADV_DONTNEED}};
    bool hole = false;

    long r = sys_madvise(&a);
    for (unsigned i = first; i < first + n; i++) {
        struct model_page *p = &models[cur].page[i];

        hole |= p->kind == NONE;
        p->own = false;
        p->value = 0;
    }
    assert_int_equal(r, hole ? -ENOMEM : 0);
}

// Moves an area's part elsewhere in the window.
static void op_mremap(unsigned first, unsigned n)
{
    struct model *m = &models[cur];
    unsigned to = rnd(NPAGES - n), len = 0;
    struct vm_area_struct *vma = find_vma_intersection(m->mm, addr_of(first), addr_of(first) + 1);
    struct model_page moved[NPAGES];

    if (!vma)
        return;
    while (len < n && addr_of(first + len) < vma->vm_end)
        len++;
    if (to < first + len && first < to + len)
        return;
    struct sys_args a = {.arg = {addr_of(first), len * PAGE_SIZE, len * PAGE_SIZE,
                                 MREMAP_MAYMOVE | MREMAP_FIXED, addr_of(to)}};
    long r = sys_mremap(&a);

    if (r == -ENOMEM && shim_failed) {
        resync(to, len);
        return;
    }
    assert_int_equal(r, addr_of(to));
    memcpy(moved, &m->page[first], len * sizeof(moved[0]));
    memset(&m->page[first], 0, len * sizeof(moved[0]));
    memcpy(&m->page[to], moved, len * sizeof(moved[0]));
    for (unsigned i = 0; i < len; i++) { // without memory for a split the old place stays, empty
        if (find_vma_intersection(m->mm, addr_of(first + i), addr_of(first + i) + 1)) {
            assert_true(shim_failed);
            m->page[first + i] = moved[i];
            m->page[first + i].own = false;
            m->page[first + i].value = 0;
        }
    }
}

static void op_fork(void)
{
    struct mm_struct *mm;

    if (live == MAX_MMS)
        return;
    mm = mm_dup(models[cur].mm);
    if (IS_ERR(mm)) {
        assert_true(shim_failed);
        return;
    }
    models[live] = models[cur];
    models[live++].mm = mm;
}

static void op_exit(void)
{
    if (live == 1)
        return;
    int victim = (int)rnd((unsigned)live);

    mmput(models[victim].mm);
    models[victim] = models[--live];
    use((int)rnd((unsigned)live));
}

// Truncation takes private copies beyond the end away too.
static void op_truncate(void)
{
    unsigned size = rnd(FILE_PAGES + 1);
    struct inode *inode = file->f_inode;

    i_size_write(inode, (loff_t)(size * PAGE_SIZE));
    if (size < file_size)
        truncate_pagecache(inode, (loff_t)(size * PAGE_SIZE));
    shim_file_cut(file, size);
    for (unsigned i = size; i < FILE_PAGES; i++)
        file_value[i] = 0;
    for (int i = 0; i < live && size < file_size; i++) {
        for (unsigned n = 0; n < NPAGES; n++) {
            struct model_page *p = &models[i].page[n];

            if (p->kind != ANON && p->fpage >= size) {
                p->own = false;
                p->value = 0;
            }
        }
    }
    file_size = size;
}

// write(2) and read(2) against what the mappings show.
static void op_file_io(void)
{
    unsigned page = rnd(FILE_PAGES);
    u64 word = ((u64)rnd(1u << 30) << 8) | 1;
    loff_t pos = (loff_t)(page * PAGE_SIZE);
    struct iov_iter it;
    ssize_t done;

    if (rnd(2)) {
        if (page > file_size) // no holes: what lies between would be the disk's old contents
            return;
        iov_iter_init_kernel(&it, false, &word, sizeof(word));
        done = generic_file_write(file, &it, &pos);
        if (done < 0) {
            assert_true(shim_failed);
            return;
        }
        assert_int_equal(done, sizeof(word));
        file_value[page] = word;
        if (page == file_size) { // a whole page, so that the model need not know bytes
            i_size_write(file->f_inode, (loff_t)((page + 1) * PAGE_SIZE));
            file_size++;
        }
        return;
    }
    iov_iter_init_kernel(&it, true, &word, sizeof(word));
    done = generic_file_read(file, &it, &pos);
    if (done < 0) {
        assert_true(shim_failed);
    } else if (page >= file_size) {
        assert_int_equal(done, 0);
    } else {
        assert_int_equal(done, sizeof(word));
        assert_int_equal(word, file_value[page]);
    }
}

static void op_writeback(void)
{
    assert_int_equal(filemap_write_and_wait(file->f_mapping), 0);
    assert_int_equal(nr_dirty_pages(), 0);
    for (unsigned i = 0; i < file_size; i++)
        assert_int_equal(shim_file_disk(file, i), file_value[i]);
}

static void one_op(void)
{
    unsigned first = rnd(NPAGES - 1), n = 1 + rnd(min(40u, NPAGES - first));

    switch (rnd(19)) {
    case 0:
    case 1:
        op_mmap(first, n);
        break;
    case 2:
        op_munmap(first, n);
        break;
    case 3:
    case 4:
        op_mprotect(first, n);
        break;
    case 5:
        op_dontneed(first, 1 + rnd(n));
        break;
    case 6:
        op_mremap(first, n);
        break;
    case 7:
        op_fork();
        break;
    case 8:
        op_exit();
        break;
    case 9:
        op_writeback();
        break;
    case 16:
        op_truncate();
        break;
    case 17:
    case 18:
        op_file_io();
        break;
    case 10:
        reclaim_pages(GFP_KERNEL, 0, 16);
        break;
    default:
        for (unsigned i = 0; i < 12; i++)
            check_access(first + rnd(min(n + 2, NPAGES - first)), rnd(2));
    }
}

static void run(u64 start_seed, bool failing)
{
    shim_init();
    seed = start_seed;
    file = shim_file(FILE_PAGES * PAGE_SIZE);
    for (unsigned i = 0; i < FILE_PAGES; i++)
        file_value[i] = 1000 + i;
    file_size = FILE_PAGES;
    memset(models, 0, sizeof(models));
    live = 1;
    models[0].mm = mm_alloc();
    assert_non_null(models[0].mm);
    use(0);
    for (int i = 0; i < 3000; i++) {
        shim_failed = false;
        shim_fail_nth = failing && rnd(3) == 0 ? (long)rnd(12) + 1 : 0;
        one_op();
        shim_fail_nth = 0;
        if (i % 16 == 0)
            use((int)rnd((unsigned)live));
        check_areas();
        assert_int_equal(host_cpu.preempt_count, 0);
    }
    for (int i = 0; i < live; i++) { // everything once more, then away
        use(i);
        for (unsigned p = 0; p < NPAGES; p++)
            check_access(p, false);
    }
    for (int i = 0; i < live; i++)
        mmput(models[i].mm);
    host_current->mm = NULL;
    shim_file_free(file);
    assert_int_equal(vm_committed_as(), 0);
    assert_int_equal(nr_anon_pages(), 0);
    assert_int_equal(nr_mapped_pages(), 0);
    assert_int_equal(nr_dirty_pages(), 0);
    assert_int_equal(nr_file_pages(), 0);
    assert_int_equal(atomic64_read(&mem_pagetable_pages), 0);
    assert_int_equal(shim_pages(), 0);
    assert_int_equal(shim_objects(), 0);
    shim_exit();
}

static void random_operations(void **state)
{
    (void)state;
    for (u64 s = 1; s <= 40; s++)
        run(s, false);
}

static void random_operations_with_failures(void **state)
{
    (void)state;
    for (u64 s = 1001; s <= 1060; s++)
        run(s, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(random_operations_with_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
