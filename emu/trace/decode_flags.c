// SPDX-License-Identifier: MIT
// Flags and choices by name. The values are those of the host's own headers: viv runs on x86-64
// Linux, the guest's ABI.
#include "trace/decode.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <linux/reboot.h>
#include <asm/prctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define N(name) {name, #name}
#define END {0, NULL}

const char *decode_name(const struct flag_name *names, u64 value)
{
    for (; names->name; names++) {
        if (names->value == value) {
            return names->name;
        }
    }
    return NULL;
}

void decode_choice(struct text *out, const struct flag_name *names, u64 value, const char *comment)
{
    const char *name = decode_name(names, value);
    if (name) {
        text_add(out, "%s", name);
    } else {
        text_add(out, value ? "0x" : "");
        text_add(out, "%llx /* %s */", (unsigned long long)value, comment);
    }
}

// Flags behind something else: what has no name needs no comment.
static void more_flags(struct text *out, const struct flag_name *names, u64 value)
{
    if (value) {
        text_char(out, '|');
        decode_flags(out, names, value, NULL);
    }
}

void decode_flags(struct text *out, const struct flag_name *names, u64 value, const char *comment)
{
    const char *zero = decode_name(names, 0);
    if (!value) {
        text_add(out, "%s", zero ? zero : "0");
        return;
    }
    u64 left = value;
    const char *bar = "";
    for (const struct flag_name *f = names; f->name; f++) {
        if (f->value && (left & f->value) == f->value) {
            text_add(out, "%s%s", bar, f->name);
            left &= ~f->value;
            bar = "|";
        }
    }
    if (left) {
        text_add(out, *bar || !comment ? "%s0x%llx" : "%s0x%llx /* %s */", bar,
                 (unsigned long long)left, comment);
    }
}

// Longer combinations come before what they contain.
const struct flag_name decode_open_flags[] = {
    N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND), N(O_NONBLOCK), N(O_SYNC),
    N(O_DSYNC), N(O_DIRECT), {0100000, "O_LARGEFILE"}, N(O_NOFOLLOW), N(O_NOATIME),
    N(O_CLOEXEC), N(O_PATH), N(O_TMPFILE), N(O_DIRECTORY), N(FASYNC), END};
static const struct flag_name prot_flags[] = {
    N(PROT_NONE), N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC), {8, "PROT_SEM"},
    N(PROT_GROWSDOWN), N(PROT_GROWSUP),
    END};
static const struct flag_name map_types[] = {
    {0, "MAP_FILE"}, N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_SHARED_VALIDATE), END};
static const struct flag_name map_flags[] = {
    N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_32BIT), N(MAP_NORESERVE), N(MAP_POPULATE),
    N(MAP_NONBLOCK), N(MAP_GROWSDOWN), N(MAP_DENYWRITE), N(MAP_EXECUTABLE), N(MAP_LOCKED),
    N(MAP_STACK), N(MAP_HUGETLB), N(MAP_SYNC), N(MAP_FIXED_NOREPLACE), END};
static const struct flag_name mremap_flags[] = {
    N(MREMAP_MAYMOVE), N(MREMAP_FIXED), {4, "MREMAP_DONTUNMAP"}, END};
static const struct flag_name msync_flags[] = {N(MS_ASYNC), N(MS_INVALIDATE), N(MS_SYNC), END};
static const struct flag_name madvice[] = {
    N(MADV_NORMAL), N(MADV_RANDOM), N(MADV_SEQUENTIAL), N(MADV_WILLNEED), N(MADV_DONTNEED),
    N(MADV_FREE), N(MADV_REMOVE), N(MADV_DONTFORK), N(MADV_DOFORK), N(MADV_MERGEABLE),
    N(MADV_UNMERGEABLE), N(MADV_HUGEPAGE), N(MADV_NOHUGEPAGE), N(MADV_DONTDUMP), N(MADV_DODUMP),
    N(MADV_WIPEONFORK), N(MADV_KEEPONFORK), N(MADV_COLD), N(MADV_PAGEOUT),
    {22, "MADV_POPULATE_READ"}, {23, "MADV_POPULATE_WRITE"}, {25, "MADV_COLLAPSE"}, END};
static const struct flag_name fadvice[] = {
    N(POSIX_FADV_NORMAL), N(POSIX_FADV_RANDOM), N(POSIX_FADV_SEQUENTIAL), N(POSIX_FADV_WILLNEED),
    N(POSIX_FADV_DONTNEED), N(POSIX_FADV_NOREUSE), END};
