// SPDX-License-Identifier: MIT
// kill, tkill, tgkill: which targets, which errors, signal 0, what a handler is told about the
// sender.
#include "t.h"
#include <sys/syscall.h>

static volatile int code, pid_right, uid_seen;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    code = info->si_code;
    pid_right = info->si_pid == getpid();
    uid_seen = (int)info->si_uid;
}

static void sent(const char *what)
{
    say("%s: code %d pid %d uid %d\n", what, code, pid_right, uid_seen);
    code = 99;
}

int main(void)
{
    struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &a, NULL);
    pid_t me = getpid();
    kill(me, SIGUSR1);
    sent("kill");
    syscall(SYS_tkill, me, SIGUSR1);
    sent("tkill");
    syscall(SYS_tgkill, me, me, SIGUSR1);
    sent("tgkill");
    raise(SIGUSR1);
    sent("raise");
    show("kill 0", kill(me, 0));
    show("kill nobody", kill(99999999, 0));
    show("bad signal", kill(me, 65));
    show("bad signal nobody", kill(99999999, 65));
    show("negative signal", kill(me, -1));
    show("INT_MIN", kill(-2147483647 - 1, 0));
    show("no such group", kill(-99999999, 0));
    show("tkill 0", syscall(SYS_tkill, 0, 0));
    show("tkill negative", syscall(SYS_tkill, -1, 0));
    show("tkill nobody", syscall(SYS_tkill, 99999999, 0));
    show("tgkill 0", syscall(SYS_tgkill, 0, me, 0));
    show("tgkill wrong group", syscall(SYS_tgkill, 1, me, 0));
    show("tgkill ok", syscall(SYS_tgkill, me, me, 0));
    show("tgkill bad signal", syscall(SYS_tgkill, me, me, 65));
    show("sigaction KILL", sigaction(SIGKILL, &a, NULL));
    show("sigaction STOP", sigaction(SIGSTOP, &a, NULL));
    show("sigaction 0", syscall(SYS_rt_sigaction, 0, NULL, NULL, 8));
    show("sigaction 65", syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
    show("sigaction size", syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4));
    show("query KILL", syscall(SYS_rt_sigaction, SIGKILL, NULL, NULL, 8));
    show("mask size", syscall(SYS_rt_sigprocmask, 0, NULL, NULL, 4));
    unsigned long set = ~0UL, old = 0;
    show("mask how", syscall(SYS_rt_sigprocmask, 3, &set, NULL, 8));
    show("mask all", syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
    show("mask read", syscall(SYS_rt_sigprocmask, 99, NULL, &old, 8));
    say("all but KILL and STOP: %lx\n", ~old);
    show("fault", syscall(SYS_rt_sigprocmask, SIG_SETMASK, (void *)8, NULL, 8));
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        set = 0;
        syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
        signal(SIGUSR2, SIG_IGN);
        show("own group", kill(0, SIGUSR2));
        kill(0, SIGTERM);
        _exit(1);
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("group", status);
    return 0;
}
