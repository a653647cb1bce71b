// SPDX-License-Identifier: MIT
// 32-bit protected mode, as PVH enters it: stubs, ways in and out, and the snippets.
#include "legacy.h"

    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long pvh_start

    .section .text, "ax"
    .code32
    .globl pvh_start
pvh_start:
    cli
    movl $stack_top, %esp
    lgdt gdt_pointer
    ljmp $KERNEL_CS, $1f
1:  movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    call main
2:  hlt
    jmp 2b

    .macro stub vector
    .balign 16
    .if !((\vector == 8) || (\vector >= 10 && \vector <= 14) || (\vector == 17))
    pushl $-1
    .endif
    pushl $\vector
    jmp common
    .endm

    .balign 16
    .globl stubs
stubs:
    .set v, 0
    .rept 256
    stub v
    .set v, v + 1
    .endr

common:
    pushal
    pushl %ds
    movl %cs, %eax
    testb $3, %al               // a conforming handler has user segments already
    jnz 1f
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
1:  movl %esp, %eax
    cld
    pushl %eax
    call trap
    addl $4, %esp
    popl %ds
    popal
    addl $8, %esp
    iretl

// The 16-bit gate's handler: FLAGS, CS, IP of 16 bits each.
    .globl narrow_handler
narrow_handler:
    popl %ecx                   // IP, CS
    xorl %eax, %eax
    popw %ax
    shll $16, %eax
    andl $0x7000000, %eax       // IF, TF, DF of what was saved
    movw %cx, %ax
    leal s_narrow, %edx
    subw %dx, %ax               // where it came from
    shrl $16, %ecx
    andl $0xFFFF, %ecx
    shll $8, %ecx
    orl %ecx, %eax
    int $VECTOR_DONE

// int run_kernel(void *snippet, u32 argument)
    .globl run_kernel
run_kernel:
    pushl %ebx
    pushl %ebp
    pushl %esi
    pushl %edi
    movl 20(%esp), %edx
    movl 24(%esp), %edi
    movl %esp, saved_esp
    movl $snippet_stack_top - 64, %esp
    xorl %eax, %eax
    call *%edx
    .globl leave
leave:
    movl $KERNEL_DS, %ecx
    movl %ecx, %ss
    movl saved_esp, %esp
    popl %edi
    popl %esi
    popl %ebp
    popl %ebx
    ret

// int run_user(void *snippet, u32 argument, u32 eflags)
    .globl run_user
run_user:
    pushl %ebx
    pushl %ebp
    pushl %esi
    pushl %edi
    movl 20(%esp), %edx
    movl 24(%esp), %edi
    movl 28(%esp), %ecx
    movl %esp, saved_esp
    movl $USER_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    pushl $USER_DS
    pushl $user_stack_top - 64
    pushl %ecx
    pushl $USER_CS
    pushl %edx
    xorl %eax, %eax
    iretl

    .macro snippet name
    .balign 16
    .globl s_\name
s_\name:
    .endm
    .macro DONE
    int $VECTOR_DONE
    .endm

snippet nothing
    DONE
snippet ud2
    ud2
snippet narrow
    int $VECTOR_NARROW
snippet into
    movb $0x7F, %al
    incb %al
    into
    DONE
snippet bound
    leal 1f, %eax
    movl $9, %ecx
    boundl %ecx, (%eax)
    DONE
1:  .long 2, 8
snippet bound_inside
    leal 1b, %eax
    movl $8, %ecx
    boundl %ecx, (%eax)
    xorl %eax, %eax
    DONE
snippet load
    movl (%edi), %eax
    DONE
snippet store
    movl $1, %eax
    movl %eax, (%edi)
    DONE
snippet jump
    jmp *%edi
snippet load_es                 // selector << 16 | offset
    movl %edi, %eax
    shrl $16, %eax
    movl %eax, %es
    andl $0xFFFF, %edi
    movl %es:(%edi), %eax
    xorl %eax, %eax
    DONE
snippet store_es
    movl %edi, %eax
    shrl $16, %eax
    movl %eax, %es
    andl $0xFFFF, %edi
    movb $0, %es:(%edi)
    xorl %eax, %eax
    DONE
snippet load_at_limit           // 4 bytes that end just past 4 GiB
    movl %es:0xFFFFFFFD, %eax
    DONE
snippet null_es
    xorl %eax, %eax
    movl %eax, %es
    movl %es:(%edi), %eax
snippet cs_store
    movb $0, %cs:(%edi)
snippet stack_limit
    movl $SMALL_DS, %eax
    movl %eax, %ss
    movl %edi, %esp
    pushl %eax
    xorl %eax, %eax
    movl $KERNEL_DS, %ecx
    movl %ecx, %ss
    movl $snippet_stack_top - 64, %esp
    DONE
