// SPDX-License-Identifier: MIT
// Taking, loading and thinning checkpoints.
#include "replay/checkpoints.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NEAR_STEPS 4096 // closer than this to where we are, all are missed alike

void checkpoints_init(struct checkpoints *c, struct machine *m)
{
    *c = (struct checkpoints){.m = m};
    struct physmem *mem = machine_memory(m);
    c->pages = page_history_create(mem);
    c->stamps = xcalloc(mem->ram_bytes >> PAGE_SHIFT, sizeof(u32));
}

static u64 own_bytes(const struct checkpoints *c, const struct checkpoint *p)
{
    u64 bytes = sizeof(*p) + machine_state_size(c->m) + p->written.count * sizeof(u32);
    for (unsigned i = 0; i < CHECKPOINT_DISKS; i++) {
        bytes += p->disks[i] ? overlay_copy_bytes(p->disks[i]) : 0; // shared ones count twice
    }
    return bytes;
}

static void free_one(struct checkpoints *c, struct checkpoint *p)
{
    c->list_bytes -= own_bytes(c, p);
    for (unsigned i = 0; i < CHECKPOINT_DISKS; i++) {
        overlay_copy_free(p->disks[i]);
    }
    free(p->written.numbers);
    free(p->state);
    free(p);
}

void checkpoints_free(struct checkpoints *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        free_one(c, c->list[i]);
    }
    free(c->list);
    free(c->stamps);
    page_history_destroy(c->pages);
}

u64 checkpoints_bytes(const struct checkpoints *c)
{
    u64 bytes = c->list_bytes + page_history_bytes(c->pages);
    for (unsigned i = 0; i < CHECKPOINT_DISKS; i++) {
        bytes += c->disks[i] ? overlay_held_bytes(c->disks[i]) : 0;
    }
    return bytes;
}

