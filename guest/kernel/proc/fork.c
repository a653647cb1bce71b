// SPDX-License-Identifier: MIT
// Making processes and threads: clone(2) in its parts, each of which can be undone.
#include "abi/sched.h"
#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "fs/file.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "proc/proc_internal.h"
#include "proc/rseq.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "signal/sigqueue.h"
#include "tty/tty.h"

int max_threads = 1024;
atomic_t nr_threads = ATOMIC_INIT(1);
static u64 forks; // lock: tasklist

u64 total_forks(void)
{
    return __atomic_load_n(&forks, __ATOMIC_RELAXED);
}

void fork_init(void)
{
    // As many stacks as fill an eighth of the memory.
    u64 n = totalram_pages() / (8 * KERNEL_STACK_SIZE / PAGE_SIZE);
    max_threads = (int)clamp(n, 20UL, 1UL << 20);
    struct linux_rlimit64 limit = {(u64)max_threads / 2, (u64)max_threads / 2};
    init_signals.rlim[RLIMIT_NPROC] = limit;
    init_signals.rlim[RLIMIT_SIGPENDING] = limit;
}

// Everything in the copied task that is the child's own.
static void reset_task(struct task_struct *p)
{
    p->flags = (p->flags & ~(PF_SUPERPRIV | PF_KTHREAD | PF_MEMALLOC | PF_MEMALLOC_NOFS |
                             PF_RESTORE_SIGMASK | PF_VFORK_WAIT | PF_EXITING)) |
               PF_FORKNOEXEC;
    p->work = 0;
    p->restart_pending = false;
    p->restart_block.fn = NULL;
    p->start_time = ktime_get();
    p->utime = p->stime = p->nvcsw = p->nivcsw = p->min_flt = p->maj_flt = 0;
    memset(&p->io, 0, sizeof(p->io));
    for (int i = 0; i < PIDTYPE_MAX; i++)
        INIT_HLIST_NODE(&p->pid_links[i]);
    INIT_LIST_HEAD(&p->tasks);
    INIT_LIST_HEAD(&p->children);
    INIT_LIST_HEAD(&p->sibling);
    INIT_LIST_HEAD(&p->thread_node);
    spin_lock_init(&p->alloc_lock);
    init_sigpending(&p->pending);
    p->real_blocked.sig = 0;
    p->jobctl = 0;
    p->exit_state = 0;
    p->exit_code = 0;
    p->pdeath_signal = 0;
    p->vfork_done = NULL;
    p->set_child_tid = p->clear_child_tid = NULL;
    p->robust_list = NULL;
    p->futex_wait = NULL;
    p->task_works = NULL;
    p->pagefault_disabled = 0;
    p->journal_info = NULL;
    p->in_execve = p->oom_victim = false;
    p->kthread_fn = NULL;
    p->kthread_arg = NULL;
    p->kthread_exited = NULL;
    p->kthread_stop_asked = false;
}

// Before anything is copied, so that a fork bomb at its limit costs little.
static bool too_many_tasks(void)
{
    const struct user_struct *u = current->cred->user;
    if (u != &root_user && (u64)atomic_read(&u->processes) >= rlimit(RLIMIT_NPROC) &&
        !capable(CAP_SYS_RESOURCE) && !capable(CAP_SYS_ADMIN))
        return true;
    return atomic_read(&nr_threads) >= max_threads;
}

static void copy_cred(struct task_struct *p)
{
    p->cred = get_cred(current->cred);
    atomic_inc(&p->cred->user->processes);
    atomic_inc(&nr_threads);
}

static void drop_cred(struct task_struct *p)
{
    atomic_dec(&nr_threads);
    atomic_dec(&p->cred->user->processes);
    put_cred(p->cred);
}

static int copy_files(u64 flags, struct task_struct *p)
{
    int error = 0;
    if (!p->files)
        return 0;
    if (flags & CLONE_FILES) {
        atomic_inc(&p->files->count);
        return 0;
    }
    p->files = dup_files(current->files, &error);
    return p->files ? 0 : error;
}

