// SPDX-License-Identifier: MIT
// MAP_SHARED survives fork, MAP_PRIVATE is copied on write in both directions, MADV_DONTNEED zeroes.
#include "t.h"
#include <sys/mman.h>

int main(void)
{
    volatile int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int *private = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 16; i++) {
        private[i * 1024] = 100 + i;
    }
    *shared = 1;
    pid_t pid = fork();
    if (pid == 0) {
        private[0] = 1;
        private[15 * 1024] = 2;
        *shared = 42;
        say("child sees %d %d %d\n", private[0], private[1024], private[15 * 1024]);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            private[1024] = 77;
            say("grandchild sees %d %d\n", private[0], private[1024]);
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        say("child after grandchild %d\n", private[1024]);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    say("parent sees %d %d %d shared %d\n", private[0], private[1024], private[15 * 1024], *shared);
    private[0] = 5;
    say("parent writes %d\n", private[0]);
    show("DONTNEED", madvise((void *)private, 65536, MADV_DONTNEED));
    say("zeroed %d %d\n", private[0], private[1024]);
    show("DONTNEED shared", madvise((void *)shared, 4096, MADV_DONTNEED));
    say("kept %d\n", *shared);
    show("madvise bad advice", madvise((void *)private, 4096, 12345));
    show("madvise unaligned", madvise((char *)private + 1, 4096, MADV_DONTNEED));
    munmap((void *)private, 65536);
    show("madvise unmapped", madvise((void *)private, 65536, MADV_DONTNEED));
    return 0;
}
