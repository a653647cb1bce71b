/* SPDX-License-Identifier: MIT */
/* Offsets and numbers that assembly shares with C; C checks them (cpu.c). */
#pragma once

#define CPU_CURRENT 8
#define CPU_KERNEL_SP 16
#define CPU_USER_SP 24
#define CPU_PREEMPT_COUNT 32
#define CPU_NEED_RESCHED 36

#define TASK_WORK 16

#define REGS_AX 80
#define REGS_CX 88
#define REGS_DI 112
#define REGS_ORIG_AX 120
#define REGS_IP 128
#define REGS_CS 136
#define REGS_FLAGS 144
#define REGS_SP 152
#define REGS_SS 160
#define REGS_R11 48
#define REGS_SIZE 168
