// SPDX-License-Identifier: MIT
// ext2: file data through the page cache: reading (with read-ahead in long bios), writing back,
// mmap, fsync.
#include "fs/ext2/ext2.h"
#include "mm/writeback.h"

#define MAX_BIO_PAGES 64

static unsigned blocks_per_page(const struct inode *i)
{
    return 1u << (PAGE_SHIFT - i->i_blkbits);
}

static u32 first_block(const struct inode *i, const struct page *p)
{
    return (u32)(p->index << (PAGE_SHIFT - i->i_blkbits));
}

static sector_t sector_of(const struct inode *i, u32 block)
{
    return (sector_t)block << (i->i_blkbits - 9);
}

static struct block_device *bdev(const struct inode *i)
{
    return i->i_sb->s_bdev;
}

// Disk block of the page if all its blocks within the file are adjacent there, else 0. *error.
static u32 contiguous(struct inode *i, const struct page *p, unsigned *bytes, int *error)
{
    u32 start = 0, block;
    bool fresh;
    loff_t left = i_size_read(i) - ((loff_t)p->index << PAGE_SHIFT);
    unsigned n =
        (unsigned)min((loff_t)blocks_per_page(i), (left + (1 << i->i_blkbits) - 1) >> i->i_blkbits);
    *error = 0;
    for (unsigned k = 0; left > 0 && k < n; k++) {
        *error = ext2_map(i, first_block(i, p) + k, false, &block, &fresh);
        if (*error || !block || (k && block != start + k)) {
            return 0;
        }
        start = k ? start : block;
    }
    *bytes = n << i->i_blkbits;
    return left > 0 ? start : 0;
}

// --- reading

static int ext2_readpage(struct file *f, struct page *p)
{
    struct inode *i = p->mapping->host;
    struct page_io *io = page_io_start(p, false, NULL);
    if (!io) {
        unlock_page(p);
        return -ENOMEM;
    }
    unsigned size = 1u << i->i_blkbits, run = 0, run_at = 0;
    u32 run_block = 0, block;
    bool fresh;
    loff_t end = i_size_read(i);
    int error = 0, late;
    for (unsigned k = 0; k < blocks_per_page(i); k++) {
        bool inside = ((loff_t)p->index << PAGE_SHIFT) + (loff_t)k * size < end;
        block = 0;
        error =
            inside && !error ? ext2_map(i, first_block(i, p) + k, false, &block, &fresh) : error;
        if (!block) {
            memset((char *)page_address(p) + k * size, 0, size);
        }
        if (run && (!block || block != run_block + run)) {
            late = page_io_add(io, bdev(i), sector_of(i, run_block), run_at * size, run * size);
            error = error ? error : late;
            run = 0;
        }
        if (block) {
            if (!run) {
                run_block = block;
                run_at = k;
            }
            run++;
        }
    }
    if (run) {
        late = page_io_add(io, bdev(i), sector_of(i, run_block), run_at * size, run * size);
        error = error ? error : late;
    }
    if (error) {
        page_io_fail(io, error);
    }
    page_io_end(io);
    return 0;
}

struct batch {
    struct bio *bio;
    u32 next; // disk block that would be adjacent
};

static void submit_batch(struct batch *b)
{
    if (b->bio) {
        submit_bio(b->bio);
        b->bio = NULL;
    }
}

// Puts a whole page into the running bio, or into a new one. False: it must go alone.
static bool batch_page(struct batch *b, struct inode *i, struct page *p, bool write)
{
    unsigned bytes;
    int error;
    u32 block = contiguous(i, p, &bytes, &error);
    if (!block) {
        return false;
    }
    if (b->bio && (block != b->next || b->bio->vcnt == b->bio->max_vecs)) {
        submit_batch(b);
    }
    if (!b->bio) {
        b->bio = bio_alloc(bdev(i), MAX_BIO_PAGES, write ? REQ_OP_WRITE : REQ_OP_READ, 0, GFP_NOFS);
        if (!b->bio) {
            return false;
        }
        b->bio->sector = sector_of(i, block);
        b->bio->end_io = write ? mpage_write_end : mpage_read_end;
    }
    if (bytes < PAGE_SIZE && !write) {
        memset((char *)page_address(p) + bytes, 0, PAGE_SIZE - bytes);
    }
    if (!bio_add_page(b->bio, p, bytes, 0)) {
        submit_batch(b);
        return batch_page(b, i, p, write);
    }
    b->next = bytes == PAGE_SIZE ? block + blocks_per_page(i) : 0;
    return true;
}

