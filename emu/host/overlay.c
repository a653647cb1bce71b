// SPDX-License-Identifier: MIT
// Written blocks in an open-addressing hash table of 4 KiB blocks.
#include "host/overlay.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

struct slot {
    u64 number; // of the block
    u8 *bytes;  // NULL: empty slot
};

struct overlay {
    struct host_block base;
    struct slot *slots;
    size_t slot_count, used; // slot_count is a power of two, at most 3/4 used
};

struct overlay_copy {
    struct slot *slots;
    size_t count;
};

struct overlay *overlay_create(const struct host_block *base)
{
    struct overlay *o = xcalloc(1, sizeof(*o));
    o->base = *base;
    o->slot_count = 64;
    o->slots = xcalloc(o->slot_count, sizeof(*o->slots));
    return o;
}

static void drop_blocks(struct overlay *o)
{
    for (size_t i = 0; i < o->slot_count; i++) {
        free(o->slots[i].bytes);
        o->slots[i].bytes = NULL;
    }
    o->used = 0;
}

void overlay_destroy(struct overlay *o)
{
    if (o) {
        drop_blocks(o);
        free(o->slots);
        free(o);
    }
}

u64 overlay_bytes(const struct overlay *o)
{
    return o->used * BLOCK;
}

// The block's slot, or the empty one where it belongs.
static struct slot *find(const struct overlay *o, u64 number)
{
    size_t i = (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (o->slot_count - 1);
    while (o->slots[i].bytes && o->slots[i].number != number) {
        i = (i + 1) & (o->slot_count - 1);
    }
    return &o->slots[i];
}

static void grow(struct overlay *o)
{
    struct slot *old = o->slots;
    size_t old_count = o->slot_count;
    o->slot_count *= 2;
    o->slots = xcalloc(o->slot_count, sizeof(*o->slots));
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].bytes) {
            *find(o, old[i].number) = old[i];
        }
    }
    free(old);
}

static struct slot *insert(struct overlay *o, u64 number)
{
    if (o->used * 4 >= o->slot_count * 3) {
        grow(o);
    }
    struct slot *s = find(o, number);
    CHECK(!s->bytes);
    s->number = number;
    s->bytes = xcalloc(1, BLOCK);
    o->used++;
    return s;
}

static bool inside(const struct overlay *o, u64 offset, size_t size)
{
    return offset <= o->base.size_bytes && size <= o->base.size_bytes - offset;
}

static bool overlay_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    struct overlay *o = ctx;
    u8 *to = bytes;
    if (!inside(o, offset, size)) {
        return false;
    }
    while (size) {
        u64 within = offset % BLOCK;
        size_t part = size < BLOCK - within ? size : (size_t)(BLOCK - within);
        const struct slot *s = find(o, offset / BLOCK);
        if (s->bytes) {
            memcpy(to, s->bytes + within, part);
        } else if (!o->base.ops->read(o->base.ctx, offset, to, part)) {
            return false;
        }
        offset += part;
        to += part;
        size -= part;
    }
    return true;
}

// Fills a new block from the base, as far as the disk reaches.
static bool fill(const struct overlay *o, u64 number, u8 bytes[BLOCK])
{
    u64 start = number * BLOCK;
    u64 left = o->base.size_bytes - start;
    return o->base.ops->read(o->base.ctx, start, bytes, (size_t)(left < BLOCK ? left : BLOCK));
}

static bool overlay_write(void *ctx, u64 offset, const void *bytes, size_t size)
{
    struct overlay *o = ctx;
    const u8 *from = bytes;
    if (!inside(o, offset, size)) {
        return false;
    }
    while (size) {
        u64 within = offset % BLOCK;
        size_t part = size < BLOCK - within ? size : (size_t)(BLOCK - within);
        struct slot *s = find(o, offset / BLOCK);
        if (!s->bytes) {
            u8 old[BLOCK] = {0};
            if (part < BLOCK && !fill(o, offset / BLOCK, old)) {
                return false; // a block of which a part cannot be read cannot be kept
            }
            s = insert(o, offset / BLOCK);
            memcpy(s->bytes, old, BLOCK);
        }
        memcpy(s->bytes + within, from, part);
        offset += part;
        from += part;
        size -= part;
    }
    return true;
}

static bool overlay_flush(void *ctx)
{
    return true; // memory holds it; nothing outlives the run by design
}

static const struct host_block_ops overlay_ops = {
    .read = overlay_read, .write = overlay_write, .flush = overlay_flush};

struct host_block overlay_host(struct overlay *o)
{
    return (struct host_block){
        .ops = &overlay_ops, .ctx = o, .size_bytes = o->base.size_bytes, .serial = o->base.serial};
}

struct overlay_copy *overlay_save(const struct overlay *o)
{
    struct overlay_copy *copy = xcalloc(1, sizeof(*copy));
    copy->slots = xcalloc(o->used, sizeof(*copy->slots));
    for (size_t i = 0; i < o->slot_count; i++) {
        if (o->slots[i].bytes) {
            struct slot *to = &copy->slots[copy->count++];
            to->number = o->slots[i].number;
            to->bytes = xcalloc(1, BLOCK);
            memcpy(to->bytes, o->slots[i].bytes, BLOCK);
        }
    }
    return copy;
}

void overlay_restore(struct overlay *o, const struct overlay_copy *copy)
{
    drop_blocks(o);
    for (size_t i = 0; i < copy->count; i++) {
        memcpy(insert(o, copy->slots[i].number)->bytes, copy->slots[i].bytes, BLOCK);
    }
}

void overlay_copy_free(struct overlay_copy *copy)
{
    if (!copy) {
        return;
    }
    for (size_t i = 0; i < copy->count; i++) {
        free(copy->slots[i].bytes);
    }
    free(copy->slots);
    free(copy);
}
