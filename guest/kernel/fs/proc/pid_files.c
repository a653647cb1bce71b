// SPDX-License-Identifier: MIT
// The files of /proc/PID, formats as proc(5) gives them.
#include "fs/proc/proc.h"

#include "arch/x86_64/smp.h"

#include "arch/x86_64/regs.h"
#include "mm/oom.h"
#include "mm/proc_mm.h"
#include "tty/tty.h"

#define USER_HZ 100
#define NS_PER_TICK (1000000000ull / USER_HZ)

static u64 ticks(u64 ns)
{
    return ns / NS_PER_TICK;
}

static void show_comm(struct seq_file *m, struct task_struct *t)
{
    char comm[TASK_COMM_LEN];
    spin_lock(&t->alloc_lock);
    memcpy(comm, t->comm, sizeof(comm));
    spin_unlock(&t->alloc_lock);
    seq_puts(m, comm);
}

// Ids and counters that need tasklist_lock or siglock, taken at once.
struct family {
    pid_t ppid, pgrp, session, tpgid;
    dev_t tty;
    int threads;
    u64 utime, stime, cutime, cstime, min_flt, maj_flt, cmin_flt, cmaj_flt, rss_limit;
    sigset_t_k pending, shared_pending, ignored, caught;
};

static void collect_signals(struct task_struct *t, struct family *f)
{
    f->pending = t->pending.signal;
    f->shared_pending = t->signal->shared_pending.signal;
    for (int i = 0; i < 64; i++) {
        u64 handler = (u64)(uintptr_t)t->sighand->action[i].sa.handler;
        f->ignored.sig |= (u64)(handler == 1) << i;
        f->caught.sig |= (u64)(handler > 1) << i;
    }
}

static void collect(struct task_struct *t, bool whole, struct family *f)
{
    unsigned long flags;
    memset(f, 0, sizeof(*f));
    f->tpgid = -1;
    spin_lock(&tasklist_lock);
    if (t->real_parent && t->thread_pid) {
        f->ppid = task_tgid_vnr(t->real_parent);
        f->pgrp = pid_vnr(task_pgrp(t));
        f->session = pid_vnr(task_session(t));
    }
    spin_unlock(&tasklist_lock);
    struct sighand_struct *sighand = lock_task_sighand(t, &flags);
    if (!sighand) {
        return;
    }
    struct signal_struct *s = t->signal;
    f->threads = s->nr_threads;
    if (s->tty) {
        f->tty = tty_devnum(s->tty);
        f->tpgid = s->tty->pgrp ? pid_vnr(s->tty->pgrp) : -1;
    }
    f->min_flt = t->min_flt, f->maj_flt = t->maj_flt;
    if (whole) {
        thread_group_cputime(t, &f->utime, &f->stime);
        f->min_flt += s->min_flt, f->maj_flt += s->maj_flt;
    } else {
        task_cputime(t, &f->utime, &f->stime);
    }
    f->cutime = s->cutime, f->cstime = s->cstime, f->cmin_flt = s->cmin_flt,
    f->cmaj_flt = s->cmaj_flt;
    f->rss_limit = s->rlim[RLIMIT_RSS].rlim_cur;
    collect_signals(t, f);
    spin_unlock_irqrestore(&sighand->siglock, flags);
}

