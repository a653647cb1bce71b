// SPDX-License-Identifier: MIT
// Event and page-state counters behind /proc/vmstat and /proc/meminfo.
#pragma once

#include "lib/atomic.h"

enum vm_event {
    PGPGIN, // sectors / 2 read by block I/O: the block layer counts
    PGPGOUT,
    PGFAULT,
    PGMAJFAULT,
    PGACTIVATE,
    PGDEACTIVATE,
    PGSCAN_KSWAPD,
    PGSCAN_DIRECT,
    PGSTEAL_KSWAPD,
    PGSTEAL_DIRECT,
    PAGEOUTRUN,
    ALLOCSTALL,
    PGLAZYFREE,
    PGLAZYFREED,
    DROP_PAGECACHE,
    OOM_KILL,
    NR_VM_EVENTS
};
enum page_state {
    NR_FILE_PAGES_STATE, // page cache, shmem included
    NR_FILE_DIRTY,
    NR_WRITEBACK,
    NR_ANON_MAPPED,
    NR_FILE_MAPPED,
    NR_SHMEM,
    NR_DIRTIED,
    NR_WRITTEN,
    NR_MLOCK,   // pages of areas that are locked
    NR_BUFFERS, // cached pages of block devices; part of NR_FILE_PAGES_STATE
    NR_PAGE_STATES
};
extern s64 vm_events[NR_VM_EVENTS], page_states[NR_PAGE_STATES];

// Any context.
static inline void count_vm_events(enum vm_event e, s64 n)
{
    __atomic_fetch_add(&vm_events[e], n, __ATOMIC_RELAXED);
}
static inline void count_vm_event(enum vm_event e)
{
    count_vm_events(e, 1);
}
static inline void mod_page_state(enum page_state s, s64 n)
{
    __atomic_fetch_add(&page_states[s], n, __ATOMIC_RELAXED);
}
static inline u64 page_state(enum page_state s)
{
    s64 v = __atomic_load_n(&page_states[s], __ATOMIC_RELAXED);
    return v > 0 ? (u64)v : 0;
}
