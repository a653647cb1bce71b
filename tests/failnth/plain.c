// SPDX-License-Identifier: MIT
// Scenarios of failing allocations: system calls that only read or set what is there already. Each
// is run all the same, and must not meet the failure.
#include "fail_nth.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>

#define PLAIN(name, expression)                                                                    \
    static long do_##name(void)                                                                    \
    {                                                                                              \
        return (expression);                                                                       \
    }

static struct stat st;
static struct timespec ts, soon = {0, 1000};
static struct timeval tv;
static sigset_t mask;
static uint32_t word;
static int fd, number;

static void open_fd(void)
{
    fd = (int)NEED(dup(data_fd));
}

static void close_fd(long result)
{
    if (result == -1) {
        close(fd);
    }
}

static void open_pty_like(void)
{
    fd = (int)NEED(open("/dev/console", O_RDWR | O_NOCTTY));
}

static void close_tty(long result)
{
    (void)result;
    close(fd);
}

static void open_folder(void)
{
    fd = (int)NEED(open(".", O_RDONLY));
}

static long read_tty(void)
{
    struct termios t;
    long result = ioctl(fd, TCGETS, &t);
    return result ? result : ioctl(fd, TCSETS, &t);
}

static long itimer(void)
{
    struct itimerval off = {{0, 0}, {0, 0}};
    return setitimer(ITIMER_REAL, &off, NULL);
}

static long uname_call(void)
{
    struct utsname u;
    return uname(&u);
}

static long sysinfo_call(void)
{
    struct sysinfo s;
    return sysinfo(&s);
}

static long rusage(void)
{
    struct rusage r;
    return getrusage(RUSAGE_SELF, &r);
}

static long limits(void)
{
    return syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, buffer);
}

static long sigaction_call(void)
{
    struct sigaction old;
    return sigaction(SIGUSR2, NULL, &old);
}

static long altstack(void)
{
    stack_t old;
    return sigaltstack(NULL, &old);
}

static long times_call(void)
{
    struct tms t;
    return times(&t);
}

static long restart(void)
{
    long result = syscall(SYS_restart_syscall);
    return result == -1 && errno == EINTR ? 0 : result; // nothing to restart
}

static long register_rseq(void)
{
    long result = syscall(SYS_rseq, NULL, 5, 0, 0);
    return result == -1 && errno == EINVAL ? 0 : result;
}

static long same_robust_list(void)
{
    void *head;
    size_t length;
    long result = syscall(SYS_get_robust_list, 0, &head, &length);
    return result ? result : syscall(SYS_set_robust_list, head, sizeof(long) * 3);
}

static long same_fs_base(void)
{
    unsigned long base;
    long result = syscall(SYS_arch_prctl, 0x1003, &base);
    return result ? result : syscall(SYS_arch_prctl, 0x1002, base);
}

PLAIN(close, close(fd))
PLAIN(fstat, fstat(data_fd, &st))
PLAIN(lseek, lseek(data_fd, 0, SEEK_SET))
PLAIN(fchdir, fchdir(fd))
PLAIN(nanosleep, syscall(SYS_nanosleep, &soon, NULL))
PLAIN(clock_nanosleep, syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &soon, NULL))
PLAIN(sched_yield, sched_yield())
PLAIN(alarm, syscall(SYS_alarm, 0))
PLAIN(getpid, syscall(SYS_getpid))
PLAIN(getppid, syscall(SYS_getppid))
PLAIN(gettid, syscall(SYS_gettid))
PLAIN(getpgrp, syscall(SYS_getpgrp))
PLAIN(getpgid, syscall(SYS_getpgid, 0))
PLAIN(getsid, syscall(SYS_getsid, 0))
PLAIN(setpgid, setpgid(0, 0))
PLAIN(getuid, syscall(SYS_getuid))
PLAIN(geteuid, syscall(SYS_geteuid))
PLAIN(getgid, syscall(SYS_getgid))
PLAIN(getegid, syscall(SYS_getegid))
PLAIN(getgroups, syscall(SYS_getgroups, 0, NULL))
PLAIN(umask, syscall(SYS_umask, 022))
PLAIN(gettimeofday, syscall(SYS_gettimeofday, &tv, NULL))
PLAIN(time, syscall(SYS_time, NULL))
PLAIN(clock_gettime, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts))
PLAIN(syslog, syscall(SYS_syslog, 10, NULL, 0))
PLAIN(getpriority, syscall(SYS_getpriority, PRIO_PROCESS, 0))
PLAIN(setpriority, syscall(SYS_setpriority, PRIO_PROCESS, 0, 0))
PLAIN(prctl, prctl(PR_SET_NAME, "fail_nth"))
PLAIN(reboot, syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0, NULL))
PLAIN(sethostname, sethostname("fern", 4))
PLAIN(futex, syscall(SYS_futex, &word, 1 /* WAKE */, 1, NULL, NULL, 0))
PLAIN(futex_wait,
      syscall(SYS_futex, &word, 0 /* WAIT */, 0, &soon, NULL, 0) == -1 && errno == ETIMEDOUT ? 0
                                                                                             : -1)
