// SPDX-License-Identifier: MIT
// What the gdb test looks at: a byte on the stack with one writer, a system call, a page fault, two
// tasks that compete for the CPU until the tick switches between them.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPIN 3000000

static __attribute__((noinline)) void fill(volatile char *bytes, int count)
{
    for (int i = 0; i < count; i++) {
        bytes[i] = (char)(i + 1);
    }
}

static char pages[3 * 4096];

static __attribute__((noinline)) int touch(int n)
{
    int sum = n;
    pages[4096 + n] = 1; // faults
    sum += pages[4096 + n];
    return sum;
}

static __attribute__((noinline)) void spin(volatile unsigned *turns)
{
    while (*turns < SPIN) {
        ++*turns;
    }
}

static __attribute__((noinline)) void compete(void)
{
    volatile unsigned turns = 0;
    int pid = fork();
    spin(&turns);
    if (!pid) {
        _exit(3);
    }
    int status = 0;
    waitpid(pid, &status, 0);
}

int main(void)
{
    volatile char bytes[64];
    fill(bytes, sizeof(bytes));
    int fd = openat(AT_FDCWD, "/etc/passwd", O_RDONLY);
    compete();
    return fd == 3 && bytes[5] == 6 && touch(7) == 8 ? 0 : 1;
}
