// SPDX-License-Identifier: MIT
// From a display's memory to pixels of one form, as far as pages changed.
#include "display/surface.h"

#include "base/hash.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void surface_init(struct surface *s)
{
    *s = (struct surface){.width = 0};
}

void surface_free(struct surface *s)
{
    free(s->pixels);
    surface_init(s);
}

static u32 pixel_bytes(const struct device_picture *p)
{
    return p->format == DEVICE_RGB565 ? 2 : 4;
}

static u64 row_offset(const struct device_picture *p, u32 y)
{
    return p->offset + (u64)y * p->stride_bytes;
}

static bool row_is_newer(const struct physmem *mem, const struct device_picture *p, u32 y,
                         u64 epoch)
{
    u64 first = row_offset(p, y), last = first + (u64)p->width * pixel_bytes(p) - 1;
    for (u64 rpn = first >> PAGE_SHIFT; rpn <= last >> PAGE_SHIFT; rpn++) {
        if (mem->page_epoch[rpn] > epoch) {
            return true;
        }
    }
    return false;
}

// Five or six bits become eight, so that all ones stay all ones.
static u32 from_565(u32 value)
{
    u32 red = value >> 11 & 0x1F, green = value >> 5 & 0x3F, blue = value & 0x1F;
    red = red << 3 | red >> 2;
    green = green << 2 | green >> 4;
    blue = blue << 3 | blue >> 2;
    return red << 16 | green << 8 | blue;
}

static void convert_row(u32 *out, const u8 *in, const struct device_picture *p)
{
    for (u32 x = 0; x < p->width; x++) {
        u32 value = 0;
        memcpy(&value, in + (size_t)x * pixel_bytes(p), pixel_bytes(p));
        switch (p->format) {
        case DEVICE_XRGB8888:
            out[x] = value & 0xFFFFFF;
            break;
        case DEVICE_XRGB8888_BIG_ENDIAN:
            out[x] = __builtin_bswap32(value) & 0xFFFFFF;
            break;
        case DEVICE_RGB565:
            out[x] = from_565(value);
            break;
        }
    }
}

static void resize(struct surface *s, u32 width, u32 height)
{
    free(s->pixels);
    s->pixels = xcalloc((size_t)width * height + 1, sizeof(u32));
    s->width = width;
    s->height = height;
}

static bool same_source(const struct device_picture *a, const struct device_picture *b)
{
    return a->on == b->on && a->width == b->width && a->height == b->height &&
           a->stride_bytes == b->stride_bytes && a->offset == b->offset && a->format == b->format;
}

static void add_row(struct surface_rows *rows, u32 y)
{
    if (!rows->count) {
        rows->first = y;
    }
    rows->count = y - rows->first + 1;
}

// Rows whose pages are newer than the last copy, or all of them.
static void copy_rows(struct surface *s, const struct physmem *mem, bool all,
                      struct surface_rows *rows)
{
    u32 *row = xcalloc(s->width, sizeof(u32));
    for (u32 y = 0; y < s->height; y++) {
        u32 *old = s->pixels + (size_t)y * s->width;
        if (all || row_is_newer(mem, &s->from, y, s->epoch)) {
            convert_row(row, mem->ram + row_offset(&s->from, y), &s->from);
            if (memcmp(row, old, s->width * sizeof(u32)) != 0) {
                memcpy(old, row, s->width * sizeof(u32));
                add_row(rows, y);
            }
        }
    }
    free(row);
}

static void blacken(struct surface *s, struct surface_rows *rows)
{
    for (u32 y = 0; y < s->height; y++) {
        u32 *row = s->pixels + (size_t)y * s->width;
        bool black = true;
        for (u32 x = 0; x < s->width && black; x++) {
            black = row[x] == 0;
        }
        if (!black) {
            memset(row, 0, s->width * sizeof(u32));
            add_row(rows, y);
        }
    }
}

static bool any_newer(const struct surface *s, const struct physmem *mem)
{
    u64 first = s->from.offset >> PAGE_SHIFT;
    u64 end = row_offset(&s->from, s->height - 1) + (u64)s->width * pixel_bytes(&s->from);
    for (u64 rpn = first; rpn <= (end - 1) >> PAGE_SHIFT; rpn++) {
        if (mem->page_epoch[rpn] > s->epoch) {
            return true;
        }
    }
    return false;
}

bool surface_update(struct surface *s, struct machine *m, struct surface_rows *changed)
{
    struct physmem *mem = machine_memory(m);
    struct device_picture now = {.width = 0};
    struct surface_rows rows = {0, 0};
    machine_picture(m, &now);
    bool resized = !s->pixels || now.width != s->width || now.height != s->height;
    bool same = !resized && same_source(&now, &s->from);
    if (resized) {
        resize(s, now.width, now.height);
    }
    s->from = now;
    if (!now.on) {
        if (!same) {
            blacken(s, &rows);
        }
    } else if (!same || any_newer(s, mem)) {
        // Ending the epoch makes later stores to these pages show; an unchanged picture ends none.
        u64 ended = physmem_next_epoch(mem);
        copy_rows(s, mem, !same, &rows);
        s->epoch = ended;
    }
    if (resized) {
        rows = (struct surface_rows){0, s->height};
    }
    if (changed) {
        *changed = rows;
    }
    return rows.count != 0;
}

u64 surface_hash(const struct surface *s)
{
    struct hash *h = hash_create();
    hash_u64(h, (u64)s->width << 32 | s->height);
    hash_bytes(h, s->pixels, (size_t)s->width * s->height * sizeof(u32));
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}
