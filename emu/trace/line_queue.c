// SPDX-License-Identifier: MIT
// A ring of waiting lines; its head is always an open one.
#include "trace/line_queue.h"

#include "base/memory.h"

#include <stdlib.h>

#define WAITING_MAX 8192 // a power of two

struct line {
    char *text;
    bool open;
};

struct line_queue {
    FILE *out;
    struct line lines[WAITING_MAX];
    u64 head, tail; // tickets of the first waiting line and of the next new one
};

struct line_queue *line_queue_create(FILE *out)
{
    struct line_queue *q = xcalloc(1, sizeof(*q));
    q->out = out;
    return q;
}

static struct line *line_at(struct line_queue *q, u64 ticket)
{
    return &q->lines[ticket & (WAITING_MAX - 1)];
}

static void write_head(struct line_queue *q)
{
    struct line *line = line_at(q, q->head++);
    if (line->text) {
        fprintf(q->out, "%s\n", line->text);
    }
    free(line->text);
    line->text = NULL;
}

// Writes up to the first open line; more if there is no room.
static void drain(struct line_queue *q)
{
    while (q->head < q->tail && !line_at(q, q->head)->open) {
        write_head(q);
    }
}

static u64 push(struct line_queue *q, const char *text, bool open)
{
    if (q->tail - q->head == WAITING_MAX) {
        write_head(q);
        drain(q);
    }
    *line_at(q, q->tail) = (struct line){text ? xstrdup(text) : NULL, open};
    return q->tail++;
}

void line_queue_destroy(struct line_queue *q)
{
    if (!q) {
        return;
    }
    while (q->head < q->tail) {
        write_head(q);
    }
    fflush(q->out);
    free(q);
}

void line_queue_add(struct line_queue *q, const char *text)
{
    if (q->head == q->tail) {
        fprintf(q->out, "%s\n", text);
    } else {
        push(q, text, false);
    }
}

u64 line_queue_reserve(struct line_queue *q, const char *fallback)
{
    return push(q, fallback, true);
}

void line_queue_finish(struct line_queue *q, u64 ticket, const char *text)
{
    if (ticket < q->head || ticket >= q->tail) {
        return;
    }
    struct line *line = line_at(q, ticket);
    free(line->text);
    line->text = text ? xstrdup(text) : NULL;
    line->open = false;
    drain(q);
}

void line_queue_flush(struct line_queue *q)
{
    fflush(q->out);
}
