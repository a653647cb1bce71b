// SPDX-License-Identifier: MIT
// Where things lie in the world of the random programs; for C and assembler.
#ifndef VIV_TESTS_LOCKSTEP_LAYOUT_H
#define VIV_TESTS_LOCKSTEP_LAYOUT_H

#define WORLD_RAM 0x100000
// Guest-physical.
#define P_GDT 0x1000
#define P_IDT 0x2000
#define P_TSS 0x3000
#define P_IST1 0x5000 // tops
#define P_HANDLERS 0x6000
#define P_VARS 0x8000
#define P_IST2 0xA000
#define P_RSP0 0xC000
#define P_SKIP 0x10000
#define P_TABLES                                                                                   \
    0x20000 // two of each but the first: PML4, PDPT, PD, PT of code, PT of data, PT of the kernel
#define P_PT_DATA_A 0x26000
#define P_PT_DATA_B 0x27000
#define P_CODE 0x40000
#define P_DATA 0x50000
#define P_STACK 0x60000
#define P_DEVICE 0xFED00000

// Linear. The kernel's half has RAM from 0 on.
#define KERNEL (-0x7FFFFFFF - 1)
#define CODE 0x400000
#define CODE_BYTES 0x4000
#define CODE_ALIAS 0x500000 // the same frames, writable
#define DATA 0x600000
#define DATA_PAGES 8          // 0 to 3 and 6 can be written, 4 is read-only, 5 absent, 7 the device
#define TABLE_WINDOW 0x700000 // the tables' frames
#define STACK 0x7F0000
#define STACK_PAGES 2
#define LARGE 0x800000       // a large page over all RAM
#define KERNEL_DATA 0x600000 // of the kernel's half: the data pages again

#define VARS (KERNEL + P_VARS)
#define V_COUNTS 0 // of exceptions
#define V_RESTART 0x100
#define V_RESTART_RSP 0x108
#define V_PERIOD 0x110
#define V_TIMERS 0x118
#define V_TF_LEFT 0x120
#define V_INT80 0x128
#define V_SYSCALLS 0x130
#define V_MXCSR 0x200
#define V_GPR 0x210
#define V_FRAME 0x2A0 // SS, RSP, RFLAGS, CS, RIP
#define V_VECTORS 0x400

#define K_SKIP (KERNEL + P_SKIP)
#define K_DEVICE (KERNEL + 0x1F000)

#define H_TIMER 0x200
#define H_INT80 0x240
#define H_SYSCALL 0x280
#define H_BOOT 0x300

#define VECTOR_TIMER 0x30

// The device's registers.
#define DEVICE_TIMER 0x0 // an interrupt after so many steps
#define DEVICE_PATCH 0x8 // writes to code
#define DEVICE_ACK 0x10
#define DEVICE_DMA 0x18 // writes to data

#endif
