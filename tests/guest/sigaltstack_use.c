// SPDX-License-Identifier: MIT
// The alternate stack: used on SA_ONSTACK, flags while on it, errors, survival of a stack overflow.
#include "t.h"
#include <setjmp.h>
#include <sys/resource.h>

static char stack[65536];
static sigjmp_buf escape;

static bool on_alternate(void *p)
{
    return (char *)p >= stack && (char *)p < stack + sizeof(stack);
}

static void on_usr1(int sig)
{
    int local;
    stack_t now, change = {.ss_sp = stack, .ss_size = sizeof(stack)};
    sigaltstack(NULL, &now);
    say("signal %d on alternate %d flags %d\n", sig, on_alternate(&local), now.ss_flags);
    show("change while on it", sigaltstack(&change, NULL));
}

static void on_segv(int sig, siginfo_t *info, void *context)
{
    (void)context;
    int local;
    say("overflow: signal %d code %d on alternate %d\n", sig, info->si_code, on_alternate(&local));
    siglongjmp(escape, 1);
}

static int overflow(int n)
{
    volatile char frame[4096];
    frame[0] = (char)n;
    return overflow(n + 1) + frame[0];
}

int main(void)
{
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)}, old;
    show("query", sigaltstack(NULL, &old));
    say("disabled %d\n", old.ss_flags == SS_DISABLE);
    stack_t tiny = {.ss_sp = stack, .ss_size = 100};
    show("too small", sigaltstack(&tiny, NULL));
    stack_t bad = {.ss_sp = stack, .ss_size = sizeof(stack), .ss_flags = 77};
    show("bad flags", sigaltstack(&bad, NULL));
    show("set", sigaltstack(&alternate, NULL));
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    action.sa_flags = 0;
    action.sa_handler = on_usr1;
    sigaction(SIGUSR2, &action, NULL);
    raise(SIGUSR2);
    struct sigaction fault = {.sa_sigaction = on_segv, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    sigaction(SIGSEGV, &fault, NULL);
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    if (sigsetjmp(escape, 1) == 0) {
        overflow(0);
    }
    say("survived\n");
    pid_t pid = fork();
    if (pid == 0) {
        sigaltstack(NULL, &old);
        say("inherited by fork %d\n", old.ss_sp == stack);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    stack_t off = {.ss_flags = SS_DISABLE};
    show("disable", sigaltstack(&off, &old));
    say("was %d\n", old.ss_sp == stack && old.ss_flags == 0);
    return 0;
}