static int show_stat(struct seq_file *m, struct task_struct *t)
{
    struct family f;
    struct mm_struct *mm = get_task_mm(t);
    bool look = proc_may_look(t);
    collect(t, !proc_i(m->private)->is_thread, &f);
    seq_printf(m, "%d (", task_pid_vnr(t));
    show_comm(m, t);
    seq_printf(
        m, ") %c %d %d %d %llu %d %u %llu %llu %llu %llu %llu %llu %llu %llu %d %d %d 0 %llu ",
        task_state_char(t), f.ppid, f.pgrp, f.session, (unsigned long long)new_encode_dev(f.tty),
        f.tpgid, t->flags, (unsigned long long)f.min_flt, (unsigned long long)f.cmin_flt,
        (unsigned long long)f.maj_flt, (unsigned long long)f.cmaj_flt,
        (unsigned long long)ticks(f.utime), (unsigned long long)ticks(f.stime),
        (unsigned long long)ticks(f.cutime), (unsigned long long)ticks(f.cstime), task_prio_stat(t),
        task_nice(t), f.threads, (unsigned long long)ticks(t->start_time));
    seq_printf(m, "%llu %llu %llu %llu %llu %llu 0 0 ",
               (unsigned long long)(mm ? mm->total_vm * PAGE_SIZE : 0),
               (unsigned long long)(mm ? mm_rss(mm) : 0), (unsigned long long)f.rss_limit,
               (unsigned long long)(mm ? look ? mm->start_code : 1 : 0),
               (unsigned long long)(mm ? look ? mm->end_code : 1 : 0),
               (unsigned long long)(mm && look ? mm->start_stack : 0));
    seq_printf(m, "%llu %llu %llu %llu 0 0 0 %d %u %u %u 0 0 0 ", (unsigned long long)f.pending.sig,
               (unsigned long long)t->blocked.sig, (unsigned long long)f.ignored.sig,
               (unsigned long long)f.caught.sig, t->exit_signal, t->cpu, (unsigned)t->rt_priority,
               (unsigned)t->policy);
    seq_printf(m, "%llu %llu %llu %llu %llu %llu %llu %d\n",
               (unsigned long long)(mm && look ? mm->start_data : 0),
               (unsigned long long)(mm && look ? mm->end_data : 0),
               (unsigned long long)(mm && look ? mm->start_brk : 0),
               (unsigned long long)(mm && look ? mm->arg_start : 0),
               (unsigned long long)(mm && look ? mm->arg_end : 0),
               (unsigned long long)(mm && look ? mm->env_start : 0),
               (unsigned long long)(mm && look ? mm->env_end : 0), look ? t->exit_code : 0);
    if (mm) {
        mmput(mm);
    }
    return 0;
}

static const char *state_name(char c)
{
    static const struct {
        char letter;
        const char *name;
    } names[] = {{'R', "running"}, {'S', "sleeping"}, {'D', "disk sleep"}, {'T', "stopped"},
                 {'t', "tracing stop"}, {'Z', "zombie"}, {'X', "dead"}, {'I', "idle"}};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (names[i].letter == c) {
            return names[i].name;
        }
    }
    return "unknown";
}

static void show_ids(struct seq_file *m, struct task_struct *t)
{
    const struct cred *c = get_task_cred(t);
    spin_lock(&t->alloc_lock);
    unsigned max_fds = t->files ? t->files->max_fds : 0;
    spin_unlock(&t->alloc_lock);
    seq_printf(m, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid,
               c->fsuid, c->gid, c->egid, c->sgid, c->fsgid);
    seq_printf(m, "FDSize:\t%u\nGroups:\t", max_fds);
    for (int i = 0; c->group_info && i < c->group_info->ngroups; i++) {
        seq_printf(m, "%u ", c->group_info->gid[i]);
    }
    seq_putc(m, '\n');
    put_cred(c);
}

static void show_capabilities(struct seq_file *m, struct task_struct *t)
{
    const struct cred *c = get_task_cred(t);
    seq_printf(m,
               "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\n"
               "CapAmb:\t%016llx\n",
               (unsigned long long)c->cap_inheritable.cap, (unsigned long long)c->cap_permitted.cap,
               (unsigned long long)c->cap_effective.cap, (unsigned long long)c->cap_bset.cap,
               (unsigned long long)c->cap_ambient.cap);
    put_cred(c);
}

static int show_status(struct seq_file *m, struct task_struct *t)
{
    struct family f;
    struct mm_struct *mm = get_task_mm(t);
    char state = task_state_char(t);
    int mask = -1;
    collect(t, true, &f);
    spin_lock(&t->alloc_lock);
    mask = t->fs ? t->fs->umask : -1;
    spin_unlock(&t->alloc_lock);
    seq_puts(m, "Name:\t");
    show_comm(m, t);
    seq_putc(m, '\n');
    if (mask >= 0) {
        seq_printf(m, "Umask:\t%04o\n", (unsigned)mask);
    }
    seq_printf(m, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n",
               state, state_name(state), task_tgid_vnr(t), task_pid_vnr(t), f.ppid);
    show_ids(m, t);
    seq_printf(m, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", task_tgid_vnr(t),
               task_pid_vnr(t), f.pgrp, f.session);
    if (mm) {
        proc_show_mm_status(m, mm);
        mmput(mm);
    }
    seq_printf(m, "Threads:\t%d\n", f.threads);
    seq_printf(m,
               "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\n"
               "SigCgt:\t%016llx\n",
               (unsigned long long)f.pending.sig, (unsigned long long)f.shared_pending.sig,
               (unsigned long long)t->blocked.sig, (unsigned long long)f.ignored.sig,
               (unsigned long long)f.caught.sig);
    show_capabilities(m, t);
    seq_printf(m, "NoNewPrivs:\t%d\nCpus_allowed:\t%llx\nCpus_allowed_list:\t", t->no_new_privs,
               (unsigned long long)(t->cpus_allowed & cpu_online_mask()));
    seq_bit_list(m, t->cpus_allowed & cpu_online_mask());
    seq_putc(m, '\n');
    seq_printf(m, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n",
               (unsigned long long)t->nvcsw, (unsigned long long)t->nivcsw);
    return 0;
}