static int ext2_readahead(struct address_space *m, unsigned long index, unsigned nr)
{
    struct batch b = {0};
    for (; nr; nr--, index++) {
        struct page *p = find_get_page(m, index);
        if (p) {
            put_page(p);
            continue;
        }
        p = alloc_page(GFP_NOFS | __GFP_NOWARN | __GFP_NOOOM);
        if (!p) {
            break;
        }
        SetPageLocked(p);
        if (add_to_page_cache(p, m, index, GFP_NOFS)) {
            ClearPageLocked(p);
            put_page(p);
            continue;
        }
        if (!batch_page(&b, m->host, p, false)) {
            ext2_readpage(NULL, p);
        }
        put_page(p);
    }
    submit_batch(&b);
    return 0;
}

// --- writing back

// What lies beyond the end of the file in its last page must not reach the disk. False: the page is
// wholly beyond.
static bool trim_to_size(struct inode *i, struct page *p)
{
    loff_t start = (loff_t)p->index << PAGE_SHIFT, size = i_size_read(i);
    if (start >= size) {
        return false;
    }
    if (size - start < (loff_t)PAGE_SIZE) {
        memset((char *)page_address(p) + (size - start), 0, PAGE_SIZE - (size_t)(size - start));
    }
    return true;
}

static int ext2_writepage(struct page *p, struct writeback_control *wbc)
{
    struct inode *i = p->mapping->host;
    unsigned size = 1u << i->i_blkbits;
    loff_t start = (loff_t)p->index << PAGE_SHIFT;
    int error = 0;
    if (!trim_to_size(i, p)) {
        unlock_page(p);
        return 0;
    }
    u32 blocks[PAGE_SIZE / 1024];
    bool fresh;
    unsigned n = 0;
    for (; n < blocks_per_page(i) && start + (loff_t)n * size < i_size_read(i) && !error; n++) {
        error = ext2_map(i, first_block(i, p) + n, true, &blocks[n], &fresh);
    }
    struct page_io *io = error ? NULL : page_io_start(p, true, NULL);
    if (!io) {
        if (error && error != -ENOMEM) {
            page_write_failed(p, error);
        } else {
            error = -ENOMEM;
            set_page_dirty(p);
        }
        unlock_page(p);
        return error;
    }
    set_page_writeback(p);
    for (unsigned k = 0, run; k < n; k += run) {
        run = 1;
        while (k + run < n && blocks[k + run] == blocks[k] + run) {
            run++;
        }
        if (page_io_add(io, bdev(i), sector_of(i, blocks[k]), k * size, run * size)) {
            error = -ENOMEM;
            set_page_dirty(p); // another time
        }
    }
    unlock_page(p);
    page_io_end(io);
    return error;
}

static int write_one(struct page *p, struct writeback_control *wbc, void *data)
{
    struct batch *b = data;
    struct inode *i = p->mapping->host;
    if (!trim_to_size(i, p)) {
        unlock_page(p);
        return 0;
    }
    if (!batch_page(b, i, p, true)) {
        submit_batch(b);
        return ext2_writepage(p, wbc);
    }
    set_page_writeback(p);
    unlock_page(p);
    return 0;
}

static int ext2_writepages(struct address_space *m, struct writeback_control *wbc)
{
    struct batch b = {0};
    int error = write_cache_pages(m, wbc, write_one, &b);
    submit_batch(&b);
    return error;
}

// --- writing into pages

// Fills a locked page that is not uptodate from the disk, holes with zeroes.
static int read_locked(struct inode *i, struct page *p)
{
    unsigned size = 1u << i->i_blkbits;
    for (unsigned k = 0; k < blocks_per_page(i); k++) {
        u32 block = 0;
        bool fresh;
        int error = 0;
        if (((loff_t)p->index << PAGE_SHIFT) + (loff_t)k * size < i->i_size) {
            error = ext2_map(i, first_block(i, p) + k, false, &block, &fresh);
        }
        if (!error && block) {
            struct bio *bio = bio_alloc(bdev(i), 1, REQ_OP_READ, REQ_SYNC, GFP_NOFS);
            if (!bio) {
                return -ENOMEM;
            }
            bio->sector = sector_of(i, block);
            bio_add_page(bio, p, size, k * size);
            error = submit_bio_wait(bio);
            bio_put(bio);
        } else {
            memset((char *)page_address(p) + k * size, 0, size);
        }
        if (error) {
            return error;
        }
    }
    SetPageUptodate(p);
    return 0;
}

