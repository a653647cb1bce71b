// SPDX-License-Identifier: MIT
// A debugger's writes as inputs: made, kept and made again.
#include "base/bits.h"
#include "base/check.h"
#include "base/memory.h"
#include "mem/physmem.h"
#include "replay/input_log_internal.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENTS (CPU_SEGMENT_COUNT + 2)
#define REGS_NUMBERS (16 + 2 + 4 * SEGMENTS + 4 + 6 + 5 + 2)
#define ADDRESS_BYTES 8

// The register file as 64-bit little-endian numbers in one fixed order, so that files outlive
// changes of the structure. Calls visit(ctx, &number) for each; what it leaves there is taken.
static void walk_regs(struct cpu_regs *r, void (*visit)(void *ctx, u64 *number), void *ctx)
{
#define VISIT(type, field)                                                                         \
    do {                                                                                           \
        u64 number = (u64)(field);                                                                 \
        visit(ctx, &number);                                                                       \
        (field) = (type)number;                                                                    \
    } while (0)
    for (unsigned i = 0; i < ARRAY_LEN(r->gpr); i++) {
        visit(ctx, &r->gpr[i]);
    }
    visit(ctx, &r->rip);
    visit(ctx, &r->rflags);
    for (unsigned i = 0; i < SEGMENTS; i++) {
        struct cpu_segment *s = i < CPU_SEGMENT_COUNT    ? &r->seg[i]
                                : i == CPU_SEGMENT_COUNT ? &r->ldtr
                                                         : &r->tr;
        VISIT(u16, s->selector);
        VISIT(u16, s->attributes);
        VISIT(u32, s->limit);
        visit(ctx, &s->base);
    }
    visit(ctx, &r->gdtr_base);
    visit(ctx, &r->idtr_base);
    VISIT(u16, r->gdtr_limit);
    VISIT(u16, r->idtr_limit);
    u64 *const system[] = {
        &r->cr0,  &r->cr2,   &r->cr3,   &r->cr4,   &r->cr8, &r->efer, &r->kernel_gs_base,
        &r->star, &r->lstar, &r->cstar, &r->sfmask};
    for (unsigned i = 0; i < ARRAY_LEN(system); i++) {
        visit(ctx, system[i]);
    }
    VISIT(u8, r->cpl);
    VISIT(bool, r->halted);
#undef VISIT
}

struct cursor {
    u8 *bytes;
    size_t used;
};

static void put_number(void *ctx, u64 *number)
{
    struct cursor *c = ctx;
    memcpy(c->bytes + c->used, number, sizeof(*number));
    c->used += sizeof(*number);
}

static void get_number(void *ctx, u64 *number)
{
    struct cursor *c = ctx;
    memcpy(number, c->bytes + c->used, sizeof(*number));
    c->used += sizeof(*number);
}

void input_log_write_regs(struct input_log *log, struct machine *m, unsigned cpu,
                          const struct cpu_regs *regs)
{
    u8 bytes[REGS_NUMBERS * sizeof(u64)];
    struct cursor c = {.bytes = bytes};
    struct cpu_regs copy = *regs;
    walk_regs(&copy, put_number, &c);
    CHECK(c.used == sizeof(bytes));
    input_log_record(log, INPUT_WRITE_REGS, (u8)cpu, bytes, sizeof(bytes));
    cpu_set_regs(machine_cpu(m, cpu), regs);
}

void input_log_write_fpu(struct input_log *log, struct machine *m, unsigned cpu,
                         const u8 image[CPU_FPU_BYTES])
{
    u8 bytes[CPU_FPU_BYTES];
    memcpy(bytes, image, sizeof(bytes));
    input_log_record(log, INPUT_WRITE_FPU, (u8)cpu, bytes, sizeof(bytes));
    cpu_set_fpu(machine_cpu(m, cpu), image);
}

bool input_kind_is_write(enum input_kind kind)
{
    return kind == INPUT_WRITE_REGS || kind == INPUT_WRITE_MEMORY || kind == INPUT_WRITE_FPU;
}

bool input_log_write_memory(struct input_log *log, struct machine *m, u64 gpa, const u8 *bytes,
                            u32 size)
{
    u8 *kept = xcalloc(1, ADDRESS_BYTES + (size_t)size);
    bool all = physmem_read(machine_memory(m), gpa, kept + ADDRESS_BYTES, size);
    if (all) {
        memcpy(kept, &gpa, ADDRESS_BYTES);
        memcpy(kept + ADDRESS_BYTES, bytes, size);
        input_log_record(log, INPUT_WRITE_MEMORY, 0, kept, ADDRESS_BYTES + size);
        physmem_write(machine_memory(m), gpa, bytes, size);
    }
    free(kept);
    return all;
}

u64 input_log_next_write(const struct input_log *log)
{
    if (!log->write_count) {
        return UINT64_MAX;
    }
    for (u64 seq = log->next; seq < input_store_count(log->store); seq++) {
        const struct input_record *r = input_store_get(log->store, seq);
        if (input_kind_is_write(r->kind)) {
            return r->step;
        }
    }
    return UINT64_MAX;
}

static void apply(struct machine *m, const struct input_record *r)
{
    if (r->kind == INPUT_WRITE_MEMORY) {
        u64 gpa;
        if (r->size >= ADDRESS_BYTES) {
            memcpy(&gpa, r->bytes, ADDRESS_BYTES);
            physmem_write(machine_memory(m), gpa, r->bytes + ADDRESS_BYTES,
                          r->size - ADDRESS_BYTES);
        }
    } else if (r->kind == INPUT_WRITE_FPU) {
        if (r->size == CPU_FPU_BYTES && r->line < machine_cpu_count(m)) {
            cpu_set_fpu(machine_cpu(m, r->line), r->bytes);
        }
    } else if (r->size == REGS_NUMBERS * sizeof(u64) && r->line < machine_cpu_count(m)) {
        struct cursor c = {.bytes = (u8 *)(uintptr_t)r->bytes};
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(m, r->line), &regs);
        walk_regs(&regs, get_number, &c);
        regs.cpl &= 3; // a file may hold anything
        cpu_set_regs(machine_cpu(m, r->line), &regs);
    }
}

void input_log_apply_writes(struct input_log *log, struct machine *m)
{
    const struct input_record *r;
    while ((r = input_log_due(log, INPUT_WRITE_REGS)) != NULL ||
           (r = input_log_due(log, INPUT_WRITE_MEMORY)) != NULL ||
           (r = input_log_due(log, INPUT_WRITE_FPU)) != NULL) {
        log->next++;
        apply(m, r);
    }
}
