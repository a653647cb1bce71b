// SPDX-License-Identifier: MIT
// Small integers handed out for pointers (pids, timer ids...), over xarray. The owner locks.
#pragma once

#include "lib/xarray.h"

struct idr {
    struct xarray xa;
    unsigned next; // where the cyclic search starts
};

void idr_init(struct idr *idr);
// Lowest free id in [start, end); -ENOMEM or -ENOSPC. ptr must not be NULL.
int idr_alloc(struct idr *idr, void *ptr, unsigned start, unsigned end);
// As idr_alloc but goes on after the last one given, and wraps (pids).
int idr_alloc_cyclic(struct idr *idr, void *ptr, unsigned start, unsigned end);
static inline void *idr_find(const struct idr *idr, unsigned id)
{
    return xa_load(&idr->xa, id);
}
static inline void *idr_remove(struct idr *idr, unsigned id)
{
    return xa_erase(&idr->xa, id);
}
void *idr_get_next(const struct idr *idr, unsigned *id); // first with id >= *id, sets *id
void idr_destroy(struct idr *idr);