// Blocks under [from, to) of the page.
static int map_for_write(struct inode *i, struct page *p, unsigned from, unsigned to)
{
    for (unsigned k = from >> i->i_blkbits; k <= (to - 1) >> i->i_blkbits; k++) {
        u32 block;
        bool fresh;
        int error = ext2_map(i, first_block(i, p) + k, true, &block, &fresh);
        if (error) {
            return error;
        }
    }
    return 0;
}

// Blocks that a failed write put beyond the end go again.
static void drop_beyond(struct inode *i, loff_t end)
{
    if (end > i->i_size) {
        truncate_inode_pages(&i->i_data, i->i_size);
        ext2_truncate_blocks(i, i->i_size);
    }
}

static int ext2_write_begin(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                            struct page **out)
{
    struct inode *i = m->host;
    unsigned from = (unsigned)pos & (PAGE_SIZE - 1);
    struct page *p = find_or_create_page(m, (unsigned long)pos >> PAGE_SHIFT, GFP_NOFS);
    if (!p) {
        return -ENOMEM;
    }
    wait_on_page_writeback(p);
    int error = PageUptodate(p) || len == PAGE_SIZE ? 0 : read_locked(i, p);
    error = error ? error : map_for_write(i, p, from, from + len);
    if (error) {
        unlock_page(p);
        put_page(p);
        drop_beyond(i, pos + len);
        return error;
    }
    *out = p;
    return 0;
}

static int ext2_write_end(struct file *f, struct address_space *m, loff_t pos, unsigned len,
                          unsigned copied, struct page *p)
{
    struct inode *i = m->host;
    if (copied < len && !PageUptodate(p)) {
        copied = 0;
    }
    if (copied) {
        SetPageUptodate(p);
        set_page_dirty(p);
        if (pos + copied > i->i_size) {
            i_size_write(i, pos + copied);
            mark_inode_dirty(i);
        }
    }
    unlock_page(p);
    put_page(p);
    if (copied < len) {
        drop_beyond(i, pos + len);
    }
    return (int)copied;
}

int ext2_zero_tail(struct inode *i, loff_t size)
{
    unsigned offset = (unsigned)size & (PAGE_SIZE - 1);
    if (size >= i->i_size || !offset) {
        return 0;
    }
    struct page *p = read_mapping_page(&i->i_data, (unsigned long)size >> PAGE_SHIFT, NULL);
    if (IS_ERR(p)) {
        return (int)PTR_ERR(p);
    }
    lock_page(p);
    if (p->mapping == &i->i_data) {
        u32 block;
        bool fresh;
        memset((char *)page_address(p) + offset, 0, PAGE_SIZE - offset);
        // A hole stays one: its zeroes need no block.
        if (!ext2_map(i, (u32)(size >> i->i_blkbits), false, &block, &fresh) && block) {
            set_page_dirty(p);
        }
    }
    unlock_page(p);
    put_page(p);
    return 0;
}

static sector_t ext2_bmap(struct address_space *m, sector_t n)
{
    u32 block;
    bool fresh;
    return ext2_map(m->host, (u32)n, false, &block, &fresh) ? 0 : block;
}

const struct address_space_operations ext2_aops = {
    .readpage = ext2_readpage,
    .readahead = ext2_readahead,
    .writepage = ext2_writepage,
    .writepages = ext2_writepages,
    .write_begin = ext2_write_begin,
    .write_end = ext2_write_end,
    .bmap = ext2_bmap,
};

// --- mmap

