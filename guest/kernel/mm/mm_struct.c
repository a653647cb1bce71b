// SPDX-License-Identifier: MIT
// mm_struct: making, copying for fork, installing for exec, dropping.
#include "fs/fs.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm_internal.h"
#include "mm/slab.h"
#include "mm/writeback.h"
#include "proc/signal.h"

static struct kmem_cache *mm_cache;
void vma_cache_init(void);

static void mm_init_fields(struct mm_struct *mm)
{
    atomic_set(&mm->mm_users, 1);
    atomic_set(&mm->mm_count, 1);
    init_rwsem_rank(&mm->mmap_lock, LOCK_MMAP);
    spin_lock_init_rank(&mm->page_table_lock, LOCK_PAGE_TABLE);
    spin_lock_init(&mm->arg_lock);
    mm->mm_rb = RB_ROOT;
    INIT_LIST_HEAD(&mm->mmap_list);
    INIT_LIST_HEAD(&mm->anon_root_link);
    INIT_LIST_HEAD(&mm->mmlist);
    for (int i = 0; i < NR_MM_COUNTERS; i++)
        atomic64_set(&mm->counters[i], 0);
    atomic_set(&mm->oom_reaped, 0);
    mm->map_count = 0;
    mm->cpu_bitmap = 0;
    mm->nr_page_tables = 0;
    mm->total_vm = mm->locked_vm = mm->data_vm = mm->exec_vm = mm->stack_vm = 0;
    mm->hiwater_rss = mm->hiwater_vm = 0;
    mm->pgd = NULL;
    mm->anon_root = NULL;
}

static void anon_root_join(struct anon_root *r, struct mm_struct *mm)
{
    mm->anon_root = r;
    down_write(&r->rwsem);
    list_add_tail(&mm->anon_root_link, &r->mms);
    up_write(&r->rwsem);
}

static void anon_root_leave(struct mm_struct *mm)
{
    struct anon_root *r = mm->anon_root;

    if (!r)
        return;
    down_write(&r->rwsem);
    list_del_init(&mm->anon_root_link);
    up_write(&r->rwsem);
    mm->anon_root = NULL;
    anon_root_put(r);
}

struct mm_struct *mm_alloc(void)
{
    struct mm_struct *mm = kmem_cache_zalloc(mm_cache, GFP_KERNEL);
    struct anon_root *r;

    if (!mm)
        return NULL;
    mm_init_fields(mm);
    r = anon_root_alloc();
    if (!r)
        goto no_root;
    mm->pgd = pgd_alloc();
    if (!mm->pgd)
        goto no_pgd;
    anon_root_join(r, mm);
    mm_pick_layout(mm);
    mm->dumpable = 1;
    return mm;
no_pgd:
    anon_root_put(r);
no_root:
    kmem_cache_free(mm_cache, mm);
    return NULL;
}

static void mm_free(struct mm_struct *mm)
{
    pgd_free(mm->pgd);
    kmem_cache_free(mm_cache, mm);
}

void mmdrop(struct mm_struct *mm)
{
    if (atomic_dec_and_test(&mm->mm_count))
        mm_free(mm);
}

// The last user is gone: everything mapped goes.
static void exit_mmap(struct mm_struct *mm)
{
    down_write(&mm->mmap_lock);
    mm_detach_unmap(mm, 0, TASK_SIZE);
    up_write(&mm->mmap_lock);
    anon_root_leave(mm);
    set_mm_exe_file(mm, NULL);
}

void set_mm_exe_file(struct mm_struct *mm, struct file *file)
{
    struct file *old = mm->exe_file;

    // A file that is being executed cannot be opened for writing. It is executing already, so this
    // cannot fail.
    if (file && deny_write_access(get_file(file)) != 0)
        pr_warn("exec: %s is open for writing", file->f_path.dentry->d_name.name);
    mm->exe_file = file;
    if (old) {
        allow_write_access(old);
        fput(old);
    }
}

void mmput(struct mm_struct *mm)
{
    might_sleep();
    if (atomic_dec_and_test(&mm->mm_users)) {
        exit_mmap(mm);
        mmdrop(mm);
    }
}

struct mm_struct *get_task_mm(struct task_struct *t)
{
    struct mm_struct *mm;

    spin_lock(&t->alloc_lock);
    mm = t->flags & PF_KTHREAD ? NULL : t->mm;
    if (mm)
        mmget(mm);
    spin_unlock(&t->alloc_lock);
    return mm;
}

// Loads `mm` (NULL: the kernel's own page tables) on this CPU as current's.
static struct mm_struct *replace_current_mm(struct mm_struct *mm)
{
    struct mm_struct *old = current->mm, *old_active = current->active_mm;
    unsigned long flags;

