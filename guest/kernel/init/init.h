// SPDX-License-Identifier: MIT
// Boot: what the loader gave us, command line, order of initialisation (init/main.c lists the
// calls).
#pragma once

#include "lib/types.h"

struct boot_range {
    u64 start, size;
    u32 type; // 1 = usable RAM (E820 numbering)
};
struct boot_info {
    char cmdline[2048];
    struct boot_range map[64];
    unsigned map_count;
    u64 rsdp;
    u64 initrd_start, initrd_size; // physical; size 0 = none
    u64 dtb_start, dtb_size;
    u64 rng_seed;
};
extern struct boot_info boot_info;
// Value of "name=" in the command line copied to buf; false if absent. A bare "name" gives "".
bool cmdline_get(const char *name, char *buf, size_t size);
bool cmdline_has(const char *name, const char *value); // name=value is there, first or last

// Device tree after the early parse: nodes and raw properties, for /proc/device-tree.
struct dt_prop {
    const char *name;
    const void *data;
    u32 len;
    struct dt_prop *next;
};
struct dt_node {
    const char *name; // "uart@3f8"
    struct dt_prop *props;
    struct dt_node *parent, *child, *next;
};
extern struct dt_node *dt_root; // NULL without a blob
struct dt_node *dt_find(const char *path);
const struct dt_prop *dt_prop_get(const struct dt_node *n, const char *name);
bool dt_compatible(const struct dt_node *n, const char *compatible);

// Implemented by K-fs: unpacks the cpio at [start, start+size) into the root tmpfs. 0 or -errno.
int initramfs_unpack(const void *start, size_t size);
// Deterministic generator (getrandom, AT_RANDOM, /dev/urandom): hash-based on boot_info.rng_seed.
// Any context.
void random_bytes(void *buf, size_t n);
void random_mix(const void *buf, size_t n);

// Boot steps (arch/x86_64/setup.c calls them in order).
void console_early_init(void); // from the command line; before that the log only goes to the ring
void dt_build(void);           // makes dt_root from the blob, once, after slab_init
void kernel_main(void) __noreturn;
void kthread_selftest(const char *which); // powers off

// Steps of kernel_init that have no other header.
void chardev_init(void); // drivers/misc_chardev.c
void sched_show_init(void); // sched/show.c
void sysrq_init(void);
void power_button_init(void);
void mm_late_init(void); // mm/: threads of reclaim and write-back
