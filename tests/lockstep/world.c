// SPDX-License-Identifier: MIT
// Tables, the device, and the run loop.
#include "tests/lockstep/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"

extern const u8 lockstep_handlers[], lockstep_handlers_end[];

enum { PAGE_P = 1, PAGE_W = 2, PAGE_U = 4, PAGE_PS = 0x80 };
#define PAGE_NX (UINT64_C(1) << 63)
#define SELECTOR_CODE0 0x08
#define SELECTOR_DATA0 0x10
#define SELECTOR_DATA3 0x1B
#define SELECTOR_CODE3 0x23
#define SELECTOR_TSS 0x28

// Linear pages of code lie in other frames than one would think.
static const u8 code_frames[CODE_BYTES >> PAGE_SHIFT] = {2, 0, 3, 1};

static u64 mix(u64 x) // SplitMix64's
{
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static u64 next_random(u64 *state)
{
    return mix(*state += UINT64_C(0x9E3779B97F4A7C15));
}

static void put(struct world *w, u64 gpa, const void *bytes, u64 size)
{
    CHECK(physmem_write(w->mem, gpa, bytes, size));
}

static void put_u64(struct world *w, u64 gpa, u64 value)
{
    put(w, gpa, &value, sizeof(value));
}

// The device.

u64 world_code_gpa(u32 offset)
{
    return P_CODE + (u64)code_frames[offset >> PAGE_SHIFT] * PAGE_SIZE + (offset & PAGE_MASK);
}

static u64 device_read(void *dev, u64 offset, unsigned size)
{
    struct world *w = dev;
    w->device.accesses++;
    return mix(w->clock.step ^ offset << 40 ^ w->device.sum) >> (64 - 8 * size);
}

// Like a disk's DMA into code: exchanges bytes that may be exchanged.
static void patch_code(struct world *w, u64 value)
{
    const struct program *p = w->program;
    if (!p->patch_count) {
        return;
    }
    const struct patch_site *s = &p->patches[value % p->patch_count];
    u32 bytes = (u32)(value >> 8);
    u8 old = 0;
    physmem_read(w->mem, world_code_gpa(s->offset), &old, 1);
    bytes = (bytes & ~0xFFu) | (bytes & s->mask) | (old & ~(u32)s->mask & 0xFF);
    for (unsigned i = 0; i < s->size; i++) {
        u8 byte = (u8)(bytes >> 8 * i);
        put(w, world_code_gpa(s->offset + i), &byte, 1);
    }
}

static void device_write(void *dev, u64 offset, u64 value, unsigned size)
{
    struct world *w = dev;
    w->device.accesses++;
    w->device.sum = mix(w->device.sum + value + (offset << 32) + (w->clock.step << 8) + size);
    switch (offset) {
    case DEVICE_TIMER:
        w->device.deadline = w->clock.step + 1 + (value & 0x7FF);
        w->signal.ops->kick(w->signal.cpu);
        break;
    case DEVICE_PATCH:
        patch_code(w, value);
        break;
    case DEVICE_ACK:
        w->device.intr = false;
        w->signal.ops->set_intr(w->signal.cpu, false);
        break;
    case DEVICE_DMA:
        put(w, P_DATA + (value >> 8) % (DATA_PAGES * PAGE_SIZE - 8), &value, 8);
        break;
    default:
        break;
    }
}

static const struct io_ops device_ops = {.read = device_read, .write = device_write};

static u8 acknowledge(void *apic)
{
    struct world *w = apic;
    w->device.intr = false;
    w->signal.ops->set_intr(w->signal.cpu, false);
    return VECTOR_TIMER;
}

static u8 get_cr8(void *apic)
{
    return 0;
}

static void set_cr8(void *apic, u8 value)
{
}

static bool read_msr(void *apic, u32 msr, u64 *value)
{
    return false;
}

static bool write_msr(void *apic, u32 msr, u64 value)
{
    return false;
}

static void set_tsc_offset(void *apic, u64 offset)
{
}

static const struct cpu_apic_ops apic_ops = {.acknowledge = acknowledge,
                                             .get_cr8 = get_cr8,
                                             .set_cr8 = set_cr8,
                                             .read_msr = read_msr,
                                             .write_msr = write_msr,
                                             .set_tsc_offset = set_tsc_offset};

struct world *world_create(enum cpu_engine engine, enum tlb_geometry tlb)
{
    struct world *w = xcalloc(1, sizeof(*w));
    struct status s = physmem_create(&w->mem, WORLD_RAM);
    CHECK(status_ok(&s));
    w->ports = io_space_create(0x10000);
    w->mmio = io_space_create(UINT64_C(1) << 40);
    s = io_space_add(w->mmio, P_DEVICE, PAGE_SIZE, &device_ops, w, "device");
    CHECK(status_ok(&s));
    s = io_space_add(w->ports, 0x500, 0x100, &device_ops, w, "device");
    CHECK(status_ok(&s));
    w->mmu = mmu_shared_create(w->mem, w->mmio, tlb);
    w->clock.step_ps = 1000;
    w->apic = (struct cpu_apic){&apic_ops, w};
    struct cpu_config config = {.cpu_count = 1,
                                .model = "v3",
                                .engine = engine,
                                .mmu = w->mmu,
                                .mem = w->mem,
                                .ports = w->ports,
                                .clock = &w->clock,
                                .probes = &w->probes,
                                .apic = &w->apic,
                                .current_cpu = &w->current_cpu,
                                .tsc_hz = 1000000000,
                                .crystal_hz = 100000000};
    s = cpu_create(&w->cpu, &config);
    if (!status_ok(&s)) {
        fprintf(stderr, "%s\n", s.text);
    }
    CHECK(status_ok(&s));
    w->signal = cpu_signal(w->cpu);
    return w;
}

void world_destroy(struct world *w)
{
    cpu_destroy(w->cpu);
    mmu_shared_destroy(w->mmu);
    io_space_destroy(w->ports);
    io_space_destroy(w->mmio);
    physmem_destroy(w->mem);
    free(w);
}

// Page tables: root A, root B at the next page of each pair.

static void put_tables(struct world *w, const struct program *p)
{
    bool smep = p->cr4 & 0x100000; // else ring 0 may have its code in either kind of page
    u64 user = p->ring0 ? (smep ? 0 : mix(p->seed) & PAGE_U) : PAGE_U;
    u64 pt_kernel = P_TABLES + 0x8000;
    for (unsigned i = 0; i < WORLD_RAM >> PAGE_SHIFT && i < 512; i++) {
        u64 entry = (u64)i << PAGE_SHIFT | PAGE_P | PAGE_W;
        put_u64(w, pt_kernel + 8 * i,
                i == (K_DEVICE - (KERNEL)) >> PAGE_SHIFT ? P_DEVICE | PAGE_P | PAGE_W : entry);
    }
    for (unsigned root = 0; root < 2; root++) {
        u64 pml4 = P_TABLES + root * 0x1000, pdpt = pml4 + 0x2000, pd = pdpt + 0x2000 - 0,
            code = P_TABLES + 0x9000, data = P_PT_DATA_A + root * 0x1000;
        put_u64(w, pml4, pdpt | 7);
        put_u64(w, pml4 + 8 * 511, pdpt | 7);
        put_u64(w, pdpt, pd | 7);
        put_u64(w, pdpt + 8 * 510, (P_TABLES + 0xA000 + root * 0x1000) | 7);
        put_u64(w, pd + 8 * (CODE >> 21), code | 7);
        put_u64(w, pd + 8 * (DATA >> 21), data | 7);
        put_u64(w, pd + 8 * (LARGE >> 21), 0 | PAGE_P | PAGE_W | PAGE_PS | user);
        u64 high = P_TABLES + 0xA000 + root * 0x1000; // the kernel's half
        put_u64(w, high, pt_kernel | 3);
        put_u64(w, high + 8 * (KERNEL_DATA >> 21), data | 7);
        for (unsigned i = 0; i < CODE_BYTES >> PAGE_SHIFT; i++) {
            u64 frame = P_CODE + (u64)code_frames[i] * PAGE_SIZE;
            put_u64(w, code + 8 * ((CODE >> 12 & 511) + i), frame | PAGE_P | PAGE_W | user);
            put_u64(w, code + 8 * ((CODE_ALIAS >> 12 & 511) + i),
                    frame | PAGE_P | PAGE_W | PAGE_U | PAGE_NX);
        }
        for (unsigned i = 0; i < DATA_PAGES; i++) {
            u64 frame = i == 7 ? P_DEVICE : P_DATA + (u64)(i ^ (i < 2 ? root : 0)) * PAGE_SIZE;
            u64 rights = i == 5 && !root   ? PAGE_U | PAGE_W
                         : i == 4 && !root ? PAGE_P | PAGE_U
                                           : PAGE_P | PAGE_U | PAGE_W;
            put_u64(w, data + 8 * i, frame | rights);
        }
        for (unsigned i = 0; i < 16; i++) {
            put_u64(w, data + 8 * ((TABLE_WINDOW >> 12 & 511) + i), (P_TABLES + i * PAGE_SIZE) | 3);
        }
        for (unsigned i = 0; i < STACK_PAGES; i++) {
            put_u64(w, data + 8 * ((STACK >> 12 & 511) + i), (P_STACK + i * PAGE_SIZE) | 7);
        }
    }
}

static void put_gate(struct world *w, unsigned vector, u32 handler, u64 attributes)
{
    u64 address = (u64)(s64)(KERNEL) + P_HANDLERS + handler;
    put_u64(w, P_IDT + 16 * vector,
            (address & 0xFFFF) | SELECTOR_CODE0 << 16 | attributes << 32 |
                (address >> 16 & 0xFFFF) << 48);
    put_u64(w, P_IDT + 16 * vector + 8, address >> 32);
}

static void put_kernel(struct world *w)
{
    static const u64 gdt[] = {0,
                              0x00AF9B000000FFFF,
                              0x00CF93000000FFFF,
                              0x00CFF3000000FFFF,
                              0x00AFFB000000FFFF,
                              0x00008B0000000067 | (u64)P_TSS << 16 | (u64)0x80 << 56,
                              0xFFFFFFFF};
    put(w, P_GDT, gdt, sizeof(gdt));
    for (unsigned v = 0; v < 32; v++) {
        put_gate(w, v, v * 16, v == 3 ? 0xEE01 : 0x8E01); // on IST1
    }
    put_gate(w, VECTOR_TIMER, H_TIMER, 0x8E02);
    put_gate(w, 0x80, H_INT80, 0xEE00);
    put_u64(w, P_TSS + 4, (u64)(s64)(KERNEL) + P_RSP0);
    put_u64(w, P_TSS + 0x24, (u64)(s64)(KERNEL) + P_IST1);
    put_u64(w, P_TSS + 0x2C, (u64)(s64)(KERNEL) + P_IST2);
    put(w, P_HANDLERS, lockstep_handlers, (u64)(lockstep_handlers_end - lockstep_handlers));
}

static void put_variables(struct world *w, const struct program *p)
{
    u64 stack = STACK + STACK_PAGES * PAGE_SIZE - 0x100;
    put_u64(w, P_VARS + V_RESTART, CODE + p->start);
    put_u64(w, P_VARS + V_RESTART_RSP, stack);
    put_u64(w, P_VARS + V_PERIOD, p->period);
    put_u64(w, P_VARS + V_MXCSR, p->mxcsr);
    put(w, P_VARS + V_GPR, p->gpr, sizeof(p->gpr));
    u64 frame[5] = {p->ring0 ? SELECTOR_DATA0 : SELECTOR_DATA3, stack, p->rflags,
                    p->ring0 ? SELECTOR_CODE0 : SELECTOR_CODE3, CODE + p->start};
    put(w, P_VARS + V_FRAME, frame, sizeof(frame));
    u64 state = p->data_seed;
    u64 vectors[64], page[512];
    for (unsigned i = 0; i < 64; i++) {
        vectors[i] = next_random(&state);
    }
    put(w, P_VARS + V_VECTORS, vectors, sizeof(vectors));
    for (unsigned n = 0; n < DATA_PAGES - 1; n++) {
        for (unsigned i = 0; i < 512; i++) {
            page[i] = next_random(&state) >> ((state >> 60) * 4); // small ones too
        }
        put(w, P_DATA + n * PAGE_SIZE, page, sizeof(page));
    }
}

static void put_registers(struct world *w, const struct program *p)
{
    struct cpu_regs r;
    cpu_reset(w->cpu);
    cpu_get_regs(w->cpu, &r);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        r.seg[i] = (struct cpu_segment){SELECTOR_DATA0, 0xC093, 0xFFFFFFFF, 0};
    }
    r.seg[CPU_CS] = (struct cpu_segment){SELECTOR_CODE0, 0xA09B, 0xFFFFFFFF, 0};
    r.seg[CPU_FS].base = DATA + 0x808;
    r.seg[CPU_GS].base = DATA - 0x1000;
    r.kernel_gs_base = DATA + 0x1FF8;
    r.tr = (struct cpu_segment){SELECTOR_TSS, 0x8B, 0x67, (u64)(s64)(KERNEL) + P_TSS};
    r.gdtr_base = (u64)(s64)(KERNEL) + P_GDT, r.gdtr_limit = 7 * 8 - 1;
    r.idtr_base = (u64)(s64)(KERNEL) + P_IDT, r.idtr_limit = 0x81 * 16 - 1;
    r.cr0 = p->cr0;
    r.cr3 = P_TABLES;
    r.cr4 = p->cr4;
    r.efer = 0xD01; // NXE LMA LME SCE
    r.star = (u64)SELECTOR_CODE0 << 32 | (u64)SELECTOR_DATA0 << 48;
    r.lstar = (u64)(s64)(KERNEL) + P_HANDLERS + H_SYSCALL;
    r.sfmask = 0x700;
    r.rip = (u64)(s64)(KERNEL) + P_HANDLERS + H_BOOT;
    r.gpr[CPU_RSP] = (u64)(s64)(KERNEL) + P_IST1;
    r.cpl = 0, r.rflags = 2, r.halted = false;
    cpu_set_regs(w->cpu, &r);
}

