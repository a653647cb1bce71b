// SPDX-License-Identifier: MIT
// A PVH kernel for the golden recording: 23 million rounds of work over a page, long enough for
// hashes of state and memory and a checkpoint; then 7 on the debug-exit port.
    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .bss
    .align 4096
work:
    .skip 4096
    .text
    .code32
    .globl start
start:
    mov $23000000, %ecx
    mov $12345, %eax
round:
    imul $1103515245, %eax, %eax
    add $12345, %eax
    mov %eax, %edx
    shr $20, %edx
    xor %al, work(%edx)
    dec %ecx
    jnz round
    mov $7, %eax
    mov $0xF4, %edx
    outl %eax, %dx
halt:
    hlt
    jmp halt
