// SPDX-License-Identifier: MIT
// Structures behind pointers, laid out as the x86-64 Linux ABI has them (the host's own headers,
// read from guest bytes).
#include "trace/decode.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#define N(name) {name, #name}
#define SA_RESTORER_FLAG 0x04000000u
#define SHOWN_MAX 32
#define INFINITE UINT64_MAX

#define READ(v, address, object) (v)->read((v)->ctx, (address), &(object), sizeof(object))

typedef bool (*struct_fn)(const struct syscall_view *v, u64 address, struct text *out);

static bool show_timespec(const struct syscall_view *v, u64 address, struct text *out)
{
    struct timespec t;
    if (!READ(v, address, t)) {
        return false;
    }
    if (t.tv_nsec == (1 << 30) - 1 || t.tv_nsec == (1 << 30) - 2) { // utimensat's special values
        text_add(out, t.tv_nsec == (1 << 30) - 1 ? "UTIME_NOW" : "UTIME_OMIT");
        return true;
    }
    text_add(out, "{tv_sec=%lld, tv_nsec=%lld}", (long long)t.tv_sec, (long long)t.tv_nsec);
    return true;
}

static bool show_timeval(const struct syscall_view *v, u64 address, struct text *out)
{
    struct timeval t;
    if (!READ(v, address, t)) {
        return false;
    }
    text_add(out, "{tv_sec=%lld, tv_usec=%lld}", (long long)t.tv_sec, (long long)t.tv_usec);
    return true;
}

static bool show_pair(const struct syscall_view *v, u64 address, struct text *out, struct_fn show,
                      const char *first, const char *second, const char *open, const char *close)
{
    u64 probe[4];
    if (!READ(v, address, probe)) {
        return false;
    }
    text_add(out, "%s%s", open, first);
    show(v, address, out);
    text_add(out, ", %s", second);
    show(v, address + 16, out);
    text_add(out, "%s", close);
    return true;
}

// A time of a file, with its date.
static bool show_file_time(const struct syscall_view *v, u64 address, struct text *out)
{
    struct timespec t;
    struct tm day;
    char text[64];
    if (!show_timespec(v, address, out) || !READ(v, address, t)) {
        return false;
    }
    bool real = t.tv_nsec >= 0 && t.tv_nsec < 1000000000 && (t.tv_sec || t.tv_nsec);
    if (real && gmtime_r(&t.tv_sec, &day) && strftime(text, sizeof(text), "%FT%T", &day)) {
        text_add(out, " /* %s", text);
        if (t.tv_nsec) {
            text_add(out, ".%09ld", t.tv_nsec);
        }
        text_add(out, "+0000 */");
    }
    return true;
}

static bool show_timespec2(const struct syscall_view *v, u64 address, struct text *out)
{
    return show_pair(v, address, out, show_file_time, "", "", "[", "]");
}

static bool show_timeval2(const struct syscall_view *v, u64 address, struct text *out)
{
    return show_pair(v, address, out, show_timeval, "", "", "[", "]");
}

static bool show_itimerval(const struct syscall_view *v, u64 address, struct text *out)
{
    return show_pair(v, address, out, show_timeval, "it_interval=", "it_value=", "{", "}");
}

static bool show_itimerspec(const struct syscall_view *v, u64 address, struct text *out)
{
    return show_pair(v, address, out, show_timespec, "it_interval=", "it_value=", "{", "}");
}

static bool show_stat(const struct syscall_view *v, u64 address, struct text *out)
{
    struct stat st;
    if (!READ(v, address, st)) {
        return false;
    }
    text_add(out, "{st_mode=");
    decode_file_mode(out, st.st_mode);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        text_add(out, ", st_rdev=makedev(%#x, %#x)", (u32)(st.st_rdev >> 8 & 0xFFF),
                 (u32)((st.st_rdev & 0xFF) | (st.st_rdev >> 12 & 0xFFF00)));
    } else {
        text_add(out, ", st_size=%lld", (long long)st.st_size);
    }
    text_add(out, ", ...}");
    return true;
}

