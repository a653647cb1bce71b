// SPDX-License-Identifier: MIT
// Named pipes: open blocks for the other side, ENXIO for a non-blocking writer, reopen after EOF.
#include "t.h"

int main(void)
{
    show("mkfifo", mkfifo("f", 0644));
    show("mkfifo again", mkfifo("f", 0644));
    show("writer nonblock without reader", open("f", O_WRONLY | O_NONBLOCK));
    int r = open("f", O_RDONLY | O_NONBLOCK);
    say("reader nonblock %d\n", r >= 0);
    char c;
    show("read without writer", read(r, &c, 1));
    int w = open("f", O_WRONLY | O_NONBLOCK);
    say("writer now %d\n", w >= 0);
    show("read empty with writer", read(r, &c, 1));
    show("write", write(w, "z", 1));
    show("read", read(r, &c, 1));
    close(w);
    show("read after close", read(r, &c, 1));
    close(r);
    pid_t pid = fork();
    if (pid == 0) {
        sleep_ms(30);
        int fd = open("f", O_WRONLY);
        write(fd, "late", 4);
        _exit(0);
    }
    r = open("f", O_RDONLY);
    char text[8] = "";
    show("blocking read", read(r, text, sizeof(text)));
    say("%s\n", text);
    show("eof", read(r, text, sizeof(text)));
    waitpid(pid, NULL, 0);
    struct stat st;
    stat("f", &st);
    say("fifo %d size %ld\n", S_ISFIFO(st.st_mode), (long)st.st_size);
    show("unlink", unlink("f"));
    return 0;
}
