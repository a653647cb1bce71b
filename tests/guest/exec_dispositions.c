// SPDX-License-Identifier: MIT
// What exec keeps: ignored signals, mask, pending signals, timers, ids; what it resets: handlers,
// alternate stack, names.
#include "t.h"
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

static void handler(int sig)
{
    (void)sig;
}

static void second(void)
{
    struct sigaction a;
    sigaction(SIGUSR1, NULL, &a);
    say("caught: %s flags %d\n", a.sa_handler == SIG_DFL ? "default" : "other", a.sa_flags != 0);
    sigaction(SIGUSR2, NULL, &a);
    say("ignored: %s\n", a.sa_handler == SIG_IGN ? "ignored" : "other");
    sigset_t set;
    sigprocmask(SIG_BLOCK, NULL, &set);
    say("mask: hup %d term %d\n", sigismember(&set, SIGHUP), sigismember(&set, SIGTERM));
    sigpending(&set);
    say("pending: hup %d\n", sigismember(&set, SIGHUP));
    stack_t st;
    sigaltstack(NULL, &st);
    say("altstack: disabled %d\n", (st.ss_flags & SS_DISABLE) != 0);
    struct itimerval v;
    getitimer(ITIMER_REAL, &v);
    say("alarm goes on: %d\n", v.it_value.tv_sec > 50);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    say("name '%s'\n", name);
    int sig = 0;
    prctl(PR_GET_PDEATHSIG, &sig);
    say("pdeathsig %d nice %d umask %o\n", sig, nice(0), (unsigned)umask(0));
    say("fd 7 %d fd 8 %d\n", fcntl(7, F_GETFD), fcntl(8, F_GETFD));
    char cwd[256] = "";
    getcwd(cwd, sizeof(cwd));
    say("cwd ends in sub: %d\n", strcmp(cwd + strlen(cwd) - 4, "/sub") == 0);
}

int main(int argc, char **argv)
{
    if (argc == 2) {
        second();
        return 0;
    }
    signal(SIGUSR1, handler);
    signal(SIGUSR2, SIG_IGN);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGHUP);
    static char stack[65536];
    stack_t st = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(&st, NULL);
    alarm(100);
    prctl(PR_SET_NAME, "a-name-that-is-far-too-long");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    char name[17] = "";
    prctl(PR_GET_NAME, name);
    say("cut to '%s'\n", name);
    setpriority(PRIO_PROCESS, 0, 3); // not nice(3): the tests may run under nice themselves
    umask(027);
    dup2(1, 7);
    dup2(1, 8);
    fcntl(8, F_SETFD, FD_CLOEXEC);
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    self[n > 0 ? n : 0] = '\0';
    mkdir("sub", 0755);
    symlink(self, "sub/another-name-longer-than-15");
    chdir("sub");
    execl("another-name-longer-than-15", argv[0], "again", NULL);
    say("exec: %s\n", errno_name(errno));
    return 1;
}
