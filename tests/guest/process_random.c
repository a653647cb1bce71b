// SPDX-License-Identifier: MIT
// Seeded random process groups, sessions, stops, deaths and waits among six workers of one parent:
// every result is printed as a digest per seed. Each change of state is waited for before the next
// step, so the order is fixed.
// runner: no leader
#define _GNU_SOURCE
#include "t.h"
#include <sys/syscall.h>

#define SEEDS 250
#define STEPS 40
#define WORKERS 6

enum op { SETPGID, SETSID, GETPGID, GETSID, KILL, EXIT };
struct order {
    int op, a, b;
};
static struct worker {
    pid_t pid; // 0: not there
    bool stopped, dead;
    int to, from;
} w[WORKERS];
static uint64_t state, digest;
static bool verbose;

static unsigned rnd(unsigned n)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % n;
}

// Pids are shown as worker numbers, so that both systems say the same.
static int number_of(long pid)
{
    for (int i = 0; i < WORKERS; i++) {
        if (w[i].pid == pid && pid) {
            return i;
        }
    }
    return pid == getpid() ? 50 : pid == getpgrp() ? 51 : pid == getsid(0) ? 52 : 53;
}

static void note(const char *what, long a, long b, long c, long result)
{
    digest = (digest ^ (uint64_t)(a * 1009 + b * 131 + c * 31 + result) ^ (uint64_t)what[0] << 40) *
             0x100000001b3ULL;
    if (verbose) {
        say("  %s %ld %ld %ld = %ld\n", what, a, b, c, result);
    }
}

static long answer(long result)
{
    return result < 0 ? -errno : result;
}

static void work(int in, int out)
{
    struct order o;
    while (read(in, &o, sizeof(o)) == sizeof(o)) {
        long result = 0;
        switch (o.op) {
        case SETPGID:
            result = answer(setpgid(o.a, o.b));
            break;
        case SETSID:
            result = answer(setsid());
            break;
        case GETPGID:
            result = answer(getpgid(o.a));
            break;
        case GETSID:
            result = answer(getsid(o.a));
            break;
        case KILL:
            result = answer(kill(o.a, o.b));
            break;
        default:
            _exit(o.a);
        }
        write(out, &result, sizeof(result));
    }
    _exit(0);
}

