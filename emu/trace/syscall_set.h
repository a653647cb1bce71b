// SPDX-License-Identifier: MIT
// A set of system calls, written as strace writes it.
#ifndef VIV_TRACE_SYSCALL_SET_H
#define VIV_TRACE_SYSCALL_SET_H

#include "base/status.h"
#include "base/types.h"

#define SYSCALL_SET_NUMBERS 512

struct syscall_set {
    u64 words[SYSCALL_SET_NUMBERS / 64];
    bool unknown; // numbers without a row
};

void syscall_set_all(struct syscall_set *set);
bool syscall_set_has(const struct syscall_set *set, u64 number);

// Reads "all", "none", "[!]WORD[,WORD]...": a WORD is a name, a number, %class or /regex, with ?
// before it if it may match nothing. STATUS_USAGE: no such call, in one line.
struct status syscall_set_parse(struct syscall_set *set, const char *text);

#endif
