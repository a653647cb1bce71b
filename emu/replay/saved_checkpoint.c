// SPDX-License-Identifier: MIT
// Payload: head; state; pages by number; per disk, blocks by number. Numbers ascend and are kept as
// differences; see docs/REPLAY_FORMAT.md.
#include "replay/saved_checkpoint.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define LAYOUT 1u
#define DISKS_MAX 4

struct checkpoint_saver {
    struct checkpoint_parts parts;
    u64 marked_epoch;
    struct overlay_copy *before[DISKS_MAX]; // the disks at the last one; NULL: not written then
    u64 since_complete;                     // bytes of those after the last complete one
    u64 complete_bytes;                     // of that; 0: there is none
};

static struct status malformed(const char *what)
{
    return status_error(STATUS_BAD_INPUT, "a checkpoint in the recording is damaged: %s", what);
}

struct checkpoint_saver *checkpoint_saver_create(const struct checkpoint_parts *parts)
{
    struct checkpoint_saver *s = xcalloc(1, sizeof(*s));
    CHECK(parts->disk_count <= DISKS_MAX);
    s->parts = *parts;
    return s;
}

void checkpoint_saver_destroy(struct checkpoint_saver *s)
{
    if (s) {
        for (unsigned i = 0; i < DISKS_MAX; i++) {
            overlay_copy_free(s->before[i]);
        }
        free(s);
    }
}

