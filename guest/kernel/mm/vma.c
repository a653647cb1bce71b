// SPDX-License-Identifier: MIT
// Virtual memory areas: tree and list, bounds, split and merge. All writers hold the mmap lock for
// writing; links and bounds change under the page-table lock too, so that reverse mapping can read
// them with that alone.
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "mm/slab.h"

static struct kmem_cache *vma_cache;
int sysctl_max_map_count = 65530;

void vma_cache_init(void);
void vma_cache_init(void)
{
    vma_cache = kmem_cache_create("vm_area_struct", sizeof(struct vm_area_struct), 0, 0);
}

struct vm_area_struct *vma_alloc(struct mm_struct *mm)
{
    struct vm_area_struct *vma = kmem_cache_zalloc(vma_cache, GFP_KERNEL);

    if (!vma)
        return NULL;
    vma->vm_mm = mm;
    INIT_LIST_HEAD(&vma->vm_list);
    INIT_LIST_HEAD(&vma->i_mmap_list);
    return vma;
}

void vma_free(struct vm_area_struct *vma)
{
    kmem_cache_free(vma_cache, vma);
}

struct vm_area_struct *vma_dup(const struct vm_area_struct *vma, struct mm_struct *mm)
{
    struct vm_area_struct *n = kmem_cache_alloc(vma_cache, GFP_KERNEL);

    if (!n)
        return NULL;
    *n = *vma;
    n->vm_mm = mm;
    INIT_LIST_HEAD(&n->vm_list);
    INIT_LIST_HEAD(&n->i_mmap_list);
    if (n->vm_file)
        get_file(n->vm_file);
    return n;
}

void vma_close_free(struct vm_area_struct *vma)
{
    if (vma->vm_ops && vma->vm_ops->close)
        vma->vm_ops->close(vma);
    if (vma->vm_file)
        fput(vma->vm_file);
    vma_free(vma);
}

struct vm_area_struct *vma_next(struct vm_area_struct *vma)
{
    return list_is_last(&vma->vm_list, &vma->vm_mm->mmap_list) ? NULL
                                                               : list_next_entry(vma, vm_list);
}

struct vm_area_struct *vma_prev(struct vm_area_struct *vma)
{
    return vma->vm_list.prev == &vma->vm_mm->mmap_list ? NULL : list_prev_entry(vma, vm_list);
}

struct vm_area_struct *find_vma(struct mm_struct *mm, u64 addr)
{
    struct rb_node *n = mm->mm_rb.node;
    struct vm_area_struct *found = NULL;

    while (n) {
        struct vm_area_struct *vma = rb_entry(n, struct vm_area_struct, vm_rb);

        if (vma->vm_end > addr) {
            found = vma;
            if (vma->vm_start <= addr)
                break;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    return found;
}

struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, u64 start, u64 end)
{
    struct vm_area_struct *vma = find_vma(mm, start);

    return vma && vma->vm_start < end ? vma : NULL;
}

static struct address_space *vma_mapping(const struct vm_area_struct *vma)
{
    return vma->vm_file ? vma->vm_file->f_mapping : NULL;
}

static void link_file(struct vm_area_struct *vma, struct address_space *m)
{
    list_add_tail(&vma->i_mmap_list, &m->i_mmap);
    if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE))
        atomic_inc(&m->i_mmap_writable);
}

// Tree and list; page-table lock held.
static void link_tree(struct mm_struct *mm, struct vm_area_struct *vma)
{
    struct rb_node **link = &mm->mm_rb.node, *parent = NULL;
    struct list_head *before = &mm->mmap_list; // the list position in front of which vma goes

    while (*link) {
        struct vm_area_struct *v = rb_entry(*link, struct vm_area_struct, vm_rb);

        parent = *link;
        if (vma->vm_start < v->vm_start) {
            before = &v->vm_list;
            link = &parent->left;
        } else {
            link = &parent->right;
        }
    }
    rb_link_node(&vma->vm_rb, parent, link);
    rb_insert_fixup(&vma->vm_rb, &mm->mm_rb);
    list_add_tail(&vma->vm_list, before);
    mm->map_count++;
}