static const struct flag_name mlockall_flags[] = {N(MCL_CURRENT), N(MCL_FUTURE), END};
static const struct flag_name clone_flags[] = {
    N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), {0x1000, "CLONE_PIDFD"},
    N(CLONE_PTRACE), N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS),
    N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID), N(CLONE_CHILD_CLEARTID),
    N(CLONE_UNTRACED), N(CLONE_CHILD_SETTID), N(CLONE_NEWCGROUP),
    N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET),
    N(CLONE_IO), END};
static const struct flag_name wait_options[] = {
    N(WNOHANG), N(WEXITED), {2, "WSTOPPED"}, N(WCONTINUED), N(WNOWAIT), {0x80000000, "__WCLONE"},
    {0x40000000, "__WALL"}, {0x20000000, "__WNOTHREAD"}, END};
static const struct flag_name wait_idtypes[] = {N(P_ALL), N(P_PID), N(P_PGID), {3, "P_PIDFD"}, END};
static const struct flag_name at_flags[] = {
    N(AT_SYMLINK_NOFOLLOW), N(AT_REMOVEDIR), N(AT_SYMLINK_FOLLOW), N(AT_NO_AUTOMOUNT),
    N(AT_EMPTY_PATH), {0x8000, "AT_RECURSIVE"}, END};
static const struct flag_name statx_sync[] = {
    {0, "AT_STATX_SYNC_AS_STAT"}, {0x2000, "AT_STATX_FORCE_SYNC"},
    {0x4000, "AT_STATX_DONT_SYNC"}, END};
static const struct flag_name statx_flags[] = {
    N(AT_SYMLINK_NOFOLLOW), N(AT_NO_AUTOMOUNT), N(AT_EMPTY_PATH),
    N(AT_REMOVEDIR), N(AT_SYMLINK_FOLLOW), {0x8000, "AT_RECURSIVE"}, END};
const struct flag_name decode_statx_mask[] = {
    {0xfff, "STATX_ALL"}, {0x7ff, "STATX_BASIC_STATS"}, {1, "STATX_TYPE"}, {2, "STATX_MODE"},
    {4, "STATX_NLINK"}, {8, "STATX_UID"}, {0x10, "STATX_GID"}, {0x20, "STATX_ATIME"},
    {0x40, "STATX_MTIME"}, {0x80, "STATX_CTIME"}, {0x100, "STATX_INO"}, {0x200, "STATX_SIZE"},
    {0x400, "STATX_BLOCKS"}, {0x800, "STATX_BTIME"}, {0x1000, "STATX_MNT_ID"}, END};
static const struct flag_name unlinkat_flags[] = {N(AT_REMOVEDIR), END};
static const struct flag_name faccessat_flags[] = {
    N(AT_EACCESS), N(AT_SYMLINK_NOFOLLOW), N(AT_EMPTY_PATH), END};
static const struct flag_name access_modes[] = {N(F_OK), N(R_OK), N(W_OK), N(X_OK), END};
static const struct flag_name whence[] = {
    N(SEEK_SET), N(SEEK_CUR), N(SEEK_END), {3, "SEEK_DATA"}, {4, "SEEK_HOLE"}, END};
static const struct flag_name fcntl_commands[] = {
    N(F_DUPFD), N(F_GETFD), N(F_SETFD), N(F_GETFL), N(F_SETFL), {5, "F_GETLK"}, {6, "F_SETLK"},
    {7, "F_SETLKW"}, N(F_SETOWN), N(F_GETOWN), N(F_SETSIG), N(F_GETSIG), N(F_OFD_GETLK),
    N(F_OFD_SETLK), N(F_OFD_SETLKW), N(F_SETLEASE), N(F_GETLEASE), N(F_DUPFD_CLOEXEC),
    N(F_SETPIPE_SZ), N(F_GETPIPE_SZ), N(F_ADD_SEALS), N(F_GET_SEALS), END};
