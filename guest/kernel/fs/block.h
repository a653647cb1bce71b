// SPDX-License-Identifier: MIT
// Block layer: asynchronous bios with PREFLUSH and FUA. K-fs owns it.
#pragma once

#include "fs/fs.h"

enum bio_op { REQ_OP_READ, REQ_OP_WRITE, REQ_OP_FLUSH };
#define REQ_PREFLUSH 0x1u // all completed writes are durable before this one starts
#define REQ_FUA 0x2u      // durable when it completes
#define REQ_SYNC 0x4u

struct bio_vec {
    struct page *page;
    u32 len, offset;
};
struct bio;
typedef void (*bio_end_io_t)(
    struct bio *bio); // bottom-half or interrupt context; bio->status is 0 or -errno

struct bio {
    struct block_device *bdev;
    sector_t sector;
    enum bio_op op;
    u32 flags;
    int status;
    unsigned vcnt, max_vecs;
    u32 size; // bytes
    bio_end_io_t end_io;
    void *private;
    struct list_head entry; // in the driver's queue
    u64 start_ns;           // submission, for diskstats
    u64 flush_number;
    struct bio_vec vecs[];
};
struct gendisk;
struct block_device_operations {
    void (*submit)(struct gendisk *disk,
                   struct bio *bio); // any task context; completes with bio_endio
    int (*ioctl)(struct gendisk *disk, unsigned cmd, unsigned long arg);
};
struct gendisk {
    char name[16]; // "sda"
    dev_t first_dev;
    sector_t capacity;
    u32 logical_block_size, physical_block_size;
    bool read_only;
    unsigned max_sectors; // per bio
    unsigned max_segments;
    const struct block_device_operations *ops;
    void *private;
    struct {
        u64 ios, sectors, ticks_ns;
    } stat[2];
    atomic_t in_flight;
    u64 flush_started,
        flush_done; // flushes are numbered; flush_done: the youngest one that is through
    struct list_head entry;
};
struct block_device {
    dev_t dev;
    struct gendisk *disk;
    sector_t start, nr_sectors; // partition
    struct inode *inode;        // its page cache
    unsigned block_size;
    atomic_t openers;
    void *holder; // mount or swap: exclusive
    struct list_head entry;
};
struct bio *bio_alloc(struct block_device *bdev, unsigned max_vecs, enum bio_op op, u32 flags,
                      gfp_t gfp);
bool bio_add_page(struct bio *bio, struct page *p, u32 len, u32 offset); // false = full
void submit_bio(struct bio *bio);
int submit_bio_wait(struct bio *bio); // sleeps; the caller still frees
void bio_endio(struct bio *bio);      // drivers
void bio_put(struct bio *bio);
int blkdev_issue_flush(struct block_device *bdev); // sleeps
int add_disk(struct gendisk *disk);                // registers, makes nodes and partitions
struct block_device *blkdev_get_by_path(const char *path, unsigned mode, void *holder); // ERR_PTR
struct block_device *blkdev_get_by_dev(dev_t dev, unsigned mode, void *holder);
void blkdev_put(struct block_device *bdev);
extern const struct file_operations def_blk_fops;
int set_blocksize(struct block_device *bdev,
                  unsigned size); // 512..4096; the page cache is written and dropped
void diskstats_show(struct seq_file *m);
void partitions_show(struct seq_file *m);

// I/O of one page in up to PAGE_SIZE / 512 pieces; when the last has ended, a read page is uptodate
// and unlocked, a written one ends its write-back. done (may be NULL) runs before that, in any
// context.
struct page_io;
struct page_io *page_io_start(struct page *p, bool write,
                              void (*done)(struct page *p, int error)); // NULL: no memory
// 0 or -ENOMEM: then this piece is not moved.
int page_io_add(struct page_io *io, struct block_device *bdev, sector_t sector, unsigned offset,
                unsigned len);
void page_io_fail(struct page_io *io, int error);
void page_io_end(struct page_io *io); // no more pieces; io is gone
// Ends a multi-page read bio: every page of it becomes uptodate (unless it failed) and unlocked. An
// end_io.
void mpage_read_end(struct bio *bio);
void mpage_write_end(struct bio *bio);             // every page of it ends its write-back
void page_write_failed(struct page *p, int error); // notes the error in the mapping
void block_init(void);
