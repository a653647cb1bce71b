// SPDX-License-Identifier: MIT
// Which signal, code and address each processor exception becomes; FPU state survives a handler.
#include "t.h"
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

static sigjmp_buf escape;
static void *volatile wanted;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    say("signal %d code %d address right %d trapno %lld\n", sig, info->si_code, wanted == NULL || info->si_addr == wanted,
        (long long)uc->uc_mcontext.gregs[REG_TRAPNO]);
    siglongjmp(escape, 1);
}

#define TRY(what, statement)                                                                                               \
    do {                                                                                                                   \
        say("%s: ", what);                                                                                                 \
        if (sigsetjmp(escape, 1) == 0) {                                                                                   \
            statement;                                                                                                     \
            say("nothing\n");                                                                                              \
        }                                                                                                                  \
    } while (0)

static void count_up(int sig)
{
    (void)sig;
    volatile double x = 1.5;
    for (int i = 0; i < 10; i++) {
        x *= 1.1;
    }
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    for (int i = 0; i < 5; i++) {
        sigaction(signals[i], &action, NULL);
    }
    volatile int zero = 0;
    TRY("divide by zero", __asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; xorl %%ecx, %%ecx; divl %%ecx" ::: "rax", "rcx", "rdx", "cc"));
    volatile int minimum = -2147483647 - 1, minus = -1;
    TRY("divide overflow", zero = minimum / minus);
    TRY("ud2", __asm__ volatile("ud2"));
    TRY("int3", __asm__ volatile("int3"));
    TRY("hlt", __asm__ volatile("hlt"));
    TRY("cli", __asm__ volatile("cli"));
    TRY("int 0x42", __asm__ volatile("int $0x42"));
    TRY("in", __asm__ volatile("inb $0x60, %%al" ::: "rax"));
    TRY("mov cr0", __asm__ volatile("mov %%cr0, %%rax" ::: "rax"));
    void (*volatile nowhere)(void) = NULL;
    TRY("jump to null", nowhere());
    wanted = (void *)0x10;
    TRY("read near null", zero = *(volatile int *)0x10);
    wanted = NULL;
    TRY("read kernel", zero = *(volatile int *)0xffffffff80000000);
    TRY("read non-canonical", zero = *(volatile int *)0x1234567812345678);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    page[0] = (char)0xc3;
    wanted = page;
    TRY("execute data", ((void (*)(void))page)());
    mprotect(page, 4096, PROT_READ | PROT_EXEC);
    wanted = NULL;
    TRY("execute code", ((void (*)(void))page)());
    TRY("jump to null", ((void (*)(void))(long)zero)());
    TRY("single step", __asm__ volatile("pushfq; orq $0x100, (%%rsp); popfq; nop; nop" ::: "memory", "cc"));
    signal(SIGUSR1, count_up);
    double a = 3.25, b = 7.5;
    __asm__ volatile("" : "+x"(a), "+x"(b));
    raise(SIGUSR1);
    __asm__ volatile("" : "+x"(a), "+x"(b));
    say("fpu %g %g\n", a, b);
    return 0;
}
