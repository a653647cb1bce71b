// SPDX-License-Identifier: MIT
// Terminal devices: registration, file operations, the way from interrupt to line discipline,
// /dev/tty and /dev/console.
#include "fs/poll.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include "tty/tty_internal.h"
#include "tty/vt.h"

#define TTY_MAJOR 4
#define TTYAUX_MAJOR 5
#define MAX_TTYS 12
#define FLIP_MASK (TTY_FLIP_BUF - 1)
#define FLIP_HIGH (TTY_FLIP_BUF / 2)
#define FLIP_BATCH_NS (4 * NSEC_PER_MSEC)

struct tty_struct *console_tty;
static struct tty_struct *ttys[MAX_TTYS];
static unsigned nr_ttys;

// --- from the driver to the line discipline

static void tty_process(struct work_struct *w)
{
    struct tty_struct *tty = container_of(w, struct tty_struct, work);
    u8 buf[128], flags[128];
    unsigned n;
    unsigned long irq;
    WRITE_ONCE(tty->processed_at, ktime_get());
    do {
        spin_lock_irqsave(&tty->flip_lock, irq);
        for (n = 0; n < sizeof(buf) && tty->flip_tail != tty->flip_head; n++, tty->flip_tail++) {
            buf[n] = tty->flip_buf[tty->flip_tail & FLIP_MASK];
            flags[n] = tty->flip_flags[tty->flip_tail & FLIP_MASK];
        }
        bool was_high = n && tty->flip_head - tty->flip_tail + n >= FLIP_HIGH;
        spin_unlock_irqrestore(&tty->flip_lock, irq);
        spin_lock(&tty->lock);
        ldisc_receive_buf(tty, buf, flags, n);
        if (was_high && tty->flip_head - tty->flip_tail < FLIP_HIGH && !tty->throttled &&
            tty->ops->unthrottle)
            tty->ops->unthrottle(tty);
        spin_unlock(&tty->lock);
    } while (n == sizeof(buf));
    if (!xchg(&tty->carrier_dropped, false) || !tty_at_eof(tty))
        return;
    spin_lock(&tty->lock);
    ldisc_mode_changed(
        tty, !(tty->termios.c_lflag & ICANON)); // what was typed of a line becomes readable
    bool unread = ldisc_input_ready(tty, false);
    spin_unlock(&tty->lock);
    wake_up_interruptible_poll(&tty->read_wait, POLLIN | POLLHUP);
    // Typed ahead input is still read, to its end: SIGHUP would kill the shell before it has run
    // what it was given.
    if (!unread)
        tty_hangup_session(tty);
}

void tty_receive(struct tty_struct *tty, const u8 *buf, size_t n, enum tty_flag flag)
{
    unsigned long irq;
    spin_lock_irqsave(&tty->flip_lock, irq);
    for (size_t i = 0; i < n && tty->flip_head - tty->flip_tail < TTY_FLIP_BUF;
         i++, tty->flip_head++) {
        tty->flip_buf[tty->flip_head & FLIP_MASK] = buf[i];
        tty->flip_flags[tty->flip_head & FLIP_MASK] = (u8)flag;
    }
    bool high = tty->flip_head - tty->flip_tail >= FLIP_HIGH;
    spin_unlock_irqrestore(&tty->flip_lock, irq);
    if (high && tty->ops->throttle)
        tty->ops->throttle(tty);
    // Typing is handled at once; of a stream, only every few milliseconds, so that readers get more
    // than a FIFO at a time.
    u64 next = READ_ONCE(tty->processed_at) + FLIP_BATCH_NS;
    if (high || ktime_get() >= next)
        schedule_work(&tty->work);
    else if (!hrtimer_queued(&tty->batch_timer))
        hrtimer_start(&tty->batch_timer, next);
}

static enum hrtimer_restart batch_end(struct hrtimer *t)
{
    schedule_work(&container_of(t, struct tty_struct, batch_timer)->work);
    return HRTIMER_NORESTART;
}

void tty_carrier(struct tty_struct *tty, bool up)
{
    if (tty->carrier && !up) {
        WRITE_ONCE(tty->carrier, false);
        WRITE_ONCE(tty->carrier_dropped, true);
        schedule_work(&tty->work);
    }
    WRITE_ONCE(tty->carrier, up);
}

void tty_write_wakeup(struct tty_struct *tty)
{
    smp_mb(); // what the driver took out of its buffer, before the look at the queue
    if (waitqueue_active(&tty->write_wait))
        wake_up_interruptible_poll(&tty->write_wait, POLLOUT | POLLWRNORM);
}

// --- files

static struct tty_struct *tty_of_dev(dev_t dev)
{
    if (dev == MKDEV(TTYAUX_MAJOR, 0))
        return get_current_tty();
    if (dev == MKDEV(TTYAUX_MAJOR, 1)) {
        struct tty_struct *vt = vt_console_tty();
        return vt ? vt : console_tty;
    }
    if (dev == MKDEV(TTY_MAJOR, 0))
        return vt_tty(0);
    for (unsigned i = 0; i < nr_ttys; i++)
        if (ttys[i]->dev == dev)
            return ttys[i];
    return NULL;
}

