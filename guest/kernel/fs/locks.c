// SPDX-License-Identifier: MIT
// Record locks of fcntl(2) (per process and per open file) and flock(2), with deadlock detection
// for the former.
#include "fs/locks.h"

#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "proc/pid.h"
#include "syscall/syscall.h"

#define OFFSET_MAX 0x7fffffffffffffffL

struct file_lock {
    struct list_head entry;
    const void *owner; // files_struct, or the file itself
    pid_t pid;         // -1 for locks of an open file
    short type;
    loff_t start, end; // inclusive
};
struct file_lock_context {
    struct list_head posix, flock;
    wait_queue_head_t wait;
    unsigned changes; // counts releases, so that waiters look again
};
// A waiter of a process lock and whom it waits for.
struct blocked {
    struct list_head entry;
    const void *owner, *blocker;
};
static DEFINE_SPINLOCK(locks_lock); // all contexts: locks are rare
static LIST_HEAD(blocked_list);

static struct file_lock_context *context(struct inode *i)
{
    if (i->i_flctx) {
        return i->i_flctx;
    }
    struct file_lock_context *c = kzalloc(sizeof(*c), GFP_KERNEL);
    if (!c) {
        return NULL;
    }
    INIT_LIST_HEAD(&c->posix);
    INIT_LIST_HEAD(&c->flock);
    init_waitqueue_head(&c->wait);
    struct file_lock_context *other = cmpxchg(&i->i_flctx, (struct file_lock_context *)NULL, c);
    if (other) {
        kfree(c);
        return other;
    }
    return c;
}

void locks_free_context(struct inode *i)
{
    kfree(i->i_flctx);
    i->i_flctx = NULL;
}

void locks_init(void)
{
}

static bool overlap(const struct file_lock *a, const struct file_lock *b)
{
    return a->start <= b->end && b->start <= a->end;
}

// The conflicting lock that begins first.
static struct file_lock *conflict(struct list_head *list, const struct file_lock *want)
{
    struct file_lock *l, *first = NULL;
    list_for_each_entry(l, list, entry) {
        if (l->owner != want->owner && overlap(l, want) &&
            (l->type == F_WRLCK || want->type == F_WRLCK) && (!first || l->start < first->start)) {
            first = l;
        }
    }
    return first;
}

static void released(struct file_lock_context *c)
{
    c->changes++;
    wake_up_all(&c->wait);
}

// Does `owner` wait, over any number of others, for `self`?
static bool would_deadlock(const void *self, const void *owner)
{
    for (int depth = 0; depth < 10; depth++) {
        struct blocked *b;
        bool found = false;
        list_for_each_entry(b, &blocked_list, entry) {
            if (b->owner == owner) {
                owner = b->blocker;
                found = true;
                break;
            }
        }
        if (!found) {
            return false;
        }
        if (owner == self) {
            return true;
        }
    }
    return false;
}

// Makes room for `want` among its owner's locks: cuts, splits (into *spare), joins. Freed ones go
// to `dead`.
static void carve(struct file_lock_context *c, struct file_lock *want, struct file_lock **spare,
                  struct list_head *dead)
{
    struct file_lock *l, *next;
    list_for_each_entry_safe(l, next, &c->posix, entry) {
        if (l->owner != want->owner) {
            continue;
        }
        if (l->type == want->type) {
            bool touches = (l->end == OFFSET_MAX || l->end + 1 >= want->start) &&
                           (want->end == OFFSET_MAX || want->end + 1 >= l->start);
            if (!touches) {
                continue;
            }
            want->start = min(want->start, l->start);
            want->end = max(want->end, l->end);
        } else if (!overlap(l, want)) {
            continue;
        } else if (l->start < want->start) {
            if (l->end > want->end) {
                struct file_lock *right = *spare;
                *spare = NULL;
                *right = *l;
                right->start = want->end + 1;
                list_add_tail(&right->entry, &c->posix);
            }
            l->end = want->start - 1;
            continue;
        } else if (l->end > want->end) {
            l->start = want->end + 1;
            continue;
        }
        list_del(&l->entry);
        list_add(&l->entry, dead);
    }
}

static void free_list(struct list_head *dead)
{
    while (!list_empty(dead)) {
        struct file_lock *l = list_first_entry(dead, struct file_lock, entry);
        list_del(&l->entry);
        kfree(l);
    }
}

