// SPDX-License-Identifier: MIT
// What ioctl and fcntl take, by request.
#include "trace/decode.h"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#define N(name)                                                                                    \
    {                                                                                              \
        name, #name                                                                                \
    }
#define READ(v, address, object) (v)->read((v)->ctx, (address), &(object), sizeof(object))

static bool show_winsize(const struct syscall_view *v, u64 address, struct text *out)
{
    u16 w[4];
    if (!READ(v, address, w)) {
        return false;
    }
    text_add(out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w[0], w[1], w[2], w[3]);
    return true;
}

// The flags that strace names even when a field is 0 are the delays, of which no driver has others.
static void show_output_flags(u32 flags, struct text *out)
{
    static const struct flag_name rest[] = {N(OPOST),  N(OLCUC), N(ONLCR), N(OCRNL), N(ONOCR),
                                            N(ONLRET), N(OFILL), N(OFDEL), {0, NULL}};
    text_add(out, "NL%u|CR%u|TAB%u|BS%u|VT%u|FF%u", flags >> 8 & 1, flags >> 9 & 3, flags >> 11 & 3,
             flags >> 13 & 1, flags >> 14 & 1, flags >> 15 & 1);
    if (flags & 0xFF) {
        text_char(out, '|');
        decode_flags(out, rest, flags & 0xFF, "O???");
    }
}

static void show_control_flags(u32 flags, struct text *out)
{
    static const struct flag_name speeds[] = {
        N(B0),     N(B50),     N(B75),     N(B110),    N(B134),    N(B150),  N(B200),   N(B300),
        N(B600),   N(B1200),   N(B1800),   N(B2400),   N(B4800),   N(B9600), N(B19200), N(B38400),
        N(B57600), N(B115200), N(B230400), N(B460800), N(B921600), {0, NULL}};
    static const char *const sizes[] = {"CS5", "CS6", "CS7", "CS8"};
    static const struct flag_name rest[] = {N(CSTOPB), N(CREAD),  N(PARENB),  N(PARODD),
                                            N(HUPCL),  N(CLOCAL), N(CRTSCTS), {0, NULL}};
    decode_choice(out, speeds, flags & CBAUD, "B???");
    text_add(out, "|%s", sizes[flags >> 4 & 3]);
    u32 left = flags & ~(u32)(CBAUD | CSIZE);
    if (left) {
        text_char(out, '|');
        decode_flags(out, rest, left, "C???");
    }
}

static bool show_termios(const struct syscall_view *v, u64 address, struct text *out)
{
    static const struct flag_name input[] = {
        N(IGNBRK), N(BRKINT), N(IGNPAR), N(PARMRK), N(INPCK), N(ISTRIP),  N(INLCR), N(IGNCR),
        N(ICRNL),  N(IUCLC),  N(IXON),   N(IXANY),  N(IXOFF), N(IMAXBEL), N(IUTF8), {0, NULL}};
    static const struct flag_name local[] = {
        N(ISIG),   N(ICANON),  N(XCASE),   N(ECHO),   N(ECHOE),  N(ECHOK),  N(ECHONL), N(NOFLSH),
        N(IEXTEN), N(ECHOCTL), N(ECHOPRT), N(ECHOKE), N(FLUSHO), N(PENDIN), N(TOSTOP), {0, NULL}};
    u32 f[4]; // iflag oflag cflag lflag
    if (!READ(v, address, f)) {
        return false;
    }
    text_add(out, "{c_iflag=");
    decode_flags(out, input, f[0], "I???");
    text_add(out, ", c_oflag=");
    show_output_flags(f[1], out);
    text_add(out, ", c_cflag=");
    show_control_flags(f[2], out);
    text_add(out, ", c_lflag=");
    decode_flags(out, local, f[3], "L???");
    text_add(out, ", ...}");
    return true;
}

bool decode_ioctl_arg(const struct syscall_view *v, u64 address, struct text *out)
{
    u32 n;
    switch ((u32)v->arg[1]) {
    case 0x5401: // TCGETS
        return v->done && !syscall_failed(v) && show_termios(v, address, out);
    case 0x5402: // TCSETS, TCSETSW, TCSETSF
    case 0x5403:
    case 0x5404:
        return show_termios(v, address, out);
    case 0x5413: // TIOCGWINSZ
        return v->done && !syscall_failed(v) && show_winsize(v, address, out);
    case 0x5414: // TIOCSWINSZ
        return show_winsize(v, address, out);
    case 0x540F: // TIOCGPGRP, TIOCGSID, FIONREAD, TIOCOUTQ, TIOCMGET
    case 0x5429:
    case 0x541B:
    case 0x5411:
    case 0x5415:
        if (!v->done || syscall_failed(v)) {
            return false;
        }
        break;
    case 0x5410: // TIOCSPGRP, TIOCMBIS, TIOCMBIC, TIOCMSET, FIONBIO
    case 0x5416:
    case 0x5417:
    case 0x5418:
    case 0x5421:
        break;
    default:
        text_add(out, "0x%llx", (unsigned long long)address);
        return true;
    }
    if (!READ(v, address, n)) {
        return false;
    }
    text_add(out, "[%d]", (int)n);
    return true;
}

static bool show_flock(const struct syscall_view *v, u64 address, struct text *out)
{
    static const struct flag_name types[] = {N(F_RDLCK), N(F_WRLCK), N(F_UNLCK), {0, NULL}};
    static const struct flag_name whence[] = {N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), {0, NULL}};
    struct flock lock;
    if (!READ(v, address, lock)) {
        return false;
    }
    text_add(out, "{l_type=");
    decode_choice(out, types, (u16)lock.l_type, "F_???");
    text_add(out, ", l_whence=");
    decode_choice(out, whence, (u16)lock.l_whence, "SEEK_???");
    text_add(out, ", l_start=%lld, l_len=%lld", (long long)lock.l_start, (long long)lock.l_len);
    if (decode_int(v, 1) == F_GETLK || decode_int(v, 1) == F_OFD_GETLK) {
        text_add(out, ", l_pid=%d", lock.l_pid);
    }
    text_char(out, '}');
    return true;
}

bool decode_fcntl_arg(const struct syscall_view *v, u64 value, struct text *out)
{
    int command = decode_int(v, 1);
    if (command == F_SETFD) {
        static const struct flag_name flags[] = {N(FD_CLOEXEC), {0, NULL}};
        decode_flags(out, flags, value, "FD_???");
    } else if (command == F_SETFL) {
        static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
        text_add(out, "%s", access[value & 3]);
        if (value & ~UINT64_C(3)) {
            text_char(out, '|');
            decode_flags(out, decode_open_flags, value & ~UINT64_C(3), "O_???");
        }
    } else if ((command >= 5 && command <= 7) ||
               (command >= F_OFD_GETLK && command <= F_OFD_SETLKW)) {
        bool asks = command == F_GETLK || command == F_OFD_GETLK; // answered in place
        return (v->done || !asks) && show_flock(v, value, out);
    } else {
        static const struct flag_name plain[] = {
            N(F_DUPFD),         N(F_SETOWN),     N(F_SETSIG),    N(F_SETLEASE),
            N(F_DUPFD_CLOEXEC), N(F_SETPIPE_SZ), N(F_ADD_SEALS), {0, NULL}};
        text_add(out,
                 decode_name(plain, (u32)command) ? "%lld"
                 : value                          ? "0x%llx"
                                                  : "%lld",
                 (long long)value);
    }
    return true;
}
