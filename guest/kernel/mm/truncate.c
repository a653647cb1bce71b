// SPDX-License-Identifier: MIT
// Pages that leave the cache because the file shrinks, or because nobody needs them.
#include "fs/fs.h"
#include "lib/string.h"
#include "mm/mm_internal.h"

#define BATCH 16

void unmap_mapping_range(struct address_space *m, loff_t from, loff_t len, bool even_cows)
{
    struct zap_details details = {m};
    unsigned long first = (unsigned long)from >> PAGE_SHIFT;
    unsigned long last =
        len ? ((unsigned long)(from + len) + PAGE_SIZE - 1) >> PAGE_SHIFT : ~0UL; // exclusive
    struct vm_area_struct *vma;

    down_read(&m->i_mmap_rwsem);
    list_for_each_entry(vma, &m->i_mmap, i_mmap_list)
    {
        unsigned long lo = max(first, vma->vm_pgoff);
        unsigned long hi = min(last, (unsigned long)(vma->vm_pgoff + vma_pages(vma)));
        struct mmu_gather g;

        if (lo >= hi)
            continue;
        gather_start(&g, vma->vm_mm);
        zap_range(&g, vma, vma->vm_start + ((lo - vma->vm_pgoff) << PAGE_SHIFT),
                  vma->vm_start + ((hi - vma->vm_pgoff) << PAGE_SHIFT),
                  even_cows ? NULL : &details);
        gather_flush(&g);
    }
    up_read(&m->i_mmap_rwsem);
}

static void invalidate_private(struct address_space *m, struct page *p, unsigned offset,
                               unsigned len)
{
    if (PagePrivate(p) && m->a_ops->invalidatepage)
        m->a_ops->invalidatepage(p, offset, len);
}

// Zeroes bytes [from, to) of one page that stays.
static void truncate_partial(struct address_space *m, unsigned long index, unsigned from,
                             unsigned to)
{
    struct page *p = find_lock_page(m, index);

    if (!p)
        return;
    wait_on_page_writeback(p);
    memset((char *)page_address(p) + from, 0, to - from);
    invalidate_private(m, p, from, to - from);
    unlock_page(p);
    put_page(p);
}

static void truncate_page(struct address_space *m, struct page *p)
{
    if (page_mapcount(p))
        unmap_mapping_range(m, (loff_t)(p->index << PAGE_SHIFT), PAGE_SIZE, false);
    invalidate_private(m, p, 0, PAGE_SIZE);
    delete_from_page_cache(p);
}

// Whole pages [first, last].
static void truncate_whole(struct address_space *m, unsigned long first, unsigned long last)
{
    struct page *pages[BATCH];
    unsigned long index = first;
    unsigned n;

    while (index <= last && (n = find_get_pages(m, &index, last, BATCH, pages)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            lock_page(pages[i]);
            wait_on_page_writeback(pages[i]);
            if (pages[i]->mapping == m)
                truncate_page(m, pages[i]);
            unlock_page(pages[i]);
        }
        release_pages(pages, n);
        cond_resched();
    }
}

void truncate_inode_pages_range(struct address_space *m, loff_t from, loff_t last)
{
    unsigned long first = ((unsigned long)from + PAGE_SIZE - 1) >> PAGE_SHIFT;
    unsigned long end = ((unsigned long)last + 1) >> PAGE_SHIFT; // exclusive
    unsigned head = (unsigned long)from & ~PAGE_MASK;
    unsigned tail =
        last == (loff_t)(~0UL >> 1) || last == -1 ? 0 : ((unsigned long)last + 1) & ~PAGE_MASK;

    if (!m->nrpages)
        return;
    if (last == -1)
        end = ~0UL;
    if (head) {
        bool same =
            !(last == -1) && (unsigned long)last >> PAGE_SHIFT == (unsigned long)from >> PAGE_SHIFT;

        truncate_partial(m, (unsigned long)from >> PAGE_SHIFT, head,
                         same && tail ? tail : (unsigned)PAGE_SIZE);
        if (same)
            return;
    }
    if (end > first)
        truncate_whole(m, first, end - 1);
    if (tail)
        truncate_partial(m, end, 0, tail);
}

void truncate_inode_pages(struct address_space *m, loff_t from)
{
    truncate_inode_pages_range(m, from, -1);
}

void truncate_pagecache(struct inode *inode, loff_t new_size)
{
    struct address_space *m = inode->i_mapping;
    loff_t hole = (loff_t)PAGE_ALIGN((unsigned long)new_size);

    // Twice: a fault between the first unmapping and the removal may have mapped a page (or a
    // private copy) again.
    unmap_mapping_range(m, hole, 0, true);
    truncate_inode_pages(m, new_size);
    unmap_mapping_range(m, hole, 0, true);
}

// One clean unused page; locked. True if it went.
static bool invalidate_page(struct address_space *m, struct page *p)
{
    if (p->mapping != m || PageDirty(p) || PageWriteback(p) || page_mapcount(p))
        return false;
    if (PagePrivate(p) && (!m->a_ops->releasepage || !m->a_ops->releasepage(p, GFP_KERNEL)))
        return false;
    return remove_mapping(m, p);
}

unsigned long invalidate_mapping_pages(struct address_space *m, unsigned long start,
                                       unsigned long end)
{
    struct page *pages[BATCH];
    unsigned long index = start, gone = 0;
    unsigned n;

    if (test_bit(AS_UNEVICTABLE, &m->flags))
        return 0;
    while (index <= end && (n = find_get_pages(m, &index, end, BATCH, pages)) > 0) {
        for (unsigned i = 0; i < n; i++) {
            if (!trylock_page(pages[i]))
                continue;
            gone += invalidate_page(m, pages[i]);
            unlock_page(pages[i]);
        }
        release_pages(pages, n);
        cond_resched();
    }
    return gone;
}
