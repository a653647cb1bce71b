// SPDX-License-Identifier: MIT
// The machine's device tree: the built-in PC, what the command line changes in it, what the parts
// read from it.
#ifndef VIV_MACHINE_TREE_H
#define VIV_MACHINE_TREE_H

#include "base/status.h"
#include "base/types.h"

// The built-in machine (pc.dts), compiled at build time.
extern const u8 tree_builtin[];
extern const size_t tree_builtin_size;

// What the command line puts into a tree before the machine is built. NULL and 0 leave the tree's
// own.
struct tree_changes {
    u64 mem_bytes;
    unsigned cpus;        // nodes below /cpus, cpu@0 ...; those added are as the first
    const char *bootargs; // /chosen/bootargs, appended to the tree's with a space
    const char *exec;     // /chosen/viv,exec
    bool exec_tty;        // /chosen/viv,exec-tty
    u64 seed;             // /chosen/rng-seed: 8 bytes, little-endian; always written
};

// Checks a blob of size bytes from outside and returns a changed copy in *out (free() it). name is
// for messages.
struct status tree_prepare(void **out, const void *blob, size_t size, const char *name,
                           const struct tree_changes *changes);

// Bytes of a prepared tree.
size_t tree_size(const void *tree);

// Sum of /memory's reg; STATUS_BAD_INPUT unless it is a positive multiple of 1 MiB that starts at
// 0.
struct status tree_memory_bytes(const void *tree, u64 *bytes);

// Sum of the devices' "viv,memory-size": RAM of their own behind PCI's windows. What is more than
// any device takes is left out; those find then that there is none for them.
u64 tree_window_bytes(const void *tree);

#define TREE_CPUS_MAX 8

// Number of enabled nodes below /cpus. STATUS_BAD_INPUT unless there are 1 to TREE_CPUS_MAX of
// them, and the reg (the local APIC's ID) of the n-th is n.
struct status tree_cpu_count(const void *tree, unsigned *count);

// A frequency in Hz of the first cpu node ("tsc-frequency", "clock-frequency"), or the fallback.
u64 tree_cpu_hz(const void *tree, const char *property, u64 fallback);

// /chosen/rng-seed, 0 if there is none.
u64 tree_seed(const void *tree);

// The node is there for use: no "status", or "okay" (Devicetree Specification 0.4, 2.3.4); "ok"
// too, which Linux takes.
bool tree_is_enabled(const void *tree, int node);
// The next node in tree order, those that are disabled and what is below them left out. Starts with
// node -1 and *depth 0; negative at the end.
int tree_next_enabled(const void *tree, int node, int *depth);
// The first such node that is compatible, negative if there is none.
int tree_find(const void *tree, const char *compatible);
// The index-th pair of the node's reg. False: it has none.
bool tree_reg(const void *tree, int node, unsigned index, u64 *base, u64 *length);
// The index-th cell of a property, or the fallback.
u32 tree_cell(const void *tree, int node, const char *property, unsigned index, u32 fallback);

// /chosen/bootargs, "" if there are none. Points into the tree.
const char *tree_bootargs(const void *tree);

#endif
