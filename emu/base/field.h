// SPDX-License-Identifier: MIT
// A list of the fields that are a structure's state. It is written once per structure and serves
// snapshot save and load, the state hash and the debugger's "info".
#ifndef VIV_BASE_FIELD_H
#define VIV_BASE_FIELD_H

#include "base/types.h"

enum field_format { FIELD_HEX, FIELD_DECIMAL, FIELD_BOOL, FIELD_BYTES };

struct field {
    const char *name;
    u32 offset;    // in the state structure
    u32 elem_size; // bytes; 1, 2, 4 or 8 for numbers
    u32 count;     // 1, or an array's length
    enum field_format format;
    u64 max; // the greatest value that any code here expects; 0: all are good
};

// A truth value is 0 or 1 without anyone saying so.
#define FIELD_MAX_OF(member) _Generic((member), bool : 1, default : 0)
#define FIELD_AS(type, member, fmt)                                                                \
    {#member,                                                                                      \
     (u32)offsetof(type, member),                                                                  \
     (u32)sizeof(((type *)0)->member),                                                             \
     1,                                                                                            \
     fmt,                                                                                          \
     FIELD_MAX_OF(((type *)0)->member)}
#define FIELD(type, member) FIELD_AS(type, member, FIELD_HEX)
#define FIELD_ARRAY(type, member)                                                                  \
    {#member,                                                                                      \
     (u32)offsetof(type, member),                                                                  \
     (u32)sizeof(((type *)0)->member[0]),                                                          \
     (u32)(sizeof(((type *)0)->member) / sizeof(((type *)0)->member[0])),                          \
     FIELD_HEX,                                                                                    \
     FIELD_MAX_OF(((type *)0)->member[0])}
// A number whose values are bounded: what comes from a file is checked.
#define FIELD_MAX(type, member, most)                                                              \
    {#member, (u32)offsetof(type, member), (u32)sizeof(((type *)0)->member), 1, FIELD_HEX, most}
#define FIELD_END {NULL, 0, 0, 0, FIELD_HEX}

struct hash;

// Feeds every field (name excluded, bytes included) into the hash.
void fields_hash(struct hash *h, const struct field *fields, const void *state);

// Bytes that save writes and load reads.
size_t fields_size(const struct field *fields);
void fields_save(const struct field *fields, const void *state, u8 *out);
void fields_load(const struct field *fields, void *state, const u8 *in);

// The first field that in gives a value beyond its max; NULL: there is none.
const struct field *fields_check(const struct field *fields, const u8 *in);

#endif
