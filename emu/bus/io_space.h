// SPDX-License-Identifier: MIT
// An address space of device registers: the 64 KiB of I/O ports, or guest-physical MMIO.
#ifndef VIV_BUS_IO_SPACE_H
#define VIV_BUS_IO_SPACE_H

#include "base/status.h"
#include "base/types.h"
#include "mem/physmem.h"

struct io_ops {
    // offset is relative to the region; size is 1, 2, 4 (or 8 for MMIO). Reads return zero-extended
    // values.
    u64 (*read)(void *dev, u64 offset, unsigned size);
    void (*write)(void *dev, u64 offset, u64 value, unsigned size);
    // Larger accesses arrive as pieces of max_size bytes in ascending order, as on hardware buses;
    // 0 means 8. An access that crosses the end of a region arrives byte by byte. A device that
    // sees an unaligned access handles it.
    unsigned max_size;
};

struct io_space;

struct io_space *io_space_create(u64 limit); // addresses 0 .. limit-1
void io_space_destroy(struct io_space *s);

// Refuses an overlap (STATUS_BAD_INPUT: a device tree names it). name is kept by reference.
struct status io_space_add(struct io_space *s, u64 base, u64 length, const struct io_ops *ops,
                           void *dev, const char *name);
// A region without a place yet (a PCI BAR, the LAPIC page). NULL is never returned; name is kept by
// reference.
struct io_region;
struct io_region *io_space_add_movable(struct io_space *s, u64 length, const struct io_ops *ops,
                                       void *dev, const char *name);
// Places a movable region at base, or takes it away. Where regions overlap, the one added first
// answers. A range that leaves the address space is not mapped at all.
void io_space_map(struct io_space *s, struct io_region *region, u64 base, bool enabled);

// The region is memory: wherever it alone answers in its whole range, the window lies there, and
// accesses to RAM need not come here. Those that do are the region's own to serve. Its base is
// page-aligned whenever it is mapped.
void io_space_set_window(struct io_region *region, struct physmem *mem, unsigned window);

// Unassigned addresses read as all ones and ignore writes.
u64 io_space_read(struct io_space *s, u64 address, unsigned size);
void io_space_write(struct io_space *s, u64 address, u64 value, unsigned size);

// The region's name at address, NULL if unassigned (probes, debugger).
const char *io_space_name(const struct io_space *s, u64 address);

#endif
