// SPDX-License-Identifier: MIT
// What evdev answers about its device (uapi input.h, EVIOC*), and grabbing it.
#include "drivers/input/evdev.h"

#include "abi/time.h"
#include "arch/x86_64/uaccess.h"
#include "lib/err.h"
#include "lib/string.h"
#include "sched/timer.h"

#define RING_MASK (EVDEV_RING - 1)

// At most `size` bytes; how many were copied, as Linux does.
static long copy_part(void __user *to, unsigned size, const void *from, unsigned length)
{
    unsigned n = min(size, length);
    return copy_to_user(to, from, n) ? -EFAULT : (long)n;
}

static long copy_text(void __user *to, unsigned size, const char *text)
{
    return text ? copy_part(to, size, text, (unsigned)strlen(text) + 1) : -ENOENT;
}

static long get_bits(const struct input_device *dev, unsigned type, void __user *to, unsigned size)
{
    static const unsigned long none[BITS_TO_LONGS(0x40)];
    unsigned max_code = 0;
    if (type > EV_MAX)
        return -EINVAL;
    const unsigned long *bits = input_bits(dev, type, &max_code);
    if (!bits) { // known to Linux, not to any device here
        bits = none;
        max_code = 0x3f;
    }
    return copy_part(to, size, bits, (unsigned)(BITS_TO_LONGS(max_code + 1) * sizeof(long)));
}

// Lock held. Forgets queued events of a type, since their sum is about to be told; packets that
// become empty go with them.
static void forget(struct evdev_client *c, u16 type)
{
    u32 to = c->tail, in_packet = 0, packet_head = c->packet_head;
    for (u32 at = c->tail; at != c->head; at++) {
        struct linux_input_event e = c->ring[at & RING_MASK];
        bool report = e.type == EV_SYN && e.code == SYN_REPORT;
        if (e.type != type && !(report && !in_packet)) {
            in_packet = report ? 0 : in_packet + 1;
            c->ring[to++ & RING_MASK] = e;
        }
        if (at + 1 == packet_head)
            c->packet_head = to;
    }
    c->head = to;
}

static long get_state(struct evdev_client *c, u16 type, const unsigned long *bits,
                      unsigned max_code, void __user *to, unsigned size)
{
    struct input_device *dev = evdev_device(c->evdev);
    DECLARE_BITMAP(copy, KEY_MAX + 1) = {0};
    spin_lock_irq(&dev->lock);
    memcpy(copy, bits, BITS_TO_LONGS(max_code + 1) * sizeof(long));
    forget(c, type);
    spin_unlock_irq(&dev->lock);
    return copy_part(to, size, copy, (unsigned)(BITS_TO_LONGS(max_code + 1) * sizeof(long)));
}

// One client alone gets the events, and among its handler's clients only this one.
static long grab(struct evdev_client *c, bool on)
{
    struct input_device *dev = evdev_device(c->evdev);
    long err = 0;
    spin_lock_irq(&dev->lock);
    if (on ? dev->grab != NULL : dev->grab_client != c || !dev->grab)
        err = on ? -EBUSY : -EINVAL;
    if (!err) {
        dev->grab = on ? c->evdev->handle : NULL;
        dev->grab_client = on ? c : NULL;
    }
    spin_unlock_irq(&dev->lock);
    return err;
}

// The file stays open and is good for nothing any more.
static long revoke(struct evdev_client *c)
{
    struct input_device *dev = evdev_device(c->evdev);
    grab(c, false);
    spin_lock_irq(&dev->lock);
    c->revoked = true;
    c->tail = c->packet_head = c->head;
    spin_unlock_irq(&dev->lock);
    wake_up_interruptible_all(&c->evdev->wait);
    return 0;
}

