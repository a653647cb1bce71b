// SPDX-License-Identifier: MIT
// A PVH kernel for the door's tests: says "ready", echoes COM1 by interrupt, ends with status 3 at 'q' and with 4 when the
// carrier falls.
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
    .word 0x28 * 8 - 1
    .long idt
message:
    .asciz "ready\n"
    .bss
    .align 4096
idt:
    .skip 4096
    .skip 4096
stack:

    .macro outb value, port
    mov $\port, %edx
    mov $\value, %al
    out %al, %dx
    .endm

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
    mov $event, %eax // gate 0x24: IRQ 4
    mov %ax, idt + 0x24 * 8
    movw $8, idt + 0x24 * 8 + 2
    movw $0x8E00, idt + 0x24 * 8 + 4
    shr $16, %eax
    mov %ax, idt + 0x24 * 8 + 6
    lidt idt_pointer
    outb 0x11, 0x20
    outb 0x20, 0x21
    outb 4, 0x21
    outb 1, 0x21
    outb 0xEF, 0x21
    outb 0x83, 0x3FB // 115200 baud, 8N1
    outb 1, 0x3F8
    outb 0, 0x3F9
    outb 3, 0x3FB
    outb 7, 0x3FA    // FIFOs on
    outb 0x0B, 0x3FC // DTR, RTS, OUT2
    outb 9, 0x3F9    // received data, modem status
    mov $message, %esi
1:  lodsb
    test %al, %al
    jz loop
    call put
    jmp 1b
loop:
    cli
    mov $0x3FD, %edx
    in %dx, %al
    test $1, %al
    jz 2f
    mov $0x3F8, %edx
    in %dx, %al
    cmp $'q', %al
    je quit
    call put
    jmp loop
2:  mov $0x3FE, %edx // modem status: carrier
    in %dx, %al
    test $0x80, %al
    jz gone
    sti
    hlt
    jmp loop
gone:
    mov $4, %eax
    jmp exit
quit:
    mov $3, %eax
exit:
    mov $0xF4, %edx
    out %eax, %dx
3:  cli
    hlt
    jmp 3b

put:
    mov $0x3F8, %edx
    out %al, %dx
    ret

event:
    push %eax
    push %edx
    outb 0x20, 0x20
    mov $0x3FA, %edx // IIR: ends the reason
    in %dx, %al
    pop %edx
    pop %eax
    iret
