// SPDX-License-Identifier: MIT
// Signal-driven input: who wants one, and sending it.
#include "fs/fasync.h"

#include "abi/poll.h"
#include "fs/internal.h"
#include "proc/signal.h"

#define POLL_IN 1 // si_code

struct fasync_entry {
    struct list_head entry;
    struct file *file; // not counted: its last close takes it off
    int fd;
};

// kill(2)'s rule, by the rights that the file was opened with.
static bool may_signal(const struct file *f, struct task_struct *t)
{
    const struct cred *mine = f->f_cred, *other = get_task_cred(t);
    bool ok = !mine->euid || mine->euid == other->suid || mine->euid == other->uid ||
              mine->uid == other->suid || mine->uid == other->uid;
    put_cred(other);
    return ok;
}

static void signal_task(const struct fasync_entry *e, struct task_struct *t, int sig)
{
    struct linux_siginfo info = {.si_signo = sig, .si_code = POLL_IN};
    info.poll.band = POLLIN | POLLRDNORM;
    info.poll.fd = e->fd;
    if (may_signal(e->file, t)) {
        group_send_sig_info(sig ? sig : SIGIO, sig ? &info : SEND_SIG_PRIV, t);
    }
}

static void signal_owner(const struct fasync_entry *e)
{
    struct file *f = e->file;
    struct task_struct *t;
    spin_lock(&f->f_lock);
    struct pid *pid = f->f_owner.pid ? get_pid(f->f_owner.pid) : NULL;
    enum pid_type type = f->f_owner.type;
    int sig = f->f_owner.signum;
    spin_unlock(&f->f_lock);
    if (!pid) {
        return;
    }
    spin_lock(&tasklist_lock);
    if (type == PIDTYPE_PGID) {
        for_each_task_of_pid(pid, PIDTYPE_PGID, t) {
            signal_task(e, t, sig);
        }
    } else if ((t = pid_task(pid, PIDTYPE_TGID)) != NULL) {
        signal_task(e, t, sig);
    }
    spin_unlock(&tasklist_lock);
    put_pid(pid);
}

static void send_signals(struct work_struct *w)
{
    struct fasync_list *l = container_of(w, struct fasync_list, work);
    const struct fasync_entry *e;
    mutex_lock(&l->lock);
    list_for_each_entry(e, &l->entries, entry) {
        signal_owner(e);
    }
    mutex_unlock(&l->lock);
}

void fasync_init(struct fasync_list *l)
{
    mutex_init(&l->lock);
    INIT_LIST_HEAD(&l->entries);
    l->count = 0;
    work_init(&l->work, send_signals);
}

static struct fasync_entry *find(struct fasync_list *l, const struct file *f)
{
    struct fasync_entry *e;
    list_for_each_entry(e, &l->entries, entry) {
        if (e->file == f) {
            return e;
        }
    }
    return NULL;
}

int fasync_set(struct fasync_list *l, int fd, struct file *f, bool on)
{
    struct fasync_entry *fresh = on ? kmalloc(sizeof(*fresh), GFP_KERNEL) : NULL;
    if (on && !fresh) {
        return -ENOMEM;
    }
    mutex_lock(&l->lock);
    struct fasync_entry *old = find(l, f);
    if (on && !old) {
        *fresh = (struct fasync_entry){.file = f, .fd = fd};
        list_add_tail(&fresh->entry, &l->entries);
        fresh = NULL;
        l->count++;
    } else if (!on && old) {
        list_del(&old->entry);
        l->count--;
        fresh = old;
    }
    mutex_unlock(&l->lock);
    kfree(fresh);
    spin_lock(&f->f_lock);
    f->f_flags = on ? f->f_flags | O_ASYNC : f->f_flags & ~(unsigned)O_ASYNC;
    spin_unlock(&f->f_lock);
    return 0;
}

void fasync_notify(struct fasync_list *l)
{
    if (READ_ONCE(l->count)) {
        schedule_work(&l->work);
    }
}
