// SPDX-License-Identifier: MIT
// What of Linux kernels is not in ELF symbol tables or DWARF: the compressed kernel in a bzImage
// (Documentation/x86/boot.rst), System.map, kallsyms, BTF and ORC, and where the kernel really
// lies.
#include "base/bits.h"
#include "debugger/kallsyms.h"
#include "debugger/symbols_internal.h"

#include <lzma.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#define KERNEL_MAX_BYTES (UINT64_C(256) << 20)
#define LZMA_MEMORY_MAX (UINT64_C(256) << 20)
#define LINUX_ENTRY "entry_SYSCALL_64" // LSTAR holds its address
#define LINUX_ALIGNMENT (UINT64_C(1) << 21)
#define SYMBOL_BYTES_MAX 256

// --- bzImage

// Fields of the setup header (boot.rst), which begins at 0x1F1.
enum {
    SETUP_SECTS = 0x1F1,
    SETUP_MAGIC = 0x202,
    SETUP_PAYLOAD_OFFSET = 0x248,
    SETUP_PAYLOAD_LENGTH = 0x24C,
    SETUP_END = 0x250
};

static u32 get32(const u8 *at)
{
    u32 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

bool symbols_is_bzimage(const u8 *bytes, u64 size)
{
    return size > SETUP_END && !memcmp(bytes + SETUP_MAGIC, "HdrS", 4);
}

static bool unpack_xz(const u8 *in, u64 size, u8 *out, u64 *used)
{
    lzma_stream stream = LZMA_STREAM_INIT;
    if (lzma_stream_decoder(&stream, LZMA_MEMORY_MAX, 0) != LZMA_OK) {
        return false;
    }
    stream.next_in = in;
    stream.avail_in = size;
    stream.next_out = out;
    stream.avail_out = *used;
    lzma_ret end = lzma_code(&stream, LZMA_RUN);
    *used = stream.total_out;
    lzma_end(&stream);
    return end == LZMA_STREAM_END;
}

static bool unpack_zstd(const u8 *in, u64 size, u8 *out, u64 *used)
{
    ZSTD_DCtx *context = ZSTD_createDCtx();
    ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, 27); // as zstd -22 --ultra made it
    size_t frame = ZSTD_findFrameCompressedSize(in, size);
    size_t got = ZSTD_isError(frame) ? frame : ZSTD_decompressDCtx(context, out, *used, in, frame);
    ZSTD_freeDCtx(context);
    *used = got;
    return !ZSTD_isError(got);
}

// A length in LZ4's way: 15 in the token, then bytes up to the first that is not 255.
static bool lz4_length(const u8 **at, const u8 *end, u64 *length)
{
    if (*length != 15) {
        return true;
    }
    for (;;) {
        if (*at == end) {
            return false;
        }
        *length += **at;
        if (*(*at)++ != 255) {
            return true;
        }
    }
}

// One block (lz4_Block_format.md): literals and a match in turn, the last literals alone.
static bool unpack_lz4_block(const u8 *at, u64 size, u8 *out, u64 *used, u64 room)
{
    const u8 *end = at + size;
    while (at < end) {
        u64 literals = *at >> 4, match = *at & 15;
        at++;
        if (!lz4_length(&at, end, &literals) || literals > (u64)(end - at) ||
            literals > room - *used) {
            return false;
        }
        memcpy(out + *used, at, literals);
        *used += literals;
        at += literals;
        if (at == end) {
            return true;
        }
        if (end - at < 2) {
            return false;
        }
        u64 distance = at[0] | (u64)at[1] << 8;
        at += 2;
        if (!lz4_length(&at, end, &match) || !distance || distance > *used ||
            match + 4 > room - *used) {
            return false;
        }
        for (match += 4; match; match--, (*used)++) { // may overlap with itself
            out[*used] = out[*used - distance];
        }
    }
    return false;
}

// The legacy frame: blocks with their sizes before them.
static bool unpack_lz4(const u8 *in, u64 size, u8 *out, u64 *used)
{
    u64 room = *used, at = sizeof(u32);
    *used = 0;
    while (size - at >= sizeof(u32)) {
        u32 block = get32(in + at);
        at += sizeof(u32);
        if (block > size - at || !unpack_lz4_block(in + at, block, out, used, room)) {
            return false;
        }
        at += block;
    }
    return true;
}

static const struct packing {
    u32 magic; // its first four bytes
    bool (*unpack)(const u8 *in, u64 size, u8 *out, u64 *used);
} packings[] = {{0x587A37FD, unpack_xz}, {0xFD2FB528, unpack_zstd}, {0x184C2102, unpack_lz4}};

