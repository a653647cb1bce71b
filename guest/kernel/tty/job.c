// SPDX-License-Identifier: MIT
// Job control: foreground group, sessions and their controlling terminal. tty_ioctl(4),
// credentials(7).
#include "abi/signal.h"
#include "arch/x86_64/uaccess.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include "tty/tty_internal.h"

// A pid field of the tty, counted; NULL if there is none.
static struct pid *get_tty_pid(struct pid **field)
{
    spin_lock(&tasklist_lock);
    struct pid *p = *field ? get_pid(*field) : NULL;
    spin_unlock(&tasklist_lock);
    return p;
}

// tasklist_lock held. Takes over the reference of `fresh`; returns the old one for the caller to
// put.
static struct pid *swap_pid(struct pid **field, struct pid *fresh)
{
    struct pid *old = *field;
    *field = fresh;
    return old;
}

void tty_signal_foreground(struct tty_struct *tty, int sig)
{
    struct pid *pgrp = get_tty_pid(&tty->pgrp);
    if (!pgrp)
        return;
    kill_pgrp(pgrp, sig, 1);
    put_pid(pgrp);
}

struct tty_struct *tty_get(struct tty_struct *t)
{
    return t; // serial terminals live as long as the kernel
}

void tty_put(struct tty_struct *t)
{
    (void)t;
}

struct tty_struct *get_current_tty(void)
{
    spin_lock_irq(&current->sighand->siglock);
    struct tty_struct *tty = current->signal->tty;
    spin_unlock_irq(&current->sighand->siglock);
    return tty ? tty_get(tty) : NULL;
}

static void set_signal_tty(struct task_struct *t, struct tty_struct *tty)
{
    unsigned long flags;
    spin_lock_irqsave(&t->sighand->siglock, flags);
    t->signal->tty = tty;
    spin_unlock_irqrestore(&t->sighand->siglock, flags);
}

int tty_check_change(struct tty_struct *tty, int sig)
{
    if (READ_ONCE(current->signal->tty) != tty)
        return 0;
    spin_lock(&tasklist_lock);
    struct pid *mine = get_pid(task_pgrp(current));
    bool background = tty->pgrp && tty->pgrp != mine;
    spin_unlock(&tasklist_lock);
    int ret = 0;
    if (background) {
        if (is_ignored_or_blocked(sig)) {
            ret = sig == SIGTTIN ? -EIO : 0;
        } else if (is_current_pgrp_orphaned()) {
            ret = -EIO;
        } else {
            kill_pgrp(mine, sig, 1);
            ret = -ERESTARTSYS;
        }
    }
    put_pid(mine);
    return ret;
}

// The caller becomes the session of this terminal, if it has none.
static bool acquire(struct tty_struct *tty)
{
    spin_lock(&tasklist_lock);
    if (tty->session) { // another CPU was faster
        spin_unlock(&tasklist_lock);
        return false;
    }
    tty->session = get_pid(task_session(current));
    struct pid *old_pgrp = swap_pid(&tty->pgrp, get_pid(task_pgrp(current)));
    set_signal_tty(current, tty);
    spin_unlock(&tasklist_lock);
    if (old_pgrp)
        put_pid(old_pgrp);
    return true;
}

// open(2) of a terminal by a session leader without one, unless O_NOCTTY.
void tty_open_acquire(struct tty_struct *tty, struct file *f)
{
    if ((f->f_flags & O_NOCTTY) || !current->signal->leader || current->signal->tty ||
        tty->session || !(f->f_mode & FMODE_READ))
        return;
    acquire(tty);
}

// All processes of the terminal's session lose it. tasklist_lock held.
static void session_clear(struct tty_struct *tty)
{
    struct task_struct *t;
    if (!tty->session)
        return;
    for_each_task_of_pid(tty->session, PIDTYPE_SID, t)
    {
        if (t->signal && t->signal->tty == tty)
            set_signal_tty(t, NULL);
    }
}

