// SPDX-License-Identifier: MIT
// The bare processor: tables for 64-bit mode written straight into RAM.
#include "tests/isa/bare.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/memory.h"
#include "isa/coverage.h"

#define SELECTOR_CODE0 0x08
#define SELECTOR_DATA0 0x10
#define SELECTOR_DATA3 0x1B
#define SELECTOR_CODE3 0x23
#define SELECTOR_TSS 0x28

static u64 *entry_of(struct bare *b, u64 linear)
{
    u64 page = (linear >> PAGE_SHIFT);
    return (u64 *)(b->mem->ram + BARE_TABLES + 0x3000) +
           page; // the PTs of the first 64 MiB are contiguous
}

void bare_set_page(struct bare *b, u64 linear, u64 bits)
{
    u64 entry = bits ? (linear & ~PAGE_MASK) | bits : 0;
    CHECK(linear >= BARE_USER && linear < BARE_RAM_BYTES);
    physmem_write(b->mem, (u64)((u8 *)entry_of(b, linear) - b->mem->ram), &entry, sizeof(entry));
}

void bare_renew_code(struct bare *b, u64 linear)
{
    u8 page[PAGE_SIZE];
    for (u64 at = linear & ~PAGE_MASK, end = at + 2 * PAGE_SIZE; at < end; at += PAGE_SIZE) {
        memcpy(page, b->mem->ram + at, sizeof(page));
        physmem_write(b->mem, at, page, sizeof(page));
    }
}

static void make_page_tables(struct bare *b)
{
    u64 *pml4 = (u64 *)(b->mem->ram + BARE_TABLES), *pdpt = pml4 + 512, *pd = pdpt + 512;
    pml4[0] = (BARE_TABLES + 0x1000) | 7;
    pdpt[0] = (BARE_TABLES + 0x2000) | 7;
    for (u64 i = 0; i < BARE_RAM_BYTES >> 21; i++) {
        pd[i] = (BARE_TABLES + 0x3000 + i * 0x1000) | 7;
    }
    for (u64 a = 0; a < BARE_RAM_BYTES; a += PAGE_SIZE) {
        *entry_of(b, a) = a | (a < BARE_USER ? 3 : BARE_PAGE_WRITE);
    }
}

static void make_descriptors(struct bare *b)
{
    u64 *gdt = (u64 *)(b->mem->ram + BARE_GDT), *idt = (u64 *)(b->mem->ram + BARE_IDT);
    gdt[1] = 0x00AF9B000000FFFF;
    gdt[2] = 0x00CF93000000FFFF;
    gdt[3] = 0x00CFF3000000FFFF;
    gdt[4] = 0x00AFFB000000FFFF;
    gdt[5] = 0x00008B0000000067 | (u64)BARE_TSS << 16;
    gdt[6] = 0;
    for (u64 v = 0; v < 32; v++) {
        u64 handler = BARE_HANDLERS + v * 16;
        u64 gate = v == 3 || v == 4 ? 0xEE00 : 0x8E00; // INT3 and INTO from user mode
        idt[2 * v] = (handler & 0xFFFF) | SELECTOR_CODE0 << 16 | gate << 32 | (handler >> 16) << 48;
        idt[2 * v + 1] = handler >> 32;
        memcpy(b->mem->ram + handler, "\xEB\xFE", 2); // jmp $: waits there
    }
    u64 rsp0 = BARE_KERNEL_STACK;
    memcpy(b->mem->ram + BARE_TSS + 4, &rsp0, sizeof(rsp0));
}

struct bare *bare_create(enum tlb_geometry geometry)
{
    return bare_create_model(geometry, "v3");
}

