// SPDX-License-Identifier: MIT
// Identity of processes: getpid(2), process groups and sessions (setpgid(2), setsid(2)).
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"
#include "tty/tty.h"

SYSCALL_DEFINE(getpid)
{
    (void)a;
    return task_tgid_vnr(current);
}

SYSCALL_DEFINE(gettid)
{
    (void)a;
    return task_pid_vnr(current);
}

SYSCALL_DEFINE(getppid)
{
    (void)a;
    // A parent that is just going away still has its number: real_parent changes under
    // tasklist_lock only.
    spin_lock(&tasklist_lock);
    pid_t nr = pid_vnr(task_tgid(current->real_parent));
    spin_unlock(&tasklist_lock);
    return nr;
}

// Group or session of a process (0: the caller's).
static long get_id(pid_t nr, struct pid *(*which)(struct task_struct *))
{
    spin_lock(&tasklist_lock);
    struct task_struct *t = nr ? pid_task(find_vpid(nr), PIDTYPE_PID) : current;
    long id = t ? pid_vnr(which(t)) : -ESRCH;
    spin_unlock(&tasklist_lock);
    return id;
}

SYSCALL_DEFINE(getpgid)
{
    return get_id(ARG_INT(0), task_pgrp);
}

SYSCALL_DEFINE(getpgrp)
{
    (void)a;
    return get_id(0, task_pgrp);
}

SYSCALL_DEFINE(getsid)
{
    return get_id(ARG_INT(0), task_session);
}

static long setpgid_locked(pid_t pid, pid_t pgid)
{
    struct task_struct *leader = current->group_leader;
    struct task_struct *p = pid_task(find_vpid(pid), PIDTYPE_PID);
    if (!p)
        return -ESRCH;
    if (!thread_group_leader(p))
        return -EINVAL;
    if (same_thread_group(p->real_parent, leader)) {
        if (task_session(p) != task_session(leader))
            return -EPERM;
        if (!(p->flags & PF_FORKNOEXEC))
            return -EACCES;
    } else if (p != leader) {
        return -ESRCH;
    }
    if (p->signal->leader)
        return -EPERM;
    struct pid *pgrp = task_pid(p);
    if (pgid != pid) {
        pgrp = find_vpid(pgid);
        struct task_struct *member = pid_task(pgrp, PIDTYPE_PGID);
        if (!member || task_session(member) != task_session(leader))
            return -EPERM;
    }
    if (task_pgrp(p) != pgrp)
        change_pid(p, PIDTYPE_PGID, pgrp);
    return 0;
}

SYSCALL_DEFINE(setpgid)
{
    pid_t pid = ARG_INT(0) ? ARG_INT(0) : task_tgid_vnr(current);
    pid_t pgid = ARG_INT(1) ? ARG_INT(1) : pid;
    if (pgid < 0)
        return -EINVAL;
    spin_lock(&tasklist_lock);
    long error = setpgid_locked(pid, pgid);
    spin_unlock(&tasklist_lock);
    return error;
}

SYSCALL_DEFINE(setsid)
{
    (void)a;
    struct task_struct *leader = current->group_leader;
    spin_lock(&tasklist_lock);
    struct pid *sid = task_pid(leader);
    // Nor may a group of this number exist already.
    if (leader->signal->leader || pid_task(sid, PIDTYPE_PGID)) {
        spin_unlock(&tasklist_lock);
        return -EPERM;
    }
    leader->signal->leader = true;
    change_pid(leader, PIDTYPE_SID, sid);
    change_pid(leader, PIDTYPE_PGID, sid);
    long nr = pid_vnr(sid);
    spin_unlock(&tasklist_lock);
    proc_clear_tty();
    return nr;
}
