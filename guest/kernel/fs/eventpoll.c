// SPDX-License-Identifier: MIT
// epoll(7): level and edge triggered, one-shot, exclusive, nested.
#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/poll.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

#define PRIVATE_BITS (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define MAX_NESTS 4

struct eventpoll {
    struct mutex mtx; // items; held while events are handed out
    spinlock_t lock;  // ready list; interrupts off
    struct list_head ready;
    wait_queue_head_t wait;      // epoll_wait
    wait_queue_head_t poll_wait; // those who poll this epoll file
    struct rb_root items;
    struct file *file;
};
// One wait queue of a watched file.
struct hook {
    struct hook *next;
    struct epitem *item;
    wait_queue_head_t *queue;
    struct wait_queue_entry wait;
};
struct epitem {
    struct rb_node node;
    struct list_head ready_link; // in ep->ready while `ready`
    struct list_head file_link;  // in file->f_ep_links
    bool ready;
    struct file *file;
    int fd;
    struct eventpoll *ep;
    struct hook *hooks;
    struct linux_epoll_event event;
};
struct add_table {
    struct poll_table table;
    struct epitem *item;
    int error;
};

static struct kmem_cache *item_cache, *hook_cache;
static DEFINE_MUTEX(ep_mutex); // nesting, and files that end
static const struct file_operations eventpoll_fops;

static void set_ready_locked(struct epitem *it)
{
    if (!it->ready) {
        it->ready = true;
        list_add_tail(&it->ready_link, &it->ep->ready);
    }
}

// From the watched file's wake-up: its queue's lock is held, interrupts are off.
static int wake_item(struct wait_queue_entry *e, unsigned mode, void *key)
{
    struct epitem *it = container_of(e, struct hook, wait)->item;
    struct eventpoll *ep = it->ep;
    poll_t events = (poll_t)(u64)key;
    int woke = 0;
    unsigned long flags;
    spin_lock_irqsave(&ep->lock, flags);
    if (!(it->event.events & ~PRIVATE_BITS) || (events && !(events & it->event.events))) {
        spin_unlock_irqrestore(&ep->lock, flags);
        return 0;
    }
    set_ready_locked(it);
    smp_mb(); // a waiter queues itself, then looks at the list without our lock
    bool waiters = waitqueue_active(&ep->wait), pollers = waitqueue_active(&ep->poll_wait);
    spin_unlock_irqrestore(&ep->lock, flags);
    if (waiters) {
        wake_up(&ep->wait);
        woke = 1;
    }
    if (pollers) {
        wake_up_poll(&ep->poll_wait, POLLIN | POLLRDNORM);
    }
    return it->event.events & EPOLLEXCLUSIVE ? woke : 0;
}

static void add_hook(struct file *f, wait_queue_head_t *q, struct poll_table *pt)
{
    struct add_table *t = container_of(pt, struct add_table, table);
    struct hook *h = kmem_cache_alloc(hook_cache, GFP_KERNEL | __GFP_ZERO);
    if (!h) {
        t->error = -ENOMEM;
        return;
    }
    h->item = t->item;
    h->queue = q;
    init_waitqueue_func_entry(&h->wait, wake_item);
    h->next = t->item->hooks;
    t->item->hooks = h;
    if (t->item->event.events & EPOLLEXCLUSIVE) {
        add_wait_queue_exclusive(q, &h->wait);
    } else {
        add_wait_queue(q, &h->wait);
    }
}

static poll_t item_poll(struct epitem *it, struct poll_table *pt)
{
    if (pt) {
        pt->key = it->event.events;
    }
    return vfs_poll(it->file, pt) & it->event.events;
}

static int compare(const struct epitem *it, const struct file *f, int fd)
{
    if (it->file != f) {
        return (u64)f < (u64)it->file ? -1 : 1;
    }
    return fd - it->fd;
}

static struct epitem *find(struct eventpoll *ep, const struct file *f, int fd)
{
    struct rb_node *n = ep->items.node;
    while (n) {
        struct epitem *it = rb_entry(n, struct epitem, node);
        int c = compare(it, f, fd);
        if (!c) {
            return it;
        }
        n = c < 0 ? n->left : n->right;
    }
    return NULL;
}

static void insert(struct eventpoll *ep, struct epitem *it)
{
    struct rb_node **link = &ep->items.node, *parent = NULL;
    while (*link) {
        parent = *link;
        link = compare(rb_entry(parent, struct epitem, node), it->file, it->fd) < 0
                   ? &parent->left
                   : &parent->right;
    }
    rb_link_node(&it->node, parent, link);
    rb_insert_fixup(&it->node, &ep->items);
}

