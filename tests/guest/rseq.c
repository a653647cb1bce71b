// SPDX-License-Identifier: MIT
// rseq(2): the errors of registration, what the area says, and a sequence that a signal or a
// preemption sends to its abort address.
#include "t.h"
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#ifdef __GLIBC__
#include <sys/rseq.h>
#endif

#define SIGNATURE 0x53053053u

struct area {
    uint32_t cpu_id_start, cpu_id;
    uint64_t sequence;
    uint32_t flags, node_id, mm_cid, pad;
} __attribute__((aligned(32)));

struct sequence {
    uint32_t version, flags;
    uint64_t start, length, abort;
} __attribute__((aligned(32)));

static struct area area;
static volatile int handled;

static long rseq(void *a, uint32_t size, int flags, uint32_t signature)
{
    return syscall(SYS_rseq, a, size, flags, signature);
}

static void try(const char *what, long result)
{
    say("%s: %ld %s\n", what, result, result < 0 ? errno_name(errno) : "");
}

static void on_signal(int sig)
{
    (void)sig;
    handled++;
}

// Spins inside a sequence until something aborts it. Returns 1 from the abort address, 2 if it came
// through. `spins` 0: for ever.
static int run_sequence(struct sequence *s, uint64_t spins)
{
    int result;
    __asm__ volatile("leaq 1f(%%rip), %%rax\n"
                     "movq %%rax, 8(%[s])\n"
                     "leaq 2f(%%rip), %%rcx\n"
                     "subq %%rax, %%rcx\n"
                     "movq %%rcx, 16(%[s])\n"
                     "leaq 4f(%%rip), %%rax\n"
                     "movq %%rax, 24(%[s])\n"
                     "movq %[s], %[current]\n"
                     "1:\n"
                     "pause\n"
                     "decq %[spins]\n"
                     "jnz 1b\n"
                     "2:\n"
                     "movl $2, %[result]\n"
                     "jmp 5f\n"
                     ".long 0x53053053\n"
                     "4:\n"
                     "movl $1, %[result]\n"
                     "5:\n"
                     : [result] "=&r"(result), [spins] "+r"(spins), [current] "=m"(area.sequence)
                     : [s] "r"(s)
                     : "rax", "rcx", "memory", "cc");
    return result;
}

static void errors(void)
{
    static char odd[64] __attribute__((aligned(32)));
    try("short", rseq(&area, 20, 0, SIGNATURE));
    try("misaligned", rseq(odd + 4, 32, 0, SIGNATURE));
    try("flags", rseq(&area, 32, 2, SIGNATURE));
    try("kernel address", rseq((void *)0xffffffff80000000, 32, 0, SIGNATURE));
    try("unregister nothing", rseq(&area, 32, 1, SIGNATURE));
    try("register", rseq(&area, 32, 0, SIGNATURE));
    try("again", rseq(&area, 32, 0, SIGNATURE));
    try("again, other signature", rseq(&area, 32, 0, 5));
    try("other area", rseq(odd, 32, 0, SIGNATURE));
    try("unregister, other signature", rseq(&area, 32, 1, 5));
    try("unregister, more flags", rseq(&area, 32, 3, SIGNATURE));
    try("unregister", rseq(&area, 32, 1, SIGNATURE));
    say("then %d %u\n", (int)area.cpu_id, area.cpu_id_start);
}

static void sequences(void)
{
    static struct sequence s;
    struct itimerval soon = {{0, 0}, {0, 20000}};
    signal(SIGALRM, on_signal);
    try("register", rseq(&area, 32, 0, SIGNATURE));
    say("cpu right %d, same %d, node %u, flags %u\n", area.cpu_id < 4096,
        area.cpu_id == area.cpu_id_start, area.node_id, area.flags);
    setitimer(ITIMER_REAL, &soon, NULL);
    int way;
    do { // a busy host may preempt it first
        way = run_sequence(&s, 0);
    } while (way == 1 && !handled);
    say("by signal: way %d sequence %d\n", way, area.sequence != 0);
    cpu_set_t one; // the rival's too
    unsigned cpu = 0;
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof(one), &one);
    pid_t rival = fork();
    if (rival == 0) {
        for (;;) {
        }
    }
    way = run_sequence(&s, 0);
    say("by preemption: way %d sequence %d\n", way, area.sequence != 0);
    kill(rival, SIGKILL);
    waitpid(rival, NULL, 0);
}

// How a child ends that runs into a bad descriptor.
static void bad_sequence(const char *what, const struct sequence *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        static struct sequence bad;
        bad = *s;
        area.sequence = (uint64_t)&bad;
        kill(getpid(), SIGALRM);
        _exit(7);
    }
    int status;
    waitpid(pid, &status, 0);
    say("%s: exit %d signal %d\n", what, WEXITSTATUS(status), WTERMSIG(status));
}

int main(void)
{
    if (getauxval(27)) {
        say("align %lu\n", getauxval(28));
    }
#ifdef __GLIBC__ // it has an area of its own
    try("the C library's",
        rseq((char *)__builtin_thread_pointer() + __rseq_offset, 32, 1, SIGNATURE));
#endif
    errors();
    sequences();
    uint64_t here = (uint64_t)main;
    bad_sequence("elsewhere", &(struct sequence){0, 0, here, 4, (uint64_t)&area});
    bad_sequence("version", &(struct sequence){1, 0, here, 4, here + 100});
    bad_sequence("abort inside", &(struct sequence){0, 0, here, 200, here + 100});
    bad_sequence("kernel start", &(struct sequence){0, 0, ~0UL - 5000, 4, here});
    bad_sequence("no signature", &(struct sequence){0, 0, here, 4, here + 100});
    return 0;
}
