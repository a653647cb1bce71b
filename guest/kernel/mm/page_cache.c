// SPDX-License-Identifier: MIT
// The page cache's tree: finding, adding and removing pages of a mapping.
#include "fs/fs.h"
#include "mm/mm_internal.h"

void page_lock_init(void);

void address_space_init(struct address_space *m, struct inode *host,
                        const struct address_space_operations *ops)
{
    m->host = host;
    spin_lock_init_rank(&m->tree_lock, LOCK_MAPPING);
    xa_init(&m->i_pages);
    m->nrpages = 0;
    init_rwsem_rank(&m->i_mmap_rwsem, LOCK_RMAP);
    INIT_LIST_HEAD(&m->i_mmap);
    atomic_set(&m->i_mmap_writable, 0);
    m->a_ops = ops;
    m->flags = 0;
    m->gfp_mask = GFP_USER;
    m->writeback_index = 0;
    m->wb_err = 0;
}

bool mapping_can_writeback(const struct address_space *m)
{
    return m->a_ops && (m->a_ops->writepage || m->a_ops->writepages);
}

struct page *find_get_page(struct address_space *m, unsigned long index)
{
    unsigned long flags;
    struct page *p;

    spin_lock_irqsave(&m->tree_lock, flags);
    p = xa_load(&m->i_pages, index);
    if (p)
        get_page(p);
    spin_unlock_irqrestore(&m->tree_lock, flags);
    return p;
}

struct page *find_lock_page(struct address_space *m, unsigned long index)
{
    for (;;) {
        struct page *p = find_get_page(m, index);

        if (!p)
            return NULL;
        lock_page(p);
        if (likely(p->mapping == m))
            return p;
        unlock_page(p); // truncated while we slept
        put_page(p);
    }
}

struct page *find_or_create_page(struct address_space *m, unsigned long index, gfp_t gfp)
{
    for (;;) {
        struct page *p = find_lock_page(m, index);
        int err;

        if (p)
            return p;
        p = alloc_page(gfp);
        if (!p)
            return NULL;
        SetPageLocked(p);
        err = add_to_page_cache(p, m, index, gfp);
        if (!err)
            return p;
        ClearPageLocked(p);
        put_page(p);
        if (err != -EEXIST)
            return NULL;
    }
}

unsigned find_get_pages(struct address_space *m, unsigned long *index, unsigned long end,
                        unsigned nr, struct page **pages)
{
    unsigned long flags, at = *index;
    unsigned n = 0;

    spin_lock_irqsave(&m->tree_lock, flags);
    while (n < nr && at <= end) {
        struct page *p = xa_find(&m->i_pages, &at, end);

        if (!p)
            break;
        get_page(p);
        pages[n++] = p;
        *index = at + 1;
        if (at == ~0UL)
            break;
        at++;
    }
    spin_unlock_irqrestore(&m->tree_lock, flags);
    return n;
}

unsigned find_get_pages_marked(struct address_space *m, unsigned long *index, unsigned long end,
                               enum xa_mark mark, unsigned nr, struct page **pages)
{
    unsigned long flags, at = *index;
    unsigned n = 0;

    spin_lock_irqsave(&m->tree_lock, flags);
    while (n < nr && at <= end) {
        struct page *p = xa_find_marked(&m->i_pages, &at, end, mark);

        if (!p)
            break;
        get_page(p);
        pages[n++] = p;
        *index = at + 1;
        if (at == ~0UL)
            break;
        at++;
    }
    spin_unlock_irqrestore(&m->tree_lock, flags);
    return n;
}

static void account_cached(const struct address_space *m, bool shmem, int n)
{
    mod_page_state(NR_FILE_PAGES_STATE, n);
    if (shmem)
        mod_page_state(NR_SHMEM, n);
    if ((m->host->i_mode & S_IFMT) == S_IFBLK)
        mod_page_state(NR_BUFFERS, n);
}

static int tree_insert(struct address_space *m, struct page *p, unsigned long index, gfp_t gfp)
{
    for (int tries = 0;; tries++) {
        unsigned long flags;
        int err;

        spin_lock_irqsave(&m->tree_lock, flags);
        err = xa_insert(&m->i_pages, index, p);
        if (!err)
            m->nrpages++;
        spin_unlock_irqrestore(&m->tree_lock, flags);
        // Tree nodes come from the atomic reserve: give it a chance to recover before giving up.
        if (err != -ENOMEM || tries == 2 || !(gfp & __GFP_WAIT) || !reclaim_pages(gfp, 0, 32))
            return err;
    }
}

int add_to_page_cache(struct page *p, struct address_space *m, unsigned long index, gfp_t gfp)
{
    bool shmem = test_bit(AS_UNEVICTABLE, &m->flags);
    int err;

    get_page(p);
    p->mapping = m;
    p->index = index;
    if (shmem)
        SetPageSwapBacked(p);
    err = tree_insert(m, p, index, gfp);
    if (err) {
        p->mapping = NULL;
        ClearPageSwapBacked(p);
        put_page(p); // never the last: the caller has one
        return err;
    }
    account_cached(m, shmem, 1);
    lru_cache_add(p);
    return 0;
}

void page_account_cleaned(struct page *p)
{
    if (TestClearPageDirty(p) && p->mapping && mapping_can_writeback(p->mapping))
        mod_page_state(NR_FILE_DIRTY, -1);
}

// tree_lock held.
static void tree_remove(struct address_space *m, struct page *p)
{
    xa_erase(&m->i_pages, p->index);
    m->nrpages--;
    p->mapping = NULL;
    account_cached(m, PageSwapBacked(p), -1);
}

void delete_from_page_cache(struct page *p)
{
    struct address_space *m = p->mapping;
    unsigned long flags;

    BUG_ON(!PageLocked(p));
    spin_lock_irqsave(&m->tree_lock, flags);
    page_account_cleaned(p);
    tree_remove(m, p);
    spin_unlock_irqrestore(&m->tree_lock, flags);
    put_page(p);
}

bool remove_mapping(struct address_space *m, struct page *p)
{
    unsigned long flags;
    bool gone = false;

    spin_lock_irqsave(&m->tree_lock, flags);
    // Lookups take references under tree_lock, and an unmapped locked page gets no new entries: the
    // count is final.
    if (page_count(p) == 2 && !PageDirty(p) && !PageWriteback(p) && !page_mapcount(p)) {
        tree_remove(m, p);
        gone = true;
    }
    spin_unlock_irqrestore(&m->tree_lock, flags);
    if (gone)
        put_page(p);
    return gone;
}

struct page *read_mapping_page(struct address_space *m, unsigned long index, struct file *file)
{
    for (int tries = 0;; tries++) {
        struct page *p = find_or_create_page(m, index, m->gfp_mask);
        int err;

        if (!p)
            return ERR_PTR(-ENOMEM);
        if (PageUptodate(p)) {
            unlock_page(p);
            return p;
        }
        ClearPageError(p);
        err = m->a_ops->readpage ? m->a_ops->readpage(file, p) : -EIO;
        if (!m->a_ops->readpage)
            unlock_page(p);
        if (!err)
            wait_on_page_locked(p);
        if (!err && PageUptodate(p))
            return p;
        bool truncated = !p->mapping;

        put_page(p);
        if (err || !truncated || tries == 8)
            return ERR_PTR(err ? err : -EIO);
    }
}

void page_cache_init(void)
{
    page_lock_init();
}
