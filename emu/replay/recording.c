// SPDX-License-Identifier: MIT
// The header: fixed part, then tagged items.
#include "replay/recording.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "cpu/cpu.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREE_MAX (16u << 20)
#define TEXT_MAX 4096
#define SHA_PIECE 65536
#define CPUID_SUBLEAVES 5

// The first byte is no text, the line ends show a transfer that changed them.
static const u8 magic[8] = {0x89, 'V', 'I', 'V', '\r', '\n', 0x1A, '\n'};

// Item tags. Readers skip what they do not know unless it is marked ITEM_REQUIRED.
enum { ITEM_MACHINE = 1, ITEM_TREE, ITEM_CPU, ITEM_HASHES, ITEM_IMAGE, ITEM_CPUID, ITEM_PROFILE };
#define ITEM_REQUIRED 0x8000u

void recording_free(struct recording *r)
{
    free(r->tree);
    free(r->cpu_model);
    free(r->cpuid);
    free(r->undefined_profile);
    for (unsigned i = 0; i < r->image_count; i++) {
        free(r->images[i].path);
    }
    *r = (struct recording){0};
}

static void put_item(struct bytes *out, u32 tag, struct bytes *item)
{
    bytes_put_varint(out, tag | ITEM_REQUIRED);
    bytes_put_varint(out, item->size);
    bytes_put(out, item->data, item->size);
    bytes_free(item);
}

static void put_machine(const struct recording *r, struct bytes *out)
{
    struct bytes b = {0};
    bytes_put_u64(&b, r->rtc_base_s);
    bytes_put_u64(&b, r->seed);
    bytes_put_u8(&b, r->chaos);
    bytes_put_u64(&b, r->chaos_seed);
    bytes_put_u8(&b, r->reset_ends);
    bytes_put_u8(&b, r->lines);
    put_item(out, ITEM_MACHINE, &b);
}

static void put_image(const struct recording_image *image, struct bytes *out)
{
    struct bytes b = {0};
    bytes_put_u8(&b, image->role);
    bytes_put_u8(&b, image->index);
    bytes_put_u8(&b, (u8)(image->read_only | image->embedded << 1));
    bytes_put_u64(&b, image->size_bytes);
    bytes_put(&b, image->sha256, sizeof(image->sha256));
    bytes_put_text(&b, image->path);
    put_item(out, ITEM_IMAGE, &b);
}

static void put_items(const struct recording *r, struct bytes *out)
{
    put_machine(r, out);
    struct bytes b = {0};
    bytes_put(&b, r->tree, r->tree_size);
    put_item(out, ITEM_TREE, &b);
    bytes_put_text(&b, r->cpu_model);
    put_item(out, ITEM_CPU, &b);
    bytes_put(&b, r->cpuid, r->cpuid_size);
    put_item(out, ITEM_CPUID, &b);
    if (r->undefined_profile) {
        bytes_put_text(&b, r->undefined_profile);
        put_item(out, ITEM_PROFILE, &b);
    }
    bytes_put_u8(&b, r->state_hash_shift);
    bytes_put_u8(&b, r->memory_hash_shift);
    put_item(out, ITEM_HASHES, &b);
    for (unsigned i = 0; i < r->image_count; i++) {
        put_image(&r->images[i], out);
    }
}

void recording_put_header(const struct recording *r, struct bytes *out)
{
    struct bytes items = {0};
    put_items(r, &items);
    bytes_put(out, magic, sizeof(magic));
    bytes_put_u32(out, RECORDING_FORMAT_VERSION);
    bytes_put_u32(out, RECORDING_SEMANTICS_VERSION);
    bytes_put_u64(out, 0); // required features: none yet
    bytes_put_u32(out, (u32)items.size);
    bytes_put_u32(out, bytes_crc32c(bytes_crc32c(0, out->data, out->size), items.data, items.size));
    bytes_put(out, items.data, items.size);
    bytes_free(&items);
}