static void release_session(struct tty_struct *tty)
{
    spin_lock(&tasklist_lock);
    session_clear(tty);
    struct pid *session = swap_pid(&tty->session, NULL), *pgrp = swap_pid(&tty->pgrp, NULL);
    spin_unlock(&tasklist_lock);
    if (session)
        put_pid(session);
    if (pgrp)
        put_pid(pgrp);
}

void disassociate_ctty(bool on_exit)
{
    struct tty_struct *tty = current->signal->tty;
    if (!current->signal->leader || !tty)
        return;
    struct pid *pgrp = get_tty_pid(&tty->pgrp);
    if (pgrp) {
        kill_pgrp(pgrp, SIGHUP, on_exit);
        kill_pgrp(pgrp, SIGCONT, on_exit); // also TIOCNOTTY: a stopped group must see its SIGHUP
        put_pid(pgrp);
    }
    release_session(tty);
}

void proc_clear_tty(void)
{
    set_signal_tty(current, NULL);
}

// The line went down: the session leader hears of it (termios(3), CLOCAL).
void tty_hangup_session(struct tty_struct *tty)
{
    struct pid *session = get_tty_pid(&tty->session);
    if (!session)
        return;
    kill_pid(session, SIGHUP, 1);
    kill_pid(session, SIGCONT, 1);
    put_pid(session);
}

static long set_controlling(struct file *f, struct tty_struct *tty, unsigned long steal)
{
    (void)f;
    if (current->signal->leader && current->signal->tty == tty)
        return 0;
    if (!current->signal->leader || current->signal->tty)
        return -EPERM;
    if (tty->session) {
        if (steal != 1 || !capable(CAP_SYS_ADMIN))
            return -EPERM;
        release_session(tty);
    }
    return acquire(tty) ? 0 : -EPERM;
}

static long get_foreground(struct tty_struct *tty, pid_t __user *out, struct pid **field)
{
    if (READ_ONCE(current->signal->tty) != tty)
        return -ENOTTY;
    struct pid *p = get_tty_pid(field);
    if (!p && field == &tty->session)
        return -ENOTTY;
    pid_t nr = p ? pid_vnr(p) : 0;
    if (p)
        put_pid(p);
    return put_user(nr, out);
}

static long set_foreground(struct tty_struct *tty, const pid_t __user *in)
{
    pid_t nr;
    int err = tty_check_change(tty, SIGTTOU);
    if (err)
        return err == -EIO ? -ENOTTY : err;
    spin_lock(&tasklist_lock);
    bool mine = current->signal->tty == tty && tty->session == task_session(current);
    spin_unlock(&tasklist_lock);
    if (!mine)
        return -ENOTTY;
    if (get_user(nr, in))
        return -EFAULT;
    if (nr < 0)
        return -EINVAL;
    spin_lock(&tasklist_lock);
    struct pid *pgrp = find_vpid(nr), *old = NULL;
    struct task_struct *member = pgrp ? pid_task(pgrp, PIDTYPE_PGID) : NULL;
    long ret = !pgrp || !member                                ? -ESRCH
               : task_session(member) != task_session(current) ? -EPERM
                                                               : 0;
    if (!ret)
        old = swap_pid(&tty->pgrp, get_pid(pgrp));
    spin_unlock(&tasklist_lock);
    if (old)
        put_pid(old);
    return ret;
}

long tty_job_ioctl(struct file *f, struct tty_struct *tty, unsigned cmd, unsigned long arg,
                   bool *handled)
{
    *handled = true;
    switch (cmd) {
    case TIOCSCTTY:
        return set_controlling(f, tty, arg);
    case TIOCNOTTY:
        if (current->signal->tty != tty)
            return -ENOTTY;
        if (current->signal->leader)
            disassociate_ctty(false);
        proc_clear_tty();
        return 0;
    case TIOCGPGRP:
        return get_foreground(tty, (pid_t *)arg, &tty->pgrp);
    case TIOCSPGRP:
        return set_foreground(tty, (const pid_t *)arg);
    case TIOCGSID:
        return get_foreground(tty, (pid_t *)arg, &tty->session);
    default:
        *handled = false;
        return 0;
    }
}
