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

#define OVERLAY_BLOCK 4096 // bytes

// The written blocks as they are now, in bytes.
u64 overlay_bytes(const struct overlay *o);
// Memory held by those and by all copies, in bytes.
u64 overlay_held_bytes(const struct overlay *o);

// The written blocks as they are now; restoring brings exactly them back. Copies share blocks with
// the overlay and each other, and are one object while nothing is written. Each save needs an
// overlay_copy_free(), before the overlay's end. Restoring into another overlay is allowed;
// restoring NULL forgets all that was written.
struct overlay_copy;
struct overlay_copy *overlay_save(struct overlay *o);
void overlay_restore(struct overlay *o, struct overlay_copy *copy);
void overlay_copy_free(struct overlay_copy *copy);
// Memory of the copy's own list, without the blocks.
u64 overlay_copy_bytes(const struct overlay_copy *copy);

// The blocks of "to" that are not the very same in "from" (NULL: all), by ascending number. A copy
// never lacks a block that an earlier one of the same history had.
void overlay_copy_changes(const struct overlay_copy *from, const struct overlay_copy *to,
                          void (*fn)(void *ctx, u64 number, const u8 *bytes), void *ctx);

#endif
