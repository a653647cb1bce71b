// SPDX-License-Identifier: MIT
// Restartable sequences, rseq(2): what the kernel and a thread share.
#pragma once

#include <stdint.h>

#define RSEQ_FLAG_UNREGISTER 1u
#define RSEQ_CPU_ID_UNINITIALIZED 0xffffffffu
#define RSEQ_ORIGINAL_SIZE 32u // of the area, with padding: what C libraries without AT_RSEQ_* use
#define RSEQ_FEATURE_SIZE 28u  // what of it has a meaning
#define RSEQ_ALIGN 32u

// Written by the kernel but for rseq_cs; aligned to 32 bytes.
struct linux_rseq {
    uint32_t cpu_id_start; // always a valid CPU number
    uint32_t cpu_id;
    uint64_t rseq_cs; // address of the sequence that the thread is in, 0: none
    uint32_t flags;
    uint32_t node_id;
    uint32_t mm_cid; // a number below those of all CPUs that no running thread of the mm shares
};

// One sequence: a thread that is preempted, moved or given a signal between start_ip and the commit
// goes on at abort_ip, which the registered signature precedes.
struct linux_rseq_cs {
    uint32_t version; // 0
    uint32_t flags;   // 0
    uint64_t start_ip;
    uint64_t post_commit_offset;
    uint64_t abort_ip;
};
