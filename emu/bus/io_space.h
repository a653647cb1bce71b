// SPDX-License-Identifier: MIT
// An address space of device registers: the 64 KiB of I/O ports, or guest-physical MMIO.
#ifndef VIV_BUS_IO_SPACE_H
#define VIV_BUS_IO_SPACE_H

#include "base/status.h"
#include "base/types.h"

struct io_ops {
    // offset is relative to the region; size is 1, 2, 4 (or 8 for MMIO). Reads return zero-extended values.
    u64 (*read)(void *dev, u64 offset, unsigned size);
    void (*write)(void *dev, u64 offset, u64 value, unsigned size);
    // Accesses outside min..max bytes are split or widened by io_space as hardware buses do: larger ones into max_size
    // pieces in ascending order; 0 means 1 and 8. A device that sees an unaligned access handles it.
    unsigned max_size;
};

struct io_space;

struct io_space *io_space_create(u64 limit); // addresses 0 .. limit-1
void io_space_destroy(struct io_space *s);

// Refuses an overlap (STATUS_BAD_INPUT: a device tree names it). name is kept by reference.
struct status io_space_add(struct io_space *s, u64 base, u64 length, const struct io_ops *ops,
                           void *dev, const char *name);
// Moves or removes what was added for dev at old_base (PCI BARs). New overlaps: the earlier added region wins.
void io_space_move(struct io_space *s, void *dev, u64 old_base, u64 new_base, bool enabled);

// Unassigned addresses read as all ones and ignore writes.
u64 io_space_read(struct io_space *s, u64 address, unsigned size);
void io_space_write(struct io_space *s, u64 address, u64 value, unsigned size);

// The region's name at address, NULL if unassigned (probes, debugger).
const char *io_space_name(const struct io_space *s, u64 address);

#endif