// A shared page becomes writable: its blocks are there before it can get dirty.
static vm_fault_t ext2_page_mkwrite(struct vm_fault *vmf)
{
    struct page *p = vmf->page;
    struct file *f = vmf->vma->vm_file;
    struct inode *i = f->f_inode;
    file_update_time(f);
    lock_page(p);
    loff_t start = (loff_t)p->index << PAGE_SHIFT, size = i_size_read(i);
    if (p->mapping != &i->i_data || start >= size) {
        unlock_page(p);
        return VM_FAULT_NOPAGE;
    }
    unsigned to = (unsigned)min((loff_t)PAGE_SIZE, size - start);
    int error = map_for_write(i, p, 0, to);
    if (error) {
        unlock_page(p);
        return error == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
    }
    set_page_dirty(p);
    return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct ext2_vm_ops = {.fault = filemap_fault,
                                                        .page_mkwrite = ext2_page_mkwrite};

static int ext2_mmap(struct file *f, struct vm_area_struct *vma)
{
    int error = generic_file_mmap(f, vma);
    if (!error) {
        vma->vm_ops = &ext2_vm_ops;
    }
    return error;
}

// --- files

// Data, then everything the device holds dirty (indirect blocks, bitmaps, directories), the inode's
// block included; then the flush.
int ext2_fsync(struct file *f, loff_t start, loff_t end, bool datasync)
{
    struct inode *i = f->f_inode;
    struct address_space *device = &bdev(i)->inode->i_data;
    int error = filemap_fdatawrite_range(&i->i_data, start, end, WB_SYNC_ALL);
    int late = filemap_fdatawait_range(&i->i_data, start, end);
    error = error ? error : late;
    late = sync_inode_metadata(i, true);
    error = error ? error : late;
    late = filemap_write_and_wait(device);
    error = error ? error : late;
    late = blkdev_issue_flush(bdev(i));
    return error ? error : late;
}

static long ext2_fallocate(struct file *f, int mode, loff_t off, loff_t len)
{
    struct inode *i = f->f_inode;
    if (mode & ~FALLOC_FL_KEEP_SIZE) {
        return -ENOTSUP;
    }
    down_write(&i->i_rwsem);
    loff_t end = off + len;
    int error = inode_newsize_ok(i, end);
    if (!error && (mode & FALLOC_FL_KEEP_SIZE) && end > i->i_size) {
        error = -ENOTSUP; // ext2 has no way to keep blocks beyond the end
    }
    for (loff_t pos = off; !error && pos < end;) {
        unsigned n = (unsigned)min((loff_t)(PAGE_SIZE - ((u64)pos & (PAGE_SIZE - 1))), end - pos);
        struct page *p =
            find_or_create_page(&i->i_data, (unsigned long)pos >> PAGE_SHIFT, GFP_NOFS);
        error = p ? 0 : -ENOMEM;
        if (p) {
            error = PageUptodate(p) ? 0 : read_locked(i, p);
            error = error ? error
                          : map_for_write(i, p, (unsigned)pos & (PAGE_SIZE - 1),
                                          ((unsigned)pos & (PAGE_SIZE - 1)) + n);
            if (!error) {
                set_page_dirty(p);
                pos += n;
                if (pos > i->i_size) {
                    i_size_write(i, pos);
                }
            }
            unlock_page(p);
            put_page(p);
        }
        balance_dirty_pages(&i->i_data);
        if (!error && signal_pending(current)) {
            error = -EINTR;
        }
    }
    if (error) {
        drop_beyond(i, end);
    } else {
        i->i_mtime = i->i_ctime = current_time(i);
    }
    mark_inode_dirty(i);
    up_write(&i->i_rwsem);
    return error;
}

static loff_t ext2_llseek(struct file *f, loff_t off, int whence)
{
    struct inode *i = f->f_inode;
    if (whence != SEEK_DATA && whence != SEEK_HOLE) {
        return generic_file_llseek(f, off, whence);
    }
    loff_t size = i_size_read(i), step = 1 << i->i_blkbits;
    if (off < 0 || off >= size) {
        return -ENXIO;
    }
    for (loff_t pos = off; pos < size; pos = (pos | (step - 1)) + 1) {
        u32 block;
        bool fresh;
        int error = ext2_map(i, (u32)(pos >> i->i_blkbits), false, &block, &fresh);
        if (error) {
            return error;
        }
        if (!!block == (whence == SEEK_DATA)) {
            return f->f_pos = pos;
        }
    }
    return whence == SEEK_DATA ? -ENXIO : (f->f_pos = size);
}

const struct file_operations ext2_file_fops = {
    .llseek = ext2_llseek,
    .read = generic_file_read,
    .write = generic_file_write,
    .mmap = ext2_mmap,
    .fsync = ext2_fsync,
    .fallocate = ext2_fallocate,
};
const struct inode_operations ext2_file_iops = {.setattr = ext2_setattr};
