// SPDX-License-Identifier: MIT
// A growing string.
#ifndef VIV_TRACE_TEXT_BUFFER_H
#define VIV_TRACE_TEXT_BUFFER_H

#include "base/types.h"

struct text {
    char *chars; // NUL-terminated once anything was added; NULL before
    size_t used, room;
};

void text_add(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_char(struct text *t, char c);
void text_clear(struct text *t);
void text_free(struct text *t);

// The string, "" if empty.
static inline const char *text_get(const struct text *t)
{
    return t->used ? t->chars : "";
}

#endif