// ep->mtx held.
static void remove_item(struct eventpoll *ep, struct epitem *it)
{
    unsigned long flags;
    while (it->hooks) {
        struct hook *h = it->hooks;
        it->hooks = h->next;
        remove_wait_queue(h->queue, &h->wait);
        kmem_cache_free(hook_cache, h);
    }
    spin_lock(&it->file->f_lock);
    list_del_init(&it->file_link);
    spin_unlock(&it->file->f_lock);
    rb_erase(&it->node, &ep->items);
    spin_lock_irqsave(&ep->lock, flags);
    if (it->ready) {
        list_del_init(&it->ready_link);
    }
    spin_unlock_irqrestore(&ep->lock, flags);
    kmem_cache_free(item_cache, it);
}

static void make_ready(struct eventpoll *ep, struct epitem *it)
{
    unsigned long flags;
    spin_lock_irqsave(&ep->lock, flags);
    set_ready_locked(it);
    spin_unlock_irqrestore(&ep->lock, flags);
    wake_up(&ep->wait);
    smp_mb();
    if (waitqueue_active(&ep->poll_wait)) {
        wake_up_poll(&ep->poll_wait, POLLIN | POLLRDNORM);
    }
}

static int ep_insert(struct eventpoll *ep, const struct linux_epoll_event *event, struct file *f,
                     int fd)
{
    struct epitem *it = kmem_cache_alloc(item_cache, GFP_KERNEL | __GFP_ZERO);
    if (!it) {
        return -ENOMEM;
    }
    it->ep = ep;
    it->file = f;
    it->fd = fd;
    it->event = *event;
    INIT_LIST_HEAD(&it->ready_link);
    insert(ep, it);
    spin_lock(&f->f_lock);
    f->f_mode |= FMODE_WATCHED; // for good: its end looks under ep_mutex
    list_add(&it->file_link, &f->f_ep_links);
    spin_unlock(&f->f_lock);
    struct add_table t = {.table = {.queue = add_hook}, .item = it};
    poll_t now = item_poll(it, &t.table);
    if (t.error) {
        remove_item(ep, it);
        return t.error;
    }
    if (now) {
        make_ready(ep, it);
    }
    return 0;
}

static int ep_modify(struct eventpoll *ep, struct epitem *it, const struct linux_epoll_event *event)
{
    struct poll_table none = {.queue = NULL};
    it->event = *event;
    smp_mb();
    if (item_poll(it, &none)) {
        make_ready(ep, it);
    }
    return 0;
}

static struct eventpoll *as_epoll(const struct file *f)
{
    return f->f_op == &eventpoll_fops ? f->private_data : NULL;
}

// Would watching `to` from `from` close a loop or nest too deep? ep_mutex held.
static bool reaches(struct eventpoll *to, struct eventpoll *from, int depth)
{
    if (to == from || depth > MAX_NESTS) {
        return true;
    }
    for (struct rb_node *n = rb_first(&to->items); n; n = rb_next(n)) {
        struct eventpoll *inner = as_epoll(rb_entry(n, struct epitem, node)->file);
        if (inner && reaches(inner, from, depth + 1)) {
            return true;
        }
    }
    return false;
}

static int control(struct eventpoll *ep, int op, struct file *f, int fd,
                   struct linux_epoll_event *event)
{
    struct epitem *it = find(ep, f, fd);
    switch (op) {
    case EPOLL_CTL_ADD:
        event->events |= POLLERR | POLLHUP;
        return it ? -EEXIST : ep_insert(ep, event, f, fd);
    case EPOLL_CTL_DEL:
        if (!it) {
            return -ENOENT;
        }
        remove_item(ep, it);
        return 0;
    case EPOLL_CTL_MOD:
        if (!it) {
            return -ENOENT;
        }
        if ((it->event.events | event->events) & EPOLLEXCLUSIVE) {
            return -EINVAL;
        }
        event->events |= POLLERR | POLLHUP;
        return ep_modify(ep, it, event);
    }
    return -EINVAL;
}

