// SPDX-License-Identifier: MIT
// Interval timers: ITIMER_REAL once and repeated, alarm's return value, virtual and profiling
// timers, errors, inheritance.
#include "t.h"
#include <sys/time.h>

static volatile int alarms, virtuals, profs;

static void count(int sig)
{
    if (sig == SIGALRM) {
        alarms++;
    } else if (sig == SIGVTALRM) {
        virtuals++;
    } else {
        profs++;
    }
}

static void set(int which, long value_us, long interval_us)
{
    struct itimerval v = {{interval_us / 1000000, interval_us % 1000000},
                          {value_us / 1000000, value_us % 1000000}};
    show("setitimer", setitimer(which, &v, NULL));
}

int main(void)
{
    signal(SIGALRM, count);
    signal(SIGVTALRM, count);
    signal(SIGPROF, count);
    say("alarm before: %u\n", alarm(10));
    say("alarm again: %u\n", alarm(20));
    struct itimerval v, old;
    getitimer(ITIMER_REAL, &v);
    say("seconds left %d interval %d\n", v.it_value.tv_sec >= 19, (int)v.it_interval.tv_sec);
    say("alarm off: %u\n", alarm(0));
    getitimer(ITIMER_REAL, &v);
    say("off: %ld %ld\n", (long)v.it_value.tv_sec, (long)v.it_value.tv_usec);
    set(ITIMER_REAL, 10000, 0);
    pause();
    say("one alarm %d\n", alarms);
    set(ITIMER_REAL, 5000, 5000);
    while (alarms < 5) {
        pause();
    }
    say("repeated\n");
    memset(&v, 0, sizeof(v));
    show("stop", setitimer(ITIMER_REAL, &v, &old));
    say("interval was %ld\n", (long)old.it_interval.tv_usec);
    set(ITIMER_VIRTUAL, 20000, 20000);
    while (virtuals < 3) {
    }
    say("virtual\n");
    set(ITIMER_VIRTUAL, 0, 0);
    set(ITIMER_PROF, 20000, 0);
    while (!profs) {
    }
    getitimer(ITIMER_PROF, &v);
    say("prof once, left %ld\n", (long)v.it_value.tv_usec);
    show("bad which", setitimer(3, &v, NULL));
    show("bad which get", getitimer(-1, &v));
    v.it_value.tv_usec = 1000000;
    show("bad usec", setitimer(ITIMER_REAL, &v, NULL));
    v.it_value.tv_usec = -1;
    show("negative usec", setitimer(ITIMER_REAL, &v, NULL));
    alarm(100);
    pid_t pid = fork();
    if (pid == 0) {
        getitimer(ITIMER_REAL, &v);
        say("child inherits nothing: %ld\n", (long)v.it_value.tv_sec);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) {
        signal(SIGALRM, SIG_DFL);
        ualarm(5000, 0);
        for (;;) {
        }
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("alarm kills", status);
    return 0;
}
