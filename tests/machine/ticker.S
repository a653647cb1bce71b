// SPDX-License-Identifier: MIT
// A PVH kernel for the machine's tests: 32-bit, PIT interrupts through the 8259, work on many pages, HLT. It prints a dot for
// every 100 ticks on COM1 and writes 7 to the debug-exit port after 1000.
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
    .word 0x21 * 8 - 1
    .long idt
ticks:
    .long 0
    .bss
    .align 4096
idt:
    .skip 4096
work:
    .skip 0x40000
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
    mov %eax, %es
    mov %eax, %ss
    // Gate 0x20: 32-bit interrupt gate.
    mov $tick, %eax
    mov %ax, idt + 0x20 * 8
    movw $8, idt + 0x20 * 8 + 2
    movw $0x8E00, idt + 0x20 * 8 + 4
    shr $16, %eax
    mov %ax, idt + 0x20 * 8 + 6
    lidt idt_pointer
    // 8259s: vectors 0x20 and 0x28, only IRQ 0 open.
    mov $0x11, %al
    out %al, $0x20
    out %al, $0xA0
    mov $0x20, %al
    out %al, $0x21
    mov $0x28, %al
    out %al, $0xA1
    mov $4, %al
    out %al, $0x21
    mov $2, %al
    out %al, $0xA1
    mov $1, %al
    out %al, $0x21
    out %al, $0xA1
    mov $0xFE, %al
    out %al, $0x21
    mov $0xFF, %al
    out %al, $0xA1
    // PIT channel 0: mode 2, 1193 counts, about a millisecond.
    mov $0x34, %al
    out %al, $0x43
    mov $1193 & 255, %al
    out %al, $0x40
    mov $1193 >> 8, %al
    out %al, $0x40
    sti
    mov $1, %ebx
loop:
    // A little work with a state that depends on time, then sleep on every other round.
    imul $1103515245, %ebx
    add $12345, %ebx
    mov %ebx, %edi
    shr $8, %edi
    and $0x3FFFC, %edi
    mov ticks, %eax
    add %eax, work(%edi)
    test $0x10000, %ebx
    jz 1f
    hlt
1:  jmp loop

tick:
    push %eax
    push %edx
    mov $0x20, %al
    out %al, $0x20
    incl ticks
    mov ticks, %eax
    xor %edx, %edx
    push %ecx
    mov $100, %ecx
    div %ecx
    pop %ecx
    test %edx, %edx
    jnz 1f
    mov $0x3F8, %edx
    mov $'.', %al
    out %al, %dx
1:  cmpl $1000, ticks
    jb 2f
    mov $7, %eax
    mov $0xF4, %edx
    out %eax, %dx
2:  pop %edx
    pop %eax
    iret
