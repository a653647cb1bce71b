// SPDX-License-Identifier: MIT
// Helpers of the guest tests: they print what they observe, and the host's Linux says what is right.
#ifndef TESTS_GUEST_T_H
#define TESTS_GUEST_T_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Prints at once, so that lines of several processes come in the order in which they were written.
__attribute__((format(printf, 1, 2), unused)) static void say(const char *format, ...)
{
    char line[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (n > 0 && write(1, line, (size_t)n) < 0) {
        _exit(99);
    }
}

__attribute__((unused)) static const char *errno_name(int error)
{
    static const struct {
        int number;
        const char *name;
    } names[] = {
        {0, "0"}, {EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {ESRCH, "ESRCH"}, {EINTR, "EINTR"}, {EIO, "EIO"},
        {ENXIO, "ENXIO"}, {E2BIG, "E2BIG"}, {ENOEXEC, "ENOEXEC"}, {EBADF, "EBADF"}, {ECHILD, "ECHILD"},
        {EAGAIN, "EAGAIN"}, {ENOMEM, "ENOMEM"}, {EACCES, "EACCES"}, {EFAULT, "EFAULT"}, {EBUSY, "EBUSY"},
        {EEXIST, "EEXIST"}, {EXDEV, "EXDEV"}, {ENODEV, "ENODEV"}, {ENOTDIR, "ENOTDIR"}, {EISDIR, "EISDIR"},
        {EINVAL, "EINVAL"}, {ENFILE, "ENFILE"}, {EMFILE, "EMFILE"}, {ENOTTY, "ENOTTY"}, {ETXTBSY, "ETXTBSY"},
        {EFBIG, "EFBIG"}, {ENOSPC, "ENOSPC"}, {ESPIPE, "ESPIPE"}, {EROFS, "EROFS"}, {EMLINK, "EMLINK"},
        {EPIPE, "EPIPE"}, {EDOM, "EDOM"}, {ERANGE, "ERANGE"}, {EDEADLK, "EDEADLK"}, {ENAMETOOLONG, "ENAMETOOLONG"},
        {ENOLCK, "ENOLCK"}, {ENOSYS, "ENOSYS"}, {ENOTEMPTY, "ENOTEMPTY"}, {ELOOP, "ELOOP"},
        {EOVERFLOW, "EOVERFLOW"}, {ETIMEDOUT, "ETIMEDOUT"}, {EOPNOTSUPP, "EOPNOTSUPP"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].number == error) {
            return names[i].name;
        }
    }
    return "E?";
}

// "what: value" or "what: -ERRNO" from a call that returns -1 with errno.
__attribute__((unused)) static long show(const char *what, long result)
{
    if (result == -1) {
        say("%s: -%s\n", what, errno_name(errno));
    } else {
        say("%s: %ld\n", what, result);
    }
    return result;
}

__attribute__((unused)) static void show_status(const char *what, int status)
{
    if (WIFEXITED(status)) {
        say("%s: exited %d\n", what, WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        say("%s: killed by %d%s\n", what, WTERMSIG(status), WCOREDUMP(status) ? " (core)" : "");
    } else if (WIFSTOPPED(status)) {
        say("%s: stopped by %d\n", what, WSTOPSIG(status));
    } else if (WIFCONTINUED(status)) {
        say("%s: continued\n", what);
    }
}

__attribute__((unused)) static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) < 0 && errno == EINTR) {
    }
}

// From /proc; '-': there is no such process.
__attribute__((unused)) static char state_of(pid_t pid)
{
    char path[64], text[256] = "";
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0) {
        return '-';
    }
    read(fd, text, sizeof(text) - 1);
    close(fd);
    char *paren = strrchr(text, ')');
    return paren ? paren[2] : '?';
}

// Until the process is in that state, however busy the machine is; five seconds at most.
__attribute__((unused)) static void await_state(pid_t pid, char state)
{
    for (int i = 0; i < 1000 && state_of(pid) != state; i++) {
        sleep_ms(5);
    }
}

#endif
