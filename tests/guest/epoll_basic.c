// SPDX-License-Identifier: MIT
// epoll: level and edge triggered, one-shot, errors of epoll_ctl, nesting, removal by close.
#include "t.h"
#include <sys/epoll.h>

static void wait_show(const char *what, int ep)
{
    struct epoll_event events[8];
    int n = epoll_wait(ep, events, 8, 0);
    say("%s: %d", what, n);
    for (int i = 0; i < n; i++) {
        say(" [%#x %llu]", events[i].events, (unsigned long long)events[i].data.u64);
    }
    say("\n");
}

int main(void)
{
    int ep = epoll_create1(EPOLL_CLOEXEC), p[2];
    pipe(p);
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = 7};
    show("add", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
    show("add again", epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e));
    show("mod absent", epoll_ctl(ep, EPOLL_CTL_MOD, p[1], &e));
    show("del absent", epoll_ctl(ep, EPOLL_CTL_DEL, p[1], &e));
    show("add itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e));
    show("add bad fd", epoll_ctl(ep, EPOLL_CTL_ADD, 99, &e));
    int file = open("file", O_CREAT | O_RDWR, 0600);
    show("add file", epoll_ctl(ep, EPOLL_CTL_ADD, file, &e));
    wait_show("nothing", ep);
    write(p[1], "abc", 3);
    wait_show("level 1", ep);
    wait_show("level 2", ep);
    e.events = EPOLLIN | EPOLLET;
    show("mod edge", epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e));
    wait_show("edge 1", ep);
    wait_show("edge 2", ep);
    write(p[1], "d", 1);
    wait_show("edge after write", ep);
    e.events = EPOLLIN | EPOLLONESHOT;
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
    wait_show("oneshot 1", ep);
    wait_show("oneshot 2", ep);
    epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e);
    wait_show("oneshot rearmed", ep);
    e.events = EPOLLOUT;
    e.data.u64 = 8;
    epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &e);
    wait_show("writable", ep);
    int outer = epoll_create1(0);
    e.events = EPOLLIN;
    e.data.u64 = 9;
    show("nest", epoll_ctl(outer, EPOLL_CTL_ADD, ep, &e));
    wait_show("outer", outer);
    show("loop", epoll_ctl(ep, EPOLL_CTL_ADD, outer, &e));
    close(p[0]);
    wait_show("after close of the reader", ep);
    close(p[1]);
    wait_show("after close of both", ep);
    struct epoll_event out;
    show("maxevents 0", epoll_wait(ep, &out, 0, 0));
    show("not epoll", epoll_wait(file, &out, 1, 0));
    show("timeout", epoll_wait(ep, &out, 1, 20));
    show("create size 0", epoll_create(0));
    return 0;
}
