// SPDX-License-Identifier: MIT
// File operations over the page cache: read with read-ahead, write, mmap's fault handlers.
#include "abi/fcntl.h"
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "mm/writeback.h"
#include "proc/signal.h"

#define READAHEAD_FIRST 4UL
#define READAHEAD_MAX 32UL

static unsigned long file_pages(const struct address_space *m)
{
    return ((unsigned long)i_size_read(m->host) + PAGE_SIZE - 1) >> PAGE_SHIFT;
}

// --- read-ahead

// Starts reading the missing pages of [index, index + nr). Errors show when somebody waits for the
// page.
static void start_batch(struct file *file, struct address_space *m, unsigned long index,
                        unsigned long nr)
{
    unsigned long end = min(index + nr, file_pages(m));

    if (index >= end)
        return;
    if (m->a_ops->readahead) {
        m->a_ops->readahead(m, index, (unsigned)(end - index));
        return;
    }
    for (; index < end; index++) {
        struct page *p = find_get_page(m, index);

        if (p) {
            put_page(p);
            continue;
        }
        p = alloc_page(m->gfp_mask | __GFP_NOWARN | __GFP_NOOOM);
        if (!p)
            return;
        SetPageLocked(p);
        if (add_to_page_cache(p, m, index, m->gfp_mask) != 0) {
            ClearPageLocked(p);
            put_page(p);
            return;
        }
        m->a_ops->readpage(file, p);
        put_page(p);
    }
}

static bool wants_readahead(const struct address_space *m)
{
    return !test_bit(AS_UNEVICTABLE, &m->flags) && m->a_ops->readpage;
}

void start_reads(struct file *file, struct address_space *m, unsigned long index, unsigned long nr)
{
    unsigned long end = min(index + nr, file_pages(m));

    if (!wants_readahead(m))
        return; // all there is lives in memory already
    for (; index < end; index += READAHEAD_MAX)
        start_batch(file, m, index, min(end - index, READAHEAD_MAX));
}

// Pages that one reader may have read ahead at most: twice as many where it promised to read on.
static unsigned long readahead_limit(const struct file *file)
{
    return file->ra_advice == POSIX_FADV_SEQUENTIAL ? 2 * READAHEAD_MAX : READAHEAD_MAX;
}

// The page at index is missing.
static void readahead_miss(struct file *file, struct address_space *m, unsigned long index)
{
    unsigned long size = READAHEAD_FIRST;

    if (!file) {
        start_reads(file, m, index, 1);
        return;
    }
    if (file->ra_advice == POSIX_FADV_RANDOM)
        size = 1;
    else if (index == 0 || index == file->ra_next)
        size = file->ra_size ? min(file->ra_size * 2, readahead_limit(file)) : READAHEAD_FIRST;
    else if (file->ra_size == 0 || index < file->ra_next || index > file->ra_next + READAHEAD_FIRST)
        size = 1; // random: what is asked for
    file->ra_size = size;
    file->ra_next = index + size;
    start_reads(file, m, index, size);
}

// The reader has come past the middle of what was read ahead: go on before it has to wait.
static void readahead_hit(struct file *file, struct address_space *m, unsigned long index)
{
    unsigned long size = file->ra_size, from = file->ra_next;

    if (size < READAHEAD_FIRST || index >= from || index + size / 2 < from || from >= file_pages(m))
        return;
    file->ra_size = min(size * 2, readahead_limit(file));
    file->ra_next = from + file->ra_size;
    start_reads(file, m, from, file->ra_size);
}

// --- read

// Uptodate page for reading; NULL: a hole of a file that lives in memory; ERR_PTR.
static struct page *page_for_read(struct file *file, struct address_space *m, unsigned long index)
{
    struct page *p = find_get_page(m, index);

