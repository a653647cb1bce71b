// SPDX-License-Identifier: MIT
// Versions of pages, sorted by step. Versions share contents where several checkpoints need them.
#include "replay/page_history.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define LINE 64u // bytes; what is written at a time to a page that others have cached

struct contents {
    u32 users;
    u8 bytes[PAGE_SIZE];
};

struct version {
    u64 step;
    struct contents *contents; // NULL: zeros
};

// Before the first version a page holds zeros.
struct versions {
    struct version *v;
    u32 count, room;
};

struct page_history {
    struct physmem *mem;
    struct versions *of; // by rpn
    u64 marked_epoch;
    u64 bytes;
};

bool page_list_has(const struct page_list *list, u32 rpn)
{
    u32 low = 0, high = list->count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (list->numbers[middle] < rpn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < list->count && list->numbers[low] == rpn;
}

void page_list_merge(struct page_list *list, const struct page_list *other)
{
    u32 *all = xcalloc((size_t)list->count + other->count + 1, sizeof(u32));
    u32 count = 0, a = 0, b = 0;
    while (a < list->count || b < other->count) {
        u32 x = a < list->count ? list->numbers[a] : UINT32_MAX;
        u32 y = b < other->count ? other->numbers[b] : UINT32_MAX;
        a += x <= y;
        b += y <= x;
        all[count++] = x < y ? x : y;
    }
    free(list->numbers);
    *list = (struct page_list){all, count};
}

struct page_history *page_history_create(struct physmem *mem)
{
    struct page_history *h = xcalloc(1, sizeof(*h));
    h->mem = mem;
    h->of = xcalloc(mem->ram_bytes >> PAGE_SHIFT, sizeof(h->of[0]));
    return h;
}

static void put(struct page_history *h, struct contents *c)
{
    if (c && !--c->users) {
        h->bytes -= sizeof(*c);
        free(c);
    }
}

void page_history_destroy(struct page_history *h)
{
    if (!h) {
        return;
    }
    for (u64 rpn = 0; rpn < h->mem->ram_bytes >> PAGE_SHIFT; rpn++) {
        for (u32 i = 0; i < h->of[rpn].count; i++) {
            put(h, h->of[rpn].v[i].contents);
        }
        free(h->of[rpn].v);
    }
    free(h->of);
    free(h);
}

u64 page_history_bytes(const struct page_history *h)
{
    return h->bytes;
}

void page_history_mark(struct page_history *h)
{
    h->marked_epoch = physmem_next_epoch(h->mem);
}

bool page_history_was_written(const struct page_history *h, u32 rpn)
{
    return h->mem->page_epoch[rpn] > h->marked_epoch;
}

struct page_list page_history_written(const struct page_history *h)
{
    struct page_list list = {0};
    u32 room = 0;
    u32 count = (u32)(h->mem->ram_bytes >> PAGE_SHIFT);
    for (u32 rpn = 0; rpn < count; rpn++) {
        if (UNLIKELY(page_history_was_written(h, rpn))) {
            if (list.count == room) {
                room = room ? room * 2 : 64;
                list.numbers = xrealloc(list.numbers, room * sizeof(u32));
            }
            list.numbers[list.count++] = rpn;
        }
    }
    return list;
}

// The number of versions at or before step.
static u32 versions_until(const struct versions *vs, u64 step)
{
    if (vs->count && vs->v[vs->count - 1].step <= step) {
        return vs->count; // most questions are about the present
    }
    u32 low = 0, high = vs->count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (vs->v[middle].step <= step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct contents *contents_at(const struct versions *vs, u64 step)
{
    u32 n = versions_until(vs, step);
    return n ? vs->v[n - 1].contents : NULL;
}

static bool has_version(const struct versions *vs, u64 step)
{
    u32 n = versions_until(vs, step);
    return n && vs->v[n - 1].step == step;
}

// Takes the caller's use of the contents.
static void insert(struct page_history *h, struct versions *vs, u64 step, struct contents *c)
{
    if (vs->count == vs->room) {
        u32 room = vs->room ? vs->room * 2 : 2;
        vs->v = xrealloc(vs->v, room * sizeof(vs->v[0]));
        h->bytes += (room - vs->room) * sizeof(vs->v[0]);
        vs->room = room;
    }
    u32 at = versions_until(vs, step);
    memmove(&vs->v[at + 1], &vs->v[at], (vs->count - at) * sizeof(vs->v[0]));
    vs->v[at] = (struct version){step, c};
    vs->count++;
}

static const u8 zeros[PAGE_SIZE];

static const u8 *bytes_of(const struct contents *c)
{
    return c ? c->bytes : zeros;
}

static struct contents *copy_page(struct page_history *h, const u8 *page)
{
    if (memcmp(page, zeros, PAGE_SIZE) == 0) {
        return NULL;
    }
    struct contents *c = xrealloc(NULL, sizeof(*c));
    c->users = 1;
    memcpy(c->bytes, page, PAGE_SIZE);
    h->bytes += sizeof(*c);
    return c;
}

void page_history_keep(struct page_history *h, u32 rpn, u64 step, u64 next_step)
{
    struct versions *vs = &h->of[rpn];
    const u8 *page = physmem_page(h->mem, rpn);
    struct contents *before = contents_at(vs, step);
    CHECK(!has_version(vs, step));
    if (memcmp(bytes_of(before), page, PAGE_SIZE) == 0) {
        return;
    }
    if (next_step != UINT64_MAX && !has_version(vs, next_step)) {
        if (before) {
            before->users++;
        }
        insert(h, vs, next_step, before);
    }
    insert(h, vs, step, copy_page(h, page));
}

void page_history_forget(struct page_history *h, u32 rpn, u64 step, u64 next_step)
{
    struct versions *vs = &h->of[rpn];
    u32 n = versions_until(vs, step);
    if (!n || vs->v[n - 1].step != step) {
        return;
    }
    struct version *v = &vs->v[n - 1];
    if (next_step != UINT64_MAX && (n == vs->count || v[1].step > next_step)) {
        v->step = next_step; // still what the next one holds
        return;
    }
    put(h, v->contents);
    vs->count--;
    memmove(v, v + 1, (vs->count - (n - 1)) * sizeof(*v));
}

// Line by line, so that what is cached of the lines that stay can stay.
static void write_lines(struct physmem *mem, u32 rpn, const u8 *bytes)
{
    const u8 *page = physmem_page(mem, rpn);
    for (u32 at = 0; at < PAGE_SIZE; at += LINE) {
        if (memcmp(page + at, bytes + at, LINE) != 0) {
            physmem_write_page(mem, rpn, at, bytes + at, LINE);
        }
    }
}

void page_history_load(struct page_history *h, u32 rpn, u64 step)
{
    const u8 *bytes = bytes_of(contents_at(&h->of[rpn], step));
    if (memcmp(physmem_page(h->mem, rpn), bytes, PAGE_SIZE) == 0) {
        return;
    }
    if (h->mem->page_flags[rpn]) {
        write_lines(h->mem, rpn, bytes);
    } else {
        physmem_write_page(h->mem, rpn, 0, bytes, PAGE_SIZE);
    }
}