unsigned checkpoints_until(const struct checkpoints *c, u64 step)
{
    unsigned low = 0, high = c->count;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (c->list[middle]->step <= step) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct checkpoint *checkpoints_at(const struct checkpoints *c, u64 step)
{
    unsigned n = checkpoints_until(c, step);
    return n && c->list[n - 1]->step == step ? c->list[n - 1] : NULL;
}

static u64 step_of(const struct checkpoints *c, unsigned index)
{
    return index < c->count ? c->list[index]->step : UINT64_MAX;
}

static void insert(struct checkpoints *c, unsigned at, struct checkpoint *p)
{
    if (c->count == c->room) {
        c->room = c->room ? c->room * 2 : 64;
        c->list = xrealloc(c->list, c->room * sizeof(c->list[0]));
    }
    memmove(&c->list[at + 1], &c->list[at], (c->count - at) * sizeof(c->list[0]));
    c->list[at] = p;
    c->count++;
}

static void add_written(struct checkpoints *c, struct checkpoint *p, const struct page_list *more)
{
    c->list_bytes -= own_bytes(c, p);
    page_list_merge(&p->written, more);
    c->list_bytes += own_bytes(c, p);
}

static void rebase(struct checkpoints *c, const struct checkpoint *to)
{
    c->base = to;
    page_history_mark(c->pages);
}

void checkpoints_take(struct checkpoints *c, u64 position, bool guessed)
{
    u64 step = machine_clock(c->m)->step;
    unsigned at = checkpoints_until(c, step);
    if (at && c->list[at - 1]->step == step) {
        return;
    }
    struct checkpoint *p = xcalloc(1, sizeof(*p));
    *p = (struct checkpoint){.step = step, .position = position, .guessed = guessed};
    p->state = xcalloc(1, machine_state_size(c->m));
    machine_state_save(c->m, p->state);
    p->written = page_history_written(c->pages);
    for (u32 i = 0; i < p->written.count; i++) {
        page_history_keep(c->pages, p->written.numbers[i], step, step_of(c, at));
    }
    for (unsigned i = 0; i < CHECKPOINT_DISKS; i++) {
        p->disks[i] = c->disks[i] ? overlay_save(c->disks[i]) : NULL;
    }
    c->list_bytes += own_bytes(c, p);
    if (at < c->count && c->list[at]->guessed) {
        add_written(c, c->list[at],
                    &p->written); // it may have known only what differs at its place
    }
    insert(c, at, p);
    rebase(c, p);
}

void checkpoints_pass(struct checkpoints *c, struct checkpoint *to)
{
    unsigned at = checkpoints_until(c, to->step) - 1;
    if (to->guessed && at && c->base == c->list[at - 1]) {
        struct page_list written = page_history_written(c->pages);
        add_written(c, to, &written);
        free(written.numbers);
        to->guessed = false;
    }
    rebase(c, to);
}

static void load_pages(struct checkpoints *c, const struct page_list *list, u64 step)
{
    for (u32 i = 0; i < list->count; i++) {
        u32 rpn = list->numbers[i];
        if (c->stamps[rpn] != c->stamp) {
            c->stamps[rpn] = c->stamp;
            page_history_load(c->pages, rpn, step);
        }
    }
}

void checkpoints_load(struct checkpoints *c, struct checkpoint *from)
{
    if (!++c->stamp) {
        struct physmem *mem = machine_memory(c->m);
        memset(c->stamps, 0, (mem->ram_bytes >> PAGE_SHIFT) * sizeof(u32));
        c->stamp = 1;
    }
    struct page_list written = page_history_written(c->pages);
    load_pages(c, &written, from->step);
    free(written.numbers);
    // What differs between the two was written in an interval between them.
    u64 base = c->base->step;
    unsigned first = checkpoints_until(c, base < from->step ? base : from->step);
    unsigned end = checkpoints_until(c, base < from->step ? from->step : base);
    for (unsigned i = first; i < end; i++) {
        load_pages(c, &c->list[i]->written, from->step);
    }
    for (unsigned i = 0; i < CHECKPOINT_DISKS; i++) {
        if (c->disks[i]) {
            overlay_restore(c->disks[i], from->disks[i]);
        }
    }
    machine_state_load(c->m, from->state);
    rebase(c, from);
}

static void remove_at(struct checkpoints *c, unsigned index)
{
    struct checkpoint *p = c->list[index];
    for (u32 i = 0; i < p->written.count; i++) {
        page_history_forget(c->pages, p->written.numbers[i], p->step, step_of(c, index + 1));
    }
    if (index + 1 < c->count) {
        add_written(c, c->list[index + 1], &p->written);
        c->list[index + 1]->guessed |= p->guessed;
    }
    free_one(c, p);
    c->count--;
    memmove(&c->list[index], &c->list[index + 1], (c->count - index) * sizeof(c->list[0]));
}

void checkpoints_cut(struct checkpoints *c, u64 step)
{
    CHECK(c->base->step <= step);
    while (c->count && c->list[c->count - 1]->step > step) {
        remove_at(c, c->count - 1);
    }
}

// The greater, the more the checkpoint would be missed: how far apart its neighbours are, measured
// by how far away it is itself.
static double worth(const struct checkpoints *c, unsigned index, u64 step)
{
    u64 at = c->list[index]->step;
    u64 next = index + 1 < c->count ? c->list[index + 1]->step : at;
    u64 gap = next - c->list[index - 1]->step;
    u64 distance = at > step ? at - step : step - at;
    return (double)gap / (double)(distance + NEAR_STEPS);
}

static bool thin_one(struct checkpoints *c, u64 step)
{
    unsigned least = 0;
    double least_worth = 0;
    for (unsigned i = 1; i < c->count; i++) {
        if (c->list[i] == c->base) {
            continue;
        }
        double w = worth(c, i, step);
        if (!least || w < least_worth) {
            least = i;
            least_worth = w;
        }
    }
    if (least) {
        remove_at(c, least);
    }
    return least != 0;
}

void checkpoints_thin(struct checkpoints *c, u64 step, u64 memory_bytes, unsigned count_max)
{
    while (checkpoints_bytes(c) > memory_bytes || c->count > count_max) {
        if (!thin_one(c, step)) {
            return;
        }
    }
}
