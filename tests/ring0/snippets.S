// SPDX-License-Identifier: MIT
// What the tests execute. A snippet gets an argument in RDI and ends with a trap or with DONE, which reports RAX.
#include "ring0.h"

    .macro snippet name
    .balign 16
    .globl s_\name
s_\name:
    .endm

    .macro DONE
    int $VECTOR_DONE
    .endm

    .section .text, "ax"
    .code64

snippet nothing
    xorl %eax, %eax
    DONE
snippet ud2
    nop
    ud2
snippet int3
    int3
snippet int1
    .byte 0xF1
snippet divide
    xorl %ecx, %ecx
    movl $1, %eax
    xorl %edx, %edx
    divl %ecx
snippet into_long_instruction
    .byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90
snippet lock_register
    .byte 0xF0, 0x01, 0xC0      // lock add %eax, %eax
snippet push_es_in_long_mode
    .byte 0x06
snippet int_dpl0
    int $VECTOR_DPL0
snippet int_absent
    int $VECTOR_ABSENT
snippet int_ist
    int $VECTOR_IST
snippet int_bad_type
    int $VECTOR_BAD_TYPE
snippet int_user_target
    int $VECTOR_USER_TARGET
snippet int_null_target
    int $VECTOR_NULL_TARGET
snippet int_trap_gate
    int $VECTOR_TRAP_GATE
snippet int_conforming
    int $VECTOR_CONFORMING
snippet load
    movq (%rdi), %rax
    DONE
snippet store
    movq $0x11223344, %rax
    movq %rax, (%rdi)
    DONE
snippet add_memory
    movl $5, %eax
    addq %rax, (%rdi)
    DONE
snippet load_stac
    stac
    movq (%rdi), %rax
    clac
    DONE
snippet jump
    jmp *%rdi
snippet call
    call *%rdi
snippet return
    pushq %rdi
    ret
snippet load_rbp
    movq %rdi, %rbp
    movq 8(%rbp), %rax
snippet push_at
    movq %rdi, %rsp
    pushq %rax
snippet push_memory
    pushq (%rdi)
    popq %rax
    DONE
snippet pop_memory
    pushq $77
    movq %rsp, %rax
    popq (%rdi)
    DONE
snippet load_ds
    movl %edi, %ds
    movl %ds, %eax
    DONE
snippet load_fs
    movl %edi, %fs
    movl %fs, %eax
    DONE
snippet push_pop_fs
    movl %edi, %fs
    movq %rsp, %rax
    pushq %fs
    subq %rsp, %rax
    popq %gs
    movl %gs, %ecx
    shll $16, %ecx
    orl %ecx, %eax
    DONE
snippet load_ss
    movl %edi, %ss
    movl %ss, %eax
    DONE
snippet far_jump
    pushq %rdi
    leaq 1f(%rip), %rax
    pushq %rax
    rex.W ljmp *(%rsp)
1:  movl %cs, %eax
    DONE
snippet far_call
    leaq 1f(%rip), %rax
    movl %edi, -8(%rsp)
    movq %rax, -16(%rsp)
    rex.W lcall *-16(%rsp)
    DONE
1:  movq 8(%rsp), %rax          // the saved CS
    rex.W lret
snippet far_return
    pushq %rdi
    leaq 1f(%rip), %rax
    pushq %rax
    rex.W lret
1:  movl %cs, %eax
    DONE
snippet through_gate
    movl %edi, -8(%rsp)
    movq %rsp, %rbx
    rex.W lcall *-16(%rsp)
    DONE
    .balign 16
    .globl gate_target
gate_target:                    // RIP, CS, RSP, SS
    movl %cs, %eax
    shlq $16, %rax
    movl 8(%rsp), %ecx
    orq %rcx, %rax
    shlq $16, %rax
    movl 24(%rsp), %ecx
    orq %rcx, %rax
    rex.W lret
snippet iret_to                 // RDI points to a frame
    movq %rdi, %rsp
    iretq
snippet iret_16
    movq %rdi, %rsp
    iretw
snippet wrmsr
    movl %edi, %ecx
    movl %esi, %eax
    xorl %edx, %edx
    wrmsr
    DONE
snippet wrmsr_noncanonical
    movl %edi, %ecx
    movl $0x8000, %edx
    wrmsr
    DONE
snippet rdmsr
    movl %edi, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    DONE
snippet set_cr0
    movq %rdi, %cr0
    DONE
snippet set_cr3
    movq %rdi, %cr3
    DONE
snippet set_cr4
    movq %rdi, %cr4
    DONE
snippet set_cr8
    movq %rdi, %cr8
    movq %cr8, %rax
    DONE
snippet get_cr8
    movq %cr8, %rax
    DONE
snippet watch_at_once           // from the very next instruction on, and no longer than DR7 says
    movl $1, (%rdi)
    movl $0xD0401, %eax
    movq %rax, %dr7
    movl $2, (%rdi)
    movl $0x400, %eax
    movq %rax, %dr7
    movl $3, (%rdi)
    DONE
snippet set_dr7
    movq %rdi, %dr7
    movq %dr7, %rax
    DONE
snippet set_dr4
    movq %rdi, %dr4
    DONE
snippet get_cr1
    .byte 0x0F, 0x20, 0xC8      // mov %cr1, %rax
snippet hlt
    hlt
snippet cli
    cli
    DONE
snippet sti
    sti
    DONE
snippet in
    movl $0x80, %edx
    inb %dx, %al
    xorl %eax, %eax
    DONE
