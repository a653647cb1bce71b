// SPDX-License-Identifier: MIT
// The page cache: one address_space per inode (or block device), which also holds the file's
// reverse map.
#pragma once

#include "lib/xarray.h"
#include "mm/mm.h"

struct inode;
struct writeback_control;
struct address_space;

struct address_space_operations {
    int (*readpage)(struct file *file,
                    struct page *page); // page locked; unlocks when the read ends (maybe later)
    int (*readahead)(struct address_space *m, unsigned long index,
                     unsigned nr); // optional; starts reads of missing pages
    int (*writepage)(
        struct page *page,
        struct writeback_control *wbc); // page locked and clean-marked; sets writeback, unlocks
    int (*writepages)(struct address_space *m,
                      struct writeback_control *wbc); // optional: all dirty pages
    // Before / after user bytes go into [pos, pos+len) of one page. write_begin returns the locked
    // page.
    int (*write_begin)(struct file *file, struct address_space *m, loff_t pos, unsigned len,
                       struct page **page);
    int (*write_end)(struct file *file, struct address_space *m, loff_t pos, unsigned len,
                     unsigned copied,
                     struct page *page); // unlocks and puts; returns bytes taken or -errno
    void (*invalidatepage)(struct page *page, unsigned offset,
                           unsigned len);             // truncation; page locked
    int (*releasepage)(struct page *page, gfp_t gfp); // 1 = private data dropped
    sector_t (*bmap)(struct address_space *m, sector_t block);
};

struct address_space {
    struct inode *host;
    spinlock_t tree_lock;           // rank LOCK_MAPPING; i_pages
    struct xarray i_pages;          // marks: XA_MARK_DIRTY, XA_MARK_WRITEBACK
    unsigned long nrpages;
    struct rw_semaphore i_mmap_rwsem; // rank LOCK_RMAP; i_mmap
    struct list_head i_mmap;        // VMAs that map this file (i_mmap_list)
    atomic_t i_mmap_writable;       // shared writable VMAs
    const struct address_space_operations *a_ops;
    unsigned long flags;            // AS_EIO, AS_ENOSPC
    gfp_t gfp_mask;
    unsigned long writeback_index;
    u32 wb_err;                     // errseq-like counter of write errors
};
#define AS_EIO 0
#define AS_ENOSPC 1
#define AS_UNEVICTABLE 2

enum wb_sync { WB_SYNC_NONE, WB_SYNC_ALL };
struct writeback_control {
    long nr_to_write;
    loff_t range_start, range_end; // inclusive end
    enum wb_sync sync_mode;
    bool for_reclaim;
    u64 pages_skipped;
};

void address_space_init(struct address_space *m, struct inode *host,
                        const struct address_space_operations *ops);
// Page lock: sleeps. unlock_page from any context.
void lock_page(struct page *p);
int lock_page_killable(struct page *p);
static inline bool trylock_page(struct page *p)
{
    return !TestSetPageLocked(p);
}
void unlock_page(struct page *p);
void wait_on_page_locked(struct page *p);
void wait_on_page_writeback(struct page *p);
void set_page_writeback(struct page *p); // page locked
void end_page_writeback(struct page *p); // any context

// Referenced page or NULL; find_lock_page also locked and still in the mapping.
struct page *find_get_page(struct address_space *m, unsigned long index);
struct page *find_lock_page(struct address_space *m, unsigned long index);
// As find_lock_page, but makes (locked, not uptodate) a missing page. NULL without memory.
struct page *find_or_create_page(struct address_space *m, unsigned long index, gfp_t gfp);
// Up to nr pages from *index on; with mark, only marked ones. Advances *index. Referenced.
unsigned find_get_pages(struct address_space *m, unsigned long *index, unsigned long end,
                        unsigned nr, struct page **pages);
unsigned find_get_pages_marked(struct address_space *m, unsigned long *index, unsigned long end,
                               enum xa_mark mark, unsigned nr, struct page **pages);
// Page comes locked by the caller, fresh; 0, -EEXIST or -ENOMEM. Takes a cache reference and puts
// it on the LRU.
int add_to_page_cache(struct page *p, struct address_space *m, unsigned long index, gfp_t gfp);
void delete_from_page_cache(struct page *p); // page locked; drops the cache reference
// Starts reading those of nr pages from index on that are missing and within the file; waits for
// none of them.
void start_reads(struct file *file, struct address_space *m, unsigned long index, unsigned long nr);
// Uptodate page, reading it if needed: referenced, unlocked. ERR_PTR(-EIO...). Sleeps.
struct page *read_mapping_page(struct address_space *m, unsigned long index, struct file *file);

bool set_page_dirty(
    struct page *p); // page locked or mapping pinned; tags, accounts, marks the inode dirty
bool clear_page_dirty_for_io(struct page *p);  // page locked: write-protects all mappings first
void account_page_redirty(struct page *p);
// Truncation: pages wholly above are dropped and unmapped; the partial one is zeroed.
void truncate_inode_pages(struct address_space *m, loff_t from);
void truncate_inode_pages_range(struct address_space *m, loff_t from, loff_t last);
void truncate_pagecache(struct inode *inode, loff_t new_size); // unmap, truncate, unmap
void unmap_mapping_range(struct address_space *m, loff_t from, loff_t len, bool even_cows);
unsigned long invalidate_mapping_pages(struct address_space *m, unsigned long start,
                                       unsigned long end);

// A write error that a later fsync must report. Any context.
void mapping_set_error(struct address_space *m, int error);
// Write-back. 0 or the first error.
int filemap_fdatawrite_range(struct address_space *m, loff_t start, loff_t end, enum wb_sync mode);
int filemap_fdatawait_range(struct address_space *m, loff_t start, loff_t end);
int filemap_write_and_wait(struct address_space *m);
int filemap_check_errors(struct address_space *m);
int write_cache_pages(struct address_space *m, struct writeback_control *wbc,
                      int (*writepage)(struct page *, struct writeback_control *, void *),
                      void *data);
void balance_dirty_pages(
    struct address_space *m); // a writer over the limit starts write-back and waits

// Generic file operations over the page cache.
struct iov_iter;
ssize_t generic_file_read(struct file *file, struct iov_iter *to, loff_t *pos);
ssize_t generic_file_write(struct file *file, struct iov_iter *from,
                           loff_t *pos); // takes the inode lock
ssize_t generic_perform_write(struct file *file, struct iov_iter *from, loff_t pos);
int generic_file_mmap(struct file *file, struct vm_area_struct *vma);
extern const struct vm_operations_struct generic_file_vm_ops;
vm_fault_t filemap_fault(struct vm_fault *vmf);
vm_fault_t filemap_page_mkwrite(struct vm_fault *vmf);
u64 nr_file_pages(void), nr_dirty_pages(void), nr_writeback_pages(void), nr_anon_pages(void),
    nr_mapped_pages(void), nr_shmem_pages(void), nr_active_file(void), nr_inactive_file(void),
    nr_active_anon(void), nr_inactive_anon(void);
void page_cache_init(void);