static bool show_statx(const struct syscall_view *v, u64 address, struct text *out)
{
    static const struct flag_name attributes[] = {
    {4, "STATX_ATTR_COMPRESSED"}, {16, "STATX_ATTR_IMMUTABLE"}, {32, "STATX_ATTR_APPEND"},
    {64, "STATX_ATTR_NODUMP"}, {2048, "STATX_ATTR_ENCRYPTED"}, {0x2000, "STATX_ATTR_MOUNT_ROOT"},
    {0, NULL}};
    struct statx st;
    if (!READ(v, address, st)) {
        return false;
    }
    text_add(out, "{stx_mask=");
    decode_flags(out, decode_statx_mask, st.stx_mask, "STATX_???");
    text_add(out, ", stx_attributes=");
    decode_flags(out, attributes, st.stx_attributes, "STATX_ATTR_???");
    if (st.stx_mask & (STATX_TYPE | STATX_MODE)) {
        text_add(out, ", stx_mode=");
        decode_file_mode(out, st.stx_mode);
    }
    if (st.stx_mask & STATX_SIZE) {
        text_add(out, ", stx_size=%llu", (unsigned long long)st.stx_size);
    }
    text_add(out, ", ...}");
    return true;
}

static const struct flag_name file_systems[] = {
    {0xef53, "EXT2_SUPER_MAGIC"}, {0x01021994, "TMPFS_MAGIC"}, {0x9fa0, "PROC_SUPER_MAGIC"},
    {0x62656572, "SYSFS_MAGIC"}, {0x50495045, "PIPEFS_MAGIC"}, {0x1cd1, "DEVPTS_SUPER_MAGIC"},
    {0x858458f6, "RAMFS_MAGIC"}, {0x794c7630, "OVERLAYFS_SUPER_MAGIC"}, {0, NULL}};
static const struct flag_name file_system_flags[] = {
    {1, "ST_RDONLY"}, {2, "ST_NOSUID"}, {4, "ST_NODEV"}, {8, "ST_NOEXEC"}, {16, "ST_SYNCHRONOUS"},
    {32, "ST_VALID"}, {64, "ST_MANDLOCK"}, {1024, "ST_NOATIME"}, {2048, "ST_NODIRATIME"},
    {4096, "ST_RELATIME"}, {0, NULL}};

static bool show_statfs(const struct syscall_view *v, u64 address, struct text *out)
{
    struct statfs st;
    if (!READ(v, address, st)) {
        return false;
    }
    const char *name = decode_name(file_systems, (u64)st.f_type);
    if (name) {
        text_add(out, "{f_type=%s", name);
    } else {
        text_add(out, st.f_type ? "{f_type=0x%llx" : "{f_type=0", (unsigned long long)st.f_type);
    }
    text_add(out, ", f_bsize=%lld, f_blocks=%llu, f_bfree=%llu, f_bavail=%llu, f_files=%llu, ",
             (long long)st.f_bsize, (unsigned long long)st.f_blocks, (unsigned long long)st.f_bfree,
             (unsigned long long)st.f_bavail, (unsigned long long)st.f_files);
    text_add(out, "f_ffree=%llu, f_fsid={val=[%s%x, %s%x]}, f_namelen=%lld, f_frsize=%lld",
             (unsigned long long)st.f_ffree, st.f_fsid.__val[0] ? "0x" : "",
             (u32)st.f_fsid.__val[0], st.f_fsid.__val[1] ? "0x" : "", (u32)st.f_fsid.__val[1],
             (long long)st.f_namelen, (long long)st.f_frsize);
    if (st.f_flags & 0x20) { // ST_VALID: the kernel fills them
        text_add(out, ", f_flags=");
        decode_flags(out, file_system_flags, (u64)st.f_flags, "ST_???");
    }
    text_char(out, '}');
    return true;
}

static const struct flag_name sa_flags[] = {
    {SA_RESTORER_FLAG, "SA_RESTORER"}, N(SA_ONSTACK), N(SA_RESTART), N(SA_NODEFER),
    N(SA_RESETHAND), N(SA_SIGINFO), N(SA_NOCLDSTOP), N(SA_NOCLDWAIT), {0, NULL}};

static bool show_sigaction(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 words[4]; // handler, flags, restorer, mask: rt_sigaction(2), the kernel's own structure
    if (!READ(v, address, words)) {
        return false;
    }
    text_add(out, "{sa_handler=");
    if (words[0] <= 1) {
        text_add(out, words[0] ? "SIG_IGN" : "SIG_DFL");
    } else {
        text_add(out, "0x%llx", (unsigned long long)words[0]);
    }
    text_add(out, ", sa_mask=");
    decode_signal_set(out, words[3]);
    text_add(out, ", sa_flags=");
    decode_flags(out, sa_flags, words[1], "SA_???");
    if (words[1] & SA_RESTORER_FLAG) {
        text_add(out, ", sa_restorer=0x%llx", (unsigned long long)words[2]);
    }
    text_char(out, '}');
    return true;
}