struct bare *bare_create_model(enum tlb_geometry geometry, const char *model)
{
    struct bare *b = xcalloc(1, sizeof(*b));
    struct status s = physmem_create(&b->mem, BARE_RAM_BYTES);
    CHECK(status_ok(&s));
    b->ports = io_space_create(0x10000);
    b->mmio = io_space_create(UINT64_C(1) << 40);
    b->mmu = mmu_shared_create(b->mem, b->mmio, geometry);
    b->clock.step_ps = 1000;
    make_page_tables(b);
    make_descriptors(b);
    struct cpu_config config = {
        .model = model,
        .mmu = b->mmu,
        .mem = b->mem,
        .ports = b->ports,
        .clock = &b->clock,
        .probes = &b->probes,
        .apic = &b->apic,
        .current_cpu = &b->current_cpu,
        .tsc_hz = 1000000000,
        .crystal_hz = 100000000,
        .coverage = b->coverage = coverage_begin(),
    };
    s = cpu_create(&b->cpu, &config);
    if (!status_ok(&s)) {
        fprintf(stderr, "%s\n", s.text);
    }
    CHECK(status_ok(&s));
    return b;
}

void bare_destroy(struct bare *b)
{
    cpu_destroy(b->cpu);
    coverage_end(b->coverage);
    mmu_shared_destroy(b->mmu);
    io_space_destroy(b->ports);
    io_space_destroy(b->mmio);
    physmem_destroy(b->mem);
    free(b);
}

struct cpu_regs bare_user_regs(const struct bare *b, u64 rip)
{
    struct cpu_regs r;
    cpu_get_regs(b->cpu, &r);
    r.rip = rip;
    r.rflags = 2;
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        r.seg[i] = (struct cpu_segment){SELECTOR_DATA3, 0xC0F3, 0xFFFFFFFF, 0};
    }
    r.seg[CPU_CS] = (struct cpu_segment){SELECTOR_CODE3, 0xA0FB, 0xFFFFFFFF, 0};
    r.tr = (struct cpu_segment){SELECTOR_TSS, 0x8B, 0x67, BARE_TSS};
    r.gdtr_base = BARE_GDT, r.gdtr_limit = 7 * 8 - 1;
    r.idtr_base = BARE_IDT, r.idtr_limit = 32 * 16 - 1;
    r.cr0 = 0x80050033; // PG AM WP NE ET MP PE
    r.cr3 = BARE_TABLES;
    r.cr4 = 0x6A0;  // PAE PGE OSFXSR OSXMMEXCPT
    r.efer = 0xD01; // NXE LMA LME SCE
    r.cpl = 3;
    r.halted = false;
    return r;
}

void bare_flat_segments(struct cpu_regs *r, u16 code, u16 data, u8 cpl)
{
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        r->seg[i] = (struct cpu_segment){cpl ? SELECTOR_DATA3 : SELECTOR_DATA0, data, 0xFFFFFFFF, 0};
    }
    r->seg[CPU_CS] = (struct cpu_segment){cpl ? SELECTOR_CODE3 : SELECTOR_CODE0, code, 0xFFFFFFFF, 0};
    r->cpl = cpl;
}

void bare_real_mode(struct cpu_regs *r, u64 rip)
{
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        r->seg[i] = (struct cpu_segment){(u16)(i * 0x100), 0x93, 0xFFFF, i * 0x1000};
    }
    r->seg[CPU_CS] = (struct cpu_segment){0x200, 0x9B, 0xFFFF, BARE_USER};
    r->rip = rip - BARE_USER;
    r->cr0 = 0x30;
    r->cr3 = r->cr4 = r->efer = 0;
    r->cpl = 0;
    r->idtr_base = 0x40000, r->idtr_limit = 0x3FF;
}

struct bare_exception bare_exception(const struct bare *b)
{
    struct cpu_regs r;
    struct bare_exception e = {.vector = -1};
    cpu_get_regs(b->cpu, &r);
    if (r.cpl != 0 || r.rip < BARE_HANDLERS || r.rip >= BARE_HANDLERS + 32 * 16) {
        return e;
    }
    e.vector = (int)(r.rip - BARE_HANDLERS) / 16;
    u64 frame[6];
    bool has_code = e.vector == 8 || (e.vector >= 10 && e.vector <= 14) || e.vector == 17;
    memcpy(frame + !has_code, b->mem->ram + r.gpr[CPU_RSP], sizeof(frame) - (has_code ? 0 : 8));
    e.error_code = has_code ? frame[0] : 0;
    e.rip = frame[1], e.rflags = frame[3], e.rsp = frame[4];
    return e;
}
