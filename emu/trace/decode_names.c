// SPDX-License-Identifier: MIT
// Signals, errors and file modes by name.
#include "trace/decode.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

#define N(name) {name, #name}

static const struct flag_name signals[] = {
    N(SIGHUP), N(SIGINT), N(SIGQUIT), N(SIGILL), N(SIGTRAP), N(SIGABRT), N(SIGBUS), N(SIGFPE),
    N(SIGKILL), N(SIGUSR1), N(SIGSEGV), N(SIGUSR2), N(SIGPIPE), N(SIGALRM), N(SIGTERM),
    N(SIGSTKFLT), N(SIGCHLD), N(SIGCONT), N(SIGSTOP), N(SIGTSTP), N(SIGTTIN), N(SIGTTOU),
    N(SIGURG), N(SIGXCPU), N(SIGXFSZ), N(SIGVTALRM), N(SIGPROF), N(SIGWINCH), N(SIGIO), N(SIGPWR),
    N(SIGSYS), {0, NULL}};

static const struct flag_name errors[] = {
    N(EPERM), N(ENOENT), N(ESRCH), N(EINTR), N(EIO), N(ENXIO), N(E2BIG), N(ENOEXEC), N(EBADF),
    N(ECHILD), N(EAGAIN), N(ENOMEM), N(EACCES), N(EFAULT), N(ENOTBLK), N(EBUSY), N(EEXIST),
    N(EXDEV), N(ENODEV), N(ENOTDIR), N(EISDIR), N(EINVAL), N(ENFILE), N(EMFILE), N(ENOTTY),
    N(ETXTBSY), N(EFBIG), N(ENOSPC), N(ESPIPE), N(EROFS), N(EMLINK), N(EPIPE), N(EDOM), N(ERANGE),
    N(EDEADLK), N(ENAMETOOLONG), N(ENOLCK), N(ENOSYS), N(ENOTEMPTY), N(ELOOP), N(ENOMSG),
    N(EIDRM), N(ENOSTR), N(ENODATA), N(ETIME), N(ENOSR), N(EPROTO), N(EBADMSG), N(EOVERFLOW),
    N(EILSEQ), N(EUSERS), N(ENOTSOCK), N(EDESTADDRREQ), N(EMSGSIZE), N(EPROTOTYPE),
    N(ENOPROTOOPT), N(EPROTONOSUPPORT), N(ESOCKTNOSUPPORT), N(EOPNOTSUPP), N(EPFNOSUPPORT),
    N(EAFNOSUPPORT), N(EADDRINUSE), N(EADDRNOTAVAIL), N(ENETDOWN), N(ENETUNREACH), N(ENETRESET),
    N(ECONNABORTED), N(ECONNRESET), N(ENOBUFS), N(EISCONN), N(ENOTCONN), N(ESHUTDOWN),
    N(ETIMEDOUT), N(ECONNREFUSED), N(EHOSTDOWN), N(EHOSTUNREACH), N(EALREADY), N(EINPROGRESS),
    N(ESTALE), N(EDQUOT), N(ENOMEDIUM), N(EMEDIUMTYPE), N(ECANCELED), N(ENOKEY), N(EKEYEXPIRED),
    N(EOWNERDEAD), N(ENOTRECOVERABLE), {0, NULL}};

static const struct flag_name file_types[] = {
    N(S_IFREG), N(S_IFDIR), N(S_IFLNK), N(S_IFCHR), N(S_IFBLK), N(S_IFIFO), N(S_IFSOCK), {0, NULL}};

const char *decode_errno_name(int number)
{
    return decode_name(errors, (u64)number);
}

void decode_signal(struct text *out, int number)
{
    const char *name = decode_name(signals, (u64)number);
    if (name) {
        text_add(out, "%s", name);
    } else if (number == 32) {
        text_add(out, "SIGRTMIN");
    } else if (number > 32 && number <= 64) {
        text_add(out, "SIGRT_%d", number - 32);
    } else {
        text_add(out, "%d", number);
    }
}

static unsigned count_bits(u64 value)
{
    return (unsigned)__builtin_popcountll(value);
}

// The shorter of the set and, with a tilde, its complement.
void decode_signal_set(struct text *out, u64 set)
{
    bool inverted = count_bits(set) > 42;
    u64 shown = inverted ? ~set : set;
    const char *space = "";
    text_add(out, inverted ? "~[" : "[");
    for (int number = 1; number <= 64; number++) {
        if (shown >> (number - 1) & 1) {
            struct text name = {0};
            decode_signal(&name, number);
            text_add(out, "%s%s", space, text_get(&name) + 3); // without SIG
            text_free(&name);
            space = " ";
        }
    }
    text_char(out, ']');
}

void decode_file_mode(struct text *out, u32 mode)
{
    const char *type = decode_name(file_types, mode & S_IFMT);
    if (type) {
        text_add(out, "%s|", type);
    } else if (mode & S_IFMT) { // no such type: as a number
        text_add(out, "%#o", mode);
        return;
    }
    text_add(out, mode & S_ISUID ? "S_ISUID|" : "");
    text_add(out, mode & S_ISGID ? "S_ISGID|" : "");
    text_add(out, mode & S_ISVTX ? "S_ISVTX|" : "");
    decode_mode(out, mode & 0777);
}
