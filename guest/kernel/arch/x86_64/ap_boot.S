/* SPDX-License-Identifier: MIT */
/* Start of the other CPUs: real mode at a page below 1 MiB (SDM vol. 3 section 8.4), then as
   pvh_start, onto a stack of its own. */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(x) ((x) - KERNEL_BASE)

/* Copied to the page that the start-up IPI names; CS = page >> 4. */
.section .rodata
.globl ap_trampoline, ap_trampoline_end
.code16
ap_trampoline:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl ap_gdt_pointer - ap_trampoline
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x08, $PHYS(ap_protected)
    .balign 8
ap_gdt_pointer:
    .word ap_gdt_end - ap_gdt - 1
    .long PHYS(ap_gdt)
ap_trampoline_end:

    .balign 8
ap_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        /* 0x08: 32-bit code */
    .quad 0x00af9b000000ffff        /* 0x10: 64-bit code */
    .quad 0x00cf93000000ffff        /* 0x18: data */
ap_gdt_end:

.section .text.boot, "ax", @progbits
.code32
ap_protected:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %cr4, %eax
    orl $0x620, %eax                /* PAE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax     /* the boot CPU's first tables still have the identity map */
    movl %eax, %cr3
    movl $0xc0000080, %ecx          /* EFER: SCE, LME, NXE */
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80010033, %eax          /* PG, WP, NE, ET, MP, PE; caches on */
    movl %eax, %cr0
    ljmp $0x10, $PHYS(ap_long)
.code64
ap_long:
    movabsq $ap_higher_half, %rax
    jmp *%rax

.section .text, "ax", @progbits
ap_higher_half:
    movq ap_boot_cr3(%rip), %rax    /* stacks are vmalloc'ed: only the kernel's own tables have them */
    movq %rax, %cr3
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq ap_boot_stack(%rip), %rsp
    movq ap_boot_cpu(%rip), %rdi
    xorl %ebp, %ebp
    pushq $0
    call ap_start
1:  hlt
    jmp 1b
.section .note.GNU-stack,"",@progbits