// The size that the caller gives with a set; sets of another size are refused, and not read.
static u64 sigset_size(const struct syscall_view *v)
{
    for (unsigned i = 5; i > 0; i--) {
        if (v->row->args[i] == KIND_ULONG) {
            return v->arg[i];
        }
    }
    return 8;
}

static bool show_sigset(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 set;
    if (sigset_size(v) != 8 || !READ(v, address, set)) {
        return false;
    }
    decode_signal_set(out, set);
    return true;
}

static bool show_sigset_size(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 words[2];
    u64 set = 0;
    if (!READ(v, address, words)) {
        return false;
    }
    text_add(out, "{sigmask=");
    if (words[0] && words[1] == 8 && READ(v, words[0], set)) {
        decode_signal_set(out, set);
    } else {
        decode_pointer(out, words[0]);
    }
    text_add(out, ", sigsetsize=%llu}", (unsigned long long)words[1]);
    return true;
}

static bool show_stack(const struct syscall_view *v, u64 address, struct text *out)
{
    static const struct flag_name flags[] = {
    N(SS_ONSTACK), N(SS_DISABLE), {1u << 31, "SS_AUTODISARM"}, {0, NULL}};
    stack_t st;
    if (!READ(v, address, st)) {
        return false;
    }
    text_add(out, "{ss_sp=");
    decode_pointer(out, (u64)st.ss_sp);
    text_add(out, ", ss_flags=");
    decode_flags(out, flags, (u32)st.ss_flags, "SS_???");
    text_add(out, ", ss_size=%llu}", (unsigned long long)st.ss_size);
    return true;
}

static void show_ticks(struct text *out, const char *label, clock_t ticks)
{
    text_add(out, "%s%ld", label, ticks);
    if (ticks) { // 100 a second
        text_add(out, " /* %ld.%02ld s */", ticks / 100, ticks % 100);
    }
}

static const struct flag_name si_codes[] = {
    N(SI_USER), {0x80, "SI_KERNEL"}, {(u64)-1, "SI_QUEUE"}, {(u64)-2, "SI_TIMER"},
    {(u64)-6, "SI_TKILL"}, {0, NULL}};
static const struct flag_name child_codes[] = {
    N(CLD_EXITED), N(CLD_KILLED), N(CLD_DUMPED), N(CLD_TRAPPED), N(CLD_STOPPED), N(CLD_CONTINUED),
    {0, NULL}};
static const struct flag_name segv_codes[] = {N(SEGV_MAPERR), N(SEGV_ACCERR), {0, NULL}};
static const struct flag_name bus_codes[] = {
    N(BUS_ADRALN), N(BUS_ADRERR), N(BUS_OBJERR), {0, NULL}};
static const struct flag_name fpe_codes[] = {
    N(FPE_INTDIV), N(FPE_INTOVF), N(FPE_FLTDIV), N(FPE_FLTOVF), N(FPE_FLTUND), N(FPE_FLTRES),
    N(FPE_FLTINV), N(FPE_FLTSUB), {0, NULL}};
static const struct flag_name ill_codes[] = {
    N(ILL_ILLOPC), N(ILL_ILLOPN), N(ILL_ILLADR), N(ILL_ILLTRP), N(ILL_PRVOPC), N(ILL_PRVREG),
    {0, NULL}};
static const struct flag_name trap_codes[] = {N(TRAP_BRKPT), N(TRAP_TRACE), {0, NULL}};

static const struct flag_name *codes_of(int signal)
{
    switch (signal) {
    case SIGCHLD:
        return child_codes;
    case SIGSEGV:
        return segv_codes;
    case SIGBUS:
        return bus_codes;
    case SIGFPE:
        return fpe_codes;
    case SIGILL:
        return ill_codes;
    case SIGTRAP:
        return trap_codes;
    default:
        return si_codes;
    }
}