static void get_machine(struct recording *r, struct bytes_in *in)
{
    r->rtc_base_s = bytes_get_u64(in);
    r->seed = bytes_get_u64(in);
    r->chaos = bytes_get_u8(in);
    r->chaos_seed = bytes_get_u64(in);
    r->reset_ends = bytes_get_u8(in);
    r->lines = bytes_get_u8(in);
}

// The item's bytes as they are; an item comes once.
static void get_block(struct bytes_in *in, u8 **block, size_t *block_size)
{
    size_t size = bytes_left(in);
    if (*block || !size || size > TREE_MAX) {
        in->bad = true;
        return;
    }
    *block = xcalloc(1, size);
    *block_size = size;
    memcpy(*block, bytes_get(in, size), size);
}

static void get_image(struct recording *r, struct bytes_in *in)
{
    if (r->image_count == RECORDING_IMAGES_MAX) {
        in->bad = true;
        return;
    }
    struct recording_image *image = &r->images[r->image_count++];
    image->role = bytes_get_u8(in);
    image->index = bytes_get_u8(in);
    u8 flags = bytes_get_u8(in);
    image->read_only = flags & 1;
    image->embedded = flags & 2;
    image->size_bytes = bytes_get_u64(in);
    const u8 *sha256 = bytes_get(in, sizeof(image->sha256));
    if (sha256) {
        memcpy(image->sha256, sha256, sizeof(image->sha256));
    }
    image->path = bytes_get_text(in, TEXT_MAX);
    in->bad = in->bad || image->role > RECORDING_DISK || image->index >= 4 || !image->size_bytes;
}

static void get_item(struct recording *r, u64 tag, struct bytes_in *in)
{
    switch (tag & ~(u64)ITEM_REQUIRED) {
    case ITEM_MACHINE:
        get_machine(r, in);
        break;
    case ITEM_TREE:
        get_block(in, &r->tree, &r->tree_size);
        break;
    case ITEM_CPUID:
        get_block(in, &r->cpuid, &r->cpuid_size);
        break;
    case ITEM_CPU:
        free(r->cpu_model);
        r->cpu_model = bytes_get_text(in, TEXT_MAX);
        break;
    case ITEM_PROFILE:
        free(r->undefined_profile);
        r->undefined_profile = bytes_get_text(in, TEXT_MAX);
        break;
    case ITEM_HASHES:
        r->state_hash_shift = bytes_get_u8(in);
        r->memory_hash_shift = bytes_get_u8(in);
        break;
    case ITEM_IMAGE:
        get_image(r, in);
        break;
    default:
        in->bad = tag & ITEM_REQUIRED; // something that this version cannot do without knowing
    }
}

static struct status get_items(struct recording *r, const char *name, struct bytes_in *in)
{
    while (bytes_left(in)) {
        u64 tag = bytes_get_varint(in);
        u64 size = bytes_get_varint(in);
        const u8 *data = size <= bytes_left(in) ? bytes_get(in, (size_t)size) : NULL;
        struct bytes_in item = {.data = data, .size = (size_t)size, .bad = !data};
        get_item(r, tag, &item);
        if (item.bad) {
            return status_error(STATUS_BAD_INPUT, "%s: its header is malformed (item %llu)", name,
                                (unsigned long long)(tag & ~(u64)ITEM_REQUIRED));
        }
    }
    bool shifts = r->state_hash_shift >= 18 && r->state_hash_shift <= r->memory_hash_shift &&
                  r->memory_hash_shift < 64;
    if (in->bad || !r->tree || !r->cpu_model || !r->cpuid || !shifts) {
        return status_error(STATUS_BAD_INPUT, "%s: its header is incomplete", name);
    }
    return status_success();
}

