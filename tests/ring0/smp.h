// SPDX-License-Identifier: MIT
// What the assembly and the C part of the several-CPU kernel share.
#ifndef SMP_H
#define SMP_H

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define KERNEL_CS32 0x18
#define GDT_BYTES 0x20

#define CPUS_MAX 8
#define WINDOW 0x40000000
#define FRAME_A 0x600000 // what the window shows
#define FRAME_B 0x601000
#define MOVED_APIC 0x602000
#define FILLED 0x610000
#define FILLED_BYTES 40000 // for each CPU
#define START_PAGE 0x8000
#define OTHER_START_PAGE 0x9000

#endif
