// SPDX-License-Identifier: MIT
// File descriptors, with their paths where they are wanted and known.
#include "trace/decode.h"

#include <fcntl.h>
#include <string.h>

static void add_path(const struct syscall_view *v, int fd, struct text *out)
{
    char path[4096];
    if (v->style && v->style->fd_path && v->style->fd_path(v->style->ctx, fd, path, sizeof(path))) {
        struct text quoted = {0};
        decode_bytes(&quoted, (const u8 *)path, strlen(path), false);
        text_add(out, "<%.*s>", (int)quoted.used - 2, text_get(&quoted) + 1);
        text_free(&quoted);
    }
}

void decode_fd(const struct syscall_view *v, int fd, struct text *out)
{
    text_add(out, "%d", fd);
    if (fd >= 0) {
        add_path(v, fd, out);
    }
}

void decode_dirfd(const struct syscall_view *v, int fd, struct text *out)
{
    if (fd == AT_FDCWD) {
        text_add(out, "AT_FDCWD");
        add_path(v, fd, out);
    } else {
        decode_fd(v, fd, out);
    }
}
