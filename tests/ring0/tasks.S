// SPDX-License-Identifier: MIT
// Snippets of the task-switch kernel, and code for virtual-8086 mode.
#include "tasks.h"

    .macro snippet name
    .balign 16
    .globl s_\name
s_\name:
    .endm
    .macro DONE
    int $VECTOR_DONE
    .endm
    .macro STATE                // EAX: TR << 16, NT, CR0.TS
    str %ax
    shll $16, %eax
    pushfl
    popl %ecx
    andl $0x4000, %ecx
    orl %ecx, %eax
    smsw %cx
    andl $8, %ecx
    orl %ecx, %eax
    .endm

    .section .text, "ax"
    .code32
snippet task_jump               // to the TSS or gate in EDI
    pushl %edi
    pushl $0
    ljmp *(%esp)
    STATE
    DONE
snippet task_call
    pushl %edi
    pushl $0
    lcall *(%esp)
    STATE
    DONE
snippet task_int
    int $VECTOR_TASK
    STATE
    DONE
snippet task_int_busy
    int $VECTOR_TASK_BUSY
    STATE
    DONE
snippet bad_selector            // #GP(0xF8)
    movl $0xF8, %eax
    movl %eax, %ds
snippet nested_return           // IRET with NT set
    pushfl
    orl $0x4000, (%esp)
    popfl
    iretl
snippet call_twice              // the second call goes on where the first left the task
    pushl %edi
    pushl $0
    lcall *(%esp)
    lcall *(%esp)
    STATE
    DONE
snippet task_state
    STATE
    DONE
snippet task_back               // a task that returns, and says so when it is entered again
    iretl
    STATE
    DONE
snippet task_back_to_main       // JMP, which nests nothing
    ljmp $TSS_SELECTOR, $0
snippet task_error              // an error code lies on the stack
    popl %ecx
    movl %ecx, %ebx
    STATE
    xorl %ebx, %eax
    DONE
snippet task_registers          // a sum over what the TSS loaded
    movl %ebx, %eax
    addl %ecx, %eax
    addl %edx, %eax
    addl %ebp, %eax
    addl %esi, %eax
    addl %edi, %eax
    movl %fs, %ecx
    addl %ecx, %eax
    movl %gs, %ecx
    addl %ecx, %eax
    sldt %cx
    movzwl %cx, %ecx
    addl %ecx, %eax
    DONE
snippet task_ds                 // reads through DS, which the LDT describes: base WINDOW_FRAME
    movl %ds:8, %eax
    DONE
snippet enter_v86_far           // EIP past 64 KiB
    pushl $0xD00
    pushl $0xC00
    pushl $V86_DS
    pushl $0xB00
    pushl $V86_SS
    pushl $0x800
    pushl $0x20002
    pushl $V86_CS
    pushl $0x10000
    iretl

    .globl v86_begin, v86_end
v86_begin:
    .code16
    .macro v86 name
    .globl v_\name
v_\name:
    .endm
v86 done
    DONE
v86 hlt
    hlt
v86 cli
    cli
    DONE
v86 sti
    sti
    cli
    DONE
v86 pushf
    pushf
    popw %ax
    andw $0xF000, %ax
    DONE
v86 popf
    pushw $0
    popf
    pushf
    popw %ax
    DONE
v86 int3
    int3
v86 into
    movb $0x7F, %al
    incb %al
    into
v86 int_21
    int $0x21
v86 int_conforming
    int $VECTOR_CONFORMING
v86 iret                        // tries to change IOPL, NT stays what the image says
    pushw $0x4002
    pushw $V86_CS
    pushw $1f - v86_begin
    iret
1:  pushf
    popw %ax
    pushw $2
    popf
    DONE
v86 in
    inb $0x80, %al
    DONE
v86 mov_cr0
    movl %cr0, %eax
v86 smsw
    smsw %ax
    andw $1, %ax
    DONE
v86 sldt
    sldt %ax
v86 lar
    larw %ax, %ax
v86 arpl
    .byte 0x63, 0xC0
v86 vex
    .byte 0xC4, 0xE2, 0x78, 0xF2, 0xC1 // andn
v86 segments
    movw $V86_DS + 0x11, %ax
    movw %ax, %ds
    movw %ds:0, %ax
    movw %ds, %cx
    addw %cx, %ax
    DONE
v86 over_limit
    movl %ds:0xFFFE, %eax
v86 push_limit
    movw $1, %sp
    pushw %ax
v86 write_cs
    movb $5, %cs:0x700
    movb %cs:0x700, %al
    movb $0, %ah
    DONE
v86 far
    lcall $V86_CS + 1, $1f - v86_begin - 16
    ljmp $V86_CS + 2, $2f - v86_begin - 32
1:  movw %cs, %bx
    lret
2:  movw %cs, %ax
    shlw $4, %ax
    addw %bx, %ax
    DONE
v86 jump_far
    jmpl *%cs:1f - v86_begin
1:  .long 0x12345
v86 ud2
    ud2
v86_end:
    .code32

    .section .note.GNU-stack, "", @progbits
