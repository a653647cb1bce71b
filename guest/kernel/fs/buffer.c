// SPDX-License-Identifier: MIT
// Buffers: the blocks of a block device's cached pages. A page's buffers hang on page->private; a
// referenced buffer keeps its page. buffer_lock covers the attachment and counts that leave 0.
#include "fs/buffer.h"

#include "fs/internal.h"

static DEFINE_SPINLOCK(buffer_lock);
static DECLARE_WAIT_QUEUE_HEAD(unlock_wait);
static struct kmem_cache *bh_cache;

static struct buffer_head *first_of(const struct page *p)
{
    return PagePrivate(p) ? (struct buffer_head *)p->private : NULL;
}

static void lock_buffer(struct buffer_head *bh)
{
    while (test_and_set_bit(BH_Lock, &bh->state)) {
        wait_event(unlock_wait, !test_bit(BH_Lock, &bh->state));
    }
}

static void unlock_buffer(struct buffer_head *bh)
{
    clear_bit(BH_Lock, &bh->state);
    smp_mb();
    wake_up_all(&unlock_wait);
}

static void free_chain(struct buffer_head *bh)
{
    while (bh) {
        struct buffer_head *next = bh->next_in_page;
        kmem_cache_free(bh_cache, bh);
        bh = next;
    }
}

static struct block_device *bdev_of(const struct page *p)
{
    return p->mapping->host->i_bdev;
}

// The page's buffers, made if it has none. Page locked. NULL without memory.
static struct buffer_head *attach_buffers(struct page *p)
{
    struct buffer_head *head = first_of(p);
    if (head) {
        return head;
    }
    struct block_device *bdev = bdev_of(p);
    unsigned size = bdev->block_size;
    for (unsigned at = PAGE_SIZE; at; at -= size) {
        struct buffer_head *bh = kmem_cache_alloc(bh_cache, GFP_NOFS | __GFP_ZERO);
        if (!bh) {
            free_chain(head);
            return NULL;
        }
        bh->page = p;
        bh->data = (char *)page_address(p) + at - size;
        bh->block = (p->index << PAGE_SHIFT) / size + (at - size) / size;
        bh->size = size;
        bh->bdev = bdev;
        bh->state = PageUptodate(p) ? BIT(BH_Uptodate) : 0;
        bh->next_in_page = head;
        head = bh;
    }
    spin_lock(&buffer_lock);
    p->private = (unsigned long)head;
    SetPagePrivate(p);
    get_page(p);
    spin_unlock(&buffer_lock);
    return head;
}

// Page locked. 1 = they are gone.
static int drop_buffers(struct page *p, bool force)
{
    struct buffer_head *head, *bh;
    spin_lock(&buffer_lock);
    head = first_of(p);
    for (bh = head; bh; bh = bh->next_in_page) {
        if (atomic_read(&bh->count) || test_bit(BH_Lock, &bh->state) ||
            (!force && test_bit(BH_Dirty, &bh->state))) {
            spin_unlock(&buffer_lock);
            return 0;
        }
    }
    if (head) {
        ClearPagePrivate(p);
        p->private = 0;
    }
    spin_unlock(&buffer_lock);
    if (head) {
        free_chain(head);
        put_page(p);
    }
    return 1;
}

static struct buffer_head *pick(struct buffer_head *head, sector_t block)
{
    while (head && head->block != block) {
        head = head->next_in_page;
    }
    if (head) {
        atomic_inc(&head->count);
    }
    return head;
}

static unsigned long page_index(const struct super_block *sb, sector_t block)
{
    return (unsigned long)(block >> (PAGE_SHIFT - sb->s_blocksize_bits));
}

struct buffer_head *sb_find_get_block(struct super_block *sb, sector_t block)
{
    struct page *p = find_get_page(&sb->s_bdev->inode->i_data, page_index(sb, block));
    if (!p) {
        return NULL;
    }
    spin_lock(&buffer_lock);
    struct buffer_head *bh = pick(first_of(p), block);
    spin_unlock(&buffer_lock);
    put_page(p);
    return bh;
}

