// SPDX-License-Identifier: MIT
// vfork: the parent sleeps until exec or exit and shares memory; posix_spawn and system work.
#include "t.h"
#include <spawn.h>

extern char **environ;

int main(int argc, char **argv)
{
    if (argc > 1) {
        say("spawned with %s\n", argv[1]);
        return 5;
    }
    volatile int shared = 1;
    pid_t pid = vfork();
    if (pid == 0) {
        shared = 2;
        sleep_ms(20);
        shared = 3;
        _exit(4);
    }
    say("after the child: %d\n", shared);
    int status;
    waitpid(pid, &status, 0);
    show_status("vfork child", status);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    pid = vfork();
    if (pid == 0) {
        close(fd);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    show("the parent's descriptor is its own", fcntl(fd, F_GETFD));
    char *args[] = {argv[0], "argument", NULL};
    int spawned = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ);
    waitpid(pid, &status, 0);
    show("posix_spawn", spawned); // not before the child has written
    show_status("spawned", status);
    int error = posix_spawn(&pid, "/no/such", NULL, NULL, args, environ);
    say("posix_spawn missing: %s\n", errno_name(error));
    show_status("system", system("exit 6"));
    return 0;
}