static const struct flag_name ioctls[] = {
    {0x5401, "TCGETS"}, {0x5402, "TCSETS"}, {0x5403, "TCSETSW"}, {0x5404, "TCSETSF"},
    {0x5409, "TCSBRK"}, {0x540A, "TCXONC"}, {0x540B, "TCFLSH"}, {0x540E, "TIOCSCTTY"},
    {0x540F, "TIOCGPGRP"}, {0x5410, "TIOCSPGRP"}, {0x5411, "TIOCOUTQ"}, {0x5412, "TIOCSTI"},
    {0x5413, "TIOCGWINSZ"}, {0x5414, "TIOCSWINSZ"}, {0x5415, "TIOCMGET"}, {0x5416, "TIOCMBIS"},
    {0x5417, "TIOCMBIC"}, {0x5418, "TIOCMSET"}, {0x541B, "FIONREAD"}, {0x5421, "FIONBIO"},
    {0x5422, "TIOCNOTTY"}, {0x5429, "TIOCGSID"}, {0x5450, "FIONCLEX"}, {0x5451, "FIOCLEX"},
    {1, "FIBMAP"}, {2, "FIGETBSZ"}, {0x5425, "TCSBRKP"}, {0x1260, "BLKGETSIZE"},
    {0x80081272, "BLKGETSIZE64"}, {0x1261, "BLKFLSBUF"},
    {0x4B2F, "KIOCSOUND"}, {0x4B30, "KDMKTONE"}, {0x4B31, "KDGETLED"}, {0x4B32, "KDSETLED"},
    {0x4B33, "KDGKBTYPE"}, {0x4B3A, "KDSETMODE"}, {0x4B3B, "KDGETMODE"}, {0x4B44, "KDGKBMODE"},
    {0x4B45, "KDSKBMODE"}, {0x4B62, "KDGKBMETA"}, {0x4B64, "KDGKBLED"}, {0x5600, "VT_OPENQRY"},
    {0x5601, "VT_GETMODE"}, {0x5602, "VT_SETMODE"}, {0x5603, "VT_GETSTATE"},
    {0x5605, "VT_RELDISP"}, {0x5606, "VT_ACTIVATE"}, {0x5607, "VT_WAITACTIVE"},
    {0x5608, "VT_DISALLOCATE"}, {0x541C, "TIOCLINUX"}, {0x4600, "FBIOGET_VSCREENINFO"},
    {0x4601, "FBIOPUT_VSCREENINFO"}, {0x4602, "FBIOGET_FSCREENINFO"},
    {0x4606, "FBIOPAN_DISPLAY"}, {0x4611, "FBIOBLANK"}, END};
static const struct flag_name sighow[] = {N(SIG_BLOCK), N(SIG_UNBLOCK), N(SIG_SETMASK), END};
static const struct flag_name epoll_ops[] = {
    N(EPOLL_CTL_ADD), N(EPOLL_CTL_DEL), N(EPOLL_CTL_MOD), END};
static const struct flag_name epoll_flags[] = {N(EPOLL_CLOEXEC), END};
static const struct flag_name eventfd_flags[] = {
    N(EFD_CLOEXEC), N(EFD_NONBLOCK), N(EFD_SEMAPHORE), END};
static const struct flag_name signalfd_flags[] = {N(SFD_CLOEXEC), N(SFD_NONBLOCK), END};
static const struct flag_name timerfd_flags[] = {N(TFD_CLOEXEC), N(TFD_NONBLOCK), END};
static const struct flag_name timerfd_set[] = {
    N(TFD_TIMER_ABSTIME), N(TFD_TIMER_CANCEL_ON_SET), END};
static const struct flag_name timer_flags[] = {N(TIMER_ABSTIME), END};
static const struct flag_name inotify_flags[] = {N(IN_CLOEXEC), N(IN_NONBLOCK), END};
static const struct flag_name inotify_mask[] = {
    N(IN_ACCESS), N(IN_MODIFY), N(IN_ATTRIB), N(IN_CLOSE_WRITE), N(IN_CLOSE_NOWRITE), N(IN_OPEN),
    N(IN_MOVED_FROM), N(IN_MOVED_TO), N(IN_CREATE), N(IN_DELETE), N(IN_DELETE_SELF),
    N(IN_MOVE_SELF), N(IN_ONLYDIR), N(IN_DONT_FOLLOW), N(IN_EXCL_UNLINK), N(IN_MASK_ADD),
    N(IN_ONESHOT), END};
static const struct flag_name resources[] = {
    {0, "RLIMIT_CPU"}, {1, "RLIMIT_FSIZE"}, {2, "RLIMIT_DATA"}, {3, "RLIMIT_STACK"},
    {4, "RLIMIT_CORE"}, {5, "RLIMIT_RSS"}, {6, "RLIMIT_NPROC"}, {7, "RLIMIT_NOFILE"},
    {8, "RLIMIT_MEMLOCK"}, {9, "RLIMIT_AS"}, {10, "RLIMIT_LOCKS"}, {11, "RLIMIT_SIGPENDING"},
    {12, "RLIMIT_MSGQUEUE"}, {13, "RLIMIT_NICE"}, {14, "RLIMIT_RTPRIO"}, {15, "RLIMIT_RTTIME"},
    END};
static const struct flag_name rusage_who[] = {
    {0, "RUSAGE_SELF"}, {(u64)-1, "RUSAGE_CHILDREN"}, {1, "RUSAGE_THREAD"}, END};
static const struct flag_name prio_which[] = {
    {0, "PRIO_PROCESS"}, {1, "PRIO_PGRP"}, {2, "PRIO_USER"}, END};