// A shower of the address space: an empty file for kernel threads and zombies.
static int with_mm(struct seq_file *m, struct task_struct *t,
                   int (*show)(struct seq_file *, struct mm_struct *))
{
    struct mm_struct *mm = get_task_mm(t);
    if (!mm) {
        return 0;
    }
    int error = show(m, mm);
    mmput(mm);
    return error;
}

static int show_statm(struct seq_file *m, struct task_struct *t)
{
    struct mm_struct *mm = get_task_mm(t);
    int error = proc_show_statm(m, mm);
    if (mm) {
        mmput(mm);
    }
    return error;
}

static int show_maps(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, proc_show_maps);
}

static int show_smaps(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, proc_show_smaps);
}

static int show_smaps_rollup(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, proc_show_smaps_rollup);
}

// [start, end) of the process's memory, as it is.
static int show_memory(struct seq_file *m, struct mm_struct *mm, u64 start, u64 end)
{
    char part[256];
    while (start < end && !m->overflow) {
        ssize_t n =
            access_process_vm(mm, start, part, min_t(size_t, sizeof(part), end - start), false);
        if (n <= 0) {
            break;
        }
        seq_write(m, part, (size_t)n);
        start += (u64)n;
    }
    return 0;
}

static int show_arguments(struct seq_file *m, struct mm_struct *mm)
{
    return show_memory(m, mm, mm->arg_start, mm->arg_end);
}

static int show_environment(struct seq_file *m, struct mm_struct *mm)
{
    return show_memory(m, mm, mm->env_start, mm->env_end);
}

static int show_cmdline(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, show_arguments);
}

static int show_environ(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, show_environment);
}

static int show_auxv_of(struct seq_file *m, struct mm_struct *mm)
{
    unsigned n = 0;
    while (n + 2 <= ARRAY_SIZE(mm->saved_auxv) && mm->saved_auxv[n]) {
        n += 2;
    }
    seq_write(m, mm->saved_auxv, (n + 2) * sizeof(u64));
    return 0;
}

static int show_auxv(struct seq_file *m, struct task_struct *t)
{
    return with_mm(m, t, show_auxv_of);
}

static int show_comm_file(struct seq_file *m, struct task_struct *t)
{
    show_comm(m, t);
    seq_putc(m, '\n');
    return 0;
}

static ssize_t write_comm(struct task_struct *t, char *text, size_t len)
{
    if (!same_thread_group(t, current)) {
        return -EINVAL;
    }
    char *newline = strchr(text, '\n');
    if (newline) {
        *newline = '\0';
    }
    spin_lock(&t->alloc_lock);
    memset(t->comm, 0, sizeof(t->comm));
    kstrlcpy(t->comm, text, sizeof(t->comm));
    spin_unlock(&t->alloc_lock);
    return (ssize_t)len;
}

