// SPDX-License-Identifier: MIT
// poll(2), ppoll(2), select(2), pselect6(2).
#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

#define NEAR_ENTRIES 8
#define PER_CHUNK 48

struct poll_waiters;
struct poll_entry {
    struct file *file;
    wait_queue_head_t *queue;
    struct poll_waiters *owner;
    poll_t key;
    struct wait_queue_entry wait;
};
struct poll_chunk {
    struct poll_chunk *next;
    unsigned used;
    struct poll_entry entries[PER_CHUNK];
};
struct poll_waiters {
    struct poll_table table;
    struct task_struct *task;
    bool triggered;
    int error;
    unsigned near_used;
    struct poll_chunk *chunks;
    struct poll_entry near[NEAR_ENTRIES];
};

static int wake_poller(struct wait_queue_entry *e, unsigned mode, void *key)
{
    struct poll_entry *p = container_of(e, struct poll_entry, wait);
    if (key && !((poll_t)(u64)key & p->key)) {
        return 0;
    }
    p->owner->triggered = true;
    smp_mb();
    wake_up_state(p->owner->task, TASK_INTERRUPTIBLE);
    return 0;
}

static struct poll_entry *take_entry(struct poll_waiters *w)
{
    if (w->near_used < NEAR_ENTRIES) {
        return &w->near[w->near_used++];
    }
    if (!w->chunks || w->chunks->used == PER_CHUNK) {
        struct poll_chunk *c = kmalloc(sizeof(*c), GFP_KERNEL);
        if (!c) {
            w->error = -ENOMEM;
            return NULL;
        }
        c->next = w->chunks;
        c->used = 0;
        w->chunks = c;
    }
    return &w->chunks->entries[w->chunks->used++];
}

static void enqueue(struct file *f, wait_queue_head_t *q, struct poll_table *pt)
{
    struct poll_waiters *w = container_of(pt, struct poll_waiters, table);
    struct poll_entry *e = take_entry(w);
    if (!e) {
        return;
    }
    e->file = get_file(f);
    e->queue = q;
    e->owner = w;
    e->key = pt->key;
    init_waitqueue_func_entry(&e->wait, wake_poller);
    add_wait_queue(q, &e->wait);
}

static void waiters_init(struct poll_waiters *w)
{
    w->table.queue = enqueue;
    w->task = current;
    w->triggered = false;
    w->error = 0;
    w->near_used = 0;
    w->chunks = NULL;
}

static void leave(struct poll_entry *e, unsigned n)
{
    for (; n--; e++) {
        remove_wait_queue(e->queue, &e->wait);
        fput(e->file);
    }
}

static void waiters_free(struct poll_waiters *w)
{
    leave(w->near, w->near_used);
    while (w->chunks) {
        struct poll_chunk *c = w->chunks;
        w->chunks = c->next;
        leave(c->entries, c->used);
        kfree(c);
    }
}

// Sleeps until something is triggered or the deadline; false: the time is over.
static bool waiters_sleep(struct poll_waiters *w, ktime_t deadline)
{
    bool in_time = true;
    set_current_state(TASK_INTERRUPTIBLE);
    if (!READ_ONCE(w->triggered)) {
        in_time = schedule_deadline(deadline);
    }
    __set_current_state(TASK_RUNNING);
    __atomic_store_n(&w->triggered, false, __ATOMIC_SEQ_CST);
    return in_time;
}

static ktime_t deadline_after(u64 ns)
{
    u64 now = ktime_get();
    return ns > KTIME_MAX - 1 - now ? KTIME_MAX : now + ns;
}

// Looks at everything with `scan` until something is ready or fails, the deadline has passed
// (0: look once) or a signal comes. `scan` returns how many are ready or an error, and queues us on
// what it looks at only while pt is not NULL.
static int wait_for_ready(int (*scan)(const void *what, struct poll_table *pt), const void *what,
                          ktime_t deadline)
{
    struct poll_waiters w;
    waiters_init(&w);
    int ready = scan(what, deadline ? &w.table : NULL);
    while (!ready) {
        ready = w.error;
        if (!ready && signal_pending(current)) {
            ready = -EINTR;
        }
        if (ready || !deadline) {
            break;
        }
        if (!waiters_sleep(&w, deadline)) {
            deadline = 0; // one last look
        }
        ready = scan(what, NULL);
    }
    waiters_free(&w);
    return ready;
}

// --- poll

struct poll_set {
    struct linux_pollfd *fds;
    unsigned n;
};

static short poll_one(struct linux_pollfd *p, struct poll_table *pt)
{
    if (p->fd < 0) {
        return 0;
    }
    struct fd f = fdget((unsigned)p->fd);
    if (!f.file) {
        return POLLNVAL;
    }
    poll_t filter = (u16)p->events | POLLERR | POLLHUP;
    if (pt) {
        pt->key = filter;
    }
    poll_t mask = vfs_poll(f.file, pt) & filter;
    fdput(f);
    return (short)mask;
}

