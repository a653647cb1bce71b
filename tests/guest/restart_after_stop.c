// SPDX-License-Identifier: MIT
// Sleeping calls that STOP and CONT interrupt go on without EINTR, and a sleep keeps its end; with
// a handler they end.
#include "t.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/syscall.h>

static void on_cont(int sig)
{
    (void)sig;
}

static long elapsed_ms(struct timespec from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000;
}

static void sleeps(int which)
{
    static const char *const names[] = {
        "nanosleep", "clock_nanosleep abs", "poll", "select", "futex", "pause",
        "read",      "sigsuspend",          "wait"};
    struct timespec start, t = {0, 200000000};
    clock_gettime(CLOCK_MONOTONIC, &start);
    long result = 0;
    int p[2];
    pipe(p);
    struct pollfd f = {p[0], POLLIN, 0};
    struct timeval tv = {0, 200000};
    uint32_t word = 0;
    char c;
    sigset_t none;
    sigemptyset(&none);
    if (which >= 5) {
        alarm(1);
        struct sigaction a = {.sa_handler = on_cont};
        sigaction(SIGALRM, &a, NULL);
    }
    switch (which) {
    case 0:
        result = nanosleep(&t, NULL);
        break;
    case 1:
        t.tv_nsec += start.tv_nsec;
        t.tv_sec += start.tv_sec + t.tv_nsec / 1000000000;
        t.tv_nsec %= 1000000000;
        result = syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
        break;
    case 2:
        result = poll(&f, 1, 200);
        break;
    case 3:
        result = select(0, NULL, NULL, NULL, &tv);
        break;
    case 4:
        result = syscall(SYS_futex, &word, 0 /* FUTEX_WAIT */, 0, &t, NULL, 0);
        break;
    case 5:
        result = pause();
        break;
    case 6:
        result = read(p[0], &c, 1);
        break;
    case 7:
        result = sigsuspend(&none);
        break;
    case 8:
        if (fork() == 0) {
            sleep_ms(1500);
            _exit(0);
        }
        result = wait(NULL);
        break;
    }
    int error = result < 0 ? errno : 0;
    long ms = elapsed_ms(start);
    say("%s: %s, %s\n", names[which], result < 0 ? errno_name(error) : "ok",
        ms < 150   ? "early"
        : ms < 450 ? "in time"
                   : "late");
    _exit(0);
}

static void round_of(int which, bool handler)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (handler) {
            signal(SIGCONT, on_cont);
        }
        sleeps(which);
    }
    int status;
    sleep_ms(40);
    kill(pid, SIGSTOP);
    waitpid(pid, &status, WUNTRACED);
    sleep_ms(30);
    kill(pid, SIGCONT);
    waitpid(pid, &status, 0);
}

int main(void)
{
    say("without a handler\n");
    for (int i = 0; i < 8; i++) {
        round_of(i, false);
    }
    say("with a handler for CONT\n");
    for (int i = 0; i < 9; i++) {
        if (i != 6 && i != 8) {
            round_of(i, true);
        }
    }
    return 0;
}
