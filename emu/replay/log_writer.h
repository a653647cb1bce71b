// SPDX-License-Identifier: MIT
// Writes a recording: header, then whole chunks. Until it ends, the file has the name
// PATH.incomplete.
#ifndef VIV_REPLAY_LOG_WRITER_H
#define VIV_REPLAY_LOG_WRITER_H

#include "replay/input_log.h"
#include "replay/log_format.h"
#include "replay/recording.h"

struct log_writer;

// STATUS_BAD_INPUT: the file cannot be written, or PATH is something else than a regular file. An
// existing PATH is replaced at the end only.
struct status log_writer_create(struct log_writer **out, const char *path,
                                const struct recording *r);

struct log_position {
    u64 step, vtime_ns;
};

// Writes one chunk in one piece. Large or compressible payloads are packed. Errors are kept for
// log_writer_finish(); after one, nothing more is written.
void log_writer_chunk(struct log_writer *w, enum log_chunk_type type, u64 step_first,
                      const struct log_position *last, const struct bytes *payload);
// A chunk that is already packed, its header as it was read.
void log_writer_copy(struct log_writer *w, const struct log_chunk_header *header,
                     const u8 *payload);
// Records first .. end-1 of the log, complete up to *last. first == end is fine: nothing came.
void log_writer_inputs(struct log_writer *w, const struct input_log *log, u64 first, u64 end,
                       const struct log_position *last);
void log_writer_hashes(struct log_writer *w, const struct log_hash *hashes, size_t count,
                       const struct log_position *last);

// An image's bytes: read(ctx, offset, bytes, size). Pieces of zeros are left out.
void log_writer_image(struct log_writer *w, const struct recording_image *image,
                      bool (*read)(void *ctx, u64 offset, void *bytes, size_t size), void *ctx);

struct log_end {
    struct log_position position;
    u8 exit;   // enum machine_exit
    u32 value; // debug-exit's
    char text[200];
    bool hashed;
    u64 state_hash, memory_hash; // of the last state
};

// Writes END, gives the file its name, frees the writer. STATUS_BAD_INPUT: something could not be
// written; what was is in PATH.incomplete. end NULL: leaves the file incomplete.
struct status log_writer_finish(struct log_writer *w, const struct log_end *end);
// Removes what was written and frees the writer.
void log_writer_abandon(struct log_writer *w);

#endif
