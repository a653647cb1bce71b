// SPDX-License-Identifier: MIT
// What stands in a recording's header: the machine it was made with and the images it read.
#ifndef VIV_REPLAY_RECORDING_H
#define VIV_REPLAY_RECORDING_H

#include "base/status.h"
#include "base/types.h"
#include "replay/bytes.h"

#define RECORDING_FORMAT_VERSION 1
// Grows whenever the same machine, images and inputs would give other states than before: then
// older recordings are refused instead of diverging somewhere.
#define RECORDING_SEMANTICS_VERSION 11

#define RECORDING_IMAGES_MAX 6
#define RECORDING_SHA256_BYTES 32

enum recording_role { RECORDING_KERNEL, RECORDING_INITRD, RECORDING_DISK };

struct recording_image {
    u8 role;  // enum recording_role
    u8 index; // of a disk
    bool read_only, embedded;
    char *path;
    u64 size_bytes;
    u8 sha256[RECORDING_SHA256_BYTES];
};

struct recording {
    u8 *tree; // the prepared device tree
    size_t tree_size;
    char *cpu_model;
    u8 *cpuid; // what CPU 0 answers after reset, as recording_cpuid() gives it
    size_t cpuid_size;
    char *undefined_profile; // cpu_undefined_profile_name(); NULL in the first recordings
    u64 rtc_base_s, seed, chaos_seed;
    bool chaos;
    bool reset_ends; // the guest's reset ends the run (--exec) instead of booting again
    u8 lines;        // bit n: serial line n is connected
    // Registers and devices are hashed every 2^state_hash_shift steps, memory every
    // 2^memory_hash_shift.
    u8 state_hash_shift, memory_hash_shift;
    struct recording_image images[RECORDING_IMAGES_MAX];
    unsigned image_count;
};

void recording_free(struct recording *r);

// The header as it stands in the file (docs/REPLAY_FORMAT.md), and back. STATUS_BAD_INPUT, with
// name in its one line: foreign, older, newer, cut off or corrupted. *header_size: where the chunks
// begin.
void recording_put_header(const struct recording *r, struct bytes *out);
struct status recording_get_header(struct recording *r, const char *name, const u8 *data,
                                   size_t size, size_t *header_size);
// Bytes of a header that say how long all of it is.
#define RECORDING_HEADER_FIXED 32
#define RECORDING_HEADER_MAX (32u << 20)

// CPUID as numbers of 32 bits: leaf, subleaf, EAX, EBX, ECX, EDX for all leaves that are not zero.
struct cpu;
void recording_cpuid(const struct cpu *cpu, struct bytes *out);

void recording_sha256(const u8 *data, size_t size, u8 out[RECORDING_SHA256_BYTES]);
// The same in pieces: read(ctx, offset, bytes, size) gives them in order. False: it failed.
bool recording_sha256_of(bool (*read)(void *ctx, u64 offset, void *bytes, size_t size), void *ctx,
                         u64 size_bytes, u8 out[RECORDING_SHA256_BYTES]);
// Hexadecimal, for messages.
void recording_sha256_text(const u8 sha256[RECORDING_SHA256_BYTES], char out[65]);

#endif
