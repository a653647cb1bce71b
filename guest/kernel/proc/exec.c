// SPDX-License-Identifier: MIT
// execve(2): opening, "#!" scripts, set-user-ID, leaving the old program behind.
#include "proc/exec.h"

#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "fs/file.h"
#include "fs/mount.h"
#include "fs/namei.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/mm_internal.h"
#include "mm/slab.h"
#include "proc/exec_internal.h"
#include "proc/proc_internal.h"
#include "proc/rseq.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"
#include "syscall/syscall.h"

#define ALL_CAPS(c) ((c)->cap_bset.cap)

void set_task_comm(struct task_struct *t, const char *name)
{
    spin_lock(&t->alloc_lock);
    kstrlcpy(t->comm, name, sizeof(t->comm));
    spin_unlock(&t->alloc_lock);
}

static void close_file(struct exec *e)
{
    if (e->file) {
        allow_write_access(e->file);
        fput(e->file);
        e->file = NULL;
    }
}

static int open_file(struct exec *e, const char *path)
{
    struct file *f = open_exec_kernel(path);
    if (IS_ERR(f))
        return (int)PTR_ERR(f);
    close_file(e);
    e->file = f;
    loff_t pos = 0;
    memset(e->header, 0, sizeof(e->header));
    ssize_t n = kernel_read(f, e->header, sizeof(e->header), &pos);
    return n < 0 ? (int)n : 0;
}

// --- scripts

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// Cuts the first line "#! interp [arg]" up in `line` (terminated). The one argument keeps its inner
// blanks.
static int parse_script(char *line, char **interp, char **arg)
{
    char *end = strchr(line, '\n');
    bool cut = !end && strlen(line) == EXEC_HEADER_SIZE;
    if (!end)
        end = line + strlen(line);
    while (end > line + 2 && is_blank(end[-1]))
        end--;
    *end = '\0';
    char *p = line + 2;
    while (is_blank(*p))
        p++;
    if (!*p)
        return -ENOEXEC;
    *interp = p;
    while (*p && !is_blank(*p))
        p++;
    if (!*p) {
        *arg = NULL;
        return cut ? -ENOEXEC : 0; // the name itself may have been cut off
    }
    *p++ = '\0';
    while (is_blank(*p))
        p++;
    *arg = *p ? p : NULL;
    return 0;
}

// The script's interpreter takes the place of the script in `e`.
static int load_script(struct exec *e)
{
    char line[EXEC_HEADER_SIZE + 1], *interp, *arg;
    memcpy(line, e->header, EXEC_HEADER_SIZE);
    line[EXEC_HEADER_SIZE] = '\0';
    int error = parse_script(line, &interp, &arg);
    if (error)
        return error;
    char *name = kstrdup(interp, GFP_KERNEL);
    if (!name)
        return -ENOMEM;
    error = exec_args_prepend(e->args, interp, arg, e->interp ? e->interp : e->filename);
    kfree(e->interp);
    e->interp = name;
    return error ? error : open_file(e, name);
}

// --- credentials

