// SPDX-License-Identifier: MIT
// What SA_RESTART restarts (read, wait, write) and what returns EINTR regardless (poll, select, nanosleep, pause, sigsuspend).
#include "t.h"
#include <poll.h>
#include <sys/select.h>
#include <sys/time.h>

static volatile int count;

static void on_alarm(int sig)
{
    (void)sig;
    count++;
}

static void arm(bool restart)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = restart ? SA_RESTART : 0};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {.it_value = {0, 20000}};
    count = 0;
    setitimer(ITIMER_REAL, &timer, NULL);
}

// A helper that writes a byte after 200 ms and then exits with status 3.
static pid_t helper(int fd)
{
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(200);
        write(fd, "h", 1);
        _exit(3);
    }
    return pid;
}

static void calls(bool restart)
{
    say("SA_RESTART %d\n", restart);
    int p[2];
    pipe(p);
    char c;
    pid_t pid = helper(p[1]);
    arm(restart);
    show("read", read(p[0], &c, 1));
    say("handler ran %d\n", count);
    int status;
    waitpid(pid, &status, 0);
    pid = helper(p[1]);
    arm(restart);
    long r = waitpid(pid, &status, 0);
    say("waitpid %s\n", r == pid ? "child" : errno_name(errno));
    waitpid(pid, &status, 0);
    struct pollfd set = {.fd = p[0], .events = POLLPRI};
    arm(restart);
    show("poll", poll(&set, 1, 200));
    arm(restart);
    struct timeval tv = {0, 200000};
    show("select", select(0, NULL, NULL, NULL, &tv));
    arm(restart);
    struct timespec t = {0, 200000000}, left = {0, 0};
    show("nanosleep", nanosleep(&t, &left));
    say("left some %d\n", left.tv_nsec > 100000000 && left.tv_nsec < 200000000);
    arm(restart);
    show("pause", pause());
    arm(restart);
    sigset_t none;
    sigemptyset(&none);
    show("sigsuspend", sigsuspend(&none));
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    calls(false);
    calls(true);
    return 0;
}
