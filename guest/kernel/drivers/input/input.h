// SPDX-License-Identifier: MIT
// The input core: devices report events, a packet at a time; handlers (evdev, mousedev, the
// terminals' keyboard) get the packets. Devices stay for as long as the kernel runs.
#pragma once

#include "abi/input.h"
#include "lib/bitops.h"
#include "sched/lock.h"

#define INPUT_DEVICES 8
#define INPUT_HANDLES 4 // of one device
#define INPUT_PACKET 16 // events, at most, that are handed on together

struct input_value {
    u16 type, code;
    s32 value;
};

struct input_device;
struct input_handle;
// Who wants packets. match and connect: task context, at registration. events: any context, the
// device's lock held with interrupts off; the last value is SYN_REPORT.
struct input_handler {
    const char *name;
    bool (*match)(const struct input_device *dev);
    int (*connect)(struct input_handle *handle); // sets name and private; 0 or -errno
    void (*events)(struct input_handle *handle, const struct input_value *values, unsigned n);
};
struct input_handle {
    struct input_device *dev;
    const struct input_handler *handler;
    char name[12]; // "event0", for /proc/bus/input/devices
    void *private;
};

struct input_device {
    const char *name, *phys;
    struct linux_input_id id;
    void *driver_data;
    // Something for the device to do: EV_LED, EV_REP. The device's lock held; may be NULL.
    void (*event)(struct input_device *dev, u16 type, u16 code, s32 value);
    // What it has; filled in before registration.
    DECLARE_BITMAP(evbit, EV_MAX + 1);
    DECLARE_BITMAP(keybit, KEY_MAX + 1);
    DECLARE_BITMAP(relbit, REL_MAX + 1);
    DECLARE_BITMAP(mscbit, MSC_MAX + 1);
    DECLARE_BITMAP(ledbit, LED_MAX + 1);
    s32 rep[REP_MAX + 1]; // ms

    spinlock_t lock;                  // all below; interrupts off
    DECLARE_BITMAP(key, KEY_MAX + 1); // held now
    DECLARE_BITMAP(led, LED_MAX + 1); // lit now
    struct input_value packet[INPUT_PACKET];
    unsigned packet_len;
    struct input_handle handles[INPUT_HANDLES];
    unsigned nr_handles;
    const struct input_handle *grab; // gets everything, alone; NULL: nobody does
    const void *grab_client;         // which of the handler's files
    unsigned number;                 // inputN
};

// Handlers first (input_init), then devices. 0, -ENOSPC or what connect said.
int input_register_handler(const struct input_handler *h);
int input_register_device(struct input_device *dev);
// An event of the device; packets end with input_sync(). What the device does not have, and what
// changes nothing (a key released twice), is dropped. Any context.
void input_report(struct input_device *dev, u16 type, u16 code, s32 value);
void input_sync(struct input_device *dev);
bool input_key_held(struct input_device *dev, u16 code);
// An event from a handler to the device (write to evdev, LEDs of the console). Grabs of others
// count: then it is dropped. The device's lock is not held. Any context.
void input_inject(struct input_handle *handle, u16 type, u16 code, s32 value);
void input_release_all_keys(struct input_device *dev);
// The device's highest code of an event type and its bits; NULL: no such type.
const unsigned long *input_bits(const struct input_device *dev, unsigned type, unsigned *max_code);
// i-th device, NULL at the end.
struct input_device *input_device_at(unsigned i);

void input_init(void); // before the drivers: handlers, /proc/bus/input

// The handlers' own registration (input_init calls them) and the files about devices.
int evdev_init(void);
int mousedev_init(void);
int keyboard_init(void);
void input_files_init(void);
void input_files_add(const struct input_device *dev);
void input_files_add_node(const struct input_device *dev, const char *name, unsigned minor);