static int copy_fs(u64 flags, struct task_struct *p)
{
    if (flags & CLONE_FS) {
        atomic_inc(&p->fs->users);
        return 0;
    }
    p->fs = copy_fs_struct(current->fs);
    return p->fs ? 0 : -ENOMEM;
}

static int copy_sighand(u64 flags, struct task_struct *p)
{
    if (flags & CLONE_SIGHAND) {
        atomic_inc(&p->sighand->count);
        return 0;
    }
    p->sighand = sighand_alloc(current->sighand);
    if (!p->sighand)
        return -ENOMEM;
    if (flags & CLONE_CLEAR_SIGHAND)
        flush_signal_handlers(p->sighand, false);
    return 0;
}

static int copy_signal(u64 flags, struct task_struct *p)
{
    if (flags & CLONE_THREAD)
        return 0; // counted when it is linked
    p->signal = signal_struct_alloc(current->signal);
    if (!p->signal)
        return -ENOMEM;
    p->signal->leader_task = p;
    if (current->flags & PF_KTHREAD)
        return 0;
    spin_lock_irq(&current->sighand->siglock);
    if (current->signal->tty)
        p->signal->tty = tty_get(current->signal->tty);
    p->signal->tty_old_pgrp = NULL;
    spin_unlock_irq(&current->sighand->siglock);
    return 0;
}

static int copy_mm(u64 flags, struct task_struct *p)
{
    if (!current->mm) {
        p->mm = NULL;
        p->active_mm = &init_mm;
        mmgrab(&init_mm);
        return 0;
    }
    if (flags & CLONE_VM) {
        rseq_forget(p); // the area is its parent's
        mmget(p->mm);
    } else {
        struct mm_struct *mm = mm_dup(current->mm);
        if (IS_ERR(mm))
            return (int)PTR_ERR(mm);
        p->mm = mm;
    }
    p->active_mm = p->mm;
    return 0;
}

static void drop_mm(struct task_struct *p)
{
    if (p->mm)
        mmput(p->mm);
    else
        mmdrop(p->active_mm);
}

static void drop_signal(u64 flags, struct task_struct *p)
{
    if (!(flags & CLONE_THREAD))
        put_signal_struct(p->signal);
}

// Shares or copies what the flags say. On failure nothing stays.
static int copy_parts(u64 flags, struct task_struct *p)
{
    int error;
    copy_cred(p);
    if ((error = copy_files(flags, p)))
        goto no_files;
    if ((error = copy_fs(flags, p)))
        goto no_fs;
    if ((error = copy_sighand(flags, p)))
        goto no_sighand;
    if ((error = copy_signal(flags, p)))
        goto no_signal;
    if ((error = copy_mm(flags, p)))
        goto no_mm;
    get_nsproxy(p->nsproxy);
    return 0;
no_mm:
    drop_signal(flags, p);
no_signal:
    put_sighand(p->sighand);
no_sighand:
    exit_fs(p);
no_fs:
    if (p->files)
        put_files_struct(p->files);
no_files:
    drop_cred(p);
    return error;
}

static void drop_parts(u64 flags, struct task_struct *p)
{
    put_nsproxy(p->nsproxy);
    drop_mm(p);
    drop_signal(flags, p);
    put_sighand(p->sighand);
    exit_fs(p);
    if (p->files)
        put_files_struct(p->files);
    drop_cred(p);
}

static void write_child_tid(struct task_work *w)
{
    struct task_struct *t = container_of(w, struct task_struct, fork_work);
    (void)put_user(task_pid_vnr(t), t->set_child_tid); // Linux ignores a bad address too
}

static void link_thread(struct task_struct *p)
{
    struct task_struct *leader = current->group_leader;
    p->group_leader = leader;
    p->exit_signal = -1;
    p->tgid = leader->tgid;
    p->signal->nr_threads++;
    atomic_inc(&p->signal->live);
    atomic_inc(&p->signal->sigcnt);
    list_add_tail(&p->thread_node, &p->signal->thread_head);
}

