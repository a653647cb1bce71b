// SPDX-License-Identifier: MIT
// Private to mm/: user page tables, VMA surgery, unmap gathering, LRU and reclaim internals.
#pragma once

#include "lib/err.h"
#include "lib/printk.h"
#include "mm/mm.h"
#include "mm/page_cache.h"
#include "mm/rmap.h"
#include "mm/vmstat.h"
#include "sched/sched.h"

extern u64 nx_mask; // PTE_NX where the CPU has it (paging.c)

#define PTRS_PER_TABLE 512
#define PTE_TABLE_SPAN (PTRS_PER_TABLE * PAGE_SIZE) // bytes that one level-1 table maps
#define PTE_TABLE_FLAGS (PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED)

// --- pgtable.c: user page tables of an mm. The mmap lock (either way) keeps tables from going
// away; entries change under mm->page_table_lock.
static inline pte_t *pte_table(pte_t entry)
{
    return __va(entry & PTE_ADDR_MASK);
}
static inline unsigned pte_index(u64 addr, int level) // level 1 = page table ... 4 = PML4
{
    return (unsigned)(addr >> (PAGE_SHIFT + 9 * (level - 1))) & (PTRS_PER_TABLE - 1);
}
// Entry of addr, or NULL when there is no table. *table_end (optional) = first address beyond this
// table, or, without a table, beyond the hole.
pte_t *pte_lookup(struct mm_struct *mm, u64 addr, u64 *table_end);
// As pte_lookup, making missing tables. May sleep; NULL without memory.
pte_t *pte_alloc(struct mm_struct *mm, u64 addr);

// --- gather.c: clear, flush, free
#define GATHER_PAGES 60
struct mmu_gather {
    struct mm_struct *mm;
    u64 start, end; // range of cleared entries
    unsigned nr;
    bool tables; // page tables were unlinked: a full flush
    struct page *pages[GATHER_PAGES];
};
void gather_start(struct mmu_gather *g, struct mm_struct *mm);
void gather_flush(struct mmu_gather *g); // flushes and frees what has been gathered; may sleep
static inline bool gather_add(struct mmu_gather *g, struct page *p) // true: full, call gather_flush
{
    g->pages[g->nr++] = p;
    return g->nr == GATHER_PAGES;
}
static inline void gather_range(struct mmu_gather *g, u64 addr)
{
    if (addr < g->start)
        g->start = addr;
    if (addr + PAGE_SIZE > g->end)
        g->end = addr + PAGE_SIZE;
}
// Which entries a zap takes: all, or only those of pages of one mapping (truncation leaves private
// copies alone).
struct zap_details {
    struct address_space *only_mapping;
};
// Removes the entries of [start, end) of vma. mmap lock held, or i_mmap_rwsem through the vma's
// mapping.
void zap_range(struct mmu_gather *g, struct vm_area_struct *vma, u64 start, u64 end,
               const struct zap_details *details);
void zap_vma_range(struct vm_area_struct *vma, u64 start, u64 end); // with its own gather
// Frees the page tables wholly inside [floor, ceiling) that map [start, end). mmap lock held for
// writing.
void free_user_tables(struct mmu_gather *g, u64 start, u64 end, u64 floor, u64 ceiling);

// --- vma.c. mmap lock held for writing.
struct vma_params { // what a new or changed area is compared with for merging
    u64 start, end, flags;
    struct file *file;
    unsigned long pgoff;
    const struct vm_operations_struct *ops;
    void *private_data;
};
struct vm_area_struct *vma_alloc(struct mm_struct *mm);
void vma_free(struct vm_area_struct *vma); // memory only
struct vm_area_struct *vma_dup(const struct vm_area_struct *vma,
                               struct mm_struct *mm); // file counted; NULL no memory