static int ctl_files(struct file *epf, int op, struct file *f, int fd,
                     struct linux_epoll_event *event)
{
    struct eventpoll *ep = as_epoll(epf), *inner = as_epoll(f);
    if (!f->f_op->poll) {
        return -EPERM;
    }
    if (f == epf || !ep) {
        return -EINVAL;
    }
    const unsigned exclusive_ok =
        POLLIN | POLLOUT | POLLERR | POLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
    if (op != EPOLL_CTL_DEL && (event->events & EPOLLEXCLUSIVE)) {
        if (op == EPOLL_CTL_MOD || inner || (event->events & ~exclusive_ok)) {
            return -EINVAL;
        }
    }
    bool nesting = op == EPOLL_CTL_ADD && inner;
    int error = 0;
    if (nesting) {
        mutex_lock(&ep_mutex);
        error = reaches(inner, ep, 0) ? -ELOOP : 0;
    }
    if (!error) {
        mutex_lock(&ep->mtx);
        error = control(ep, op, f, fd, event);
        mutex_unlock(&ep->mtx);
    }
    if (nesting) {
        mutex_unlock(&ep_mutex);
    }
    return error;
}

SYSCALL_DEFINE(epoll_ctl)
{
    int op = ARG_INT(1);
    struct linux_epoll_event event = {0};
    if (op != EPOLL_CTL_DEL && copy_from_user(&event, ARG_PTR(3), sizeof(event))) {
        return -EFAULT;
    }
    struct fd ep = fdget(ARG_UINT(0)), f = fdget(ARG_UINT(2));
    int error = -EBADF;
    if (ep.file && f.file) {
        error = ctl_files(ep.file, op, f.file, ARG_INT(2), &event);
    }
    fdput(f);
    fdput(ep);
    return error;
}

void eventpoll_release(struct file *f)
{
    mutex_lock(&ep_mutex);
    while (!list_empty(&f->f_ep_links)) {
        struct epitem *it = list_first_entry(&f->f_ep_links, struct epitem, file_link);
        struct eventpoll *ep = it->ep;
        mutex_lock(&ep->mtx);
        remove_item(ep, it);
        mutex_unlock(&ep->mtx);
    }
    mutex_unlock(&ep_mutex);
}

static int ep_release(struct inode *i, struct file *f)
{
    struct eventpoll *ep = f->private_data;
    mutex_lock(&ep_mutex);
    mutex_lock(&ep->mtx);
    struct rb_node *n;
    while ((n = rb_first(&ep->items)) != NULL) {
        remove_item(ep, rb_entry(n, struct epitem, node));
    }
    mutex_unlock(&ep->mtx);
    mutex_unlock(&ep_mutex);
    kfree(ep);
    return 0;
}

static struct epitem *pop_ready(struct eventpoll *ep)
{
    struct epitem *it = NULL;
    unsigned long flags;
    spin_lock_irqsave(&ep->lock, flags);
    if (!list_empty(&ep->ready)) {
        it = list_first_entry(&ep->ready, struct epitem, ready_link);
        list_del_init(&it->ready_link);
        it->ready = false;
    }
    spin_unlock_irqrestore(&ep->lock, flags);
    return it;
}

static unsigned count_ready(struct eventpoll *ep)
{
    unsigned n = 0;
    unsigned long flags;
    struct list_head *at;
    spin_lock_irqsave(&ep->lock, flags);
    for (at = ep->ready.next; at != &ep->ready; at = at->next) {
        n++;
    }
    spin_unlock_irqrestore(&ep->lock, flags);
    return n;
}

static void push_ready(struct eventpoll *ep, struct epitem *it)
{
    unsigned long flags;
    spin_lock_irqsave(&ep->lock, flags);
    set_ready_locked(it);
    spin_unlock_irqrestore(&ep->lock, flags);
}

// Asks each item on the ready list once; those that still have events are handed out.
static int send_events(struct eventpoll *ep, struct linux_epoll_event __user *uev, int max)
{
    struct poll_table none = {.queue = NULL};
    int sent = 0;
    mutex_lock(&ep->mtx);
    for (unsigned left = count_ready(ep); left && sent < max; left--) {
        struct epitem *it = pop_ready(ep);
        if (!it) {
            break;
        }
        poll_t events = item_poll(it, &none);
        if (!events) {
            continue;
        }
        struct linux_epoll_event out = {.events = events, .data = it->event.data};
        if (copy_to_user(uev + sent, &out, sizeof(out))) {
            push_ready(ep, it);
            sent = sent ? sent : -EFAULT;
            break;
        }
        sent++;
        if (it->event.events & EPOLLONESHOT) {
            it->event.events &= PRIVATE_BITS;
        } else if (!(it->event.events & EPOLLET)) {
            push_ready(ep, it);
        }
    }
    mutex_unlock(&ep->mtx);
    return sent;
}

