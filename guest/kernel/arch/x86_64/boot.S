/* SPDX-License-Identifier: MIT */
/* PVH entry (32-bit protected mode, paging off, EBX = hvm_start_info): boot page tables, long
   mode, jump to the higher half. */
#define KERNEL_BASE 0xffffffff80000000
#define PHYS(x) ((x) - KERNEL_BASE)

.section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18                  /* name size, desc size, XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long PHYS(pvh_start)

.section .text.boot, "ax", @progbits
.code32
.globl pvh_start
pvh_start:
    cld
    cli
    movl $PHYS(bss_start), %edi
    movl $PHYS(bss_end), %ecx
    subl %edi, %ecx
    xorl %eax, %eax
    rep stosb
    movl %ebx, PHYS(boot_start_info)

    /* Four page directories of 2 MiB pages: the first 4 GiB, reached through the identity map (slot 0), the direct map
       (slot 273) and, the first 2 GiB, the kernel image's slot 511. */
    movl $PHYS(boot_pd), %edi
    movl $0x83, %eax                /* present, write, large */
    xorl %edx, %edx
    movl $2048, %ecx
1:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $PHYS(boot_pd) + 3, %eax
    movl $PHYS(boot_pdpt), %edi
    movl $4, %ecx
2:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b
    movl $PHYS(boot_pd) + 3, PHYS(boot_pdpt_image) + 510 * 8
    movl $PHYS(boot_pd) + 4096 + 3, PHYS(boot_pdpt_image) + 511 * 8
    movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4)
    movl $PHYS(boot_pdpt) + 3, PHYS(boot_pml4) + 273 * 8
    movl $PHYS(boot_pdpt_image) + 3, PHYS(boot_pml4) + 511 * 8

    movl %cr4, %eax
    orl $0x620, %eax                /* PAE, OSFXSR, OSXMMEXCPT (libfdt uses SSE) */
    movl %eax, %cr4
    movl $PHYS(boot_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx          /* EFER: SCE, LME, NXE */
    rdmsr
    orl $0x901, %eax
    wrmsr
    movl $0x80010033, %eax          /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $0x10, $PHYS(long_mode)

.code64
long_mode:
    movabsq $higher_half, %rax
    jmp *%rax

.section .text, "ax", @progbits
higher_half:
    xorl %eax, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    xorl %ebp, %ebp
    pushq $0
    call arch_start
1:  hlt
    jmp 1b

.section .data
    .balign 8
boot_gdt:
    .quad 0
    .quad 0
    .quad 0x00af9b000000ffff        /* 0x10: 64-bit code */
boot_gdt_pointer:
    .word . - boot_gdt - 1
    .long PHYS(boot_gdt)

.section .bss
    .balign 4096
.globl boot_pml4, boot_stack, boot_stack_top, boot_start_info
boot_pml4:
    .skip 4096
boot_pdpt:
    .skip 4096
boot_pdpt_image:
    .skip 4096
boot_pd:
    .skip 4096 * 4
boot_stack:
    .skip 16384
boot_stack_top:
boot_start_info:
    .skip 8

.globl pvh_start_phys
.set pvh_start_phys, pvh_start - KERNEL_BASE
.section .note.GNU-stack,"",@progbits
