// SPDX-License-Identifier: MIT
// From bytes that anybody may have written to records that make sense, or one line that says why
// not.
#include "replay/log_reader.h"

#include "base/bits.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define IMAGE_MAX (UINT64_C(1) << 32) // embedded

struct log_reader {
    char *path;
    int fd;
    u64 size_bytes;
    struct recording recording;
    struct log_chunk *chunks;
    size_t chunk_count, chunk_room;
    struct input_record *records;
    size_t record_count, record_room;
    struct bytes *payloads; // that the records point into
    size_t payload_count;
    struct log_hash *hashes;
    size_t hash_count, hash_room;
    struct log_position last;
    bool ended;
    struct log_end end;
};

static bool read_at(const struct log_reader *r, u64 offset, void *bytes, size_t size)
{
    u8 *to = bytes;
    while (size) {
        ssize_t n = pread(r->fd, to, size, (off_t)offset);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        to += n;
        offset += (u64)n;
        size -= (size_t)n;
    }
    return true;
}

static struct status corrupted(const struct log_reader *r, const struct log_chunk *c,
                               const char *why)
{
    return status_error(STATUS_BAD_INPUT,
                        "%s is corrupted at byte %llu (chunk type %u, steps %llu to %llu): %s",
                        r->path, (unsigned long long)(c->offset - LOG_CHUNK_HEADER_BYTES), c->type,
                        (unsigned long long)c->step_first, (unsigned long long)c->step_last, why);
}

static struct status unpack(const struct log_reader *r, const struct log_chunk *c,
                            const struct bytes *stored, struct bytes *out)
{
    u64 size = ZSTD_getFrameContentSize(stored->data, stored->size);
    if (size > LOG_PAYLOAD_MAX) {
        return corrupted(r, c, "no zstd frame of known size");
    }
    out->room = (size_t)size + 1;
    out->data = xcalloc(1, out->room);
    out->size = ZSTD_decompress(out->data, (size_t)size, stored->data, stored->size);
    if (ZSTD_isError(out->size) || out->size != size) {
        bytes_free(out);
        return corrupted(r, c, "it does not unpack");
    }
    return status_success();
}

static struct log_chunk_header header_of(const struct log_chunk *c)
{
    return (struct log_chunk_header){
        .type = c->type,
        .flags = c->flags,
        .length = c->length,
        .step_first = c->step_first,
        .step_last = c->step_last,
        .vtime_last_ns = c->vtime_last_ns,
        .crc32c = c->crc32c,
    };
}

static u32 chunk_crc(const struct log_chunk *c, const u8 *payload)
{
    struct log_chunk_header header = header_of(c);
    return bytes_crc32c(bytes_crc32c(0, &header, LOG_CHUNK_COVERED), payload, (size_t)c->length);
}

// The payload as it stands in the file, checked.
static struct status read_stored(const struct log_reader *r, const struct log_chunk *c,
                                 struct bytes *out)
{
    *out = (struct bytes){0};
    if (c->length > LOG_PAYLOAD_MAX) {
        return corrupted(r, c, "absurd length");
    }
    *out = (struct bytes){.data = xcalloc(1, (size_t)c->length + 1), .size = (size_t)c->length};
    struct status s = status_success();
    if (!read_at(r, c->offset, out->data, out->size)) {
        s = status_error(STATUS_BAD_INPUT, "cannot read %s: %s", r->path, strerror(errno));
    } else if (chunk_crc(c, out->data) != c->crc32c) {
        s = corrupted(r, c, "checksum");
    }
    if (!status_ok(&s)) {
        bytes_free(out);
    }
    return s;
}

struct status log_reader_payload(const struct log_reader *r, const struct log_chunk *c,
                                 struct bytes *out)
{
    struct status s = read_stored(r, c, out);
    if (status_ok(&s) && (c->flags & LOG_CHUNK_ZSTD)) {
        struct bytes stored = *out;
        *out = (struct bytes){0};
        s = unpack(r, c, &stored, out);
        bytes_free(&stored);
    }
    return s;
}

struct status log_reader_copy(const struct log_reader *r, struct log_writer *to)
{
    struct status s = status_success();
    for (size_t i = 0; i < r->chunk_count && status_ok(&s); i++) {
        struct bytes stored = {0};
        enum log_chunk_type type = r->chunks[i].type;
        if (type == LOG_CHUNK_INPUT || type == LOG_CHUNK_HASH || type == LOG_CHUNK_IMAGE) {
            s = read_stored(r, &r->chunks[i], &stored);
        }
        if (stored.data) {
            struct log_chunk_header header = header_of(&r->chunks[i]);
            log_writer_copy(to, &header, stored.data);
        }
        bytes_free(&stored);
    }
    return s;
}

