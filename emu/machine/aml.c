// SPDX-License-Identifier: MIT
// AML terms and resource descriptors as bytes.
#include "machine/aml.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

enum { // 20.3
    OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0A, OP_WORD = 0x0B, OP_DWORD = 0x0C,
    OP_STRING = 0x0D, OP_QWORD = 0x0E, OP_SCOPE = 0x10, OP_BUFFER = 0x11, OP_PACKAGE = 0x12,
    OP_EXTENDED = 0x5B, OP_DEVICE = 0x82, // the latter after OP_EXTENDED
};

enum { // 6.4.2, 6.4.3: first bytes of descriptors
    RESOURCE_IRQ = 0x22, RESOURCE_IO = 0x47, RESOURCE_END = 0x79, RESOURCE_MEMORY32_FIXED = 0x86,
    RESOURCE_DWORD = 0x87, RESOURCE_WORD = 0x88,
    WINDOW_MEMORY = 0, WINDOW_IO = 1, WINDOW_BUS = 2,
    WINDOW_FIXED = 0x0C, // _MIF, _MAF: both ends are fixed; a producer
};

void aml_bytes(struct aml *a, const void *bytes, size_t size)
{
    if (a->room - a->size < size) {
        a->room = (a->room + size) * 2;
        a->bytes = xrealloc(a->bytes, a->room);
    }
    if (size) {
        memcpy(a->bytes + a->size, bytes, size);
        a->size += size;
    }
}

void aml_number(struct aml *a, u64 value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        u8 byte = (u8)(value >> (8 * i));
        aml_bytes(a, &byte, 1);
    }
}

static size_t segment_length(const char *name)
{
    size_t length = strlen(name);
    CHECK(length == 4);
    return length;
}

static void put_name(struct aml *a, const char *name)
{
    if (*name == '\\') {
        aml_bytes(a, name++, 1);
    }
    aml_bytes(a, name, segment_length(name));
}

size_t aml_open_scope(struct aml *a, const char *name)
{
    aml_number(a, OP_SCOPE, 1);
    size_t at = a->size;
    put_name(a, name);
    return at;
}

size_t aml_open_device(struct aml *a, const char *name)
{
    aml_number(a, OP_EXTENDED, 1);
    aml_number(a, OP_DEVICE, 1);
    size_t at = a->size;
    put_name(a, name);
    return at;
}

size_t aml_open_package(struct aml *a, u8 elements)
{
    aml_number(a, OP_PACKAGE, 1);
    size_t at = a->size;
    aml_number(a, elements, 1);
    return at;
}

void aml_close(struct aml *a, size_t at)
{
    size_t content = a->size - at;
    unsigned extra = content < 0x3F ? 0 : content < 0xFFE ? 1 : content < 0xFFFFD ? 2 : 3;
    size_t length = content + 1 + extra; // it counts itself
    u8 encoded[4] = {(u8)(extra ? extra << 6 | (length & 0xF) : length)};
    for (unsigned i = 0; i < extra; i++) {
        encoded[1 + i] = (u8)(length >> (4 + 8 * i));
    }
    aml_bytes(a, encoded, 1 + extra); // makes room
    memmove(a->bytes + at + 1 + extra, a->bytes + at, content);
    memcpy(a->bytes + at, encoded, 1 + extra);
}

void aml_name(struct aml *a, const char *name)
{
    aml_number(a, OP_NAME, 1);
    put_name(a, name);
}

void aml_integer(struct aml *a, u64 value)
{
    if (value <= 1) {
        aml_number(a, value ? OP_ONE : OP_ZERO, 1);
        return;
    }
    unsigned size = value <= 0xFF ? 1 : value <= 0xFFFF ? 2 : value <= UINT32_MAX ? 4 : 8;
    aml_number(a, size == 1 ? OP_BYTE : size == 2 ? OP_WORD : size == 4 ? OP_DWORD : OP_QWORD, 1);
    aml_number(a, value, size);
}

void aml_string(struct aml *a, const char *text)
{
    aml_number(a, OP_STRING, 1);
    aml_bytes(a, text, strlen(text) + 1);
}

void aml_eisa_id(struct aml *a, const char *id)
{
    CHECK(strlen(id) == 7);
    u32 vendor = (u32)(id[0] - '@') << 10 | (u32)(id[1] - '@') << 5 | (u32)(id[2] - '@');
    u32 product = (u32)strtoul(id + 3, NULL, 16);
    aml_number(a, OP_DWORD, 1);
    aml_number(a, __builtin_bswap16((u16)vendor), 2); // both with their high byte first
    aml_number(a, __builtin_bswap16((u16)product), 2);
}

void aml_buffer(struct aml *a, const struct aml *content)
{
    aml_number(a, OP_BUFFER, 1);
    size_t at = a->size;
    aml_integer(a, content->size);
    aml_bytes(a, content->bytes, content->size);
    aml_close(a, at);
}

void resource_io(struct aml *a, u16 base, u8 length)
{
    aml_number(a, RESOURCE_IO, 1);
    aml_number(a, 1, 1); // decodes 16 bits
    aml_number(a, base, 2);
    aml_number(a, base, 2);
    aml_number(a, 1, 1);
    aml_number(a, length, 1);
}

void resource_irq(struct aml *a, unsigned irq)
{
    aml_number(a, RESOURCE_IRQ, 1);
    aml_number(a, BIT(irq), 2);
}

void resource_memory(struct aml *a, u32 base, u32 length)
{
    aml_number(a, RESOURCE_MEMORY32_FIXED, 1);
    aml_number(a, 9, 2);
    aml_number(a, 1, 1); // writable
    aml_number(a, base, 4);
    aml_number(a, length, 4);
}

// 6.4.3.5.2, 6.4.3.5.3: granularity, minimum, maximum, translation, length.
static void window(struct aml *a, u8 type, u8 specific, u64 first, u64 last, unsigned width)
{
    aml_number(a, width == 2 ? RESOURCE_WORD : RESOURCE_DWORD, 1);
    aml_number(a, 3 + 5 * width, 2);
    aml_number(a, type, 1);
    aml_number(a, WINDOW_FIXED, 1);
    aml_number(a, specific, 1);
    aml_number(a, 0, width);
    aml_number(a, first, width);
    aml_number(a, last, width);
    aml_number(a, 0, width);
    aml_number(a, last - first + 1, width);
}

void resource_bus_window(struct aml *a, u16 first, u16 last)
{
    window(a, WINDOW_BUS, 0, first, last, 2);
}

void resource_port_window(struct aml *a, u16 first, u16 last)
{
    window(a, WINDOW_IO, 3, first, last, 2); // the whole range, ISA and not
}

void resource_memory_window(struct aml *a, u32 first, u32 last)
{
    window(a, WINDOW_MEMORY, 1, first, last, 4); // writable, not cached
}

void resource_end(struct aml *a)
{
    aml_number(a, RESOURCE_END, 1);
    aml_number(a, 0, 1); // no checksum
}