static bool has_ready(struct eventpoll *ep)
{
    return !list_empty(&ep->ready);
}

static poll_t ep_poll_op(struct file *f, struct poll_table *pt)
{
    struct eventpoll *ep = f->private_data;
    struct poll_table none = {.queue = NULL};
    poll_t result = 0;
    poll_wait(f, &ep->poll_wait, pt);
    mutex_lock(&ep->mtx);
    for (unsigned left = count_ready(ep); left && !result; left--) {
        struct epitem *it = pop_ready(ep);
        if (it && item_poll(it, &none)) {
            push_ready(ep, it);
            result = POLLIN | POLLRDNORM;
        }
    }
    mutex_unlock(&ep->mtx);
    return result;
}

static const struct file_operations eventpoll_fops = {
    .poll = ep_poll_op, .release = ep_release, .stream = true};

static int wait_events(struct eventpoll *ep, struct linux_epoll_event __user *uev, int max,
                       ktime_t deadline)
{
    for (;;) {
        int n = has_ready(ep) ? send_events(ep, uev, max) : 0;
        if (n || !deadline) {
            return n;
        }
        int error = wait_event_interruptible_deadline(ep->wait, has_ready(ep), deadline);
        if (error == -ETIME) {
            return 0;
        }
        if (error) {
            return -EINTR;
        }
    }
}

static long do_wait_events(int epfd, void __user *uev, int max, ktime_t deadline)
{
    if (max <= 0 || max > (int)(0x7fffffff / sizeof(struct linux_epoll_event))) {
        return -EINVAL;
    }
    if (!access_ok(uev, (u64)max * sizeof(struct linux_epoll_event))) {
        return -EFAULT;
    }
    struct fd f = fdget((unsigned)epfd);
    if (!f.file) {
        return -EBADF;
    }
    struct eventpoll *ep = as_epoll(f.file);
    long n = ep ? wait_events(ep, uev, max, deadline) : -EINVAL;
    fdput(f);
    return n;
}

static ktime_t ms_deadline(int ms)
{
    return ms < 0 ? KTIME_MAX : ms ? ktime_get() + (u64)ms * NSEC_PER_MSEC : 0;
}

SYSCALL_DEFINE(epoll_wait)
{
    return do_wait_events(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ms_deadline(ARG_INT(3)));
}

SYSCALL_DEFINE(epoll_pwait)
{
    int error = set_user_sigmask(ARG_PTR(4), ARG_ULONG(5));
    if (error) {
        return error;
    }
    long n = do_wait_events(ARG_INT(0), ARG_PTR(1), ARG_INT(2), ms_deadline(ARG_INT(3)));
    restore_saved_sigmask_unless(n == -EINTR);
    return n;
}

static long do_create(int flags)
{
    struct eventpoll *ep = kzalloc(sizeof(*ep), GFP_KERNEL);
    if (!ep) {
        return -ENOMEM;
    }
    mutex_init(&ep->mtx);
    spin_lock_init(&ep->lock);
    INIT_LIST_HEAD(&ep->ready);
    init_waitqueue_head(&ep->wait);
    init_waitqueue_head(&ep->poll_wait);
    int fd = get_unused_fd_flags((unsigned)flags & O_CLOEXEC);
    if (fd < 0) {
        kfree(ep);
        return fd;
    }
    ep->file = anon_file("[eventpoll]", &eventpoll_fops, ep, O_RDWR);
    if (IS_ERR(ep->file)) {
        long error = PTR_ERR(ep->file);
        put_unused_fd((unsigned)fd);
        kfree(ep);
        return error;
    }
    fd_install((unsigned)fd, ep->file);
    return fd;
}

SYSCALL_DEFINE(epoll_create)
{
    return ARG_INT(0) <= 0 ? -EINVAL : do_create(0);
}

SYSCALL_DEFINE(epoll_create1)
{
    return ARG_INT(0) & ~EPOLL_CLOEXEC ? -EINVAL : do_create(ARG_INT(0));
}

void eventpoll_init(void)
{
    item_cache = kmem_cache_create("eventpoll_epi", sizeof(struct epitem), 64, 0);
    hook_cache = kmem_cache_create("eventpoll_pwq", sizeof(struct hook), 8, 0);
}