void world_start(struct world *w, const struct program *p)
{
    static const u8 zeros[PAGE_SIZE];
    for (u32 rpn = 0; rpn < WORLD_RAM >> PAGE_SHIFT; rpn++) {
        if (w->mem->page_epoch[rpn] > w->clean_epoch) {
            physmem_write_page(w->mem, rpn, 0, zeros, PAGE_SIZE);
        }
    }
    w->program = p;
    w->device = (struct world_device){.deadline = UINT64_MAX};
    w->clock.step = w->clock.idle_ns = 0;
    w->ended = false;
    put_kernel(w);
    put_tables(w, p);
    put_variables(w, p);
    for (u32 i = 0; i < CODE_BYTES; i += PAGE_SIZE) {
        put(w, world_code_gpa(i), p->code + i, PAGE_SIZE);
    }
    put(w, P_SKIP, p->next, sizeof(p->next));
    put_registers(w, p);
    w->signal.ops->set_intr(w->signal.cpu, false);
    w->clean_epoch = 0;
    w->compared_epoch = physmem_next_epoch(w->mem);
    w->clean_epoch = 0; // every page that was ever written
}

void world_run(struct world *w, u64 until_step)
{
    while (!w->ended && w->clock.step < until_step) {
        if (w->device.deadline <= w->clock.step) {
            w->device.deadline = UINT64_MAX;
            w->device.intr = true;
            w->signal.ops->set_intr(w->signal.cpu, true);
        }
        u64 goal = w->device.deadline < until_step ? w->device.deadline : until_step;
        u64 budget = goal - w->clock.step, before = w->clock.step;
        enum cpu_exit exit = cpu_run(w->cpu, budget);
        CHECK(w->clock.step - before <= budget);
        if (exit == CPU_EXIT_HALTED && w->device.deadline != UINT64_MAX) {
            w->clock.idle_ns += w->device.deadline - w->clock.step;
            w->device.deadline = w->clock.step; // time jumps
        } else if (exit == CPU_EXIT_HALTED || exit == CPU_EXIT_SHUTDOWN) {
            w->ended = true;
        }
    }
}

