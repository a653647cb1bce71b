// SPDX-License-Identifier: MIT
// The input core: from devices to handlers and back (Documentation/input/input.rst).
#include "drivers/input/input.h"

#include "lib/err.h"
#include "lib/printk.h"

static struct input_device *devices[INPUT_DEVICES];
static unsigned nr_devices;
static const struct input_handler *handlers[INPUT_HANDLES];
static unsigned nr_handlers;

struct input_device *input_device_at(unsigned i)
{
    return i < nr_devices ? devices[i] : NULL;
}

int input_register_handler(const struct input_handler *h)
{
    if (nr_handlers == INPUT_HANDLES)
        return -ENOSPC;
    handlers[nr_handlers++] = h;
    return 0;
}

static int connect(struct input_device *dev, const struct input_handler *h)
{
    struct input_handle *handle = &dev->handles[dev->nr_handles];
    *handle = (struct input_handle){.dev = dev, .handler = h};
    int err = h->connect(handle);
    if (!err) {
        unsigned long flags;
        spin_lock_irqsave(&dev->lock, flags);
        dev->nr_handles++;
        spin_unlock_irqrestore(&dev->lock, flags);
    }
    return err;
}

int input_register_device(struct input_device *dev)
{
    if (nr_devices == INPUT_DEVICES)
        return -ENOSPC;
    spin_lock_init(&dev->lock);
    __set_bit(EV_SYN, dev->evbit);
    dev->number = nr_devices;
    for (unsigned i = 0; i < nr_handlers; i++) {
        int err = handlers[i]->match(dev) ? connect(dev, handlers[i]) : 0;
        if (err)
            pr_warn("input: %s: %s: error %d", dev->name, handlers[i]->name, err);
    }
    devices[nr_devices++] = dev;
    input_files_add(dev);
    pr_info("input: %s as input%u", dev->name, dev->number);
    return 0;
}

const unsigned long *input_bits(const struct input_device *dev, unsigned type, unsigned *max_code)
{
    switch (type) {
    case EV_SYN: // asked for with type 0, the types themselves
        *max_code = EV_MAX;
        return dev->evbit;
    case EV_KEY:
        *max_code = KEY_MAX;
        return dev->keybit;
    case EV_REL:
        *max_code = REL_MAX;
        return dev->relbit;
    case EV_MSC:
        *max_code = MSC_MAX;
        return dev->mscbit;
    case EV_LED:
        *max_code = LED_MAX;
        return dev->ledbit;
    default:
        return NULL;
    }
}

static bool has_event(const struct input_device *dev, u16 type, u16 code)
{
    unsigned max_code;
    if (type > EV_MAX || !test_bit(type, dev->evbit))
        return false;
    const unsigned long *bits = input_bits(dev, type, &max_code);
    return bits && code <= max_code && test_bit(code, bits);
}

// Lock held. True: handlers are to know.
static bool takes_effect(struct input_device *dev, u16 type, u16 code, s32 value)
{
    switch (type) {
    case EV_KEY:
        if (value == 2) // a repeat
            return test_bit(code, dev->key);
        if (test_bit(code, dev->key) == !!value)
            return false;
        value ? __set_bit(code, dev->key) : __clear_bit(code, dev->key);
        return true;
    case EV_LED:
        if (test_bit(code, dev->led) == !!value)
            return false;
        value ? __set_bit(code, dev->led) : __clear_bit(code, dev->led);
        return true;
    case EV_REL:
        return value != 0;
    default:
        return true;
    }
}

// Lock held.
static void pass_packet(struct input_device *dev)
{
    for (unsigned i = 0; i < dev->nr_handles; i++) {
        struct input_handle *h = &dev->handles[i];
        if (!dev->grab || dev->grab == h)
            h->handler->events(h, dev->packet, dev->packet_len);
    }
    dev->packet_len = 0;
}

// Lock held. A packet that is full goes on in two.
static void queue(struct input_device *dev, u16 type, u16 code, s32 value)
{
    dev->packet[dev->packet_len++] = (struct input_value){type, code, value};
    if (dev->packet_len == INPUT_PACKET - 1) {
        dev->packet[dev->packet_len++] = (struct input_value){EV_SYN, SYN_REPORT, 0};
        pass_packet(dev);
    }
}

static void sync_locked(struct input_device *dev)
{
    if (!dev->packet_len)
        return;
    dev->packet[dev->packet_len++] = (struct input_value){EV_SYN, SYN_REPORT, 0};
    pass_packet(dev);
}

void input_report(struct input_device *dev, u16 type, u16 code, s32 value)
{
    unsigned long flags;
    if (!has_event(dev, type, code))
        return;
    spin_lock_irqsave(&dev->lock, flags);
    if (takes_effect(dev, type, code, value))
        queue(dev, type, code, value);
    spin_unlock_irqrestore(&dev->lock, flags);
}

void input_sync(struct input_device *dev)
{
    unsigned long flags;
    spin_lock_irqsave(&dev->lock, flags);
    sync_locked(dev);
    spin_unlock_irqrestore(&dev->lock, flags);
}

bool input_key_held(struct input_device *dev, u16 code)
{
    return test_bit(code, dev->key);
}

// Lock held. What a handler asks of a device: handlers are told, the device does it. Repeat times
// are no events of packets.
static void inject_locked(struct input_device *dev, u16 type, u16 code, s32 value)
{
    if (type == EV_SYN) {
        sync_locked(dev);
    } else if (type == EV_REP && code <= REP_MAX && value >= 0) {
        dev->rep[code] = value;
        if (dev->event)
            dev->event(dev, type, code, value);
    } else if (has_event(dev, type, code) && takes_effect(dev, type, code, value)) {
        queue(dev, type, code, value);
        if (dev->event && type == EV_LED)
            dev->event(dev, type, code, value);
    }
}

void input_inject(struct input_handle *handle, u16 type, u16 code, s32 value)
{
    struct input_device *dev = handle->dev;
    unsigned long flags;
    spin_lock_irqsave(&dev->lock, flags);
    if (!dev->grab || dev->grab == handle)
        inject_locked(dev, type, code, value);
    spin_unlock_irqrestore(&dev->lock, flags);
}

void input_release_all_keys(struct input_device *dev)
{
    for (unsigned code = 0; code <= KEY_MAX; code++)
        if (test_bit(code, dev->key))
            input_report(dev, EV_KEY, (u16)code, 0);
    input_sync(dev);
}

void input_init(void)
{
    static int (*const inits[])(void) = {keyboard_init, evdev_init, mousedev_init};
    for (unsigned i = 0; i < ARRAY_SIZE(inits); i++) {
        int err = inits[i]();
        if (err)
            pr_warn("input: a handler cannot start: error %d", err);
    }
    input_files_init();
}
