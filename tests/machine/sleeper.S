// SPDX-License-Identifier: MIT
// A PVH kernel for the door's tests: says "up" and halts for good, with a timer that goes on.
    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .text
    .code32
    .globl start
start:
    mov $0x34, %al // PIT channel 0: mode 2, 65536 counts
    out %al, $0x43
    xor %eax, %eax
    out %al, $0x40
    out %al, $0x40
    mov $0x3F8, %edx
    mov $'u', %al
    out %al, %dx
    mov $'p', %al
    out %al, %dx
    mov $'\n', %al
    out %al, %dx
1:  cli
    hlt
    jmp 1b
    .data
    .long 0
