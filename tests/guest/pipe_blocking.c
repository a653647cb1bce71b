// SPDX-License-Identifier: MIT
// A blocked reader and a blocked writer wake; a large transfer keeps its bytes; atomic PIPE_BUF writes do not interleave.
#include "t.h"

static unsigned checksum(unsigned sum, const unsigned char *bytes, ssize_t n)
{
    for (ssize_t i = 0; i < n; i++) {
        sum = sum * 31 + bytes[i];
    }
    return sum;
}

static void large_transfer(void)
{
    int p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        close(p[0]);
        static unsigned char bytes[300000];
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (unsigned char)(i * 7 + i / 251);
        }
        say("writer wrote %zd sum %u\n", write(p[1], bytes, sizeof(bytes)), checksum(0, bytes, sizeof(bytes)));
        _exit(0);
    }
    close(p[1]);
    unsigned sum = 0;
    long total = 0;
    unsigned char part[1237];
    sleep_ms(20);
    for (ssize_t n; (n = read(p[0], part, sizeof(part))) > 0;) {
        sum = checksum(sum, part, n);
        total += n;
    }
    int status;
    waitpid(pid, &status, 0);
    say("reader got %ld sum %u\n", total, sum);
    close(p[0]);
}

static void atomic_writes(void)
{
    int p[2];
    pipe(p);
    for (int child = 0; child < 4; child++) {
        if (fork() == 0) {
            char line[512];
            memset(line, 'a' + child, sizeof(line));
            for (int i = 0; i < 100; i++) {
                write(p[1], line, sizeof(line));
            }
            _exit(0);
        }
    }
    close(p[1]);
    long mixed = 0, lines = 0;
    char line[512];
    for (;;) {
        size_t have = 0;
        ssize_t n = 0;
        while (have < sizeof(line) && (n = read(p[0], line + have, sizeof(line) - have)) > 0) {
            have += (size_t)n;
        }
        if (have < sizeof(line)) {
            break;
        }
        lines++;
        for (size_t i = 1; i < sizeof(line); i++) {
            mixed += line[i] != line[0];
        }
    }
    while (wait(NULL) > 0) {
    }
    say("lines %ld mixed %ld\n", lines, mixed);
}

int main(void)
{
    large_transfer();
    atomic_writes();
    return 0;
}