static void link_leader(struct task_struct *p, struct pid *pid)
{
    struct signal_struct *s = p->signal;
    p->group_leader = p;
    p->tgid = p->pid;
    s->pids[PIDTYPE_TGID] = pid;
    s->pids[PIDTYPE_PGID] = current->signal->pids[PIDTYPE_PGID];
    s->pids[PIDTYPE_SID] = current->signal->pids[PIDTYPE_SID];
    if (pid->numbers[pid->level].nr == 1) {
        pid->numbers[pid->level].ns->child_reaper = p;
        s->flags |= SIGNAL_UNKILLABLE;
    }
    list_add_tail(&p->thread_node, &s->thread_head);
    list_add_tail(&p->sibling, &p->real_parent->children);
    list_add_tail(&p->tasks, &init_task.tasks);
    for (int i = PIDTYPE_TGID; i < PIDTYPE_MAX; i++)
        attach_pid(p, (enum pid_type)i);
    cpu_timer_update(p); // RLIMIT_CPU is inherited
}

// Publishes the task. -ERESTARTNOINTR: a signal came first, and it must reach parent or child, not
// half of each.
static int link_task(const struct kernel_clone_args *a, struct task_struct *p, struct pid *pid)
{
    spin_lock(&tasklist_lock);
    if (a->flags & (CLONE_PARENT | CLONE_THREAD)) {
        p->real_parent = current->real_parent;
        p->exit_signal = current->group_leader->exit_signal;
    } else {
        p->real_parent = current;
        p->exit_signal = a->exit_signal;
    }
    p->parent = p->real_parent;
    spin_lock_irq(&current->sighand->siglock);
    if (fatal_signal_pending(current) || (!a->fn && signal_group_exiting(current->signal))) {
        spin_unlock_irq(&current->sighand->siglock);
        spin_unlock(&tasklist_lock);
        return -ERESTARTNOINTR;
    }
    p->thread_pid = pid;
    p->pid = pid->numbers[0].nr;
    if (a->flags & CLONE_THREAD)
        link_thread(p);
    else
        link_leader(p, pid);
    attach_pid(p, PIDTYPE_PID);
    forks++;
    spin_unlock_irq(&current->sighand->siglock);
    spin_unlock(&tasklist_lock);
    return 0;
}

static void set_tid_addresses(const struct kernel_clone_args *a, struct task_struct *p)
{
    if (a->flags & CLONE_CHILD_CLEARTID)
        p->clear_child_tid = (u32 __user *)a->child_tid;
    if (a->flags & CLONE_CHILD_SETTID) {
        p->set_child_tid = (u32 __user *)a->child_tid;
        p->fork_work.func = write_child_tid;
        task_work_add(p, &p->fork_work);
    }
}

// A task that is linked and may be woken. ERR_PTR on failure.
static struct task_struct *copy_process(const struct kernel_clone_args *a, bool init)
{
    if (too_many_tasks())
        return ERR_PTR(-EAGAIN);
    struct task_struct *p = task_dup(current);
    if (!p)
        return ERR_PTR(-ENOMEM);
    reset_task(p);
    if (a->fn)
        p->flags |= PF_KTHREAD; // until it execs
    int error = copy_parts(a->flags, p);
    if (error)
        goto discard;
    if ((a->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
        altstack_reset(p);
    struct pid *pid = init ? alloc_init_pid() : alloc_pid(current->nsproxy->pid_ns_for_children);
    if (IS_ERR(pid)) {
        error = (int)PTR_ERR(pid);
        goto drop;
    }
    copy_thread(p, a->fn, a->fn_arg, a->stack, a->flags & CLONE_SETTLS, a->tls);
    sched_fork(p);
    set_tid_addresses(a, p);
    error = link_task(a, p, pid);
    if (!error)
        return p;
    spin_lock(&tasklist_lock);
    free_pid(pid);
    spin_unlock(&tasklist_lock);
drop:
    drop_parts(a->flags, p);
discard:
    task_discard(p);
    return ERR_PTR(error);
}

static int check_flags(u64 flags)
{
    if ((flags & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS))
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PARENT) && (current->signal->flags & SIGNAL_UNKILLABLE))
        return -EINVAL;
    // No namespaces beside the first ones and no pidfds: as a kernel that was configured without
    // them answers.
    if (flags & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET | CLONE_PIDFD))
        return -EINVAL;
    return 0;
}

