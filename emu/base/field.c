// SPDX-License-Identifier: MIT
// Generic operations over field lists.
#include "base/field.h"

#include "base/hash.h"

#include <string.h>

void fields_hash(struct hash *h, const struct field *fields, const void *state)
{
    for (const struct field *f = fields; f->name; f++) {
        hash_bytes(h, (const u8 *)state + f->offset, (size_t)f->elem_size * f->count);
    }
}

size_t fields_size(const struct field *fields)
{
    size_t size = 0;
    for (const struct field *f = fields; f->name; f++) {
        size += (size_t)f->elem_size * f->count;
    }
    return size;
}

void fields_save(const struct field *fields, const void *state, u8 *out)
{
    for (const struct field *f = fields; f->name; f++) {
        size_t size = (size_t)f->elem_size * f->count;
        memcpy(out, (const u8 *)state + f->offset, size);
        out += size;
    }
}

void fields_load(const struct field *fields, void *state, const u8 *in)
{
    for (const struct field *f = fields; f->name; f++) {
        size_t size = (size_t)f->elem_size * f->count;
        memcpy((u8 *)state + f->offset, in, size);
        in += size;
    }
}

static bool in_bounds(const struct field *f, const u8 *in, u64 max)
{
    for (u32 i = 0; i < f->count; i++, in += f->elem_size) {
        u64 value = 0;
        memcpy(&value, in, f->elem_size);
        if (value > max) {
            return false;
        }
    }
    return true;
}

const struct field *fields_check(const struct field *fields, const u8 *in)
{
    for (const struct field *f = fields; f->name; f++) {
        if (f->max && !in_bounds(f, in, f->max)) {
            return f;
        }
        in += (size_t)f->elem_size * f->count;
    }
    return NULL;
}
