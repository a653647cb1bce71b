// SPDX-License-Identifier: MIT
// Names are strings of tokens, a byte each; those of digits and letters stand for themselves, which
// is what the token table is recognized by. The other tables lie around it in one of two orders:
//   offsets, base, count, names, markers, [sequence], tokens, token index           (up to 6.3)
//   count, names, markers, [sequence], tokens, token index, offsets, base           (since 6.4)
// each aligned to 8 bytes. Every 256th name's place is in the markers, by which count and names are
// recognized.
#include "debugger/kallsyms.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define TOKENS 256u
#define NAME_MAX_BYTES 512u
#define COUNT_MIN 256u
#define COUNT_MAX (1u << 20)
#define NAMES_BEFORE_TOKENS (16u << 20) // bytes that the names may take
#define KERNEL_IMAGE UINT64_C(0xFFFFFFFF80000000)

struct kallsyms {
    const u8 *data;
    u64 size;
    u64 tokens, token_index; // where they are
    u32 count;
    u64 names, names_end;
    u64 offsets, base;
};

static u64 align8(u64 at)
{
    return (at + 7) & ~UINT64_C(7);
}

static u32 get32(const struct kallsyms *k, u64 at)
{
    u32 value = 0;
    if (at <= k->size && k->size - at >= sizeof(value)) {
        memcpy(&value, k->data + at, sizeof(value));
    }
    return value;
}

static u64 get64(const struct kallsyms *k, u64 at)
{
    return get32(k, at) | (u64)get32(k, at + 4) << 32;
}

static u32 token_offset(const struct kallsyms *k, unsigned token)
{
    u16 value;
    memcpy(&value, k->data + k->token_index + 2 * token, sizeof(value));
    return value;
}

// --- finding the tables

// The token table begins '0' tokens before "0".
static bool check_tokens(struct kallsyms *k, u64 zero)
{
    u64 at = zero;
    for (unsigned i = 0; i < '0'; i++) {
        if (at < 2 || k->data[at - 1]) {
            return false;
        }
        for (at--; at > 0 && k->data[at - 1]; at--) {
        }
    }
    k->tokens = at;
    for (unsigned i = 0; i < TOKENS; i++) {
        const u8 *end = memchr(k->data + at, 0, k->size - at);
        if (!end) {
            return false;
        }
        at = (u64)(end - k->data) + 1;
    }
    k->token_index = align8(at);
    if (k->token_index + 2 * TOKENS > k->size) {
        return false;
    }
    for (unsigned i = 0; i < TOKENS; i++) {
        u64 place = k->tokens + token_offset(k, i);
        if ((i == 0) != (place == k->tokens) || place >= at || (i && k->data[place - 1])) {
            return false;
        }
    }
    return true;
}

static bool find_tokens(struct kallsyms *k)
{
    static const char digits[] = "0\0001\0002\0003\0004\0005\0006\0007\0008\0009";
    const u8 *end = k->data + k->size, *at = k->data;
    while ((at = memmem(at, (size_t)(end - at), digits, sizeof(digits))) != NULL) {
        if (check_tokens(k, (u64)(at - k->data))) {
            return true;
        }
        at++;
    }
    return false;
}

// The length of the name at a place, and where its tokens begin; lengths above 127 take two bytes.
static u64 name_length(const struct kallsyms *k, u64 at, u64 *begin)
{
    u64 length = k->data[at];
    *begin = at + 1;
    if (length & 0x80) {
        length = (length & 0x7F) | (u64)k->data[at + 1] << 7;
        (*begin)++;
    }
    return length;
}

// Whether count names begin at k->names, with their markers behind.
static bool check_names(struct kallsyms *k)
{
    u64 at = k->names, second = 0;
    for (u32 i = 0; i < k->count; i++) {
        u64 begin;
        if (i == 256) {
            second = at - k->names;
        }
        if (at + 2 >= k->tokens) {
            return false;
        }
        u64 length = name_length(k, at, &begin);
        if (!length || length > NAME_MAX_BYTES) {
            return false;
        }
        at = begin + length;
    }
    k->names_end = at;
    return get32(k, align8(at)) == 0 && get32(k, align8(at) + 4) == second;
}

static bool find_names(struct kallsyms *k)
{
    u64 lowest = k->tokens > NAMES_BEFORE_TOKENS ? k->tokens - NAMES_BEFORE_TOKENS : 0;
    for (u64 at = align8(lowest); at + 8 < k->tokens; at += 8) {
        k->count = get32(k, at);
        k->names = at + 8;
        if (k->count > COUNT_MIN && k->count < COUNT_MAX && !get32(k, at + 4) && check_names(k)) {
            return true;
        }
    }
    return false;
}

static bool find_offsets(struct kallsyms *k)
{
    u64 bytes = align8(4 * (u64)k->count), count_at = k->names - 8;
    k->base = count_at - 8;
    k->offsets = k->base - bytes;
    if (count_at >= bytes + 8 && get64(k, k->base) >= KERNEL_IMAGE) {
        return true;
    }
    k->offsets = align8(k->token_index + 2 * TOKENS);
    k->base = k->offsets + bytes;
    return k->base + 8 <= k->size && get64(k, k->base) >= KERNEL_IMAGE;
}

// --- reading them

// Type letter and name.
static void expand(const struct kallsyms *k, u64 begin, u64 length, char *out, u64 room)
{
    u64 used = 0;
    for (u64 i = 0; i < length; i++) {
        const char *token = (const char *)k->data + k->tokens + token_offset(k, k->data[begin + i]);
        for (; *token && used + 1 < room; token++) {
            out[used++] = *token;
        }
    }
    out[used] = '\0';
}

// Whether negative offsets stand for addresses, so that those of per-CPU variables can be as they
// are (CONFIG_KALLSYMS_ABSOLUTE_PERCPU); without it all are unsigned distances from the base.
static bool is_signed(const struct kallsyms *k)
{
    u32 negative = 0;
    for (u32 i = 0; i < k->count; i++) {
        negative += get32(k, k->offsets + 4 * (u64)i) >> 31;
    }
    return negative > k->count / 2;
}

u32 kallsyms_read(const u8 *data, u64 size,
                  void (*fn)(void *ctx, u64 address, char type, const char *name), void *ctx)
{
    struct kallsyms k = {.data = data, .size = size};
    if (!find_tokens(&k) || !find_names(&k) || !find_offsets(&k)) {
        return 0;
    }
    bool per_cpu = is_signed(&k);
    u64 base = get64(&k, k.base), at = k.names;
    for (u32 i = 0; i < k.count; i++) {
        char text[NAME_MAX_BYTES];
        u64 begin, length = name_length(&k, at, &begin);
        s32 offset = (s32)get32(&k, k.offsets + 4 * (u64)i);
        at = begin + length;
        expand(&k, begin, length, text, sizeof(text));
        u64 address = !per_cpu     ? base + (u32)offset
                      : offset < 0 ? base - 1 - (u64)(s64)offset
                                   : (u64)offset;
        if (text[0] && text[1]) {
            fn(ctx, address, text[0], text + 1);
        }
    }
    return k.count;
}
