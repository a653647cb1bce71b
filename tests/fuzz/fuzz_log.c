// SPDX-License-Identifier: MIT
// The reader of recordings fed with anything. The first byte chooses: odd, the rest is the file;
// even, the checksums of its header and chunks are made right first, so that what lies behind them
// is reached. Whatever is accepted has to be in order.
#include "base/check.h"
#include "base/memory.h"
#include "replay/checkpoint_chunks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define HEADER_SIZE_AT 24
#define HEADER_CRC_AT 28
#define CHUNK_CRC_AT 44
#define PAYLOAD_LOOK_AT (UINT64_C(1) << 20)

static u32 get_u32(const u8 *at)
{
    u32 value;
    memcpy(&value, at, sizeof(value));
    return value;
}

static void put_u32(u8 *at, u32 value)
{
    memcpy(at, &value, sizeof(value));
}

static void mend_checksums(u8 *file, size_t size)
{
    if (size < RECORDING_HEADER_FIXED) {
        return;
    }
    u64 at = (u64)RECORDING_HEADER_FIXED + get_u32(file + HEADER_SIZE_AT);
    if (at > size) {
        return;
    }
    u32 crc = bytes_crc32c(0, file, HEADER_CRC_AT);
    put_u32(file + HEADER_CRC_AT,
            bytes_crc32c(crc, file + RECORDING_HEADER_FIXED, (size_t)at - RECORDING_HEADER_FIXED));
    while (size - at >= LOG_CHUNK_HEADER_BYTES) {
        u8 *chunk = file + at;
        u64 length = get_u32(chunk + 8);
        at += LOG_CHUNK_HEADER_BYTES;
        if (get_u32(chunk + 12) || length > size - at) {
            return;
        }
        crc = bytes_crc32c(0, chunk, LOG_CHUNK_COVERED);
        put_u32(chunk + CHUNK_CRC_AT,
                bytes_crc32c(crc, chunk + LOG_CHUNK_HEADER_BYTES, (size_t)length));
        at += length;
    }
}

static void look_at_inputs(const struct log_reader *r)
{
    struct host nothing = {0};
    struct input_log *log = input_log_create(&nothing);
    log_reader_fill(r, log);
    u64 step = 0, vtime_ns = 0;
    for (u64 i = 0; i < input_log_count(log); i++) {
        const struct input_record *record = input_log_get(log, i);
        CHECK(record->step >= step && record->vtime_ns >= vtime_ns &&
              record->kind < INPUT_KIND_COUNT);
        u8 sum = 0;
        for (u32 n = 0; n < record->size; n++) {
            sum ^= record->bytes[n];
        }
        *(volatile u8 *)&sum = sum;
        step = record->step;
        vtime_ns = record->vtime_ns;
    }
    CHECK(step <= log_reader_last(r).step);
    input_log_destroy(log);
}

static void look_at_chunks(const struct log_reader *r)
{
    const struct log_chunk *chunks;
    size_t count = log_reader_chunks(r, &chunks);
    for (size_t i = 0; i < count; i++) {
        struct bytes payload = {0};
        struct status s = log_reader_payload(r, &chunks[i], &payload);
        struct checkpoint_head head;
        if (status_ok(&s) && chunks[i].type == LOG_CHUNK_CHECKPOINT) {
            s = checkpoint_read_head(payload.data, payload.size, &head);
        }
        CHECK(status_ok(&s) || s.text[0]);
        bytes_free(&payload);
    }
}

static void look_at_images(const struct log_reader *r)
{
    const struct recording *recording = log_reader_recording(r);
    for (unsigned i = 0; i < recording->image_count; i++) {
        u8 *bytes = NULL;
        if (recording->images[i].size_bytes <= PAYLOAD_LOOK_AT) {
            struct status s = log_reader_image(r, &recording->images[i], &bytes);
            CHECK(status_ok(&s) == (bytes != NULL));
        }
        free(bytes);
    }
}

static void look(const struct log_reader *r)
{
    const struct log_hash *hashes;
    size_t count = log_reader_hashes(r, &hashes);
    for (size_t i = 1; i < count; i++) {
        CHECK(hashes[i].step >= hashes[i - 1].step && hashes[i].kind <= LOG_HASH_MEMORY);
    }
    struct bytes header = {0};
    recording_put_header(log_reader_recording(r), &header);
    bytes_free(&header);
    look_at_inputs(r);
    look_at_chunks(r);
    look_at_images(r);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    if (!size) {
        return 0;
    }
    u8 *file = xcalloc(1, size);
    memcpy(file, data + 1, size - 1);
    if (!(data[0] & 1)) {
        mend_checksums(file, size - 1);
    }
    int fd = memfd_create("recording", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, file, size - 1) == (ssize_t)(size - 1));
    char *path = xasprintf("/proc/self/fd/%d", fd);
    struct log_reader *r = NULL;
    struct status s = log_reader_open(&r, path);
    CHECK(status_ok(&s) == (r != NULL) && (r || s.text[0]));
    if (r) {
        look(r);
        log_reader_close(r);
    }
    free(path);
    close(fd);
    free(file);
    return 0;
}