static const struct flag_name policies[] = {
    {0, "SCHED_OTHER"}, {1, "SCHED_FIFO"}, {2, "SCHED_RR"}, {3, "SCHED_BATCH"}, {5, "SCHED_IDLE"},
    {6, "SCHED_DEADLINE"}, END};
static const struct flag_name itimers[] = {
    {0, "ITIMER_REAL"}, {1, "ITIMER_VIRTUAL"}, {2, "ITIMER_PROF"}, END};
static const struct flag_name mount_flags[] = {
    N(MS_RDONLY), N(MS_NOSUID), N(MS_NODEV), N(MS_NOEXEC), N(MS_SYNCHRONOUS), N(MS_REMOUNT),
    N(MS_MANDLOCK), N(MS_DIRSYNC), {0x100, "MS_NOSYMFOLLOW"}, N(MS_NOATIME),
    N(MS_NODIRATIME), N(MS_BIND), N(MS_MOVE),
    N(MS_REC), N(MS_SILENT), N(MS_POSIXACL), N(MS_UNBINDABLE), N(MS_PRIVATE), N(MS_SLAVE),
    N(MS_SHARED), N(MS_RELATIME), N(MS_KERNMOUNT), N(MS_I_VERSION),
    N(MS_STRICTATIME), N(MS_LAZYTIME),
    {1u << 26, "MS_SUBMOUNT"}, {1u << 27, "MS_NOREMOTELOCK"}, {1u << 28, "MS_NOSEC"},
    {1u << 29, "MS_BORN"}, N(MS_ACTIVE), N(MS_NOUSER), END};
static const struct flag_name umount_flags[] = {
    N(MNT_FORCE), N(MNT_DETACH), N(MNT_EXPIRE), N(UMOUNT_NOFOLLOW), END};
static const struct flag_name reboot_magic[] = {
    N(LINUX_REBOOT_MAGIC1), N(LINUX_REBOOT_MAGIC2), N(LINUX_REBOOT_MAGIC2A),
    N(LINUX_REBOOT_MAGIC2B), N(LINUX_REBOOT_MAGIC2C), END};
static const struct flag_name reboot_commands[] = {
    N(LINUX_REBOOT_CMD_RESTART), N(LINUX_REBOOT_CMD_HALT), N(LINUX_REBOOT_CMD_CAD_ON),
    N(LINUX_REBOOT_CMD_CAD_OFF), N(LINUX_REBOOT_CMD_POWER_OFF), END};
static const struct flag_name prctl_ops[] = {
    N(PR_SET_PDEATHSIG), N(PR_GET_PDEATHSIG), N(PR_GET_DUMPABLE), N(PR_SET_DUMPABLE),
    N(PR_SET_NAME), N(PR_GET_NAME), N(PR_GET_SECCOMP), N(PR_SET_SECCOMP), N(PR_CAPBSET_READ),
    N(PR_CAPBSET_DROP), N(PR_SET_TIMERSLACK), N(PR_GET_TIMERSLACK), N(PR_SET_MM),
    N(PR_SET_CHILD_SUBREAPER), N(PR_GET_CHILD_SUBREAPER), N(PR_SET_NO_NEW_PRIVS),
    N(PR_GET_NO_NEW_PRIVS), N(PR_SET_KEEPCAPS), N(PR_GET_KEEPCAPS), {0x53564d41, "PR_SET_VMA"},
    END};
static const struct flag_name arch_prctl_ops[] = {
    N(ARCH_SET_GS), N(ARCH_SET_FS), N(ARCH_GET_FS), N(ARCH_GET_GS), N(ARCH_GET_CPUID),
    N(ARCH_SET_CPUID), {0x3001, "ARCH_CET_STATUS"}, END};
static const struct flag_name syslog_actions[] = {
    {0, "SYSLOG_ACTION_CLOSE"}, {1, "SYSLOG_ACTION_OPEN"}, {2, "SYSLOG_ACTION_READ"},
    {3, "SYSLOG_ACTION_READ_ALL"}, {4, "SYSLOG_ACTION_READ_CLEAR"}, {5, "SYSLOG_ACTION_CLEAR"},
    {6, "SYSLOG_ACTION_CONSOLE_OFF"}, {7, "SYSLOG_ACTION_CONSOLE_ON"},
    {8, "SYSLOG_ACTION_CONSOLE_LEVEL"}, {9, "SYSLOG_ACTION_SIZE_UNREAD"},
    {10, "SYSLOG_ACTION_SIZE_BUFFER"}, END};
static const struct flag_name random_flags[] = {
    N(GRND_NONBLOCK), N(GRND_RANDOM), {4, "GRND_INSECURE"}, END};