static bool same_cpu(const struct world *a, const struct world *b)
{
    u8 in_a[4096], in_b[4096];
    size_t size = cpu_state_size(a->cpu);
    CHECK(size <= sizeof(in_a));
    cpu_state_save(a->cpu, in_a);
    cpu_state_save(b->cpu, in_b);
    return memcmp(in_a, in_b, size) == 0;
}

static bool same_rest(const struct world *a, const struct world *b)
{
    const struct world_device *x = &a->device, *y = &b->device;
    return a->clock.step == b->clock.step && a->clock.idle_ns == b->clock.idle_ns &&
           a->ended == b->ended && x->deadline == y->deadline && x->sum == y->sum &&
           x->accesses == y->accesses && x->intr == y->intr;
}

bool worlds_equal(struct world *a, struct world *b)
{
    if (!same_rest(a, b) || !same_cpu(a, b)) {
        return false;
    }
    u64 since_a = a->compared_epoch, since_b = b->compared_epoch;
    a->compared_epoch = physmem_next_epoch(a->mem);
    b->compared_epoch = physmem_next_epoch(b->mem);
    for (u32 rpn = 0; rpn < WORLD_RAM >> PAGE_SHIFT; rpn++) {
        bool written = a->mem->page_epoch[rpn] > since_a || b->mem->page_epoch[rpn] > since_b;
        if (written &&
            memcmp(physmem_page(a->mem, rpn), physmem_page(b->mem, rpn), PAGE_SIZE) != 0) {
            return false;
        }
    }
    return true;
}

