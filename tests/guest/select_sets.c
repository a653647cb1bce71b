// SPDX-License-Identifier: MIT
// select, pselect and ppoll: sets, results, bad descriptors, timeouts written back, masks taken during the wait.
#include "t.h"
#include <poll.h>
#include <sys/select.h>

static int hits;
static void on_signal(int sig)
{
    hits += sig == SIGUSR1;
}

static void sets(const char *what, int n, fd_set *r, fd_set *w, int *fds, int count)
{
    say("%s: %d", what, n);
    for (int i = 0; i < count; i++) {
        say(" %d%d", r && FD_ISSET(fds[i], r) ? 1 : 0, w && FD_ISSET(fds[i], w) ? 1 : 0);
    }
    say("\n");
}

int main(void)
{
    int p[2], file = open("f", O_CREAT | O_RDWR, 0600);
    pipe(p);
    int fds[3] = {p[0], p[1], file};
    fd_set r, w;
    struct timeval tv = {0, 0};
    FD_ZERO(&r);
    FD_ZERO(&w);
    for (int i = 0; i < 3; i++) {
        FD_SET(fds[i], &r);
        FD_SET(fds[i], &w);
    }
    sets("all", select(file + 1, &r, &w, NULL, &tv), &r, &w, fds, 3);
    write(p[1], "x", 1);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    sets("readable", select(p[0] + 1, &r, NULL, NULL, NULL), &r, NULL, fds, 1);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    sets("n too small", select(p[0], &r, NULL, NULL, &tv), &r, NULL, fds, 1);
    FD_SET(50, &r); // below 64: how far a table reaches is the host's affair
    show("bad fd", select(51, &r, NULL, NULL, &tv));
    show("negative", select(-1, &r, NULL, NULL, &tv));
    tv = (struct timeval){-1, 0};
    show("bad time", select(0, NULL, NULL, NULL, &tv));
    tv = (struct timeval){0, 20000};
    show("sleep", select(0, NULL, NULL, NULL, &tv));
    say("left %ld %ld\n", (long)tv.tv_sec, (long)tv.tv_usec);
    tv = (struct timeval){50, 0};
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    show("early", select(p[0] + 1, &r, NULL, NULL, &tv));
    say("much left %d\n", tv.tv_sec >= 48);

    struct sigaction a = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &a, NULL);
    sigset_t blocked, none, now;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    raise(SIGUSR1);
    struct timespec ts = {5, 0};
    show("pselect", pselect(0, NULL, NULL, NULL, &ts, &none));
    say("hits %d\n", hits);
    sigprocmask(SIG_BLOCK, NULL, &now);
    say("still blocked %d\n", sigismember(&now, SIGUSR1));
    raise(SIGUSR1);
    struct pollfd pf = {p[0], POLLIN, 0};
    show("ppoll ready first", ppoll(&pf, 1, &ts, &none));
    say("hits %d\n", hits);
    read(p[0], &tv, 1);
    ts = (struct timespec){0, 1000};
    show("ppoll", ppoll(&pf, 1, &ts, &none));
    say("hits %d\n", hits);
    show("ppoll time", ppoll(&pf, 1, &ts, NULL));
    ts.tv_nsec = 2000000000;
    show("ppoll bad time", ppoll(&pf, 1, &ts, NULL));
    close(p[1]);
    FD_ZERO(&r);
    FD_SET(p[0], &r);
    sets("end of file", select(p[0] + 1, &r, NULL, NULL, NULL), &r, NULL, fds, 1);
    return 0;
}
