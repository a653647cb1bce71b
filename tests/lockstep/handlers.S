// SPDX-License-Identifier: MIT
// The kernel of the random programs: position-independent, copied to P_HANDLERS. An exception's handler goes on
// behind the instruction, by a table that has the next one's offset for each byte of code; now and then it mends what
// was missing instead.
#include "layout.h"

        .intel_syntax noprefix
        .section .rodata
        .globl lockstep_handlers, lockstep_handlers_end
        .balign 16
lockstep_handlers:
        .set v, 0
        .rept 32
        .balign 16
        .if (v == 8) || (v >= 10 && v <= 14) || (v == 17)
        .else
        push 0
        .endif
        push v
        jmp common
        .set v, v + 1
        .endr

        .org lockstep_handlers + H_TIMER
        push rax
        inc qword ptr [VARS + V_TIMERS]
        mov dword ptr [K_DEVICE + DEVICE_ACK], 0
        mov eax, [VARS + V_PERIOD]
        mov [K_DEVICE + DEVICE_TIMER], eax
        pop rax
        iretq

        .org lockstep_handlers + H_INT80
        inc qword ptr [VARS + V_INT80]
        iretq

        .org lockstep_handlers + H_SYSCALL
        inc qword ptr [VARS + V_SYSCALLS]
        sysretq

        .org lockstep_handlers + H_BOOT
        xor ecx, ecx
        xor edx, edx
        mov eax, 7
        xsetbv
        fninit
        ldmxcsr [VARS + V_MXCSR]
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
        vmovdqu ymm\n, [VARS + V_VECTORS + \n * 32]
        .endr
        mov eax, [VARS + V_PERIOD]
        mov [K_DEVICE + DEVICE_TIMER], eax
        .irp n, 0, 1, 2, 3, 4
        push qword ptr [VARS + V_FRAME + \n * 8]
        .endr
        mov rax, [VARS + V_GPR]
        mov rcx, [VARS + V_GPR + 8]
        mov rdx, [VARS + V_GPR + 16]
        mov rbx, [VARS + V_GPR + 24]
        mov rbp, [VARS + V_GPR + 40]
        mov rsi, [VARS + V_GPR + 48]
        mov rdi, [VARS + V_GPR + 56]
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        mov r\n, [VARS + V_GPR + \n * 8]
        .endr
        iretq

// On the stack: RDX, RCX, RAX, vector, error code, RIP, CS, RFLAGS, RSP, SS.
common:
        push rax
        push rcx
        push rdx
        mov rax, [rsp + 24]
        inc qword ptr [VARS + V_COUNTS + rax * 8]
        cmp eax, 14
        je page_fault
        cmp eax, 1
        je debug
        cmp eax, 3
        je out
        cmp eax, 7
        je no_fpu
        cmp eax, 16
        je fpu_error
skip:
        mov rcx, [rsp + 40]
        sub rcx, CODE
        cmp rcx, CODE_BYTES
        jae restart
        movzx ecx, word ptr [K_SKIP + rcx * 2]
        add rcx, CODE
        mov [rsp + 40], rcx
out:
        pop rdx
        pop rcx
        pop rax
        add rsp, 16
        iretq
restart:
        mov rcx, [VARS + V_RESTART]
        mov [rsp + 40], rcx
        mov rcx, [VARS + V_RESTART_RSP]
        mov [rsp + 64], rcx
        jmp out
debug:
        xor eax, eax
        mov dr6, rax
        dec dword ptr [VARS + V_TF_LEFT]
        jns out
        and qword ptr [rsp + 56], ~0x100
        jmp out
no_fpu:
        clts
        jmp out
fpu_error:
        fnclex
        jmp out
page_fault:
        test byte ptr [VARS + V_COUNTS + 14 * 8], 3
        jnz skip
        mov rcx, cr2
        mov edx, ecx
        and edx, 0x7FFF8000
        cmp edx, DATA
        jne skip
        shr ecx, 12
        and ecx, 7
        or qword ptr [KERNEL + P_PT_DATA_A + rcx * 8], 3
        or qword ptr [KERNEL + P_PT_DATA_B + rcx * 8], 3
        jmp out
lockstep_handlers_end:
        .section .note.GNU-stack, "", @progbits