static void print_fields(const struct world *a, const struct world *b)
{
    u8 in_a[4096], in_b[4096];
    cpu_state_save(a->cpu, in_a);
    cpu_state_save(b->cpu, in_b);
    size_t at = 0;
    for (const struct field *f = cpu_fields(); f->name; f++) {
        for (u32 i = 0; i < f->count; i++, at += f->elem_size) {
            if (memcmp(in_a + at, in_b + at, f->elem_size) == 0) {
                continue;
            }
            printf("#   %s[%u]:", f->name, i);
            for (u32 k = f->elem_size; k-- > 0;) {
                printf("%s%02x", k == f->elem_size - 1 ? " " : "", in_a[at + k]);
            }
            for (u32 k = f->elem_size; k-- > 0;) {
                printf("%s%02x", k == f->elem_size - 1 ? " / " : "", in_b[at + k]);
            }
            printf("\n");
        }
    }
}

void worlds_print_difference(const struct world *a, const struct world *b)
{
    struct cpu_regs ra, rb;
    cpu_get_regs(a->cpu, &ra);
    cpu_get_regs(b->cpu, &rb);
    printf("#   step %llu / %llu, rip %llx / %llx, device sum %llx / %llx, ended %d / %d\n",
           (unsigned long long)a->clock.step, (unsigned long long)b->clock.step,
           (unsigned long long)ra.rip, (unsigned long long)rb.rip,
           (unsigned long long)a->device.sum, (unsigned long long)b->device.sum, a->ended,
           b->ended);
    print_fields(a, b);
    for (u64 i = 0, shown = 0; i < WORLD_RAM && shown < 8; i++) {
        if (a->mem->ram[i] != b->mem->ram[i]) {
            printf("#   memory at %llx: %02x / %02x\n", (unsigned long long)i, a->mem->ram[i],
                   b->mem->ram[i]);
            shown++;
        }
    }
}
