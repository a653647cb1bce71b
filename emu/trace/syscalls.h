// SPDX-License-Identifier: MIT
// System calls as rows, and their arguments as text in strace's notation.
#ifndef VIV_TRACE_SYSCALLS_H
#define VIV_TRACE_SYSCALLS_H

#include "base/types.h"
#include "trace/text_buffer.h"

enum syscall_kind {
#define SYSCALL_KIND(name, direction, help) KIND_##name,
#include "abi/syscall_kinds.def"
#undef SYSCALL_KIND
    SYSCALL_KIND_COUNT
};

enum syscall_direction { SYSCALL_VALUE, SYSCALL_IN, SYSCALL_OUT, SYSCALL_INOUT };

struct syscall_row {
    const char *name; // NULL: unknown call
    u8 result;        // enum syscall_kind
    u8 args[6];
};

// The row of a number, NULL if Linux has no such call.
const struct syscall_row *syscall_row(u64 number);
// The row for numbers that have none: six hexadecimal arguments, no name.
const struct syscall_row *syscall_row_unknown(void);
enum syscall_direction syscall_direction(enum syscall_kind kind);

// How arguments are shown. NULL in a view: strace's defaults.
struct syscall_style {
    unsigned string_max; // bytes of a string or buffer
    // The path behind a descriptor of the task that makes the call (AT_FDCWD: its directory);
    // false: not known. NULL: descriptors are shown as numbers.
    bool (*fd_path)(void *ctx, int fd, char *path, size_t size);
    void *ctx;
};

// One call in the making.
struct syscall_view {
    const struct syscall_style *style;
    const struct syscall_row *row;
    u64 number, arg[6];
    u64 rsp;          // the caller's stack pointer
    bool done;        // the result is known
    s64 result;       // -errno .. -1: failed
    bool interrupted; // by a handler: the kernel's own code is shown, as a tracer inside sees it
    bool (*read)(void *ctx, u64 address, void *out,
                 u64 size); // the task's memory; false where unmapped
    void *ctx;
};

static inline bool syscall_failed(const struct syscall_view *v)
{
    return v->done && v->result < 0 && v->result >= -4095;
}

// Appends argument i, with its label where strace gives one. With last false, it refuses (false,
// nothing appended) what is better shown after the call: memory that the call fills, and memory
// that is not mapped yet.
bool syscall_show_arg(const struct syscall_view *v, unsigned i, bool last, struct text *out);
// The arguments that this call shows, in strace's order; some depend on flags (open's mode, futex's
// timeout). Returns their number.
unsigned syscall_shown(const struct syscall_view *v, u8 order[6]);
// What strace adds behind the result: "(flags O_RDWR)", "([{fd=0, revents=POLLIN}])". Nothing for
// most calls.
void syscall_show_extra(const struct syscall_view *v, struct text *out);
// Appends "3", "-1 ENOENT (No such file or directory)", "?".
void syscall_show_result(const struct syscall_view *v, struct text *out);

#endif