static const struct flag_name rename_flags[] = {
    N(RENAME_NOREPLACE), N(RENAME_EXCHANGE), N(RENAME_WHITEOUT), END};
static const struct flag_name falloc_modes[] = {
    N(FALLOC_FL_KEEP_SIZE), N(FALLOC_FL_PUNCH_HOLE), {4, "FALLOC_FL_NO_HIDE_STALE"},
    N(FALLOC_FL_COLLAPSE_RANGE), N(FALLOC_FL_ZERO_RANGE), N(FALLOC_FL_INSERT_RANGE),
    {0x40, "FALLOC_FL_UNSHARE_RANGE"}, END};
static const struct flag_name flock_ops[] = {N(LOCK_SH), N(LOCK_EX), N(LOCK_NB), N(LOCK_UN), END};
static const struct flag_name memfd_flags[] = {
    N(MFD_CLOEXEC), N(MFD_ALLOW_SEALING), N(MFD_HUGETLB), END};
static const struct flag_name splice_flags[] = {
    N(SPLICE_F_MOVE), N(SPLICE_F_NONBLOCK), N(SPLICE_F_MORE), N(SPLICE_F_GIFT), END};
static const struct flag_name close_range_flags[] = {
    N(CLOSE_RANGE_UNSHARE), N(CLOSE_RANGE_CLOEXEC), END};
static const struct flag_name domains[] = {
    {0, "AF_UNSPEC"}, {1, "AF_UNIX"}, {2, "AF_INET"}, {10, "AF_INET6"}, {16, "AF_NETLINK"},
    {17, "AF_PACKET"}, END};
static const struct flag_name socket_types[] = {
    {1, "SOCK_STREAM"}, {2, "SOCK_DGRAM"}, {3, "SOCK_RAW"}, {4, "SOCK_RDM"},
    {5, "SOCK_SEQPACKET"}, {10, "SOCK_PACKET"}, END};
static const struct flag_name socket_flags[] = {
    {02000000, "SOCK_CLOEXEC"}, {04000, "SOCK_NONBLOCK"}, END};
static const struct flag_name socket_levels[] = {
    {1, "SOL_SOCKET"}, {0, "SOL_IP"}, {6, "SOL_TCP"}, {17, "SOL_UDP"}, {41, "SOL_IPV6"}, END};
static const struct flag_name socket_options[] = {
    N(SO_DEBUG), N(SO_REUSEADDR), N(SO_TYPE), N(SO_ERROR), N(SO_DONTROUTE), N(SO_BROADCAST),
    N(SO_SNDBUF), N(SO_RCVBUF), N(SO_KEEPALIVE), N(SO_OOBINLINE), N(SO_LINGER), N(SO_REUSEPORT),
    N(SO_PASSCRED), N(SO_PEERCRED), N(SO_RCVTIMEO), N(SO_SNDTIMEO), N(SO_ACCEPTCONN), END};
static const struct flag_name msg_flags[] = {
    N(MSG_OOB), N(MSG_PEEK), N(MSG_DONTROUTE), N(MSG_CTRUNC), {0x10, "MSG_PROBE"}, N(MSG_TRUNC),
    N(MSG_DONTWAIT), N(MSG_EOR), N(MSG_WAITALL), N(MSG_FIN), N(MSG_SYN), N(MSG_CONFIRM), N(MSG_RST),
    N(MSG_ERRQUEUE), N(MSG_NOSIGNAL), N(MSG_MORE), N(MSG_WAITFORONE),
    {0x20000, "MSG_SENDPAGE_NOTLAST"}, N(MSG_BATCH), {0x80000, "MSG_NO_SHARED_FRAGS"},
    N(MSG_ZEROCOPY), N(MSG_FASTOPEN), N(MSG_CMSG_CLOEXEC), {0x80000000, "MSG_CMSG_COMPAT"}, END};
static const struct flag_name shutdown_how[] = {N(SHUT_RD), N(SHUT_WR), N(SHUT_RDWR), END};
static const struct flag_name xattr_flags[] = {N(XATTR_CREATE), N(XATTR_REPLACE), END};
static const struct flag_name clocks[] = {
    N(CLOCK_REALTIME), N(CLOCK_MONOTONIC), N(CLOCK_PROCESS_CPUTIME_ID),
    N(CLOCK_THREAD_CPUTIME_ID), N(CLOCK_MONOTONIC_RAW), N(CLOCK_REALTIME_COARSE),
    N(CLOCK_MONOTONIC_COARSE), N(CLOCK_BOOTTIME), N(CLOCK_REALTIME_ALARM),
    N(CLOCK_BOOTTIME_ALARM), N(CLOCK_TAI), END};
