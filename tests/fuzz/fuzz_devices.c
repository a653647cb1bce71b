// SPDX-License-Identifier: MIT
// Any accesses to any device register, with descriptors that lead anywhere and time that passes:
// the machine survives, and one made from its saved state goes on exactly alike.
//
// Input: operations, each a byte and its operands; see play().
#include "base/check.h"
#include "base/memory.h"
#include "display/surface.h"
#include "tests/fuzz/fuzz_machine.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define OPERATIONS_MAX 300
#define STEPS_MAX 200000 // of one input
#define TABLES 0x100000  // where descriptors lie, 64 KiB

struct game {
    struct fuzz_machine *f;
    struct input in;
    u64 steps;
};

static u16 port_number(struct game *g)
{
    static const u16 ports[] = {0x20,  0xA0,  0x40,  0x42,  0x60,  0x64,  0x70,  0x80,
                                0x92,  0x3F8, 0x3FC, 0x2F8, 0x3E8, 0x2E8, 0x4D0, 0x600,
                                0x604, 0x608, 0xF4,  0xCF8, 0xCFC, 0xCF9, 0x61,  0xB2};
    u16 choice = (u16)input_take(&g->in, 2);
    return choice & 0x8000 ? choice : (u16)(ports[choice % ARRAY_LEN(ports)] + (choice >> 8 & 7));
}

static u64 mmio_address(struct game *g)
{
    static const u32 bases[] = {0xFEE00000,
                                0xFEC00000,
                                FUZZ_AHCI_BAR,
                                FUZZ_AHCI_BAR + 0x100,
                                FUZZ_AHCI_BAR + 0x180,
                                0xFED00000,
                                0xFEE00300,
                                FUZZ_DISPLAY_BAR + 0x500};
    u64 choice = input_take(&g->in, 2), offset = choice & 0xFFF;
    offset &= choice & 0x8000 ? ~UINT64_C(0) : ~UINT64_C(3); // aligned, most of the time
    return bases[choice >> 12 & 7] + (offset & 0x3FF) + (offset & 0x800 ? 0xC00 : 0);
}

static void pci_write(struct game *g)
{
    u32 where = (u32)input_take(&g->in, 2), value = (u32)input_take(&g->in, 4);
    u32 slot = where & 0x8000 ? where & 0x7F00 : 0x1000;
    io_space_write(g->f->m->ports, 0xCF8, 0x80000000 | slot | (where & 0xFC), 4);
    io_space_write(g->f->m->ports, 0xCFC + (where & 3), value, where & 3 ? 1 : 4);
}

// A command for the disk: header, FIS and PRDT, and its issue. Whatever they say.
static void disk_command(struct game *g)
{
    struct physmem *mem = g->f->m->mem;
    u32 slot = input_u8(&g->in) & 31, prdt = input_u8(&g->in) & 15;
    u32 table = TABLES + 0x2000 + slot * 0x200;
    u32 header[8] = {(u32)input_take(&g->in, 1) << 3 | 5 | prdt << 16, 0, table, 0};
    u8 fis[20] = {0x27, 0x80};
    for (unsigned i = 2; i < 14; i++) {
        fis[i] = input_u8(&g->in);
    }
    fis[4] &= 1, fis[5] = fis[6] = fis[8] &= 1; // mostly on the disk
    physmem_write(mem, TABLES + slot * 32, header, sizeof(header));
    physmem_write(mem, table, fis, sizeof(fis));
    for (unsigned i = 0; i < prdt; i++) {
        u64 address = TABLES + (input_take(&g->in, 2) << 4);
        u32 entry[4] = {(u32)address, input_u8(&g->in) & 0x80 ? 0xFFFFFFFF : 0, 0,
                        (u32)input_take(&g->in, 2)};
        physmem_write(mem, table + 0x80 + i * 16, entry, sizeof(entry));
    }
    const u32 registers[][2] = {{0x118, 0x11}, {0x138, 1u << slot}};
    for (unsigned i = 0; i < ARRAY_LEN(registers); i++) {
        io_space_write(g->f->m->mmio, FUZZ_AHCI_BAR + registers[i][0], registers[i][1], 4);
    }
}

// What a driver does first, so that the rest gets somewhere.
static void set_up(struct game *g)
{
    static const u32 registers[][2] = {{0x04, 0x80000002}, {0x100, TABLES},     {0x104, 0},
                                       {0x108, TABLES + 0x1000}, {0x10C, 0}, {0x114, 0xFFFFFFFF},
                                       {0x118, 0x11}};
    for (unsigned i = 0; i < ARRAY_LEN(registers); i++) {
        io_space_write(g->f->m->mmio, FUZZ_AHCI_BAR + registers[i][0], registers[i][1], 4);
    }
    io_space_write(g->f->m->mmio, 0xFEE000F0, 0x1FF, 4);
}