    if (likely(p && PageUptodate(p))) {
        readahead_hit(file, m, index);
        return p;
    }
    if (p) {
        put_page(p);
    } else {
        if (test_bit(AS_UNEVICTABLE, &m->flags))
            return NULL;
        if (wants_readahead(m))
            readahead_miss(file, m, index);
    }
    return read_mapping_page(m, index, file);
}

ssize_t generic_file_read(struct file *file, struct iov_iter *to, loff_t *pos)
{
    struct address_space *m = file->f_mapping;
    loff_t at = *pos;
    ssize_t done = 0;
    long err = 0;

    while (iov_iter_count(to)) {
        size_t offset = (size_t)at & (PAGE_SIZE - 1), n, copied;
        struct page *p;
        loff_t size;

        if (at >= i_size_read(m->host))
            break;
        p = page_for_read(file, m, (unsigned long)at >> PAGE_SHIFT);
        if (IS_ERR(p)) {
            err = PTR_ERR(p);
            break;
        }
        size = i_size_read(
            m->host); // after the page became uptodate: truncation may have zeroed its end
        n = min(PAGE_SIZE - offset, iov_iter_count(to));
        n = at >= size ? 0 : min(n, (size_t)(size - at));
        copied = p ? copy_to_iter((char *)page_address(p) + offset, n, to) : iov_iter_zero(n, to);
        if (p) {
            mark_page_accessed(p);
            put_page(p);
        }
        at += (loff_t)copied;
        done += (ssize_t)copied;
        if (copied < n || n == 0) {
            err = copied < n ? -EFAULT : 0;
            break;
        }
        if (fatal_signal_pending(current)) {
            err = -EINTR;
            break;
        }
        cond_resched();
    }
    *pos = at;
    touch_atime(&file->f_path);
    return done ? done : err;
}

// --- write

// Limits of a write at *pos; shortens it. 0 or -errno. i_rwsem held.
static int write_checks(struct file *file, struct iov_iter *from, loff_t *pos)
{
    struct inode *inode = file->f_mapping->host;
    u64 limit = rlimit(RLIMIT_FSIZE);

    if (file->f_flags & O_APPEND)
        *pos = i_size_read(inode);
    if (*pos < 0)
        return -EINVAL;
    if (limit != RLIM_INFINITY && (inode->i_mode & S_IFMT) == S_IFREG) {
        if ((u64)*pos >= limit) {
            send_sig(SIGXFSZ, current, 0);
            return -EFBIG;
        }
        iov_iter_truncate(from, limit - (u64)*pos);
    }
    if ((inode->i_mode & S_IFMT) != S_IFBLK) {
        if (*pos >= inode->i_sb->s_maxbytes)
            return -EFBIG;
        iov_iter_truncate(from, (size_t)(inode->i_sb->s_maxbytes - *pos));
    } else {
        if (*pos >= i_size_read(inode))
            return -ENOSPC;
        iov_iter_truncate(from, (size_t)(i_size_read(inode) - *pos));
    }
    return 0;
}

// One page's part of a write. Bytes taken, or -errno.
static ssize_t write_one_page(struct file *file, struct iov_iter *from, loff_t pos, size_t n)
{
    struct address_space *m = file->f_mapping;
    struct page *p;
    size_t copied;
    int err;

    // The copy below runs under the page lock with faults off, so that a write from a mapping of
    // the same page cannot deadlock: make the source present first, and try again when it went away
    // meanwhile.
    if (iov_iter_fault_in(from, n) != 0)
        return -EFAULT;
    err = m->a_ops->write_begin(file, m, pos, (unsigned)n, &p);
    if (err)
        return err;
    copied = copy_page_from_iter_atomic(p, (size_t)pos & (PAGE_SIZE - 1), n, from);
    int taken = m->a_ops->write_end(file, m, pos, (unsigned)n, (unsigned)copied, p);

    if (taken < 0 || (size_t)taken < copied)
        iov_iter_revert(from, copied - (size_t)max(taken, 0));
    return taken;
}

