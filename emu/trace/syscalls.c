// SPDX-License-Identifier: MIT
// The table and the general part of the decoding.
#include "trace/syscalls.h"

#include "trace/decode.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#define ROWS 512

static const struct syscall_row table[ROWS] = {
#define SYSCALL(number, name, result, a, b, c, d, e, f)                                            \
    [number] = {#name, KIND_##result, {KIND_##a, KIND_##b, KIND_##c, KIND_##d, KIND_##e, KIND_##f}},
#include "abi/linux_syscalls.def"
#undef SYSCALL
};

#define VALUE SYSCALL_VALUE
#define IN SYSCALL_IN
#define OUT SYSCALL_OUT
#define INOUT SYSCALL_INOUT
static const u8 directions[SYSCALL_KIND_COUNT] = {
#define SYSCALL_KIND(name, direction, help) [KIND_##name] = direction,
#include "abi/syscall_kinds.def"
#undef SYSCALL_KIND
};
#undef VALUE
#undef IN
#undef OUT
#undef INOUT

const struct syscall_row *syscall_row(u64 number)
{
    return number < ROWS && table[number].name ? &table[number] : NULL;
}

const struct syscall_row *syscall_row_unknown(void)
{
    static const struct syscall_row unknown = {
        NULL, KIND_LONG, {KIND_HEX, KIND_HEX, KIND_HEX, KIND_HEX, KIND_HEX, KIND_HEX}};
    return &unknown;
}

enum syscall_direction syscall_direction(enum syscall_kind kind)
{
    return (enum syscall_direction)directions[kind];
}

enum {
    NR_POLL = 7,
    NR_RT_SIGRETURN = 15,
    NR_SELECT = 23,
    NR_PAUSE = 34,
    NR_NANOSLEEP = 35,
    NR_CLONE = 56,
    NR_SEMOP = 65,
    NR_FCNTL = 72,
    NR_SYSLOG = 103,
    NR_RT_SIGTIMEDWAIT = 128,
    NR_RT_SIGSUSPEND = 130,
    NR_PRCTL = 157,
    NR_REBOOT = 169,
    NR_FUTEX = 202,
    NR_SEMTIMEDOP = 220,
    NR_CLOCK_NANOSLEEP = 230,
    NR_EPOLL_WAIT = 232,
    NR_PSELECT6 = 270,
    NR_PPOLL = 271,
    NR_EPOLL_PWAIT = 281,
};

// struct ucontext on the stack at rt_sigreturn: flags, link, stack, registers, fpregs, reserved;
// then the mask.
#define UCONTEXT_SIGMASK 296

static bool makes_file(u64 flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

// Arguments from i on that this futex operation has.
static bool futex_has(const struct syscall_view *v, enum syscall_kind kind)
{
    unsigned op = (unsigned)v->arg[1] & 127;
    switch (op) {
    case 0: // WAIT
    case 6: // LOCK_PI
        return kind == KIND_FUTEX_TIMEOUT;
    case 1: // WAKE
    case 2: // FD
    case 7: // UNLOCK_PI
    case 8: // TRYLOCK_PI
        return false;
    case 3: // REQUEUE
        return kind != KIND_FUTEX_VAL3;
    case 10: // WAKE_BITSET: address2 and timeout are printed as they are
    default:
        return true;
    }
}

// Whether the fourth argument is a count (val2) and no timeout.
static bool futex_count(const struct syscall_view *v)
{
    unsigned op = (unsigned)v->arg[1] & 127;
    return op == 3 || op == 4 || op == 5 || op == 12; // REQUEUE, CMP_REQUEUE, WAKE_OP, ..._PI
}

// WAIT_BITSET and WAKE_BITSET have no second address.
static bool futex_bitset(const struct syscall_view *v)
{
    unsigned op = (unsigned)v->arg[1] & 127;
    return op == 9 || op == 10;
}

// Whether argument n, whose kind may make it optional, is there.
static bool has_arg(const struct syscall_view *v, unsigned n)
{
    enum syscall_kind kind = (enum syscall_kind)v->row->args[n];
    int command = decode_int(v, 1);
    switch (kind) {
    case KIND_CREATE_MODE:
        return makes_file(v->arg[n - 1]);
    case KIND_MREMAP_ADDR:
        return (v->arg[n - 1] & 3) == 3; // MREMAP_MAYMOVE|MREMAP_FIXED
    case KIND_DEV:
        return !n || S_ISCHR((u32)v->arg[n - 1]) || S_ISBLK((u32)v->arg[n - 1]); // after a mode
    case KIND_FUTEX_TIMEOUT:
    case KIND_FUTEX_ADDR2:
    case KIND_FUTEX_VAL3:
        return futex_has(v, kind);
    case KIND_FCNTL_ARG:
        return command != F_GETFD && command != F_GETFL && command != F_GETOWN &&
               command != F_GETSIG && command != F_GETLEASE && command != F_GETPIPE_SZ;
    default:
        return true;
    }
}

// clone shows its flags by name, and only the pointers that they call for.
static unsigned clone_order(u64 flags, u8 order[6])
{
    unsigned n = 0;
    order[n++] = 1; // child_stack
    order[n++] = 0; // flags
    if (flags & CLONE_PARENT_SETTID) {
        order[n++] = 2;
    }
    if (flags & CLONE_SETTLS) {
        order[n++] = 4;
    }
    if (flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) {
        order[n++] = 3;
    }
    return n;
}

static unsigned prctl_count(int operation)
{
    switch (operation) {
    case PR_GET_DUMPABLE:
    case PR_GET_KEEPCAPS:
    case PR_GET_TIMERSLACK:
    case PR_GET_SECCOMP:
        return 1;
    case PR_SET_NAME:
    case PR_GET_NAME:
    case PR_SET_PDEATHSIG:
    case PR_GET_PDEATHSIG:
    case PR_SET_DUMPABLE:
    case PR_SET_KEEPCAPS:
    case PR_SET_TIMERSLACK:
    case PR_SET_CHILD_SUBREAPER:
    case PR_GET_CHILD_SUBREAPER:
    case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP:
        return 2;
    default:
        return 5;
    }
}

// Arguments at most, where an operation decides.
static unsigned shown_max(const struct syscall_view *v)
{
    int operation = decode_int(v, 0);
    switch (v->number) {
    case NR_PRCTL:
        return prctl_count(operation);
    case NR_SYSLOG:
        return (operation >= 0 && operation < 2) || (operation >= 5 && operation < 8) ||
                       operation == 9 || operation == 10
                   ? 1
                   : 3;
    case NR_REBOOT:
        return (u32)v->arg[2] == 0xA1B2C3D4 ? 4 : 3; // RESTART2
    default:
        return 6;
    }
}

unsigned syscall_shown(const struct syscall_view *v, u8 order[6])
{
    unsigned n = 0;
    if (v->number == NR_CLONE) {
        return clone_order(v->arg[0], order);
    }
    if (v->number == NR_RT_SIGRETURN) {
        order[0] = 0; // the mask in the frame
        return 1;
    }
    unsigned max = shown_max(v);
    if (v->number == NR_FUTEX && futex_bitset(v)) {
        static const u8 wait[] = {0, 1, 2, 3, 5}, wake[] = {0, 1, 2, 5};
        bool waits = (v->arg[1] & 127) == 9;
        memcpy(order, waits ? wait : wake, waits ? sizeof(wait) : sizeof(wake));
        return waits ? sizeof(wait) : sizeof(wake);
    }
    while (n < max && v->row->args[n] != KIND_NONE && has_arg(v, n)) {
        order[n] = (u8)n;
        n++;
    }
    return n;
}

// Arguments that are not what their row says, or carry a label. False: nothing special about it.
static bool show_special(const struct syscall_view *v, unsigned i, bool last, struct text *out,
                         bool *shown)
{
    static const char *const clone_labels[] = {
        "flags=", "child_stack=", "parent_tid=", "child_tidptr=", "tls="};
    u64 mask;
    if (v->number == NR_CLONE && i < ARRAY_LEN(clone_labels)) {
        struct syscall_view plain = *v;
        struct text value = {0};
        plain.number = UINT64_MAX;
        *shown = syscall_show_arg(&plain, i, last, &value);
        text_add(out, "%s%s", *shown ? clone_labels[i] : "", text_get(&value));
        text_free(&value);
        return true;
    }
    if (v->number == NR_RT_SIGRETURN) {
        *shown = true;
        if (v->read(v->ctx, v->rsp + UCONTEXT_SIGMASK, &mask, sizeof(mask))) {
            text_add(out, "{mask=");
            decode_signal_set(out, mask);
            text_char(out, '}');
        }
        return true;
    }
    if (v->number == NR_PRCTL && i == 1 && decode_int(v, 0) == PR_SET_PDEATHSIG) {
        decode_signal(out, decode_int(v, 1));
        *shown = true;
        return true;
    }
    if (v->number == NR_PRCTL && i == 1 &&
        (decode_int(v, 0) == PR_SET_KEEPCAPS || decode_int(v, 0) == PR_SET_DUMPABLE ||
         decode_int(v, 0) == PR_SET_CHILD_SUBREAPER || decode_int(v, 0) == PR_SET_TIMERSLACK ||
         decode_int(v, 0) == PR_SET_NO_NEW_PRIVS)) {
        text_add(out, "%llu", (unsigned long long)v->arg[1]);
        *shown = true;
        return true;
    }
    if (v->number == NR_SYSLOG && i == 1 && (decode_int(v, 0) < 2 || decode_int(v, 0) > 4)) {
        decode_pointer(out, v->arg[1]);
        *shown = true;
        return true;
    }
    if (v->number == NR_FUTEX && i == 3 && futex_count(v)) {
        text_add(out, "%u", (u32)v->arg[3]);
        *shown = true;
        return true;
    }
    if (v->number == NR_PRCTL && i == 1 &&
        (decode_int(v, 0) == PR_SET_NAME || decode_int(v, 0) == PR_GET_NAME)) {
        bool now = decode_int(v, 0) == PR_SET_NAME || v->done;
        *shown = now && decode_string(v, v->arg[1], 15, out);
        if (!*shown && last) {
            decode_pointer(out, v->arg[1]);
            *shown = true;
        }
        return true;
    }
    return false;
}

void syscall_show_extra(const struct syscall_view *v, struct text *out)
{
    if (syscall_failed(v)) {
        return;
    }
    if (v->number == NR_FCNTL && decode_int(v, 1) == F_GETFL) {
        static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
        text_add(out, " (flags %s", access[v->result & 3]);
        if (v->result & ~3) {
            text_char(out, '|');
            decode_flags(out, decode_open_flags, (u64)v->result & ~UINT64_C(3), "O_???");
        }
        text_char(out, ')');
    } else if (v->number == NR_FCNTL && decode_int(v, 1) == F_GETFD && v->result == FD_CLOEXEC) {
        text_add(out, " (flags FD_CLOEXEC)");
    } else if (v->number == NR_RT_SIGTIMEDWAIT && v->result > 0) {
        text_add(out, " (");
        decode_signal(out, (int)v->result);
        text_char(out, ')');
    } else if (v->number == NR_POLL || v->number == NR_PPOLL) {
        decode_poll_results(v, out);
    } else if (v->number == NR_SELECT || v->number == NR_PSELECT6) {
        decode_select_results(v, out);
    }
}

void decode_pointer(struct text *out, u64 address)
{
    if (address) {
        text_add(out, "0x%llx", (unsigned long long)address);
    } else {
        text_add(out, "NULL");
    }
}

void decode_mode(struct text *out, u32 mode)
{
    text_add(out, "%#03o", mode);
}

static bool show_number(const struct syscall_view *v, unsigned i, struct text *out)
{
    u64 value = v->arg[i];
    switch ((enum syscall_kind)v->row->args[i]) {
    case KIND_FD:
        decode_fd(v, (int)(u32)value, out);
        return true;
    case KIND_INT:
    case KIND_PID:
        text_add(out, "%d", (int)(u32)value);
        return true;
    case KIND_UID:
        if ((u32)value == UINT32_MAX) {
            text_add(out, "-1");
            return true;
        }
        text_add(out, "%u", (u32)value);
        return true;
    case KIND_UINT:
        text_add(out, "%u", (u32)value);
        return true;
    case KIND_LONG:
        text_add(out, "%lld", (long long)value);
        return true;
    case KIND_ULONG:
        text_add(out, "%llu", (unsigned long long)value);
        return true;
    case KIND_HEX:
        text_add(out, value ? "0x%llx" : "0", (unsigned long long)value);
        return true;
    case KIND_HEX32:
        text_add(out, (u32)value ? "0x%x" : "0", (u32)value);
        return true;
    case KIND_PTR:
    case KIND_TIMEZONE:
        decode_pointer(out, value);
        return true;
    case KIND_DEV:
        text_add(out, "makedev(%#x, %#x)", (u32)(value >> 8 & 0xFFF),
                 (u32)((value & 0xFF) | (value >> 12 & 0xFFF00)));
        return true;
    case KIND_DIRFD:
        decode_dirfd(v, (int)(u32)value, out);
        return true;
    case KIND_SIGNAL:
        decode_signal(out, (int)(u32)value);
        return true;
    case KIND_MODE:
        decode_mode(out, (u16)value);
        return true;
    case KIND_FILE_MODE:
        decode_file_mode(out, (u16)value);
        return true;
    case KIND_CREATE_MODE:
        decode_mode(out, (u16)value);
        return true;
    case KIND_FUTEX_VAL3:
        if (futex_bitset(v) && (u32)value == UINT32_MAX) {
            text_add(out, "FUTEX_BITSET_MATCH_ANY");
            return true;
        }
        text_add(out, (u32)value ? "0x%x" : "0", (u32)value);
        return true;
    case KIND_FUTEX_ADDR2:
    case KIND_MREMAP_ADDR:
        decode_pointer(out, value);
        return true;
    default:
        return false;
    }
}

bool syscall_show_arg(const struct syscall_view *v, unsigned i, bool last, struct text *out)
{
    enum syscall_kind kind = (enum syscall_kind)v->row->args[i];
    bool shown;
    if (show_special(v, i, last, out, &shown)) {
        return shown;
    }
    if (show_number(v, i, out) || decode_flag_kind(v, i, out)) {
        return true;
    }
    enum syscall_direction direction = syscall_direction(kind);
    bool wanted = direction != SYSCALL_OUT || v->done;
    bool filled = !syscall_failed(v) || kind == KIND_IOV_OUT || kind == KIND_TIMESPEC_REM;
    if (v->arg[i] && wanted && !(direction == SYSCALL_OUT && !filled) &&
        (decode_memory_kind(v, i, out) || decode_struct(v, i, out))) {
        return true;
    }
    if (!last && v->arg[i]) {
        return false;
    }
    if (kind == KIND_FCNTL_ARG || kind == KIND_IOCTL_ARG) { // as often a number
        text_add(out, v->arg[i] ? "0x%llx" : "0", (unsigned long long)v->arg[i]);
        return true;
    }
    decode_pointer(out, v->arg[i]);
    return true;
}

// What the kernel means by EINTR until the handler has run (strace(1): the ERESTART codes).
static const char *restart_text(u64 number)
{
    switch (number) {
    case NR_PAUSE:
    case NR_RT_SIGSUSPEND:
    case NR_SELECT:
    case NR_PSELECT6:
    case NR_PPOLL:
        return "? ERESTARTNOHAND (To be restarted if no handler)";
    case NR_POLL:
    case NR_NANOSLEEP:
    case NR_CLOCK_NANOSLEEP:
        return "? ERESTART_RESTARTBLOCK (Interrupted by signal)";
    case NR_EPOLL_WAIT:
    case NR_EPOLL_PWAIT:
    case NR_RT_SIGTIMEDWAIT:
    case NR_SEMOP:
    case NR_SEMTIMEDOP:
        return NULL;
    default:
        return "? ERESTARTSYS (To be restarted if SA_RESTART is set)";
    }
}

static void show_failure(const struct syscall_view *v, struct text *out)
{
    int error = (int)-v->result;
    if (error == EINTR && v->interrupted && restart_text(v->number)) {
        text_add(out, "%s", restart_text(v->number));
        return;
    }
    const char *name = decode_errno_name(error);
    if (name) {
        text_add(out, "-1 %s (%s)", name, strerror(error));
    } else {
        text_add(out, "-1 (errno %d)", error);
    }
}

void syscall_show_result(const struct syscall_view *v, struct text *out)
{
    if (!v->done) {
        text_add(out, "?");
        return;
    }
    if (syscall_failed(v)) {
        show_failure(v, out);
        return;
    }
    enum syscall_kind kind = (enum syscall_kind)v->row->result;
    u64 value = (u64)v->result;
    if (kind == KIND_HEX || (v->number == NR_FCNTL && decode_int(v, 1) == F_GETFL)) {
        text_add(out, value ? "0x%llx" : "0", (unsigned long long)value);
    } else if (kind == KIND_FD ||
               (v->number == NR_FCNTL &&
                (decode_int(v, 1) == F_DUPFD || decode_int(v, 1) == F_DUPFD_CLOEXEC))) {
        decode_fd(v, (int)value, out);
    } else if (kind == KIND_MODE) {
        decode_mode(out, (u32)value);
    } else {
        text_add(out, "%lld", (long long)value);
    }
}
