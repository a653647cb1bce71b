// SPDX-License-Identifier: MIT
// Hashes give an interval, bisection the step.
#include "replay/divergence.h"

#include "base/bits.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct divergence_range divergence_of_hashes(const struct log_reader *a, const struct log_reader *b)
{
    const struct log_hash *ha, *hb;
    size_t na = log_reader_hashes(a, &ha), nb = log_reader_hashes(b, &hb);
    struct divergence_range range = {.differs_step = UINT64_MAX};
    for (size_t i = 0, j = 0; i < na && j < nb;) {
        if (ha[i].step != hb[j].step || ha[i].kind != hb[j].kind) {
            bool a_first =
                ha[i].step != hb[j].step ? ha[i].step < hb[j].step : ha[i].kind < hb[j].kind;
            i += a_first;
            j += !a_first;
            continue;
        }
        if (ha[i].value != hb[j].value) {
            range.differs_step = ha[i].step;
            break;
        }
        if (ha[i].kind == LOG_HASH_MEMORY) {
            range.equal_step = ha[i].step; // the state's hash, which comes first, was equal too
        }
        i++;
        j++;
    }
    return range;
}

// Two runs beside each other.
struct pair {
    struct timeline *a, *b;
    bool (*cancel)(void *ctx);
    void *ctx;
    bool cancelled;
};

// Once cancelled, everything is equal, so that every search ends.
static bool equal_at(struct pair *p, u64 step)
{
    p->cancelled = p->cancelled || !timeline_seek(p->a, step, p->cancel, p->ctx) ||
                   !timeline_seek(p->b, step, p->cancel, p->ctx);
    return p->cancelled ||
           machine_hash(timeline_machine(p->a)) == machine_hash(timeline_machine(p->b));
}

// Doubling strides from low, where they are equal: a difference may heal (a register is loaded
// anew), so that one far away shows nothing. True: low and high enclose the first that is seen.
static bool gallop(struct pair *p, u64 *low, u64 *high)
{
    u64 limit = *high;
    for (u64 stride = 1; *low < limit && !p->cancelled; stride *= 2) {
        u64 at = stride < limit - *low ? *low + stride : limit;
        if (!equal_at(p, at)) {
            *high = at;
            return true;
        }
        *low = at;
    }
    return false;
}

static u64 bisect(struct pair *p, u64 low, u64 high)
{
    while (high - low > 1 && !p->cancelled) {
        u64 middle = low + (high - low) / 2;
        if (equal_at(p, middle)) {
            low = middle;
        } else {
            high = middle;
        }
    }
    equal_at(p, high);
    return high;
}

u64 divergence_find(struct timeline *a, struct timeline *b, const struct divergence_range *range,
                    u64 last_step, bool (*cancel)(void *ctx), void *ctx)
{
    struct pair p = {.a = a, .b = b, .cancel = cancel, .ctx = ctx};
    u64 low = range->equal_step < last_step ? range->equal_step : last_step;
    u64 high = range->differs_step < last_step ? range->differs_step : last_step;
    if (!equal_at(&p, low)) {
        return !equal_at(&p, 0) ? 0 : bisect(&p, 0, low);
    }
    return gallop(&p, &low, &high) ? bisect(&p, low, high) : UINT64_MAX;
}

static int describe_input(const struct input_record *r, char *text, size_t size)
{
    if (r->kind == INPUT_SERIAL && r->size == 1 && isprint(r->bytes[0])) {
        return snprintf(text, size, "'%c' on line %u at step %llu", r->bytes[0], r->line,
                        (unsigned long long)r->step);
    }
    char bytes[32] = "";
    for (u32 i = 0; i < r->size && i < 8 && r->kind == INPUT_SERIAL; i++) {
        snprintf(bytes + 3 * i, sizeof(bytes) - 3 * i, " %02x", r->bytes[i]);
    }
    return snprintf(text, size, "%s%s of line %u at step %llu", input_kind_name(r->kind), bytes,
                    r->line, (unsigned long long)r->step);
}

static bool same_input(const struct input_record *a, const struct input_record *b)
{
    return a->kind == b->kind && a->line == b->line && a->step == b->step &&
           a->vtime_ns == b->vtime_ns && a->size == b->size &&
           (!a->size || memcmp(a->bytes, b->bytes, a->size) == 0);
}

// The first record that differs, or the count of the shorter log.
static u64 first_other_input(const struct input_log *a, const struct input_log *b)
{
    u64 na = input_log_count(a), nb = input_log_count(b), seq = 0;
    while (seq < na && seq < nb && same_input(input_log_get(a, seq), input_log_get(b, seq))) {
        seq++;
    }
    return seq;
}

static const struct input_record *record_or_null(const struct input_log *log, u64 seq)
{
    return seq < input_log_count(log) ? input_log_get(log, seq) : NULL;
}

bool divergence_of_inputs(const struct input_log *a, const struct input_log *b, u64 last_step,
                          u64 *step, char *text, size_t size)
{
    u64 seq = first_other_input(a, b);
    const struct input_record *ra = record_or_null(a, seq), *rb = record_or_null(b, seq);
    *step = ra && (!rb || ra->step < rb->step) ? ra->step : rb ? rb->step : UINT64_MAX;
    if (*step > last_step) {
        return false;
    }
    char in_a[100] = "none", in_b[100] = "none";
    if (ra) {
        describe_input(ra, in_a, sizeof(in_a));
    }
    if (rb) {
        describe_input(rb, in_b, sizeof(in_b));
    }
    snprintf(text, size, "input %llu differs: %s / %s", (unsigned long long)seq, in_a, in_b);
    return true;
}
