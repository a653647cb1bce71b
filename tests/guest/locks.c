// SPDX-License-Identifier: MIT
// Record locks (fcntl) and flock: conflicts, ranges, splitting, release by close and exit, deadlock, blocking.
#include "t.h"
#include <sys/file.h>

static struct flock range(short type, long start, long length)
{
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
}

static void ask(int fd, long start, long length)
{
    struct flock l = range(F_WRLCK, start, length);
    int result = fcntl(fd, F_GETLK, &l);
    say("getlk %ld+%ld: %d type %d start %ld length %ld\n", start, length, result, l.l_type, l.l_type == F_UNLCK ? 0 : (long)l.l_start,
        l.l_type == F_UNLCK ? 0 : (long)l.l_len);
}

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0600);
    struct flock l = range(F_WRLCK, 0, 100);
    show("lock", fcntl(fd, F_SETLK, &l));
    l = range(F_UNLCK, 40, 20);
    show("unlock the middle", fcntl(fd, F_SETLK, &l));
    l = range(F_RDLCK, 200, 0);
    show("read lock to the end", fcntl(fd, F_SETLK, &l));
    ask(fd, 0, 100);
    int p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        int own = open("f", O_RDWR);
        ask(own, 0, 10);
        ask(own, 40, 20);
        ask(own, 50, 100);
        ask(own, 300, 1);
        struct flock c = range(F_WRLCK, 0, 1);
        show("conflict", fcntl(own, F_SETLK, &c));
        c = range(F_RDLCK, 500, 1);
        show("shared read", fcntl(own, F_SETLK, &c));
        write(p[1], "x", 1);
        c = range(F_WRLCK, 0, 10);
        show("blocking", fcntl(own, F_SETLKW, &c));
        say("got it\n");
        _exit(0);
    }
    char byte;
    read(p[0], &byte, 1);
    await_state(pid, 'S');
    say("releasing by closing another descriptor\n");
    close(open("f", O_RDONLY));
    waitpid(pid, NULL, 0);
    l = range(F_WRLCK, 0, -1);
    show("negative length", fcntl(fd, F_SETLK, &l));
    l = range(77, 0, 1);
    show("bad type", fcntl(fd, F_SETLK, &l));
    int ro = open("f", O_RDONLY);
    l = range(F_WRLCK, 0, 1);
    show("write lock on read-only", fcntl(ro, F_SETLK, &l));
    int second = open("f", O_RDWR);
    show("flock ex", flock(fd, LOCK_EX));
    show("flock other open", flock(second, LOCK_EX | LOCK_NB));
    show("flock shared", flock(second, LOCK_SH | LOCK_NB));
    show("downgrade", flock(fd, LOCK_SH));
    show("both shared", flock(second, LOCK_SH | LOCK_NB));
    show("upgrade blocked", flock(fd, LOCK_EX | LOCK_NB));
    int copy = dup(fd);
    close(fd);
    show("still held by the copy", flock(second, LOCK_EX | LOCK_NB));
    close(copy);
    show("free now", flock(second, LOCK_EX | LOCK_NB));
    show("bad flock", flock(second, 0));
    return 0;
}
