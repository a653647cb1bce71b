// SPDX-License-Identifier: MIT
// What fernscope knows of the kernel, all of it read from /proc.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SCOPE_CPUS 8
#define SCOPE_NODES 64
#define SCOPE_CALLS 8
#define SCOPE_LARGEST 7

struct scope_node {
    int pid;
    char side;      // of its parent: L, R, or - at the root
    unsigned depth; // in the tree
    uint64_t vruntime, weight;
    char comm[16];
};
struct scope_tree { // of one CPU's fair class
    uint64_t min_vruntime;
    unsigned running, count;
    bool has_current;
    struct scope_node current, nodes[SCOPE_NODES]; // nodes: in order of vruntime
};
struct scope_call {
    char name[24];
    uint64_t calls, before, delta;
};

// Sums since boot; differences between two readings make rates.
struct scope_counters {
    uint64_t calls, faults, switches, interrupts, forks;
};

enum scope_page {
    PAGE_FREE,
    PAGE_KERNEL,
    PAGE_SLAB,
    PAGE_CACHE,
    PAGE_CACHE_MAPPED,
    PAGE_OWNED,
    PAGE_COW,
    PAGE_KINDS
};
struct scope_frame {
    uint8_t kind;
    uint16_t owner; // hue, with PAGE_OWNED
};

struct scope_process {
    int pid;
    char comm[16];
    unsigned own, shared; // anonymous pages
};

struct scope {
    struct scope_tree trees[SCOPE_CPUS];
    unsigned nr_trees;
    struct scope_counters counters;
    struct scope_call *table; // all calls, by number
    unsigned nr_table;
    struct scope_frame *frames;
    unsigned nr_frames;
    unsigned of_kind[PAGE_KINDS];
    unsigned processes;
    struct scope_process largest[SCOPE_LARGEST]; // by pages; those without any have pid 0
};

void scope_read_trees(struct scope *s);
void scope_read_counters(struct scope *s);
// Frames by what they hold; anonymous ones by the process that maps them.
void scope_read_frames(struct scope *s);
// The calls made most often between the last two readings; how many there are.
unsigned scope_busiest(const struct scope *s, const struct scope_call *out[SCOPE_CALLS]);
unsigned scope_hue(int pid);
