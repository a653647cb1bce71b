// SPDX-License-Identifier: MIT
// A target without a machine behind it, linked in place of the debugger's: a history of steps, a
// few pages of memory, two tasks. For the gdb stub's tests and fuzzer.
#ifndef VIV_TESTS_FAKE_TARGET_H
#define VIV_TESTS_FAKE_TARGET_H

#include "debugger/target.h"

#define FAKE_BEGIN 100u
#define FAKE_END 1000u               // the guest ends here with status 7
#define FAKE_CODE UINT64_C(0x400000) // RIP is this + step; each instruction is a byte
#define FAKE_MEMORY UINT64_C(0x1000)
#define FAKE_PHYSICAL UINT64_C(0x100000) // where it lies for those who say physical
#define FAKE_MEMORY_SIZE 0x3000u
#define FAKE_SWITCH_STEP 800u  // from here on the sleeper runs
#define FAKE_PID 1             // runs
#define FAKE_SLEEPER 2         // does not; its stack lies at FAKE_MEMORY
#define FAKE_SYSCALL_STEP 500u // here openat (257) is entered, and left ten steps later

struct target *fake_target_create(bool (*cancel)(void *ctx), void *ctx);
void fake_target_destroy(struct target *t);
unsigned fake_target_points(const struct target *t); // how many are set
unsigned fake_target_writes(const struct target *t);
u8 *fake_target_memory(struct target *t);

#endif
