// SPDX-License-Identifier: MIT
// Inside evdev: an input device as a file, and who has it open.
#pragma once

#include "drivers/input/input.h"
#include "fs/fasync.h"
#include "fs/fs.h"
#include "sched/wait.h"

#define EVDEV_RING 64u // events; a power of two

struct evdev {
    struct input_handle *handle;
    struct list_head clients; // lock: dev->lock
    wait_queue_head_t wait;
    struct fasync_list fasync;
};
// One open file. Everything but `clock` changes under the device's lock.
struct evdev_client {
    struct evdev *evdev;
    struct list_head entry;
    clockid_t clock; // of time stamps
    bool revoked;
    u32 head, tail;  // free-running
    u32 packet_head; // what readers see: whole packets
    struct linux_input_event ring[EVDEV_RING];
};
static inline struct input_device *evdev_device(const struct evdev *e)
{
    return e->handle->dev;
}
// For the client alone; the device's lock held.
void evdev_queue(struct evdev_client *c, const struct input_value *v, u64 mono_ns, u64 real_ns);
long evdev_ioctl(struct file *f, unsigned cmd, unsigned long arg);
