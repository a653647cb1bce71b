// SPDX-License-Identifier: MIT
// The chunks that follow a recording's header (docs/REPLAY_FORMAT.md). Shared by writer and reader.
#ifndef VIV_REPLAY_LOG_FORMAT_H
#define VIV_REPLAY_LOG_FORMAT_H

#include "base/types.h"

enum log_chunk_type {
    LOG_CHUNK_INPUT = 1,      // records
    LOG_CHUNK_HASH = 2,       // hashes of states
    LOG_CHUNK_CHECKPOINT = 3, // derived: may be dropped and made again
    LOG_CHUNK_EVENT = 4,      // derived; reserved
    LOG_CHUNK_INDEX = 5,      // derived; reserved
    LOG_CHUNK_END = 6,        // how the run ended; the last one
    LOG_CHUNK_IMAGE = 7,      // a piece of an embedded image
};

#define LOG_CHUNK_ZSTD 1u     // the payload is one zstd frame
#define LOG_CHUNK_REQUIRED 2u // who does not know the type must not go on

// Before each payload, as it stands in the file. All inputs up to (step_last, vtime_last_ns) are in
// the chunks up to this INPUT or HASH chunk: a file that is cut off behind it replays to there.
struct log_chunk_header {
    u32 type, flags;
    u64 length; // of the payload
    u64 step_first, step_last, vtime_last_ns;
    u32 reserved;
    u32 crc32c; // of the header up to here, and the payload
};

#define LOG_CHUNK_HEADER_BYTES 48
_Static_assert(sizeof(struct log_chunk_header) == LOG_CHUNK_HEADER_BYTES, "the file's layout");
#define LOG_CHUNK_COVERED (LOG_CHUNK_HEADER_BYTES - 4)
#define LOG_PAYLOAD_MAX (UINT64_C(1) << 31) // unpacked

enum log_hash_kind { LOG_HASH_STATE, LOG_HASH_MEMORY };

struct log_hash {
    u64 step, value;
    u8 kind; // enum log_hash_kind
};

#endif