static const struct flag_name ptrace_ops[] = {
    {0, "PTRACE_TRACEME"}, {1, "PTRACE_PEEKTEXT"}, {2, "PTRACE_PEEKDATA"}, {3, "PTRACE_PEEKUSER"},
    {4, "PTRACE_POKETEXT"}, {5, "PTRACE_POKEDATA"}, {6, "PTRACE_POKEUSER"}, {7, "PTRACE_CONT"},
    {8, "PTRACE_KILL"}, {9, "PTRACE_SINGLESTEP"}, {12, "PTRACE_GETREGS"}, {13, "PTRACE_SETREGS"},
    {16, "PTRACE_ATTACH"}, {17, "PTRACE_DETACH"}, {24, "PTRACE_SYSCALL"},
    {0x4206, "PTRACE_SEIZE"}, END};
static const struct flag_name futex_ops[] = {
    {0, "FUTEX_WAIT"}, {1, "FUTEX_WAKE"}, {2, "FUTEX_FD"}, {3, "FUTEX_REQUEUE"},
    {4, "FUTEX_CMP_REQUEUE"}, {5, "FUTEX_WAKE_OP"}, {6, "FUTEX_LOCK_PI"}, {7, "FUTEX_UNLOCK_PI"},
    {8, "FUTEX_TRYLOCK_PI"}, {9, "FUTEX_WAIT_BITSET"}, {10, "FUTEX_WAKE_BITSET"},
    {11, "FUTEX_WAIT_REQUEUE_PI"}, {12, "FUTEX_CMP_REQUEUE_PI"}, END};

enum shape { SHAPE_NONE, SHAPE_FLAGS, SHAPE_CHOICE, SHAPE_CHOICE_SIGNED };

struct flag_kind {
    enum shape shape;
    const struct flag_name *names;
    const char *comment;
};

