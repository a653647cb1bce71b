// SPDX-License-Identifier: MIT
// Regions of device registers, looked up through a sorted table of disjoint spans.
#include "bus/io_space.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>

struct io_region {
    u64 base, length;
    bool enabled;
    const struct io_ops *ops;
    void *dev;
    const char *name;
    struct physmem *mem; // NULL: registers; else the memory whose window it is
    unsigned window;
};

// Addresses first..last answered by one region. Derived from the regions whenever one moves.
struct io_span {
    u64 first, last;
    const struct io_region *region;
};

struct io_space {
    u64 limit;
    struct io_region **regions; // in order of addition
    unsigned region_count;
    struct io_span *spans; // sorted, disjoint
    unsigned span_count;
};

struct io_space *io_space_create(u64 limit)
{
    struct io_space *s = xcalloc(1, sizeof(*s));
    s->limit = limit;
    return s;
}

void io_space_destroy(struct io_space *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->region_count; i++) {
        free(s->regions[i]);
    }
    free(s->regions);
    free(s->spans);
    free(s);
}

static int compare_u64(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

static const struct io_region *first_region_at(const struct io_space *s, u64 address)
{
    for (unsigned i = 0; i < s->region_count; i++) {
        const struct io_region *r = s->regions[i];
        if (r->enabled && address - r->base < r->length) {
            return r;
        }
    }
    return NULL;
}

// Places the windows of memory-backed regions: only where no other region answers for a part.
static void windows_place(const struct io_space *s)
{
    for (unsigned i = 0; i < s->region_count; i++) {
        const struct io_region *r = s->regions[i];
        bool alone = false;
        for (unsigned k = 0; r->mem && k < s->span_count; k++) {
            const struct io_span *span = &s->spans[k];
            alone |= span->region == r && span->last - span->first == r->length - 1;
        }
        if (r->mem) {
            physmem_place_window(r->mem, r->window, r->base, alone && r->base < PHYSMEM_NOWHERE);
        }
    }
}

static void spans_rebuild(struct io_space *s)
{
    // Between two neighbouring edges the answer is the same everywhere.
    u64 *edges = xcalloc(s->region_count + 1, 2 * sizeof(u64));
    unsigned count = 0;
    for (unsigned i = 0; i < s->region_count; i++) {
        if (s->regions[i]->enabled) {
            edges[count++] = s->regions[i]->base;
            edges[count++] = s->regions[i]->base + s->regions[i]->length;
        }
    }
    qsort(edges, count, sizeof(u64), compare_u64);
    s->spans = xrealloc(s->spans, (count + 1) * sizeof(s->spans[0]));
    s->span_count = 0;
    for (unsigned i = 0; i + 1 < count; i++) {
        const struct io_region *region = first_region_at(s, edges[i]);
        if (edges[i] == edges[i + 1] || !region) {
            continue;
        }
        struct io_span *last = s->span_count ? &s->spans[s->span_count - 1] : NULL;
        if (last && last->region == region && last->last + 1 == edges[i]) {
            last->last = edges[i + 1] - 1;
        } else {
            s->spans[s->span_count++] = (struct io_span){edges[i], edges[i + 1] - 1, region};
        }
    }
    free(edges);
    windows_place(s);
}

static const struct io_span *span_find(const struct io_space *s, u64 address)
{
    unsigned low = 0, high = s->span_count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (s->spans[middle].last < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < s->span_count && s->spans[low].first <= address ? &s->spans[low] : NULL;
}

struct io_region *io_space_add_movable(struct io_space *s, u64 length, const struct io_ops *ops,
                                       void *dev, const char *name)
{
    CHECK(length && ops && ops->read && ops->write);
    struct io_region *r = xcalloc(1, sizeof(*r));
    *r = (struct io_region){.length = length, .ops = ops, .dev = dev, .name = name};
    s->regions = xrealloc(s->regions, (s->region_count + 1) * sizeof(s->regions[0]));
    s->regions[s->region_count++] = r;
    return r;
}

struct status io_space_add(struct io_space *s, u64 base, u64 length, const struct io_ops *ops,
                           void *dev, const char *name)
{
    if (!length || base >= s->limit || length > s->limit - base) {
        return status_error(STATUS_BAD_INPUT, "%s: registers at 0x%llx, length 0x%llx, do not fit",
                            name, (unsigned long long)base, (unsigned long long)length);
    }
    for (unsigned i = 0; i < s->region_count; i++) {
        const struct io_region *r = s->regions[i];
        if (r->enabled && base < r->base + r->length && r->base < base + length) {
            return status_error(STATUS_BAD_INPUT, "%s and %s both have registers at 0x%llx",
                                r->name, name,
                                (unsigned long long)(base > r->base ? base : r->base));
        }
    }
    io_space_map(s, io_space_add_movable(s, length, ops, dev, name), base, true);
    return status_success();
}

void io_space_set_window(struct io_region *region, struct physmem *mem, unsigned window)
{
    region->mem = mem;
    region->window = window;
}

void io_space_map(struct io_space *s, struct io_region *region, u64 base, bool enabled)
{
    bool fits = base < s->limit && region->length <= s->limit - base;
    if (region->base == base && region->enabled == (enabled && fits)) {
        return;
    }
    region->base = base;
    region->enabled = enabled && fits;
    spans_rebuild(s);
}

u64 io_space_read(struct io_space *s, u64 address, unsigned size)
{
    const struct io_span *span = span_find(s, address);
    if (LIKELY(span && address + (size - 1) <= span->last)) {
        const struct io_region *r = span->region;
        unsigned max = r->ops->max_size ? r->ops->max_size : 8;
        if (LIKELY(size <= max)) {
            return bits_truncate(r->ops->read(r->dev, address - r->base, size), size);
        }
        u64 value = 0;
        for (unsigned done = 0; done < size; done += max) {
            value |= bits_truncate(r->ops->read(r->dev, address + done - r->base, max), max)
                     << (done * 8);
        }
        return value;
    }
    if (size == 1) {
        return 0xFF;
    }
    u64 value = 0;
    for (unsigned i = 0; i < size; i++) {
        value |= io_space_read(s, address + i, 1) << (i * 8);
    }
    return value;
}

void io_space_write(struct io_space *s, u64 address, u64 value, unsigned size)
{
    const struct io_span *span = span_find(s, address);
    if (LIKELY(span && address + (size - 1) <= span->last)) {
        // A write may move the region (a BAR): nothing of the span is used after the first piece.
        const struct io_region *r = span->region;
        unsigned max = r->ops->max_size ? r->ops->max_size : 8;
        unsigned piece = size < max ? size : max;
        u64 offset = address - r->base;
        for (unsigned done = 0; done < size; done += piece) {
            r->ops->write(r->dev, offset + done, bits_truncate(value >> (done * 8), piece), piece);
        }
        return;
    }
    for (unsigned i = 0; i < size && size > 1; i++) {
        io_space_write(s, address + i, (value >> (i * 8)) & 0xFF, 1);
    }
}

const char *io_space_name(const struct io_space *s, u64 address)
{
    const struct io_span *span = span_find(s, address);
    return span ? span->region->name : NULL;
}