static bool page_is_zero(const u8 *page)
{
    return !page[0] && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

// Written since the mark; in a complete one, everything that is not zero.
static bool page_belongs(const struct checkpoint_saver *s, u32 rpn, bool complete)
{
    const struct physmem *mem = machine_memory(s->parts.machine);
    return complete ? mem->page_epoch[rpn] && !page_is_zero(physmem_page(mem, rpn))
                    : mem->page_epoch[rpn] > s->marked_epoch;
}

static void put_pages(struct checkpoint_saver *s, bool complete, struct bytes *out)
{
    struct physmem *mem = machine_memory(s->parts.machine);
    u32 total = (u32)(mem->ram_bytes >> PAGE_SHIFT), next = 0;
    for (u32 rpn = 0; rpn < total; rpn++) {
        if (page_belongs(s, rpn, complete)) {
            bytes_put_varint(out, (u64)(rpn - next) + 1);
            bytes_put(out, physmem_page(mem, rpn), PAGE_SIZE);
            next = rpn + 1;
        }
    }
    bytes_put_varint(out, 0);
    s->marked_epoch = physmem_next_epoch(mem);
}

struct block_list {
    struct bytes *out;
    u64 next;
};

static void put_block(void *ctx, u64 number, const u8 *bytes)
{
    struct block_list *list = ctx;
    bytes_put_varint(list->out, number - list->next + 1);
    bytes_put(list->out, bytes, OVERLAY_BLOCK);
    list->next = number + 1;
}

static void put_disks(struct checkpoint_saver *s, bool complete, struct bytes *out)
{
    for (unsigned i = 0; i < s->parts.disk_count; i++) {
        struct overlay_copy *now = overlay_save(s->parts.disks[i]);
        struct block_list list = {.out = out};
        overlay_copy_changes(complete ? NULL : s->before[i], now, put_block, &list);
        bytes_put_varint(out, 0);
        overlay_copy_free(s->before[i]);
        s->before[i] = now;
    }
}

void checkpoint_save(struct checkpoint_saver *s, u64 position, struct bytes *out)
{
    struct machine *m = s->parts.machine;
    size_t begin = out->size, state_size = machine_state_size(m);
    bool complete = s->since_complete >= s->complete_bytes;
    bytes_put_u8(out, LAYOUT);
    bytes_put_u8(out, complete);
    bytes_put_u64(out, machine_clock(m)->step);
    bytes_put_u64(out, position);
    bytes_put_u64(out, machine_state_layout(m));
    bytes_put_varint(out, state_size);
    u8 *state = xcalloc(1, state_size);
    machine_state_save(m, state);
    bytes_put(out, state, state_size);
    free(state);
    bytes_put_varint(out, machine_memory(m)->ram_bytes >> PAGE_SHIFT);
    put_pages(s, complete, out);
    bytes_put_varint(out, s->parts.disk_count);
    put_disks(s, complete, out);
    if (complete) {
        s->complete_bytes = out->size - begin;
        s->since_complete = 0;
    } else {
        s->since_complete += out->size - begin;
    }
}

static struct status get_head(struct bytes_in *in, struct checkpoint_head *head)
{
    u8 layout = bytes_get_u8(in);
    head->complete = bytes_get_u8(in) != 0;
    head->step = bytes_get_u64(in);
    head->position = bytes_get_u64(in);
    if (in->bad || layout != LAYOUT) {
        return malformed("its head");
    }
    return status_success();
}

struct status checkpoint_read_head(const u8 *bytes, size_t size, struct checkpoint_head *out)
{
    struct bytes_in in = {.data = bytes, .size = size};
    return get_head(&in, out);
}

static void put_page_back(struct physmem *mem, u32 rpn, const u8 *page)
{
    if (memcmp(physmem_page(mem, rpn), page, PAGE_SIZE) != 0) {
        physmem_write_page(mem, rpn, 0, page, PAGE_SIZE);
    }
}

static void clear_pages(struct physmem *mem, u64 first, u64 end)
{
    static const u8 zeros[PAGE_SIZE];
    for (u64 rpn = first; rpn < end; rpn++) {
        if (mem->page_epoch[rpn]) {
            put_page_back(mem, (u32)rpn, zeros);
        }
    }
}

// complete: pages that are not listed are zero.
static struct status get_pages(const struct checkpoint_parts *parts, struct bytes_in *in,
                               bool complete)
{
    struct physmem *mem = machine_memory(parts->machine);
    u64 total = mem->ram_bytes >> PAGE_SHIFT, next = 0, skip;
    if (bytes_get_varint(in) != total) {
        return malformed("another size of memory");
    }
    while ((skip = bytes_get_varint(in)) != 0) {
        const u8 *page = bytes_get(in, PAGE_SIZE);
        if (!page || skip > total - next) {
            return malformed("its pages");
        }
        u64 rpn = next + skip - 1;
        if (complete) {
            clear_pages(mem, next, rpn);
        }
        put_page_back(mem, (u32)rpn, page);
        next = rpn + 1;
    }
    if (complete) {
        clear_pages(mem, next, total);
    }
    return in->bad ? malformed("its pages") : status_success();
}

static struct status get_disk(struct overlay *disk, struct bytes_in *in, bool complete)
{
    struct host_block to = overlay_host(disk);
    u64 next = 0, skip;
    if (complete) {
        overlay_restore(disk, NULL);
    }
    while ((skip = bytes_get_varint(in)) != 0) {
        const u8 *block = bytes_get(in, OVERLAY_BLOCK);
        u64 room = (to.size_bytes + OVERLAY_BLOCK - 1) / OVERLAY_BLOCK;
        if (!block || skip > room - next) {
            return malformed("its disk blocks");
        }
        u64 at = (next + skip - 1) * OVERLAY_BLOCK, left = to.size_bytes - at;
        to.ops->write(to.ctx, at, block, left < OVERLAY_BLOCK ? (size_t)left : OVERLAY_BLOCK);
        next += skip;
    }
    return in->bad ? malformed("its disk blocks") : status_success();
}

struct status checkpoint_apply(const struct checkpoint_parts *parts, const u8 *bytes, size_t size,
                               bool last)
{
    struct bytes_in in = {.data = bytes, .size = size};
    struct checkpoint_head head;
    struct status s = get_head(&in, &head);
    if (!status_ok(&s)) {
        return s;
    }
    if (bytes_get_u64(&in) != machine_state_layout(parts->machine) ||
        bytes_get_varint(&in) != machine_state_size(parts->machine)) {
        return malformed("the state of another machine");
    }
    const u8 *state = bytes_get(&in, machine_state_size(parts->machine));
    if (!state) {
        return malformed("its state");
    }
    s = machine_state_check(parts->machine, state);
    if (!status_ok(&s)) {
        return malformed(s.text);
    }
    s = get_pages(parts, &in, head.complete);
    if (status_ok(&s) && bytes_get_varint(&in) != parts->disk_count) {
        s = malformed("another number of disks");
    }
    for (unsigned i = 0; status_ok(&s) && i < parts->disk_count; i++) {
        s = get_disk(parts->disks[i], &in, head.complete);
    }
    if (status_ok(&s) && last) {
        machine_state_load(parts->machine, state);
    }
    return s;
}
