// SPDX-License-Identifier: MIT
// A guest program with a past worth asking about: who wrote a byte of its stack, a file that a disk
// brought into memory, calls, a second process, an answer that a debugger may change.
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

unsigned char *victim; // a byte of main's stack
const char *file;      // a page of the page cache
int answer = 3;

__attribute__((noinline)) void scribble(unsigned char *at, int value)
{
    *at = (unsigned char)value;
}

__attribute__((noinline)) int add(int a, int b)
{
    int sum = a + b;
    return sum;
}

__attribute__((noinline)) int work(int n)
{
    int total = 0;
    for (int i = 0; i < n; i++) {
        total = add(total, i);
    }
    return total;
}

__attribute__((noinline)) int down(int n)
{
    if (!n) {
        return 0;
    }
    int below = down(n - 1);
    return below + n;
}

__attribute__((noinline)) void looked(void)
{
    __asm__ volatile("");
}

__attribute__((noinline)) void map_file(void)
{
    int fd = open("/data", O_RDONLY);
    file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    if (file == MAP_FAILED || file[7] != 'D') {
        _exit(90);
    }
    close(fd);
}

static void take_turns(void)
{
    int child = fork();
    for (int i = 0; i < 3; i++) {
        sched_yield();
    }
    if (!child) {
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(void)
{
    unsigned char bytes[16];
    memset(bytes, 0, sizeof(bytes));
    victim = &bytes[5];
    scribble(&bytes[5], 0x41);
    scribble(&bytes[6], 0x42);
    map_file();
    int total = work(10) + down(6) - 21;
    take_turns();
    getppid();
    looked();
    printf("%d %d\n", total, bytes[5]);
    fflush(stdout);
    return answer;
}
