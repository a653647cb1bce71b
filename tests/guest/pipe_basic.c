// SPDX-License-Identifier: MIT
// Pipes: data, end of file against EAGAIN, EPIPE with SIGPIPE, ESPIPE, FIONREAD, capacity.
#include "t.h"
#include <sys/ioctl.h>

int main(void)
{
    int p[2];
    char buffer[64] = "";
    show("pipe2", pipe2(p, O_NONBLOCK));
    show("read empty", read(p[0], buffer, 8));
    show("write", write(p[1], "hello", 5));
    int available = 0;
    show("FIONREAD", ioctl(p[0], FIONREAD, &available));
    say("available %d\n", available);
    show("read 3", read(p[0], buffer, 3));
    say("%.3s\n", buffer);
    show("lseek", lseek(p[0], 0, SEEK_SET));
    show("pread", pread(p[0], buffer, 1, 0));
    show("write to read end", write(p[0], "x", 1));
    show("read from write end", read(p[1], buffer, 1));
    show("F_GETPIPE_SZ", fcntl(p[1], F_GETPIPE_SZ));
    long filled = 0;
    static char block[4096];
    for (ssize_t n; (n = write(p[1], block, sizeof(block))) > 0;) {
        filled += n;
    }
    say("filled %ld then %s\n", filled, errno_name(errno));
    show("one more byte", write(p[1], "x", 1));
    close(p[1]);
    long drained = 0;
    for (ssize_t n; (n = read(p[0], block, sizeof(block))) > 0;) {
        drained += n;
    }
    say("drained %ld\n", drained);
    show("eof", read(p[0], buffer, 1));
    show("pipe", pipe(p));
    close(p[0]);
    signal(SIGPIPE, SIG_IGN);
    show("write without reader", write(p[1], "x", 1));
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        show("unreached", write(p[1], "x", 1));
        _exit(0);
    }
    int status;
    waitpid(pid, &status, 0);
    show_status("writer", status);
    struct stat st;
    fstat(p[1], &st);
    say("fifo %d mode %o\n", S_ISFIFO(st.st_mode), st.st_mode & 0777);
    show("pipe bad pointer", pipe((int *)8));
    show("pipe2 bad flags", pipe2(p, 0x7));
    return 0;
}
