// SPDX-License-Identifier: MIT
// The encodings of the recording's file.
#include "replay/bytes.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define CRC32C_POLYNOMIAL UINT32_C(0x82F63B78) // reflected

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){0};
}

void bytes_put(struct bytes *b, const void *data, size_t size)
{
    if (!size) {
        return;
    }
    if (b->room - b->size < size) {
        b->room = (b->size + size) * 2;
        b->data = xrealloc(b->data, b->room);
    }
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

void bytes_put_u8(struct bytes *b, u8 value)
{
    bytes_put(b, &value, sizeof(value));
}

void bytes_put_u32(struct bytes *b, u32 value)
{
    bytes_put(b, &value, sizeof(value)); // viv's hosts are little-endian
}

void bytes_put_u64(struct bytes *b, u64 value)
{
    bytes_put(b, &value, sizeof(value));
}

void bytes_put_varint(struct bytes *b, u64 value)
{
    while (value >= 0x80) {
        bytes_put_u8(b, (u8)(value | 0x80));
        value >>= 7;
    }
    bytes_put_u8(b, (u8)value);
}

void bytes_put_text(struct bytes *b, const char *text)
{
    size_t size = strlen(text);
    bytes_put_varint(b, size);
    bytes_put(b, text, size);
}

const u8 *bytes_get(struct bytes_in *in, size_t size)
{
    if (in->bad || in->size - in->at < size) {
        in->bad = true;
        return NULL;
    }
    const u8 *data = in->data + in->at;
    in->at += size;
    return data;
}

u8 bytes_get_u8(struct bytes_in *in)
{
    const u8 *data = bytes_get(in, 1);
    return data ? *data : 0;
}

u32 bytes_get_u32(struct bytes_in *in)
{
    u32 value = 0;
    const u8 *data = bytes_get(in, sizeof(value));
    if (data) {
        memcpy(&value, data, sizeof(value));
    }
    return value;
}

u64 bytes_get_u64(struct bytes_in *in)
{
    u64 value = 0;
    const u8 *data = bytes_get(in, sizeof(value));
    if (data) {
        memcpy(&value, data, sizeof(value));
    }
    return value;
}

u64 bytes_get_varint(struct bytes_in *in)
{
    u64 value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        u8 byte = bytes_get_u8(in);
        if (shift == 63 && byte > 1) {
            break; // more than 64 bits
        }
        value |= (u64)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            return in->bad ? 0 : value;
        }
    }
    in->bad = true;
    return 0;
}

char *bytes_get_text(struct bytes_in *in, size_t max)
{
    u64 size = bytes_get_varint(in);
    const u8 *data = size <= max ? bytes_get(in, (size_t)size) : NULL;
    if (!data || memchr(data, 0, (size_t)size)) {
        in->bad = true;
        return xstrdup("");
    }
    char *text = xcalloc(1, (size_t)size + 1);
    memcpy(text, data, (size_t)size);
    return text;
}

// Eight bits at a time, the table made on the way in.
static u32 crc32c_portable(u32 crc, const u8 *bytes, size_t size)
{
    u32 table[256];
    for (u32 i = 0; i < 256; i++) {
        u32 value = i;
        for (unsigned bit = 0; bit < 8; bit++) {
            value = value >> 1 ^ (value & 1 ? CRC32C_POLYNOMIAL : 0);
        }
        table[i] = value;
    }
    for (size_t i = 0; i < size; i++) {
        crc = crc >> 8 ^ table[(crc ^ bytes[i]) & 0xFF];
    }
    return crc;
}

// The host's CRC32 instruction (SDM 2A), which computes this very polynomial.
__attribute__((target("sse4.2"))) static u32 crc32c_host(u32 crc, const u8 *bytes, size_t size)
{
    u64 wide = crc;
    for (; size >= sizeof(u64); bytes += sizeof(u64), size -= sizeof(u64)) {
        u64 word;
        memcpy(&word, bytes, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (u32)wide;
    for (; size; bytes++, size--) {
        crc = __builtin_ia32_crc32qi(crc, *bytes);
    }
    return crc;
}

u32 bytes_crc32c(u32 crc, const void *data, size_t size)
{
    return __builtin_cpu_supports("sse4.2") ? ~crc32c_host(~crc, data, size)
                                            : ~crc32c_portable(~crc, data, size);
}
