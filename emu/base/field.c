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
