// SPDX-License-Identifier: MIT
// Real mode: code that is copied to REAL_BASE, where snippet real_test enters it with the number of a test in EDI.
#include "legacy.h"

#define IVT 0x7000              // of this kernel
#define STACK 0x6F00
#define ES_PARAGRAPH 0x5000

    .section .text, "ax"
    .code32
    .balign 16
    .globl m_real_test
m_real_test:
    movl $KERNEL_DS, %eax       // its limit outlives the switch: 4 GiB in real mode
    movl %eax, %fs
    ljmp $REAL_CS, $0

    .globl real_test_begin, real_test_end
    .balign 16
    .code16
real_test_begin:
    movw $REAL_DS, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $STACK, %esp
    lidtl %cs:ivt_pointer - real_test_begin
    movl %cr0, %eax
    andb $0xFE, %al
    movl %eax, %cr0
    ljmp $REAL_BASE / 16, $1f - real_test_begin
1:  xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $ES_PARAGRAPH, %ax
    movw %ax, %es
    // Vectors 0 to 0x3F: stubs of 8 bytes.
    xorw %bx, %bx
    movw $stubs16 - real_test_begin, %ax
2:  movw %ax, IVT(%bx)
    movw $REAL_BASE / 16, IVT + 2(%bx)
    addw $8, %ax
    addw $4, %bx
    cmpw $0x100, %bx
    jne 2b
    pushw $2
    popfw
    xorw %ax, %ax
    xorw %cx, %cx
    movw %di, %bx
    shlw $1, %bx
    movw %cs:table - real_test_begin(%bx), %si
    movw %si, %bp               // where the test begins
    call *%si
    movl $0xFFFF0000, %ebx      // it came back
    movw %ax, %bx
    jmp leave16

    .balign 8
stubs16:
    .set v, 0
    .rept 64
    .balign 8
    pushw $v
    jmp common16
    .set v, v + 1
    .endr
common16:                       // vector, IP, CS, FLAGS
    popw %bx
    shll $16, %ebx
    popw %bx
    movw %cs:table - real_test_begin(,%edi,2), %bp
    subw %bp, %bx
leave16:
    xorw %ax, %ax
    movw %ax, %fs
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $KERNEL_CS, $s_back

    .macro real number
t_\number:
    .endm
real 0                          // a word at FFFF
    movw 0xFFFF, %ax
    ret
real 1                          // four bytes that end at 10000
    movl %es:0xFFFD, %eax
    ret
real 2                          // through SS
    movw %ss:0xFFFF, %ax
    ret
real 3
    movw $1, %ax
    divb %cl
    ret
real 4
    movb $0x7F, %al
    incb %al
    into
    ret
real 5
    movw $9, %ax
    boundw %ax, %cs:bounds - real_test_begin
    ret
real 6                          // CS can be written
    movw $0x1234, %cs:scratch - real_test_begin
    movw %cs:scratch - real_test_begin, %ax
    ret
real 7
    lldt %ax
    ret
real 8
    str %ax
    ret
real 9
    larw %ax, %ax
    ret
real 10
    .byte 0x63, 0xC0            // arpl
    ret
real 11                         // offset 10000
    movl $0x10000, %ecx
    movb (%ecx), %al
    ret
real 12                         // a limit of 4 GiB from protected mode, through the old base and a new one
    movl $WINDOW_FRAME, %ecx
    movw $0x4321, %fs:(%ecx)
    movw $0x10, %ax
    movw %ax, %fs
    movw %fs:-0x100(%ecx), %ax
    ret
real 13
    smsw %ax
    andw $1, %ax
    ret
real 14
    .byte 0xC4, 0xE2, 0x78, 0xF2, 0xC1 // andn: no VEX here
    ret
real 15                         // past the limit of CS
    movl $0x12345, %ecx
    jmpl *%ecx
real 16                         // INT and IRET, far CALL and RET
    movw $handler - real_test_begin, IVT + 4 * 0x3F
    stc
    int $0x3F
    adcw $0, %ax
    lcall $REAL_BASE / 16 + 1, $routine - real_test_begin - 16
    ret
real 17                         // DI wraps
    movw $0xFFFE, %di
    movw $4, %cx
    movb $0x5A, %al
    cld
    rep stosb
    movw %es:0, %ax
    subw %di, %ax
    movl $17, %edi
    ret
real 18
    pushw %si
    movw $0xFFFF, %si
    lodsw
    popw %si
    ret
real 19
    int3
    ret
real 20
    .byte 0xF1                  // int1
    ret
real 21                         // a single step
    pushfw
    orb $1, 1(%esp)
    popfw
    nop
    ret
real 22                         // a vector past the limit of the IDT
    lidt %cs:short_pointer - real_test_begin
    int $0x21
    ret
real 23
    .byte 0xF0, 0x90            // lock nop
    ret
real 24                         // the upper half of EFLAGS: ID can be set, VM cannot
    pushfl
    orl $0x220000, (%esp)
    popfl
    pushfl
    popl %eax
    shrl $16, %eax
    andw $0x22, %ax
    pushl $2
    popfl
    ret
real 25                         // ESP's upper half is not used
    movl %esp, %ecx
    orl $0x12340000, %esp
    pushw %ax
    popw %ax
    shldl $16, %esp, %eax
    movl %ecx, %esp
    ret
real 26
    movw $0x77, %ax
    enter $8, $0
    movw %ax, -2(%bp)
    movw -2(%bp), %ax
    leave
    ret
real 27                         // LES
    lesw %cs:pointer - real_test_begin, %cx
    movw %es, %ax
    addw %cx, %ax
    ret

handler:
    movw $0x100, %ax
    clc
    iret
routine:
    incw %ax
    lret
bounds:
    .word 2, 8
scratch:
    .word 0
pointer:
    .word 0x1111, ES_PARAGRAPH
ivt_pointer:
    .word 0x3FF
    .long IVT
short_pointer:
    .word 0x3F
    .long IVT
table:
    .set v, 0
    .macro entry number
    .word t_\number - real_test_begin
    .endm
    .altmacro
    .rept 28
    entry %v
    .set v, v + 1
    .endr
    .noaltmacro
real_test_end:
    .code32

    .section .note.GNU-stack, "", @progbits