static const struct flag_kind kinds[SYSCALL_KIND_COUNT] = {
    [KIND_PROT] = {SHAPE_FLAGS, prot_flags, "PROT_???"},
    [KIND_MREMAP_FLAGS] = {SHAPE_FLAGS, mremap_flags, "MREMAP_???"},
    [KIND_MSYNC_FLAGS] = {SHAPE_FLAGS, msync_flags, "MS_???"},
    [KIND_MADVICE] = {SHAPE_CHOICE, madvice, "MADV_???"},
    [KIND_FADVICE] = {SHAPE_CHOICE, fadvice, "POSIX_FADV_???"},
    [KIND_MLOCK_FLAGS] = {SHAPE_FLAGS, mlockall_flags, "MCL_???"},
    [KIND_UNSHARE_FLAGS] = {SHAPE_FLAGS, clone_flags, "CLONE_???"},
    [KIND_WAIT_OPTIONS] = {SHAPE_FLAGS, wait_options, "W???"},
    [KIND_WAIT_IDTYPE] = {SHAPE_CHOICE, wait_idtypes, "P_???"},
    [KIND_AT_FLAGS] = {SHAPE_FLAGS, at_flags, "AT_???"},
    [KIND_UNLINKAT_FLAGS] = {SHAPE_FLAGS, unlinkat_flags, "AT_???"},
    [KIND_FACCESSAT_FLAGS] = {SHAPE_FLAGS, faccessat_flags, "AT_???"},
    [KIND_ACCESS_MODE] = {SHAPE_FLAGS, access_modes, "?_OK"},
    [KIND_WHENCE] = {SHAPE_CHOICE, whence, "SEEK_???"},
    [KIND_FCNTL_CMD] = {SHAPE_CHOICE, fcntl_commands, "F_???"},
    [KIND_IOCTL_CMD] = {SHAPE_CHOICE, ioctls, "ioctl"},
    [KIND_SIGHOW] = {SHAPE_CHOICE, sighow, "SIG_???"},
    [KIND_EPOLL_OP] = {SHAPE_CHOICE, epoll_ops, "EPOLL_CTL_???"},
    [KIND_EPOLL_FLAGS] = {SHAPE_FLAGS, epoll_flags, "EPOLL_???"},
    [KIND_EVENTFD_FLAGS] = {SHAPE_FLAGS, eventfd_flags, "EFD_???"},
    [KIND_SIGNALFD_FLAGS] = {SHAPE_FLAGS, signalfd_flags, "SFD_???"},
    [KIND_TIMERFD_FLAGS] = {SHAPE_FLAGS, timerfd_flags, "TFD_???"},
    [KIND_TIMERFD_SET_FLAGS] = {SHAPE_FLAGS, timerfd_set, "TFD_???"},
    [KIND_TIMER_FLAGS] = {SHAPE_FLAGS, timer_flags, "TIMER_???"},
    [KIND_INOTIFY_FLAGS] = {SHAPE_FLAGS, inotify_flags, "IN_???"},
    [KIND_INOTIFY_MASK] = {SHAPE_FLAGS, inotify_mask, "IN_???"},
    [KIND_RESOURCE] = {SHAPE_CHOICE, resources, "RLIMIT_???"},
    [KIND_RUSAGE_WHO] = {SHAPE_CHOICE_SIGNED, rusage_who, "RUSAGE_???"},
    [KIND_PRIO_WHICH] = {SHAPE_CHOICE, prio_which, "PRIO_???"},
    [KIND_SCHED_POLICY] = {SHAPE_CHOICE, policies, "SCHED_???"},
    [KIND_ITIMER_WHICH] = {SHAPE_CHOICE, itimers, "ITIMER_???"},
    [KIND_MOUNT_FLAGS] = {SHAPE_FLAGS, mount_flags, "MS_???"},
    [KIND_UMOUNT_FLAGS] = {SHAPE_FLAGS, umount_flags, "MNT_???"},
    [KIND_REBOOT_MAGIC] = {SHAPE_CHOICE, reboot_magic, "LINUX_REBOOT_MAGIC_???"},
    [KIND_REBOOT_CMD] = {SHAPE_CHOICE, reboot_commands, "LINUX_REBOOT_CMD_???"},
    [KIND_PRCTL_OP] = {SHAPE_CHOICE, prctl_ops, "PR_???"},
    [KIND_ARCH_PRCTL_OP] = {SHAPE_CHOICE, arch_prctl_ops, "ARCH_???"},
    [KIND_RANDOM_FLAGS] = {SHAPE_FLAGS, random_flags, "GRND_???"},
    [KIND_RENAME_FLAGS] = {SHAPE_FLAGS, rename_flags, "RENAME_??"},
    [KIND_STATX_MASK] = {SHAPE_FLAGS, decode_statx_mask, "STATX_???"},
    [KIND_FALLOC_MODE] = {SHAPE_FLAGS, falloc_modes, "FALLOC_FL_???"},
    [KIND_FLOCK_OP] = {SHAPE_FLAGS, flock_ops, "LOCK_???"},
    [KIND_MEMFD_FLAGS] = {SHAPE_FLAGS, memfd_flags, "MFD_???"},
    [KIND_SPLICE_FLAGS] = {SHAPE_FLAGS, splice_flags, "SPLICE_F_???"},
    [KIND_CLOSE_RANGE_FLAGS] = {SHAPE_FLAGS, close_range_flags, "CLOSE_RANGE_???"},
    [KIND_SOCKET_DOMAIN] = {SHAPE_CHOICE, domains, "AF_???"},
    [KIND_SOCKET_FLAGS] = {SHAPE_FLAGS, socket_flags, "SOCK_???"},
    [KIND_SOCKET_LEVEL] = {SHAPE_CHOICE, socket_levels, "SOL_???"},
    [KIND_SOCKET_OPTION] = {SHAPE_CHOICE, socket_options, "SO_???"},
    [KIND_MSG_FLAGS] = {SHAPE_FLAGS, msg_flags, "MSG_???"},
    [KIND_SHUTDOWN_HOW] = {SHAPE_CHOICE, shutdown_how, "SHUT_???"},
    [KIND_XATTR_FLAGS] = {SHAPE_FLAGS, xattr_flags, "XATTR_???"},
    [KIND_CLOCK] = {SHAPE_CHOICE, clocks, "CLOCK_???"},
    [KIND_PTRACE_OP] = {SHAPE_CHOICE, ptrace_ops, "PTRACE_???"},
};

