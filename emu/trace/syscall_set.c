// SPDX-License-Identifier: MIT
// Names, classes and patterns of system calls. What takes a path or a descriptor stands in the
// table of calls; the other classes are strace's, by name.
#include "trace/syscall_set.h"

#include "base/bits.h"
#include "base/memory.h"
#include "trace/syscalls.h"

#include <ctype.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct named_class {
    const char *name;
    const char *calls; // " a b c "
};

static const struct named_class classes[] = {
    {"process", " clone clone3 execve execveat exit exit_group fork kill pidfd_send_signal "
                "rt_sigqueueinfo rt_tgsigqueueinfo tgkill tkill vfork wait4 waitid "},
    {"network", " accept accept4 bind connect getpeername getpmsg getsockname getsockopt listen "
                "putpmsg recvfrom recvmmsg recvmsg sendfile sendmmsg sendmsg sendto setsockopt "
                "shutdown socket socketpair "},
    {"signal", " io_uring_enter kill pause pidfd_send_signal rt_sigaction rt_sigpending "
               "rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
               "rt_tgsigqueueinfo sigaltstack signalfd signalfd4 tgkill tkill "},
    {"ipc", " msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt "
            "shmget "},
    {"memory", " brk get_mempolicy io_destroy io_setup io_uring_register madvise mbind "
               "migrate_pages mincore mlock mlock2 mlockall mmap move_pages mprotect mremap msync "
               "munlock munlockall munmap pkey_mprotect remap_file_pages set_mempolicy "
               "set_mempolicy_home_node shmat shmdt "},
    {"creds", " capget capset getegid geteuid getgid getgroups getresgid getresuid getuid prctl "
              "setfsgid setfsuid setgid setgroups setregid setresgid setresuid setreuid setuid "},
    {"clock", " adjtimex clock_adjtime clock_getres clock_gettime clock_settime gettimeofday "
              "settimeofday time "},
    {"pure", " getegid geteuid getgid getpgrp getpid getppid gettid getuid "},
    {"stat", " stat "},
    {"lstat", " lstat "},
    {"fstat", " fstat newfstatat statx "},
    {"%stat", " fstat lstat newfstatat stat statx "},
    {"statfs", " statfs "},
    {"fstatfs", " fstatfs "},
    {"%statfs", " fstatfs statfs ustat "},
};

// Belong to %file or %desc although no argument says so.
static const char more_files[] = " getcwd fsconfig ";
static const char more_descriptors[] = " bpf poll ppoll pselect6 select sendfile ";

static bool listed(const char *list, const char *name)
{
    char *word = xasprintf(" %s ", name);
    bool found = strstr(list, word) != NULL;
    free(word);
    return found;
}

static bool has_kind(const struct syscall_row *row, enum syscall_kind kind)
{
    bool found = row->result == kind;
    for (unsigned i = 0; i < ARRAY_LEN(row->args); i++) {
        found = found || row->args[i] == kind;
    }
    return found;
}

static const char *class_calls(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(classes); i++) {
        if (strcmp(classes[i].name, name) == 0) {
            return classes[i].calls;
        }
    }
    return NULL;
}

static bool in_class(const struct syscall_row *row, const char *name)
{
    if (strcmp(name, "file") == 0) {
        return has_kind(row, KIND_PATH) || listed(more_files, row->name);
    }
    if (strcmp(name, "desc") == 0) {
        bool descriptor =
            has_kind(row, KIND_FD) || has_kind(row, KIND_DIRFD) || has_kind(row, KIND_FDPAIR_OUT);
        return (descriptor && !listed(class_calls("network"), row->name)) ||
               listed(more_descriptors, row->name);
    }
    const char *calls = class_calls(name);
    return calls && listed(calls, row->name);
}

void syscall_set_all(struct syscall_set *set)
{
    memset(set->words, 0xFF, sizeof(set->words));
    set->unknown = true;
}

bool syscall_set_has(const struct syscall_set *set, u64 number)
{
    if (number >= SYSCALL_SET_NUMBERS || !syscall_row(number)) {
        return set->unknown;
    }
    return set->words[number / 64] >> (number % 64) & 1;
}

// Classes that strace also takes without the %.
static bool is_old_class(const char *name)
{
    return listed(" file process network signal ipc desc memory ", name);
}

// What one word says about a call. The regex is compiled once per word.
static bool matches(const char *word, const regex_t *pattern, u64 number,
                    const struct syscall_row *row)
{
    if (pattern) {
        return regexec(pattern, row->name, 0, NULL, 0) == 0;
    }
    if (*word == '%') {
        return in_class(row, word + 1);
    }
    if (isdigit((unsigned char)*word)) {
        char *end;
        return strtoull(word, &end, 10) == number && !*end;
    }
    return strcmp(word, row->name) == 0 || (is_old_class(word) && in_class(row, word));
}

static struct status add_word(struct syscall_set *set, const char *word)
{
    bool optional = *word == '?';
    word += optional;
    if (strcmp(word, "all") == 0) {
        syscall_set_all(set);
        return status_success();
    }
    if (strcmp(word, "none") == 0) {
        return status_success();
    }
    regex_t pattern;
    bool regex = *word == '/';
    if (regex && regcomp(&pattern, word + 1, REG_EXTENDED | REG_NOSUB) != 0) {
        return status_error(STATUS_USAGE, "-e trace=%s: not a regular expression", word);
    }
    bool any = optional;
    for (u64 n = 0; n < SYSCALL_SET_NUMBERS; n++) {
        const struct syscall_row *row = syscall_row(n);
        if (row && matches(word, regex ? &pattern : NULL, n, row)) {
            set->words[n / 64] |= UINT64_C(1) << (n % 64);
            any = true;
        }
    }
    if (regex) {
        regfree(&pattern);
    }
    return any ? status_success()
               : status_error(STATUS_USAGE, "-e trace=%s: no such system call or class", word);
}

struct status syscall_set_parse(struct syscall_set *set, const char *text)
{
    bool inverted = *text == '!';
    struct syscall_set seen = {.unknown = false};
    struct status s = status_success();
    char *copy = xstrdup(text + inverted);
    char *rest = copy;
    for (char *word; status_ok(&s) && (word = strsep(&rest, ","));) {
        s = *word ? add_word(&seen, word)
                  : status_error(STATUS_USAGE, "-e trace=%s: an empty name", text);
    }
    free(copy);
    for (unsigned i = 0; inverted && i < ARRAY_LEN(seen.words); i++) {
        seen.words[i] = ~seen.words[i];
    }
    seen.unknown = seen.unknown != inverted;
    if (status_ok(&s)) {
        *set = seen;
    }
    return s;
}