static int show_limits(struct seq_file *m, struct task_struct *t)
{
    static const struct {
        const char *name, *unit;
    } names[RLIM_NLIMITS] = {[RLIMIT_CPU] = {"Max cpu time", "seconds"},
                             [RLIMIT_FSIZE] = {"Max file size", "bytes"},
                             [RLIMIT_DATA] = {"Max data size", "bytes"},
                             [RLIMIT_STACK] = {"Max stack size", "bytes"},
                             [RLIMIT_CORE] = {"Max core file size", "bytes"},
                             [RLIMIT_RSS] = {"Max resident set", "bytes"},
                             [RLIMIT_NPROC] = {"Max processes", "processes"},
                             [RLIMIT_NOFILE] = {"Max open files", "files"},
                             [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
                             [RLIMIT_AS] = {"Max address space", "bytes"},
                             [RLIMIT_LOCKS] = {"Max file locks", "locks"},
                             [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
                             [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
                             [RLIMIT_NICE] = {"Max nice priority", ""},
                             [RLIMIT_RTPRIO] = {"Max realtime priority", ""},
                             [RLIMIT_RTTIME] = {"Max realtime timeout", "us"}};
    struct linux_rlimit64 limits[RLIM_NLIMITS];
    unsigned long flags;
    struct sighand_struct *sighand = lock_task_sighand(t, &flags);
    if (!sighand) {
        return 0;
    }
    memcpy(limits, t->signal->rlim, sizeof(limits));
    spin_unlock_irqrestore(&sighand->siglock, flags);
    seq_printf(m, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < RLIM_NLIMITS; i++) {
        char soft[24] = "unlimited", hard[24] = "unlimited";
        if (limits[i].rlim_cur != RLIM_INFINITY) {
            snprintf(soft, sizeof(soft), "%llu", (unsigned long long)limits[i].rlim_cur);
        }
        if (limits[i].rlim_max != RLIM_INFINITY) {
            snprintf(hard, sizeof(hard), "%llu", (unsigned long long)limits[i].rlim_max);
        }
        seq_printf(m, "%-25s %-20s %-20s %-10s\n", names[i].name, soft, hard, names[i].unit);
    }
    return 0;
}

static int show_io(struct seq_file *m, struct task_struct *t)
{
    seq_printf(
        m,
        "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: %llu\nwrite_bytes: %llu\n"
        "cancelled_write_bytes: 0\n",
        (unsigned long long)(t->io.rchar), (unsigned long long)t->io.wchar,
        (unsigned long long)t->io.syscr, (unsigned long long)t->io.syscw,
        (unsigned long long)t->io.read_bytes, (unsigned long long)t->io.write_bytes);
    return 0;
}

static int show_oom_score(struct seq_file *m, struct task_struct *t)
{
    seq_printf(m, "%d\n", oom_score(t));
    return 0;
}

static int show_oom_score_adj(struct seq_file *m, struct task_struct *t)
{
    seq_printf(m, "%d\n", t->signal ? t->signal->oom_score_adj : 0);
    return 0;
}

static int show_fail_nth(struct seq_file *m, struct task_struct *t)
{
    seq_printf(m, "%u\n", READ_ONCE(t->fail_nth));
    return 0;
}

// Only the task itself: it alone counts down.
static ssize_t write_fail_nth(struct task_struct *t, char *text, size_t len)
{
    u64 n;
    if (t != current || kstrtou64(text, 0, &n) || n > 0x7fffffff) {
        return -EINVAL;
    }
    t->fail_nth = (unsigned)n;
    return (ssize_t)len;
}

// Lowering below what root last allowed needs CAP_SYS_RESOURCE (proc(5)).
static ssize_t write_oom_score_adj(struct task_struct *t, char *text, size_t len)
{
    s64 value;
    unsigned long flags;
    int error = kstrtos64(text, 0, &value);
    if (error || value < OOM_SCORE_ADJ_MIN || value > OOM_SCORE_ADJ_MAX) {
        return -EINVAL;
    }
    bool privileged = capable(CAP_SYS_RESOURCE);
    struct sighand_struct *sighand = lock_task_sighand(t, &flags);
    if (!sighand) {
        return -ESRCH;
    }
    ssize_t done = (ssize_t)len;
    if (value < t->signal->oom_score_adj_min && !privileged) {
        done = -EACCES;
    } else {
        t->signal->oom_score_adj = (short)value;
        t->signal->oom_score_adj_min = privileged ? (short)value : t->signal->oom_score_adj_min;
    }
    spin_unlock_irqrestore(&sighand->siglock, flags);
    return done;
}

static int show_wchan(struct seq_file *m, struct task_struct *t)
{
    seq_putc(m, '0');
    return 0;
}

static int show_schedstat(struct seq_file *m, struct task_struct *t)
{
    seq_printf(m, "%llu 0 %llu\n", (unsigned long long)task_sched_runtime(t),
               (unsigned long long)(t->nvcsw + t->nivcsw));
    return 0;
}

static int show_sched(struct seq_file *m, struct task_struct *t)
{
    show_comm(m, t);
    seq_printf(m, " (%d, #threads: %d)\n", task_pid_vnr(t), t->signal ? t->signal->nr_threads : 1);
    seq_printf(m, "se.vruntime                                  : %20llu\n",
               (unsigned long long)t->se.vruntime);
    seq_printf(m, "se.sum_exec_runtime                          : %20llu\n",
               (unsigned long long)task_sched_runtime(t));
    seq_printf(m, "se.load.weight                               : %20llu\n",
               (unsigned long long)t->se.load.weight);
    seq_printf(m, "nr_voluntary_switches                        : %20llu\n",
               (unsigned long long)t->nvcsw);
    seq_printf(m, "nr_involuntary_switches                      : %20llu\n",
               (unsigned long long)t->nivcsw);
    seq_printf(m, "policy                                       : %20d\n", t->policy);
    seq_printf(m, "prio                                         : %20d\n", t->static_prio);
    return 0;
}

// --- links

static int link_exe(struct task_struct *t, struct path *path)
{
    struct mm_struct *mm = get_task_mm(t);
    int error = -ENOENT;
    if (mm) {
        if (mm->exe_file) {
            *path = mm->exe_file->f_path;
            path_get(path);
            error = 0;
        }
        mmput(mm);
    }
    return error;
}

static int link_fs(struct task_struct *t, struct path *path, bool root)
{
    int error = -ENOENT;
    spin_lock(&t->alloc_lock);
    if (t->fs) {
        (root ? get_fs_root : get_fs_pwd)(t->fs, path);
        error = 0;
    }
    spin_unlock(&t->alloc_lock);
    return error;
}

static int link_cwd(struct task_struct *t, struct path *path)
{
    return link_fs(t, path, false);
}

static int link_root(struct task_struct *t, struct path *path)
{
    return link_fs(t, path, true);
}

#define FILE_ROW(n, rights, fn) {.name = n, .mode = S_IFREG | rights, .show = fn}
#define OWN_ROW(n, rights, fn) {.name = n, .mode = S_IFREG | rights, .show = fn, .owner_only = true}
#define LINK_ROW(n, fn) {.name = n, .mode = S_IFLNK | 0777, .link = fn}

const struct pid_row proc_pid_rows[] = {
    {.name = "task",
     .mode = S_IFDIR | 0555,
     .iops = &proc_task_iops,
     .fops = &proc_task_fops,
     .group_only = true},
    {.name = "fd", .mode = S_IFDIR | 0500, .iops = &proc_fd_iops, .fops = &proc_fd_fops},
    {.name = "fdinfo",
     .mode = S_IFDIR | 0555,
     .iops = &proc_fdinfo_iops,
     .fops = &proc_fdinfo_fops},
    FILE_ROW("stat", 0444, show_stat),
    FILE_ROW("status", 0444, show_status),
    FILE_ROW("statm", 0444, show_statm),
    FILE_ROW("cmdline", 0444, show_cmdline),
    {.name = "comm", .mode = S_IFREG | 0644, .show = show_comm_file, .write = write_comm},
    OWN_ROW("environ", 0400, show_environ),
    OWN_ROW("auxv", 0400, show_auxv),
    OWN_ROW("maps", 0444, show_maps),
    {.name = "pagemap", .mode = S_IFREG | 0400, .fops = &proc_pagemap_fops, .owner_only = true},
    OWN_ROW("smaps", 0444, show_smaps),
    OWN_ROW("smaps_rollup", 0444, show_smaps_rollup),
    FILE_ROW("mounts", 0444, proc_show_mounts),
    FILE_ROW("mountinfo", 0444, proc_show_mountinfo),
    FILE_ROW("limits", 0444, show_limits),
    OWN_ROW("io", 0400, show_io),
    FILE_ROW("oom_score", 0444, show_oom_score),
    {.name = "fail-nth", .mode = S_IFREG | 0600, .show = show_fail_nth, .write = write_fail_nth},
    {.name = "oom_score_adj",
     .mode = S_IFREG | 0644,
     .show = show_oom_score_adj,
     .write = write_oom_score_adj},
    FILE_ROW("wchan", 0444, show_wchan),
    FILE_ROW("sched", 0444, show_sched),
    FILE_ROW("schedstat", 0444, show_schedstat),
    LINK_ROW("exe", link_exe),
    LINK_ROW("cwd", link_cwd),
    LINK_ROW("root", link_root),
    {.name = NULL},
};