static void apply_set_id(struct exec *e)
{
    const struct inode *inode = e->file->f_inode;
    struct cred *c = e->cred;
    if (current->no_new_privs || (e->file->f_path.mnt->mnt_flags & MS_NOSUID))
        return;
    if (inode->i_mode & S_ISUID)
        c->euid = inode->i_uid;
    // Without group execution the bit means mandatory locking.
    if ((inode->i_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        c->egid = inode->i_gid;
}

int exec_compute_creds(struct exec *e)
{
    struct cred *c = e->cred;
    apply_set_id(e);
    c->suid = c->fsuid = c->euid;
    c->sgid = c->fsgid = c->egid;
    bool root = c->euid == 0 || c->uid == 0;
    c->cap_permitted.cap = root ? ALL_CAPS(c) : c->cap_ambient.cap;
    c->cap_effective.cap = c->euid == 0 ? c->cap_permitted.cap : c->cap_ambient.cap;
    e->secure = c->euid != c->uid || c->egid != c->gid;
    return 0;
}

// --- leaving the old program

// Sleeps until the other threads are gone; siglock held, and held again on success. False: killed
// meanwhile.
static bool wait_for_siblings(struct signal_struct *s)
{
    while (s->notify_count) {
        set_current_state(TASK_KILLABLE);
        spin_unlock_irq(&current->sighand->siglock);
        schedule();
        if (fatal_signal_pending(current))
            return false;
        spin_lock_irq(&current->sighand->siglock);
    }
    return true;
}

// The leader is only a zombie: current takes over its identity and its place in the family.
static bool become_leader(void)
{
    struct task_struct *t = current, *leader = t->group_leader;
    for (;;) {
        spin_lock(&tasklist_lock);
        t->signal->notify_count = -1;
        if (leader->exit_state)
            break;
        set_current_state(TASK_KILLABLE);
        spin_unlock(&tasklist_lock);
        schedule();
        if (fatal_signal_pending(t))
            return false;
    }
    spin_lock_irq(&t->sighand->siglock);
    t->start_time = leader->start_time;
    exchange_tids(t, leader);
    transfer_pid(leader, t, PIDTYPE_TGID);
    transfer_pid(leader, t, PIDTYPE_PGID);
    transfer_pid(leader, t, PIDTYPE_SID);
    list_replace(&leader->tasks, &t->tasks);
    list_replace(&leader->sibling, &t->sibling);
    INIT_LIST_HEAD(&leader->tasks);
    INIT_LIST_HEAD(&leader->sibling);
    t->group_leader = leader->group_leader = t;
    t->signal->leader_task = t;
    t->exit_signal = SIGCHLD;
    leader->exit_signal = -1;
    leader->exit_state = EXIT_DEAD;
    t->signal->notify_count = 0;
    spin_unlock_irq(&t->sighand->siglock);
    spin_unlock(&tasklist_lock);
    release_task(leader);
    return true;
}

// 0: current is the only thread and the leader. -EAGAIN: somebody else ends or replaces the group
// already.
static int de_thread(void)
{
    struct task_struct *t = current;
    struct signal_struct *s = t->signal;
    if (!list_is_singular(&s->thread_head)) {
        spin_lock_irq(&t->sighand->siglock);
        if (signal_group_exiting(s)) {
            spin_unlock_irq(&t->sighand->siglock);
            return -EAGAIN;
        }
        s->group_exec_task = t;
        s->notify_count = zap_other_threads(t);
        if (!thread_group_leader(t))
            s->notify_count--;
        if (!wait_for_siblings(s))
            goto killed;
        spin_unlock_irq(&t->sighand->siglock);
        if (!thread_group_leader(t) && !become_leader())
            goto killed;
        s->group_exec_task = NULL;
        s->notify_count = 0;
    }
    t->exit_signal = SIGCHLD;
    return 0;
killed:
    spin_lock_irq(&t->sighand->siglock);
    s->group_exec_task = NULL;
    s->notify_count = 0;
    spin_unlock_irq(&t->sighand->siglock);
    return -EAGAIN;
}

// Handlers belong to the old program; CLONE_SIGHAND's partner keeps the old table, and `fresh`
// takes its place here.
static void unshare_sighand(struct sighand_struct *fresh)
{
    struct sighand_struct *old = current->sighand;
    if (atomic_read(&old->count) == 1) {
        if (fresh)
            put_sighand(fresh);
        return;
    }
    spin_lock(&tasklist_lock);
    spin_lock_irq(&old->siglock);
    memcpy(fresh->action, old->action, sizeof(fresh->action));
    current->sighand = fresh;
    spin_unlock_irq(&old->siglock);
    spin_unlock(&tasklist_lock);
    put_sighand(old);
}

void flush_signal_handlers(struct sighand_struct *s, bool force_default)
{
    for (int i = 0; i < LINUX_NSIG; i++) {
        struct linux_sigaction *a = &s->action[i].sa;
        *a = (struct linux_sigaction){.handler = !force_default && a->handler == LINUX_SIG_IGN
                                                     ? LINUX_SIG_IGN
                                                     : LINUX_SIG_DFL};
    }
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// What of the task belongs to the old program.
static void reset_task_for_exec(struct exec *e)
{
    struct task_struct *t = current;
    t->flags &= ~(PF_KTHREAD | PF_FORKNOEXEC);
    if (t->files)
        do_close_on_exec(t->files);
    t->mm->dumpable = e->secure ? 0 : 1;
    t->sas_sp = t->sas_size = 0;
    t->robust_list = NULL;
    rseq_forget(t);
    t->restart_block.fn = NULL;
    if (e->secure)
        t->pdeath_signal = 0;
    set_task_comm(t, base_name(e->filename));
    flush_signal_handlers(t->sighand, false);
}

int exec_point_of_no_return(struct exec *e)
{
    struct task_struct *t = current;
    struct sighand_struct *fresh = NULL;
    if (atomic_read(&t->sighand->count) > 1 && !(fresh = sighand_alloc(t->sighand)))
        return -ENOMEM;
    int error = unshare_files();
    if (!error)
        error = de_thread();
    if (error) {
        if (fresh)
            put_sighand(fresh);
        return error;
    }
    set_mm_exe_file(e->mm, e->file);
    mm_release(t);
    exec_mmap(e->mm);
    e->mm = NULL;
    unshare_sighand(fresh);
    reset_task_for_exec(e);
    commit_creds(e->cred);
    e->cred = NULL;
    return 0;
}

// --- the call

static int load(struct exec *e)
{
    int error = open_file(e, e->filename);
    while (!error && e->header[0] == '#' && e->header[1] == '!') {
        if (++e->depth > EXEC_MAX_DEPTH)
            return -ELOOP;
        error = load_script(e);
    }
    return error ? error : exec_load_elf(e);
}

// Consumes args. 0, or -errno and the old program goes on.
static int exec_run(const char *filename, struct exec_args *args)
{
    struct exec *e = kzalloc(sizeof(*e), GFP_KERNEL);
    int error = -ENOMEM;
    if (!e)
        goto no_exec;
    if (mutex_lock_interruptible(&current->signal->cred_guard_mutex)) {
        error = -ERESTARTNOINTR;
        goto no_lock;
    }
    e->filename = filename;
    e->args = args;
    e->cred = prepare_creds();
    e->mm = e->cred ? mm_alloc() : NULL;
    if (e->mm) {
        current->in_execve = true;
        error = load(e);
        current->in_execve = false;
    }
    mutex_unlock(&current->signal->cred_guard_mutex);
    close_file(e);
    if (e->mm)
        mmput(e->mm);
    if (e->cred)
        abort_creds(e->cred);
    kfree(e->interp);
no_lock:
    kfree(e);
no_exec:
    exec_args_free(args);
    return error;
}

int kernel_execve(const char *path, const char *const *argv, const char *const *envp)
{
    struct exec_args *args = exec_args_alloc();
    if (!args)
        return -ENOMEM;
    int error = exec_args_from_kernel(args, argv, envp);
    if (error) {
        exec_args_free(args);
        return error;
    }
    return exec_run(path, args);
}

SYSCALL_DEFINE(execve)
{
    struct filename *name = getname(ARG_PTR(0));
    if (IS_ERR(name))
        return PTR_ERR(name);
    struct exec_args *args = exec_args_alloc();
    long error = args ? exec_args_from_user(args, ARG_PTR(1), ARG_PTR(2)) : -ENOMEM;
    if (error)
        exec_args_free(args);
    else
        error = exec_run(name->name, args);
    putname(name);
    return error;
}