void vma_link(struct mm_struct *mm, struct vm_area_struct *vma)
{
    struct address_space *m = vma_mapping(vma);

    if (m) {
        down_write(&m->i_mmap_rwsem);
        link_file(vma, m);
    }
    spin_lock(&mm->page_table_lock);
    link_tree(mm, vma);
    spin_unlock(&mm->page_table_lock);
    if (m)
        up_write(&m->i_mmap_rwsem);
}

void vma_unlink(struct vm_area_struct *vma)
{
    struct mm_struct *mm = vma->vm_mm;

    spin_lock(&mm->page_table_lock);
    rb_erase(&vma->vm_rb, &mm->mm_rb);
    list_del_init(&vma->vm_list);
    mm->map_count--;
    spin_unlock(&mm->page_table_lock);
}

void vma_unlink_file(struct vm_area_struct *vma)
{
    struct address_space *m = vma_mapping(vma);

    if (!m)
        return;
    down_write(&m->i_mmap_rwsem);
    list_del_init(&vma->i_mmap_list);
    if ((vma->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE))
        atomic_dec(&m->i_mmap_writable);
    up_write(&m->i_mmap_rwsem);
}

void vma_set_bounds(struct vm_area_struct *vma, u64 start, u64 end, unsigned long pgoff)
{
    struct address_space *m = vma_mapping(vma);

    if (m)
        down_write(&m->i_mmap_rwsem);
    spin_lock(&vma->vm_mm->page_table_lock);
    vma->vm_start = start;
    vma->vm_end = end;
    vma->vm_pgoff = pgoff;
    spin_unlock(&vma->vm_mm->page_table_lock);
    if (m)
        up_write(&m->i_mmap_rwsem);
}

int vma_split(struct vm_area_struct *vma, u64 addr)
{
    struct mm_struct *mm = vma->vm_mm;
    struct address_space *m = vma_mapping(vma);
    struct vm_area_struct *high;

    if (mm->map_count >= sysctl_max_map_count)
        return -ENOMEM;
    high = vma_dup(vma, mm);
    if (!high)
        return -ENOMEM;
    high->vm_start = addr;
    high->vm_pgoff = linear_index(vma, addr);
    if (high->vm_ops && high->vm_ops->open)
        high->vm_ops->open(high);
    // Both halves change together: reverse mapping never sees a gap.
    if (m) {
        down_write(&m->i_mmap_rwsem);
        link_file(high, m);
    }
    spin_lock(&mm->page_table_lock);
    vma->vm_end = addr;
    link_tree(mm, high);
    spin_unlock(&mm->page_table_lock);
    if (m)
        up_write(&m->i_mmap_rwsem);
    return 0;
}

int vma_split_range(struct mm_struct *mm, u64 start, u64 end)
{
    struct vm_area_struct *vma = find_vma(mm, start);
    int err;

    if (!vma || vma->vm_start >= end)
        return 0;
    if (vma->vm_start < start) {
        // munmap of a hole in the middle makes one area more: refuse before anything changed.
        if (vma->vm_end > end && mm->map_count + 1 >= sysctl_max_map_count)
            return -ENOMEM;
        err = vma_split(vma, start);
        if (err)
            return err;
    }
    vma = find_vma(mm, end - 1);
    if (vma && vma->vm_start < end && vma->vm_end > end)
        return vma_split(vma, end);
    return 0;
}

// --- merging

static bool same_kind(const struct vm_area_struct *vma, const struct vma_params *p)
{
    return vma->vm_flags == p->flags && vma->vm_file == p->file && vma->vm_ops == p->ops &&
           vma->vm_private_data == p->private_data && !(vma->vm_flags & (VM_PFNMAP | VM_IO)) &&
           !(vma->vm_ops && vma->vm_ops->close);
}

static bool joins_after(const struct vm_area_struct *prev, const struct vma_params *p)
{
    return prev && prev->vm_end == p->start && same_kind(prev, p) &&
           linear_index(prev, prev->vm_end) == p->pgoff;
}

