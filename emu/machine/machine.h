// SPDX-License-Identifier: MIT
// A whole machine: built from a device tree, run to an exact step, hashed, saved and restored.
// Several may live in one process.
#ifndef VIV_MACHINE_MACHINE_H
#define VIV_MACHINE_MACHINE_H

#include "base/status.h"
#include "cpu/cpu.h"
#include "devices/device.h"
#include "host/host.h"

struct machine;

struct machine_config {
    const void *tree;        // flattened device tree, fixed up (tree.h); copied
    const struct host *host; // copied; what it refers to outlives the machine
    const char *cpu_model;   // a row of isa/x86_features.def
    enum cpu_engine engine; // of all CPUs; no part of the state
    enum tlb_geometry tlb;
    bool chaos; // vary event delivery and quanta by chaos_seed; reproducible, outside the hashed
                // state
    u64 chaos_seed;
    u64 *coverage; // isa/coverage.h; the caller's, may be NULL
};

// STATUS_BAD_INPUT: a bad tree, an unknown device, no host memory.
struct status machine_create(struct machine **out, const struct machine_config *config);
void machine_destroy(struct machine *m);
// Power-on state of CPUs and devices; RAM and time are kept.
void machine_reset(struct machine *m);
// All of RAM is zero again, as before the first boot.
void machine_clear_memory(struct machine *m);

enum machine_exit {
    MACHINE_EXIT_UNTIL,      // the wanted step was reached
    MACHINE_EXIT_POWER_OFF,  // the guest switched itself off
    MACHINE_EXIT_DEBUG_EXIT, // the guest wrote value to the debug-exit port
    MACHINE_EXIT_RESET,      // the guest wants a reset (or a triple fault with an empty IDT)
    MACHINE_EXIT_SHUTDOWN,   // any other triple fault; text says where
    MACHINE_EXIT_STUCK,      // everything halted, and nothing can ever wake it; text says why
    MACHINE_EXIT_HOST,       // the door wants the run to end
    MACHINE_EXIT_STOPPED,    // a watch or machine_stop_soon() (watch.h); takes precedence
};

struct machine_result {
    enum machine_exit exit;
    u32 value;      // debug-exit's
    char text[200]; // the reason of shutdown and stuck
};

// The one stop rule: runs until the first state with step == until_step (before events due there
// fire), or an earlier end. Returns at once if that step has been reached.
struct machine_result machine_run(struct machine *m, u64 until_step);

// 64 bits over everything that decides the future: CPUs, devices, PCI, time, schedule, RAM.
// Canonical: caches and the way here do not count.
u64 machine_hash(struct machine *m);
// Its two halves: all but RAM (a few microseconds), and RAM (grows with the pages written since the
// last call).
u64 machine_hash_small(struct machine *m);
u64 machine_hash_ram(struct machine *m);

// The parts' hashes, for finding a difference: cb(ctx, "cpu0" | device path | "pci" | "time" |
// "ram", hash).
void machine_hash_parts(struct machine *m, void (*cb)(void *ctx, const char *part, u64 hash),
                        void *ctx);

// The whole state in host memory, disks excepted (their overlays have their own copy,
// host/overlay.h).
struct snapshot;
struct snapshot *machine_save(struct machine *m);
void machine_load(struct machine *m,
                  const struct snapshot *s); // of a machine built from the same tree
void snapshot_free(struct snapshot *s);

// All of the state but RAM (CPUs, devices, PCI, time, schedule) as one block of a size that is
// fixed for a machine, for those who keep RAM themselves. Loading it takes RAM to be as it was
// then; whoever changed RAM did so through physmem_write_page(). in: saved by a machine of the same
// tree.
size_t machine_state_size(const struct machine *m);
u64 machine_state_layout(const struct machine *m); // a hash of what stands where in it
void machine_state_save(const struct machine *m, u8 *out);
void machine_state_load(struct machine *m, const u8 *in);
// Whether a state that comes from a file is one that machine_state_load() can take:
// STATUS_BAD_INPUT names what holds a value that no machine has. What such a guest then does is its
// own affair.
struct status machine_state_check(const struct machine *m, const u8 *in);

// Sums over all CPUs of what is counted but no state.
struct cpu_counters machine_counters(const struct machine *m);
// Calls fn for each instruction that raised #UD because no CPU here implements it.
void machine_each_undefined(const struct machine *m,
                            void (*fn)(void *ctx, const char *mnemonic, u64 count), void *ctx);

// Bytes of RAM in pages that were ever written or mapped writable.
u64 machine_ram_touched(const struct machine *m);

const struct vclock *machine_clock(const struct machine *m);
struct physmem *machine_memory(const struct machine *m);
struct probes *machine_probes(struct machine *m);
unsigned machine_cpu_count(const struct machine *m);
// Whose turn it is where there are several CPUs, and how many steps are left of it.
unsigned machine_turn(const struct machine *m, u64 *steps_left);
struct cpu *machine_cpu(const struct machine *m, unsigned index);
unsigned machine_device_count(const struct machine *m);
struct device *machine_device(const struct machine *m, unsigned index);
// Calls fn whenever guest time has come to *due_ns, at the first state at or behind it, or, where
// every CPU sleeps over it, in that sleep. fn may read the machine; it sets *due_ns anew, beyond
// now_ns. It changes nothing. NULL: nobody.
void machine_set_frame_clock(struct machine *m, void (*fn)(void *ctx, u64 now_ns, u64 *due_ns),
                             void *ctx, u64 due_ns);

// What the first display shows now. False: the machine has none.
bool machine_picture(const struct machine *m, struct device_picture *out);

#endif