static int tty_open(struct inode *inode, struct file *f)
{
    bool console = inode->i_rdev == MKDEV(TTYAUX_MAJOR, 1);
    struct tty_struct *tty = tty_of_dev(inode->i_rdev);
    if (!tty)
        return inode->i_rdev == MKDEV(TTYAUX_MAJOR, 0) ? -ENXIO : -ENODEV;
    if (tty->exclusive && atomic_read(&tty->open_count) && !capable(CAP_SYS_ADMIN))
        return -EBUSY;
    mutex_lock(&tty->open_lock);
    int err = atomic_read(&tty->open_count) || !tty->ops->open ? 0 : tty->ops->open(tty);
    if (!err)
        atomic_inc(&tty->open_count);
    mutex_unlock(&tty->open_lock);
    if (err)
        return err;
    f->private_data = tty;
    stream_open(inode, f);
    if (!console)
        tty_open_acquire(tty, f);
    return 0;
}

static int tty_release(struct inode *inode, struct file *f)
{
    (void)inode;
    struct tty_struct *tty = f->private_data;
    mutex_lock(&tty->open_lock);
    if (atomic_dec_and_test(&tty->open_count)) {
        tty->exclusive = false;
        if (tty->ops->close)
            tty->ops->close(tty);
    }
    mutex_unlock(&tty->open_lock);
    return 0;
}

static ssize_t tty_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    (void)pos;
    return ldisc_read(f, f->private_data, to);
}

static ssize_t tty_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)pos;
    return output_write(f, f->private_data, from);
}

static poll_t tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty_struct *tty = f->private_data;
    poll_t mask = 0;
    poll_wait(f, &tty->read_wait, pt);
    poll_wait(f, &tty->write_wait, pt);
    if (ldisc_input_ready(tty, true))
        mask |= POLLIN | POLLRDNORM;
    else if (tty_at_eof(tty))
        mask |= POLLIN | POLLRDNORM | POLLHUP;
    if (!tty->stopped && tty->ops->write_room(tty) > 64)
        mask |= POLLOUT | POLLWRNORM;
    return mask;
}

const struct file_operations tty_fops = {
    .open = tty_open,
    .release = tty_release,
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
    .llseek = no_llseek,
    .stream = true,
};

dev_t tty_devnum(const struct tty_struct *t)
{
    return t ? t->dev : 0;
}

struct tty_struct *tty_register(const char *name, dev_t dev, const struct tty_operations *ops,
                                void *data)
{
    if (nr_ttys == MAX_TTYS)
        return ERR_PTR(-ENOSPC);
    struct tty_struct *tty = kvmalloc(sizeof(*tty), GFP_KERNEL | __GFP_ZERO);
    if (!tty)
        return ERR_PTR(-ENOMEM);
    kstrlcpy(tty->name, name, sizeof(tty->name));
    tty->dev = dev;
    tty->ops = ops;
    tty->driver_data = data;
    tty->termios = (struct linux_termios)TERMIOS_DEFAULT;
    mutex_init(&tty->open_lock);
    mutex_init(&tty->termios_lock);
    mutex_init(&tty->write_lock);
    mutex_init(&tty->read_lock);
    init_waitqueue_head(&tty->read_wait);
    init_waitqueue_head(&tty->write_wait);
    spin_lock_init(&tty->lock);
    spin_lock_init(&tty->flip_lock);
    work_init(&tty->work, tty_process);
    hrtimer_init(&tty->batch_timer, batch_end, HRTIMER_MONOTONIC);
    ttys[nr_ttys++] = tty;
    if (!strcmp(name, "ttyS0"))
        console_tty = tty;
    int err = register_chrdev(dev, 1, strncmp(name, "ttyS", 4) ? "tty" : "ttyS", &tty_fops);
    if (!err)
        err = devtmpfs_create(name, S_IFCHR | 0620, dev);
    if (err)
        pr_warn("tty: no node for %s: error %d", name, err);
    return tty;
}

void tty_init(void)
{
    static const struct {
        const char *name;
        unsigned minor;
        umode_t mode;
    } nodes[] = {{"tty", 0, 0666}, {"console", 1, 0600}};
    for (unsigned i = 0; i < ARRAY_SIZE(nodes); i++) {
        dev_t dev = MKDEV(TTYAUX_MAJOR, nodes[i].minor);
        int err = register_chrdev(dev, 1, nodes[i].name, &tty_fops);
        if (!err)
            err = devtmpfs_create(nodes[i].name, S_IFCHR | nodes[i].mode, dev);
        if (err)
            pr_warn("tty: no /dev/%s: error %d", nodes[i].name, err);
    }
}
