// SPDX-License-Identifier: MIT
// /dev/input/eventN: each open file has a ring of its own; one that is not read in time loses what
// it has and is told so by SYN_DROPPED (Documentation/input/event-codes.rst).
#include "drivers/input/evdev.h"

#include "abi/fcntl.h"
#include "abi/time.h"
#include "fs/poll.h"
#include "lib/err.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/task.h"

#define INPUT_MAJOR 13
#define EVDEV_MINOR 64
#define RING_MASK (EVDEV_RING - 1)

static struct evdev *evdevs[INPUT_DEVICES];
static unsigned nr_evdevs;

// --- from the device

static struct linux_input_event stamped(const struct evdev_client *c, const struct input_value *v,
                                        u64 mono_ns, u64 real_ns)
{
    u64 us = (c->clock == CLOCK_REALTIME ? real_ns : mono_ns) / NSEC_PER_USEC;
    return (struct linux_input_event){(s64)(us / 1000000), (s64)(us % 1000000), v->type, v->code,
                                      v->value};
}

void evdev_queue(struct evdev_client *c, const struct input_value *v, u64 mono_ns, u64 real_ns)
{
    c->ring[c->head++ & RING_MASK] = stamped(c, v, mono_ns, real_ns);
    if (c->head - c->tail == EVDEV_RING) { // full: the newest stays
        static const struct input_value dropped = {EV_SYN, SYN_DROPPED, 0};
        c->tail = c->head - 2;
        c->ring[c->tail & RING_MASK] = stamped(c, &dropped, mono_ns, real_ns);
        c->packet_head = c->tail;
    }
    if (v->type == EV_SYN && v->code == SYN_REPORT)
        c->packet_head = c->head;
}

static void evdev_events(struct input_handle *h, const struct input_value *values, unsigned n)
{
    struct evdev *e = h->private;
    struct evdev_client *c;
    u64 mono = ktime_get(), real = ktime_get_real();
    if (list_empty(&e->clients))
        return;
    list_for_each_entry(c, &e->clients, entry)
    {
        bool wants = !c->revoked && (!h->dev->grab || h->dev->grab_client == c);
        for (unsigned i = 0; i < n && wants; i++)
            evdev_queue(c, &values[i], mono, real);
    }
    wake_up_interruptible_poll(&e->wait, POLLIN | POLLRDNORM);
    fasync_notify(&e->fasync);
}

// --- files

static int evdev_open(struct inode *inode, struct file *f)
{
    unsigned n = MINOR(inode->i_rdev) - EVDEV_MINOR;
    if (n >= nr_evdevs)
        return -ENXIO;
    struct evdev_client *c = kzalloc(sizeof(*c), GFP_KERNEL);
    if (!c)
        return -ENOMEM;
    c->evdev = evdevs[n];
    c->clock = CLOCK_REALTIME;
    f->private_data = c;
    struct input_device *dev = evdev_device(c->evdev);
    spin_lock_irq(&dev->lock);
    list_add_tail(&c->entry, &c->evdev->clients);
    spin_unlock_irq(&dev->lock);
    return stream_open(inode, f);
}

static int evdev_release(struct inode *inode, struct file *f)
{
    (void)inode;
    struct evdev_client *c = f->private_data;
    struct input_device *dev = evdev_device(c->evdev);
    spin_lock_irq(&dev->lock);
    list_del(&c->entry);
    if (dev->grab && dev->grab_client == c)
        dev->grab = NULL;
    spin_unlock_irq(&dev->lock);
    kfree(c);
    return 0;
}

static bool take(struct evdev_client *c, struct linux_input_event *event)
{
    struct input_device *dev = evdev_device(c->evdev);
    spin_lock_irq(&dev->lock);
    bool there = c->tail != c->packet_head;
    if (there)
        *event = c->ring[c->tail++ & RING_MASK];
    spin_unlock_irq(&dev->lock);
    return there;
}