static void add_record(struct log_reader *r, const struct input_record *record)
{
    if (r->record_count == r->record_room) {
        r->record_room = r->record_room ? r->record_room * 2 : 256;
        r->records = xrealloc(r->records, r->record_room * sizeof(*r->records));
    }
    r->records[r->record_count++] = *record;
}

// True if the record may follow the one before.
static bool follows(const struct log_reader *r, const struct input_record *next,
                    const struct log_chunk *c)
{
    struct log_position before = {0};
    if (r->record_count) {
        const struct input_record *b = &r->records[r->record_count - 1];
        before = (struct log_position){.step = b->step, .vtime_ns = b->vtime_ns};
    }
    return next->step >= before.step && next->vtime_ns >= before.vtime_ns &&
           next->step <= c->step_last && next->kind < INPUT_KIND_COUNT &&
           next->line < INPUT_LINES_MAX;
}

static struct status read_inputs(struct log_reader *r, const struct log_chunk *c,
                                 const struct bytes *payload)
{
    struct bytes_in in = {.data = payload->data, .size = payload->size};
    u64 step = bytes_get_varint(&in), vtime_ns = bytes_get_varint(&in);
    while (bytes_left(&in)) {
        struct input_record record = {0};
        step += bytes_get_varint(&in);
        vtime_ns += bytes_get_varint(&in);
        record.step = step;
        record.vtime_ns = vtime_ns;
        u64 kind = bytes_get_varint(&in);
        record.kind = kind < INPUT_KIND_COUNT ? (enum input_kind)kind : INPUT_KIND_COUNT;
        record.line = bytes_get_u8(&in);
        u64 size = bytes_get_varint(&in);
        record.bytes = size <= UINT32_MAX ? bytes_get(&in, (size_t)size) : NULL;
        record.size = (u32)size;
        if (!record.bytes || !follows(r, &record, c)) {
            return corrupted(r, c, "a record that makes no sense");
        }
        add_record(r, &record);
    }
    return in.bad ? corrupted(r, c, "it is too short") : status_success();
}

static struct status read_hashes(struct log_reader *r, const struct log_chunk *c,
                                 const struct bytes *payload)
{
    struct bytes_in in = {.data = payload->data, .size = payload->size};
    u64 step = bytes_get_varint(&in);
    while (bytes_left(&in)) {
        struct log_hash hash = {.kind = bytes_get_u8(&in)};
        u64 ahead = bytes_get_varint(&in);
        hash.value = bytes_get_u64(&in);
        hash.step = step + ahead;
        bool order = hash.step >= step && hash.step <= c->step_last &&
                     (!r->hash_count || hash.step >= r->hashes[r->hash_count - 1].step);
        if (in.bad || hash.kind > LOG_HASH_MEMORY || !order) {
            return corrupted(r, c, "a hash that makes no sense");
        }
        step = hash.step;
        if (r->hash_count == r->hash_room) {
            r->hash_room = r->hash_room ? r->hash_room * 2 : 256;
            r->hashes = xrealloc(r->hashes, r->hash_room * sizeof(*r->hashes));
        }
        r->hashes[r->hash_count++] = hash;
    }
    return in.bad ? corrupted(r, c, "it is too short") : status_success();
}

static struct status read_end(struct log_reader *r, const struct log_chunk *c,
                              const struct bytes *payload)
{
    struct bytes_in in = {.data = payload->data, .size = payload->size};
    struct log_end *end = &r->end;
    end->position = (struct log_position){.step = c->step_last, .vtime_ns = c->vtime_last_ns};
    end->exit = bytes_get_u8(&in);
    end->value = bytes_get_u32(&in);
    char *text = bytes_get_text(&in, sizeof(end->text) - 1);
    memcpy(end->text, text, strlen(text) + 1);
    free(text);
    end->hashed = bytes_get_u8(&in);
    end->state_hash = bytes_get_u64(&in);
    end->memory_hash = bytes_get_u64(&in);
    if (in.bad) {
        return corrupted(r, c, "it is too short");
    }
    r->ended = true;
    return status_success();
}

