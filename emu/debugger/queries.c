// SPDX-License-Identifier: MIT
// Questions to history: who wrote this, when was it mapped, when executed. All searches go back
// interval by interval and leave the machine where it was.
#include "debugger/target_internal.h"

#include "base/bits.h"
#include "debugger/walk.h"

#include <string.h>

#define WATCHED_MAX 8

// Several searches for the last writer in one pass.
struct writers {
    struct target *t;
    unsigned count;
    struct watch_range range[WATCHED_MAX];
    bool done[WATCHED_MAX]; // found in an interval that has been looked at
    struct watch_hit last[WATCHED_MAX];
    bool found[WATCHED_MAX];
    struct write_words words[WATCHED_MAX]; // of each range's page, in the interval looked at
    bool without_walks; // the walker's A and D bits do not count
};

static u64 page_of(const struct watch_range *r)
{
    return r->first & ~PAGE_MASK;
}

static bool note_writer(void *ctx, const struct watch_hit *hit)
{
    struct writers *w = ctx;
    for (unsigned i = 0; i < w->count; i++) {
        write_words_mark(&w->words[i], (s64)(hit->address - page_of(&w->range[i])), hit->size);
    }
    if (w->without_walks && hit->source == WATCH_BY_WALK) {
        return false;
    }
    for (unsigned i = 0; i < w->count; i++) {
        const struct watch_range *r = &w->range[i];
        if (!w->done[i] && hit->address < r->first + r->size &&
            r->first < hit->address + hit->size) {
            w->last[i] = *hit;
            w->found[i] = true;
        }
    }
    return false; // noted here: the search goes on
}

static bool all_done(struct writers *w)
{
    bool all = true;
    for (unsigned i = 0; i < w->count; i++) {
        w->done[i] = w->done[i] || w->found[i];
        all = all && w->done[i];
    }
    return all;
}

// The ranges that may have been written in [low, high), as whole pages, so that what the pages meet
// there is known for the next question. False: none.
static bool make_goal(struct writers *w, u64 low, u64 high, struct goal *goal,
                      u32 pages[WATCHED_MAX])
{
    const struct physmem *mem = machine_memory(w->t->m);
    *goal = (struct goal){.on_access = note_writer, .ctx = w, .pages = pages};
    memset(w->words, 0, sizeof(w->words));
    for (unsigned i = 0; i < w->count; i++) {
        const struct watch_range *r = &w->range[i];
        u32 rpn = physmem_rpn(mem, r->first);
        if (!w->done[i] && !write_index_clean(w->t->write_index, rpn, r->first & PAGE_MASK, r->size,
                                              low, high)) {
            pages[goal->page_count++] = rpn;
            goal->ranges[goal->range_count++] = (struct watch_range){
                .first = page_of(r), .size = PAGE_SIZE, .kinds = WATCH_PHYSICAL};
        }
    }
    return goal->range_count;
}

static void keep_words(const struct writers *w, const struct goal *goal, u64 low, u64 high)
{
    const struct physmem *mem = machine_memory(w->t->m);
    for (unsigned i = 0; i < w->count; i++) {
        for (unsigned p = 0; p < goal->page_count; p++) {
            if (physmem_rpn(mem, w->range[i].first) == goal->pages[p]) {
                write_index_add(w->t->write_index, goal->pages[p], low, high, &w->words[i]);
                break;
            }
        }
    }
}

// One interval after the other, backwards. False: cancelled.
static bool search_writers(struct writers *w)
{
    struct target *t = w->t;
    u64 high = timeline_step(t->timeline), begin = timeline_begin(t->timeline);
    while (high > begin && !all_done(w)) {
        struct goal goal;
        u32 pages[WATCHED_MAX];
        u64 low = timeline_checkpoint_before(t->timeline, high - 1);
        if (make_goal(w, low, high, &goal, pages)) {
            if (engine_back(t, &goal, high, low) == ENGINE_CANCELLED) {
                return false;
            }
            keep_words(w, &goal, low, high);
        }
        high = low;
        if (target_cancelled(t)) {
            return false;
        }
    }
    all_done(w);
    return true;
}

