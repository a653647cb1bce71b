// SPDX-License-Identifier: MIT
// iov_iter: where read and write move bytes, user segments or kernel memory. K-fs owns the bodies
// (fs/uio.c).
#pragma once

#include "abi/uio.h"
#include "lib/types.h"

struct page;
enum iter_type { ITER_USER, ITER_KERNEL };
struct iov_iter {
    enum iter_type type;
    bool to_iter;  // data flows into the iterator (read)
    size_t count;  // bytes left
    size_t offset; // in the current segment
    const struct linux_iovec
        *iov; // segments (kernel copy of the array); kernel addresses for ITER_KERNEL
    unsigned nr_segs;
    struct linux_iovec single;
};

void iov_iter_init_user(struct iov_iter *i, bool to_iter, void __user *buf, size_t len);
void iov_iter_init_iovec(struct iov_iter *i, bool to_iter, const struct linux_iovec *iov,
                         unsigned nr, size_t len);
void iov_iter_init_kernel(struct iov_iter *i, bool to_iter, void *buf, size_t len);
// Bytes moved; fewer than asked only at a fault (then 0 left means -EFAULT to the caller). They
// advance the iterator.
size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i);
size_t copy_from_iter(void *to, size_t n, struct iov_iter *i);
size_t iov_iter_zero(size_t n, struct iov_iter *i);
// With faults disabled, under a page lock: may stop short; prefault and retry.
size_t copy_page_to_iter(struct page *p, size_t offset, size_t n, struct iov_iter *i);
size_t copy_page_from_iter_atomic(struct page *p, size_t offset, size_t n, struct iov_iter *i);
int iov_iter_fault_in(struct iov_iter *i,
                      size_t n); // of the next n bytes, some from the front: 0; none: -EFAULT
void iov_iter_advance(struct iov_iter *i, size_t n);
void iov_iter_revert(struct iov_iter *i, size_t n);
static inline size_t iov_iter_count(const struct iov_iter *i)
{
    return i->count;
}
static inline void iov_iter_truncate(struct iov_iter *i, size_t n)
{
    if (i->count > n)
        i->count = n;
}
