// SPDX-License-Identifier: MIT
// Guest physical memory: RAM (the machine's own, and what devices have behind windows), per-page
// flags and epochs, and the one way for anything but the CPU's cached fast path to write it.
#ifndef VIV_MEM_PHYSMEM_H
#define VIV_MEM_PHYSMEM_H

#include "base/status.h"
#include "base/types.h"

#define PAGE_SHIFT 12
#define PAGE_SIZE UINT64_C(4096)
#define PAGE_MASK (PAGE_SIZE - 1)

// RAM is one host mapping, faulted in on demand. First comes main memory, guest-physically
// [0, low_bytes) and [4 GiB, 4 GiB + rest), the hole below 4 GiB being for MMIO; then the memory of
// devices (a framebuffer), which is wherever its window was placed. A RAM page number (rpn) is the
// page's index in the host mapping.
#define PHYSMEM_LOW_MAX UINT64_C(0xC0000000)
#define PHYSMEM_NO_RPN UINT32_MAX
#define PHYSMEM_WINDOWS_MAX 4
#define PHYSMEM_NOWHERE (UINT64_C(1) << 52) // no CPU puts out such an address

// A page with any flag never gets a write translation: stores to it go through physmem_write().
enum physmem_page_flag {
    PHYSMEM_PAGE_CODE = 1,  // instructions decoded or translated from here are cached
    PHYSMEM_PAGE_TABLE = 2, // a cached translation depends on page-table entries in here
    PHYSMEM_PAGE_WATCH = 4, // somebody wants to be told of every store (machine/watch.h)
};

// Who writes: set around its stores by whoever is not a device.
enum physmem_writer { PHYSMEM_BY_DEVICE, PHYSMEM_BY_CPU, PHYSMEM_BY_WALK };

// Told before the bytes change. Runs inside physmem_write(); must not call it.
typedef void (*physmem_store_fn)(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size);

// Memory of a device. Where it lies over main memory, that answers.
struct physmem_window {
    u64 base; // guest physical address; PHYSMEM_NOWHERE or above: not mapped
    u64 bytes;
    u32 first_rpn;
};

struct physmem {
    u8 *ram;        // host address of RAM page 0
    u64 ram_bytes;  // all there is; multiple of PAGE_SIZE
    u64 main_bytes; // the machine's own
    u64 low_bytes;
    struct physmem_window window[PHYSMEM_WINDOWS_MAX];
    u32 window_count;
    u8 *page_flags;  // per rpn
    u64 *page_epoch; // per rpn: the epoch in which the page last became writable or was written
    u64 epoch;       // current epoch, starts at 1
    struct {
        physmem_store_fn code, table, watch;
        void *code_ctx, *table_ctx, *watch_ctx;
    } on_store;
    u8 writer; // enum physmem_writer, for on_store.watch
    // Drops every cached write translation (host cache effect only); set by the owner of the TLBs.
    void (*drop_write_translations)(void *ctx);
    void *drop_ctx;
    // Told after a window was placed: whoever has translations to or through it drops them.
    void (*on_map)(void *ctx);
    void *map_ctx;
};

// Reserves lazily committed host memory, multiples of PAGE_SIZE: main memory, and as much as all
// windows need.
struct status physmem_create_with_windows(struct physmem **out, u64 main_bytes, u64 window_bytes);
struct status physmem_create(struct physmem **out, u64 main_bytes);
void physmem_destroy(struct physmem *mem);

// Takes bytes (a multiple of PAGE_SIZE) of what was reserved for a window that is not mapped yet.
// False: there is no room, or there are PHYSMEM_WINDOWS_MAX.
bool physmem_add_window(struct physmem *mem, u64 bytes, unsigned *window);
// Places a window at a page-aligned base below PHYSMEM_NOWHERE, or takes it away.
void physmem_place_window(struct physmem *mem, unsigned window, u64 base, bool mapped);
// The first address above all RAM that is mapped.
u64 physmem_end(const struct physmem *mem);

// physmem_rpn() of what is no main memory.
static inline u32 physmem_window_rpn(const struct physmem *mem, u64 gpa)
{
    for (unsigned i = 0; i < mem->window_count; i++) {
        const struct physmem_window *w = &mem->window[i];
        if (gpa - w->base < w->bytes) {
            return w->first_rpn + (u32)((gpa - w->base) >> PAGE_SHIFT);
        }
    }
    return PHYSMEM_NO_RPN;
}

// The RAM page behind a guest physical address, PHYSMEM_NO_RPN if it is not RAM.
static inline u32 physmem_rpn(const struct physmem *mem, u64 gpa)
{
    if (gpa < mem->low_bytes) {
        return (u32)(gpa >> PAGE_SHIFT);
    }
    u64 high = gpa - (UINT64_C(1) << 32);
    if (gpa >= (UINT64_C(1) << 32) && high < mem->main_bytes - mem->low_bytes) {
        return (u32)((mem->low_bytes + high) >> PAGE_SHIFT);
    }
    return physmem_window_rpn(mem, gpa);
}

// Host address of a RAM page.
static inline u8 *physmem_page(const struct physmem *mem, u32 rpn)
{
    return mem->ram + ((u64)rpn << PAGE_SHIFT);
}

// Guest physical address of a page in a window; PHYSMEM_NOWHERE or above while that is not mapped.
u64 physmem_window_gpa(const struct physmem *mem, u32 rpn);

// Guest physical address of a RAM page.
static inline u64 physmem_gpa(const struct physmem *mem, u32 rpn)
{
    u64 offset = (u64)rpn << PAGE_SHIFT;
    if (offset >= mem->main_bytes) {
        return physmem_window_gpa(mem, rpn);
    }
    return offset < mem->low_bytes ? offset : offset - mem->low_bytes + (UINT64_C(1) << 32);
}

// Marks the page dirty in the current epoch. Whoever installs a write translation or writes
// directly calls it first.
static inline void physmem_mark_dirty(struct physmem *mem, u32 rpn)
{
    mem->page_epoch[rpn] = mem->epoch;
}

// Writes within one RAM page: tells the observers of its flags, stores, marks dirty.
void physmem_write_page(struct physmem *mem, u32 rpn, u32 offset, const void *bytes, u32 size);
// The same for the walker's A and D bits, of which on_store.table need not hear.
void physmem_write_untracked(struct physmem *mem, u32 rpn, u32 offset, const void *bytes, u32 size);

// Any range of guest physical RAM (DMA, loaders, debugger). False, with the RAM part before the gap
// transferred, if the range leaves RAM.
bool physmem_write(struct physmem *mem, u64 gpa, const void *bytes, u64 size);
bool physmem_read(const struct physmem *mem, u64 gpa, void *bytes, u64 size);

// Begins a new epoch: write translations are dropped, so that pages dirtied from now on are seen.
// Returns the number of the epoch that ended; a page is dirty since epoch E if page_epoch > E.
u64 physmem_next_epoch(struct physmem *mem);

#endif