static void start(int i)
{
    int down[2], up[2];
    pipe(down);
    pipe(up);
    pid_t pid = fork();
    if (pid == 0) {
        close(down[1]);
        close(up[0]);
        work(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    w[i] = (struct worker){pid, false, false, down[1], up[0]};
    note("start", i, 0, 0, getpgid(pid) == getpgrp());
}

static void forget(int i)
{
    close(w[i].to);
    close(w[i].from);
    w[i] = (struct worker){0};
}

static long order(int i, struct order o)
{
    long result = -9999;
    write(w[i].to, &o, sizeof(o));
    read(w[i].from, &result, sizeof(result));
    return result;
}

static pid_t some_pid(void)
{
    unsigned i = rnd(WORKERS + 2);
    return i < WORKERS ? (w[i].pid ? w[i].pid : 99999999) : i == WORKERS ? 0 : 99999999;
}

// Waits until each worker that the signal reaches has changed.
static void settle(int i, int sig)
{
    siginfo_t info;
    if (!w[i].pid || w[i].dead) {
        return;
    }
    if (sig == SIGKILL) {
        waitid(P_PID, (id_t)w[i].pid, &info, WEXITED | WNOWAIT);
        w[i].dead = true;
    } else if (sig == SIGSTOP && !w[i].stopped) {
        waitid(P_PID, (id_t)w[i].pid, &info, WSTOPPED | WNOWAIT);
        w[i].stopped = true;
    } else if (sig == SIGCONT && w[i].stopped) {
        waitid(P_PID, (id_t)w[i].pid, &info, WCONTINUED | WNOWAIT);
        w[i].stopped = false;
    }
}

static void send_signal(void)
{
    static const int signals[] = {0, SIGCONT, SIGSTOP, SIGCONT, SIGKILL, SIGCHLD, 65};
    int sig = signals[rnd(7)];
    unsigned target = rnd(WORKERS);
    if (!w[target].pid) {
        return;
    }
    bool group = rnd(3) == 0 && w[target].pid != getpgrp(), reached[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        reached[i] = w[i].pid && (group ? getpgid(w[i].pid) == w[target].pid : i == target);
    }
    long result = answer(kill(group ? -w[target].pid : w[target].pid, sig));
    note("kill", target, group, sig, result);
    for (int i = 0; i < WORKERS; i++) {
        if (reached[i] && result == 0) {
            settle(i, sig);
        }
    }
}

static void wait_some(void)
{
    static const int options[] = {WEXITED, WSTOPPED, WCONTINUED, WEXITED | WSTOPPED | WCONTINUED,
                                  WEXITED | WNOWAIT};
    int option = options[rnd(5)];
    unsigned target = rnd(WORKERS), type = rnd(3);
    pid_t pid = w[target].pid ? w[target].pid : 99999999;
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    // Of all or of a group the oldest answers, and which that is depends on the order of birth
    // alone.
    long result = answer(syscall(SYS_waitid,
                                 type == 0   ? P_ALL
                                 : type == 1 ? P_PID
                                             : P_PGID,
                                 pid, &info, option | WNOHANG, NULL));
    int who = info.si_pid ? number_of(info.si_pid) : -1;
    note("wait", (long)type * 10 + target, option, who, result);
    note("info", info.si_code, info.si_status, info.si_signo, 0);
    if (who >= 0 && who < WORKERS && !(option & WNOWAIT) && info.si_code != CLD_STOPPED &&
        info.si_code != CLD_CONTINUED) {
        forget(who);
    }
}

static void step(void)
{
    unsigned i = rnd(WORKERS), op = rnd(12);
    long result;
    if (!w[i].pid) {
        start((int)i);
        return;
    }
    bool runs = !w[i].dead && !w[i].stopped;
    switch (op) {
    case 0:
    case 1:
    case 2: {
        pid_t a = some_pid(), b = some_pid();
        result = op == 0 ? answer(setpgid(a, b))
                 : runs  ? order((int)i, (struct order){SETPGID, a, b})
                         : 0;
        note("setpgid", number_of(a), number_of(b), op, result);
        break;
    }
    case 3:
        result = runs ? order((int)i, (struct order){SETSID, 0, 0}) : 0;
        note("setsid", i, 0, 0, result > 0 ? number_of(result) : result);
        break;
    case 4:
    case 5: {
        pid_t a = some_pid();
        result = runs && a ? order((int)i, (struct order){op == 4 ? GETPGID : GETSID, a, 0}) : 0;
        note("getid", i, number_of(a), op, result > 0 ? number_of(result) : result);
        break;
    }
    case 6:
        if (runs && rnd(3) == 0) {
            struct order o = {EXIT, (int)rnd(256), 0};
            write(w[i].to, &o, sizeof(o));
            settle((int)i, SIGKILL);
            note("exit", i, o.a, 0, 0);
        }
        break;
    case 7:
    case 8:
        send_signal();
        break;
    default:
        wait_some();
    }
}

int main(void)
{
    const char *one = getenv("VERBOSE");
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        if (one && (unsigned)atoi(one) != seed) {
            continue;
        }
        verbose = one != NULL;
        state = seed * 0x9e3779b97f4a7c15ULL;
        digest = 0xcbf29ce484222325ULL;
        for (int i = 0; i < STEPS; i++) {
            step();
        }
        for (int i = 0; i < WORKERS; i++) {
            if (w[i].pid) {
                kill(w[i].pid, SIGKILL);
                waitpid(w[i].pid, NULL, 0);
                forget(i);
            }
        }
        say("seed %u: %016llx\n", seed, (unsigned long long)digest);
    }
    return 0;
}