static int poll_scan(const void *what, struct poll_table *pt)
{
    const struct poll_set *s = what;
    int ready = 0;
    for (unsigned k = 0; k < s->n; k++) {
        s->fds[k].revents = poll_one(&s->fds[k], pt);
        if (s->fds[k].revents) {
            ready++;
            pt = NULL; // somebody is ready: no need to be woken any more
        }
    }
    return ready;
}

// Number of ready descriptors, 0 at the end of the time, -EINTR, -ENOMEM, -EFAULT, -EINVAL.
static int do_poll(struct linux_pollfd __user *ufds, unsigned n, ktime_t deadline)
{
    struct linux_pollfd near[16], *fds = near;
    if (n > rlimit(RLIMIT_NOFILE)) {
        return -EINVAL;
    }
    if (n > ARRAY_SIZE(near)) {
        fds = kvmalloc(n * sizeof(*fds), GFP_KERNEL);
        if (!fds) {
            return -ENOMEM;
        }
    }
    int result = -EFAULT;
    if (!copy_from_user(fds, ufds, n * sizeof(*fds))) {
        result = wait_for_ready(poll_scan, &(struct poll_set){fds, n}, deadline);
        for (unsigned k = 0; k < n && result != -EFAULT; k++) {
            if (put_user(fds[k].revents, &ufds[k].revents)) {
                result = -EFAULT;
            }
        }
    }
    if (fds != near) {
        kvfree(fds);
    }
    return result;
}

static long restart_poll(struct restart_block *rb);

static long poll_restartable(struct linux_pollfd __user *ufds, unsigned n, ktime_t deadline)
{
    int result = do_poll(ufds, n, deadline);
    if (result != -EINTR) {
        return result;
    }
    struct restart_block *rb = &current->restart_block;
    rb->fn = restart_poll;
    rb->poll.ufds = ufds;
    rb->poll.nfds = n;
    rb->poll.expires = deadline;
    rb->poll.has_timeout = deadline != KTIME_MAX;
    return -ERESTART_RESTARTBLOCK;
}

static long restart_poll(struct restart_block *rb)
{
    return poll_restartable(rb->poll.ufds, rb->poll.nfds, rb->poll.expires);
}

SYSCALL_DEFINE(poll)
{
    int ms = ARG_INT(2);
    ktime_t deadline = ms < 0 ? KTIME_MAX : ms ? deadline_after((u64)ms * NSEC_PER_MSEC) : 0;
    return poll_restartable(ARG_PTR(0), ARG_UINT(1), deadline);
}

// A relative timespec from user space -> deadline. NULL: none.
static int get_deadline(const void __user *uts, ktime_t *deadline)
{
    struct linux_timespec ts;
    *deadline = KTIME_MAX;
    if (!uts) {
        return 0;
    }
    if (copy_from_user(&ts, uts, sizeof(ts))) {
        return -EFAULT;
    }
    if (ts.tv_sec < 0 || ts.tv_nsec < 0 || ts.tv_nsec >= (s64)NSEC_PER_SEC) {
        return -EINVAL;
    }
    if (ts.tv_sec < 0x1ffffffff) {
        u64 ns = (u64)ts.tv_sec * NSEC_PER_SEC + (u64)ts.tv_nsec;
        *deadline = ns ? deadline_after(ns) : 0;
    }
    return 0;
}

// Writes what is left of the time back, as Linux does for select and ppoll; errors are not told.
static void put_remaining(void __user *u, ktime_t deadline, bool timeval)
{
    u64 now = ktime_get(), left = deadline > now && deadline ? deadline - now : 0;
    s64 pair[2] = {(s64)(left / NSEC_PER_SEC), (s64)(left % NSEC_PER_SEC) / (timeval ? 1000 : 1)};
    if (deadline != KTIME_MAX && copy_to_user(u, pair, sizeof(pair))) {
        return;
    }
}

