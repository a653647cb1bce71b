// SPDX-License-Identifier: MIT
// Chunks to a file descriptor, each with one write: what a kill leaves is whole but for the last.
#include "replay/log_writer.h"

#include "base/bits.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#define PACK_FROM 256 // bytes; less is not worth packing
#define PACK_LEVEL 3
#define IMAGE_PIECE (1u << 20)

struct log_writer {
    char *path, *incomplete;
    int fd;
    int error;          // errno of the first failure
    u64 step, vtime_ns; // of the last record written: records are stored as differences
    u64 hash_step;
};

static void write_all(struct log_writer *w, const u8 *data, size_t size)
{
    while (size && !w->error) {
        ssize_t n = write(w->fd, data, size);
        if (n < 0 && errno != EINTR) {
            w->error = errno;
        } else if (n > 0) {
            data += n;
            size -= (size_t)n;
        }
    }
}

// At the end the file takes PATH's place: a device, a pipe or a folder there must not lose it.
static struct status check_replaceable(const char *path)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        return status_error(STATUS_BAD_INPUT, "cannot record: %s is not a regular file", path);
    }
    return status_success();
}

struct status log_writer_create(struct log_writer **out, const char *path,
                                const struct recording *r)
{
    struct status s = check_replaceable(path);
    if (!status_ok(&s)) {
        return s;
    }
    struct log_writer *w = xcalloc(1, sizeof(*w));
    w->path = xstrdup(path);
    w->incomplete = xasprintf("%s.incomplete", path);
    w->fd = open(w->incomplete, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (w->fd < 0) {
        s = status_error(STATUS_BAD_INPUT, "cannot write %s: %s", w->incomplete, strerror(errno));
    } else {
        struct bytes header = {0};
        recording_put_header(r, &header);
        write_all(w, header.data, header.size);
        bytes_free(&header);
        *out = w;
        return s;
    }
    free(w->path);
    free(w->incomplete);
    free(w);
    return s;
}

// Packed if that makes it smaller; true then.
static bool pack(const struct bytes *payload, struct bytes *out)
{
    if (payload->size < PACK_FROM) {
        return false;
    }
    out->room = ZSTD_compressBound(payload->size);
    out->data = xcalloc(1, out->room);
    out->size = ZSTD_compress(out->data, out->room, payload->data, payload->size, PACK_LEVEL);
    if (ZSTD_isError(out->size) || out->size >= payload->size) {
        bytes_free(out);
        return false;
    }
    return true;
}

void log_writer_chunk(struct log_writer *w, enum log_chunk_type type, u64 step_first,
                      const struct log_position *last, const struct bytes *payload)
{
    struct bytes packed = {0}, chunk = {0};
    bool is_packed = pack(payload, &packed);
    const struct bytes *body = is_packed ? &packed : payload;
    bool derived =
        type == LOG_CHUNK_CHECKPOINT || type == LOG_CHUNK_EVENT || type == LOG_CHUNK_INDEX;
    struct log_chunk_header header = {
        .type = type,
        .flags = (is_packed ? LOG_CHUNK_ZSTD : 0) | (derived ? 0 : LOG_CHUNK_REQUIRED),
        .length = body->size,
        .step_first = step_first,
        .step_last = last->step,
        .vtime_last_ns = last->vtime_ns,
    };
    header.crc32c =
        bytes_crc32c(bytes_crc32c(0, &header, LOG_CHUNK_COVERED), body->data, body->size);
    bytes_put(&chunk, &header, sizeof(header));
    bytes_put(&chunk, body->data, body->size);
    write_all(w, chunk.data, chunk.size);
    bytes_free(&chunk);
    bytes_free(&packed);
}

void log_writer_inputs(struct log_writer *w, const struct input_log *log, u64 first, u64 end,
                       const struct log_position *last)
{
    struct bytes b = {0};
    u64 step = w->step, vtime_ns = w->vtime_ns;
    bytes_put_varint(&b, step);
    bytes_put_varint(&b, vtime_ns);
    for (u64 seq = first; seq < end; seq++) {
        const struct input_record *r = input_log_get(log, seq);
        bytes_put_varint(&b, r->step - step);
        bytes_put_varint(&b, r->vtime_ns - vtime_ns);
        bytes_put_varint(&b, r->kind);
        bytes_put_u8(&b, r->line);
        bytes_put_varint(&b, r->size);
        bytes_put(&b, r->bytes, r->size);
        step = r->step;
        vtime_ns = r->vtime_ns;
    }
    log_writer_chunk(w, LOG_CHUNK_INPUT, w->step, last, &b);
    w->step = step;
    w->vtime_ns = vtime_ns;
    bytes_free(&b);
}

void log_writer_hashes(struct log_writer *w, const struct log_hash *hashes, size_t count,
                       const struct log_position *last)
{
    struct bytes b = {0};
    bytes_put_varint(&b, w->hash_step);
    for (size_t i = 0; i < count; i++) {
        bytes_put_u8(&b, hashes[i].kind);
        bytes_put_varint(&b, hashes[i].step - w->hash_step);
        bytes_put_u64(&b, hashes[i].value);
        w->hash_step = hashes[i].step;
    }
    log_writer_chunk(w, LOG_CHUNK_HASH, count ? hashes[0].step : last->step, last, &b);
    bytes_free(&b);
}

void log_writer_copy(struct log_writer *w, const struct log_chunk_header *header, const u8 *payload)
{
    write_all(w, (const u8 *)header, sizeof(*header));
    write_all(w, payload, (size_t)header->length);
}

static bool is_zero(const u8 *data, size_t size)
{
    return !data[0] && memcmp(data, data + 1, size - 1) == 0;
}

void log_writer_image(struct log_writer *w, const struct recording_image *image,
                      bool (*read)(void *ctx, u64 offset, void *bytes, size_t size), void *ctx)
{
    static const struct log_position start = {0};
    u8 *piece = xcalloc(1, IMAGE_PIECE);
    for (u64 at = 0; at < image->size_bytes && !w->error; at += IMAGE_PIECE) {
        u64 left = image->size_bytes - at;
        size_t part = left < IMAGE_PIECE ? (size_t)left : IMAGE_PIECE;
        if (!read(ctx, at, piece, part)) {
            w->error = EIO;
        } else if (!is_zero(piece, part)) {
            struct bytes b = {0};
            bytes_put_u8(&b, image->role);
            bytes_put_u8(&b, image->index);
            bytes_put_u64(&b, at);
            bytes_put(&b, piece, part);
            log_writer_chunk(w, LOG_CHUNK_IMAGE, 0, &start, &b);
            bytes_free(&b);
        }
    }
    free(piece);
}

static void put_end(struct log_writer *w, const struct log_end *end)
{
    struct bytes b = {0};
    bytes_put_u8(&b, end->exit);
    bytes_put_u32(&b, end->value);
    bytes_put_text(&b, end->text);
    bytes_put_u8(&b, end->hashed);
    bytes_put_u64(&b, end->state_hash);
    bytes_put_u64(&b, end->memory_hash);
    log_writer_chunk(w, LOG_CHUNK_END, end->position.step, &end->position, &b);
    bytes_free(&b);
}

static void free_writer(struct log_writer *w)
{
    free(w->path);
    free(w->incomplete);
    free(w);
}

struct status log_writer_finish(struct log_writer *w, const struct log_end *end)
{
    struct status s = status_success();
    if (end) {
        put_end(w, end);
    }
    if (close(w->fd) != 0 && !w->error) {
        w->error = errno;
    }
    if (!w->error && end && rename(w->incomplete, w->path) != 0) {
        w->error = errno;
    }
    if (w->error) {
        s = status_error(STATUS_BAD_INPUT,
                         "cannot write the recording: %s; %s replays as far as it "
                         "goes",
                         strerror(w->error), w->incomplete);
    }
    free_writer(w);
    return s;
}

void log_writer_abandon(struct log_writer *w)
{
    close(w->fd);
    unlink(w->incomplete);
    free_writer(w);
}
