// SPDX-License-Identifier: MIT
// Record locks: splitting and joining, conflicts as F_GETLK tells them, waiting, deadlock, release by close, OFD locks.
#include "t.h"
#include <sys/mman.h>

static int fd;

static int lock(int how, int type, long start, long len)
{
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, how, &l);
}

// What another process sees at [start, start + len) for a write lock.
static void seen(const char *what, long start, long len)
{
    if (fork() == 0) {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
        int r = fcntl(fd, F_GETLK, &l);
        say("%s: %d type %d start %ld len %ld parent %d\n", what, r, l.l_type, l.l_type == F_UNLCK ? 0 : (long)l.l_start,
            l.l_type == F_UNLCK ? 0 : (long)l.l_len, l.l_pid == getppid());
        _exit(0);
    }
    wait(NULL);
}

static void deadlock(void)
{
    int up[2], down[2];
    char c;
    pipe(up);
    pipe(down);
    lock(F_SETLK, F_WRLCK, 0, 10);
    if (fork() == 0) {
        lock(F_SETLK, F_WRLCK, 100, 10);
        write(up[1], "x", 1);
        int r = lock(F_SETLKW, F_WRLCK, 0, 10); // waits for the parent
        say("child got it %d\n", r);
        _exit(0);
    }
    read(up[0], &c, 1);
    usleep(100000);
    show("deadlock", lock(F_SETLKW, F_WRLCK, 100, 10));
    lock(F_SETLK, F_UNLCK, 0, 10);
    wait(NULL);
}

static void on_alarm(int sig)
{
    (void)sig;
}

int main(void)
{
    fd = open("f", O_CREAT | O_RDWR, 0600);
    write(fd, "0123456789", 10);
    show("write lock", lock(F_SETLK, F_WRLCK, 0, 100));
    seen("all", 0, 0);
    show("middle to read", lock(F_SETLK, F_RDLCK, 40, 20));
    seen("front", 0, 30);
    seen("middle", 45, 1);
    seen("back", 70, 1);
    show("hole", lock(F_SETLK, F_UNLCK, 10, 5));
    seen("in the hole", 11, 2);
    seen("behind the hole", 12, 30);
    show("join", lock(F_SETLK, F_WRLCK, 0, 0));
    seen("joined", 5, 1);
    show("unlock tail", lock(F_SETLK, F_UNLCK, 1000, 0));
    seen("head", 999, 1);
    seen("tail", 1000, 1);
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_END, .l_start = -3, .l_len = -4};
    show("negative length", fcntl(fd, F_SETLK, &l));
    seen("backwards", 0, 0);
    l = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = -1};
    show("before the start", fcntl(fd, F_SETLK, &l));
    l.l_start = 0;
    l.l_whence = 9;
    show("bad whence", fcntl(fd, F_SETLK, &l));
    l.l_whence = 0;
    l.l_type = 7;
    show("bad type", fcntl(fd, F_SETLK, &l));
    int ro = open("f", O_RDONLY);
    l.l_type = F_WRLCK;
    show("write lock read-only", fcntl(ro, F_SETLK, &l));
    close(ro);
    seen("close of another descriptor lets go", 0, 0);
    deadlock();
    close(fd);
    fd = open("f", O_RDWR);

    struct sigaction a = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &a, NULL);
    int go[2], done[2];
    char c;
    pipe(go);
    pipe(done);
    if (fork() == 0) {
        lock(F_SETLK, F_WRLCK, 0, 1);
        write(go[1], "x", 1);
        read(done[0], &c, 1);
        _exit(0);
    }
    read(go[0], &c, 1);
    show("taken", lock(F_SETLK, F_WRLCK, 0, 1));
    ualarm(30000, 0);
    show("interrupted", lock(F_SETLKW, F_WRLCK, 0, 1));
    write(done[1], "x", 1);
    show("freed by exit", lock(F_SETLKW, F_WRLCK, 0, 1));
    wait(NULL);
    lock(F_SETLK, F_UNLCK, 0, 0);

    int second = open("f", O_RDWR);
    l = (struct flock){.l_type = F_WRLCK, .l_len = 5};
    show("ofd", fcntl(fd, F_OFD_SETLK, &l));
    show("ofd other file", fcntl(second, F_OFD_SETLK, &l));
    l.l_pid = 0;
    show("ofd getlk", fcntl(second, F_OFD_GETLK, &l));
    say("type %d pid %d\n", l.l_type, l.l_pid);
    l = (struct flock){.l_type = F_WRLCK, .l_len = 5, .l_pid = 1};
    show("ofd with pid", fcntl(second, F_OFD_SETLK, &l));
    int copy = dup(fd);
    close(fd);
    l = (struct flock){.l_type = F_WRLCK, .l_len = 5};
    show("held by the copy", fcntl(second, F_OFD_SETLK, &l));
    close(copy);
    show("free", fcntl(second, F_OFD_SETLK, &l));
    return 0;
}
