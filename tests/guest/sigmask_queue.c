// SPDX-License-Identifier: MIT
// Blocked signals stay pending; standard ones merge, real-time ones queue in order with their values; lowest first.
#include "t.h"

static void on_info(int sig, siginfo_t *info, void *context)
{
    (void)context;
    say("got %d code %d value %d\n", sig, info->si_code, info->si_value.sival_int);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_info, .sa_flags = SA_SIGINFO};
    sigset_t set, pending, old;
    sigfillset(&action.sa_mask);
    int numbers[] = {SIGUSR1, SIGUSR2, SIGTERM, 40, 41, 42};
    sigemptyset(&set);
    for (int i = 0; i < 6; i++) {
        sigaction(numbers[i], &action, NULL);
        sigaddset(&set, numbers[i]);
    }
    show("block", sigprocmask(SIG_BLOCK, &set, &old));
    for (int i = 0; i < 3; i++) {
        union sigval value = {.sival_int = i};
        sigqueue(getpid(), SIGUSR2, value);
        sigqueue(getpid(), 41, value);
        sigqueue(getpid(), 40, value);
    }
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR1);
    sigpending(&pending);
    say("pending %d %d %d %d\n", sigismember(&pending, SIGUSR1), sigismember(&pending, SIGUSR2),
        sigismember(&pending, SIGTERM), sigismember(&pending, 41));
    show("unblock", sigprocmask(SIG_SETMASK, &old, NULL));
    sigpending(&pending);
    say("pending after %d\n", sigismember(&pending, SIGUSR1));
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGTERM);
    sigprocmask(SIG_BLOCK, &one, NULL);
    kill(getpid(), SIGTERM);
    siginfo_t info;
    struct timespec zero = {0, 0}, little = {0, 20000000};
    show("sigtimedwait", sigtimedwait(&one, &info, &zero));
    say("code %d pid right %d\n", info.si_code, info.si_pid == getpid());
    show("sigtimedwait nothing", sigtimedwait(&one, &info, &little));
    signal(SIGTERM, SIG_IGN);
    kill(getpid(), SIGTERM);
    sigpending(&pending);
    say("ignored and blocked pending %d\n", sigismember(&pending, SIGTERM));
    show("kill signal 0", kill(getpid(), 0));
    show("kill bad signal", kill(getpid(), 65));
    show("kill nobody", kill(999999, 0));
    show("sigaction KILL", sigaction(SIGKILL, &action, NULL));
    show("sigaction 65", sigaction(65, &action, NULL));
    sigfillset(&set);
    sigprocmask(SIG_SETMASK, &set, NULL);
    sigprocmask(SIG_SETMASK, NULL, &old);
    say("KILL and STOP cannot be blocked %d %d\n", sigismember(&old, SIGKILL), sigismember(&old, SIGSTOP));
    show("sigprocmask bad how", sigprocmask(77, &set, NULL));
    return 0;
}
