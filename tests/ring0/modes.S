// SPDX-License-Identifier: MIT
// Snippets of the mode-switch kernel.
#include "legacy.h"

#define CODE64 0x78             // of modes.c's GDT
#define EFER 0xC0000080

    .macro snippet name
    .balign 16
    .globl m_\name
m_\name:
    .endm
    .macro DONE
    int $VECTOR_DONE
    .endm

    .section .text, "ax"
    .code32
snippet load
    movl (%edi), %eax
    DONE
snippet store
    movl %edi, 8(%edi)
    DONE
snippet jump
    jmp *%edi
snippet set_efer
    movl $EFER, %ecx
    movl %edi, %eax
    xorl %edx, %edx
    wrmsr
    rdmsr
    DONE
snippet set_cr0
    movl %edi, %cr0
    movl %cr0, %eax
    DONE
snippet try_cr0                 // leaves paging again, should it have come to that
    movl %edi, %cr0
    movl %cr0, %eax
    movl $0x11, %ecx
    movl %ecx, %cr0
    DONE
snippet set_cr4
    movl %edi, %cr4
    movl %cr4, %eax
    DONE
snippet enable_stepwise         // EDI: CR0 without PG; the instruction after PG comes from the new mapping
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    nop
    movl %cr0, %eax
    DONE

// From 32-bit paging off through compatibility mode to 64-bit code and back. EDI: PML4. EAX: a nibble per station.
snippet long_mode
    movl $0x20, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0             // compatibility mode from here on
    rdmsr
    movl %eax, %ebx
    shrl $10, %ebx
    andl $1, %ebx               // LMA
    movl $0xFFFFFFFF, %eax
    incl %eax                   // 32 bits wrap: 0; in 64-bit code 40 is REX
    .byte 0x40, 0x90            // inc %eax; nop
    shll $4, %eax
    orl %eax, %ebx
    ljmp $CODE64, $1f
    .code64
1:  movq $0x1122334455667788, %r8
    .byte 0x40, 0x90            // a REX prefix, nop
    movq %r8, %rax
    shrq $60, %rax              // 1
    shll $8, %eax
    orl %eax, %ebx
    movq %cs:(%rdi), %rax       // CS has no limit here
    andl $1, %eax               // P
    shll $12, %eax
    orl %eax, %ebx
    movl %esp, %esp
    pushq $KERNEL_CS
    leaq 2f(%rip), %rax
    pushq %rax
    lretq
    .code32
2:  movl %cs, %eax              // compatibility mode again
    andl $0xF, %eax
    shll $16, %eax
    orl %eax, %ebx
    movl %cr0, %eax
    andl $0x7FFFFFFF, %eax
    movl %eax, %cr0             // paging off: long mode ends
    movl $EFER, %ecx
    rdmsr
    movl %eax, %edx
    shrl $6, %edx
    andl $0x14, %edx            // LMA 0x10, LME 4
    shll $20, %edx
    orl %edx, %ebx
    andl $~0x100, %eax
    xorl %edx, %edx
    wrmsr
    xorl %eax, %eax
    movl %eax, %cr4
    movl %ebx, %eax
    DONE

// The same with code of 16 bits in between: 64 -> compatibility 16 -> protected 16 -> 32.
snippet long_to_16
    movl $0x20, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl $EFER, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmp $CODE64, $1f
    .code64
1:  pushq $REAL_CS
    pushq $0
    lretq

    .globl code16_begin, code16_end
code16_begin:                   // copied to REAL_BASE
    .code16
    movw $0xFFFF, %ax
    incw %ax                    // 40: one byte, 16 bits
    movw $0x1234, %ax
    movzwl %ax, %ebx
    movl %cr0, %eax
    andl $0x7FFFFFFF, %eax
    movl %eax, %cr0
    movl $EFER, %ecx
    rdmsr
    andl $~0x100, %eax
    wrmsr
    xorl %eax, %eax
    movl %eax, %cr4
    ljmpl $KERNEL_CS, $m_back
code16_end:
    .code32
snippet back
    movl %ebx, %eax
    DONE
snippet in_low_memory           // what was copied to REAL_BASE
    ljmp $KERNEL_CS, $REAL_BASE

// Copied to REAL_BASE, for this kernel lies in an odd megabyte: address line 20 closed at port 92 and at the 8042, then
// opened. EBX: what was read and written through the alias, what that did below, what is left above.
    .globl a20_begin, a20_end
    .macro wait_8042
8:  inb $0x64, %al
    testb $2, %al
    jnz 8b
    .endm
a20_begin:
    movl $0xA, WINDOW_FRAME
    movl $0xB, WINDOW_FRAME + 0x100000
    inb $0x92, %al
    andb $0xFC, %al
    outb %al, $0x92
    wait_8042
    movb $0xDD, %al
    outb %al, $0x64
    wait_8042
    movl WINDOW_FRAME + 0x100000, %ebx
    movl $0xC, WINDOW_FRAME + 0x100000
    movb $0xDF, %al
    outb %al, $0x64
    wait_8042
    inb $0x92, %al
    andb $0xFC, %al
    orb $2, %al
    outb %al, $0x92
    shll $4, %ebx
    orl WINDOW_FRAME, %ebx
    shll $4, %ebx
    orl WINDOW_FRAME + 0x100000, %ebx
    ljmp $KERNEL_CS, $m_back
a20_end:

    .section .note.GNU-stack, "", @progbits
