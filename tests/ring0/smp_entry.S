// SPDX-License-Identifier: MIT
// Entry of the several-CPU kernel: the first CPU by PVH, the others through a start-up page in real mode; interrupt stubs.
#include "smp.h"

    .section .note.Xen, "a", @note
    .long 4, 4, 18              // PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

    .section .text, "ax"
    .code32
    .globl pvh_start
pvh_start:
    cli
    // 4 GiB at 0, in pages of 2 MiB; WINDOW in pages of 4 KiB.
    movl $pdpt + 7, pml4
    xorl %edi, %edi
    movl $pd + 7, %eax
1:  movl %eax, pdpt(,%edi,8)
    addl $4096, %eax
    incl %edi
    cmpl $4, %edi
    jne 1b
    xorl %edi, %edi
    movl $0x87, %eax
2:  movl %eax, pd(,%edi,8)
    addl $0x200000, %eax
    incl %edi
    cmpl $2048, %edi
    jne 2b
    movl $window_pt + 7, pd + WINDOW / 0x200000 * 8
    xorl %esi, %esi
    jmp to_long

// A started CPU, in 32-bit mode with its start-up page in ESI.
start_32:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
to_long:
    movl $0x6a0, %eax           // PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x100, %eax            // LME
    wrmsr
    movl $0x80010033, %eax      // PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $KERNEL_CS, $start_64

    .code64
start_64:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    lidt idt_pointer
    movl $0xFEE00020, %eax      // APIC ID
    movl (%rax), %edi
    shrl $24, %edi
    movl %edi, %eax
    incl %eax
    shlq $14, %rax
    leaq stacks(%rax), %rsp
    xorl %ebp, %ebp
    testl %esi, %esi
    jnz 1f
    call main
1:  call started                // (id, start-up page)
2:  hlt
    jmp 2b

// Copied to the start-up pages.
    .globl trampoline, trampoline_end
    .code16
trampoline:
    cli
    movw %cs, %ax
    movw %ax, %ds
    movzwl %ax, %esi
    shll $4, %esi
    lgdtl small_gdt_pointer - trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $KERNEL_CS32, $start_32
    .balign 4
small_gdt_pointer:
    .word GDT_BYTES - 1
    .long gdt
trampoline_end:
    .code64

#include "stubs.inc"

common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    movq 72(%rsp), %rdi         // vector
    movq 88(%rsp), %rsi         // RIP
    cld
    call interrupt
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

    .data
    .balign 8
    .globl gdt
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF    // KERNEL_CS
    .quad 0x00CF93000000FFFF    // KERNEL_DS
    .quad 0x00CF9B000000FFFF    // KERNEL_CS32
gdt_pointer:
    .word GDT_BYTES - 1
    .quad gdt
idt_pointer:
    .word 4095
    .quad idt

    .bss
    .balign 4096
    .globl pml4, pd, window_pt
pml4:
    .skip 4096
pdpt:
    .skip 4096
pd:
    .skip 4 * 4096
window_pt:
    .skip 4096
    .globl stacks
stacks:
    .skip 0x4000 * (CPUS_MAX + 1)

    .section .note.GNU-stack, "", @progbits
