// SPDX-License-Identifier: MIT
// Seeded random sequences of signal calls in one process each: a digest of all results and handler
// runs per seed, and its end. VERBOSE=seed prints the steps of one.
#define _GNU_SOURCE
#include "t.h"
#include <sys/syscall.h>

#define SEEDS 1000
#define STEPS 100

static uint64_t state, digest;
static bool verbose;
static volatile int depth;
static const int signals[] = {SIGHUP,  SIGUSR1, SIGUSR2, SIGCHLD, SIGWINCH, SIGTERM, SIGCONT,
                              SIGTTOU, SIGURG,  SIGPIPE, 40,      41,       64};

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

static int pick(void)
{
    return signals[rnd(sizeof(signals) / sizeof(signals[0]))];
}

static void note(const char *what, long a, long b, long c)
{
    digest =
        (digest ^ (uint64_t)(a * 31 + b * 17 + c) ^ (uint64_t)what[0] << 40) * 0x100000001b3ULL;
    if (verbose) {
        say("  %*s%s %ld %ld %ld\n", depth * 2, "", what, a, b, c);
    }
}

static uint64_t mask_now(void)
{
    uint64_t mask = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &mask, 8);
    return mask;
}

static uint64_t random_mask(void)
{
    uint64_t mask = 0;
    for (unsigned n = rnd(5); n > 0; n--) {
        mask |= 1ULL << (pick() - 1);
    }
    return mask;
}

static void send_one(void)
{
    int sig = pick();
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    switch (rnd(3)) {
    case 0:
        note("kill", sig, kill(getpid(), sig), 0);
        break;
    case 1:
        note("tgkill", sig, syscall(SYS_tgkill, getpid(), getpid(), sig), 0);
        break;
    default:
        info.si_code = SI_QUEUE;
        info.si_value.sival_int = (int)rnd(1000);
        note("queue", sig, syscall(SYS_rt_sigqueueinfo, getpid(), sig, &info),
             info.si_value.sival_int);
        break;
    }
}

static void handler(int sig, siginfo_t *info, void *context)
{
    (void)context;
    note("handler", sig, info->si_code, info->si_code == SI_QUEUE ? info->si_value.sival_int : 0);
    note("mask", (long)mask_now(), depth, 0);
    if (depth < 3 && rnd(3) == 0) {
        depth++;
        send_one();
        depth--;
    }
    note("return", sig, (long)mask_now(), 0);
}

static void change_action(void)
{
    static const int flags[] = {SA_NODEFER, SA_RESETHAND, SA_RESTART, SA_NOCLDWAIT, SA_ONSTACK};
    int sig = pick();
    struct sigaction a = {.sa_flags = SA_SIGINFO}, old;
    for (unsigned n = rnd(3); n > 0; n--) {
        a.sa_flags |= flags[rnd(5)];
    }
    for (unsigned n = rnd(3); n > 0; n--) {
        sigaddset(&a.sa_mask, pick());
    }
    unsigned kind = rnd(24);
    if (kind == 0) {
        a.sa_handler = SIG_DFL;
    } else if (kind < 4) {
        a.sa_handler = SIG_IGN;
    } else {
        a.sa_sigaction = handler;
    }
    int result = sigaction(sig, &a, &old);
    note("action", sig, result, old.sa_handler == SIG_DFL ? 0 : old.sa_handler == SIG_IGN ? 1 : 2);
}

static void take_one(void)
{
    uint64_t set = random_mask();
    struct timespec none = {0, 0};
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    long sig = syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8);
    note("take", sig, info.si_code, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
}

static void in_child(void)
{
    // A stopped child can be seen by wait before its SIGCHLD comes: held back until the child is gone.
    uint64_t held = 1ULL << (SIGCHLD - 1), before = 0;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &held, &before, 8);
    pid_t pid = fork();
    if (pid == 0) {
        uint64_t pending = 0;
        syscall(SYS_rt_sigpending, &pending, 8);
        note("child", (long)pending, (long)mask_now(), 0);
        send_one();
        _exit((int)(digest & 0x3f));
    }
    int status = 0;
    long got;
    do {
        got = waitpid(pid, &status, WUNTRACED);
        if (got == pid && WIFSTOPPED(status)) {
            kill(pid, SIGKILL);
            note("stopped", 0, status, 0);
        }
    } while ((got < 0 && errno == EINTR) || (got == pid && WIFSTOPPED(status)));
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    note("waited", got == pid, got == pid ? status : errno, 0);
}

static void step(void)
{
    uint64_t mask, old = 0, pending = 0;
    switch (rnd(9)) {
    case 0:
    case 1:
        change_action();
        break;
    case 2:
        mask = random_mask();
        note("procmask", syscall(SYS_rt_sigprocmask, (int)rnd(3), &mask, &old, 8), (long)old,
             (long)mask_now());
        break;
    case 3:
        note("pending", syscall(SYS_rt_sigpending, &pending, 8), (long)pending, 0);
        break;
    case 4:
        take_one();
        break;
    case 5:
        if (rnd(4) == 0) {
            in_child();
        }
        break;
    default:
        send_one();
        break;
    }
}

static void run(unsigned seed, int out)
{
    state = seed * 0x9e3779b97f4a7c15ULL;
    digest = 0xcbf29ce484222325ULL;
    setpgid(0, 0);
    for (unsigned i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) { // to live longer
        struct sigaction a = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
        sigaction(signals[i], &a, NULL);
    }
    for (int i = 0; i < STEPS; i++) {
        step();
        pwrite(out, &digest, sizeof(digest), 0);
    }
    _exit(0);
}

int main(void)
{
    const char *one = getenv("VERBOSE");
    int out = open("digest", O_RDWR | O_CREAT, 0600);
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        if (one && (unsigned)atoi(one) != seed) {
            continue;
        }
        verbose = one != NULL;
        uint64_t result = 0;
        pwrite(out, &result, sizeof(result), 0);
        pid_t pid = fork();
        if (pid == 0) {
            run(seed, out);
        }
        int status = 0;
        waitpid(pid, &status, WUNTRACED);
        pread(out, &result, sizeof(result), 0);
        say("seed %u: %016llx status %x\n", seed, (unsigned long long)result, (unsigned)status);
        if (WIFSTOPPED(status)) {
            kill(pid, SIGKILL);
            waitpid(pid, &status, 0);
        }
    }
    return 0;
}
