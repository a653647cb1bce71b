// SPDX-License-Identifier: MIT
// Id allocation over xarray: looks for the first hole from a start.
#include "lib/idr.h"

#include "abi/errno.h"

void idr_init(struct idr *idr)
{
    xa_init(&idr->xa);
    idr->next = 0;
}

// First free id in [start, end), or -ENOSPC.
static s64 first_free(const struct idr *idr, unsigned start, unsigned end)
{
    unsigned long at = start;
    while (at < end) {
        unsigned long found = at;
        if (!xa_find(&idr->xa, &found, end - 1) || found != at)
            return (s64)at;
        at++;
    }
    return -ENOSPC;
}

int idr_alloc(struct idr *idr, void *ptr, unsigned start, unsigned end)
{
    s64 id = first_free(idr, start, end);
    if (id < 0)
        return (int)id;
    int err = xa_insert(&idr->xa, (unsigned long)id, ptr);
    return err ? err : (int)id;
}

int idr_alloc_cyclic(struct idr *idr, void *ptr, unsigned start, unsigned end)
{
    unsigned from = idr->next < start || idr->next >= end ? start : idr->next;
    int id = idr_alloc(idr, ptr, from, end);
    if (id == -ENOSPC && from > start)
        id = idr_alloc(idr, ptr, start, from);
    if (id >= 0)
        idr->next = (unsigned)id + 1;
    return id;
}

void *idr_get_next(const struct idr *idr, unsigned *id)
{
    unsigned long at = *id;
    void *p = xa_find(&idr->xa, &at, ~0U);
    if (p)
        *id = (unsigned)at;
    return p;
}

void idr_destroy(struct idr *idr)
{
    xa_destroy(&idr->xa);
}
