// SPDX-License-Identifier: MIT
// The signal frame: alignment, red zone, ucontext flags, FPU magic words, registers changed by the handler, mask restored.
#include "t.h"
#include <ucontext.h>

static bool has_xsave(void)
{
    unsigned a = 1, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 27 & 1; // OSXSAVE
}

// With XSAVE: flag 1, both magic words and sizes that fit. Without it: nothing of that.
static bool extended_state_right(const unsigned char *fp, unsigned long uc_flags)
{
    uint32_t magic1, magic2, extended, xstate;
    memcpy(&magic1, fp + 464, 4);
    if (!has_xsave()) {
        return !(uc_flags & 1) && magic1 != 0x46505853;
    }
    memcpy(&extended, fp + 468, 4);
    memcpy(&xstate, fp + 480, 4);
    memcpy(&magic2, fp + extended - 4, 4);
    return (uc_flags & 1) && magic1 == 0x46505853 && magic2 == 0x46505845 && xstate >= 512 && extended >= xstate + 4;
}

static void on_usr1(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    ucontext_t *uc = context;
    unsigned char *fp = (unsigned char *)uc->uc_mcontext.fpregs;
    say("frame aligned %d fp aligned %d extended state right %d\n", ((uintptr_t)__builtin_frame_address(0) & 15) == 0,
        ((uintptr_t)fp & 63) == 0, extended_state_right(fp, uc->uc_flags));
    say("uc_flags %lu link %d ss %llx cs %llx\n", uc->uc_flags & 6, uc->uc_link == NULL,
        (unsigned long long)(uc->uc_mcontext.gregs[REG_CSGSFS] >> 48 & 0xffff),
        (unsigned long long)(uc->uc_mcontext.gregs[REG_CSGSFS] & 0xffff));
    uc->uc_mcontext.gregs[REG_RBX] = 0x1122334455667788;
    sigaddset(&uc->uc_sigmask, SIGUSR2);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &action, NULL);
    uint64_t rbx = 1, red = 0;
    int pid = getpid();
    // A leaf that keeps a value in the red zone across the signal.
    __asm__ volatile("movq $0x5a5a5a5a, -8(%%rsp)\n\t"
                     "movq $0x6b6b6b6b, -128(%%rsp)\n\t"
                     "movl $62, %%eax\n\t"
                     "movl %2, %%edi\n\t"
                     "movl $10, %%esi\n\t"
                     "syscall\n\t"
                     "movq -8(%%rsp), %1\n\t"
                     "xorq -128(%%rsp), %1\n\t"
                     : "+b"(rbx), "=&r"(red)
                     : "r"(pid)
                     : "rax", "rcx", "rdx", "rdi", "rsi", "r11", "memory", "cc");
    say("rbx %llx red zone %llx\n", (unsigned long long)rbx, (unsigned long long)red);
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("mask from the frame %d usr1 %d\n", sigismember(&now, SIGUSR2), sigismember(&now, SIGUSR1));
    return 0;
}
