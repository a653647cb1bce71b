// SPDX-License-Identifier: MIT
// A PVH kernel that draws four frames of 640 x 480, 35 ms apart, in 64-bit code; between the second
// and the third the framebuffer's BAR moves. Ends with 7 on the debug-exit port; with 1 if memory is
// still where the BAR was.
    .set DISPLAY, 0x80001800 // 00:03.0
    .set OLD, 0xC0000000
    .set NEW, 0xD0000000
    .set REGISTERS, 0xE1000000
    .set WIDTH, 640
    .set HEIGHT, 480
    .set PAUSE_STEPS, 35000000

    .section .note.Xen, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

    .data
    .align 8
gdt:
    .quad 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt

    .bss
    .align 4096
root:
    .skip 4096
pointers:
    .skip 4096
directories:
    .skip 4 * 4096
    .skip 4096
stack:

    .text
    .code32
// Writes \value to the display's configuration register.
.macro configure register, value
    mov $(DISPLAY + \register), %eax
    mov $0xCF8, %dx
    outl %eax, %dx
    mov $\value, %eax
    mov $0xCFC, %dx
    outl %eax, %dx
.endm
.macro dispi index, value
    movw $\value, REGISTERS + 0x500 + 2 * \index
.endm

    .globl start
start:
    mov $stack, %esp
    configure 0x10, OLD
    configure 0x18, REGISTERS
    configure 0x04, 2
    dispi 1, WIDTH
    dispi 2, HEIGHT
    dispi 3, 32
    dispi 4, 0x41
    // 4 GiB in pages of 2 MiB.
    movl $pointers + 3, root
    mov $4, %ecx
    mov $directories + 3, %eax
    mov $pointers, %edi
1:  mov %eax, (%edi)
    add $4096, %eax
    add $8, %edi
    loop 1b
    mov $2048, %ecx
    mov $0x83, %eax
    mov $directories, %edi
2:  mov %eax, (%edi)
    add $0x200000, %eax
    add $8, %edi
    loop 2b
    mov $0x20, %eax
    mov %eax, %cr4
    mov $root, %eax
    mov %eax, %cr3
    mov $0xC0000080, %ecx
    mov $0x100, %eax
    xor %edx, %edx
    wrmsr
    mov $0x80000011, %eax
    mov %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $wide

    .code64
wide:
    mov $OLD, %ebx
    xor %ebp, %ebp // frame
frame:
    mov %rbx, %rdi
    xor %edx, %edx // y
row:
    xor %ecx, %ecx // x
pixel:
    mov %ecx, %eax
    xor %edx, %eax
    imul $0x10203, %eax, %eax
    add %ebp, %eax
    mov %eax, (%rdi)
    add $4, %rdi
    inc %ecx
    cmp $WIDTH, %ecx
    jne pixel
    inc %edx
    cmp $HEIGHT, %edx
    jne row
    mov $PAUSE_STEPS / 2, %ecx
3:  dec %ecx
    jnz 3b
    add $0x301000, %ebp
    cmp $0x602000, %ebp
    jne 4f
    configure 0x10, NEW
    movl $0x00FFFFFF, (%rbx) // to nobody
    cmpl $-1, (%rbx)
    jne failed
    mov $NEW, %ebx
    // Seen at the new place, drawn at the old one.
    cmpl $0x301000, (%rbx)
    jne failed
4:  cmp $0xC04000, %ebp
    jne frame
    mov $7, %eax
end:
    mov $0xF4, %dx
    outl %eax, %dx
halt:
    hlt
    jmp halt
failed:
    mov $1, %eax
    jmp end
