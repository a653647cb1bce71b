// SPDX-License-Identifier: MIT
// What is watched, split up for those who notice it: decoded code, TLBs, pages of RAM.
#include "machine/watch.h"

#include "base/check.h"
#include "base/memory.h"
#include "machine/machine_internal.h"

#include <stdlib.h>
#include <string.h>

struct watcher {
    watch_fn fn;
    void *ctx;
    struct watch_range *ranges;
    unsigned count;
};

struct watches {
    struct watcher list[WATCHERS_MAX];
    unsigned watcher_count;
    u64 *executed; // everybody's, sorted
    struct mmu_observed *accessed;
    struct watch_range *physical;
    unsigned executed_count, accessed_count, physical_count;
};

static bool concerns(const struct watcher *w, const struct watch_hit *hit)
{
    u64 last = hit->address + (hit->size - 1);
    for (unsigned i = 0; i < w->count; i++) {
        const struct watch_range *r = &w->ranges[i];
        if ((r->kinds & hit->kind) && r->first <= last &&
            hit->address <= r->first + (r->size - 1)) {
            return true;
        }
    }
    return false;
}

// Fills in when and where, and asks.
static void tell(struct machine *m, struct watch_hit *hit, const void *bytes, u32 size)
{
    struct cpu *cpu = m->running;
    if (cpu) {
        hit->rip = cpu_now(cpu);
    } else {
        struct cpu_regs regs;
        cpu_get_regs(m->cpus[m->schedule.current], &regs);
        hit->rip = regs.rip;
    }
    hit->step = m->clock.step;
    hit->size = size;
    if (bytes) {
        memcpy(hit->bytes, bytes, size < sizeof(hit->bytes) ? size : sizeof(hit->bytes));
    }
    const struct watches *all = m->watches;
    for (unsigned i = 0; i < all->watcher_count; i++) {
        const struct watcher *w = &all->list[i];
        if ((all->watcher_count == 1 || concerns(w, hit)) && w->fn(w->ctx, hit)) {
            machine_stop_soon(m);
        }
    }
}

static bool on_execution(void *ctx, unsigned cpu, u64 linear, bool restarted)
{
    struct machine *m = ctx;
    struct watch_hit hit = {
        .kind = WATCH_EXECUTE, .cpu = cpu, .restarted = restarted, .address = linear};
    tell(m, &hit, NULL, 1);
    return m->stop_soon;
}

static void on_access(void *ctx, unsigned cpu, u64 linear, const void *bytes, unsigned size,
                      bool is_write)
{
    struct machine *m = ctx;
    if (m->running) {
        struct watch_hit hit = {
            .kind = is_write ? WATCH_WRITE : WATCH_READ, .cpu = cpu, .address = linear};
        tell(m, &hit, bytes, size);
    }
}

static void on_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size)
{
    static const enum watch_source sources[] = {
        [PHYSMEM_BY_DEVICE] = WATCH_BY_DEVICE,
        [PHYSMEM_BY_CPU] = WATCH_BY_CPU,
        [PHYSMEM_BY_WALK] = WATCH_BY_WALK,
    };
    struct machine *m = ctx;
    u64 first = physmem_gpa(m->mem, rpn) + offset, last = first + size - 1;
    if (!m->in_run) {
        return;
    }
    for (unsigned i = 0; i < m->watches->physical_count; i++) {
        const struct watch_range *r = &m->watches->physical[i];
        if (r->first <= last && first <= r->first + (r->size - 1)) {
            struct watch_hit hit = {.kind = WATCH_PHYSICAL,
                                    .source = sources[m->mem->writer],
                                    .cpu = m->schedule.current,
                                    .address = first};
            tell(m, &hit, bytes, size);
            return;
        }
    }
}

static void flag_page(struct machine *m, u32 rpn, bool on)
{
    if (on) {
        m->mem->page_flags[rpn] |= PHYSMEM_PAGE_WATCH;
        mmu_drop_page_writes(m->mmu, rpn);
    } else {
        m->mem->page_flags[rpn] &= (u8)~PHYSMEM_PAGE_WATCH;
    }
}

// What of the range is no RAM is not watched.
static void flag_pages(struct machine *m, const struct watch_range *r, bool on)
{
    u64 first = align_down(r->first, PAGE_SIZE), last = r->first + (r->size - 1);
    u64 end = physmem_end(m->mem);
    for (u64 gpa = first; gpa <= last && gpa < end; gpa += PAGE_SIZE) {
        u32 rpn = physmem_rpn(m->mem, gpa);
        if (rpn != PHYSMEM_NO_RPN) {
            flag_page(m, rpn, on);
        }
    }
}

static int compare_u64(const void *a, const void *b)
{
    u64 x = *(const u64 *)a, y = *(const u64 *)b;
    return x < y ? -1 : x > y;
}

