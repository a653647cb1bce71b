// SPDX-License-Identifier: MIT
// Written blocks in an open-addressing hash table of 4 KiB blocks. Copies share the blocks with it:
// a block that a copy holds too is replaced when it is written.
#include "host/overlay.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 4096u

struct block {
    u32 users; // the overlay and its copies
    u8 bytes[BLOCK];
};

struct slot {
    u64 number;          // of the block
    struct block *block; // NULL: empty slot
};

struct overlay {
    struct host_block base;
    struct slot *slots;
    size_t slot_count, used; // slot_count is a power of two, at most 3/4 used
    u64 blocks_held;         // by it and its copies
    // The copy that equals what is here; NULL: written since.
    struct overlay_copy *same;
};

struct overlay_copy {
    struct overlay *of;
    unsigned users; // as many overlay_copy_free() as overlay_save() gave it, and the overlay's same
    size_t count;
    struct slot slots[];
};

struct overlay *overlay_create(const struct host_block *base)
{
    struct overlay *o = xcalloc(1, sizeof(*o));
    o->base = *base;
    o->slot_count = 64;
    o->slots = xcalloc(o->slot_count, sizeof(*o->slots));
    return o;
}

static void block_put(struct overlay *o, struct block *block)
{
    if (!--block->users) {
        o->blocks_held--;
        free(block);
    }
}

static void drop_blocks(struct overlay *o)
{
    for (size_t i = 0; i < o->slot_count; i++) {
        if (o->slots[i].block) {
            block_put(o, o->slots[i].block);
            o->slots[i].block = NULL;
        }
    }
    o->used = 0;
}

static void copy_put(struct overlay_copy *copy)
{
    if (--copy->users) {
        return;
    }
    for (size_t i = 0; i < copy->count; i++) {
        block_put(copy->of, copy->slots[i].block);
    }
    free(copy);
}

static void forget_same(struct overlay *o)
{
    if (o->same) {
        copy_put(o->same);
        o->same = NULL;
    }
}

void overlay_destroy(struct overlay *o)
{
    if (o) {
        forget_same(o);
        drop_blocks(o);
        CHECK(!o->blocks_held); // all copies are freed
        free(o->slots);
        free(o);
    }
}

u64 overlay_bytes(const struct overlay *o)
{
    return o->used * BLOCK;
}

u64 overlay_held_bytes(const struct overlay *o)
{
    return o->blocks_held * sizeof(struct block);
}

// The block's slot, or the empty one where it belongs.
static struct slot *find(const struct overlay *o, u64 number)
{
    size_t i = (size_t)(number * UINT64_C(0x9E3779B97F4A7C15) >> 32) & (o->slot_count - 1);
    while (o->slots[i].block && o->slots[i].number != number) {
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
        if (old[i].block) {
            *find(o, old[i].number) = old[i];
        }
    }
    free(old);
}

static struct block *new_block(struct overlay *o)
{
    struct block *block = xcalloc(1, sizeof(*block));
    block->users = 1;
    o->blocks_held++;
    return block;
}

// Takes the caller's use of the block.
static void insert(struct overlay *o, u64 number, struct block *block)
{
    if (o->used * 4 >= o->slot_count * 3) {
        grow(o);
    }
    struct slot *s = find(o, number);
    CHECK(!s->block);
    *s = (struct slot){number, block};
    o->used++;
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
        if (s->block) {
            memcpy(to, s->block->bytes + within, part);
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

// The block as one that only the overlay has, with what it holds unless all of it is to be written;
// NULL: the base cannot be read, and a block of which a part is unknown cannot be kept.
static struct block *block_to_write(struct overlay *o, u64 number, bool whole)
{
    struct slot *s = find(o, number);
    if (!s->block) {
        u8 old[BLOCK] = {0};
        if (!whole && !fill(o, number, old)) {
            return NULL;
        }
        struct block *block = new_block(o);
        memcpy(block->bytes, old, BLOCK);
        insert(o, number, block);
        return block;
    }
    if (s->block->users > 1) {
        struct block *block = new_block(o);
        memcpy(block->bytes, s->block->bytes, BLOCK);
        block_put(o, s->block);
        s->block = block;
    }
    return s->block;
}

static bool overlay_write(void *ctx, u64 offset, const void *bytes, size_t size)
{
    struct overlay *o = ctx;
    const u8 *from = bytes;
    if (!inside(o, offset, size)) {
        return false;
    }
    forget_same(o);
    while (size) {
        u64 within = offset % BLOCK;
        size_t part = size < BLOCK - within ? size : (size_t)(BLOCK - within);
        struct block *block = block_to_write(o, offset / BLOCK, part == BLOCK);
        if (!block) {
            return false;
        }
        memcpy(block->bytes + within, from, part);
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

static int by_number(const void *a, const void *b)
{
    const struct slot *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

struct overlay_copy *overlay_save(struct overlay *o)
{
    if (!o->same) {
        struct overlay_copy *copy = xcalloc(1, sizeof(*copy) + o->used * sizeof(copy->slots[0]));
        copy->of = o;
        copy->users = 1; // o->same
        for (size_t i = 0; i < o->slot_count; i++) {
            if (o->slots[i].block) {
                o->slots[i].block->users++;
                copy->slots[copy->count++] = o->slots[i];
            }
        }
        qsort(copy->slots, copy->count, sizeof(copy->slots[0]), by_number);
        o->same = copy;
    }
    o->same->users++;
    return o->same;
}

// What another overlay's copy holds, as blocks of our own.
static struct block *block_for(struct overlay *o, const struct overlay_copy *copy, size_t i)
{
    struct block *block = copy->slots[i].block;
    if (copy->of == o) {
        block->users++;
        return block;
    }
    struct block *own = new_block(o);
    memcpy(own->bytes, block->bytes, BLOCK);
    return own;
}

void overlay_restore(struct overlay *o, struct overlay_copy *copy)
{
    if (copy && o->same == copy) {
        return;
    }
    forget_same(o);
    drop_blocks(o);
    for (size_t i = 0; copy && i < copy->count; i++) {
        insert(o, copy->slots[i].number, block_for(o, copy, i));
    }
    if (copy && copy->of == o) {
        copy->users++;
        o->same = copy;
    }
}

void overlay_copy_free(struct overlay_copy *copy)
{
    if (copy) {
        copy_put(copy);
    }
}

u64 overlay_copy_bytes(const struct overlay_copy *copy)
{
    return sizeof(*copy) + copy->count * sizeof(copy->slots[0]);
}

void overlay_copy_changes(const struct overlay_copy *from, const struct overlay_copy *to,
                          void (*fn)(void *ctx, u64 number, const u8 *bytes), void *ctx)
{
    size_t f = 0;
    for (size_t t = 0; t < to->count; t++) {
        u64 number = to->slots[t].number;
        while (from && f < from->count && from->slots[f].number < number) {
            f++;
        }
        bool same = from && f < from->count && from->slots[f].number == number &&
                    from->slots[f].block == to->slots[t].block;
        if (!same) {
            fn(ctx, number, to->slots[t].block->bytes);
        }
    }
}
