// SPDX-License-Identifier: MIT
// /proc/kpagecount and kpageflags, a word for each frame; /proc/PID/pagemap, a word for each page
// of the address space (Linux: Documentation/admin-guide/mm/pagemap.rst).
#include "fs/proc/proc.h"

#include "mm/mm_internal.h"
#include "mm/slab.h"

#define WORDS 512 // made at a time

// Bits of kpageflags.
#define KPF_LOCKED 0
#define KPF_ERROR 1
#define KPF_REFERENCED 2
#define KPF_UPTODATE 3
#define KPF_DIRTY 4
#define KPF_LRU 5
#define KPF_ACTIVE 6
#define KPF_SLAB 7
#define KPF_WRITEBACK 8
#define KPF_RECLAIM 9
#define KPF_BUDDY 10
#define KPF_MMAP 11
#define KPF_ANON 12
#define KPF_SWAPCACHE 13
#define KPF_SWAPBACKED 14
#define KPF_COMPOUND_HEAD 15
#define KPF_COMPOUND_TAIL 16
#define KPF_UNEVICTABLE 18
#define KPF_ZERO_PAGE 24
#define KPF_RESERVED 32

// Bits of pagemap.
#define PM_EXCLUSIVE BIT(56)
#define PM_FILE BIT(61)
#define PM_SWAP BIT(62)
#define PM_PRESENT BIT(63)

typedef void (*fill_t)(u64 *words, u64 first, unsigned n, void *of);

// Whole words only, as Linux wants it; `end` is one above the last word.
static ssize_t read_words(struct iov_iter *to, loff_t *pos, u64 end, fill_t fill, void *of)
{
    ssize_t done = 0;
    if (*pos % sizeof(u64) || iov_iter_count(to) % sizeof(u64)) {
        return -EINVAL;
    }
    u64 *words = kmalloc(WORDS * sizeof(u64), GFP_KERNEL);
    if (!words) {
        return -ENOMEM;
    }
    while (iov_iter_count(to) && (u64)*pos / sizeof(u64) < end) {
        u64 first = (u64)*pos / sizeof(u64);
        unsigned n = (unsigned)min(min(end - first, (u64)WORDS), iov_iter_count(to) / sizeof(u64));
        fill(words, first, n, of);
        size_t got = copy_to_iter(words, n * sizeof(u64), to);
        *pos += (loff_t)got;
        done += (ssize_t)got;
        if (got < n * sizeof(u64)) {
            done = done ? done : -EFAULT;
            break;
        }
        cond_resched();
    }
    kfree(words);
    return done;
}

// --- frames

static void fill_counts(u64 *words, u64 first, unsigned n, void *of)
{
    for (unsigned i = 0; i < n; i++) {
        words[i] = (u64)page_mapcount(pfn_to_page(first + i));
    }
}

static u64 flags_of(const struct page *p)
{
    static const u8 bits[][2] = {
        {PG_locked, KPF_LOCKED},
        {PG_error, KPF_ERROR},
        {PG_referenced, KPF_REFERENCED},
        {PG_uptodate, KPF_UPTODATE},
        {PG_dirty, KPF_DIRTY},
        {PG_lru, KPF_LRU},
        {PG_active, KPF_ACTIVE},
        {PG_slab, KPF_SLAB},
        {PG_writeback, KPF_WRITEBACK},
        {PG_reclaim, KPF_RECLAIM},
        {PG_anon, KPF_ANON},
        {PG_swapcache, KPF_SWAPCACHE},
        {PG_swapbacked, KPF_SWAPBACKED},
        {PG_head, KPF_COMPOUND_HEAD},
        {PG_unevictable, KPF_UNEVICTABLE},
        {PG_reserved, KPF_RESERVED},
        {PG_buddy, KPF_BUDDY},
    };
    u64 flags = page_mapcount(p) > 0 ? BIT(KPF_MMAP) : 0, have = READ_ONCE(p->flags);
    for (unsigned i = 0; have && i < ARRAY_SIZE(bits); i++) {
        flags |= (have >> bits[i][0] & 1) << bits[i][1];
    }
    return flags | (p == zero_page ? BIT(KPF_ZERO_PAGE) : 0);
}

