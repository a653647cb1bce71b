// SPDX-License-Identifier: MIT
// The machine's parts, shared by the files of emu/machine.
#ifndef VIV_MACHINE_MACHINE_INTERNAL_H
#define VIV_MACHINE_MACHINE_INTERNAL_H

#include "machine/machine.h"

#define MACHINE_SLICE_STEPS (UINT64_C(1) << 18) // between looks at the door
#define MACHINE_QUANTUM_STEPS 10000             // of one CPU, when there are several

// Whose turn it is; hashed. With one CPU it never changes.
struct schedule {
    u32 current;
    u64 quantum_left;
};

struct machine {
    struct vclock clock;
    struct schedule schedule;
    struct host host;
    struct probes probes;
    struct physmem *mem;
    struct io_space *ports, *mmio;
    struct event_queue *events;
    struct pci_bus *pci;
    struct mmu_shared *mmu;
    u8 a20_gates; // those that are open
    struct device_bus bus;

    unsigned cpu_count;
    struct cpu **cpus;
    struct cpu_signal *signals;
    struct cpu_apic *apics;

    unsigned device_count, device_room;
    struct device **devices;

    bool chaos;
    u64 chaos_seed;

    // Not state.
    bool stop_wanted;
    enum machine_stop stop_why;
    u32 stop_value;
    u64 next_poll_step;
    u32 idle_rounds;         // since the last look at the door
    struct cpu *running;     // the one in cpu_run()
    bool in_run;             // in machine_run()
    bool stop_soon;          // machine_stop_soon()
    bool watch_first;        // machine_watch_first()
    enum { SINGLE_STEP_NONE, SINGLE_STEP_WANTED, SINGLE_STEP_DONE } single_step;
    unsigned single_step_cpu;
    u64 *last_step;          // of each CPU: machine_last_step()
    bool at_step;            // no event of this step has fired yet, as far as the last run tells
    struct watches *watches; // NULL: never set

    struct ram_hash *ram_hash;
    struct { // machine_set_frame_clock()
        void (*fn)(void *ctx, u64 now_ns, u64 *due_ns);
        void *ctx;
        u64 due_ns; // EVENT_NEVER: nobody
    } frame;
};

// Creates the devices of the tree, in tree order (board.c).
struct status board_create(struct machine *m, const void *tree);

// watch.c
void watches_free(struct watches *w);

// hash.c
struct ram_hash *ram_hash_create(u64 ram_bytes);
void ram_hash_destroy(struct ram_hash *h);
u64 ram_hash_value(struct ram_hash *h, struct physmem *mem);

#endif
