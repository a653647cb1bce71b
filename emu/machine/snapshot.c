// SPDX-License-Identifier: MIT
// Saving and loading the whole state in host memory.
#include "base/check.h"
#include "base/memory.h"
#include "machine/machine_internal.h"

#include <stdlib.h>
#include <string.h>

struct snapshot {
    struct vclock clock;
    struct schedule schedule;
    u8 **cpus;    // [cpu_count]
    u8 **devices; // [device_count]
    u8 *pci;
    unsigned cpu_count, device_count;
    u32 *page_numbers; // RAM pages that are not all zeros
    u8 *pages;
    size_t page_count;
};

static bool page_is_zero(const u8 *page)
{
    return !page[0] && memcmp(page, page + 1, PAGE_SIZE - 1) == 0;
}

static void save_ram(struct snapshot *s, const struct physmem *mem)
{
    u64 count = mem->ram_bytes >> PAGE_SHIFT;
    size_t room = 0;
    for (u32 rpn = 0; rpn < count; rpn++) {
        const u8 *page = physmem_page(mem, rpn);
        if (!mem->page_epoch[rpn] || page_is_zero(page)) {
            continue;
        }
        if (s->page_count == room) {
            room = room ? room * 2 : 256;
            s->page_numbers = xrealloc(s->page_numbers, room * sizeof(u32));
            s->pages = xrealloc(s->pages, room * PAGE_SIZE);
        }
        s->page_numbers[s->page_count] = rpn;
        memcpy(s->pages + s->page_count * PAGE_SIZE, page, PAGE_SIZE);
        s->page_count++;
    }
}

struct snapshot *machine_save(struct machine *m)
{
    struct snapshot *s = xcalloc(1, sizeof(*s));
    s->clock = m->clock;
    s->schedule = m->schedule;
    s->cpu_count = m->cpu_count;
    s->cpus = xcalloc(m->cpu_count, sizeof(u8 *));
    for (unsigned i = 0; i < m->cpu_count; i++) {
        s->cpus[i] = xcalloc(1, cpu_state_size(m->cpus[i]));
        cpu_state_save(m->cpus[i], s->cpus[i]);
    }
    s->device_count = m->device_count;
    s->devices = xcalloc(m->device_count, sizeof(u8 *));
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct device *dev = m->devices[i];
        s->devices[i] = xcalloc(1, fields_size(dev->class->fields));
        fields_save(dev->class->fields, dev->state, s->devices[i]);
    }
    s->pci = xcalloc(1, pci_state_size(m->pci));
    pci_state_save(m->pci, s->pci);
    save_ram(s, m->mem);
    return s;
}

static void put_page(struct physmem *mem, u32 rpn, const u8 *bytes)
{
    if (memcmp(physmem_page(mem, rpn), bytes, PAGE_SIZE) != 0) {
        physmem_write_page(mem, rpn, 0, bytes, PAGE_SIZE);
    }
}

static const u8 zeros[PAGE_SIZE];

void machine_clear_memory(struct machine *m)
{
    u64 count = m->mem->ram_bytes >> PAGE_SHIFT;
    for (u32 rpn = 0; rpn < count; rpn++) {
        if (m->mem->page_epoch[rpn]) {
            put_page(m->mem, rpn, zeros);
        }
    }
    mmu_flush_all(m->mmu);
}

static void load_ram(struct physmem *mem, const struct snapshot *s)
{
    u64 count = mem->ram_bytes >> PAGE_SHIFT;
    size_t next = 0;
    for (u32 rpn = 0; rpn < count; rpn++) {
        if (next < s->page_count && s->page_numbers[next] == rpn) {
            put_page(mem, rpn, s->pages + next * PAGE_SIZE);
            next++;
        } else if (mem->page_epoch[rpn]) { // untouched pages are zero already
            put_page(mem, rpn, zeros);
        }
    }
}

void machine_load(struct machine *m, const struct snapshot *s)
{
    CHECK(s->cpu_count == m->cpu_count && s->device_count == m->device_count);
    m->clock = s->clock;
    m->schedule = s->schedule;
    m->stop_wanted = false;
    m->next_poll_step = (m->clock.step / MACHINE_SLICE_STEPS + 1) * MACHINE_SLICE_STEPS;
    load_ram(m->mem, s);
    mmu_flush_all(m->mmu);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_state_load(m->cpus[i], s->cpus[i]);
        m->halted[i] = false;
    }
    pci_state_load(m->pci, s->pci);
    for (unsigned i = 0; i < m->device_count; i++) {
        fields_load(m->devices[i]->class->fields, m->devices[i]->state, s->devices[i]);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        if (m->devices[i]->class->loaded) {
            m->devices[i]->class->loaded(m->devices[i]);
        }
    }
    event_queue_rebuild(m->events);
}

void snapshot_free(struct snapshot *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->cpu_count; i++) {
        free(s->cpus[i]);
    }
    for (unsigned i = 0; i < s->device_count; i++) {
        free(s->devices[i]);
    }
    free(s->cpus);
    free(s->devices);
    free(s->pci);
    free(s->page_numbers);
    free(s->pages);
    free(s);
}