static void show_si_code(const siginfo_t *si, struct text *out)
{
    const struct flag_name *names = codes_of(si->si_signo);
    const char *name = si->si_code > 0 ? decode_name(names, (u64)si->si_code) : NULL;
    name = name ? name : decode_name(si_codes, (u64)(s64)si->si_code);
    text_add(out, ", si_code=");
    if (name) {
        text_add(out, "%s", name);
    } else {
        text_add(out, "%d", si->si_code);
    }
}

bool decode_siginfo(const struct syscall_view *v, u64 address, struct text *out)
{
    siginfo_t si;
    if (!READ(v, address, si)) {
        return false;
    }
    text_add(out, "{si_signo=");
    decode_signal(out, si.si_signo);
    show_si_code(&si, out);
    bool fault = si.si_signo == SIGSEGV || si.si_signo == SIGBUS || si.si_signo == SIGILL ||
                 si.si_signo == SIGFPE || si.si_signo == SIGTRAP;
    if (fault && si.si_code > 0) {
        text_add(out, ", si_addr=");
        decode_pointer(out, (u64)si.si_addr);
    } else if (si.si_signo == SIGCHLD && si.si_code > 0) {
        text_add(out, ", si_pid=%d, si_uid=%u, si_status=", si.si_pid, si.si_uid);
        if (si.si_code == CLD_EXITED) {
            text_add(out, "%d", si.si_status);
        } else {
            decode_signal(out, si.si_status);
        }
        show_ticks(out, ", si_utime=", si.si_utime);
        show_ticks(out, ", si_stime=", si.si_stime);
    } else if (si.si_code <= 0) {
        text_add(out, ", si_pid=%d, si_uid=%u", si.si_pid, si.si_uid);
        if (si.si_code == SI_QUEUE && si.si_ptr) {
            text_add(out, ", si_int=%d, si_ptr=", si.si_int);
            decode_pointer(out, (u64)si.si_ptr);
        }
    }
    text_char(out, '}');
    return true;
}

static bool show_rusage(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 probe;
    bool waited = v->row->args[1] == KIND_WSTATUS_OUT; // wait4: of the child it found
    if ((waited && v->result <= 0) || !READ(v, address, probe)) {
        return false;
    }
    text_add(out, "{ru_utime=");
    show_timeval(v, address, out);
    text_add(out, ", ru_stime=");
    show_timeval(v, address + 16, out);
    text_add(out, ", ...}");
    return true;
}

static void show_limit(u64 value, struct text *out)
{
    if (value == INFINITE) {
        text_add(out, "RLIM64_INFINITY");
    } else if (value > 1024 && value % 1024 == 0) {
        text_add(out, "%llu*1024", (unsigned long long)value / 1024);
    } else {
        text_add(out, "%llu", (unsigned long long)value);
    }
}

static bool show_rlimit(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 limits[2];
    if (!READ(v, address, limits)) {
        return false;
    }
    text_add(out, "{rlim_cur=");
    show_limit(limits[0], out);
    text_add(out, ", rlim_max=");
    show_limit(limits[1], out);
    text_char(out, '}');
    return true;
}

static bool show_utsname(const struct syscall_view *v, u64 address, struct text *out)
{
    struct utsname u;
    if (!READ(v, address, u)) {
        return false;
    }
    text_add(out, "{sysname=");
    decode_bytes(out, (const u8 *)u.sysname, strnlen(u.sysname, 64), false);
    text_add(out, ", nodename=");
    decode_bytes(out, (const u8 *)u.nodename, strnlen(u.nodename, 64), false);
    text_add(out, ", ...}");
    return true;
}

static bool show_sysinfo(const struct syscall_view *v, u64 address, struct text *out)
{
    struct sysinfo s;
    if (!READ(v, address, s)) {
        return false;
    }
    text_add(out, "{uptime=%ld, loads=[%lu, %lu, %lu], totalram=%lu, freeram=%lu, ", s.uptime,
             s.loads[0], s.loads[1], s.loads[2], s.totalram, s.freeram);
    text_add(out, "sharedram=%lu, bufferram=%lu, totalswap=%lu, freeswap=%lu, procs=%u, ",
             s.sharedram, s.bufferram, s.totalswap, s.freeswap, s.procs);
    text_add(out, "totalhigh=%lu, freehigh=%lu, mem_unit=%u}", s.totalhigh, s.freehigh, s.mem_unit);
    return true;
}