static long set_clock(struct evdev_client *c, const void __user *arg)
{
    struct input_device *dev = evdev_device(c->evdev);
    int clock;
    if (copy_from_user(&clock, arg, sizeof(clock)))
        return -EFAULT;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME)
        return -EINVAL;
    spin_lock_irq(&dev->lock);
    if (c->clock != clock) {
        static const struct input_value dropped = {EV_SYN, SYN_DROPPED, 0};
        static const struct input_value report = {EV_SYN, SYN_REPORT, 0};
        bool had = c->head != c->tail;
        c->clock = clock;
        c->tail = c->packet_head = c->head;
        if (had) { // their stamps were of another clock
            evdev_queue(c, &dropped, ktime_get(), ktime_get_real());
            evdev_queue(c, &report, ktime_get(), ktime_get_real());
        }
    }
    spin_unlock_irq(&dev->lock);
    return 0;
}

static long repeat_times(struct evdev_client *c, unsigned cmd, void __user *arg)
{
    struct input_device *dev = evdev_device(c->evdev);
    u32 times[2];
    if (!test_bit(EV_REP, dev->evbit))
        return -ENOSYS;
    if (cmd == EVIOCGREP) {
        times[0] = (u32)READ_ONCE(dev->rep[REP_DELAY]);
        times[1] = (u32)READ_ONCE(dev->rep[REP_PERIOD]);
        return copy_to_user(arg, times, sizeof(times)) ? -EFAULT : 0;
    }
    if (copy_from_user(times, arg, sizeof(times)))
        return -EFAULT;
    input_inject(c->evdev->handle, EV_REP, REP_DELAY, (s32)times[0]);
    input_inject(c->evdev->handle, EV_REP, REP_PERIOD, (s32)times[1]);
    return 0;
}

// Requests whose number has the size of the answer's buffer in it.
static long sized_ioctl(struct evdev_client *c, unsigned cmd, void __user *arg)
{
    struct input_device *dev = evdev_device(c->evdev);
    unsigned nr = IOC_NR(cmd), size = IOC_SIZE(cmd);
    static const unsigned long none[1];
    switch (nr) {
    case EVIOC_NR_NAME:
        return copy_text(arg, size, dev->name);
    case EVIOC_NR_PHYS:
        return copy_text(arg, size, dev->phys);
    case EVIOC_NR_UNIQ:
        return copy_text(arg, size, NULL);
    case EVIOC_NR_PROP:
    case EVIOC_NR_SND:
    case EVIOC_NR_SW:
        return copy_part(arg, size, none, sizeof(none));
    case EVIOC_NR_KEY:
        return get_state(c, EV_KEY, dev->key, KEY_MAX, arg, size);
    case EVIOC_NR_LED:
        return get_state(c, EV_LED, dev->led, LED_MAX, arg, size);
    }
    if (nr >= EVIOC_NR_BIT && nr < EVIOC_NR_ABS)
        return get_bits(dev, nr - EVIOC_NR_BIT, arg, size);
    return -EINVAL; // absolute axes too: no device has them
}

long evdev_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct evdev_client *c = f->private_data;
    struct input_device *dev = evdev_device(c->evdev);
    void __user *p = (void __user *)arg;
    if (READ_ONCE(c->revoked))
        return -ENODEV;
    switch (cmd) {
    case EVIOCGVERSION:
        return put_user(EV_VERSION, (int __user *)p);
    case EVIOCGID:
        return copy_to_user(p, &dev->id, sizeof(dev->id)) ? -EFAULT : 0;
    case EVIOCGREP:
    case EVIOCSREP:
        return repeat_times(c, cmd, p);
    case EVIOCGRAB:
        return grab(c, arg);
    case EVIOCREVOKE:
        return arg ? -EINVAL : revoke(c);
    case EVIOCSCLOCKID:
        return set_clock(c, p);
    }
    if (IOC_TYPE(cmd) != EVIOC_TYPE || IOC_DIR(cmd) != IOC_DIR_READ)
        return -EINVAL;
    return sized_ioctl(c, cmd, p);
}
