// SPDX-License-Identifier: MIT
// The keyboard and the mouse behind the PS/2 controller: each takes bytes and has a queue of bytes
// to send. Plain state, owned by the controller (IBM PS/2 Hardware Interface Technical Reference,
// Keyboards and Mouse; Microsoft's IntelliMouse extension).
#ifndef VIV_DEVICES_INPUT_PS2_H
#define VIV_DEVICES_INPUT_PS2_H

#include "base/types.h"
#include "host/host.h"

#define PS2_QUEUE 16
#define PS2_EVENT_BYTES 8 // the longest that one event sends

struct ps2_queue {
    u8 bytes[PS2_QUEUE];
    u8 head, count;
};

void ps2_queue_put(struct ps2_queue *q, u8 byte); // drops it if the queue is full
u8 ps2_queue_get(struct ps2_queue *q);
static inline unsigned ps2_queue_room(const struct ps2_queue *q)
{
    return PS2_QUEUE - q->count;
}

struct ps2_keyboard {
    struct ps2_queue queue;
    u8 command; // whose argument comes next; 0: none
    u8 scanning, leds, rate, scan_set, last_sent;
    u16 repeat_key; // held, and the last that went down; 0: none
};

void ps2_keyboard_reset(struct ps2_keyboard *k); // as firmware leaves it: self test done, scanning
void ps2_keyboard_command(struct ps2_keyboard *k, u8 byte);
void ps2_keyboard_key(struct ps2_keyboard *k, u16 key, bool pressed);
u8 ps2_keyboard_send(struct ps2_keyboard *k);
// Typematic: how long until the held key is sent again for the first time, and each time after; ns.
// repeat sends it.
u64 ps2_keyboard_delay_ns(const struct ps2_keyboard *k);
u64 ps2_keyboard_period_ns(const struct ps2_keyboard *k);
void ps2_keyboard_repeat(struct ps2_keyboard *k);
// The code of set 1 for one of set 2, as the controller translates too.
u8 ps2_translate(u8 code);

struct ps2_mouse {
    struct ps2_queue queue;
    u8 command;
    u8 reporting, remote, wrap, scaling, resolution, rate, id, last_sent;
    u8 rates[2];       // the two sample rates before: the IntelliMouse knock
    u8 buttons, sent_buttons;
    s32 dx, dy, dz;    // not reported yet
};

void ps2_mouse_reset(struct ps2_mouse *m);
void ps2_mouse_command(struct ps2_mouse *m, u8 byte);
void ps2_mouse_event(struct ps2_mouse *m, const struct host_input_event *e);
u8 ps2_mouse_send(struct ps2_mouse *m);

#endif
