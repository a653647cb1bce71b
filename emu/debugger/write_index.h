// SPDX-License-Identifier: MIT
// Which words of a RAM page were written in which stretch of history, as searches have seen it: the
// next question about the same page skips what is known to hold no answer.
#ifndef VIV_DEBUGGER_WRITE_INDEX_H
#define VIV_DEBUGGER_WRITE_INDEX_H

#include "base/types.h"

struct write_index;

// The words of a page (of 8 bytes) that were written, a bit each.
struct write_words {
    u64 bits[8];
};

struct write_index *write_index_create(void);
void write_index_destroy(struct write_index *x);

// Marks the words that size bytes at an offset in the page touch; what lies outside is left out.
void write_words_mark(struct write_words *w, s64 offset, u64 size);

// All writes to page rpn in the steps [from, to) are known: these words.
void write_index_add(struct write_index *x, u32 rpn, u64 from, u64 to, const struct write_words *w);
// True if it is known that nothing wrote the bytes [offset, offset + size) in steps [from, to).
bool write_index_clean(const struct write_index *x, u32 rpn, u64 offset, u64 size, u64 from,
                       u64 to);
// History from that step on is no more.
void write_index_cut(struct write_index *x, u64 step);

#endif
