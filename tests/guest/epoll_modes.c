// SPDX-License-Identifier: MIT
// epoll beyond the basics: edges on partial reads, writers and hang-ups, nesting, exclusive, modification, many events.
#include "t.h"
#include <sys/epoll.h>

static void wait_show(const char *what, int ep, int max, int ms)
{
    struct epoll_event e[16];
    int n = epoll_wait(ep, e, max, ms);
    say("%s: %d", what, n < 0 ? -1 : n);
    unsigned all = 0;
    unsigned long long ids = 0;
    for (int i = 0; i < n; i++) {
        all |= e[i].events;
        ids += 1ULL << (4 * e[i].data.u32);
    }
    say(" %#x %llx\n", all, ids);
}

static int add(int ep, int fd, unsigned events, unsigned id)
{
    struct epoll_event e = {.events = events, .data.u32 = id};
    return epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e);
}

static int mod(int ep, int fd, unsigned events, unsigned id)
{
    struct epoll_event e = {.events = events, .data.u32 = id};
    return epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e);
}

int main(void)
{
    char b[100];
    int ep = epoll_create(1), p[2], q[2];
    pipe(p);
    pipe(q);
    show("edge add", add(ep, p[0], EPOLLIN | EPOLLET, 1));
    write(p[1], "hello", 5);
    wait_show("edge", ep, 8, 0);
    read(p[0], b, 2);
    wait_show("after a partial read", ep, 8, 0);
    write(p[1], "more", 4);
    wait_show("new data is a new edge", ep, 8, 0);
    show("mod rearms", mod(ep, p[0], EPOLLIN | EPOLLET, 2));
    wait_show("rearmed", ep, 8, 0);
    close(p[1]);
    wait_show("hang-up", ep, 8, 0);
    wait_show("hang-up again", ep, 8, 0);
    show("no events", mod(ep, p[0], 0, 3));
    wait_show("hup comes anyway", ep, 8, 0);
    close(p[0]);
    wait_show("closed", ep, 8, 0);

    pipe(p);
    add(ep, p[1], EPOLLOUT | EPOLLET, 4);
    add(ep, q[1], EPOLLOUT, 5);
    add(ep, q[0], EPOLLIN, 6);
    wait_show("writers", ep, 8, 0);
    wait_show("level writer", ep, 8, 0);
    fcntl(p[1], F_SETFL, O_NONBLOCK);
    while (write(p[1], b, sizeof(b)) > 0) {
    }
    wait_show("full", ep, 8, 0);
    char big[65536];
    read(p[0], big, sizeof(big));
    wait_show("room again", ep, 8, 0);
    write(q[1], "x", 1);
    wait_show("one at a time", ep, 1, 0);
    wait_show("both", ep, 8, 0);
    close(p[0]);
    wait_show("no reader", ep, 8, 0);
    show("del", epoll_ctl(ep, EPOLL_CTL_DEL, p[1], NULL));
    show("del again", epoll_ctl(ep, EPOLL_CTL_DEL, p[1], NULL));

    int outer = epoll_create1(0), third = epoll_create1(0);
    show("nest", add(outer, ep, EPOLLIN, 7));
    show("nest more", add(third, outer, EPOLLIN, 8));
    show("loop", add(ep, third, EPOLLIN, 9));
    wait_show("through two", third, 8, 0);
    read(q[0], b, 1);
    show("del writer", epoll_ctl(ep, EPOLL_CTL_DEL, q[1], NULL));
    wait_show("quiet", third, 8, 0);
    if (fork() == 0) {
        usleep(20000);
        write(q[1], "y", 1);
        _exit(0);
    }
    wait_show("woken through two", third, 8, 3000);
    wait(NULL);
    show("exclusive mod", mod(ep, q[0], EPOLLIN | EPOLLEXCLUSIVE, 1));
    epoll_ctl(ep, EPOLL_CTL_DEL, q[0], NULL);
    show("exclusive add", add(ep, q[0], EPOLLIN | EPOLLEXCLUSIVE, 1));
    show("exclusive oneshot", add(outer, q[0], EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT, 1));
    wait_show("exclusive", ep, 8, 0);
    int copy = dup(q[0]);
    close(q[0]);
    wait_show("open through the copy", ep, 8, 0);
    close(copy);
    wait_show("gone", ep, 8, 0);
    show("max 0", epoll_wait(ep, (struct epoll_event *)big, 0, 0));
    show("not epoll", epoll_wait(0, (struct epoll_event *)big, 1, 0));
    show("bad flags", epoll_create1(1));
    show("size 0", epoll_create(0));
    return 0;
}
