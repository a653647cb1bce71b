// SPDX-License-Identifier: MIT
// In what two machines of the same shape differ, one line a field or page.
#include "base/bits.h"
#include "base/memory.h"
#include "replay/divergence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct listing {
    unsigned room;
    u64 left_out;
    void (*line)(void *ctx, const char *text);
    void *ctx;
};

static void add_line(struct listing *l, const char *text)
{
    if (l->room) {
        l->room--;
        l->line(l->ctx, text);
    } else {
        l->left_out++;
    }
}

static u64 element(const u8 *at, u32 size)
{
    u64 value = 0;
    memcpy(&value, at, size < sizeof(value) ? size : sizeof(value));
    return value;
}

// base: 0 where field offsets count from the state; else fields stand one after the other (packed).
static void compare_fields(struct listing *l, const char *owner, const struct field *fields,
                           const u8 *a, const u8 *b, bool packed)
{
    size_t at = 0;
    for (const struct field *f = fields; f->name; f++) {
        size_t offset = packed ? at : f->offset;
        for (u32 i = 0; i < f->count; i++) {
            const u8 *in_a = a + offset + (size_t)i * f->elem_size;
            const u8 *in_b = b + offset + (size_t)i * f->elem_size;
            if (memcmp(in_a, in_b, f->elem_size) == 0) {
                continue;
            }
            char index[16] = "", text[200];
            if (f->count > 1) {
                snprintf(index, sizeof(index), "[%u]", i);
            }
            snprintf(text, sizeof(text), "%s: %s%s 0x%llx / 0x%llx", owner, f->name, index,
                     (unsigned long long)element(in_a, f->elem_size),
                     (unsigned long long)element(in_b, f->elem_size));
            add_line(l, text);
        }
        at += (size_t)f->elem_size * f->count;
    }
}

static void compare_cpus(struct listing *l, struct machine *a, struct machine *b)
{
    for (unsigned i = 0; i < machine_cpu_count(a) && i < machine_cpu_count(b); i++) {
        size_t size = cpu_state_size(machine_cpu(a, i));
        u8 *in_a = xcalloc(1, size), *in_b = xcalloc(1, size);
        cpu_state_save(machine_cpu(a, i), in_a);
        cpu_state_save(machine_cpu(b, i), in_b);
        char owner[16];
        snprintf(owner, sizeof(owner), "cpu%u", i);
        compare_fields(l, owner, cpu_fields(), in_a, in_b, true);
        free(in_a);
        free(in_b);
    }
}

static void compare_devices(struct listing *l, struct machine *a, struct machine *b)
{
    unsigned na = machine_device_count(a), nb = machine_device_count(b);
    if (na != nb) {
        add_line(l, "the machines have different devices");
    }
    for (unsigned i = 0; i < na && i < nb; i++) {
        const struct device *in_a = machine_device(a, i), *in_b = machine_device(b, i);
        if (in_a->class != in_b->class) {
            add_line(l, "the machines have different devices");
            return;
        }
        compare_fields(l, in_a->path, in_a->class->fields, in_a->state, in_b->state, false);
    }
}

static void compare_page(struct listing *l, u64 gpa, const u8 *a, const u8 *b)
{
    unsigned first = 0, count = 0;
    for (unsigned i = PAGE_SIZE; i-- > 0;) {
        if (a[i] != b[i]) {
            first = i;
            count++;
        }
    }
    char text[160];
    snprintf(text, sizeof(text),
             "memory: page 0x%llx, %u bytes, the first at 0x%llx: 0x%02x / 0x%02x",
             (unsigned long long)gpa, count, (unsigned long long)(gpa + first), a[first], b[first]);
    add_line(l, text);
}

static void compare_memory(struct listing *l, struct machine *a, struct machine *b)
{
    const struct physmem *in_a = machine_memory(a), *in_b = machine_memory(b);
    if (in_a->ram_bytes != in_b->ram_bytes) {
        add_line(l, "the machines have different amounts of memory");
        return;
    }
    for (u32 rpn = 0; rpn < in_a->ram_bytes >> PAGE_SHIFT; rpn++) {
        if (!in_a->page_epoch[rpn] && !in_b->page_epoch[rpn]) {
            continue; // never written
        }
        const u8 *page_a = physmem_page(in_a, rpn), *page_b = physmem_page(in_b, rpn);
        if (memcmp(page_a, page_b, PAGE_SIZE) != 0) {
            compare_page(l, physmem_gpa(in_a, rpn), page_a, page_b);
        }
    }
}

static void compare_time(struct listing *l, struct machine *a, struct machine *b)
{
    u64 in_a = machine_clock(a)->idle_ns, in_b = machine_clock(b)->idle_ns;
    if (in_a != in_b) {
        char text[120];
        snprintf(text, sizeof(text), "time: idle_ns %llu / %llu", (unsigned long long)in_a,
                 (unsigned long long)in_b);
        add_line(l, text);
    }
}

static void compare_turns(struct listing *l, struct machine *a, struct machine *b)
{
    u64 left_a, left_b;
    unsigned cpu_a = machine_turn(a, &left_a), cpu_b = machine_turn(b, &left_b);
    if (cpu_a != cpu_b || left_a != left_b) {
        char text[120];
        snprintf(text, sizeof(text), "turn: CPU %u, %llu steps left / CPU %u, %llu steps left",
                 cpu_a, (unsigned long long)left_a, cpu_b, (unsigned long long)left_b);
        add_line(l, text);
    }
}

struct pci_hashes {
    u64 value;
};

static void take_pci(void *ctx, const char *part, u64 hash)
{
    if (strcmp(part, "pci") == 0) {
        ((struct pci_hashes *)ctx)->value = hash;
    }
}

static void compare_pci(struct listing *l, struct machine *a, struct machine *b)
{
    struct pci_hashes in_a = {0}, in_b = {0};
    machine_hash_parts(a, take_pci, &in_a);
    machine_hash_parts(b, take_pci, &in_b);
    if (in_a.value != in_b.value) {
        add_line(l, "pci: configuration space");
    }
}

void divergence_describe(struct machine *a, struct machine *b, unsigned lines_max,
                         void (*line)(void *ctx, const char *text), void *ctx)
{
    struct listing l = {.room = lines_max, .line = line, .ctx = ctx};
    if (machine_cpu_count(a) != machine_cpu_count(b)) {
        add_line(&l, "the machines have different numbers of CPUs");
    }
    compare_cpus(&l, a, b);
    compare_time(&l, a, b);
    compare_turns(&l, a, b);
    compare_devices(&l, a, b);
    compare_pci(&l, a, b);
    compare_memory(&l, a, b);
    if (l.left_out) {
        char text[60];
        snprintf(text, sizeof(text), "and %llu more", (unsigned long long)l.left_out);
        line(ctx, text);
    }
}
