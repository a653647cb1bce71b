// SPDX-License-Identifier: MIT
// dup, dup2, dup3, fcntl: what belongs to the descriptor and what to the open file.
#include "t.h"

int main(int argc, char **argv)
{
    if (argc > 1) {
        for (int fd = 10; fd < 14; fd++) {
            say("after exec: fd %d %s\n", fd, fcntl(fd, F_GETFD) < 0 ? "closed" : "open");
        }
        return 0;
    }
    int fd = open("f", O_RDWR | O_CREAT, 0644);
    write(fd, "0123456789", 10);
    int copy = dup(fd);
    lseek(fd, 3, SEEK_SET);
    char c = 0;
    read(copy, &c, 1);
    say("shared offset %c\n", c);
    int second = open("f", O_RDWR);
    read(second, &c, 1);
    say("own offset %c\n", c);
    show("dup2 same", dup2(fd, fd) == fd);
    show("dup3 same", dup3(fd, fd, 0));
    show("dup2 bad", dup2(99, 5));
    show("dup2 negative", dup2(fd, -1));
    show("dup3 bad flags", dup3(fd, 20, O_APPEND));
    show("dup2", dup2(fd, 10));
    show("dup3", dup3(fd, 11, O_CLOEXEC));
    show("F_DUPFD", fcntl(fd, F_DUPFD, 12));
    show("F_DUPFD_CLOEXEC", fcntl(fd, F_DUPFD_CLOEXEC, 12));
    say("flags %d %d %d %d\n", fcntl(10, F_GETFD), fcntl(11, F_GETFD), fcntl(12, F_GETFD), fcntl(13, F_GETFD));
    show("F_SETFL append", fcntl(10, F_SETFL, O_APPEND | O_NONBLOCK));
    say("seen through the other %d\n", (fcntl(fd, F_GETFL) & (O_APPEND | O_NONBLOCK)) == (O_APPEND | O_NONBLOCK));
    say("not through another open %d\n", fcntl(second, F_GETFL) & (O_APPEND | O_NONBLOCK));
    say("access mode kept %d\n", (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
    lseek(fd, 0, SEEK_SET);
    write(fd, "A", 1);
    struct stat st;
    fstat(fd, &st);
    say("append wrote at the end %ld\n", (long)st.st_size);
    show("close", close(99));
    show("F_GETFD closed", fcntl(99, F_GETFD));
    show("bad command", fcntl(fd, 9999));
    execl("/proc/self/exe", argv[0], "again", (char *)NULL);
    show("exec", -1);
    return 1;
}
