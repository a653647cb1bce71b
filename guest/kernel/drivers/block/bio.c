// SPDX-License-Identifier: MIT
// Bios: allocation, submission, completion; page-wise I/O on top of them.
#include "fs/block.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "mm/vmstat.h"
#include "sched/sched.h"

struct bio *bio_alloc(struct block_device *bdev, unsigned max_vecs, enum bio_op op, u32 flags,
                      gfp_t gfp)
{
    struct bio *bio = kmalloc(sizeof(*bio) + max_vecs * sizeof(struct bio_vec), gfp);
    if (bio) {
        *bio = (struct bio){.bdev = bdev, .op = op, .flags = flags, .max_vecs = max_vecs};
    }
    return bio;
}

bool bio_add_page(struct bio *bio, struct page *p, u32 len, u32 offset)
{
    struct gendisk *disk = bio->bdev->disk;
    if (bio->vcnt == bio->max_vecs || bio->vcnt == disk->max_segments ||
        (bio->size + len) / 512 > disk->max_sectors) {
        return false;
    }
    bio->vecs[bio->vcnt++] = (struct bio_vec){p, len, offset};
    bio->size += len;
    return true;
}

void bio_put(struct bio *bio)
{
    kfree(bio);
}

static void account_start(struct bio *bio)
{
    struct gendisk *disk = bio->bdev->disk;
    bio->start_ns = ktime_get();
    atomic_inc(&disk->in_flight);
    bio->flush_number = 0;
    if (bio->op == REQ_OP_FLUSH || (bio->flags & REQ_PREFLUSH)) {
        bio->flush_number = __atomic_add_fetch(&disk->flush_started, 1, __ATOMIC_SEQ_CST);
    }
    if (bio->op == REQ_OP_READ) {
        count_vm_events(PGPGIN, bio->size / 1024);
        current->io.read_bytes += bio->size;
    } else {
        count_vm_events(PGPGOUT, bio->size / 1024);
        current->io.write_bytes += bio->size;
    }
}

void submit_bio(struct bio *bio)
{
    struct block_device *bdev = bio->bdev;
    sector_t count = bio->size / 512;
    if (bio->sector > bdev->nr_sectors || count > bdev->nr_sectors - bio->sector ||
        (bio->op == REQ_OP_WRITE && bdev->disk->read_only)) {
        atomic_inc(&bdev->disk->in_flight);
        bio->start_ns = ktime_get();
        bio->flush_number = 0;
        bio->status = -EIO;
        bio_endio(bio);
        return;
    }
    account_start(bio);
    bio->sector += bdev->start;
    bdev->disk->ops->submit(bdev->disk, bio);
}

void bio_endio(struct bio *bio)
{
    struct gendisk *disk = bio->bdev->disk;
    bool write = bio->op != REQ_OP_READ;
    __atomic_fetch_add(&disk->stat[write].ios, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&disk->stat[write].sectors, bio->size / 512, __ATOMIC_RELAXED);
    __atomic_fetch_add(&disk->stat[write].ticks_ns, ktime_get() - bio->start_ns, __ATOMIC_RELAXED);
    atomic_dec(&disk->in_flight);
    if (!bio->status && bio->flush_number > disk->flush_done) {
        disk->flush_done = bio->flush_number;
    }
    if (bio->status) {
        pr_err("%s: %s error %d at sector %lu", disk->name, write ? "write" : "read", -bio->status,
               bio->sector);
    }
    bio->end_io(bio);
}

static void complete_waiter(struct bio *bio)
{
    complete(bio->private);
}

int submit_bio_wait(struct bio *bio)
{
    struct completion done;
    init_completion(&done);
    bio->end_io = complete_waiter;
    bio->private = &done;
    submit_bio(bio);
    wait_for_completion(&done);
    return bio->status;
}

int blkdev_issue_flush(struct block_device *bdev)
{
    struct bio *bio = bio_alloc(bdev, 0, REQ_OP_FLUSH, REQ_SYNC, GFP_NOFS);
    if (!bio) {
        return -ENOMEM;
    }
    int error = submit_bio_wait(bio);
    bio_put(bio);
    return error;
}

// --- pages

struct page_io {
    struct page *page;
    atomic_t pending; // pieces in flight, and one for the starter
    int error;
    bool write;
    void (*done)(struct page *p, int error);
};

void page_write_failed(struct page *p, int error)
{
    struct address_space *m = p->mapping;
    if (m) {
        set_bit(error == -ENOSPC ? AS_ENOSPC : AS_EIO, &m->flags);
        __atomic_add_fetch(&m->wb_err, 1, __ATOMIC_RELAXED);
    }
}

static void finish_page(struct page *p, bool write, int error)
{
    if (write) {
        if (error) {
            page_write_failed(p, error);
        }
        end_page_writeback(p);
    } else {
        if (error) {
            SetPageError(p);
        } else {
            SetPageUptodate(p);
        }
        unlock_page(p);
    }
}

static void drop(struct page_io *io)
{
    if (!atomic_dec_and_test(&io->pending)) {
        return;
    }
    if (io->done) {
        io->done(io->page, io->error);
    }
    finish_page(io->page, io->write, io->error);
    kfree(io);
}

struct page_io *page_io_start(struct page *p, bool write, void (*done)(struct page *p, int error))
{
    struct page_io *io = kmalloc(sizeof(*io), GFP_NOFS | (write ? __GFP_NOFAIL : 0));
    if (io) {
        *io = (struct page_io){.page = p, .pending = ATOMIC_INIT(1), .write = write, .done = done};
    }
    return io;
}

static void piece_done(struct bio *bio)
{
    struct page_io *io = bio->private;
    if (bio->status) {
        io->error = bio->status;
    }
    bio_put(bio);
    drop(io);
}

int page_io_add(struct page_io *io, struct block_device *bdev, sector_t sector, unsigned offset,
                unsigned len)
{
    struct bio *bio = bio_alloc(bdev, 1, io->write ? REQ_OP_WRITE : REQ_OP_READ, 0,
                                GFP_NOFS | __GFP_NOFAIL); // half a page cannot be given back
    if (!bio) {
        return -ENOMEM;
    }
    bio->sector = sector;
    bio->end_io = piece_done;
    bio->private = io;
    bio_add_page(bio, io->page, len, offset);
    atomic_inc(&io->pending);
    submit_bio(bio);
    return 0;
}

void page_io_fail(struct page_io *io, int error)
{
    io->error = error;
}

void page_io_end(struct page_io *io)
{
    drop(io);
}

void mpage_read_end(struct bio *bio)
{
    for (unsigned k = 0; k < bio->vcnt; k++) {
        finish_page(bio->vecs[k].page, false, bio->status);
    }
    bio_put(bio);
}

void mpage_write_end(struct bio *bio)
{
    for (unsigned k = 0; k < bio->vcnt; k++) {
        finish_page(bio->vecs[k].page, true, bio->status);
    }
    bio_put(bio);
}
