/* SPDX-License-Identifier: MIT */
/* Entry and exit: system calls, 256 vectors, return to user with its work loop, first run of a
   task, stack switch. */
#include "asm_offsets.h"

/* Unwind tables for debuggers: every point here leads back to the interrupted code, user's or
   kernel's. */
.cfi_sections .debug_frame

.macro PUSH reg
    pushq %\reg
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \reg, 0
.endm
.macro POP reg
    popq %\reg
    .cfi_adjust_cfa_offset -8
    .cfi_restore \reg
.endm
/* A saved word that is no register of the interrupted code. */
.macro PUSH_WORD word:vararg
    pushq \word
    .cfi_adjust_cfa_offset 8
.endm
/* RSP points at this part of struct pt_regs, everything above it is saved. The frame's end is the
   CFA. */
.macro CFI_REGS from
    .cfi_signal_frame
    .cfi_def_cfa rsp, REGS_SIZE - \from
    .cfi_offset rip, REGS_IP - REGS_SIZE
    .cfi_offset rsp, REGS_SP - REGS_SIZE
.endm
.macro CFI_ALL_REGS
    CFI_REGS 0
    .set cfi_slot, 0
    .irp reg, r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi
    .cfi_offset \reg, cfi_slot - REGS_SIZE
    .set cfi_slot, cfi_slot + 8
    .endr
.endm

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
    PUSH rsi
    PUSH rdx
    PUSH rcx
    PUSH rax
    PUSH r8
    PUSH r9
    PUSH r10
    PUSH r11
    PUSH rbx
    PUSH rbp
    PUSH r12
    PUSH r13
    PUSH r14
    PUSH r15
.endm

.macro POP_REGS
    POP r15
    POP r14
    POP r13
    POP r12
    POP rbp
    POP rbx
    POP r11
    POP r10
    POP r9
    POP r8
    POP rax
    POP rcx
    POP rdx
    POP rsi
    POP rdi
.endm

.text
/* SYSCALL: RCX = return address, R11 = flags; IF, DF, TF, AC and NT are off by SFMASK. */
.globl syscall_entry
syscall_entry:
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa rsp, 0
    .cfi_register rip, rcx
    swapgs
    movq %rsp, %gs:CPU_USER_SP
    movq %gs:CPU_KERNEL_SP, %rsp
    .cfi_undefined rsp
    PUSH_WORD $0x2b
    PUSH_WORD %gs:CPU_USER_SP
    .cfi_rel_offset rsp, 0
    PUSH_WORD %r11
    PUSH_WORD $0x33
    PUSH_WORD %rcx
    .cfi_rel_offset rip, 0
    PUSH_WORD %rax
    PUSH rdi
    PUSH rsi
    PUSH rdx
    PUSH rcx
    PUSH_WORD $-38                      /* -ENOSYS */
    PUSH r8
    PUSH r9
    PUSH r10
    PUSH r11
    PUSH rbx
    PUSH rbp
    PUSH r12
    PUSH r13
    PUSH r14
    PUSH r15
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
    /* SYSRET only for a frame that SYSCALL made, unchanged: user address, RF and TF clear. */
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
    .cfi_remember_state
    POP_REGS
    .cfi_register rip, rcx
    movq REGS_SP - REGS_ORIG_AX(%rsp), %rsp
    .cfi_def_cfa rsp, 0
    .cfi_restore rsp
    swapgs
    sysretq
    .cfi_restore_state
    .cfi_def_cfa_offset REGS_SIZE /* clang's assembler would go on from the popped frame */

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
    .cfi_adjust_cfa_offset -8
    swapgs
.globl iret_to_user
iret_to_user:
    iretq
    .cfi_endproc

/* One 16-byte stub per vector: a zero where the CPU pushes no error code, then the vector. */
.balign 16
.globl vector_stubs
vector_stubs:
    .cfi_startproc simple
    CFI_REGS REGS_ORIG_AX
.set vector, 0
.rept 256
    .balign 16
    .cfi_def_cfa_offset REGS_SIZE - REGS_ORIG_AX
    .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
    .cfi_def_cfa_offset REGS_SIZE - REGS_IP
    PUSH_WORD $0
    .endif
    PUSH_WORD $vector
    .if vector == 2 || vector == 8 || vector == 18
    jmp entry_paranoid
    .else
    jmp entry_common
    .endif
    .set vector, vector + 1
.endr
    .cfi_endproc

entry_common:
    .cfi_startproc simple
    CFI_REGS REGS_DI
    xchgq %rdi, (%rsp)
    .cfi_rel_offset rdi, 0
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
2:  .cfi_remember_state
    POP_REGS
    addq $8, %rsp
    .cfi_adjust_cfa_offset -8
    iretq
    .cfi_restore_state
    .cfi_def_cfa_offset REGS_SIZE /* clang's assembler would go on from the popped frame */
    /* IRETQ to user mode faulted: GS is the user's already. The user frame is rebuilt, the program
       gets a signal. */
3:  swapgs
    call iret_fault
    movq %rax, %rsp
    cli
    jmp return_to_user_slow
    .cfi_endproc

/* NMI, double fault, machine check: own stacks; GS may be either one whatever CS says. */
entry_paranoid:
    .cfi_startproc simple
    CFI_REGS REGS_DI
    xchgq %rdi, (%rsp)
    .cfi_rel_offset rdi, 0
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
    .cfi_adjust_cfa_offset -8
    iretq
    .cfi_endproc

/* First run of a task: RAX = previous task is known to schedule_tail; RBX = kernel function or 0,
   R12 = its argument. */
.globl ret_from_fork
ret_from_fork:
    .cfi_startproc simple
    CFI_ALL_REGS
    call schedule_tail
    testq %rbx, %rbx
    jz 1f
    movq %r12, %rdi
    call *%rbx
1:  cli
    jmp return_to_user_slow
    .cfi_endproc

/* switch_stacks(u64 *save, u64 next): callee-saved registers on the old stack, continue on the new
   one. */
.globl switch_stacks
switch_stacks:
    .cfi_startproc
    PUSH rbp
    PUSH rbx
    PUSH r12
    PUSH r13
    PUSH r14
    PUSH r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
.globl switch_stacks_resume /* where a task that was switched away goes on: debuggers unwind from here */
switch_stacks_resume:
    POP r15
    POP r14
    POP r13
    POP r12
    POP rbx
    POP rbp
    ret
    .cfi_endproc

/* copy_user(dst, src, n): bytes not copied. The bytes before a faulting one are all copied. */
.globl copy_user
copy_user:
    .cfi_startproc
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
    .cfi_endproc
    .pushsection .ex_table, "a"
    .quad 1b, 3b
    .quad 2b, 5b
    .quad 4b, 5b
    .popsection

/* zero_user(dst, n): bytes not zeroed. */
.globl zero_user
zero_user:
    .cfi_startproc
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
    .cfi_endproc
    .pushsection .ex_table, "a"
    .quad 1b, 3b
    .quad 2b, 5b
    .quad 4b, 5b
    .popsection
.section .note.GNU-stack,"",@progbits
