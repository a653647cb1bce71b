// SPDX-License-Identifier: MIT
// Random descriptor tables, task states and system code in 32-bit protected mode: nothing that a guest writes there harms
// the emulator, and with and without a TLB the same comes of it. Usage: test_tasks_fuzz [MACHINES [SEED]]
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum {
    AREA = 0x100000, // everything lies here
    GDT = AREA,
    IDT = AREA + 0x1000,
    CODE = AREA + 0x2000,
    TASKS = AREA + 0x4000, // task states of 128 bytes, and what overlaps them
    STACKS = AREA + 0x5000,
    DIRECTORY = AREA + 0x8000,
    TABLE = AREA + 0x9000, // maps the area in pages of 4 KiB
    AREA_BYTES = 0x10000,
    ENTRIES = 48,
    STEPS = 400,
};

static u64 segment(u32 base, u32 limit, u32 access, u32 flags)
{
    return (limit & 0xFFFF) | (u64)(base & 0xFFFFFF) << 16 | (u64)access << 40 | (u64)(limit >> 16 & 15) << 48 |
           (u64)flags << 52 | (u64)(base >> 24) << 56;
}

static u16 any_selector(struct random *r)
{
    return (u16)(random_below(r, ENTRIES) << 3 | (random_below(r, 12) ? 0 : 4) | (random_below(r, 3) ? 0 : random_below(r, 4)));
}

static u32 any_code(struct random *r)
{
    return CODE + random_below(r, 0x1000);
}

static u64 gate(struct random *r, u32 access)
{
    u32 target = any_code(r);
    return (target & 0xFFFF) | (u64)any_selector(r) << 16 | (u64)access << 40 | (u64)(target >> 16) << 48;
}

static u64 any_descriptor(struct random *r)
{
    u32 ring = random_below(r, 3) ? 0 : 0x60;
    switch (random_below(r, 10)) {
    case 0:
    case 1: return segment(0, 0xFFFFF, 0x9B | ring | (random_below(r, 6) ? 0 : 4), 0xC);
    case 2:
    case 3: return segment(0, 0xFFFFF, 0x93 | ring, 0xC);
    case 4:
    case 5:
    case 6: return segment(TASKS + random_below(r, 24) * 0x40, random_below(r, 8) ? 103 : random_below(r, 110),
                           0x80 | (random_below(r, 4) ? 0x9 : 0x1) | (random_below(r, 4) ? 0 : 2) | ring, 0);
    case 7: return gate(r, 0x80 | (random_below(r, 2) ? 0x5 : 0xC) | ring); // task gate, call gate
    case 8: return segment(GDT, random_below(r, 256), 0x82, 0);              // an LDT
    default: return random_u64(r);
    }
}

static u64 any_gate(struct random *r)
{
    static const u8 types[] = {5, 5, 14, 14, 14, 15, 6, 0};
    u32 access = (random_below(r, 12) ? 0x80 : 0) | (random_below(r, 2) ? 0x60 : 0);
    return gate(r, access | types[random_below(r, ARRAY_LEN(types))]);
}

static void fill_tasks(struct random *r, u8 *area)
{
    u32 *words = (u32 *)(area + TASKS - AREA);
    for (unsigned i = 0; i < 24; i++) {
        u32 *t = words + i * 16; // each overlaps the next
        t[0] = any_selector(r);
        t[1] = STACKS + random_below(r, 0x1000), t[2] = any_selector(r);
        t[7] = random_below(r, 8) ? DIRECTORY : (u32)random_u64(r);
        t[8] = any_code(r);
        t[9] = 2 | (random_below(r, 4) ? 0 : (u32)random_u64(r) & 0x277FD7);
        t[14] = STACKS + random_below(r, 0x1000);
        for (unsigned s = 18; s < 25; s++) {
            t[s] = random_below(r, 3) ? any_selector(r) : 0;
        }
        t[25] = random_below(r, 8) ? 0x680000 : (u32)random_u64(r);
    }
}

// Far jumps and calls, INT, IRET, RETF, loads of segments, LTR, LLDT, flags, faults, control and debug registers.
static void fill_code(struct random *r, u8 *code, unsigned size)
{
    for (unsigned at = 0; at + 16 < size;) {
        u32 target = any_code(r);
        u16 selector = any_selector(r);
        u8 modrm[] = {0xD8, 0xC0, 0xD0, 0xE0, 0xE8};
        switch (random_below(r, 16)) {
        case 0:
        case 1:
        case 2:
            code[at++] = random_below(r, 2) ? 0xEA : 0x9A;
            memcpy(code + at, &target, 4), memcpy(code + at + 4, &selector, 2);
            at += 6;
            break;
        case 3:
        case 4: code[at++] = 0xCD, code[at++] = (u8)random_below(r, 64); break;
        case 5: code[at++] = 0xCF; break;
        case 6: code[at++] = random_below(r, 2) ? 0xCB : 0xCC; break;
        case 7:
        case 8:
            code[at++] = 0xB8, memcpy(code + at, &selector, 2), code[at + 2] = code[at + 3] = 0, at += 4;
            code[at++] = 0x8E, code[at++] = modrm[random_below(r, 5)];
            break;
        case 9:
            code[at++] = 0xB8, memcpy(code + at, &selector, 2), code[at + 2] = code[at + 3] = 0, at += 4;
            code[at++] = 0x0F, code[at++] = 0x00, code[at++] = random_below(r, 2) ? 0xD8 : 0xD0; // ltr, lldt
            break;
        case 10:
            code[at++] = 0x68, target = (u32)random_u64(r) & 0x277FD7, memcpy(code + at, &target, 4), at += 4;
            code[at++] = 0x9D; // popfd
            break;
        case 11: code[at++] = 0x0F, code[at++] = 0x0B; break;
        case 12: code[at++] = 0x0F, code[at++] = random_below(r, 2) ? 0x06 : 0x20, code[at++] = 0xC0; break;
        case 13: code[at++] = 0xFF, code[at++] = 0x35, target = TASKS + random_below(r, 0x600), memcpy(code + at, &target, 4), at += 4; break;
        case 14: code[at++] = 0x8F, code[at++] = 0x05, target = GDT + random_below(r, 0x1000), memcpy(code + at, &target, 4), at += 4; break;
        default: code[at++] = "\x90\xFA\xFB\x9C"[random_below(r, 4)]; break; // nop, cli, sti, pushf
        }
    }
}

