// SPDX-License-Identifier: MIT
// Signals and threads: masks per thread, who takes a process's signal, group exit, group stop, a
// thread's last words.
#define _GNU_SOURCE
#include "t.h"
#include <pthread.h>
#include <sys/syscall.h>

static volatile int taken_by[2];
static pthread_t other;
static volatile int stop, ready;

static void on_usr1(int sig)
{
    (void)sig;
    taken_by[pthread_equal(pthread_self(), other)]++;
}

// A busy host may take its time; two signals that wait together are one.
static void wait_until_taken(int total)
{
    for (int i = 0; i < 500 && taken_by[0] + taken_by[1] < total; i++) {
        sleep_ms(10);
    }
}

static void *idle(void *arg)
{
    (void)arg;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    ready = 1;
    while (!stop) {
        sleep_ms(2);
    }
    return NULL;
}

static void *sleeper(void *arg)
{
    (void)arg;
    for (;;) {
        pause();
    }
    return NULL;
}

static void *group_exiter(void *arg)
{
    (void)arg;
    sleep_ms(10);
    syscall(SYS_exit_group, 41);
    return NULL;
}

static void *late_exit(void *arg)
{
    char c;
    read(*(int *)arg, &c, 1);
    syscall(SYS_exit, 17);
    return NULL;
}

static void *crash(void *arg)
{
    sleep_ms(10);
    *(volatile int *)arg = 1;
    return NULL;
}

static void child(const char *what, void *(*fn)(void *), bool leader_exits)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, sleeper, NULL);
        if (fn) {
            pthread_create(&t, NULL, fn, NULL);
        }
        if (leader_exits) {
            syscall(SYS_exit, 5);
        }
        sleeper(NULL);
    }
    if (!fn) {
        sleep_ms(20);
        kill(pid, SIGSTOP);
        show("stops as a whole", waitpid(pid, &status, WUNTRACED) == pid);
        show_status(what, status);
        kill(pid, SIGCONT);
        show("continues", waitpid(pid, &status, WCONTINUED) == pid);
        show_status(what, status);
        kill(pid, SIGTERM);
    }
    waitpid(pid, &status, 0);
    show_status(what, status);
}

int main(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, on_usr1);
    pthread_create(&other, NULL, idle, NULL);
    while (!ready) {
        sleep_ms(2);
    }
    for (int i = 0; i < 5; i++) {
        kill(getpid(), SIGUSR1);
        wait_until_taken(i + 1);
    }
    say("blocked in main: main %d other %d\n", taken_by[0], taken_by[1]);
    syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    sleep_ms(10);
    say("directed to main: main %d other %d\n", taken_by[0], taken_by[1]);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    say("unblocked: main %d other %d\n", taken_by[0], taken_by[1]);
    pthread_kill(other, SIGUSR1);
    wait_until_taken(7);
    say("directed to other: main %d other %d\n", taken_by[0], taken_by[1]);
    stop = 1;
    pthread_join(other, NULL);
    child("exit_group in a thread", group_exiter, false);
    child("crash in a thread", crash, false);
    child("stopped", NULL, false);
    int status, p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t t;
        pthread_create(&t, NULL, late_exit, &p[0]);
        syscall(SYS_exit, 5);
    }
    await_state(pid, 'Z');
    show("leader gone, thread runs", waitpid(pid, &status, WNOHANG));
    write(p[1], "x", 1);
    waitpid(pid, &status, 0);
    show_status("leader's status counts", status);
    return 0;
}
