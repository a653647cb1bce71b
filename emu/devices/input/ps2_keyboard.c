// SPDX-License-Identifier: MIT
// A 101-key keyboard: commands (IBM PS/2 HITR, Keyboards, "Commands from the system") and scan code
// sets 2 and 1. Set 3 is not offered: the keyboard stays with the set that it has, as most do
// today.
#include "devices/input/ps2.h"

#include "base/bits.h"

enum {
    CMD_LEDS = 0xED, CMD_ECHO = 0xEE, CMD_SCAN_SET = 0xF0, CMD_IDENTIFY = 0xF2, CMD_RATE = 0xF3,
    CMD_ENABLE = 0xF4, CMD_DISABLE = 0xF5, CMD_DEFAULTS = 0xF6, CMD_ALL_KEYS_FIRST = 0xF7,
    CMD_ALL_KEYS_LAST = 0xFA, CMD_RESEND = 0xFE, CMD_RESET = 0xFF,
    ACKNOWLEDGE = 0xFA, RESEND = 0xFE, SELF_TEST_PASSED = 0xAA, BREAK_PREFIX = 0xF0,
    EXTENDED_PREFIX = 0xE0, PAUSE_PREFIX = 0xE1,
    RATE_DEFAULT = 0x2B, // 10.9 characters per second after 500 ms
};

void ps2_queue_put(struct ps2_queue *q, u8 byte)
{
    if (q->count < PS2_QUEUE) {
        q->bytes[(q->head + q->count) % PS2_QUEUE] = byte;
        q->count++;
    }
}

u8 ps2_queue_get(struct ps2_queue *q)
{
    u8 byte = q->bytes[q->head % PS2_QUEUE];
    if (q->count) {
        q->head = (u8)((q->head + 1) % PS2_QUEUE);
        q->count--;
    }
    return byte;
}

// Set 1 by set 2 (IBM PS/2 HITR, Keyboards, scan code tables; 8042 firmware listing). Codes from
// 0x85 on are the same in both.
u8 ps2_translate(u8 code)
{
    static const u8 set_1[0x85] = {
        0xFF, 0x43, 0x41, 0x3F, 0x3D, 0x3B, 0x3C, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3E, 0x0F, 0x29,
        0x59, 0x65, 0x38, 0x2A, 0x70, 0x1D, 0x10, 0x02, 0x5A, 0x66, 0x71, 0x2C, 0x1F, 0x1E, 0x11,
        0x03, 0x5B, 0x67, 0x2E, 0x2D, 0x20, 0x12, 0x05, 0x04, 0x5C, 0x68, 0x39, 0x2F, 0x21, 0x14,
        0x13, 0x06, 0x5D, 0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5E, 0x6A, 0x72, 0x32, 0x24,
        0x16, 0x08, 0x09, 0x5F, 0x6B, 0x33, 0x25, 0x17, 0x18, 0x0B, 0x0A, 0x60, 0x6C, 0x34, 0x35,
        0x26, 0x27, 0x19, 0x0C, 0x61, 0x6D, 0x73, 0x28, 0x74, 0x1A, 0x0D, 0x62, 0x6E, 0x3A, 0x36,
        0x1C, 0x1B, 0x75, 0x2B, 0x63, 0x76, 0x55, 0x56, 0x77, 0x78, 0x79, 0x7A, 0x0E, 0x7B, 0x7C,
        0x4F, 0x7D, 0x4B, 0x47, 0x7E, 0x7F, 0x6F, 0x52, 0x53, 0x50, 0x4C, 0x4D, 0x48, 0x01, 0x45,
        0x57, 0x4E, 0x51, 0x4A, 0x37, 0x49, 0x46, 0x54, 0x80, 0x81, 0x82, 0x41, 0x54,
    };
    return code < sizeof(set_1) ? set_1[code] : code;
}

static void set_defaults(struct ps2_keyboard *k)
{
    k->rate = RATE_DEFAULT;
    k->scan_set = 2;
    k->command = 0;
}

static void clear_queue(struct ps2_keyboard *k)
{
    k->queue = (struct ps2_queue){0};
    k->repeat_key = 0;
}

// Bits 5 and 6 of the rate: quarters of a second, less one (Keyboards, "Set Typematic Rate/Delay").
u64 ps2_keyboard_delay_ns(const struct ps2_keyboard *k)
{
    return (1 + bits_get(k->rate, 5, 2)) * UINT64_C(250000000);
}

// The period is (8 + bits 0 to 2) * 2^(bits 3 and 4) * 4.17 ms.
u64 ps2_keyboard_period_ns(const struct ps2_keyboard *k)
{
    return (8 + bits_get(k->rate, 0, 3)) * UINT64_C(4170000) << bits_get(k->rate, 3, 2);
}