// Only the first frame of a block, free or used, says what all of it is. The first frame of the
// block that `pfn` is in; *order: the block's.
static u64 block_of(u64 pfn, unsigned *order)
{
    const struct page *p = pfn_to_page(pfn);
    bool single = page_count(p) && !PageHead(p);
    for (unsigned o = 0; o < MAX_ORDER && !single; o++) {
        u64 head = ALIGN_DOWN(pfn, 1UL << o);
        p = pfn_to_page(head);
        u64 flags = READ_ONCE(p->flags);
        *order = flags & BIT(PG_buddy) ? (unsigned)READ_ONCE(p->private) : READ_ONCE(p->order);
        if ((flags & (BIT(PG_buddy) | BIT(PG_head))) && *order >= o && *order < MAX_ORDER) {
            return head;
        }
    }
    *order = 0;
    return pfn;
}

// The frames change meanwhile: a glance, no more.
static void fill_flags(u64 *words, u64 first, unsigned n, void *of)
{
    for (unsigned i = 0; i < n;) {
        unsigned order;
        u64 head = block_of(first + i, &order), end = head + (1UL << order);
        u64 flags = flags_of(pfn_to_page(head)), tail = flags;
        if (flags & BIT(KPF_COMPOUND_HEAD)) {
            tail ^= BIT(KPF_COMPOUND_HEAD) | BIT(KPF_COMPOUND_TAIL);
        }
        for (; i < n && first + i < end; i++) {
            words[i] = first + i == head ? flags : tail;
        }
    }
}

static ssize_t counts_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return read_words(to, pos, max_pfn, fill_counts, NULL);
}

static ssize_t flags_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    return read_words(to, pos, max_pfn, fill_flags, NULL);
}

// --- pages of a process

static u64 entry_word(pte_t e, bool may_see)
{
    if (!pte_present(e)) {
        return pte_none(e) ? 0 : PM_SWAP;
    }
    const struct page *p = pfn_to_page(pte_pfn(e));
    u64 word = PM_PRESENT | (may_see ? pte_pfn(e) : 0);
    if (pfn_valid(pte_pfn(e))) {
        word |= PageAnon(p) ? 0 : PM_FILE;
        word |= page_mapcount(p) == 1 ? PM_EXCLUSIVE : 0;
    }
    return word;
}

static void fill_pages(u64 *words, u64 first, unsigned n, void *of)
{
    struct mm_struct *mm = of;
    bool may_see = capable(CAP_SYS_ADMIN);
    memset(words, 0, n * sizeof(u64));
    down_read(&mm->mmap_lock);
    for (u64 page = first; page < first + n;) {
        u64 table_end, end;
        pte_t *pte = pte_lookup(mm, page << PAGE_SHIFT, &table_end);
        end = min(first + n, table_end >> PAGE_SHIFT);
        if (pte) {
            spin_lock(&mm->page_table_lock);
            for (u64 at = page; at < end; at++) {
                words[at - first] = entry_word(pte_read(pte++), may_see);
            }
            spin_unlock(&mm->page_table_lock);
        }
        page = max(end, page + 1);
    }
    up_read(&mm->mmap_lock);
}

static int pagemap_open(struct inode *i, struct file *f)
{
    struct task_struct *t = proc_task(i);
    if (!t) {
        return -ESRCH;
    }
    bool allowed = proc_may_look(t);
    put_task_struct(t);
    return allowed ? 0 : -EACCES;
}

static ssize_t pagemap_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    struct task_struct *t = proc_task(f->f_inode);
    if (!t) {
        return -ESRCH;
    }
    struct mm_struct *mm = get_task_mm(t);
    put_task_struct(t);
    if (!mm) {
        return 0;
    }
    ssize_t done = read_words(to, pos, TASK_SIZE >> PAGE_SHIFT, fill_pages, mm);
    mmput(mm);
    return done;
}

static loff_t words_llseek(struct file *f, loff_t off, int whence)
{
    loff_t to = whence == SEEK_CUR ? f->f_pos + off : off;
    if (whence == SEEK_END || to < 0) {
        return -EINVAL;
    }
    return f->f_pos = to;
}

const struct file_operations proc_pagemap_fops = {
    .open = pagemap_open, .read = pagemap_read, .llseek = words_llseek};
static const struct file_operations counts_fops = {.read = counts_read, .llseek = words_llseek};
static const struct file_operations flags_fops = {.read = flags_read, .llseek = words_llseek};

void proc_pages_init(void)
{
    struct proc_entry *counts = proc_add(&proc_root, "kpagecount", S_IFREG | 0400);
    struct proc_entry *flags = proc_add(&proc_root, "kpageflags", S_IFREG | 0400);
    if (counts && flags) {
        counts->fops = &counts_fops;
        flags->fops = &flags_fops;
    }
}
