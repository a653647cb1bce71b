// SPDX-License-Identifier: MIT
// A checkpoint's state with anything in it: it is refused, or the machine lives with it.
//
// Input: patches of a state that a busy machine had: 2 bytes offset, 1 byte length (at most 16) and
// the bytes.
#include "base/check.h"
#include "base/memory.h"
#include "tests/fuzz/fuzz_machine.h"
#include "tests/fuzz/input.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define PATCHES_MAX 64

// Timers run, a disk command is under way, a character waits.
static void make_busy(struct fuzz_machine *f)
{
    static const u32 mmio[][2] = {
        {0xFEE000F0, 0x1FF},          {0xFEE00320, 0x20040},
        {0xFEE00380, 1000},           {FUZZ_AHCI_BAR + 0x04, 0x80000002},
        {FUZZ_AHCI_BAR + 0x100, 0x100000}, {FUZZ_AHCI_BAR + 0x108, 0x101000},
        {FUZZ_AHCI_BAR + 0x118, 0x11}, {FUZZ_AHCI_BAR + 0x138, 1},
    };
    static const u16 ports[][2] = {{0x43, 0x34}, {0x40, 0x00}, {0x40, 0x10}, {0x70, 0x0B},
                                   {0x71, 0x42}, {0x3F9, 0x05}, {0x3FA, 0x01}, {0x3FC, 0x0B}};
    u32 header[8] = {5 | 1 << 16, 0, 0x102000};
    u8 fis[20] = {0x27, 0x80, 0xC8, 0, 0, 0, 0, 0x40, 0, 0, 0, 0, 8};
    u32 entry[4] = {0x110000, 0, 0, 0xFFF};
    physmem_write(f->m->mem, 0x100000, header, sizeof(header));
    physmem_write(f->m->mem, 0x102000, fis, sizeof(fis));
    physmem_write(f->m->mem, 0x102080, entry, sizeof(entry));
    for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
        io_space_write(f->m->ports, ports[i][0], ports[i][1], 1);
    }
    for (unsigned i = 0; i < ARRAY_LEN(mmio); i++) {
        io_space_write(f->m->mmio, mmio[i][0], mmio[i][1], 4);
    }
    f->outside.input_size = 2;
    fuzz_machine_run(f, 100);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct fuzz_machine *machine, *first;
    if (!machine) {
        machine = fuzz_machine_create();
        first = fuzz_machine_create();
        make_busy(first);
    }
    fuzz_machine_copy(machine, first);
    size_t state_size = machine_state_size(machine->m);
    u8 *state = xcalloc(1, state_size);
    machine_state_save(machine->m, state);
    struct input in = {data, size, 0};
    for (unsigned n = 0; n < PATCHES_MAX && input_more(&in); n++) {
        size_t at = input_take(&in, 2) % state_size, length = input_u8(&in) % 17;
        for (; length; length--, at++) {
            u8 byte = input_u8(&in);
            if (at < state_size) {
                state[at] = byte;
            }
        }
    }
    struct status s = machine_state_check(machine->m, state);
    CHECK(status_ok(&s) || s.text[0]);
    if (status_ok(&s)) {
        machine_state_load(machine->m, state);
        machine_hash(machine->m);
        for (unsigned i = 0; i < 4; i++) {
            fuzz_machine_run(machine, 2000);
        }
        machine_state_save(machine->m, state);
        s = machine_state_check(machine->m, state);
        if (!status_ok(&s)) {
            fprintf(stderr, "%s\n", s.text);
        }
        CHECK(status_ok(&s)); // a machine's own state is always good
    }
    free(state);
    return 0;
}
