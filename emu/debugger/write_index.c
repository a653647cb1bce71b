// SPDX-License-Identifier: MIT
// A list of stretches; there are as many as pages asked about times intervals of history.
#include "debugger/write_index.h"

#include "base/memory.h"
#include "mem/physmem.h"

#include <stdlib.h>

#define STRETCHES_MAX 65536 // then all are forgotten: they can be found again
#define WORD 8

struct stretch {
    u32 rpn;
    u64 from, to;
    struct write_words words;
};

struct write_index {
    struct stretch *list;
    size_t count, room;
};

struct write_index *write_index_create(void)
{
    return xcalloc(1, sizeof(struct write_index));
}

void write_index_destroy(struct write_index *x)
{
    if (x) {
        free(x->list);
        free(x);
    }
}

void write_words_mark(struct write_words *w, s64 offset, u64 size)
{
    s64 end = offset + (s64)size;
    s64 first = offset < 0 ? 0 : offset;
    end = end > (s64)PAGE_SIZE ? (s64)PAGE_SIZE : end;
    for (s64 word = first / WORD; word * WORD < end; word++) {
        w->bits[word / 64] |= UINT64_C(1) << (word % 64);
    }
}

void write_index_add(struct write_index *x, u32 rpn, u64 from, u64 to, const struct write_words *w)
{
    if (x->count == STRETCHES_MAX) {
        x->count = 0;
    }
    if (x->count == x->room) {
        x->room = x->room ? x->room * 2 : 64;
        x->list = xrealloc(x->list, x->room * sizeof(*x->list));
    }
    x->list[x->count++] = (struct stretch){.rpn = rpn, .from = from, .to = to, .words = *w};
}

// The stretch that begins at or before step, reaches beyond it and has none of the words.
static const struct stretch *clean_stretch(const struct write_index *x, u32 rpn, u64 step,
                                           const struct write_words *words)
{
    for (size_t i = 0; i < x->count; i++) {
        const struct stretch *s = &x->list[i];
        if (s->rpn != rpn || s->from > step || s->to <= step) {
            continue;
        }
        u64 common = 0;
        for (unsigned b = 0; b < 8; b++) {
            common |= s->words.bits[b] & words->bits[b];
        }
        if (!common) {
            return s;
        }
    }
    return NULL;
}

bool write_index_clean(const struct write_index *x, u32 rpn, u64 offset, u64 size, u64 from, u64 to)
{
    struct write_words words = {0};
    write_words_mark(&words, (s64)offset, size);
    while (from < to) {
        const struct stretch *s = clean_stretch(x, rpn, from, &words);
        if (!s) {
            return false;
        }
        from = s->to;
    }
    return true;
}

void write_index_cut(struct write_index *x, u64 step)
{
    size_t kept = 0;
    for (size_t i = 0; i < x->count; i++) {
        if (x->list[i].to <= step) {
            x->list[kept++] = x->list[i];
        }
    }
    x->count = kept;
}