static void type(struct game *g)
{
    struct fuzz_machine *f = g->f;
    if (f->outside.input_size < FUZZ_INPUT_MAX) {
        f->outside.input[f->outside.input_size++] = input_u8(&g->in);
        if (f->ready) {
            f->ready(f->ready_dev);
        }
    }
}

static void run(struct game *g, u64 steps)
{
    steps = steps < STEPS_MAX - g->steps ? steps : STEPS_MAX - g->steps;
    fuzz_machine_run(g->f, steps);
    g->steps += steps;
}

static void other(struct game *g, u8 what)
{
    switch (what) {
    case 0:
        disk_command(g);
        break;
    case 1: {
        u64 at = input_take(&g->in, 2), value = input_take(&g->in, 8);
        physmem_write(g->f->m->mem, TABLES + at, &value, 8);
        break;
    }
    case 2:
        type(g);
        break;
    case 3:
        pci_write(g);
        break;
    case 4:
        set_up(g);
        break;
    case 5:
        g->f->outside.at_end = g->in.at & 1;
        g->f->outside.disk_fails = g->in.at & 2;
        break;
    case 6:
        fuzz_machine_restart(g->f);
        break;
    default:
        run(g, input_take(&g->in, 2));
        break;
    }
}

static void play(struct game *g)
{
    for (unsigned n = 0; n < OPERATIONS_MAX && input_more(&g->in); n++) {
        u8 what = input_u8(&g->in);
        unsigned size = 1u << (what >> 3 & 3);
        unsigned port_size = size < 8 ? size : 4;
        g->f->m->bus.current_cpu = what >> 7;
        switch (what & 7) {
        case 0:
        case 1: {
            u16 port = port_number(g);
            io_space_write(g->f->m->ports, port, input_take(&g->in, port_size), port_size);
            break;
        }
        case 2:
            io_space_read(g->f->m->ports, port_number(g), port_size);
            break;
        case 3:
        case 4: {
            u64 address = mmio_address(g);
            io_space_write(g->f->m->mmio, address, input_take(&g->in, size), size);
            break;
        }
        case 5:
            io_space_read(g->f->m->mmio, mmio_address(g), size);
            break;
        case 6:
            run(g, UINT64_C(1) << (what >> 3 & 15));
            break;
        default:
            other(g, what >> 3 & 7);
            break;
        }
    }
}

struct parts {
    const char *names[32];
    u64 hashes[32];
    unsigned count;
};

static void note_part(void *ctx, const char *part, u64 hash)
{
    struct parts *p = ctx;
    if (p->count < 32) {
        p->names[p->count] = strcmp(part, "cpu0") ? part : "cpu0"; // the CPU's name does not last
        p->hashes[p->count++] = hash;
    }
}

static void expect_equal(struct fuzz_machine *a, struct fuzz_machine *b)
{
    struct parts of_a = {0}, of_b = {0};
    machine_hash_parts(a->m, note_part, &of_a);
    machine_hash_parts(b->m, note_part, &of_b);
    for (unsigned i = 0; i < of_a.count; i++) {
        if (of_a.hashes[i] != of_b.hashes[i]) {
            fprintf(stderr, "%s differs at step %llu and %llu\n", of_a.names[i],
                    (unsigned long long)machine_clock(a->m)->step,
                    (unsigned long long)machine_clock(b->m)->step);
        }
    }
    CHECK(!memcmp(of_a.hashes, of_b.hashes, sizeof(of_a.hashes)));
}

// A picture of whatever mode there is.
static void look(const struct game *g)
{
    struct surface s;
    surface_init(&s);
    surface_update(&s, g->f->m, NULL);
    surface_free(&s);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct fuzz_machine *machine, *copy, *first;
    if (!machine) {
        machine = fuzz_machine_create();
        copy = fuzz_machine_create();
        first = fuzz_machine_create();
    }
    fuzz_machine_copy(machine, first);
    struct game g = {machine, {data, size, 0}, 0};
    play(&g);
    look(&g);
    fuzz_machine_copy(copy, machine);
    expect_equal(machine, copy);
    fuzz_machine_run(machine, 5000);
    fuzz_machine_run(copy, 5000);
    expect_equal(machine, copy);
    return 0;
}
