// SPDX-License-Identifier: MIT
// What the assembly and the C part of the 32-bit test kernel share.
#ifndef LEGACY_H
#define LEGACY_H

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER_CS 0x1B
#define USER_DS 0x23
#define TSS_SELECTOR 0x28
#define SMALL_DS 0x30       // limit 0xFFF
#define DOWN_DS 0x38        // expand-down above 0xFFF
#define EXECUTE_ONLY 0x40
#define READ_ONLY 0x48
#define SMALL_CS 0x50       // limit 0xFFFF: far below this kernel
#define CALL_GATE 0x58      // DPL 3, two parameters
#define REAL_CS 0x60        // 16-bit code at REAL_BASE
#define REAL_DS 0x68        // 16-bit data, base 0, limit 64 KiB
#define ABSENT_DS 0x70
#define GDT_BYTES 0x78

#define VECTOR_NARROW 0x30  // a 16-bit gate
#define VECTOR_DONE 0x80

#define REAL_BASE 0x8000
#define V86_CS 0x800        // code of virtual-8086 mode is copied to V86_BASE
#define V86_BASE 0x8000
#define V86_SS 0x900
#define V86_DS 0xA00
#define WINDOW 0x40000000
#define WINDOW_FRAME 0x600000
#define TABLES 0x700000     // page tables of the tests

#endif