void ps2_keyboard_reset(struct ps2_keyboard *k)
{
    *k = (struct ps2_keyboard){.scanning = true};
    set_defaults(k);
}

static void argument(struct ps2_keyboard *k, u8 value)
{
    u8 command = k->command;
    k->command = 0;
    if (command == CMD_LEDS) {
        k->leds = value & 7;
    } else if (command == CMD_RATE) {
        k->rate = value & 0x7F;
    } else if (value == 1 || value == 2) {
        k->scan_set = value;
    }
    ps2_queue_put(&k->queue, ACKNOWLEDGE);
    if (command == CMD_SCAN_SET && value == 0) {
        ps2_queue_put(&k->queue, k->scan_set);
    }
}

static void identify(struct ps2_keyboard *k)
{
    ps2_queue_put(&k->queue, ACKNOWLEDGE);
    ps2_queue_put(&k->queue, 0xAB);
    ps2_queue_put(&k->queue, 0x83);
}

static void command(struct ps2_keyboard *k, u8 byte)
{
    switch (byte) {
    case CMD_ECHO:
        ps2_queue_put(&k->queue, CMD_ECHO);
        return;
    case CMD_IDENTIFY:
        identify(k);
        return;
    case CMD_RESEND:
        ps2_queue_put(&k->queue, k->last_sent);
        return;
    case CMD_LEDS:
    case CMD_SCAN_SET:
    case CMD_RATE:
        k->command = byte;
        break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        clear_queue(k);
        if (byte == CMD_DISABLE) {
            set_defaults(k);
        }
        k->scanning = byte == CMD_ENABLE;
        break;
    case CMD_DEFAULTS:
        clear_queue(k);
        set_defaults(k);
        break;
    case CMD_RESET:
        clear_queue(k);
        ps2_keyboard_reset(k);
        ps2_queue_put(&k->queue, ACKNOWLEDGE);
        ps2_queue_put(&k->queue, SELF_TEST_PASSED);
        return;
    default:
        if (byte < CMD_ALL_KEYS_FIRST || byte > CMD_ALL_KEYS_LAST) {
            ps2_queue_put(&k->queue, RESEND);
            return;
        }
        break; // concern set 3 only
    }
    ps2_queue_put(&k->queue, ACKNOWLEDGE);
}

void ps2_keyboard_command(struct ps2_keyboard *k, u8 byte)
{
    if (k->command && byte < CMD_LEDS) {
        argument(k, byte);
    } else {
        k->command = 0;
        command(k, byte);
    }
}

static void send_code(struct ps2_keyboard *k, u8 code, bool pressed)
{
    if (k->scan_set == 1) {
        ps2_queue_put(&k->queue, (u8)(ps2_translate(code) | (pressed ? 0 : 0x80)));
    } else {
        if (!pressed) {
            ps2_queue_put(&k->queue, BREAK_PREFIX);
        }
        ps2_queue_put(&k->queue, code);
    }
}

// Pause is a sequence of its own, sent whole when the key goes down.
static void send_pause(struct ps2_keyboard *k)
{
    ps2_queue_put(&k->queue, PAUSE_PREFIX);
    send_code(k, 0x14, true);
    send_code(k, 0x77, true);
    ps2_queue_put(&k->queue, PAUSE_PREFIX);
    send_code(k, 0x14, false);
    send_code(k, 0x77, false);
}

static void send_key(struct ps2_keyboard *k, u16 key, bool pressed)
{
    if (key >> 8 == EXTENDED_PREFIX) {
        ps2_queue_put(&k->queue, EXTENDED_PREFIX);
    }
    send_code(k, (u8)key, pressed);
}

// A code that does not fit whole is left out.
void ps2_keyboard_repeat(struct ps2_keyboard *k)
{
    if (k->repeat_key && ps2_queue_room(&k->queue) >= PS2_EVENT_BYTES) {
        send_key(k, k->repeat_key, true);
    }
}

void ps2_keyboard_key(struct ps2_keyboard *k, u16 key, bool pressed)
{
    if (!k->scanning) {
        return;
    }
    if (pressed) {
        k->repeat_key = key == HOST_KEY_PAUSE ? 0 : key;
    } else if (key == k->repeat_key) {
        k->repeat_key = 0; // those that went down before it do not repeat again
    }
    if (key == HOST_KEY_PAUSE) {
        if (pressed) {
            send_pause(k);
        }
        return;
    }
    send_key(k, key, pressed);
}

u8 ps2_keyboard_send(struct ps2_keyboard *k)
{
    k->last_sent = ps2_queue_get(&k->queue);
    return k->last_sent;
}