static struct target_writer writer_of(struct writers *w, unsigned index)
{
    const struct watch_hit *hit = &w->last[index];
    struct target_writer out = {.found = w->done[index] || w->found[index]};
    if (!out.found) {
        return out;
    }
    out.step = hit->step;
    out.rip = hit->rip;
    out.cpu = hit->cpu;
    out.source = hit->source;
    u64 skip = hit->address < w->range[index].first ? w->range[index].first - hit->address : 0;
    u64 left = hit->size > skip ? hit->size - skip : 0;
    left = left < w->range[index].size ? left : w->range[index].size;
    left = left < sizeof(out.bytes) ? left : sizeof(out.bytes);
    out.size = (u32)left;
    if (skip + left <= sizeof(hit->bytes)) {
        memcpy(out.bytes, hit->bytes + skip, left);
    }
    // Whose it was is read where it happened.
    if (w->t->guest && engine_seek(w->t, hit->step)) {
        unsigned selected = w->t->cpu;
        w->t->cpu = hit->cpu;
        out.pid = target_pid(w->t);
        w->t->cpu = selected;
    }
    return out;
}

static bool physical_range(struct target *t, u64 address, u64 size, bool physical,
                           struct watch_range *out)
{
    struct walk walk = {.gpa = address};
    if (!physical) {
        struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
        walk_linear(&space, address, &walk);
        if (!walk.mapped) {
            return false;
        }
    }
    u64 room = PAGE_SIZE - (walk.gpa & PAGE_MASK);
    *out = (struct watch_range){
        .first = walk.gpa, .size = size < room ? size : room, .kinds = WATCH_PHYSICAL};
    return size && physmem_rpn(machine_memory(t->m), walk.gpa) != PHYSMEM_NO_RPN;
}

struct target_writer target_who_wrote(struct target *t, u64 address, u64 size, bool physical)
{
    struct writers w = {.t = t, .count = 1};
    struct target_writer out = {0};
    u64 here = timeline_step(t->timeline);
    t->query_cancelled = false;
    if (!physical_range(t, address, size, physical, &w.range[0])) {
        return out;
    }
    timeline_checkpoint(t->timeline);
    if (search_writers(&w)) {
        out = writer_of(&w, 0);
    } else {
        t->query_cancelled = true;
    }
    engine_return(t, here);
    return out;
}

unsigned target_when_mapped(struct target *t, u64 linear, struct target_writer out[4])
{
    struct writers w = {.t = t, .without_walks = true};
    struct walk_space space = walk_space_of_cpu(t->m, t->cpu);
    struct walk walk;
    u64 here = timeline_step(t->timeline);
    memset(out, 0, 4 * sizeof(*out));
    t->query_cancelled = false;
    walk_linear(&space, linear, &walk);
    for (unsigned i = 0; i < walk.depth && walk.steps[i].in_ram; i++) {
        w.range[w.count++] = (struct watch_range){
            .first = walk.steps[i].entry_gpa, .size = 8, .kinds = WATCH_PHYSICAL};
    }
    if (!w.count) {
        return 0;
    }
    timeline_checkpoint(t->timeline);
    if (search_writers(&w)) {
        for (unsigned i = 0; i < w.count; i++) {
            out[i] = writer_of(&w, i);
        }
    } else {
        t->query_cancelled = true;
    }
    engine_return(t, here);
    return w.count;
}

struct execution {
    struct target *t;
    u64 cr3; // user addresses: of this address space
    bool user;
};

static bool executed_here(void *ctx, const struct watch_hit *hit)
{
    const struct execution *e = ctx;
    struct cpu_regs regs;
    target_regs(e->t, &regs);
    return !e->user || (regs.cr3 ^ e->cr3) < PAGE_SIZE;
}

bool target_when_executed(struct target *t, u64 linear, u64 *step)
{
    struct cpu_regs regs;
    target_regs(t, &regs);
    struct execution e = {.t = t, .cr3 = regs.cr3, .user = !(linear >> 63)};
    struct goal goal = {.ranges = {{.first = linear, .size = 1, .kinds = WATCH_EXECUTE}},
                        .range_count = 1,
                        .on_access = executed_here,
                        .ctx = &e};
    u64 here = timeline_step(t->timeline);
    timeline_checkpoint(t->timeline);
    enum engine_end end = engine_back(t, &goal, here, timeline_begin(t->timeline));
    *step = t->run.met.step;
    t->query_cancelled = end == ENGINE_CANCELLED;
    engine_return(t, here);
    return end == ENGINE_MET;
}
