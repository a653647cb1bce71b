// SPDX-License-Identifier: MIT
// Reading kernels, file systems and device trees.
#include "frontends/file.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct status read_stream(FILE *f, size_t max_bytes, u8 **bytes, size_t *size)
{
    size_t room = 65536;
    *bytes = xcalloc(1, room);
    *size = 0;
    for (;;) {
        size_t n = fread(*bytes + *size, 1, room - *size, f);
        *size += n;
        if (!n) {
            break;
        }
        if (*size > max_bytes) {
            return status_error(STATUS_BAD_INPUT, "it is larger than %zu MiB", max_bytes >> 20);
        }
        if (*size == room) {
            room *= 2;
            *bytes = xrealloc(*bytes, room);
        }
    }
    if (ferror(f)) {
        return status_error(STATUS_BAD_INPUT, "%s", strerror(errno));
    }
    return *size ? status_success() : status_error(STATUS_BAD_INPUT, "it is empty");
}

struct status file_read(const char *what, const char *path, size_t max_bytes, u8 **bytes,
                        size_t *size)
{
    FILE *f = fopen(path, "rbe");
    if (!f) {
        return status_error(STATUS_BAD_INPUT, "cannot read %s %s: %s", what, path, strerror(errno));
    }
    struct status s = read_stream(f, max_bytes, bytes, size);
    fclose(f);
    if (!status_ok(&s)) {
        free(*bytes);
        *bytes = NULL;
        return status_error(STATUS_BAD_INPUT, "cannot use %s %s: %s", what, path, s.text);
    }
    return s;
}

struct status file_compile_tree(const char *path, u8 **bytes, size_t *size)
{
    int ends[2];
    if (pipe(ends) != 0) {
        return status_error(STATUS_BAD_INPUT, "pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("dtc", "dtc", "-q", "-I", "dts", "-O", "dtb", "-o", "-", "--", path, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    FILE *f = fdopen(ends[0], "rb");
    struct status s = read_stream(f, 16u << 20, bytes, size);
    fclose(f);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        s = status_error(STATUS_BAD_INPUT,
                         WIFEXITED(status) && WEXITSTATUS(status) == 127
                             ? "cannot compile %s: there is no dtc (package device-tree-compiler)"
                             : "cannot compile %s with dtc",
                         path);
    }
    if (!status_ok(&s)) {
        free(*bytes);
        *bytes = NULL;
    }
    return s;
}

char *file_absolute(const char *path)
{
    char *absolute = realpath(path, NULL);
    return absolute ? absolute : xstrdup(path);
}

char *file_beside_executable(const char *name)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    return xasprintf("%.*s/%s", slash ? (int)(slash - path) : 1, slash ? path : ".", name);
}