static bool readable(const struct evdev_client *c)
{
    return READ_ONCE(c->tail) != READ_ONCE(c->packet_head);
}

// As many whole events as there are, at least one.
static ssize_t evdev_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    (void)pos;
    struct evdev_client *c = f->private_data;
    struct linux_input_event event;
    if (iov_iter_count(to) && iov_iter_count(to) < sizeof(event))
        return -EINVAL;
    for (;;) {
        ssize_t done = 0;
        if (READ_ONCE(c->revoked))
            return -ENODEV;
        if (!readable(c) && (f->f_flags & O_NONBLOCK))
            return -EAGAIN;
        if (!iov_iter_count(to))
            return 0;
        while (iov_iter_count(to) >= sizeof(event) && take(c, &event)) {
            if (copy_to_iter(&event, sizeof(event), to) != sizeof(event))
                return -EFAULT;
            done += (ssize_t)sizeof(event);
        }
        if (done)
            return done;
        int err = wait_event_interruptible(c->evdev->wait, readable(c) || READ_ONCE(c->revoked));
        if (err)
            return err;
    }
}

static ssize_t evdev_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)pos;
    struct evdev_client *c = f->private_data;
    struct linux_input_event event;
    ssize_t done = 0;
    if (iov_iter_count(from) && iov_iter_count(from) < sizeof(event))
        return -EINVAL;
    if (READ_ONCE(c->revoked))
        return -ENODEV;
    while (iov_iter_count(from) >= sizeof(event)) {
        if (copy_from_iter(&event, sizeof(event), from) != sizeof(event))
            return -EFAULT;
        input_inject(c->evdev->handle, event.type, event.code, event.value);
        done += (ssize_t)sizeof(event);
    }
    return done;
}

static poll_t evdev_poll(struct file *f, struct poll_table *pt)
{
    struct evdev_client *c = f->private_data;
    poll_wait(f, &c->evdev->wait, pt);
    poll_t mask = READ_ONCE(c->revoked) ? POLLHUP | POLLERR : POLLOUT | POLLWRNORM;
    return mask | (readable(c) ? POLLIN | POLLRDNORM : 0);
}

static int evdev_fasync(int fd, struct file *f, bool on)
{
    struct evdev_client *c = f->private_data;
    return fasync_set(&c->evdev->fasync, fd, f, on);
}

static const struct file_operations evdev_fops = {
    .open = evdev_open,
    .release = evdev_release,
    .read = evdev_read,
    .write = evdev_write,
    .poll = evdev_poll,
    .ioctl = evdev_ioctl,
    .fasync = evdev_fasync,
    .llseek = no_llseek,
    .stream = true,
};

// --- registration

static bool evdev_match(const struct input_device *dev)
{
    (void)dev;
    return true;
}

static int evdev_connect(struct input_handle *h)
{
    struct evdev *e = kzalloc(sizeof(*e), GFP_KERNEL);
    char path[24];
    if (!e)
        return -ENOMEM;
    e->handle = h;
    INIT_LIST_HEAD(&e->clients);
    init_waitqueue_head(&e->wait);
    fasync_init(&e->fasync);
    h->private = e;
    snprintf(h->name, sizeof(h->name), "event%u", nr_evdevs);
    snprintf(path, sizeof(path), "input/%s", h->name);
    dev_t dev = MKDEV(INPUT_MAJOR, EVDEV_MINOR + nr_evdevs);
    input_files_add_node(h->dev, h->name, EVDEV_MINOR + nr_evdevs);
    evdevs[nr_evdevs++] = e;
    return devtmpfs_create(path, S_IFCHR | 0660, dev);
}

static const struct input_handler evdev_handler = {
    .name = "evdev", .match = evdev_match, .connect = evdev_connect, .events = evdev_events};

int evdev_init(void)
{
    int err = register_chrdev(MKDEV(INPUT_MAJOR, EVDEV_MINOR), INPUT_DEVICES, "input", &evdev_fops);
    return err ? err : input_register_handler(&evdev_handler);
}
