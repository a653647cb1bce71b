// SPDX-License-Identifier: MIT
// nice(1), which Debian's busybox leaves out: nice [-n N | -N] [COMMAND [ARG]...]. Without a
// command, prints the niceness.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static int usage(void)
{
    fprintf(stderr, "usage: nice [-n N] [COMMAND [ARG]...]\n");
    return 125;
}

int main(int argc, char **argv)
{
    int by = 10, at = 1;
    if (argc > 1 && argv[1][0] == '-') {
        const char *number = argv[1] + 1;
        if (*number == 'n') {
            number = argv[1][2] ? argv[1] + 2 : argc > 2 ? argv[++at] : "";
        }
        char *end;
        by = (int)strtol(number, &end, 10);
        if (end == number || *end) {
            return usage();
        }
        at++;
    }
    if (at >= argc) {
        if (argc > 1) {
            return usage();
        }
        printf("%d\n", getpriority(PRIO_PROCESS, 0));
        return 0;
    }
    errno = 0;
    if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + by) < 0) {
        perror("nice"); // and goes on, as POSIX has it
    }
    execvp(argv[at], argv + at);
    int status = errno == ENOENT ? 127 : 126;
    fprintf(stderr, "nice: %s: %s\n", argv[at], strerror(errno));
    return status;
}
