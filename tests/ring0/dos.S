// SPDX-License-Identifier: MIT
// Snippets of the kernel for what programs of DOS' time relied upon.
#include "legacy.h"

    .macro snippet name
    .balign 16
    .globl s_\name
s_\name:
    .endm
    .macro DONE
    int $VECTOR_DONE
    .endm
    .macro DIVIDE_BY_ZERO       // unmasked; nothing waits for it yet
    fninit
    pushl $0x37B
    fldcw (%esp)
    sti
    fldz
    fld1
    fdiv %st(1), %st
    nop
    nop
    .endm

    .section .text, "ax"
    .code32
snippet fpu_wait                // FWAIT at +14
    DIVIDE_BY_ZERO
    fwait
    jmp 1f
1:  nop
    movl $1, %eax
    DONE
snippet fpu_load
    DIVIDE_BY_ZERO
    fld1
    jmp 1f
1:  nop
    movl $1, %eax
    DONE
snippet fpu_mmx
    DIVIDE_BY_ZERO
    movd %eax, %mm0
    jmp 1f
1:  nop
    movl $1, %eax
    DONE
snippet fpu_control             // none of these waits
    DIVIDE_BY_ZERO
    fnstsw %ax
    fnstcw (%esp)
    fnstenv -64(%esp)
    fnclex
    shll $16, %eax
    fnstsw %ax
    jmp 1f
1:  nop
    DONE
snippet fpu_go_on               // with the exception still pending
    sti
    fldz
    fldz
    jmp 1f
1:  nop
    fnstsw %ax
    movzwl %ax, %eax
    DONE
snippet fpu_clear
    fnclex
    sti
    fldz
    jmp 1f
1:  nop
    fnstsw %ax
    andl $0xC7FF, %eax          // but the top of the stack
    DONE

snippet sti
    sti
    movl $1, %eax
    DONE
snippet cli
    cli
    movl $1, %eax
    DONE
snippet pushf                   // IF is not virtual here
    sti
    pushfl
    popl %eax
    andl $0x3200, %eax
    DONE

    .globl v86_begin, v86_end
v86_begin:
    .code16
    .macro v86 name
    .globl v_\name
v_\name:
    .endm
    .macro LEAVE                // INT3 asks for no IOPL
    int3
    .endm
v86 nothing
    LEAVE
v86 flags                       // as STI and CLI leave them
    sti
    pushf
    popw %ax
    cli
    pushf
    shll $16, %eax
    popw %ax
    LEAVE
v86 sti
    sti
    LEAVE
v86 pushfd
    pushfl
v86 popfd
    pushl $2
    popfl
v86 popf                        // IOPL 0 in the image is not taken
    pushw $0x4202
    popf
    pushf
    popw %ax
    LEAVE
v86 popf_clear
    sti
    pushw $0x3002
    popf
    pushf
    popw %ax
    LEAVE
v86 popf_tf
    pushw $0x102
    popf
v86 iret                        // with IF, NT
    pushw $0x4202
    pushw $V86_CS
    pushw $1f - v86_begin
    iret
1:  pushf
    popw %ax
    LEAVE
v86 iret_tf
    pushw $0x102
    pushw $V86_CS
    pushw $1f - v86_begin
    iret
1:  LEAVE
v86 iretd
    pushl $2
    pushl $V86_CS
    pushl $1f - v86_begin
    iretl
1:  LEAVE
v86 int_21
    sti
    int $0x21
1:  LEAVE
v86 handler_21                  // EAX: saved FLAGS << 16 | FLAGS; CX: how far the saved IP is off
    movw %sp, %bp
    movw (%bp), %cx
    subw $1b - v86_begin, %cx
    movw 4(%bp), %ax
    subw 2(%bp), %cx
    addw $V86_CS, %cx
    shll $16, %eax
    pushf
    popw %ax
    addw %cx, %ax
    LEAVE
v86 handler_iret
    iret
v86 int_done
    int $VECTOR_DONE
v86 int_no_stack
    movw $1, %sp
    int $0x21
v86_end:
    .code32

    .section .note.GNU-stack, "", @progbits
