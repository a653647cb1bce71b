// SPDX-License-Identifier: MIT
// Vector registers across system calls, signals (also changed in the frame), fork and preemption. With AVX all of YMM0 to
// YMM15; without it the lower halves alone, and the same output.
#include "t.h"
#include <cpuid.h>
#include <sched.h>
#include <sys/syscall.h>
#include <ucontext.h>

typedef uint8_t registers[16][32] __attribute__((aligned(32)));

static bool avx;

static bool has_avx(void)
{
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c >> 27 & 3) != 3) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define LOAD_YMM(n) "vmovdqu " #n "*32(%[in]), %%ymm" #n "\n\t"
#define STORE_YMM(n) "vmovdqu %%ymm" #n ", " #n "*32(%[out])\n\t"
#define LOAD_XMM(n) "movdqu " #n "*32(%[in]), %%xmm" #n "\n\t"
#define STORE_XMM(n) "movdqu %%xmm" #n ", " #n "*32(%[out])\n\t"
#define CLOBBERS "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
                 "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

// Loads all registers, makes a system call, stores all of them.
static long across(const registers in, registers out, long number, long a, long b)
{
    long result = number;
    if (avx) {
        __asm__ volatile(EACH(LOAD_YMM) "syscall\n\t" EACH(STORE_YMM) "vzeroupper"
                         : "+a"(result) : [in] "r"(in), [out] "r"(out), "D"(a), "S"(b) : CLOBBERS);
    } else {
        memcpy(out, in, sizeof(registers));
        __asm__ volatile(EACH(LOAD_XMM) "syscall\n\t" EACH(STORE_XMM)
                         : "+a"(result) : [in] "r"(in), [out] "r"(out), "D"(a), "S"(b) : CLOBBERS);
    }
    return result;
}

static void fill(registers r, unsigned seed)
{
    for (unsigned i = 0; i < sizeof(registers); i++) {
        r[i / 32][i % 32] = (uint8_t)(seed + i * 7 + i / 32 * 13);
    }
}

static void on_usr1(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    ucontext_t *uc = context;
    uint8_t *fp = (uint8_t *)uc->uc_mcontext.fpregs;
    registers other, out;
    fill(other, 99);
    across(other, out, SYS_getpid, 0, 0);
    say("handler: kept its own %d\n", memcmp(other, out, sizeof(out)) == 0);
    memset(fp + 160 + 5 * 16, 0x55, 16); // XMM5
    if (avx) {
        uint64_t xfeatures;
        uint32_t size;
        memcpy(&xfeatures, fp + 472, 8);
        memcpy(&size, fp + 480, 4);
        if (!(xfeatures & 4) || size < 832) {
            say("no AVX in the frame: %llx %u\n", (unsigned long long)xfeatures, size);
            return;
        }
        memset(fp + 576 + 3 * 16, 0x33, 16); // the upper half of YMM3
        fp[512] |= 4;
    }
}

static void signals(void)
{
    struct sigaction action = {.sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO};
    registers in, out;
    sigaction(SIGUSR1, &action, NULL);
    fill(in, 1);
    across(in, out, SYS_kill, getpid(), SIGUSR1);
    memset(in[5], 0x55, 16);
    memset(in[3] + 16, 0x33, 16);
    if (!avx) {
        memset(out[3] + 16, 0x33, 16);
    }
    say("signal: as the frame said %d\n", memcmp(in, out, sizeof(out)) == 0);
}

static void forks(void)
{
    registers in, out;
    fill(in, 2);
    long pid = across(in, out, SYS_fork, 0, 0);
    bool same = memcmp(in, out, sizeof(out)) == 0;
    if (!pid) {
        _exit(same ? 7 : 8);
    }
    int status;
    waitpid((pid_t)pid, &status, 0);
    say("fork: parent %d child %d\n", same, WEXITSTATUS(status));
}

// Several processes, each with registers of its own; every other one gives way, the others are interrupted.
static void switches(void)
{
    pid_t pids[4];
    for (unsigned i = 0; i < 4; i++) {
        pids[i] = fork();
        if (!pids[i]) {
            registers in, out;
            fill(in, 40 * i);
            for (unsigned n = 0; n < 1500; n++) {
                across(in, out, i & 1 ? SYS_sched_yield : SYS_getppid, 0, 0);
                if (memcmp(in, out, sizeof(out)) != 0) {
                    _exit(1);
                }
            }
            _exit(0);
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        say("switches: process %u %d\n", i, status);
    }
}

int main(void)
{
    avx = has_avx();
    signals();
    forks();
    switches();
    return 0;
}
