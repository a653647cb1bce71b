# SPDX-License-Identifier: MIT
# The loops of bench/cpu_loops.c: each runs for ever. rdi, rsi: data; rsp: stack.
    .intel_syntax noprefix
    .section .note.GNU-stack, "", @progbits
    .section .rodata
    .macro workload name
    .globl workload_\name, workload_\name\()_end
workload_\name:
    .endm
    .macro end name
workload_\name\()_end:
    .endm

    workload integer
1:  mov ecx, 1000
    xor eax, eax
    mov edx, 1
2:  add eax, edx
    imul edx, edx, 1664525
    add edx, 1013904223
    mov ebx, edx
    shr ebx, 7
    xor eax, ebx
    lea r8, [rax+rdx*2]
    and r8d, 0xFFFF
    cmp r8d, 100
    jb 3f
    inc r9
3:  dec ecx
    jnz 2b
    jmp 1b
    end integer

    workload sieve
1:  mov ecx, 2
2:  cmp byte ptr [rdi+rcx], 0
    jne 4f
    lea rdx, [rcx+rcx]
    cmp rdx, 8192
    jae 4f
3:  mov byte ptr [rdi+rdx], 1
    add rdx, rcx
    cmp rdx, 8192
    jb 3b
4:  inc ecx
    cmp ecx, 8192
    jb 2b
    mov ecx, 1024
    xor eax, eax
    mov rdx, rdi
5:  mov [rdx], rax
    add rdx, 8
    dec ecx
    jnz 5b
    jmp 1b
    end sieve

    workload calls
1:  mov edi, 20
    call 2f
    jmp 1b
2:  push rbx
    mov ebx, edi
    mov eax, edi
    cmp edi, 2
    jb 3f
    lea edi, [rbx-1]
    call 2b
    push rax
    lea edi, [rbx-2]
    call 2b
    pop rcx
    add eax, ecx
3:  pop rbx
    ret
    end calls

    workload copy
1:  mov ecx, 4096
    xor edx, edx
2:  mov rax, [rsi+rdx*8]
    mov [rdi+rdx*8], rax
    inc rdx
    cmp edx, ecx
    jne 2b
    jmp 1b
    end copy