static bool joins_before(const struct vm_area_struct *next, const struct vma_params *p)
{
    return next && next->vm_start == p->end && same_kind(next, p) &&
           next->vm_pgoff == p->pgoff + ((p->end - p->start) >> PAGE_SHIFT);
}

// Removes `gone` and gives [start, end) to `keep` in one step.
static void absorb(struct vm_area_struct *keep, struct vm_area_struct *gone, u64 start, u64 end,
                   unsigned long pgoff)
{
    struct mm_struct *mm = keep->vm_mm;
    struct address_space *m = vma_mapping(keep);

    if (m) {
        down_write(&m->i_mmap_rwsem);
        list_del_init(&gone->i_mmap_list);
        if ((gone->vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE))
            atomic_dec(&m->i_mmap_writable);
    }
    spin_lock(&mm->page_table_lock);
    rb_erase(&gone->vm_rb, &mm->mm_rb);
    list_del_init(&gone->vm_list);
    mm->map_count--;
    keep->vm_start = start;
    keep->vm_end = end;
    keep->vm_pgoff = pgoff;
    keep->has_anon |= gone->has_anon;
    spin_unlock(&mm->page_table_lock);
    if (m)
        up_write(&m->i_mmap_rwsem);
    if (gone->vm_file)
        fput(gone->vm_file);
    vma_free(gone);
}

struct vm_area_struct *vma_merge_new(struct mm_struct *mm, const struct vma_params *p)
{
    struct vm_area_struct *next = find_vma(mm, p->start), *prev;

    if (next)
        prev = vma_prev(next);
    else
        prev = list_empty(&mm->mmap_list)
                   ? NULL
                   : list_last_entry(&mm->mmap_list, struct vm_area_struct, vm_list);
    bool after = joins_after(prev, p), before = joins_before(next, p);

    if (after && before)
        absorb(prev, next, prev->vm_start, next->vm_end, prev->vm_pgoff);
    else if (after)
        vma_set_bounds(prev, prev->vm_start, p->end, prev->vm_pgoff);
    else if (before)
        vma_set_bounds(next, p->start, next->vm_end, p->pgoff);
    else
        return NULL;
    return after ? prev : next;
}

struct vm_area_struct *vma_merge_existing(struct vm_area_struct *vma)
{
    struct vma_params p = {vma->vm_start, vma->vm_end, vma->vm_flags,       vma->vm_file,
                           vma->vm_pgoff, vma->vm_ops, vma->vm_private_data};
    struct vm_area_struct *prev = vma_prev(vma), *next = vma_next(vma);

    if (!same_kind(vma, &p)) // never merged
        return vma;
    if (joins_before(next, &p))
        absorb(vma, next, vma->vm_start, next->vm_end, vma->vm_pgoff);
    if (joins_after(prev, &p)) {
        absorb(prev, vma, prev->vm_start, vma->vm_end, prev->vm_pgoff);
        return prev;
    }
    return vma;
}

void vma_account(struct mm_struct *mm, u64 vm_flags, const struct file *file, long pages)
{
    mm->total_vm += (u64)pages;
    if (vm_flags & VM_GROWSDOWN)
        mm->stack_vm += (u64)pages;
    else if ((vm_flags & (VM_EXEC | VM_WRITE)) == VM_EXEC)
        mm->exec_vm += (u64)pages;
    else if ((vm_flags & (VM_WRITE | VM_SHARED)) == VM_WRITE)
        mm->data_vm += (u64)pages;
    if (vm_flags & VM_LOCKED) {
        mm->locked_vm += (u64)pages;
        mod_page_state(NR_MLOCK, pages);
    }
    if (mm->total_vm > mm->hiwater_vm)
        mm->hiwater_vm = mm->total_vm;
    (void)file;
}

u64 vma_start_gap(const struct vm_area_struct *vma)
{
    u64 start = vma->vm_start;

    if (vma->vm_flags & VM_GROWSDOWN)
        start = start > sysctl_stack_guard_gap ? start - sysctl_stack_guard_gap : 0;
    return start;
}