static bool show_tms(const struct syscall_view *v, u64 address, struct text *out)
{
    struct tms t;
    if (!READ(v, address, t)) {
        return false;
    }
    static const char *const names[] = {"tms_utime=", "tms_stime=", "tms_cutime=",
                                        "tms_cstime="};
    const clock_t ticks[] = {t.tms_utime, t.tms_stime, t.tms_cutime, t.tms_cstime};
    for (unsigned i = 0; i < 4; i++) {
        text_add(out, i ? ", " : "{");
        show_ticks(out, names[i], ticks[i]);
    }
    text_char(out, '}');
    return true;
}

static bool show_wait_status(const struct syscall_view *v, u64 address, struct text *out)
{
    int status;
    if (v->result <= 0) {
        return false;
    }
    if (!READ(v, address, status)) {
        return false;
    }
    if (WIFEXITED(status)) {
        text_add(out, "[{WIFEXITED(s) && WEXITSTATUS(s) == %d}]", WEXITSTATUS(status));
    } else if (WIFSTOPPED(status)) {
        text_add(out, "[{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        decode_signal(out, WSTOPSIG(status));
        text_add(out, "}]");
    } else if (WIFCONTINUED(status)) {
        text_add(out, "[{WIFCONTINUED(s)}]");
    } else {
        text_add(out, "[{WIFSIGNALED(s) && WTERMSIG(s) == ");
        decode_signal(out, WTERMSIG(status));
        text_add(out, WCOREDUMP(status) ? " && WCOREDUMP(s)}]" : "}]");
    }
    return true;
}

static bool show_sched_param(const struct syscall_view *v, u64 address, struct text *out)
{
    int priority;
    if (!READ(v, address, priority)) {
        return false;
    }
    text_add(out, "[%d]", priority);
    return true;
}

// Counts directory entries by their record length (getdents64(2): d_reclen at 16).
static bool show_dirents(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 size = v->result > 0 ? (u64)v->result : 0;
    unsigned count = 0;
    for (u64 at = 0; at + 18 <= size; count++) {
        u16 length;
        if (!READ(v, address + at + 16, length) || length < 18) {
            return false;
        }
        at += length;
    }
    text_add(out, "0x%llx /* %u entries */", (unsigned long long)address, count);
    return true;
}

static bool show_cpuset(const struct syscall_view *v, u64 address, u64 size, struct text *out)
{
    u64 words[16] = {0};
    size = size < sizeof(words) ? size : sizeof(words);
    if (!v->read(v->ctx, address, words, size)) {
        return false;
    }
    const char *space = "";
    text_char(out, '[');
    for (size_t cpu = 0; cpu < size * 8; cpu++) {
        if (words[cpu / 64] >> (cpu % 64) & 1) {
            text_add(out, "%s%zu", space, cpu);
            space = " ";
        }
    }
    text_char(out, ']');
    return true;
}

static bool show_clone_args(const struct syscall_view *v, u64 address, struct text *out)
{
    u64 a[8]; // flags pidfd child_tid parent_tid exit_signal stack stack_size tls: clone(2)
    if (v->arg[1] < sizeof(a) || !READ(v, address, a)) {
        return false;
    }
    struct syscall_view flags = {.row = syscall_row(272), .arg = {a[0]}}; // unshare: CLONE_* alone
    text_add(out, "{flags=");
    syscall_show_arg(&flags, 0, true, out);
    text_add(out, ", exit_signal=");
    decode_signal(out, (int)a[4]);
    text_add(out, ", stack=");
    decode_pointer(out, a[5]);
    text_add(out, ", stack_size=0x%llx}", (unsigned long long)a[6]);
    return true;
}

static bool show_sockaddr(const struct syscall_view *v, u64 address, u64 length, struct text *out)
{
    u8 bytes[sizeof(struct sockaddr_un)] = {0};
    length = length < sizeof(bytes) ? length : sizeof(bytes);
    if (length < 2 || !v->read(v->ctx, address, bytes, length)) {
        return false;
    }
    u16 family = (u16)(bytes[0] | bytes[1] << 8);
    if (family == AF_UNIX && length == 2) {
        text_add(out, "{sa_family=AF_UNIX}");
    } else if (family == AF_UNIX) {
        text_add(out, "{sa_family=AF_UNIX, sun_path=%s\"%.107s\"}", bytes[2] ? "" : "@",
                 (const char *)bytes + (bytes[2] ? 2 : 3));
    } else if (family == AF_INET && length >= 8) {
        text_add(out,
                 "{sa_family=AF_INET, sin_port=htons(%u), sin_addr=inet_addr(\"%u.%u.%u.%u\")}",
                 bytes[2] << 8 | bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]);
    } else if (family == AF_INET) {
        text_add(out, "{sa_family=AF_INET, sa_data=");
        decode_bytes(out, bytes + 2, length - 2, false);
        text_char(out, '}');
    } else {
        text_add(out, "{sa_family=%u, ...}", family);
    }
    return true;
}