// One try. 0, -EAGAIN with *blocker, or -ENOMEM.
static int try_posix(struct file_lock_context *c, const struct file_lock *request,
                     const void **blocker)
{
    LIST_HEAD(dead);
    struct file_lock *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL);
    struct file_lock *spare = kmalloc(sizeof(*spare), GFP_KERNEL);
    int error = -ENOMEM;
    if (fresh && spare) {
        *fresh = *request;
        spin_lock(&locks_lock);
        struct file_lock *other = request->type == F_UNLCK ? NULL : conflict(&c->posix, request);
        error = other ? -EAGAIN : 0;
        if (other) {
            *blocker = other->owner;
        } else {
            carve(c, fresh, &spare, &dead);
            if (request->type != F_UNLCK) {
                list_add_tail(&fresh->entry, &c->posix);
                fresh = NULL;
            }
            released(c);
        }
        spin_unlock(&locks_lock);
    }
    kfree(fresh);
    kfree(spare);
    free_list(&dead);
    return error;
}

static int set_posix(struct inode *i, const struct file_lock *request, bool wait)
{
    struct file_lock_context *c = context(i);
    if (!c) {
        return -ENOMEM;
    }
    for (;;) {
        struct blocked self = {.owner = request->owner};
        unsigned seen = READ_ONCE(c->changes);
        int error = try_posix(c, request, &self.blocker);
        if (error != -EAGAIN || !wait) {
            return error;
        }
        spin_lock(&locks_lock);
        bool deadlock = request->pid >= 0 && would_deadlock(request->owner, self.blocker);
        if (!deadlock) {
            list_add(&self.entry, &blocked_list);
        }
        spin_unlock(&locks_lock);
        if (deadlock) {
            return -EDEADLOCK;
        }
        error = wait_event_interruptible(c->wait, READ_ONCE(c->changes) != seen);
        spin_lock(&locks_lock);
        list_del(&self.entry);
        spin_unlock(&locks_lock);
        if (error) {
            return error;
        }
    }
}

// struct flock -> our form. 0, -EINVAL or -EOVERFLOW.
static int import(struct file *f, const struct linux_flock *u, struct file_lock *l)
{
    loff_t base;
    switch (u->l_whence) {
    case SEEK_SET:
        base = 0;
        break;
    case SEEK_CUR:
        base = f->f_pos;
        break;
    case SEEK_END:
        base = i_size_read(f->f_inode);
        break;
    default:
        return -EINVAL;
    }
    if (u->l_start > OFFSET_MAX - base) {
        return -EOVERFLOW;
    }
    l->start = base + u->l_start;
    if (l->start < 0) {
        return -EINVAL;
    }
    if (u->l_len > 0) {
        if (u->l_len - 1 > OFFSET_MAX - l->start) {
            return -EOVERFLOW;
        }
        l->end = l->start + u->l_len - 1;
    } else if (u->l_len < 0) {
        if (l->start + u->l_len < 0) {
            return -EINVAL;
        }
        l->end = l->start - 1;
        l->start += u->l_len;
    } else {
        l->end = OFFSET_MAX;
    }
    l->type = u->l_type;
    return u->l_type < F_RDLCK || u->l_type > F_UNLCK ? -EINVAL : 0;
}

static long get_posix(struct file *f, struct file_lock *want, struct linux_flock *u)
{
    struct file_lock_context *c = f->f_inode->i_flctx;
    u->l_type = F_UNLCK;
    if (!c) {
        return 0;
    }
    spin_lock(&locks_lock);
    struct file_lock *l = conflict(&c->posix, want);
    if (l) {
        u->l_type = l->type;
        u->l_whence = SEEK_SET;
        u->l_start = l->start;
        u->l_len = l->end == OFFSET_MAX ? 0 : l->end - l->start + 1;
        u->l_pid = l->pid;
    }
    spin_unlock(&locks_lock);
    return 0;
}

