// SPDX-License-Identifier: MIT
// Shared by the files that turn system call arguments into text.
#ifndef VIV_TRACE_DECODE_H
#define VIV_TRACE_DECODE_H

#include "base/bits.h"
#include "trace/syscalls.h"

struct flag_name {
    u64 value;
    const char *name;
};

// A|B|0x..., the row of value 0 or "0" for nothing; comment is strace's "/* X_??? */" for what has
// no name.
void decode_flags(struct text *out, const struct flag_name *names, u64 value, const char *comment);
// One of the names, else the number in hexadecimal with the comment.
void decode_choice(struct text *out, const struct flag_name *names, u64 value, const char *comment);
// The name of one value, NULL if it has none.
const char *decode_name(const struct flag_name *names, u64 value);

// The argument as flags or choice, false if its kind is none of these (decode_flags.c).
bool decode_flag_kind(const struct syscall_view *v, unsigned i, struct text *out);

// Structures behind a pointer (decode_structs.c). False: unreadable, nothing appended.
bool decode_struct(const struct syscall_view *v, unsigned i, struct text *out);

bool decode_siginfo(const struct syscall_view *v, u64 address,
                    struct text *out); // {si_signo=..., ...}
// The third argument of ioctl and fcntl (decode_control.c).
bool decode_ioctl_arg(const struct syscall_view *v, u64 address, struct text *out);
bool decode_fcntl_arg(const struct syscall_view *v, u64 value, struct text *out);
// poll, select, epoll (decode_poll.c): arguments, and what is shown behind the result.
bool decode_epoll(const struct syscall_view *v, u64 address, struct text *out);
bool decode_epoll_list(const struct syscall_view *v, u64 address, struct text *out);
bool decode_pollfds(const struct syscall_view *v, u64 address, struct text *out);
bool decode_fdset(const struct syscall_view *v, u64 address, struct text *out);
bool decode_poll_results(const struct syscall_view *v, struct text *out);
bool decode_select_results(const struct syscall_view *v, struct text *out);

// Strings and buffers (decode_memory.c).
void decode_bytes(struct text *out, const u8 *bytes, size_t size, bool cut);
bool decode_buffer(const struct syscall_view *v, u64 address, u64 size, struct text *out);
bool decode_string(const struct syscall_view *v, u64 address, size_t max, struct text *out);
bool decode_memory_kind(const struct syscall_view *v, unsigned i, struct text *out);

// A descriptor, with its path if the style asks for it; AT_FDCWD by name (decode_fd.c).
void decode_fd(const struct syscall_view *v, int fd, struct text *out);
void decode_dirfd(const struct syscall_view *v, int fd, struct text *out);

void decode_pointer(struct text *out, u64 address); // NULL or 0x...
void decode_signal(struct text *out, int number);   // SIGINT
void decode_signal_set(struct text *out, u64 set);  // [INT CHLD], ~[]
void decode_mode(struct text *out, u32 mode);       // 0644
void decode_file_mode(struct text *out, u32 mode);  // S_IFREG|0644

extern const struct flag_name decode_open_flags[];
extern const struct flag_name decode_statx_mask[];
const char *decode_errno_name(int number); // NULL: unknown

// Bytes of a string or buffer that are shown.
static inline u64 decode_string_max(const struct syscall_view *v)
{
    return v->style ? v->style->string_max : 32;
}

// argument i read as int
static inline int decode_int(const struct syscall_view *v, unsigned i)
{
    return (int)(u32)v->arg[i];
}

#endif
