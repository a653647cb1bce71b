// SPDX-License-Identifier: MIT
// sigtimedwait, sigqueue values and order, timeouts, interruption; rt_sigqueueinfo may not forge.
#include "t.h"
#include <sys/syscall.h>

static void on_usr2(int sig)
{
    (void)sig;
}

static void wait_one(const char *what, const sigset_t *set, long ms)
{
    siginfo_t info;
    memset(&info, 0, sizeof(info));
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    int sig = (int)syscall(SYS_rt_sigtimedwait, set, &info, &t, 8); // musl's wrapper hides EINTR
    if (sig < 0) {
        say("%s: -%s\n", what, errno_name(errno));
        return;
    }
    say("%s: sig %d code %d pid %d value %d\n", what,
        sig == SIGUSR1   ? 1
        : sig == SIGUSR2 ? 2
                         : sig - SIGRTMIN + 100,
        info.si_code, info.si_pid == getpid(),
        info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    wait_one("nothing, no time", &set, 0);
    wait_one("nothing, 10 ms", &set, 10);
    for (int i = 1; i <= 3; i++) {
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 10 * i});
        sigqueue(getpid(), SIGUSR1, (union sigval){.sival_int = 100 * i});
    }
    kill(getpid(), SIGUSR1);
    for (int i = 0; i < 8; i++) {
        wait_one("queued", &set, 0);
    }
    kill(getpid(), SIGUSR1);
    wait_one("kill", &set, 0);
    raise(SIGUSR1);
    wait_one("raise", &set, 0);
    signal(SIGUSR2, on_usr2);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        await_state(parent, 'S');
        kill(parent, SIGUSR2);
        sleep_ms(100);
        sigqueue(parent, SIGRTMIN, (union sigval){.sival_int = 77});
        _exit(0);
    }
    wait_one("interrupted", &set, 1000);
    siginfo_t info;
    int sig = sigwaitinfo(&set, &info);
    say("from the child: %d value %d\n", sig == SIGRTMIN && info.si_pid == pid,
        info.si_value.sival_int);
    waitpid(pid, NULL, 0);
    memset(&info, 0, sizeof(info));
    info.si_code = SI_USER;
    show("forge SI_USER to init", syscall(SYS_rt_sigqueueinfo, 1, SIGUSR1, &info));
    info.si_code = SI_QUEUE;
    show("queue to nobody", syscall(SYS_rt_sigqueueinfo, 99999999, SIGUSR1, &info));
    show("bad size", syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 4));
    struct timespec bad = {0, 1000000000};
    show("bad timeout", syscall(SYS_rt_sigtimedwait, &set, NULL, &bad, 8));
    show("sigqueue bad signal", sigqueue(getpid(), 65, (union sigval){0}));
    sigset_t pending;
    sigpending(&pending);
    say("pending usr1 %d\n", sigismember(&pending, SIGUSR1));
    return 0;
}
