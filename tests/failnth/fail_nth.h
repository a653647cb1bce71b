// SPDX-License-Identifier: MIT
// A scenario of the failing-allocations test: one system call that is tried with its n-th
// allocation failing, and what comes before and after it.
#pragma once

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096L

struct scenario {
    const char *calls;     // names of the system calls it is about, with blanks between
    const char *detail;    // tells scenarios of the same call apart; NULL
    bool none;             // allocates nothing, as a reader would expect: held against the kernel
    bool disk;             // allocates on a disk's file system only
    bool child;            // in a child of its own, which `call` may change as it likes
    bool cold;             // with the page, inode and directory caches dropped before
    int tolerated;         // another error by which the call says that there is no memory
    void (*before)(void);  // not failed
    long (*call)(void);    // -1 with errno, or success
    void (*after)(long r); // undoes a success (r >= 0) and `before`; not failed
};

extern const struct scenario file_scenarios[], memory_scenarios[], process_scenarios[],
    plain_scenarios[];

extern char buffer[65536]; // for whatever a call reads or writes
extern int data_fd;        // an empty file in the folder under test, open for both

// Something that the test itself needs failed: says where and ends the test.
void give_up(const char *what);
#define NEED(call)                                                                                 \
    ({                                                                                             \
        long need_ = (long)(call);                                                                 \
        if (need_ == -1) {                                                                         \
            give_up(#call);                                                                        \
        }                                                                                          \
        need_;                                                                                     \
    })

// The child of the execve scenarios: says by its exit status whether the failure is still to come.
int exec_child(void);
#define EXEC_LEFT 77 // exit status: still to come, every allocation of execve got through