ssize_t generic_perform_write(struct file *file, struct iov_iter *from, loff_t pos)
{
    ssize_t done = 0, taken = 0;
    int stuck = 0;

    while (iov_iter_count(from)) {
        size_t n = min(PAGE_SIZE - ((size_t)pos & (PAGE_SIZE - 1)), iov_iter_count(from));

        taken = write_one_page(file, from, pos, n);
        if (taken < 0)
            break;
        if (taken == 0 && ++stuck > 16) {
            taken = -EFAULT; // present but never readable with faults off
            break;
        }
        if (taken)
            stuck = 0;
        pos += taken;
        done += taken;
        balance_dirty_pages(file->f_mapping);
        if (fatal_signal_pending(current)) {
            taken = -EINTR;
            break;
        }
        cond_resched();
    }
    return done ? done : min(taken, (ssize_t)0);
}

ssize_t generic_file_write(struct file *file, struct iov_iter *from, loff_t *pos)
{
    struct inode *inode = file->f_mapping->host;
    loff_t start;
    ssize_t ret;
    int err;

    down_write(&inode->i_rwsem);
    err = write_checks(file, from, pos);
    start = *pos;
    if (!err && iov_iter_count(from)) {
        err = file_remove_privs(file);
        if (!err)
            file_update_time(file);
    }
    ret = err ? err : generic_perform_write(file, from, start);
    if (ret > 0)
        *pos = start + ret;
    up_write(&inode->i_rwsem);
    if (ret > 0 && (file->f_flags & (O_SYNC | O_DSYNC)) && file->f_op->fsync) {
        err = file->f_op->fsync(file, start, start + ret - 1, !(file->f_flags & O_SYNC & ~O_DSYNC));
        if (err)
            ret = err;
    }
    return ret;
}

// --- mmap

vm_fault_t filemap_fault(struct vm_fault *vmf)
{
    struct file *file = vmf->vma->vm_file;
    struct address_space *m = file->f_mapping;
    vm_fault_t major = 0;

    for (;;) {
        struct page *p;

        if (vmf->pgoff >= file_pages(m))
            return VM_FAULT_SIGBUS;
        p = find_get_page(m, vmf->pgoff);
        if (!p || !PageUptodate(p)) {
            if (!test_bit(AS_UNEVICTABLE, &m->flags))
                major = VM_FAULT_MAJOR;
            if (p)
                put_page(p);
            else if (wants_readahead(m) && !(vmf->vma->vm_flags & VM_RAND_READ))
                start_reads(file, m, ALIGN_DOWN(vmf->pgoff, READAHEAD_MAX / 2), READAHEAD_MAX / 2);
            p = read_mapping_page(m, vmf->pgoff, file);
            if (IS_ERR(p))
                return PTR_ERR(p) == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
        }
        lock_page(p);
        // Under the page lock, truncation cannot take the page away before it is mapped.
        if (p->mapping == m && PageUptodate(p) && vmf->pgoff < file_pages(m)) {
            vmf->page = p;
            return VM_FAULT_LOCKED | major;
        }
        unlock_page(p);
        put_page(p);
    }
}

vm_fault_t filemap_page_mkwrite(struct vm_fault *vmf)
{
    struct page *p = vmf->page;
    struct address_space *m = vmf->vma->vm_file->f_mapping;

    file_update_time(vmf->vma->vm_file);
    lock_page(p);
    if (p->mapping != m) {
        unlock_page(p);
        return VM_FAULT_NOPAGE;
    }
    set_page_dirty(p);
    return VM_FAULT_LOCKED;
}

const struct vm_operations_struct generic_file_vm_ops = {
    .fault = filemap_fault,
    .page_mkwrite = filemap_page_mkwrite,
};

int generic_file_mmap(struct file *file, struct vm_area_struct *vma)
{
    if (!file->f_mapping->a_ops || !file->f_mapping->a_ops->readpage)
        return -ENOEXEC;
    touch_atime(&file->f_path);
    vma->vm_ops = &generic_file_vm_ops;
    return 0;
}