static struct status read_chunk(struct log_reader *r, const struct log_chunk *c)
{
    if (c->type > LOG_CHUNK_IMAGE && (c->flags & LOG_CHUNK_REQUIRED)) {
        return status_error(STATUS_BAD_INPUT,
                            "%s has a kind of chunk (%u) that this viv does not know; use the one "
                            "that made it",
                            r->path, c->type);
    }
    if (c->type != LOG_CHUNK_INPUT && c->type != LOG_CHUNK_HASH && c->type != LOG_CHUNK_END) {
        return status_success(); // read when it is needed
    }
    struct bytes payload;
    struct status s = log_reader_payload(r, c, &payload);
    if (!status_ok(&s)) {
        return s;
    }
    if (c->step_last < r->last.step || c->vtime_last_ns < r->last.vtime_ns) {
        s = corrupted(r, c, "time goes backwards");
    } else if (c->type == LOG_CHUNK_INPUT) {
        s = read_inputs(r, c, &payload);
    } else if (c->type == LOG_CHUNK_HASH) {
        s = read_hashes(r, c, &payload);
    } else {
        s = read_end(r, c, &payload);
    }
    r->payloads = xrealloc(r->payloads, (r->payload_count + 1) * sizeof(*r->payloads));
    r->payloads[r->payload_count++] = payload;
    r->last = (struct log_position){.step = c->step_last, .vtime_ns = c->vtime_last_ns};
    return s;
}

static void add_chunk(struct log_reader *r, const struct log_chunk *c)
{
    if (r->chunk_count == r->chunk_room) {
        r->chunk_room = r->chunk_room ? r->chunk_room * 2 : 64;
        r->chunks = xrealloc(r->chunks, r->chunk_room * sizeof(*r->chunks));
    }
    r->chunks[r->chunk_count++] = *c;
}

static struct status read_chunks(struct log_reader *r, u64 offset)
{
    struct log_chunk_header h;
    while (!r->ended && r->size_bytes - offset >= sizeof(h) && read_at(r, offset, &h, sizeof(h))) {
        offset += sizeof(h);
        struct log_chunk c = {
            .type = h.type,
            .step_first = h.step_first,
            .step_last = h.step_last,
            .offset = offset,
            .length = h.length,
            .flags = h.flags,
            .crc32c = h.crc32c,
            .vtime_last_ns = h.vtime_last_ns,
        };
        if (h.length > r->size_bytes - offset) {
            break; // cut off
        }
        if (h.reserved) { // the checksum is made with zero here
            return corrupted(r, &c, "checksum");
        }
        struct status s = read_chunk(r, &c);
        if (!status_ok(&s)) {
            return s;
        }
        add_chunk(r, &c);
        offset += h.length;
    }
    if (r->ended && offset != r->size_bytes) {
        return status_error(STATUS_BAD_INPUT, "%s goes on behind its end (at byte %llu)", r->path,
                            (unsigned long long)offset);
    }
    return status_success();
}

static struct status read_header(struct log_reader *r, u64 *offset)
{
    u8 fixed[RECORDING_HEADER_FIXED];
    size_t size = r->size_bytes < sizeof(fixed) ? (size_t)r->size_bytes : sizeof(fixed);
    u32 items_size = 0;
    if (!read_at(r, 0, fixed, size)) {
        return status_error(STATUS_BAD_INPUT, "cannot read %s: %s", r->path, strerror(errno));
    }
    if (size == sizeof(fixed)) {
        memcpy(&items_size, fixed + 24, sizeof(items_size));
    }
    u64 want = size + (items_size <= RECORDING_HEADER_MAX ? items_size : 0);
    want = want < r->size_bytes ? want : r->size_bytes;
    u8 *header = xcalloc(1, (size_t)want + 1);
    struct status s = status_success();
    size_t header_size = 0;
    if (read_at(r, 0, header, (size_t)want)) {
        s = recording_get_header(&r->recording, r->path, header, (size_t)want, &header_size);
    } else {
        s = status_error(STATUS_BAD_INPUT, "cannot read %s: %s", r->path, strerror(errno));
    }
    free(header);
    *offset = header_size;
    return s;
}