long fcntl_lock(unsigned fd, struct file *f, unsigned cmd, void __user *arg)
{
    struct linux_flock u;
    struct file_lock l;
    bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW;
    if (copy_from_user(&u, arg, sizeof(u))) {
        return -EFAULT;
    }
    if (ofd && u.l_pid) {
        return -EINVAL;
    }
    long error = import(f, &u, &l);
    if (error) {
        return error;
    }
    l.owner = ofd ? (const void *)f : (const void *)current->files;
    l.pid = ofd ? -1 : task_tgid_vnr(current);
    if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
        if (l.type == F_UNLCK) {
            return -EINVAL;
        }
        error = get_posix(f, &l, &u);
        return error ? error : copy_to_user(arg, &u, sizeof(u)) ? -EFAULT : 0;
    }
    if ((l.type == F_RDLCK && !(f->f_mode & FMODE_READ)) ||
        (l.type == F_WRLCK && !(f->f_mode & FMODE_WRITE))) {
        return -EBADF;
    }
    error = set_posix(f->f_inode, &l, cmd == F_SETLKW || cmd == F_OFD_SETLKW);
    // A close of this descriptor in another thread may have missed the new lock.
    if (!error && !ofd && l.type != F_UNLCK) {
        struct file *now = fget_raw(fd);
        if (now != f) {
            l.type = F_UNLCK;
            set_posix(f->f_inode, &l, false);
            error = -EBADF;
        }
        if (now) {
            fput(now);
        }
    }
    return error;
}

static void remove_owner(struct inode *i, const void *owner)
{
    LIST_HEAD(dead);
    struct file_lock_context *c = i->i_flctx;
    struct file_lock *l, *next;
    spin_lock(&locks_lock);
    for (int which = 0; which < 2; which++) {
        struct list_head *list = which ? &c->flock : &c->posix;
        list_for_each_entry_safe(l, next, list, entry) {
            if (l->owner == owner) {
                list_del(&l->entry);
                list_add(&l->entry, &dead);
            }
        }
    }
    if (!list_empty(&dead)) {
        released(c);
    }
    spin_unlock(&locks_lock);
    free_list(&dead);
}

void locks_remove_posix(struct file *f, struct files_struct *owner)
{
    remove_owner(f->f_inode, owner);
}

void locks_remove_file(struct file *f)
{
    remove_owner(f->f_inode, f);
}

// --- flock: owner is the open file, whole file, no deadlock detection

static int try_flock(struct file_lock_context *c, struct file *f, short type,
                     struct file_lock **fresh)
{
    struct file_lock want = {.owner = f, .type = type, .end = OFFSET_MAX}, *l, *mine = NULL;
    int error = 0;
    spin_lock(&locks_lock);
    list_for_each_entry(l, &c->flock, entry) {
        if (l->owner == f) {
            mine = l;
        }
    }
    if (mine && mine->type != type) { // a change gives the old one up first
        list_del(&mine->entry);
        kfree(mine);
        mine = NULL;
        released(c);
    }
    if (type != F_UNLCK && !mine) {
        if (conflict(&c->flock, &want)) {
            error = -EAGAIN;
        } else {
            **fresh = want;
            list_add_tail(&(*fresh)->entry, &c->flock);
            *fresh = NULL;
        }
    }
    spin_unlock(&locks_lock);
    return error;
}

static int do_flock(struct file *f, int op)
{
    struct file_lock_context *c = context(f->f_inode);
    struct file_lock *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL);
    short type = op == LOCK_SH ? F_RDLCK : op == LOCK_EX ? F_WRLCK : F_UNLCK;
    int error = -ENOMEM;
    if (c && fresh) {
        for (;;) {
            unsigned seen = READ_ONCE(c->changes);
            error = try_flock(c, f, type, &fresh);
            if (error != -EAGAIN) {
                break;
            }
            error = wait_event_interruptible(c->wait, READ_ONCE(c->changes) != seen);
            if (error) {
                break;
            }
        }
    }
    kfree(fresh);
    return error;
}

static int flock_nonblock(struct file *f, int op)
{
    struct file_lock_context *c = context(f->f_inode);
    struct file_lock *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL);
    int error = -ENOMEM;
    if (c && fresh) {
        error = try_flock(c, f,
                          op == LOCK_SH   ? F_RDLCK
                          : op == LOCK_EX ? F_WRLCK
                                          : F_UNLCK,
                          &fresh);
    }
    kfree(fresh);
    return error;
}

SYSCALL_DEFINE(flock)
{
    int op = ARG_INT(1), what = op & ~LOCK_NB;
    if (op & 32) { // LOCK_MAND: Linux accepts and ignores it since mandatory locks are gone
        return 0;
    }
    struct fd f = fdget(ARG_UINT(0));
    if (!f.file) {
        return -EBADF;
    }
    int error = -EINVAL;
    if (what == LOCK_SH || what == LOCK_EX || what == LOCK_UN) {
        error = op & LOCK_NB ? flock_nonblock(f.file, what) : do_flock(f.file, what);
    }
    fdput(f);
    return error;
}
