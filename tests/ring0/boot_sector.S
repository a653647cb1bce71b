// SPDX-License-Identifier: MIT
// Loads a flat kernel from the disk that it begins, for machines that know no PVH (Bochs): by the
// BIOS to 64 KiB, from there to where it was linked, and jumps to its entry as PVH does, in flat
// 32-bit protected mode. test_ring0.py fills in the numbers at the end.
    .code16
    .globl _start
_start:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    ljmp $0, $1f
1:  sti
    movb %dl, drive
2:  movb $0x42, %ah             // extended read (BIOS Enhanced Disk Drive, INT 13h)
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jc failed
    addw $64 * 512 / 16, packet_segment
    addl $64, packet_lba
    decw pieces
    jnz 2b
    cli
    movb $2, %al                // A20
    outb %al, $0x92
    lgdtl gdt_pointer
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $3f

failed:
    movw $0x3F8, %dx
    movb $'!', %al
    outb %al, %dx
1:  hlt
    jmp 1b

    .code32
3:  movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0x7C00, %esp
    movl $0x10000, %esi
    movl load_address, %edi
    movl image_bytes, %ecx
    cld
    rep movsb
    movl bss_bytes, %ecx
    xorl %eax, %eax
    rep stosb
    xorl %ebx, %ebx             // no start info
    jmp *entry

    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
gdt_pointer:
    .word 23
    .long gdt
drive: .byte 0
    .balign 4
packet:
    .byte 16, 0
    .word 64                    // sectors of a piece
    .word 0
packet_segment: .word 0x1000
packet_lba: .long 1, 0

    .org 488
pieces: .long 0
load_address: .long 0
image_bytes: .long 0
bss_bytes: .long 0
entry: .long 0
    .org 510
    .word 0xAA55
