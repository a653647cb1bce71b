// SPDX-License-Identifier: MIT
// Guest RAM, its page flags and epochs.
#include "mem/physmem.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct status physmem_create(struct physmem **out, u64 main_bytes)
{
    return physmem_create_with_windows(out, main_bytes, 0);
}

struct status physmem_create_with_windows(struct physmem **out, u64 main_bytes, u64 window_bytes)
{
    u64 ram_bytes = main_bytes + window_bytes;
    CHECK(main_bytes && !(main_bytes & PAGE_MASK) && !(window_bytes & PAGE_MASK));
    u8 *ram = mmap(NULL, ram_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED) {
        return status_error(
            STATUS_BAD_INPUT,
            "the host has no room for %llu MiB of guest memory; use a smaller --mem",
            (unsigned long long)(ram_bytes >> 20));
    }
    struct physmem *mem = xcalloc(1, sizeof(*mem));
    u64 pages = ram_bytes >> PAGE_SHIFT;
    mem->ram = ram;
    mem->ram_bytes = ram_bytes;
    mem->main_bytes = main_bytes;
    mem->low_bytes = main_bytes < PHYSMEM_LOW_MAX ? main_bytes : PHYSMEM_LOW_MAX;
    mem->page_flags = xcalloc(pages, sizeof(mem->page_flags[0]));
    mem->page_epoch = xcalloc(pages, sizeof(mem->page_epoch[0]));
    mem->epoch = 1;
    *out = mem;
    return status_success();
}

void physmem_destroy(struct physmem *mem)
{
    if (!mem) {
        return;
    }
    munmap(mem->ram, mem->ram_bytes);
    free(mem->page_flags);
    free(mem->page_epoch);
    free(mem);
}

bool physmem_add_window(struct physmem *mem, u64 bytes, unsigned *window)
{
    CHECK(bytes && !(bytes & PAGE_MASK));
    u64 taken = mem->main_bytes;
    for (unsigned i = 0; i < mem->window_count; i++) {
        taken += mem->window[i].bytes;
    }
    if (mem->window_count == PHYSMEM_WINDOWS_MAX || bytes > mem->ram_bytes - taken) {
        return false;
    }
    *window = mem->window_count++;
    mem->window[*window] =
        (struct physmem_window){PHYSMEM_NOWHERE, bytes, (u32)(taken >> PAGE_SHIFT)};
    return true;
}

void physmem_place_window(struct physmem *mem, unsigned window, u64 base, bool mapped)
{
    CHECK(window < mem->window_count);
    CHECK(!mapped || (!(base & PAGE_MASK) && base < PHYSMEM_NOWHERE));
    struct physmem_window *w = &mem->window[window];
    base = mapped ? base : PHYSMEM_NOWHERE;
    if (w->base != base) {
        w->base = base;
        if (mem->on_map) {
            mem->on_map(mem->map_ctx);
        }
    }
}

u64 physmem_end(const struct physmem *mem)
{
    u64 end = mem->low_bytes;
    if (mem->main_bytes > mem->low_bytes) {
        end = mem->main_bytes - mem->low_bytes + (UINT64_C(1) << 32);
    }
    for (unsigned i = 0; i < mem->window_count; i++) {
        const struct physmem_window *w = &mem->window[i];
        if (w->base < PHYSMEM_NOWHERE && w->base + w->bytes > end) {
            end = w->base + w->bytes;
        }
    }
    return end;
}

u64 physmem_window_gpa(const struct physmem *mem, u32 rpn)
{
    for (unsigned i = 0; i < mem->window_count; i++) {
        const struct physmem_window *w = &mem->window[i];
        u64 offset = (u64)(rpn - w->first_rpn) << PAGE_SHIFT;
        if (rpn >= w->first_rpn && offset < w->bytes) {
            return w->base + offset;
        }
    }
    return PHYSMEM_NOWHERE;
}

void physmem_write_untracked(struct physmem *mem, u32 rpn, u32 offset, const void *bytes, u32 size)
{
    CHECK(offset + size <= PAGE_SIZE);
    u8 flags = mem->page_flags[rpn];
    if ((flags & PHYSMEM_PAGE_WATCH) && mem->on_store.watch) {
        mem->on_store.watch(mem->on_store.watch_ctx, rpn, offset, bytes, size);
    }
    if ((flags & PHYSMEM_PAGE_CODE) && mem->on_store.code) {
        mem->on_store.code(mem->on_store.code_ctx, rpn, offset, bytes, size);
    }
    memcpy(physmem_page(mem, rpn) + offset, bytes, size);
    physmem_mark_dirty(mem, rpn);
}

void physmem_write_page(struct physmem *mem, u32 rpn, u32 offset, const void *bytes, u32 size)
{
    if ((mem->page_flags[rpn] & PHYSMEM_PAGE_TABLE) && mem->on_store.table) {
        mem->on_store.table(mem->on_store.table_ctx, rpn, offset, bytes, size);
    }
    physmem_write_untracked(mem, rpn, offset, bytes, size);
}

bool physmem_write(struct physmem *mem, u64 gpa, const void *bytes, u64 size)
{
    const u8 *from = bytes;
    while (size) {
        u32 rpn = physmem_rpn(mem, gpa);
        if (rpn == PHYSMEM_NO_RPN) {
            return false;
        }
        u32 offset = (u32)(gpa & PAGE_MASK);
        u32 part = (u32)(size < PAGE_SIZE - offset ? size : PAGE_SIZE - offset);
        physmem_write_page(mem, rpn, offset, from, part);
        gpa += part, from += part, size -= part;
    }
    return true;
}

bool physmem_read(const struct physmem *mem, u64 gpa, void *bytes, u64 size)
{
    u8 *to = bytes;
    while (size) {
        u32 rpn = physmem_rpn(mem, gpa);
        if (rpn == PHYSMEM_NO_RPN) {
            return false;
        }
        u32 offset = (u32)(gpa & PAGE_MASK);
        u32 part = (u32)(size < PAGE_SIZE - offset ? size : PAGE_SIZE - offset);
        memcpy(to, physmem_page(mem, rpn) + offset, part);
        gpa += part, to += part, size -= part;
    }
    return true;
}

u64 physmem_next_epoch(struct physmem *mem)
{
    if (mem->drop_write_translations) {
        mem->drop_write_translations(mem->drop_ctx);
    }
    return mem->epoch++;
}
