// SPDX-License-Identifier: MIT
// One pass finds where each type stands; names are looked up in it one after another, which for a
// kernel's 60,000 types takes less than opening its file.
#include "debugger/btf.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define BTF_MAGIC 0xEB9Fu
#define TYPES_MAX (1u << 22)
#define MEMBERS_MAX 65536u
#define NESTING_MAX 32 // of modifiers, typedefs and anonymous members

// Kinds (Documentation/bpf/btf.rst, 2.2).
enum {
    KIND_INT = 1,
    KIND_PTR = 2,
    KIND_ARRAY = 3,
    KIND_STRUCT = 4,
    KIND_UNION = 5,
    KIND_ENUM = 6,
    KIND_FWD = 7,
    KIND_TYPEDEF = 8,
    KIND_VOLATILE = 9,
    KIND_CONST = 10,
    KIND_RESTRICT = 11,
    KIND_FUNC = 12,
    KIND_FUNC_PROTO = 13,
    KIND_VAR = 14,
    KIND_DATASEC = 15,
    KIND_FLOAT = 16,
    KIND_DECL_TAG = 17,
    KIND_TYPE_TAG = 18,
    KIND_ENUM64 = 19,
    KIND_COUNT
};

// Bytes behind the common part of a type, and those for each of its elements.
static const struct {
    u8 fixed, each;
} extra[KIND_COUNT] = {
    [KIND_INT] = {4, 0},         [KIND_ARRAY] = {12, 0},    [KIND_STRUCT] = {0, 12},
    [KIND_UNION] = {0, 12},      [KIND_ENUM] = {0, 8},      [KIND_FUNC_PROTO] = {0, 8},
    [KIND_VAR] = {4, 0},         [KIND_DATASEC] = {0, 12},  [KIND_DECL_TAG] = {4, 0},
    [KIND_ENUM64] = {0, 12},
};

struct btf_header {
    u16 magic;
    u8 version, flags;
    u32 header_size, type_offset, type_size, string_offset, string_size;
};

struct btf_type {
    u32 name, info;
    u32 size_or_type;
};

struct btf {
    const u8 *types, *strings;
    u32 types_size, strings_size;
    u32 *offsets; // of each type, [0] is void
    u32 count;
};

