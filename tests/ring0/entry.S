// SPDX-License-Identifier: MIT
// PVH entry, long mode, exception stubs, and the ways in and out of a test snippet.
#include "ring0.h"

    .section .note.Xen, "a", @note
    .long 4, 4, 18              // PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start

    .section .text, "ax"
    .code32
    .globl pvh_start
pvh_start:
    cli
    movl $stack_top, %esp
    // The first 32 MiB at 0 for the supervisor, again at USER_ALIAS for snippets at CPL 3; tests map the window.
    movl $pdpt + 7, pml4
    movl $pd + 3, pdpt
    movl $window_pd + 7, pdpt + 8
    movl $user_pd + 7, pdpt + 16
    movl $device_pd + 3, pdpt + 24
    xorl %edi, %edi
    movl $0x83, %eax
1:  movl %eax, pd(%edi)
    movl %eax, user_pd(%edi)
    orl $4, user_pd(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    cmpl $128, %edi
    jne 1b
    movl $0xFEE00083 & 0xFFE00083, device_pd + (0xFEE00000 - 0xC0000000) / 0x200000 * 8
    movl $window_pt + 7, window_pd
    movl $0x6a0, %eax           // PAE, PGE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $pml4, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x901, %eax            // SCE, LME, NXE
    wrmsr
    movl $0x80010033, %eax      // PG, WP, NE, ET, MP, PE
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $KERNEL_CS, $long_start

    .code64
long_start:
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    lldt %ax                    // after reset it is there
    movq $stack_top, %rsp
    call main
1:  hlt
    jmp 1b

// A uniform frame (struct trap of kernel.h).
#include "stubs.inc"

common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movl $KERNEL_DS, %eax       // a snippet may have left anything
    movl %eax, %ds
    movl %eax, %es
    movq %rsp, %rdi
    cld
    call trap                   // does not return, unless the snippet goes on
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp
    iretq

// int run_kernel(void *snippet, u64 argument): calls it on the snippet stack; a trap comes back through leave().
    .globl run_kernel
run_kernel:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, saved_rsp
    movq $snippet_stack_top - 64, %rsp
    movq %rdi, %r11
    movq %rsi, %rdi
    xorl %eax, %eax
    call *%r11
    xorl %eax, %eax
    jmp 1f
    .globl leave
leave:                          // from trap(): unwinds to run_*'s caller with 1
    movl $1, %eax
1:  movq saved_rsp, %rsp
    movl $KERNEL_DS, %ecx
    movl %ecx, %ss
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret

// int run_user(void *snippet, u64 argument, u64 cs, u64 rflags): at CPL 3 by IRETQ.
    .globl run_user
run_user:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, saved_rsp
    pushq $USER_DS
    movl $USER_ALIAS + user_stack_top - 64, %eax
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rdi
    movq %rsi, %rdi
    xorl %eax, %eax
    iretq

    .data
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00AF9B000000FFFF    // KERNEL_CS
    .quad 0x00CF93000000FFFF    // KERNEL_DS
    .quad 0x00CFFB000000FFFF    // USER32_CS
    .quad 0x00CFF3000000FFFF    // USER_DS
    .quad 0x00AFFB000000FFFF    // USER_CS
    .quad 0, 0                  // TSS
    .quad 0x00CF9B000000FFFF    // KERNEL_CS32
    .quad 0x00CF13000000FFFF    // ABSENT_DS
    .quad 0x00CF99000000FFFF    // CODE_XO
    .quad 0                     // 0x58
    .quad 0, 0                  // CALL_GATE
    .quad 0x00AF9F000000FFFF    // CONFORMING_CS
    .quad 0x00CF91000000FFFF    // READONLY_DS
    .quad 0, 0                  // CALL_GATE_ABSENT
    .quad 0, 0                  // LDT
    .globl gdt_pointer
gdt_pointer:
    .word GDT_BYTES - 1
    .quad gdt

    .bss
    .balign 4096
    .globl pml4, pdpt, pd, user_pd, window_pd, window_pt, device_pd
pml4: .skip 4096
pdpt: .skip 4096
pd: .skip 4096
user_pd: .skip 4096
window_pd: .skip 4096
window_pt: .skip 4096
device_pd: .skip 4096
    .skip 16384
    .globl stack_top
stack_top:
    .skip 4096
    .globl snippet_stack_top
snippet_stack_top:
    .skip 4096
    .globl user_stack_top
user_stack_top:
    .skip 4096
    .globl trap_stack_top
trap_stack_top:
    .skip 4096
    .globl ist_top
ist_top:
    .skip 4096
    .globl df_top
df_top:
    .globl saved_rsp
saved_rsp: .skip 8

    .section .note.GNU-stack, "", @progbits
