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

    .section .note.GNU-stack, "", @progbits