static u32 get32(const u8 *at)
{
    u32 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static struct btf_type type_at(const struct btf *b, u32 id)
{
    struct btf_type t;
    memcpy(&t, b->types + b->offsets[id], sizeof(t));
    return t;
}

static unsigned kind_of(const struct btf_type *t)
{
    return t->info >> 24 & 31;
}

static u32 elements_of(const struct btf_type *t)
{
    return t->info & 0xFFFF;
}

// Behind the common part.
static const u8 *details(const struct btf *b, u32 id)
{
    return b->types + b->offsets[id] + sizeof(struct btf_type);
}

static const char *name_at(const struct btf *b, u32 offset)
{
    return offset < b->strings_size ? (const char *)b->strings + offset : "";
}

// Finds where each type begins; false where one does not fit.
static bool index_types(struct btf *b)
{
    u32 room = 0;
    b->count = 1; // void
    for (u32 at = 0; b->types_size - at >= sizeof(struct btf_type); b->count++) {
        struct btf_type t;
        memcpy(&t, b->types + at, sizeof(t));
        unsigned kind = kind_of(&t);
        if (!kind || kind >= KIND_COUNT || b->count == TYPES_MAX) {
            return false;
        }
        u64 size = sizeof(t) + extra[kind].fixed + (u64)extra[kind].each * elements_of(&t);
        if (size > b->types_size - at) {
            return false;
        }
        if (b->count >= room) {
            room = room ? 2 * room : 4096;
            b->offsets = xrealloc(b->offsets, room * sizeof(*b->offsets));
            b->offsets[0] = 0;
        }
        b->offsets[b->count] = at;
        at += (u32)size;
    }
    return b->count > 1;
}

struct btf *btf_open(const u8 *data, u64 size)
{
    struct btf_header h;
    if (size < sizeof(h)) {
        return NULL;
    }
    memcpy(&h, data, sizeof(h));
    if (h.magic != BTF_MAGIC || h.version != 1 || h.header_size < sizeof(h) ||
        (u64)h.header_size + h.type_offset + h.type_size > size ||
        (u64)h.header_size + h.string_offset + h.string_size > size || !h.string_size ||
        data[(u64)h.header_size + h.string_offset + h.string_size - 1]) {
        return NULL;
    }
    struct btf *b = xcalloc(1, sizeof(*b));
    b->types = data + h.header_size + h.type_offset;
    b->types_size = h.type_size;
    b->strings = data + h.header_size + h.string_offset;
    b->strings_size = h.string_size;
    if (!index_types(b)) {
        btf_close(b);
        return NULL;
    }
    return b;
}

void btf_close(struct btf *b)
{
    if (b) {
        free(b->offsets);
        free(b);
    }
}

// --- types

// Takes off names and qualifiers.
static bool resolve(const struct btf *b, u32 *id)
{
    for (unsigned i = 0; i < NESTING_MAX && *id && *id < b->count; i++) {
        struct btf_type t = type_at(b, *id);
        switch (kind_of(&t)) {
        case KIND_TYPEDEF:
        case KIND_VOLATILE:
        case KIND_CONST:
        case KIND_RESTRICT:
        case KIND_TYPE_TAG:
            *id = t.size_or_type;
            break;
        default:
            return true;
        }
    }
    return false;
}

static u64 size_of(const struct btf *b, u32 id, unsigned nesting)
{
    if (nesting > NESTING_MAX || !resolve(b, &id)) {
        return 0;
    }
    struct btf_type t = type_at(b, id);
    switch (kind_of(&t)) {
    case KIND_PTR:
        return 8;
    case KIND_ARRAY:
        return size_of(b, get32(details(b, id)), nesting + 1) * get32(details(b, id) + 8);
    case KIND_FUNC_PROTO:
    case KIND_FWD:
        return 0;
    default:
        return t.size_or_type;
    }
}

static bool is_composite(const struct btf_type *t)
{
    return kind_of(t) == KIND_STRUCT || kind_of(t) == KIND_UNION;
}

static bool find_struct(const struct btf *b, const char *name, u32 *id)
{
    for (u32 i = 1; i < b->count; i++) {
        struct btf_type t = type_at(b, i);
        bool fits = is_composite(&t) || kind_of(&t) == KIND_TYPEDEF;
        if (fits && !strcmp(name_at(b, t.name), name)) {
            *id = i;
            return resolve(b, id);
        }
    }
    return false;
}

struct found {
    u32 type;
    u64 offset_bits;
    u32 field_bits; // 0: no bit-field
};

struct search {
    const struct btf *b;
    const char *name;
    u64 length;
    unsigned members_left; // to be looked at: structures may hold each other in a malformed table
};

// A member of a structure, inside anonymous members too; adds to the offset.
static bool search_member(struct search *s, u32 id, unsigned nesting, struct found *out)
{
    const struct btf *b = s->b;
    if (nesting > NESTING_MAX || !resolve(b, &id)) {
        return false;
    }
    struct btf_type t = type_at(b, id);
    bool has_fields = t.info >> 31; // offsets hold the bit-field's size as well
    for (u32 i = 0; is_composite(&t) && i < elements_of(&t) && s->members_left; i++) {
        const u8 *member = details(b, id) + 12 * i;
        s->members_left--;
        const char *own = name_at(b, get32(member));
        u32 offset = get32(member + 8);
        struct found found = {.type = get32(member + 4),
                              .offset_bits =
                                  out->offset_bits + (has_fields ? offset & 0xFFFFFF : offset),
                              .field_bits = has_fields ? offset >> 24 : 0};
        if (!*own) {
            if (search_member(s, found.type, nesting + 1, &found)) {
                *out = found;
                return true;
            }
        } else if (!strncmp(own, s->name, s->length) && !own[s->length]) {
            *out = found;
            return true;
        }
    }
    return false;
}

static bool find_member(const struct btf *b, u32 id, const char *name, u64 length,
                        struct found *out)
{
    struct search s = {b, name, length, MEMBERS_MAX};
    return search_member(&s, id, 0, out);
}

// "[3]" behind an array's name.
static bool step_into_array(const struct btf *b, const char **path, struct found *at)
{
    char *end;
    u64 index = strtoull(*path + 1, &end, 0);
    if (*end != ']' || !resolve(b, &at->type)) {
        return false;
    }
    struct btf_type t = type_at(b, at->type);
    if (kind_of(&t) != KIND_ARRAY) {
        return false;
    }
    at->type = get32(details(b, at->type));
    at->offset_bits += index * size_of(b, at->type, 0) * 8;
    *path = end + 1;
    return true;
}

bool btf_member(const struct btf *b, const char *structure, const char *path,
                struct symbol_member *out)
{
    struct found at = {0};
    if (!find_struct(b, structure, &at.type)) {
        return false;
    }
    for (; *path; path += *path == '.') {
        if (*path == '[') {
            if (!step_into_array(b, &path, &at)) {
                return false;
            }
            continue;
        }
        u64 length = strcspn(path, ".[");
        if (!length || !find_member(b, at.type, path, length, &at)) {
            return false;
        }
        path += length;
    }
    *out = (struct symbol_member){.offset = at.offset_bits / 8};
    if (at.field_bits || !resolve(b, &at.type)) {
        return true;
    }
    struct btf_type t = type_at(b, at.type);
    out->size = size_of(b, at.type, 0);
    out->is_pointer = kind_of(&t) == KIND_PTR;
    out->is_signed = kind_of(&t) == KIND_INT && get32(details(b, at.type)) >> 24 & 1;
    return true;
}

bool btf_struct_size(const struct btf *b, const char *structure, u64 *size)
{
    u32 id;
    if (!find_struct(b, structure, &id)) {
        return false;
    }
    *size = size_of(b, id, 0);
    return *size != 0;
}

bool btf_enumerator(const struct btf *b, const char *name, s64 *value)
{
    for (u32 id = 1; id < b->count; id++) {
        struct btf_type t = type_at(b, id);
        bool wide = kind_of(&t) == KIND_ENUM64;
        if (!wide && kind_of(&t) != KIND_ENUM) {
            continue;
        }
        for (u32 i = 0; i < elements_of(&t); i++) {
            const u8 *row = details(b, id) + (wide ? 12 : 8) * i;
            if (!strcmp(name_at(b, get32(row)), name)) {
                u32 low = get32(row + 4), high = wide ? get32(row + 8) : 0;
                *value = wide ? (s64)((u64)high << 32 | low) : (s32)low;
                return true;
            }
        }
    }
    return false;
}