static void make_area(struct random *r, u8 *area)
{
    memset(area, 0, AREA_BYTES);
    u64 *gdt = (u64 *)area, *idt = (u64 *)(area + IDT - AREA);
    u32 *directory = (u32 *)(area + DIRECTORY - AREA), *table = (u32 *)(area + TABLE - AREA);
    for (unsigned i = 1; i < ENTRIES; i++) {
        gdt[i] = any_descriptor(r);
    }
    gdt[1] = segment(0, 0xFFFFF, 0x9B, 0xC), gdt[2] = segment(0, 0xFFFFF, 0x93, 0xC);
    gdt[3] = segment(TASKS, 103, 0x8B, 0);
    for (unsigned i = 0; i < 64; i++) {
        idt[i] = any_gate(r);
    }
    fill_tasks(r, area);
    fill_code(r, area + CODE - AREA, 0x2000);
    directory[0] = TABLE | 7;
    for (unsigned i = 0; i < 1024; i++) {
        table[i] = i << 12 | (random_below(r, 60) ? 7 : random_below(r, 8));
    }
}

static void start(struct random *r, struct bare *b, bool paging)
{
    struct cpu_regs regs;
    cpu_reset(b->cpu);
    cpu_get_regs(b->cpu, &regs);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        regs.seg[i] = (struct cpu_segment){0x10, 0xC093, 0xFFFFFFFF, 0};
    }
    regs.seg[CPU_CS] = (struct cpu_segment){0x08, 0xC09B, 0xFFFFFFFF, 0};
    regs.tr = (struct cpu_segment){0x18, 0x8B, 103, TASKS};
    regs.ldtr = (struct cpu_segment){0};
    regs.gdtr_base = GDT, regs.gdtr_limit = ENTRIES * 8 - 1;
    regs.idtr_base = IDT, regs.idtr_limit = 64 * 8 - 1;
    regs.cr0 = paging ? 0x80010011 : 0x11;
    regs.cr3 = DIRECTORY;
    regs.cr4 = random_below(r, 2) ? 3 : 0; // VME, PVI
    regs.rip = CODE;
    regs.gpr[CPU_RSP] = STACKS + 0xF00;
    regs.rflags = 2;
    regs.halted = false;
    cpu_set_regs(b->cpu, &regs);
}

// Runs to a given step, or to where nothing goes on.
static u64 run(struct bare *b, struct random *r)
{
    u64 end = b->clock.step + STEPS, begin = b->clock.step;
    while (b->clock.step < end) {
        u64 budget = 1 + random_below(r, 40), left = end - b->clock.step;
        enum cpu_exit why = cpu_run(b->cpu, budget < left ? budget : left);
        if (why == CPU_EXIT_SHUTDOWN || why == CPU_EXIT_HALTED) {
            break;
        }
    }
    return b->clock.step - begin;
}

int main(int argc, char **argv)
{
    unsigned machines = argc > 1 ? (unsigned)atoi(argv[1]) : 3000, failed = 0;
    u64 seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1, steps = 0;
    static u8 area[AREA_BYTES];
    struct bare *b[2] = {bare_create(TLB_FULL), bare_create(TLB_OFF)};
    for (unsigned n = 0; n < machines && failed < 5; n++) {
        u64 made[2], hashes[2];
        for (unsigned k = 0; k < 2; k++) {
            struct random r = {(seed << 32 | n) * 2 + 1}, budgets = {r.state + 2 * k};
            random_u64(&r), random_u64(&r);
            make_area(&r, area);
            physmem_write(b[k]->mem, AREA, area, AREA_BYTES);
            b[k]->clock.step = 0;
            start(&r, b[k], random_below(&r, 2));
            made[k] = run(b[k], &budgets);
            struct hash *h = hash_create();
            cpu_hash(b[k]->cpu, h);
            hash_bytes(h, b[k]->mem->ram + AREA, AREA_BYTES);
            hashes[k] = hash_value(h);
            hash_destroy(h);
        }
        steps += made[0];
        if (made[0] != made[1] || hashes[0] != hashes[1]) {
            printf("machine %u of seed %lu: %lu and %lu steps, hashes %lx and %lx\n", n, seed, made[0], made[1], hashes[0],
                   hashes[1]);
            failed++;
        }
    }
    printf("%u machines of random tables, %lu steps: %u differ without a TLB\n", machines, steps, failed);
    bare_destroy(b[0]);
    bare_destroy(b[1]);
    return failed ? 1 : 0;
}
