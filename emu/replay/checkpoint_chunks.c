// SPDX-License-Identifier: MIT
// A checkpoint is found by the chunks' headers alone; only what is needed for it is read.
#include "replay/checkpoint_chunks.h"

void checkpoint_chunk_write(struct log_writer *w, struct checkpoint_saver *saver,
                            const struct machine *m, const struct input_log *log)
{
    struct bytes payload = {0};
    struct log_position here = {.step = machine_clock(m)->step,
                                .vtime_ns = vclock_ns(machine_clock(m))};
    checkpoint_save(saver, input_log_position(log), &payload);
    log_writer_chunk(w, LOG_CHUNK_CHECKPOINT, here.step, &here, &payload);
    bytes_free(&payload);
}

// The last checkpoint chunk at or before step, -1 if there is none.
static s64 find_chunk(const struct log_reader *r, u64 step)
{
    const struct log_chunk *chunks;
    s64 found = -1;
    for (size_t i = 0, count = log_reader_chunks(r, &chunks); i < count; i++) {
        if (chunks[i].type == LOG_CHUNK_CHECKPOINT && chunks[i].step_last <= step) {
            found = (s64)i;
        }
    }
    return found;
}

bool checkpoint_chunk_find(const struct log_reader *r, u64 step, u64 *found_step)
{
    const struct log_chunk *chunks;
    s64 found = find_chunk(r, step);
    if (found >= 0) {
        log_reader_chunks(r, &chunks);
        *found_step = chunks[found].step_last;
    }
    return found >= 0;
}

static struct status read_head(const struct log_reader *r, const struct log_chunk *c,
                               struct bytes *payload, struct checkpoint_head *head)
{
    struct status s = log_reader_payload(r, c, payload);
    if (status_ok(&s)) {
        s = checkpoint_read_head(payload->data, payload->size, head);
    }
    if (status_ok(&s) && head->step != c->step_last) {
        s = status_error(STATUS_BAD_INPUT, "%s: a checkpoint is not of the step it says",
                         log_reader_path(r));
    }
    return s;
}

// The first chunk that is needed for chunk last.
static struct status find_first(const struct log_reader *r, const struct log_chunk *chunks,
                                s64 last, s64 *first)
{
    for (s64 i = last; i >= 0; i--) {
        struct bytes payload = {0};
        struct checkpoint_head head = {0};
        struct status s = status_success();
        if (chunks[i].type == LOG_CHUNK_CHECKPOINT) {
            s = read_head(r, &chunks[i], &payload, &head);
        }
        bytes_free(&payload);
        if (!status_ok(&s) || head.complete) {
            *first = i;
            return s;
        }
    }
    return status_error(STATUS_BAD_INPUT, "%s: no checkpoint is complete", log_reader_path(r));
}

struct status checkpoint_chunk_restore(const struct log_reader *r, u64 found_step,
                                       const struct checkpoint_parts *parts, struct input_log *log)
{
    const struct log_chunk *chunks;
    log_reader_chunks(r, &chunks);
    s64 last = find_chunk(r, found_step), first = 0;
    struct status s = find_first(r, chunks, last, &first);
    for (s64 i = first; i <= last && status_ok(&s); i++) {
        if (chunks[i].type != LOG_CHUNK_CHECKPOINT) {
            continue;
        }
        struct bytes payload = {0};
        struct checkpoint_head head;
        s = read_head(r, &chunks[i], &payload, &head);
        if (status_ok(&s) && head.position > input_log_count(log)) {
            s = status_error(STATUS_BAD_INPUT, "%s: a checkpoint behind all inputs",
                             log_reader_path(r));
        }
        if (status_ok(&s)) {
            if (i == last) {
                input_log_seek(log, head.position);
            }
            s = checkpoint_apply(parts, payload.data, payload.size, i == last);
        }
        bytes_free(&payload);
    }
    return s;
}
