// SPDX-License-Identifier: MIT
// A PVH kernel that halts with interrupts off, but has the 8259's output come as NMI through LINT0:
// the timer wakes it, and it writes 7 to the debug-exit port.
    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start
    .data
    .align 8
gdt:
    .quad 0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF
gdt_pointer:
    .word 23
    .long gdt
idt_pointer:
    .word 3 * 8 - 1
    .long idt
    .bss
    .align 4096
idt:
    .skip 4096
    .skip 4096
stack:
    .text
    .code32
    .globl start
start:
    mov $stack, %esp
    lgdt gdt_pointer
    ljmp $8, $1f
1:  mov $16, %eax
    mov %eax, %ds
    mov %eax, %ss
    mov $nmi, %eax // gate 2: 32-bit interrupt gate
    mov %ax, idt + 2 * 8
    movw $8, idt + 2 * 8 + 2
    movw $0x8E00, idt + 2 * 8 + 4
    shr $16, %eax
    mov %ax, idt + 2 * 8 + 6
    lidt idt_pointer
    mov $0x11, %al // 8259: vectors from 0x20, IRQ 0 open
    out %al, $0x20
    mov $0x20, %al
    out %al, $0x21
    mov $4, %al
    out %al, $0x21
    mov $1, %al
    out %al, $0x21
    mov $0xFE, %al
    out %al, $0x21
    movl $0x1FF, 0xFEE000F0 // local APIC on; LINT0: NMI
    movl $0x400, 0xFEE00350
    mov $0x34, %al // PIT channel 0: mode 2, 65536 counts
    out %al, $0x43
    xor %eax, %eax
    out %al, $0x40
    out %al, $0x40
1:  cli
    hlt
    jmp 1b
nmi:
    mov $7, %eax
    mov $0xF4, %edx
    out %eax, %dx
    iret