snippet stack_ebp
    movl $SMALL_DS, %eax
    movl %eax, %ss
    movl %edi, %ebp
    movl (%ebp), %eax
    movl $KERNEL_DS, %ecx
    movl %ecx, %ss
    movl $snippet_stack_top - 64, %esp
    DONE
snippet far_small
    ljmp $SMALL_CS, $1f
1:  DONE
snippet call_gate
    pushl $0x11223344
    pushl $0x55667788
    lcall $CALL_GATE, $0
    movl %esp, %eax
    subl $user_stack_top - 64, %eax
    DONE
    .balign 16
    .globl gate_target
gate_target:                    // EIP, CS, parameters, ESP, SS
    movl 8(%esp), %eax
    xorl 12(%esp), %eax         // 0x55667788 ^ 0x11223344
    cmpl $0x444444CC, %eax
    jne 1f
    lret $8
1:  ud2
snippet sysenter
    movl $0x1234, %ecx
    sysenter
    .balign 16
    .globl sysenter_target
sysenter_target:
    movl $sysexit_target, %edx
    movl $user_stack_top - 32, %ecx
    movl %cs, %eax
    sysexit
sysexit_target:
    shll $16, %eax
    movl %cs, %ecx
    orl %ecx, %eax
    DONE
snippet arpl
    movl $0x20, %eax
    movl $0x03, %ecx
    arpl %cx, %ax
    DONE
snippet enter_v86               // EDI: IOPL and other flags << 16 | IP
    movl %edi, %eax
    shrl $16, %eax
    orl $0x20002, %eax
    orl more_flags, %eax        // above the 16
    movzwl %di, %ecx
    pushl $0xD00                // GS FS DS ES
    pushl $0xC00
    pushl $V86_DS
    pushl $0xB00
    pushl $V86_SS
    pushl $0x800
    pushl %eax
    pushl $V86_CS
    pushl %ecx
    iretl
snippet set_cr3
    movl %edi, %cr3
    DONE
snippet set_cr4
    movl %edi, %cr4
    DONE
snippet set_cr0
    movl %edi, %cr0
    movl $0x11, %eax
    movl %eax, %cr0
    DONE
snippet real_mode
    ljmp $REAL_CS, $0
snippet back
    movl $KERNEL_DS, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $snippet_stack_top - 64, %esp
    lidt idt_pointer
    movl %ebx, %eax
    DONE

// Copied to REAL_BASE: 16-bit protected mode, then real mode, an interrupt there, and back.
    .globl real_begin, real_end
real_begin:
    .code16
    movw $REAL_DS, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $REAL_BASE - 16, %esp
    lidtl %cs:real_idt - real_begin
    movl %cr0, %eax
    andb $0xFE, %al
    movl %eax, %cr0
    ljmp $REAL_BASE / 16, $1f - real_begin
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $1f - real_begin, 4 * 0x21
    movw $REAL_BASE / 16, 4 * 0x21 + 2
    xorl %ebx, %ebx
    movw $0x7777, %cx
    stc
    int $0x21
    setc %bh                    // IRET restores the flags
    lcall $REAL_BASE / 16, $2f - real_begin
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $KERNEL_CS, $s_back
1:  movw %sp, %bp
    movb 2(%bp), %bl            // low byte of the saved CS
    shll $16, %ebx
    movw (%bp), %bx
    subw $1f - real_begin, %bx
1:  clc
    iret
2:  addb $0x10, %bh
    lret
real_idt:
    .word 0x3FF
    .long 0
real_end:
    .code32

    .data
    .balign 16
    .globl gdt
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00CFFB000000FFFF
    .quad 0x00CFF3000000FFFF
    .quad 0                     // TSS
    .quad 0x0040930000000FFF    // SMALL_DS
    .quad 0x0040970000000FFF    // DOWN_DS
    .quad 0x00CF99000000FFFF    // EXECUTE_ONLY
    .quad 0x00CF91000000FFFF    // READ_ONLY
    .quad 0x00409B000000FFFF    // SMALL_CS
    .quad 0                     // CALL_GATE
    .quad 0x00009B008000FFFF    // REAL_CS
    .quad 0x000093000000FFFF    // REAL_DS
    .quad 0x00CF13000000FFFF    // ABSENT_DS
    .globl gdt_pointer, idt_pointer
gdt_pointer:
    .word GDT_BYTES - 1
    .long gdt
idt_pointer:
    .word 0x7FF
    .long idt

    .bss
    .balign 4096
    .globl idt, stack_top, snippet_stack_top, trap_stack_top, user_stack_top, saved_esp
idt: .skip 4096
    .skip 16384
stack_top: .skip 4096
snippet_stack_top: .skip 4096
trap_stack_top: .skip 4096
user_stack_top: .skip 4096
saved_esp: .skip 4

    .section .note.GNU-stack, "", @progbits