PLAIN(getaffinity, syscall(SYS_sched_getaffinity, 0, 8, buffer))
PLAIN(set_tid_address, syscall(SYS_set_tid_address, &number))
PLAIN(getrandom, syscall(SYS_getrandom, buffer, 1000, 0))
PLAIN(sigpending, syscall(SYS_rt_sigpending, &mask, 8))
PLAIN(fionread, ioctl(data_fd, FIONREAD, &number))

const struct scenario plain_scenarios[] = {
    {.calls = "close", .none = true, .before = open_fd, .call = do_close, .after = close_fd},
    {.calls = "fstat", .none = true, .call = do_fstat},
    {.calls = "lseek", .none = true, .call = do_lseek},
    {.calls = "fchdir", .none = true, .before = open_folder, .call = do_fchdir, .after = close_tty},
    {.calls = "ioctl",
     .detail = "terminal",
     .none = true,
     .before = open_pty_like,
     .call = read_tty,
     .after = close_tty},
    {.calls = "ioctl", .detail = "FIONREAD", .none = true, .call = do_fionread},
    {.calls = "nanosleep", .none = true, .call = do_nanosleep},
    {.calls = "clock_nanosleep", .none = true, .call = do_clock_nanosleep},
    {.calls = "sched_yield", .none = true, .call = do_sched_yield},
    {.calls = "alarm", .none = true, .call = do_alarm},
    {.calls = "setitimer", .none = true, .call = itimer},
    {.calls = "getpid", .none = true, .call = do_getpid},
    {.calls = "getppid", .none = true, .call = do_getppid},
    {.calls = "gettid", .none = true, .call = do_gettid},
    {.calls = "getpgrp", .none = true, .call = do_getpgrp},
    {.calls = "getpgid", .none = true, .call = do_getpgid},
    {.calls = "getsid", .none = true, .call = do_getsid},
    {.calls = "setpgid", .none = true, .child = true, .call = do_setpgid},
    {.calls = "getuid", .none = true, .call = do_getuid},
    {.calls = "geteuid", .none = true, .call = do_geteuid},
    {.calls = "getgid", .none = true, .call = do_getgid},
    {.calls = "getegid", .none = true, .call = do_getegid},
    {.calls = "getgroups", .none = true, .call = do_getgroups},
    {.calls = "uname", .none = true, .call = uname_call},
    {.calls = "umask", .none = true, .call = do_umask},
    {.calls = "gettimeofday", .none = true, .call = do_gettimeofday},
    {.calls = "time", .none = true, .call = do_time},
    {.calls = "clock_gettime", .none = true, .call = do_clock_gettime},
    {.calls = "getrusage", .none = true, .call = rusage},
    {.calls = "prlimit64", .none = true, .call = limits},
    {.calls = "sysinfo", .none = true, .call = sysinfo_call},
    {.calls = "times", .none = true, .call = times_call},
    {.calls = "syslog", .none = true, .call = do_syslog},
    {.calls = "getpriority", .none = true, .call = do_getpriority},
    {.calls = "setpriority", .none = true, .call = do_setpriority},
    {.calls = "prctl", .none = true, .call = do_prctl},
    {.calls = "arch_prctl", .none = true, .call = same_fs_base},
    {.calls = "reboot", .none = true, .call = do_reboot},
    {.calls = "sethostname", .none = true, .call = do_sethostname},
    {.calls = "futex", .none = true, .call = do_futex},
    {.calls = "futex", .detail = "wait", .none = true, .call = do_futex_wait},
    {.calls = "set_robust_list", .none = true, .call = same_robust_list},
    {.calls = "rseq", .none = true, .call = register_rseq},
    {.calls = "sched_getaffinity", .none = true, .call = do_getaffinity},
    {.calls = "set_tid_address", .none = true, .child = true, .call = do_set_tid_address},
    {.calls = "restart_syscall", .none = true, .call = restart},
    {.calls = "getrandom", .none = true, .call = do_getrandom},
    {.calls = "rt_sigaction", .none = true, .call = sigaction_call},
    {.calls = "rt_sigpending", .none = true, .call = do_sigpending},
    {.calls = "sigaltstack", .none = true, .call = altstack},
    {.calls = NULL},
};