static void show_open_flags(u64 value, struct text *out)
{
    static const char *const access[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    text_add(out, "%s", access[value & 3]);
    more_flags(out, decode_open_flags, value & ~UINT64_C(3));
}

static void show_clone_flags(u64 value, struct text *out)
{
    u64 flags = value & ~UINT64_C(255);
    int number = (int)(value & 255);
    if (flags || !number) {
        decode_flags(out, clone_flags, flags, "CLONE_???");
    }
    if (number) {
        text_add(out, flags ? "|" : "");
        decode_signal(out, number);
    }
}

static void show_map_flags(u64 value, struct text *out)
{
    u64 huge = value >> 26 & 63; // the log of the page size
    u64 flags = (u32)value & ~(UINT64_C(15) | (value & MAP_HUGETLB ? UINT64_C(63) << 26 : 0));
    decode_choice(out, map_types, value & 15, "MAP_???");
    more_flags(out, map_flags, flags);
    if ((value & MAP_HUGETLB) && huge) {
        text_add(out, "|%llu<<MAP_HUGE_SHIFT", (unsigned long long)huge);
    }
}

static void show_statx_flags(u64 value, struct text *out)
{
    if ((value & 0x6000) == 0x6000) {
        text_add(out, "AT_STATX_FORCE_SYNC|AT_STATX_DONT_SYNC");
    } else {
        decode_choice(out, statx_sync, value & 0x6000, "AT_STATX_???");
    }
    more_flags(out, statx_flags, value & ~UINT64_C(0x6000));
}

static void show_protocol(const struct syscall_view *v, u64 value, struct text *out)
{
    static const struct flag_name protocols[] = {
    {0, "IPPROTO_IP"}, {1, "IPPROTO_ICMP"}, {2, "IPPROTO_IGMP"}, {6, "IPPROTO_TCP"},
    {17, "IPPROTO_UDP"}, {58, "IPPROTO_ICMPV6"}, {132, "IPPROTO_SCTP"}, {136, "IPPROTO_UDPLITE"},
    {255, "IPPROTO_RAW"}, END};
    if ((u32)v->arg[0] == AF_INET || (u32)v->arg[0] == AF_INET6) {
        decode_choice(out, protocols, value, "IPPROTO_???");
    } else {
        text_add(out, "%u", (u32)value);
    }
}

static void show_futex_op(u64 value, struct text *out)
{
    decode_choice(out, futex_ops, value & 127, "FUTEX_???");
    text_add(out, value & 128 ? "_PRIVATE" : "");
    text_add(out, value & 256 ? "|FUTEX_CLOCK_REALTIME" : "");
}

static void show_ioctl_number(u32 value, struct text *out)
{
    static const char *const directions[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ",
                                             "_IOC_READ|_IOC_WRITE"};
    text_add(out, "_IOC(%s, %#x, %#x, %#x)", directions[value >> 30], value >> 8 & 255, value & 255,
             value >> 16 & 0x3FFF);
}

static void show_socket_type(u64 value, struct text *out)
{
    if (value) {
        decode_choice(out, socket_types, value & 0xF, "SOCK_???");
    } else {
        text_char(out, '0');
    }
    more_flags(out, socket_flags, value & ~UINT64_C(0xF));
}

bool decode_flag_kind(const struct syscall_view *v, unsigned i, struct text *out)
{
    enum syscall_kind kind = (enum syscall_kind)v->row->args[i];
    u64 value = (u32)v->arg[i];
    switch (kind) {
    case KIND_OPEN_FLAGS:
        if (v->number == 292 || v->number == 293) { // dup3, pipe2: no access mode
            decode_flags(out, decode_open_flags, value, "O_???");
        } else {
            show_open_flags(value, out);
        }
        return true;
    case KIND_CLONE_FLAGS:
        show_clone_flags(v->arg[i], out);
        return true;
    case KIND_MAP_FLAGS:
        show_map_flags(v->arg[i], out);
        return true;
    case KIND_STATX_FLAGS:
        show_statx_flags(value, out);
        return true;
    case KIND_SOCKET_PROTOCOL:
        show_protocol(v, value, out);
        return true;
    case KIND_SYSLOG_ACTION:
        text_add(out, "%d /* %s */", (int)value,
                 decode_name(syslog_actions, value) ? decode_name(syslog_actions, value)
                                                    : "SYSLOG_ACTION_???");
        return true;
    case KIND_PROT:
    case KIND_MREMAP_FLAGS:
        value = v->arg[i];
        break;
    case KIND_RSEQ_FLAGS:
        text_add(out, value ? "0x%llx" : "0", (unsigned long long)value);
        return true;
    case KIND_FUTEX_OP:
        show_futex_op(value, out);
        return true;
    case KIND_IOCTL_CMD:
        if (decode_name(ioctls, value)) {
            break;
        }
        show_ioctl_number((u32)value, out);
        return true;
    case KIND_SOCKET_TYPE:
        show_socket_type(value, out);
        return true;
    case KIND_MOUNT_FLAGS: // old callers put a magic number on top
        value = (value & 0xFFFF0000) == 0xC0ED0000 ? value & 0xFFFF : v->arg[i];
        break;
    default:
        break;
    }
    const struct flag_kind *k = &kinds[kind];
    if (k->shape == SHAPE_FLAGS) {
        decode_flags(out, k->names, value, k->comment);
    } else if (k->shape == SHAPE_CHOICE) {
        decode_choice(out, k->names, value, k->comment);
    } else if (k->shape == SHAPE_CHOICE_SIGNED) {
        decode_choice(out, k->names, (u64)(s64)(s32)value, k->comment);
    }
    return k->shape != SHAPE_NONE;
}
