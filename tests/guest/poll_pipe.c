// SPDX-License-Identifier: MIT
// poll and select on pipes, files, closed descriptors; HUP and ERR are always told; timeouts.
#include "t.h"
#include <poll.h>
#include <sys/select.h>

static void poll_one(const char *what, int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = poll(&p, 1, 0);
    say("%s: %d revents %#x\n", what, n, (unsigned)p.revents);
}

int main(void)
{
    int p[2];
    pipe(p);
    poll_one("empty read end", p[0], POLLIN);
    poll_one("write end", p[1], POLLOUT | POLLIN);
    write(p[1], "x", 1);
    poll_one("full read end", p[0], POLLIN | POLLRDNORM);
    close(p[1]);
    poll_one("read end, data, no writer", p[0], POLLIN);
    char c;
    read(p[0], &c, 1);
    poll_one("read end, eof", p[0], POLLIN);
    poll_one("eof, no events asked", p[0], 0);
    close(p[0]);
    pipe(p);
    close(p[0]);
    poll_one("write end, no reader", p[1], POLLOUT);
    close(p[1]);
    poll_one("closed", p[1], POLLIN);
    poll_one("negative", -1, POLLIN);
    int fd = open("file", O_RDWR | O_CREAT, 0644);
    poll_one("regular file", fd, POLLIN | POLLOUT | POLLPRI);
    poll_one("/dev/null", open("/dev/null", O_RDWR), POLLIN | POLLOUT);
    pipe(p);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    struct pollfd wait = {.fd = p[0], .events = POLLIN};
    show("timeout", poll(&wait, 1, 60));
    clock_gettime(CLOCK_MONOTONIC, &after);
    long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    say("waited long enough %d\n", ms >= 59);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(20);
        write(p[1], "y", 1);
        _exit(0);
    }
    show("woken", poll(&wait, 1, 5000));
    say("revents %#x\n", (unsigned)wait.revents);
    waitpid(pid, NULL, 0);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    struct timeval tv = {1, 0};
    show("select", select(p[1] + 1, &r, &w, NULL, &tv));
    say("r %d w %d\n", FD_ISSET(p[0], &r), FD_ISSET(p[1], &w));
    FD_ZERO(&r);
    FD_SET(40, &r);
    show("select bad fd", select(41, &r, NULL, NULL, &tv));
    tv = (struct timeval){0, 30000};
    show("select sleep", select(0, NULL, NULL, NULL, &tv));
    say("left %ld.%06ld\n", (long)tv.tv_sec, (long)tv.tv_usec);
    tv.tv_usec = -1;
    show("select negative", select(0, NULL, NULL, NULL, &tv));
    show("poll bad pointer", poll((struct pollfd *)8, 1, 0));
    return 0;
}