struct status symbols_unpack_bzimage(const char *path, const u8 *bytes, u64 size, u8 **out,
                                     u64 *out_size)
{
    u64 sectors = bytes[SETUP_SECTS] ? bytes[SETUP_SECTS] : 4;
    u64 begin = (sectors + 1) * 512 + get32(bytes + SETUP_PAYLOAD_OFFSET);
    u64 length = get32(bytes + SETUP_PAYLOAD_LENGTH);
    if (begin + length > size || length < 16) {
        return status_error(STATUS_BAD_INPUT, "%s: a bzImage whose kernel is cut off", path);
    }
    const u8 *payload = bytes + begin;
    const struct packing *packing = NULL;
    for (size_t i = 0; i < ARRAY_LEN(packings); i++) {
        packing = get32(payload) == packings[i].magic ? &packings[i] : packing;
    }
    if (!packing) {
        return status_error(STATUS_BAD_INPUT,
                            "%s: a bzImage that is not packed by xz, zstd or LZ4; give its vmlinux",
                            path);
    }
    // Behind the payload stands the kernel's size.
    *out_size = get32(payload + length - 4);
    *out_size = *out_size < KERNEL_MAX_BYTES ? *out_size : KERNEL_MAX_BYTES;
    *out = xcalloc(1, *out_size + 1);
    if (!packing->unpack(payload, length - 4, *out, out_size)) {
        free(*out);
        *out = NULL;
        return status_error(STATUS_BAD_INPUT, "%s: the kernel in the bzImage does not unpack",
                            path);
    }
    return status_success();
}

// --- names

struct name_collection {
    struct symbol_object *o;
    size_t names_room;
    u64 text_used, text_room;
};

static u8 letter_rank(char type)
{
    bool global = type >= 'A' && type <= 'Z';
    switch (type) {
    case 't':
    case 'T':
    case 'w':
    case 'W':
        return (u8)(4 + global);
    case 'a':
    case 'A':
        return 0;
    default:
        return (u8)(2 + global);
    }
}

// Names move while they are collected: until the end a row holds the place in the text.
static void collect(void *ctx, u64 address, char type, const char *name)
{
    struct name_collection *c = ctx;
    struct symbol_object *o = c->o;
    u64 size = strlen(name) + 1;
    if (o->name_count == c->names_room) {
        c->names_room = c->names_room ? 2 * c->names_room : 65536;
        o->names = xrealloc(o->names, c->names_room * sizeof(*o->names));
    }
    if (c->text_used + size > c->text_room) {
        c->text_room = 2 * c->text_room + size + 65536;
        o->text = xrealloc(o->text, c->text_room);
    }
    memcpy(o->text + c->text_used, name, size);
    o->names[o->name_count++] = (struct name_row){.start = address,
                                                  .limit = UINT64_MAX,
                                                  .text_at = c->text_used,
                                                  .rank = letter_rank(type)};
    c->text_used += size;
}

static void finish_names(struct symbol_object *o)
{
    for (size_t i = 0; i < o->name_count; i++) {
        o->names[i].name = o->text + o->names[i].text_at;
    }
}

void symbols_read_kallsyms(struct symbol_object *o, const u8 *rodata, u64 size)
{
    struct name_collection c = {.o = o};
    kallsyms_read(rodata, size, collect, &c);
    finish_names(o);
}

// "ffffffff81000000 T _text", as nm(1) writes it.
static bool read_map_line(struct name_collection *c, const char *line)
{
    char name[SYMBOL_BYTES_MAX], type;
    unsigned long long address;
    if (sscanf(line, "%16llx %c %255s", &address, &type, name) != 3) {
        return false;
    }
    collect(c, address, type, name);
    return true;
}

bool symbols_read_map(struct symbol_object *o, const char *text, u64 size)
{
    struct name_collection c = {.o = o};
    const char *end = text + size;
    bool fine = size != 0;
    for (const char *at = text; fine && at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        char line[SYMBOL_BYTES_MAX + 64];
        u64 length = (u64)((newline ? newline : end) - at);
        fine = length < sizeof(line);
        if (fine) {
            memcpy(line, at, length);
            line[length] = '\0';
            fine = read_map_line(&c, line);
        }
        at = newline ? newline + 1 : end;
    }
    finish_names(o);
    return fine && o->name_count;
}

// --- where the kernel lies

static struct symbol_object *linux_object(const struct symbols *s, u64 *entry)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        if (s->objects[i]->kernel && symbols_own_address(s->objects[i], LINUX_ENTRY, entry)) {
            return s->objects[i];
        }
    }
    return NULL;
}

bool symbols_kernel_is_linux(struct symbols *s)
{
    u64 entry;
    return linux_object(s, &entry) != NULL;
}

bool symbols_locate_kernel(struct symbols *s, u64 lstar)
{
    u64 entry = 0;
    bool moved = false;
    if (!lstar || lstar == s->located_by || !linux_object(s, &entry)) {
        return false;
    }
    u64 bias = lstar - entry;
    if (bias % LINUX_ALIGNMENT) {
        return false; // another kernel's, or code that looks on
    }
    s->located_by = lstar;
    for (unsigned i = 0; i < s->object_count; i++) {
        struct symbol_object *o = s->objects[i];
        moved |= o->kernel && o->bias != bias;
        o->bias = o->kernel ? bias : o->bias;
    }
    return moved;
}
