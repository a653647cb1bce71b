// SPDX-License-Identifier: MIT
// Saving and loading the whole state in host memory.
#include "base/check.h"
#include "base/hash.h"
#include "base/memory.h"
#include "machine/machine_internal.h"

#include <stdlib.h>
#include <string.h>

struct snapshot {
    u8 *state;
    size_t state_size;
    u32 *page_numbers; // RAM pages that are not all zeros
    u8 *pages;
    size_t page_count;
};

// The machine's own words, in a fixed layout.
struct time_state {
    u64 step, idle_ns, step_ps;
    u64 current, quantum_left;
};

size_t machine_state_size(const struct machine *m)
{
    size_t size = sizeof(struct time_state) + pci_state_size(m->pci);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        size += cpu_state_size(m->cpus[i]);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        size += fields_size(m->devices[i]->class->fields);
    }
    return size;
}

static void add_layout(struct hash *h, const char *name, const struct field *fields)
{
    hash_bytes(h, name, strlen(name) + 1);
    for (const struct field *f = fields; f->name; f++) {
        hash_bytes(h, f->name, strlen(f->name) + 1);
        hash_u64(h, (u64)f->elem_size << 32 | f->count);
    }
}

u64 machine_state_layout(const struct machine *m)
{
    struct hash *h = hash_create();
    for (unsigned i = 0; i < m->cpu_count; i++) {
        add_layout(h, "cpu", cpu_fields());
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        add_layout(h, m->devices[i]->path, m->devices[i]->class->fields);
    }
    hash_u64(h, pci_state_size(m->pci));
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}

void machine_state_save(const struct machine *m, u8 *out)
{
    struct time_state time = {m->clock.step, m->clock.idle_ns, m->clock.step_ps,
                              m->schedule.current, m->schedule.quantum_left};
    memcpy(out, &time, sizeof(time));
    out += sizeof(time);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_state_save(m->cpus[i], out);
        out += cpu_state_size(m->cpus[i]);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct field *fields = m->devices[i]->class->fields;
        fields_save(fields, m->devices[i]->state, out);
        out += fields_size(fields);
    }
    pci_state_save(m->pci, out);
}

static void load_time(struct machine *m, const struct time_state *time)
{
    m->clock = (struct vclock){time->step, time->idle_ns, time->step_ps};
    m->schedule = (struct schedule){(u32)time->current, time->quantum_left};
    // A state at a slice's end may be one whose look at the door is still to come; one look more
    // than the first run took changes nothing, one less might.
    m->next_poll_step = align_up(time->step, MACHINE_SLICE_STEPS);
    m->idle_rounds = 0;
    m->stop_wanted = false;
}

void machine_state_load(struct machine *m, const u8 *in)
{
    struct time_state time;
    memcpy(&time, in, sizeof(time));
    in += sizeof(time);
    CHECK(time.current < m->cpu_count);
    load_time(m, &time);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        cpu_state_load(m->cpus[i], in);
        in += cpu_state_size(m->cpus[i]);
        m->last_step[i] = UINT64_MAX;
    }
    const u8 *devices = in;
    for (unsigned i = 0; i < m->device_count; i++) {
        in += fields_size(m->devices[i]->class->fields);
    }
    pci_state_load(m->pci, in); // before the devices: moving a wire may tell them
    in = devices;
    for (unsigned i = 0; i < m->device_count; i++) {
        const struct field *fields = m->devices[i]->class->fields;
        fields_load(fields, m->devices[i]->state, in);
        in += fields_size(fields);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        if (m->devices[i]->class->loaded) {
            m->devices[i]->class->loaded(m->devices[i]);
        }
    }
    event_queue_rebuild(m->events);
}

static bool time_is_sound(const struct machine *m, const struct time_state *time)
{
    return time->step <= VCLOCK_END_NS && time->idle_ns <= VCLOCK_END_NS &&
           time->step_ps == m->clock.step_ps && time->current < m->cpu_count &&
           time->quantum_left && time->quantum_left <= 2 * MACHINE_QUANTUM_STEPS;
}

static struct status unsound(const char *part, const char *field)
{
    return status_error(STATUS_BAD_INPUT, "%s: %s has a value that cannot be", part, field);
}

// What is due fires at once (--chaos: a little later), so that nothing has been due for long: of
// that, a timer would have to make up tick by tick.
#define OVERDUE_MAX_NS 1000000

static bool deadlines_are_sound(const struct device *dev, const u8 *state, u64 now_ns)
{
    const u64 *at;
    for (unsigned n = 0; (at = event_queue_deadline(dev->bus->events, n)); n++) {
        u64 offset = (u64)((const u8 *)at - (const u8 *)dev->state), deadline_ns;
        if ((const u8 *)at < (const u8 *)dev->state || offset >= dev->class->state_size) {
            continue;
        }
        memcpy(&deadline_ns, state + offset, sizeof(deadline_ns));
        if (deadline_ns < now_ns && now_ns - deadline_ns > OVERDUE_MAX_NS) {
            return false;
        }
    }
    return true;
}

static struct status check_device(const struct device *dev, const u8 *in, u64 now_ns)
{
    const struct device_class *class = dev->class;
    const struct field *bad = fields_check(class->fields, in);
    if (bad) {
        return unsound(dev->path, bad->name);
    }
    void *state = xcalloc(1, class->state_size);
    fields_load(class->fields, state, in);
    bool sound = deadlines_are_sound(dev, state, now_ns) && (!class->sound || class->sound(state));
    free(state);
    return sound ? status_success() : unsound(dev->path, "its state");
}

struct status machine_state_check(const struct machine *m, const u8 *in)
{
    struct time_state time;
    memcpy(&time, in, sizeof(time));
    if (!time_is_sound(m, &time)) {
        return unsound("time", "the schedule or the clock");
    }
    u64 now_ns = vclock_ns(&(struct vclock){time.step, time.idle_ns, time.step_ps});
    in += sizeof(time);
    for (unsigned i = 0; i < m->cpu_count; i++) {
        const struct field *bad = fields_check(cpu_fields(), in);
        if (bad) {
            return unsound("cpu", bad->name);
        }
        in += cpu_state_size(m->cpus[i]);
    }
    for (unsigned i = 0; i < m->device_count; i++) {
        struct status s = check_device(m->devices[i], in, now_ns);
        if (!status_ok(&s)) {
            return s;
        }
        in += fields_size(m->devices[i]->class->fields);
    }
    return status_success();
}

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
    s->state_size = machine_state_size(m);
    s->state = xcalloc(1, s->state_size);
    machine_state_save(m, s->state);
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
    CHECK(s->state_size == machine_state_size(m));
    load_ram(m->mem, s);
    mmu_flush_all(m->mmu);
    machine_state_load(m, s->state);
}

void snapshot_free(struct snapshot *s)
{
    if (s) {
        free(s->state);
        free(s->page_numbers);
        free(s->pages);
        free(s);
    }
}