static struct status read_file(struct log_reader *r)
{
    struct stat st;
    r->fd = open(r->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (r->fd < 0 || fstat(r->fd, &st) != 0) {
        int error = errno;
        char *incomplete = xasprintf("%s.incomplete", r->path);
        bool has = r->fd < 0 && access(incomplete, R_OK) == 0;
        free(incomplete);
        return status_error(STATUS_BAD_INPUT, "cannot open the recording %s: %s%s", r->path,
                            strerror(error),
                            has ? "; the run did not end: use the file with .incomplete" : "");
    }
    if (!S_ISREG(st.st_mode)) {
        return status_error(STATUS_BAD_INPUT, "%s is no recording: a regular file is needed",
                            r->path);
    }
    r->size_bytes = (u64)st.st_size;
    u64 offset = 0;
    struct status s = read_header(r, &offset);
    return status_ok(&s) ? read_chunks(r, offset) : s;
}

struct status log_reader_open(struct log_reader **out, const char *path)
{
    struct log_reader *r = xcalloc(1, sizeof(*r));
    r->path = xstrdup(path);
    r->fd = -1;
    struct status s = read_file(r);
    if (!status_ok(&s)) {
        log_reader_close(r);
        return s;
    }
    *out = r;
    return s;
}

void log_reader_close(struct log_reader *r)
{
    if (!r) {
        return;
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    recording_free(&r->recording);
    for (size_t i = 0; i < r->payload_count; i++) {
        bytes_free(&r->payloads[i]);
    }
    free(r->payloads);
    free(r->records);
    free(r->hashes);
    free(r->chunks);
    free(r->path);
    free(r);
}

const struct recording *log_reader_recording(const struct log_reader *r)
{
    return &r->recording;
}

const char *log_reader_path(const struct log_reader *r)
{
    return r->path;
}

struct log_position log_reader_last(const struct log_reader *r)
{
    return r->last;
}

const struct log_end *log_reader_end(const struct log_reader *r)
{
    return r->ended ? &r->end : NULL;
}

void log_reader_fill(const struct log_reader *r, struct input_log *log)
{
    for (size_t i = 0; i < r->record_count; i++) {
        input_log_append(log, &r->records[i]);
    }
    input_log_set_end(log, r->last.step, r->last.vtime_ns);
}

size_t log_reader_hashes(const struct log_reader *r, const struct log_hash **hashes)
{
    *hashes = r->hashes;
    return r->hash_count;
}

size_t log_reader_chunks(const struct log_reader *r, const struct log_chunk **chunks)
{
    *chunks = r->chunks;
    return r->chunk_count;
}

// Puts a piece where it belongs.
static struct status place_piece(const struct log_reader *r, const struct log_chunk *c,
                                 const struct recording_image *image, u8 *bytes)
{
    struct bytes payload;
    struct status s = log_reader_payload(r, c, &payload);
    if (!status_ok(&s)) {
        return s;
    }
    struct bytes_in in = {.data = payload.data, .size = payload.size};
    u8 role = bytes_get_u8(&in), index = bytes_get_u8(&in);
    u64 at = bytes_get_u64(&in);
    size_t size = bytes_left(&in);
    if (in.bad) {
        s = corrupted(r, c, "it is too short");
    } else if (role == image->role && index == image->index) {
        if (at > image->size_bytes || size > image->size_bytes - at) {
            s = corrupted(r, c, "a piece outside its image");
        } else {
            memcpy(bytes + at, bytes_get(&in, size), size);
        }
    }
    bytes_free(&payload);
    return s;
}

struct status log_reader_image(const struct log_reader *r, const struct recording_image *image,
                               u8 **bytes)
{
    if (image->size_bytes > IMAGE_MAX) {
        return status_error(STATUS_BAD_INPUT, "%s: its image of %llu bytes is too large", r->path,
                            (unsigned long long)image->size_bytes);
    }
    u8 *image_bytes = xcalloc(1, (size_t)image->size_bytes);
    struct status s = status_success();
    for (size_t i = 0; i < r->chunk_count && status_ok(&s); i++) {
        if (r->chunks[i].type == LOG_CHUNK_IMAGE) {
            s = place_piece(r, &r->chunks[i], image, image_bytes);
        }
    }
    u8 sha256[RECORDING_SHA256_BYTES];
    recording_sha256(image_bytes, (size_t)image->size_bytes, sha256);
    if (status_ok(&s) && memcmp(sha256, image->sha256, sizeof(sha256)) != 0) {
        s = status_error(STATUS_BAD_INPUT, "%s: the embedded %s is not what was recorded", r->path,
                         image->path);
    }
    if (status_ok(&s)) {
        *bytes = image_bytes;
    } else {
        free(image_bytes);
    }
    return s;
}