static void wait_for_vfork(struct task_struct *child, struct completion *done)
{
    current->flags |= PF_VFORK_WAIT;
    if (wait_for_completion_killable(done)) {
        spin_lock(&child->alloc_lock);
        child->vfork_done = NULL; // done is on our stack
        spin_unlock(&child->alloc_lock);
    }
    current->flags &= ~PF_VFORK_WAIT;
}

long kernel_clone(struct kernel_clone_args *a)
{
    int error = check_flags(a->flags);
    if (error)
        return error;
    struct completion vfork;
    struct task_struct *p = copy_process(a, false);
    if (IS_ERR(p))
        return PTR_ERR(p);
    long nr = task_pid_vnr(p);
    if (a->flags & CLONE_PARENT_SETTID)
        (void)put_user((int)nr, a->parent_tid);
    if (a->flags & CLONE_VFORK) {
        init_completion(&vfork);
        p->vfork_done = &vfork;
        get_task_struct(p);
    }
    wake_up_new_task(p);
    if (a->flags & CLONE_VFORK) {
        wait_for_vfork(p, &vfork);
        put_task_struct(p);
    }
    return nr;
}

pid_t kernel_process(int (*fn)(void *), void *arg)
{
    struct kernel_clone_args a = {.fn = fn, .fn_arg = arg, .exit_signal = SIGCHLD};
    struct task_struct *p = copy_process(&a, !init_pid_ns.child_reaper);
    if (IS_ERR(p))
        return (pid_t)PTR_ERR(p);
    pid_t nr = p->pid;
    wake_up_new_task(p);
    return nr;
}

// kthreadd is the first task with number 2; the others are its children.
static struct task_struct *kthread_parent(void)
{
    struct task_struct *t = find_get_task_by_vpid(2);
    if (!t)
        return &init_task;
    put_task_struct(t);
    return t;
}

int proc_adopt_kthread(struct task_struct *p)
{
    reset_task(p);
    p->flags = (p->flags | PF_KTHREAD) & ~PF_FORKNOEXEC;
    p->cred = &init_cred;
    p->fs = &init_fs;
    p->files = NULL;
    p->nsproxy = &init_nsproxy;
    struct pid *pid = alloc_pid(&init_pid_ns);
    if (IS_ERR(pid))
        return (int)PTR_ERR(pid);
    p->signal = signal_struct_alloc(&init_signals);
    p->sighand = p->signal ? sighand_alloc(&init_sighand) : NULL;
    if (!p->sighand) {
        if (p->signal)
            put_signal_struct(p->signal);
        spin_lock(&tasklist_lock);
        free_pid(pid);
        spin_unlock(&tasklist_lock);
        return -ENOMEM;
    }
    get_cred(p->cred);
    atomic_inc(&p->cred->user->processes);
    atomic_inc(&nr_threads);
    atomic_inc(&p->fs->users);
    get_nsproxy(p->nsproxy);
    p->signal->leader_task = p;
    p->exit_signal = SIGCHLD;
    struct task_struct *parent = kthread_parent();
    spin_lock(&tasklist_lock);
    p->real_parent = p->parent = parent;
    p->thread_pid = pid;
    p->pid = p->tgid = pid->numbers[0].nr;
    p->group_leader = p;
    p->signal->pids[PIDTYPE_TGID] = pid;
    p->signal->pids[PIDTYPE_PGID] = init_signals.pids[PIDTYPE_PGID];
    p->signal->pids[PIDTYPE_SID] = init_signals.pids[PIDTYPE_SID];
    list_add_tail(&p->thread_node, &p->signal->thread_head);
    list_add_tail(&p->sibling, &parent->children);
    list_add_tail(&p->tasks, &init_task.tasks);
    for (int i = 0; i < PIDTYPE_MAX; i++)
        attach_pid(p, (enum pid_type)i);
    spin_unlock(&tasklist_lock);
    return 0;
}
