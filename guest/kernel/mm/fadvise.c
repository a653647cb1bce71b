// SPDX-License-Identifier: MIT
// posix_fadvise(2): what a program tells about its use of a file, applied to the page cache.
#include "abi/fcntl.h"
#include "fs/fd_table.h"
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "syscall/syscall.h"

// Files of which nothing is read or dropped, because they have no store behind the cache: devices,
// tmpfs. The advice is checked all the same.
static bool lives_in_memory(const struct address_space *m)
{
    return !m->a_ops || !m->a_ops->readpage || test_bit(AS_UNEVICTABLE, &m->flags);
}

// Write-back of the range starts, and whole pages in it that are clean and unused go. `last` is the
// last byte. A part of a page stays, unless it is the file's last one.
static void drop_range(struct address_space *m, u64 start, u64 last)
{
    u64 first_page = (start + PAGE_SIZE - 1) >> PAGE_SHIFT, last_page = last >> PAGE_SHIFT;

    filemap_fdatawrite_range(m, (loff_t)start, (loff_t)last, WB_SYNC_NONE);
    if ((last + 1) % PAGE_SIZE && last != (u64)i_size_read(m->host) - 1) {
        if (last_page == 0)
            return;
        last_page--;
    }
    if (last_page >= first_page)
        invalidate_mapping_pages(m, first_page, last_page);
}

static long advise_file(struct file *f, loff_t offset, loff_t len, int advice)
{
    struct address_space *m = f->f_mapping;
    u64 last = (u64)offset + (u64)len;

    if (S_ISFIFO(f->f_inode->i_mode))
        return -ESPIPE;
    if (!m || len < 0 || advice < POSIX_FADV_NORMAL || advice > POSIX_FADV_NOREUSE)
        return -EINVAL;
    if (lives_in_memory(m))
        return 0;
    last = !len || last < (u64)len ? ~0UL >> 1 : last - 1;
    switch (advice) {
    case POSIX_FADV_NORMAL:
    case POSIX_FADV_RANDOM:
    case POSIX_FADV_SEQUENTIAL:
        f->ra_advice = advice;
        break;
    case POSIX_FADV_WILLNEED:
        start_reads(f, m, (u64)offset >> PAGE_SHIFT,
                    (last >> PAGE_SHIFT) - ((u64)offset >> PAGE_SHIFT) + 1);
        break;
    case POSIX_FADV_DONTNEED:
        drop_range(m, (u64)offset, last);
        break;
    default:
        break; // NOREUSE: pages read once are the first to be reclaimed anyway
    }
    return 0;
}

SYSCALL_DEFINE(fadvise64)
{
    struct fd f = fdget(ARG_UINT(0));

    if (!f.file)
        return -EBADF;
    long result = advise_file(f.file, ARG_LONG(1), ARG_LONG(2), ARG_INT(3));
    fdput(f);
    return result;
}