static const struct_fn plain[SYSCALL_KIND_COUNT] = {
    [KIND_TIMESPEC_IN] = show_timespec,
    [KIND_TIMESPEC_OUT] = show_timespec,
    [KIND_FUTEX_TIMEOUT] = show_timespec,
    [KIND_TIMESPEC2_IN] = show_timespec2,
    [KIND_TIMEVAL_IN] = show_timeval,
    [KIND_TIMEVAL_OUT] = show_timeval,
    [KIND_TIMEVAL2_IN] = show_timeval2,
    [KIND_ITIMERVAL_IN] = show_itimerval,
    [KIND_ITIMERVAL_OUT] = show_itimerval,
    [KIND_ITIMERSPEC_IN] = show_itimerspec,
    [KIND_ITIMERSPEC_OUT] = show_itimerspec,
    [KIND_STAT_OUT] = show_stat,
    [KIND_STATX_OUT] = show_statx,
    [KIND_STATFS_OUT] = show_statfs,
    [KIND_SIGACTION_IN] = show_sigaction,
    [KIND_SIGACTION_OUT] = show_sigaction,
    [KIND_SIGSET_IN] = show_sigset,
    [KIND_SIGSET_OUT] = show_sigset,
    [KIND_SIGSET_SIZE_IN] = show_sigset_size,
    [KIND_STACK_IN] = show_stack,
    [KIND_STACK_OUT] = show_stack,
    [KIND_SIGINFO_IN] = decode_siginfo,
    [KIND_SIGINFO_OUT] = decode_siginfo,
    [KIND_RUSAGE_OUT] = show_rusage,
    [KIND_RLIMIT_IN] = show_rlimit,
    [KIND_RLIMIT_OUT] = show_rlimit,
    [KIND_UTSNAME_OUT] = show_utsname,
    [KIND_SYSINFO_OUT] = show_sysinfo,
    [KIND_TMS_OUT] = show_tms,
    [KIND_POLLFDS] = decode_pollfds,
    [KIND_FDSET] = decode_fdset,
    [KIND_EPOLL_EVENT_IN] = decode_epoll,
    [KIND_EPOLL_EVENTS_OUT] = decode_epoll_list,
    [KIND_DIRENTS_OUT] = show_dirents,
    [KIND_WSTATUS_OUT] = show_wait_status,
    [KIND_SCHED_PARAM_IN] = show_sched_param,
    [KIND_SCHED_PARAM_OUT] = show_sched_param,
    [KIND_CLONE_ARGS_IN] = show_clone_args,
    [KIND_IOCTL_ARG] = decode_ioctl_arg,
    [KIND_FCNTL_ARG] = decode_fcntl_arg,
};

bool decode_struct(const struct syscall_view *v, unsigned i, struct text *out)
{
    enum syscall_kind kind = (enum syscall_kind)v->row->args[i];
    u64 address = v->arg[i];
    u32 length;
    switch (kind) {
    case KIND_TIMESPEC_REM: // filled only when the sleep was cut short
        return v->done && v->result == -4 && show_timespec(v, address, out);
    case KIND_CPUSET_IN:
        return show_cpuset(v, address, v->arg[i - 1], out);
    case KIND_CPUSET_OUT:
        return show_cpuset(v, address, v->result > 0 ? (u64)v->result : 0, out);
    case KIND_SOCKADDR_IN:
        return show_sockaddr(v, address, (u32)v->arg[i + 1], out);
    case KIND_SOCKADDR_OUT:
        return READ(v, v->arg[i + 1], length) && show_sockaddr(v, address, length, out);
    default:
        return plain[kind] && plain[kind](v, address, out);
    }
}
