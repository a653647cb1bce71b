// SPDX-License-Identifier: MIT
// iov_iter: moves bytes between the kernel and user segments or kernel memory.
#include "fs/uio.h"

#include "arch/x86_64/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "mm/page.h"

void iov_iter_init_user(struct iov_iter *i, bool to_iter, void __user *buf, size_t len)
{
    *i = (struct iov_iter){.type = ITER_USER, .to_iter = to_iter, .count = len, .nr_segs = 1};
    i->single.iov_base = (u64)buf;
    i->single.iov_len = len;
    i->iov = &i->single;
}

void iov_iter_init_kernel(struct iov_iter *i, bool to_iter, void *buf, size_t len)
{
    iov_iter_init_user(i, to_iter, buf, len);
    i->type = ITER_KERNEL;
}

void iov_iter_init_iovec(struct iov_iter *i, bool to_iter, const struct linux_iovec *iov,
                         unsigned nr, size_t len)
{
    *i = (struct iov_iter){
        .type = ITER_USER, .to_iter = to_iter, .count = len, .iov = iov, .nr_segs = nr};
}

// Start of what is left; *len: how much of it lies in this segment. NULL at the end.
static char *segment(struct iov_iter *i, size_t *len)
{
    while (i->nr_segs && i->offset >= i->iov->iov_len) {
        i->offset -= i->iov->iov_len;
        i->iov++;
        i->nr_segs--;
    }
    if (!i->count || !i->nr_segs) {
        *len = 0;
        return NULL;
    }
    *len = min(i->count, (size_t)(i->iov->iov_len - i->offset));
    return (char *)i->iov->iov_base + i->offset;
}

enum move { MOVE_TO, MOVE_FROM, MOVE_ZERO };

// Bytes not moved, as the uaccess functions say it.
static size_t move_bytes(struct iov_iter *i, char *theirs, char *ours, size_t n, enum move how)
{
    if (i->type == ITER_USER) {
        switch (how) {
        case MOVE_TO:
            return copy_to_user(theirs, ours, n);
        case MOVE_FROM:
            return copy_from_user(ours, theirs, n);
        default:
            return clear_user(theirs, n);
        }
    }
    if (how == MOVE_TO) {
        memcpy(theirs, ours, n);
    } else if (how == MOVE_FROM) {
        memcpy(ours, theirs, n);
    } else {
        memset(theirs, 0, n);
    }
    return 0;
}

static size_t iterate(struct iov_iter *i, char *ours, size_t n, enum move how)
{
    size_t done = 0;
    n = min(n, i->count);
    while (done < n) {
        size_t len;
        char *theirs = segment(i, &len);
        if (!theirs) {
            break;
        }
        len = min(len, n - done);
        size_t left = move_bytes(i, theirs, ours ? ours + done : NULL, len, how);
        size_t moved = len - left;
        i->offset += moved;
        i->count -= moved;
        done += moved;
        if (left) {
            break;
        }
    }
    return done;
}

size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
    return iterate(i, (char *)from, n, MOVE_TO);
}

size_t copy_from_iter(void *to, size_t n, struct iov_iter *i)
{
    return iterate(i, to, n, MOVE_FROM);
}

size_t iov_iter_zero(size_t n, struct iov_iter *i)
{
    return iterate(i, NULL, n, MOVE_ZERO);
}

size_t copy_page_to_iter(struct page *p, size_t offset, size_t n, struct iov_iter *i)
{
    return iterate(i, (char *)page_address(p) + offset, n, MOVE_TO);
}

size_t copy_page_from_iter_atomic(struct page *p, size_t offset, size_t n, struct iov_iter *i)
{
    pagefault_disable();
    size_t done = iterate(i, (char *)page_address(p) + offset, n, MOVE_FROM);
    pagefault_enable();
    return done;
}

int iov_iter_fault_in(struct iov_iter *i, size_t n)
{
    if (i->type == ITER_KERNEL) {
        return 0;
    }
    struct iov_iter ahead = *i;
    if (i->iov == &i->single) {
        ahead.iov = &ahead.single;
    }
    bool any = false;
    n = min(n, ahead.count);
    while (n) {
        size_t len;
        char *p = segment(&ahead, &len);
        if (!p) {
            break;
        }
        len = min(min(len, n), PAGE_SIZE - ((size_t)p & (PAGE_SIZE - 1)));
        int error = i->to_iter ? fault_in_writeable(p, len) : fault_in_readable(p, len);
        if (error) {
            return any ? 0 : error;
        }
        any = true;
        ahead.offset += len;
        ahead.count -= len;
        n -= len;
    }
    return 0;
}

void iov_iter_advance(struct iov_iter *i, size_t n)
{
    n = min(n, i->count);
    i->count -= n;
    i->offset += n;
    size_t len;
    segment(i, &len);
}

void iov_iter_revert(struct iov_iter *i, size_t n)
{
    i->count += n;
    while (n > i->offset) {
        n -= i->offset;
        i->iov--;
        i->nr_segs++;
        i->offset = i->iov->iov_len;
    }
    i->offset -= n;
}