struct buffer_head *sb_getblk(struct super_block *sb, sector_t block)
{
    struct buffer_head *bh = sb_find_get_block(sb, block);
    if (bh) {
        return bh;
    }
    struct page *p =
        find_or_create_page(&sb->s_bdev->inode->i_data, page_index(sb, block), GFP_NOFS);
    if (!p) {
        return NULL;
    }
    struct buffer_head *head = attach_buffers(p);
    spin_lock(&buffer_lock);
    bh = pick(head, block);
    spin_unlock(&buffer_lock);
    unlock_page(p);
    put_page(p);
    return bh;
}

static int buffer_io(struct buffer_head *bh, enum bio_op op, u32 flags)
{
    struct bio *bio = bio_alloc(bh->bdev, 1, op, flags, GFP_NOFS);
    if (!bio) {
        return -ENOMEM;
    }
    bio->sector = bh->block * (bh->size / 512);
    bio_add_page(bio, bh->page, bh->size, (u32)(bh->data - (char *)page_address(bh->page)));
    int error = submit_bio_wait(bio);
    bio_put(bio);
    return error;
}

struct buffer_head *sb_bread(struct super_block *sb, sector_t block)
{
    struct buffer_head *bh = sb_getblk(sb, block);
    if (!bh) {
        return ERR_PTR(-ENOMEM);
    }
    if (buffer_uptodate(bh)) {
        return bh;
    }
    lock_buffer(bh);
    int error = 0;
    if (!buffer_uptodate(bh)) {
        error = buffer_io(bh, REQ_OP_READ, REQ_SYNC);
        if (!error) {
            set_bit(BH_Uptodate, &bh->state);
        }
    }
    unlock_buffer(bh);
    if (error) {
        brelse(bh);
        return ERR_PTR(error);
    }
    return bh;
}

struct buffer_head *sb_bread_must(struct super_block *sb, sector_t block)
{
    struct buffer_head *bh;
    while ((bh = sb_bread(sb, block)) == ERR_PTR(-ENOMEM)) {
        msleep(1);
    }
    return bh;
}

struct buffer_head *sb_new_block(struct super_block *sb, sector_t block)
{
    struct buffer_head *bh = sb_getblk(sb, block);
    if (bh) {
        lock_buffer(bh);
        memset(bh->data, 0, bh->size);
        set_bit(BH_Uptodate, &bh->state);
        unlock_buffer(bh);
    }
    return bh;
}

void brelse(struct buffer_head *bh)
{
    if (bh) {
        atomic_dec(&bh->count);
    }
}

void mark_buffer_dirty(struct buffer_head *bh)
{
    if (!test_and_set_bit(BH_Dirty, &bh->state)) {
        set_page_dirty(bh->page);
    }
}

int sync_dirty_buffer(struct buffer_head *bh)
{
    int error = 0;
    lock_buffer(bh);
    if (test_and_clear_bit(BH_Dirty, &bh->state)) {
        error = buffer_io(bh, REQ_OP_WRITE, REQ_SYNC);
        if (error) {
            page_write_failed(bh->page, error);
        }
    }
    unlock_buffer(bh);
    return error;
}

void bforget_block(struct super_block *sb, sector_t block)
{
    struct buffer_head *bh = sb_find_get_block(sb, block);
    if (bh) {
        lock_buffer(bh); // a write in flight ends first
        clear_bit(BH_Dirty, &bh->state);
        clear_bit(BH_Uptodate, &bh->state);
        ClearPageUptodate(bh->page);
        unlock_buffer(bh);
        brelse(bh);
    }
}

// --- the mapping's operations

static void read_done(struct page *p, int error)
{
    for (struct buffer_head *bh = first_of(p); bh && !error; bh = bh->next_in_page) {
        set_bit(BH_Uptodate, &bh->state);
    }
}

static sector_t device_sectors(const struct buffer_head *bh)
{
    return bh->bdev->nr_sectors;
}

static int bdev_readpage(struct file *f, struct page *p)
{
    struct buffer_head *head = attach_buffers(p);
    struct page_io *io = head ? page_io_start(p, false, read_done) : NULL;
    if (!io) {
        unlock_page(p);
        return -ENOMEM;
    }
    for (struct buffer_head *bh = head; bh; bh = bh->next_in_page) {
        sector_t sector = bh->block * (bh->size / 512);
        unsigned offset = (unsigned)(bh->data - (char *)page_address(p));
        if (buffer_uptodate(bh)) {
            continue;
        }
        if (sector + bh->size / 512 > device_sectors(bh)) {
            memset(bh->data, 0, bh->size);
            continue;
        }
        if (page_io_add(io, bh->bdev, sector, offset, bh->size)) {
            page_io_fail(io, -ENOMEM);
        }
    }
    page_io_end(io);
    return 0;
}