static struct status check_versions(const char *name, u32 format, u32 semantics, u64 features)
{
    if (format > RECORDING_FORMAT_VERSION || features) {
        return status_error(STATUS_BAD_INPUT,
                            "%s was made by a newer viv (format %u, features %llx; this one reads "
                            "format %u); use that one",
                            name, format, (unsigned long long)features, RECORDING_FORMAT_VERSION);
    }
    if (format < RECORDING_FORMAT_VERSION || semantics != RECORDING_SEMANTICS_VERSION) {
        return status_error(STATUS_BAD_INPUT,
                            "%s was made by %s viv whose machines behave differently (format %u, "
                            "semantics %u; this one: %u, %u); use that one",
                            name, semantics > RECORDING_SEMANTICS_VERSION ? "a newer" : "an older",
                            format, semantics, RECORDING_FORMAT_VERSION,
                            RECORDING_SEMANTICS_VERSION);
    }
    return status_success();
}

struct status recording_get_header(struct recording *r, const char *name, const u8 *data,
                                   size_t size, size_t *header_size)
{
    struct bytes_in in = {.data = data, .size = size};
    const u8 *found = bytes_get(&in, sizeof(magic));
    if (!found || memcmp(found, magic, sizeof(magic)) != 0) {
        return status_error(STATUS_BAD_INPUT, "%s is no recording of viv", name);
    }
    u32 format = bytes_get_u32(&in), semantics = bytes_get_u32(&in);
    u64 features = bytes_get_u64(&in);
    u32 items_size = bytes_get_u32(&in);
    size_t covered = in.at;
    u32 crc = bytes_get_u32(&in);
    if (in.bad) {
        return status_error(STATUS_BAD_INPUT, "%s is cut off inside its header", name);
    }
    struct status s = check_versions(name, format, semantics, features);
    if (!status_ok(&s)) {
        return s;
    }
    const u8 *items = items_size <= RECORDING_HEADER_MAX ? bytes_get(&in, items_size) : NULL;
    if (!items) {
        return status_error(STATUS_BAD_INPUT, "%s is cut off inside its header", name);
    }
    if (crc != bytes_crc32c(bytes_crc32c(0, data, covered), items, items_size)) {
        return status_error(STATUS_BAD_INPUT, "%s: its header is corrupted (checksum)", name);
    }
    *header_size = in.at;
    struct bytes_in body = {.data = items, .size = items_size};
    return get_items(r, name, &body);
}

void recording_cpuid(const struct cpu *cpu, struct bytes *out)
{
    static const u32 first[] = {0, 0x80000000};
    for (unsigned i = 0; i < ARRAY_LEN(first); i++) {
        u32 max[4];
        cpu_cpuid(cpu, first[i], 0, max);
        for (u32 leaf = first[i]; leaf <= max[0]; leaf++) {
            for (u32 subleaf = 0; subleaf < CPUID_SUBLEAVES; subleaf++) {
                u32 row[6] = {leaf, subleaf};
                cpu_cpuid(cpu, leaf, subleaf, row + 2);
                if (row[2] | row[3] | row[4] | row[5]) {
                    bytes_put(out, row, sizeof(row));
                }
            }
        }
    }
}

void recording_sha256(const u8 *data, size_t size, u8 out[RECORDING_SHA256_BYTES])
{
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, size, data);
    sha256_digest(&ctx, RECORDING_SHA256_BYTES, out);
}

bool recording_sha256_of(bool (*read)(void *ctx, u64 offset, void *bytes, size_t size), void *ctx,
                         u64 size_bytes, u8 out[RECORDING_SHA256_BYTES])
{
    u8 *piece = xcalloc(1, SHA_PIECE);
    struct sha256_ctx sha;
    sha256_init(&sha);
    bool ok = true;
    for (u64 at = 0; ok && at < size_bytes; at += SHA_PIECE) {
        size_t part = size_bytes - at < SHA_PIECE ? (size_t)(size_bytes - at) : SHA_PIECE;
        ok = read(ctx, at, piece, part);
        sha256_update(&sha, part, piece);
    }
    sha256_digest(&sha, RECORDING_SHA256_BYTES, out);
    free(piece);
    return ok;
}

void recording_sha256_text(const u8 sha256[RECORDING_SHA256_BYTES], char out[65])
{
    for (unsigned i = 0; i < RECORDING_SHA256_BYTES; i++) {
        snprintf(out + 2 * i, 3, "%02x", sha256[i]);
    }
}
