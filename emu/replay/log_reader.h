// SPDX-License-Identifier: MIT
// Reads a recording: its header, the list of its chunks, and what is in them. Everything in a file
// is untrusted.
#ifndef VIV_REPLAY_LOG_READER_H
#define VIV_REPLAY_LOG_READER_H

#include "replay/log_writer.h"

struct log_reader;

// Reads header, inputs, hashes and end. STATUS_BAD_INPUT, one line: missing, foreign, older, newer,
// malformed, corrupted. A file that is cut off (the run was killed) is fine as far as it goes.
struct status log_reader_open(struct log_reader **out, const char *path);
void log_reader_close(struct log_reader *r);

const struct recording *log_reader_recording(const struct log_reader *r);
const char *log_reader_path(const struct log_reader *r);

// How far it goes: the end, or where the last whole chunk ends.
struct log_position log_reader_last(const struct log_reader *r);
// NULL: the recording was not ended.
const struct log_end *log_reader_end(const struct log_reader *r);

// Appends all inputs and sets the log's end.
void log_reader_fill(const struct log_reader *r, struct input_log *log);

// In the order of steps, of a step the state first.
size_t log_reader_hashes(const struct log_reader *r, const struct log_hash **hashes);

// Chunks of the derived types, in file order.
struct log_chunk {
    enum log_chunk_type type;
    u64 step_first, step_last;
    u64 offset, length; // of the stored payload
    u32 flags, crc32c;
    u64 vtime_last_ns;
};
size_t log_reader_chunks(const struct log_reader *r, const struct log_chunk **chunks);
// A chunk's unpacked payload, checked; free with bytes_free().
struct status log_reader_payload(const struct log_reader *r, const struct log_chunk *chunk,
                                 struct bytes *out);

// Copies all chunks as they are, but for what is derived and the end.
struct status log_reader_copy(const struct log_reader *r, struct log_writer *to);

// The bytes of an embedded image, free() them. STATUS_BAD_INPUT: not all there, or not those that
// were recorded.
struct status log_reader_image(const struct log_reader *r, const struct recording_image *image,
                               u8 **bytes);

#endif
