/* SPDX-License-Identifier: MIT */
/* Entry and exit: system calls, 256 vectors, return to user with its work loop, first run of a task, stack switch. */
#include "asm_offsets.h"

/* Three bytes of NOP that become CLAC or STAC when the CPU has SMAP (cpu.c). Byte 0: which. */
.macro SMAP_SITE kind
9998:
    .byte 0x0f, 0x1f, 0x00
    .pushsection .smap_sites, "a"
    .quad 9998b, \kind
    .popsection
.endm
#define CLAC SMAP_SITE 0xca
#define STAC SMAP_SITE 0xcb

.macro PUSH_REST
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm

.macro POP_REGS
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    popq %rsi
    popq %rdi
.endm

.text
/* SYSCALL: RCX = return address, R11 = flags; IF, DF, TF, AC and NT are off by SFMASK. */
.globl syscall_entry
syscall_entry:
    swapgs
    movq %rsp, %gs:CPU_USER_SP
    movq %gs:CPU_KERNEL_SP, %rsp
    pushq $0x2b
    pushq %gs:CPU_USER_SP
    pushq %r11
    pushq $0x33
    pushq %rcx
    pushq %rax
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq $-38                      /* -ENOSYS */
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    xorl %ebp, %ebp
    sti
    call syscall_dispatch
    cli
    movq %gs:CPU_CURRENT, %rax
    movl %gs:CPU_NEED_RESCHED, %ecx
    orq TASK_WORK(%rax), %rcx
    jnz return_to_user_slow
#ifdef FERN_DEBUG_LOCKS
    movq %rsp, %rdi
    call check_return_to_user
#endif
    /* SYSRET only for a frame that SYSCALL made and nobody changed: user address, RF and TF clear. */
    movq REGS_CX(%rsp), %rcx
    cmpq REGS_IP(%rsp), %rcx
    jne restore_and_iret
    movq %rcx, %rax
    shrq $47, %rax
    jnz restore_and_iret
    movq REGS_R11(%rsp), %r11
    cmpq REGS_FLAGS(%rsp), %r11
    jne restore_and_iret
    testq $0x10100, %r11
    jnz restore_and_iret
    cmpq $0x33, REGS_CS(%rsp)
    jne restore_and_iret
    cmpq $0x2b, REGS_SS(%rsp)
    jne restore_and_iret
    POP_REGS
    movq REGS_SP - REGS_ORIG_AX(%rsp), %rsp
    swapgs
    sysretq

/* Interrupts off; something to do before user mode. */
return_to_user_slow:
    movq %rsp, %rdi
    call return_to_user_work
restore_and_iret_checked:
restore_and_iret:
#ifdef FERN_DEBUG_LOCKS
    movq %rsp, %rdi
    call check_return_to_user
#endif
    POP_REGS
    addq $8, %rsp
    swapgs
.globl iret_to_user
iret_to_user:
    iretq

/* One 16-byte stub per vector: a zero where the CPU pushes no error code, then the vector. */
.balign 16
.globl vector_stubs
vector_stubs:
.set vector, 0
.rept 256
    .balign 16
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    pushq $0
    .endif
    pushq $vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp entry_paranoid
    .else
    jmp entry_common
    .endif
    .set vector, vector + 1
.endr

entry_common:
    xchgq %rdi, (%rsp)
    PUSH_REST
    cld
    CLAC
    movl %edi, %esi
    movq %rsp, %rdi
    testb $3, REGS_CS(%rsp)
    jz 1f
    swapgs
    xorl %ebp, %ebp
    call interrupt_from_user
    cli
    movq %gs:CPU_CURRENT, %rax
    movl %gs:CPU_NEED_RESCHED, %ecx
    orq TASK_WORK(%rax), %rcx
    jnz return_to_user_slow
    jmp restore_and_iret
1:  cmpq $iret_to_user, REGS_IP(%rsp)
    je 3f
    call interrupt_from_kernel
    cmpl $0, %gs:CPU_PREEMPT_COUNT
    jne 2f
    cmpl $0, %gs:CPU_NEED_RESCHED
    je 2f
    testl $0x200, REGS_FLAGS(%rsp)
    jz 2f
    call preempt_schedule_irq
2:  POP_REGS
    addq $8, %rsp
    iretq
    /* IRETQ to user mode faulted: GS is the user's already. The user frame is rebuilt, the program gets a signal. */
3:  swapgs
    call iret_fault
    movq %rax, %rsp
    cli
    jmp return_to_user_slow

/* NMI, double fault, machine check: own stacks; GS may be either one whatever CS says. */
entry_paranoid:
    xchgq %rdi, (%rsp)
    PUSH_REST
    cld
    CLAC
    movl %edi, %esi
    movq %rsp, %rdi
    xorl %ebx, %ebx
    movl $0xc0000101, %ecx
    rdmsr
    testl %edx, %edx
    js 1f
    swapgs
    incl %ebx
1:  call interrupt_paranoid
    testl %ebx, %ebx
    jz 2f
    swapgs
2:  POP_REGS
    addq $8, %rsp
    iretq

/* First run of a task: RAX = previous task is known to schedule_tail; RBX = kernel function or 0, R12 = its argument. */
.globl ret_from_fork
ret_from_fork:
    call schedule_tail
    testq %rbx, %rbx
    jz 1f
    movq %r12, %rdi
    call *%rbx
1:  cli
    jmp return_to_user_slow

/* switch_stacks(u64 *save, u64 next): callee-saved registers on the old stack, continue on the new one. */
.globl switch_stacks
switch_stacks:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* copy_user(dst, src, n): bytes not copied. The bytes before a faulting one are all copied. */
.globl copy_user
copy_user:
    STAC
    movq %rdx, %rcx
    shrq $3, %rcx
    andl $7, %edx
1:  rep movsq
    movl %edx, %ecx
2:  rep movsb
    CLAC
    xorl %eax, %eax
    ret
3:  leaq (%rdx,%rcx,8), %rcx
4:  rep movsb
5:  CLAC
    movq %rcx, %rax
    ret
    .pushsection .ex_table, "a"
    .quad 1b, 3b
    .quad 2b, 5b
    .quad 4b, 5b
    .popsection

/* zero_user(dst, n): bytes not zeroed. */
.globl zero_user
zero_user:
    STAC
    movl %esi, %edx
    movq %rsi, %rcx
    shrq $3, %rcx
    andl $7, %edx
    xorl %eax, %eax
1:  rep stosq
    movl %edx, %ecx
2:  rep stosb
    CLAC
    xorl %eax, %eax
    ret
3:  leaq (%rdx,%rcx,8), %rcx
    xorl %eax, %eax
4:  rep stosb
5:  CLAC
    movq %rcx, %rax
    ret
    .pushsection .ex_table, "a"
    .quad 1b, 3b
    .quad 2b, 5b
    .quad 4b, 5b
    .popsection
.section .note.GNU-stack,"",@progbits
