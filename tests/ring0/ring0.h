// SPDX-License-Identifier: MIT
// What the assembly and the C part of the ring-0 test kernel share.
#ifndef RING0_H
#define RING0_H

#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define USER32_CS 0x1B
#define USER_DS 0x23
#define USER_CS 0x2B
#define TSS_SELECTOR 0x30
#define KERNEL_CS32 0x40
#define ABSENT_DS 0x48   // not present
#define CODE_XO 0x50     // execute-only code
#define CALL_GATE 0x60   // DPL 3, to gate_target in KERNEL_CS
#define CONFORMING_CS 0x70
#define READONLY_DS 0x78
#define CALL_GATE_ABSENT 0x80
#define LDT_SELECTOR 0x90
#define GDT_BYTES 0xA0

// Gates of the IDT that are not ordinary.
#define VECTOR_DPL0 0x30
#define VECTOR_ABSENT 0x31
#define VECTOR_IST 0x32
#define VECTOR_BAD_TYPE 0x33
#define VECTOR_USER_TARGET 0x34 // its selector is user code
#define VECTOR_NULL_TARGET 0x35
#define VECTOR_TRAP_GATE 0x36
#define VECTOR_CONFORMING 0x37
#define VECTOR_DONE 0x80        // DPL 3: the snippet has finished

// Virtual addresses of the page that tests map as they like, and of the page after it.
#define WINDOW 0x40000000
#define USER_ALIAS 0x80000000 // physical memory once more, user accessible
#define WINDOW_FRAME 0x600000

#endif
