// SPDX-License-Identifier: MIT
// A growing string.
#include "trace/text_buffer.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void make_room(struct text *t, size_t more)
{
    if (t->used + more + 1 > t->room) {
        t->room = (t->used + more + 1) * 2;
        t->chars = xrealloc(t->chars, t->room);
    }
}

void text_add(struct text *t, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    make_room(t, (size_t)n);
    vsnprintf(t->chars + t->used, (size_t)n + 1, format, again);
    t->used += (size_t)n;
    va_end(again);
    va_end(args);
}

void text_char(struct text *t, char c)
{
    make_room(t, 1);
    t->chars[t->used++] = c;
    t->chars[t->used] = '\0';
}

void text_clear(struct text *t)
{
    t->used = 0;
}

void text_free(struct text *t)
{
    free(t->chars);
    *t = (struct text){0};
}