static void write_done(struct page *p, int error)
{
    for (struct buffer_head *bh = first_of(p); bh; bh = bh->next_in_page) {
        if (test_and_clear_bit(BH_Mapped, &bh->state)) { // set while this write is in flight
            clear_bit(BH_Lock, &bh->state);
        }
    }
    smp_mb();
    wake_up_all(&unlock_wait);
}

static int bdev_writepage(struct page *p, struct writeback_control *wbc)
{
    struct page_io *io = page_io_start(p, true, write_done);
    if (!io) {
        set_page_dirty(p);
        unlock_page(p);
        return -ENOMEM;
    }
    int error = 0;
    set_page_writeback(p);
    for (struct buffer_head *bh = first_of(p); bh; bh = bh->next_in_page) {
        if (!test_bit(BH_Dirty, &bh->state)) {
            continue;
        }
        lock_buffer(bh);
        if (!test_and_clear_bit(BH_Dirty, &bh->state)) {
            unlock_buffer(bh);
            continue;
        }
        set_bit(BH_Mapped, &bh->state);
        if (page_io_add(io, bh->bdev, bh->block * (bh->size / 512),
                        (unsigned)(bh->data - (char *)page_address(p)), bh->size)) {
            clear_bit(BH_Mapped, &bh->state);
            set_bit(BH_Dirty, &bh->state); // another time
            unlock_buffer(bh);
            set_page_dirty(p);
            error = -ENOMEM;
        }
    }
    unlock_page(p);
    page_io_end(io);
    return error;
}

static int bdev_write_begin(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                            struct page **out)
{
    unsigned long index = (unsigned long)pos >> PAGE_SHIFT;
    for (;;) {
        struct page *p;
        if (len < PAGE_SIZE) {
            p = read_mapping_page(m, index, f);
            if (IS_ERR(p)) {
                return (int)PTR_ERR(p);
            }
            put_page(p);
        }
        p = find_or_create_page(m, index, GFP_KERNEL);
        if (!p) {
            return -ENOMEM;
        }
        if (!attach_buffers(p)) {
            unlock_page(p);
            put_page(p);
            return -ENOMEM;
        }
        if (len == PAGE_SIZE || PageUptodate(p)) {
            *out = p;
            return 0;
        }
        unlock_page(p);
        put_page(p);
    }
}

static int bdev_write_end(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                          unsigned copied, struct page *p)
{
    unsigned from = (unsigned)pos & (PAGE_SIZE - 1), to = from + copied;
    if (copied < len && !PageUptodate(p)) {
        copied = 0; // a whole page that did not arrive whole: again from the start
    } else {
        for (struct buffer_head *bh = first_of(p); bh; bh = bh->next_in_page) {
            unsigned start = (unsigned)(bh->data - (char *)page_address(p));
            if (start < to && start + bh->size > from) {
                set_bit(BH_Uptodate, &bh->state);
                set_bit(BH_Dirty, &bh->state);
            }
        }
        SetPageUptodate(p);
        set_page_dirty(p);
    }
    unlock_page(p);
    put_page(p);
    return (int)copied;
}

static int bdev_releasepage(struct page *p, gfp_t gfp)
{
    return drop_buffers(p, false);
}

static void bdev_invalidatepage(struct page *p, unsigned offset, unsigned len)
{
    if (offset == 0 && len == PAGE_SIZE) {
        drop_buffers(p, true);
    }
}

const struct address_space_operations bdev_aops = {
    .readpage = bdev_readpage,
    .writepage = bdev_writepage,
    .write_begin = bdev_write_begin,
    .write_end = bdev_write_end,
    .releasepage = bdev_releasepage,
    .invalidatepage = bdev_invalidatepage,
};

void buffer_init(void)
{
    bh_cache = kmem_cache_create("buffer_head", sizeof(struct buffer_head), 8, 0);
}