    spin_lock(&current->alloc_lock);
    flags = local_irq_save();
    current->mm = mm;
    current->active_mm = mm ? mm : &init_mm;
    mm_switch(current->active_mm);
    local_irq_restore(flags);
    spin_unlock(&current->alloc_lock);
    if (!old && old_active && old_active != &init_mm) // was borrowed by a kernel thread
        mmdrop(old_active);
    return old;
}

struct mm_struct *mm_swap_current(struct mm_struct *mm)
{
    return replace_current_mm(mm);
}

static void note_peak_rss(struct mm_struct *mm)
{
    u64 rss = mm_rss(mm);

    if (rss > mm->hiwater_rss)
        mm->hiwater_rss = rss;
}

void exec_mmap(struct mm_struct *mm)
{
    struct mm_struct *old = replace_current_mm(mm);

    if (old) {
        note_peak_rss(old);
        if (current->signal && current->signal->maxrss < old->hiwater_rss)
            current->signal->maxrss = old->hiwater_rss;
        mmput(old);
    }
}

void exit_mm(void)
{
    struct mm_struct *mm = current->mm;

    if (!mm)
        return;
    note_peak_rss(mm);
    if (current->signal && current->signal->maxrss < mm->hiwater_rss)
        current->signal->maxrss = mm->hiwater_rss;
    replace_current_mm(NULL);
    mmput(mm);
}

// --- fork

// One area of the parent into the child, entries included.
static int dup_area(struct mm_struct *dst, struct vm_area_struct *src_vma)
{
    struct vm_area_struct *vma;
    int err;

    if (src_vma->vm_flags & VM_ACCOUNT) {
        err = vm_acct_memory(vma_pages(src_vma));
        if (err)
            return err;
    }
    vma = vma_dup(src_vma, dst);
    if (!vma) {
        if (src_vma->vm_flags & VM_ACCOUNT)
            vm_unacct_memory(vma_pages(src_vma));
        return -ENOMEM;
    }
    vma->vm_flags &= ~VM_LOCKED;
    if (vma->vm_flags & VM_WIPEONFORK)
        vma->has_anon = false;
    if (vma->vm_ops && vma->vm_ops->open)
        vma->vm_ops->open(vma);
    // Linked before its entries exist: whoever unmaps a page finds the child's entry too.
    vma_link(dst, vma);
    vma_account(dst, vma->vm_flags, vma->vm_file, (long)vma_pages(vma));
    if (vma->vm_flags & VM_WIPEONFORK)
        return 0;
    return copy_page_range(dst, vma, src_vma);
}

static struct mm_struct *mm_copy_header(struct mm_struct *src)
{
    struct mm_struct *mm = kmem_cache_alloc(mm_cache, GFP_KERNEL);

    if (!mm)
        return NULL;
    memcpy(mm, src, sizeof(*mm));
    mm_init_fields(mm);
    mm->def_flags = src->def_flags & ~VM_LOCKED;
    mm->pgd = pgd_alloc();
    if (!mm->pgd) {
        kmem_cache_free(mm_cache, mm);
        return NULL;
    }
    mm->exe_file = NULL;
    set_mm_exe_file(mm, src->exe_file);
    atomic_inc(&src->anon_root->refcount);
    anon_root_join(src->anon_root, mm);
    return mm;
}

struct mm_struct *mm_dup(struct mm_struct *src)
{
    struct vm_area_struct *vma;
    struct mm_struct *mm;
    int err = 0;

    if (down_write_killable(&src->mmap_lock))
        return ERR_PTR(-EINTR);
    mm = mm_copy_header(src);
    if (!mm) {
        up_write(&src->mmap_lock);
        return ERR_PTR(-ENOMEM);
    }
    list_for_each_entry(vma, &src->mmap_list, vm_list)
    {
        if (vma->vm_flags & VM_DONTCOPY)
            continue;
        err = dup_area(mm, vma);
        if (err || fatal_signal_pending(current)) {
            err = err ? err : -EINTR;
            break;
        }
    }
    tlb_flush_mm(src); // entries of the parent became read-only
    up_write(&src->mmap_lock);
    if (err) {
        mmput(mm);
        return ERR_PTR(err);
    }
    mm->hiwater_rss = mm_rss(mm);
    mm->hiwater_vm = mm->total_vm;
    return mm;
}

// Threads of memory management, once kernel threads and file systems exist (init/main.c).
void mm_late_init(void);
void mm_late_init(void)
{
    reclaim_start();
    oom_start();
    writeback_init();
}

void mm_init(void)
{
    mm_cache = kmem_cache_create("mm_struct", sizeof(struct mm_struct), 64, 0);
    vma_cache_init();
    reclaim_init();
}
