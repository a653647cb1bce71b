// SPDX-License-Identifier: MIT
// What translated code finds at fixed distances from its stack pointer, which is the CPU itself:
// the part of struct cpu that belongs to the translator.
#ifndef VIV_CPU_JIT_FRAME_H
#define VIV_CPU_JIT_FRAME_H

#include "base/types.h"

struct tlb_tables;

// r15 in translated code: steps left << 6 | this; the low bits serve as a shift count (ENGINE.md).
#define JIT_COUNTER_LOW 12
#define JIT_COUNTER_BIAS (UINT64_C(1) << 63) // so that PEXT of bit 63 is 0 when they are over
#define JIT_STEP 64

// Room below struct cpu for return addresses, and for the frame of a signal that comes while
// translated code runs.
#define JIT_STACK_BYTES (64u << 10)

#define JIT_SHARED 8
#define JIT_RUN_GROUPS 4

enum jit_exit {
    JIT_EXIT_OFFSET,  // in front of the instruction at page offset "info"
    JIT_EXIT_LINEAR,  // in front of the one at linear address "info"
    JIT_EXIT_LINK,    // a jump within the page that is not linked yet: "info" is its jit_link
    JIT_EXIT_RETIRED, // in front of the one at cpu->rip: everything is up to date
    JIT_EXIT_STOPPED, // cpu->current did not retire
};

struct jit_frame {
    u64 counter;    // r15
    u64 return_to;  // of a gate
    u64 target;     // where a jump through the cache goes, while r10 and r11 are in use
    u64 host_stack; // stack pointer of C
    u64 sign_mask;  // constants for PEXT: bit 63
    u64 df_mask;    // and RFLAGS.DF
    u64 count_mask32, count_mask64; // and what a shift takes of its count
    u64 closed_mask;                // and all of RFLAGS but IF
    u64 jump_mask;                  // for PDEP: where twice an index of the jump cache has its bits
    u64 info;
    struct tlb_tables *tables; // GS base
    u64 aligned16;             // the same: page number and misalignment of 16 and 32 bytes
    u64 aligned32;
    u8 exit; // enum jit_exit
    // Not 0: the host's vector registers are the guest's, with MXCSR: XMM alone, upper halves too.
    u8 sse_live, avx_live;
    u8 sse_blocked, avx_blocked; // 0: they may be
    u32 host_mxcsr;              // C's
    u64 shared[JIT_SHARED]; // host addresses of accesses that share a check (shares.c), or 0
    // Of the gate for reads across a page's end: what was read, saved registers, the second part.
    u64 across[8], across_rax, across_rsi, across_rdi, across_r11, across_from;
    // Of an unchecked run (page_run.c): host minus guest addresses, r15 behind all its iterations,
    // RAX during a division.
    u64 run_distance[JIT_RUN_GROUPS], run_rest, run_saved;
};

#endif
