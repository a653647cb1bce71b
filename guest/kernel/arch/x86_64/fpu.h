// SPDX-License-Identifier: MIT
// Extended state, switched eagerly with XSAVE (size from CPUID 0xD) or FXSAVE. SDM vol. 1
// chapters 10.5 and 13.
#pragma once

#include "lib/types.h"

struct task_struct;
extern unsigned fpu_state_size; // bytes of the XSAVE/FXSAVE area
extern u64 fpu_xcr0;            // 0 without XSAVE

void fpu_init_cpu(void);
int fpu_alloc(struct task_struct *t); // initial state; 0 or -ENOMEM
void fpu_free(struct task_struct *t);
void fpu_copy(struct task_struct *dst,
              struct task_struct *src); // src = current; saves live state first
void fpu_reset_current(void);           // exec
void fpu_switch(struct task_struct *prev, struct task_struct *next); // interrupts off
// Signal frames: bytes the user area needs (64-byte aligned), with the FP_XSTATE magics when XSAVE
// is used.
size_t fpu_user_frame_size(void);
int fpu_save_to_user(void __user *buf);            // 0 or -EFAULT
int fpu_restore_from_user(const void __user *buf); // 0, -EFAULT or -EINVAL; NULL resets