void vma_close_free(struct vm_area_struct *vma);      // close, fput, free
void vma_link(struct mm_struct *mm, struct vm_area_struct *vma);
void vma_unlink(struct vm_area_struct *vma); // from the mm's tree and list only
void vma_unlink_file(struct vm_area_struct *vma);
void vma_set_bounds(struct vm_area_struct *vma, u64 start, u64 end, unsigned long pgoff);
// Cuts at addr (inside the area): vma keeps [start, addr), the new one gets the rest. 0, -ENOMEM.
int vma_split(struct vm_area_struct *vma, u64 addr);
// Grows a neighbour over p (a free range) if they are alike; returns the area that now covers it,
// or NULL.
struct vm_area_struct *vma_merge_new(struct mm_struct *mm, const struct vma_params *p);
// After vma's flags changed: joins it with alike neighbours; returns the area that covers it now.
struct vm_area_struct *vma_merge_existing(struct vm_area_struct *vma);
// Makes boundaries at start and end where an area crosses them. 0, -ENOMEM.
int vma_split_range(struct mm_struct *mm, u64 start, u64 end);
struct vm_area_struct *vma_next(struct vm_area_struct *vma);
struct vm_area_struct *vma_prev(struct vm_area_struct *vma);
void vma_account(struct mm_struct *mm, u64 vm_flags, const struct file *file,
                 long pages); // total_vm and friends
static inline u64 vma_pages(const struct vm_area_struct *vma)
{
    return (vma->vm_end - vma->vm_start) >> PAGE_SHIFT;
}
static inline unsigned long linear_index(const struct vm_area_struct *vma, u64 addr)
{
    return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}
static inline bool vma_is_cow(u64 vm_flags)
{
    return (vm_flags & (VM_SHARED | VM_MAYWRITE)) == VM_MAYWRITE;
}
static inline bool vma_is_anon(const struct vm_area_struct *vma)
{
    return !vma->vm_ops || !vma->vm_ops->fault;
}
// Lowest address that another mapping may end at below vma, and the mirror of it above.
u64 vma_start_gap(const struct vm_area_struct *vma);

// --- mmap.c
u64 get_unmapped_area(struct mm_struct *mm, u64 addr, u64 len, u64 flags); // address or -errno
bool may_expand_vm(struct mm_struct *mm, u64 vm_flags, const struct file *file, u64 pages);
int mlock_limit_ok(struct mm_struct *mm, u64 more_pages); // 0, -EPERM, -EAGAIN
void mm_detach_unmap(struct mm_struct *mm, u64 start,
                     u64 end); // boundaries exist: zap and free the areas in range
int sys_check_range(u64 start, u64 len, u64 *end); // aligned start; page-rounded end; 0 or -EINVAL

// --- fork of an mm
int copy_page_range(struct mm_struct *dst, struct vm_area_struct *dst_vma,
                    struct vm_area_struct *src_vma);

// Second page-table lock while one is held (fork: parent, then child; nobody takes them the other
// way round).
static inline void ptl_lock_nested(spinlock_t *l)
{
    while (!spin_trylock(l))
        cpu_relax();
}

// Which resident-set counter a mapped page counts in.
static inline enum mm_counter page_counter(const struct page *p)
{
    if (PageAnon(p))
        return MM_ANONPAGES;
    return PageSwapBacked(p) ? MM_SHMEMPAGES : MM_FILEPAGES;
}

// --- counters, LRU (lru.c)
enum lru_list {
    LRU_INACTIVE_ANON,
    LRU_ACTIVE_ANON,
    LRU_INACTIVE_FILE,
    LRU_ACTIVE_FILE,
    LRU_UNEVICTABLE,
    NR_LRU
};
struct lru {
    spinlock_t lock; // rank LOCK_LRU; interrupts off
    struct list_head list[NR_LRU];
    u64 size[NR_LRU];
};
extern struct lru lru;
enum lru_list page_lru_list(const struct page *p);
void release_pages(struct page **pages, unsigned nr); // put_page on each, with one LRU lock round
// Takes up to nr pages off the tail of a list, each with a reference, PG_lru clear. Returns how
// many.
unsigned lru_isolate(enum lru_list which, unsigned nr, struct list_head *out);
bool lru_isolate_page(struct page *p); // one page the caller has a reference to; takes another
void lru_putback(
    struct page *p); // back on its list (by its flags), drops the isolation's reference
void lru_deactivate(struct page *p);
void lru_lazyfree(struct page *p); // clean anonymous page of MADV_FREE: to the inactive file list

// --- page_cache.c
// Frees a clean, unmapped, locked page of the cache that only the caller and the cache hold. The
// caller's reference stays.
bool remove_mapping(struct address_space *m, struct page *p);
bool mapping_can_writeback(const struct address_space *m);
void page_account_cleaned(struct page *p); // a dirty page goes away without being written

// --- reclaim.c
bool page_evictable(const struct page *p);
u64 global_dirtyable_pages(void);
void reclaim_init(void);
void reclaim_start(void); // kswapd
void oom_start(void);     // the reaper thread
