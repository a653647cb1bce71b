// SPDX-License-Identifier: MIT
// The built-in PC, small, with a guest that only sleeps and acknowledges interrupts: what the
// fuzzers of devices and of saved states play with.
#ifndef VIV_TESTS_FUZZ_MACHINE_H
#define VIV_TESTS_FUZZ_MACHINE_H

#include "host/overlay.h"
#include "machine/machine_internal.h"

#define FUZZ_RAM_BYTES (UINT64_C(4) << 20)
#define FUZZ_DISK_BYTES (UINT64_C(1) << 20)
#define FUZZ_AHCI_BAR UINT32_C(0xFEBF0000)
#define FUZZ_DISPLAY_BAR 0xE1000000
#define FUZZ_DISPLAY_MEMORY 0xD0000000
#define FUZZ_INPUT_MAX 64

struct fuzz_machine {
    struct machine *m;
    struct overlay *disk;
    // The outside; copied by fuzz_machine_copy().
    struct {
        u8 input[FUZZ_INPUT_MAX];
        unsigned input_size, input_read;
        bool at_end, disk_fails;
    } outside;
    unsigned idle_rounds; // since the last fuzz_machine_run()
    void (*ready)(void *dev);
    void *ready_dev;
};

struct fuzz_machine *fuzz_machine_create(void);
// Steps of the guest, unless it ends or sleeps through too many events before. After a shutdown or
// a reset it is in its first state again.
void fuzz_machine_run(struct fuzz_machine *f, u64 steps);
// The state of from, disk, time and outside included; a stop that from still owes is taken first.
void fuzz_machine_copy(struct fuzz_machine *to, struct fuzz_machine *from);
// Power-on registers, the guest at its start, the AHCI controller at FUZZ_AHCI_BAR. Memory but the
// guest's own, and time, are kept.
void fuzz_machine_restart(struct fuzz_machine *f);

#endif
