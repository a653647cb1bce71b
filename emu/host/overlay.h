// SPDX-License-Identifier: MIT
// A disk whose writes stay in memory, in front of one that is only read (snapshot disks,
// recordings, branches).
#ifndef VIV_HOST_OVERLAY_H
#define VIV_HOST_OVERLAY_H

#include "host/host.h"

struct overlay;

// base is copied; what it refers to must outlive the overlay.
struct overlay *overlay_create(const struct host_block *base);
void overlay_destroy(struct overlay *o);
struct host_block overlay_host(struct overlay *o);

// Memory held by written blocks, in bytes.
u64 overlay_bytes(const struct overlay *o);

// The written blocks as they are now; restoring brings exactly them back. overlay_copy_free()
// releases.
struct overlay_copy;
struct overlay_copy *overlay_save(const struct overlay *o);
void overlay_restore(struct overlay *o, const struct overlay_copy *copy);
void overlay_copy_free(struct overlay_copy *copy);

#endif