snippet outsb
    leaq s_outsb(%rip), %rsi
    movl $0x80, %edx
    movl $3, %ecx
    rep outsb
    movq %rcx, %rax
    DONE
snippet rdtsc
    rdtsc
    xorl %eax, %eax
    DONE
snippet rdpmc
    xorl %ecx, %ecx
    rdpmc
    DONE
snippet rdfsbase
    rdfsbase %rax
    DONE
snippet wrfsbase
    wrfsbase %rdi
    rdfsbase %rax
    DONE
snippet swapgs
    swapgs
    swapgs
    DONE
snippet invpcid
    movq %rsi, %rax
    invpcid (%rdi), %rax
    xorl %eax, %eax
    DONE
snippet invlpg
    invlpg (%rdi)
    DONE
snippet clac
    clac
    DONE
snippet lgdt
    lgdt (%rdi)
    DONE
snippet ltr
    ltr %di
    DONE
snippet lldt
    lldt %di
    sldt %eax
    DONE
snippet str
    str %eax
    DONE
snippet smsw
    smsw %ax
    movzwl %ax, %eax
    DONE
snippet lmsw
    lmsw %di
    movq %cr0, %rax
    DONE
snippet lar
    movl $-1, %eax
    lar %edi, %eax
    movl $0, %ecx
    setz %cl
    shlq $32, %rcx
    orq %rcx, %rax
    DONE
snippet lsl
    movl $-1, %eax
    lsl %edi, %eax
    movl $0, %ecx
    setz %cl
    shlq $32, %rcx
    orq %rcx, %rax
    DONE
snippet verr_verw
    xorl %eax, %eax
    verr %di
    setz %al
    verw %di
    setz %ah
    DONE
snippet popf_all
    pushq $0
    popfq
    pushq %rdi
    popfq
    pushfq
    popq %rax
    pushq $2
    popfq
    DONE
snippet popfw_all
    pushq $2
    popfq
    pushq %rdi
    popfw
    pushfq
    popq %rcx
    popq %rcx
    pushfq
    popq %rax
    pushq $2
    popfq
    DONE
snippet alignment
    pushfq
    orl $0x40000, (%rsp)
    popfq
    movl 1(%rdi), %eax
    DONE
snippet single_step
    pushfq
    orl $0x100, (%rsp)
    popfq
    nop
    xorl %eax, %eax
    movl $3, %ecx
    rep lodsb
    pushfq
    andl $~0x100, (%rsp)
    popfq
    nop
    DONE
snippet single_step_ss
    movl %ss, %edx
    pushfq
    orl $0x100, (%rsp)
    popfq
    movl %edx, %ss
    nop
    pushfq
    andl $~0x100, (%rsp)
    popfq
    DONE
snippet single_step_int
    pushfq
    orl $0x100, (%rsp)
    popfq
    int $VECTOR_TRAP_GATE
    nop
    DONE
snippet watch_store
    movl $1, %eax
    movl %eax, (%rdi)
    nop
    movl (%rdi), %eax
    nop
    DONE
snippet syscall
    movl $1, %ecx
    stc
    syscall
    DONE
    .balign 16
    .globl syscall_target
syscall_target:
    pushfq                      // on the user's stack, as it happens
    popq %rdx
    movl %cs, %eax
    movl %ss, %ebx
    shll $16, %ebx
    orl %ebx, %eax
    shlq $32, %rdx
    orq %rdx, %rax
    int $VECTOR_DONE
snippet sysret_back
    leaq s_nothing(%rip), %rcx
    addq %rdi, %rcx
    movl $0x202, %r11d
    rex.W sysret
snippet sysret_to
    movq %rdi, %rcx
    movl $0x202, %r11d
    rex.W sysret
snippet sysret_32
    leaq s_compat_regs(%rip), %rcx
    addq %rdi, %rcx
    movl $0x202, %r11d
    sysretl
snippet self_ipi
    movl $0xFEE00300, %ecx
    movl $0x40000 | 0x40, %eax  // to itself, vector 0x40
    movl %eax, (%rcx)
    xorl %eax, %eax
    sti
    nop
    nop
    cli
    DONE
snippet self_ipi_ss
    movl %ss, %edx
    movl $0xFEE00300, %ecx
    movl $0x40000 | 0x40, %eax
    pushq $0x202
    movl %eax, (%rcx)
    xorl %eax, %eax
    popfq
    movl %edx, %ss
    nop
    cli
    DONE
snippet self_ipi_hlt
    movl $0xFEE00300, %ecx
    movl $0x40000 | 0x40, %eax
    movl %eax, (%rcx)
    xorl %eax, %eax
    sti
    hlt
    cli
    DONE

// The interrupt comes while REP is under way: it is pending when the first iteration begins.
snippet self_ipi_rep
    movl $0xFEE00300, %ecx
    movl $0x40000 | 0x40, %eax
    movl %eax, (%rcx)
    movq %rdi, %rsi
    movl $5, %ecx
    xorl %eax, %eax
    sti
    rep lodsb
    cli
    movq %rcx, %rax
    DONE

    .code32
snippet compat_regs
    movl %cs, %eax
    DONE
snippet compat_load
    movl $USER_DS, %eax
    movl %eax, %ds
    movl (%edi), %eax
    DONE
snippet compat_beyond_limit
    movl %es:(%edi), %eax
    DONE
snippet compat_syscall
    syscall
snippet compat_far_to_64
    ljmp $USER_CS, $USER_ALIAS + 1f
    .code64
1:  movq $0x123456789, %rax
    DONE
    .globl s_end
s_end:

    .section .note.GNU-stack, "", @progbits