SYSCALL_DEFINE(ppoll)
{
    ktime_t deadline;
    int error = get_deadline(ARG_PTR(2), &deadline);
    error = error ? error : set_user_sigmask(ARG_PTR(3), ARG_ULONG(4));
    if (error) {
        return error;
    }
    int result = do_poll(ARG_PTR(0), ARG_UINT(1), deadline);
    restore_saved_sigmask_unless(result == -EINTR);
    if (ARG_PTR(2)) {
        put_remaining(ARG_PTR(2), deadline, false);
    }
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

// --- select

#define SELECT_IN (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EX POLLPRI

struct fd_sets {
    unsigned n;
    unsigned long *in[3], *out[3];
};

static int select_one(const struct fd_sets *s, unsigned fd, struct poll_table *pt)
{
    static const poll_t masks[3] = {SELECT_IN, SELECT_OUT, SELECT_EX};
    int count = 0;
    poll_t want = POLLERR | POLLHUP;
    for (int k = 0; k < 3; k++) {
        want |= test_bit(fd, s->in[k]) ? masks[k] : 0;
    }
    struct fd f = fdget(fd);
    if (!f.file) {
        return -EBADF;
    }
    if (pt) {
        pt->key = want;
    }
    poll_t mask = vfs_poll(f.file, pt);
    fdput(f);
    for (int k = 0; k < 3; k++) {
        if ((mask & masks[k]) && test_bit(fd, s->in[k])) {
            __set_bit(fd, s->out[k]);
            count++;
        }
    }
    return count;
}

static int select_scan(const void *what, struct poll_table *pt)
{
    const struct fd_sets *s = what;
    int ready = 0;
    for (unsigned word = 0; word * 64 < s->n; word++) {
        u64 bits = s->in[0][word] | s->in[1][word] | s->in[2][word];
        for (; bits; bits &= bits - 1) {
            unsigned fd = word * 64 + ctz64(bits);
            int got = fd < s->n ? select_one(s, fd, pt) : 0;
            if (got < 0) {
                return got;
            }
            ready += got;
            pt = got ? NULL : pt;
        }
    }
    return ready;
}

static int do_select(int n, unsigned long __user *const user_sets[3], ktime_t deadline)
{
    unsigned long near[6 * 4], *bits = near;
    if (n < 0) {
        return -EINVAL;
    }
    n = (int)min((unsigned)n, max(files_max_fds(), 1024U));
    size_t words = DIV_ROUND_UP((size_t)n, 64UL);
    if (words > 4) {
        bits = kvmalloc(6 * words * 8, GFP_KERNEL);
        if (!bits) {
            return -ENOMEM;
        }
    }
    memset(bits, 0, 6 * words * 8);
    struct fd_sets s = {.n = (unsigned)n};
    int result = 0;
    for (int k = 0; k < 3; k++) {
        s.in[k] = bits + (size_t)k * words;
        s.out[k] = bits + (size_t)(k + 3) * words;
        if (user_sets[k] && copy_from_user(s.in[k], user_sets[k], words * 8)) {
            result = -EFAULT;
        }
    }
    if (!result) {
        result = wait_for_ready(select_scan, &s, deadline);
    }
    if (result == -EINTR) {
        result = -ERESTARTNOHAND;
    }
    for (int k = 0; k < 3 && result >= 0; k++) {
        if (user_sets[k] && copy_to_user(user_sets[k], s.out[k], words * 8)) {
            result = -EFAULT;
        }
    }
    if (bits != near) {
        kvfree(bits);
    }
    return result;
}

SYSCALL_DEFINE(select)
{
    unsigned long __user *sets[3] = {ARG_PTR(1), ARG_PTR(2), ARG_PTR(3)};
    struct linux_timeval tv;
    ktime_t deadline = KTIME_MAX;
    if (ARG_PTR(4)) {
        if (copy_from_user(&tv, ARG_PTR(4), sizeof(tv))) {
            return -EFAULT;
        }
        if (tv.tv_sec < 0 || tv.tv_usec < 0) {
            return -EINVAL;
        }
        if (tv.tv_sec < 0x1ffffffff) {
            u64 ns = (u64)tv.tv_sec * NSEC_PER_SEC + (u64)tv.tv_usec * NSEC_PER_USEC;
            deadline = ns ? deadline_after(ns) : 0;
        }
    }
    int result = do_select(ARG_INT(0), sets, deadline);
    if (ARG_PTR(4)) {
        put_remaining(ARG_PTR(4), deadline, true);
    }
    return result;
}

SYSCALL_DEFINE(pselect6)
{
    unsigned long __user *sets[3] = {ARG_PTR(1), ARG_PTR(2), ARG_PTR(3)};
    struct {
        u64 mask, size;
    } sig = {0, 0};
    ktime_t deadline;
    if (ARG_PTR(5) && copy_from_user(&sig, ARG_PTR(5), sizeof(sig))) {
        return -EFAULT;
    }
    int error = get_deadline(ARG_PTR(4), &deadline);
    error = error ? error : set_user_sigmask((void *)sig.mask, sig.size);
    if (error) {
        return error;
    }
    int result = do_select(ARG_INT(0), sets, deadline);
    restore_saved_sigmask_unless(result == -ERESTARTNOHAND);
    if (ARG_PTR(4)) {
        put_remaining(ARG_PTR(4), deadline, false);
    }
    return result;
}
