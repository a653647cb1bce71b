// SPDX-License-Identifier: MIT
// Clocks and sleeps: monotonicity, resolutions, absolute sleeps, invalid arguments, CPU time grows with work.
#include "t.h"
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/syscall.h>
#include <sys/times.h>

static long long now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(void)
{
    struct timespec t, left;
    show("realtime", clock_gettime(CLOCK_REALTIME, &t));
    say("this century %d\n", t.tv_sec > 1600000000);
    show("bad clock", clock_gettime(99, &t));
    show("bad pointer", syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
    long long a = now(CLOCK_MONOTONIC), b = now(CLOCK_MONOTONIC);
    say("monotonic %d\n", b >= a);
    t = (struct timespec){0, 25000000};
    a = now(CLOCK_MONOTONIC);
    show("nanosleep", nanosleep(&t, &left));
    b = now(CLOCK_MONOTONIC);
    say("slept enough %d not absurd %d\n", b - a >= 25000000, b - a < 2000000000);
    t.tv_nsec = 1000000000;
    show("nanosleep bad", nanosleep(&t, NULL));
    t = (struct timespec){-1, 0};
    show("nanosleep negative", nanosleep(&t, NULL));
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += 20000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    say("absolute %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    clock_gettime(CLOCK_MONOTONIC, &left);
    say("reached %d\n", left.tv_sec > t.tv_sec || (left.tv_sec == t.tv_sec && left.tv_nsec >= t.tv_nsec));
    say("absolute in the past %d\n", clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    long long cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    volatile unsigned long work = 0;
    while (now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 30000000) {
        for (int i = 0; i < 10000; i++) {
            work += (unsigned long)i;
        }
    }
    getrusage(RUSAGE_SELF, &after);
    long used = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
                after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    say("cpu time grew %d\n", used >= 20000);
    cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    sleep_ms(40);
    say("sleep uses little %d\n", now(CLOCK_PROCESS_CPUTIME_ID) - cpu < 20000000);
    struct tms tms;
    say("times %d\n", times(&tms) != (clock_t)-1);
    struct itimerval timer = {.it_value = {5, 0}}, old;
    show("setitimer", setitimer(ITIMER_REAL, &timer, NULL));
    getitimer(ITIMER_REAL, &old);
    say("remaining about 5 s %d\n", old.it_value.tv_sec == 4 || old.it_value.tv_sec == 5);
    say("alarm replaces it %d\n", alarm(0) == 5);
    show("setitimer bad", setitimer(9, &timer, NULL));
    return 0;
}