// Adds a watcher's ranges to everybody's.
static void sort_out(struct watches *w, const struct watcher *watcher)
{
    for (unsigned i = 0; i < watcher->count; i++) {
        const struct watch_range *r = &watcher->ranges[i];
        u64 last = r->first + (r->size - 1);
        CHECK(r->size && last >= r->first);
        if (r->kinds == WATCH_EXECUTE) {
            w->executed[w->executed_count++] = r->first;
        } else if (r->kinds == WATCH_PHYSICAL) {
            w->physical[w->physical_count++] = *r;
        } else {
            CHECK(r->kinds && !(r->kinds & ~(WATCH_READ | WATCH_WRITE)));
            w->accessed[w->accessed_count++] = (struct mmu_observed){
                r->first, last, r->kinds & WATCH_READ, r->kinds & WATCH_WRITE};
        }
    }
}

static void add_watcher(struct watches *w, const struct watch_range *ranges, unsigned count,
                        watch_fn fn, void *ctx)
{
    CHECK(w->watcher_count < WATCHERS_MAX);
    struct watcher *added = &w->list[w->watcher_count++];
    *added = (struct watcher){.fn = fn, .ctx = ctx, .count = count};
    added->ranges = xcalloc(count, sizeof(*ranges));
    memcpy(added->ranges, ranges, count * sizeof(*ranges));
}

static void sort_out_all(struct watches *w)
{
    unsigned count = 1;
    for (unsigned i = 0; i < w->watcher_count; i++) {
        count += w->list[i].count;
    }
    w->executed = xcalloc(count, sizeof(*w->executed));
    w->accessed = xcalloc(count, sizeof(*w->accessed));
    w->physical = xcalloc(count, sizeof(*w->physical));
    for (unsigned i = 0; i < w->watcher_count; i++) {
        sort_out(w, &w->list[i]);
    }
    qsort(w->executed, w->executed_count, sizeof(u64), compare_u64);
}

void watches_free(struct watches *w)
{
    for (unsigned i = 0; w && i < w->watcher_count; i++) {
        free(w->list[i].ranges);
    }
    if (w) {
        free(w->executed);
        free(w->accessed);
        free(w->physical);
        free(w);
    }
}

// Those who notice do so from now on, or no longer.
static void connect(struct machine *m, const struct watches *w, bool on)
{
    for (unsigned i = 0; i < w->physical_count; i++) {
        flag_pages(m, &w->physical[i], on);
    }
    m->mem->on_store.watch = on && w->physical_count ? on_store : NULL;
    m->mem->on_store.watch_ctx = m;
    mmu_observe(m->mmu, w->accessed, on ? w->accessed_count : 0, on_access, m);
    struct cpu_execute_watch execution = {w->executed, on ? w->executed_count : 0, on_execution, m};
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_watch_execution(m->cpus[i], &execution);
    }
}

void machine_mute_watch(struct machine *m, bool muted)
{
    CHECK(!m->in_run);
    if (m->watches) {
        connect(m, m->watches, !muted);
    }
}

void machine_set_watch(struct machine *m, const struct watch_range *ranges, unsigned count,
                       watch_fn fn, void *ctx)
{
    struct watches *old = m->watches, *w = xcalloc(1, sizeof(*w));
    bool replaced = false;
    CHECK(!m->in_run && (!count || ctx));
    for (unsigned i = 0; ctx && old && i < old->watcher_count; i++) {
        const struct watcher *other = &old->list[i];
        if (other->ctx != ctx) {
            add_watcher(w, other->ranges, other->count, other->fn, other->ctx);
        } else if (count) {
            add_watcher(w, ranges, count, fn, ctx);
            replaced = true;
        }
    }
    if (count && !replaced) {
        add_watcher(w, ranges, count, fn, ctx);
    }
    sort_out_all(w);
    m->watches = w;
    if (old) {
        connect(m, old, false);
    }
    connect(m, w, true);
    watches_free(old);
}

void machine_watch_first(struct machine *m)
{
    m->watch_first = true;
}

bool machine_is_at_step(const struct machine *m)
{
    return m->at_step;
}

void machine_stop_after_step(struct machine *m, unsigned cpu)
{
    m->single_step = SINGLE_STEP_WANTED;
    m->single_step_cpu = cpu;
}

bool machine_stopped_after_step(struct machine *m)
{
    bool done = m->single_step == SINGLE_STEP_DONE;
    m->single_step = SINGLE_STEP_NONE;
    return done;
}

u64 machine_last_step(const struct machine *m, unsigned cpu)
{
    return m->last_step[cpu];
}

void machine_stop_soon(struct machine *m)
{
    m->stop_soon = true;
    if (m->running) {
        cpu_stop(m->running);
    }
}
