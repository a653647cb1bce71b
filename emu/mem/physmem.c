// SPDX-License-Identifier: MIT
// Guest RAM, its page flags and epochs.
#include "mem/physmem.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct status physmem_create(struct physmem **out, u64 ram_bytes)
{
    CHECK(ram_bytes && !(ram_bytes & PAGE_MASK));
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
    mem->low_bytes = ram_bytes < PHYSMEM_LOW_MAX ? ram_bytes : PHYSMEM_LOW_MAX;
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
