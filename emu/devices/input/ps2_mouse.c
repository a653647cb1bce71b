// SPDX-License-Identifier: MIT
// A PS/2 mouse with wheel and five buttons: commands (IBM PS/2 HITR, Mouse) and Microsoft's knock,
// by which drivers ask for the packet of four bytes. Movement is summed up until the last packet is
// gone.
#include "devices/input/ps2.h"

#include "base/bits.h"

enum {
    CMD_SCALING_1 = 0xE6, CMD_SCALING_2 = 0xE7, CMD_RESOLUTION = 0xE8, CMD_STATUS = 0xE9,
    CMD_STREAM = 0xEA, CMD_READ = 0xEB, CMD_WRAP_END = 0xEC, CMD_WRAP = 0xEE, CMD_REMOTE = 0xF0,
    CMD_IDENTIFY = 0xF2, CMD_RATE = 0xF3, CMD_ENABLE = 0xF4, CMD_DISABLE = 0xF5,
    CMD_DEFAULTS = 0xF6, CMD_RESEND = 0xFE, CMD_RESET = 0xFF,
    ACKNOWLEDGE = 0xFA, RESEND = 0xFE, SELF_TEST_PASSED = 0xAA,
    ID_PLAIN = 0, ID_WHEEL = 3, ID_BUTTONS = 4,
    COUNT_MAX = 255, // of one packet
};

static void set_defaults(struct ps2_mouse *m)
{
    m->reporting = m->remote = m->scaling = false;
    m->resolution = 2; // 4 counts per mm
    m->rate = 100;
    m->dx = m->dy = m->dz = 0;
}

void ps2_mouse_reset(struct ps2_mouse *m)
{
    *m = (struct ps2_mouse){.id = ID_PLAIN};
    set_defaults(m);
}

// As much of a sum as a field of the packet holds.
static s32 take(s32 *sum, s32 lowest, s32 highest)
{
    s32 part = *sum < lowest ? lowest : *sum > highest ? highest : *sum;
    *sum -= part;
    return part;
}

// Scaling 2:1 of what is streamed (Mouse, "Set scaling 2:1").
static s32 scale(const struct ps2_mouse *m, s32 count)
{
    static const u8 small[] = {0, 1, 1, 3, 6, 9};
    if (!m->scaling || m->remote) {
        return count;
    }
    s32 size = count < 0 ? -count : count;
    size = size < (s32)ARRAY_LEN(small) ? small[size] : 2 * size;
    size = size < COUNT_MAX ? size : COUNT_MAX;
    return count < 0 ? -size : size;
}

static void put_packet(struct ps2_mouse *m)
{
    s32 dx = scale(m, take(&m->dx, -COUNT_MAX, COUNT_MAX));
    s32 dy = scale(m, take(&m->dy, -COUNT_MAX, COUNT_MAX));
    ps2_queue_put(&m->queue, (u8)((dy < 0) << 5 | (dx < 0) << 4 | 1 << 3 | (m->buttons & 7)));
    ps2_queue_put(&m->queue, (u8)dx);
    ps2_queue_put(&m->queue, (u8)dy);
    s32 dz = take(&m->dz, -8, 7);
    if (m->id == ID_WHEEL) {
        ps2_queue_put(&m->queue, (u8)dz);
    } else if (m->id == ID_BUTTONS) {
        ps2_queue_put(&m->queue, (u8)((m->buttons & 0x18) << 1 | (dz & 0xF)));
    }
    m->sent_buttons = m->buttons;
}

static void stream(struct ps2_mouse *m)
{
    bool news = m->dx || m->dy || m->dz || m->buttons != m->sent_buttons;
    if (m->reporting && !m->remote && !m->wrap && news && !m->queue.count) {
        put_packet(m);
    }
}

// Sample rates 200, 100, 80 turn the wheel on; 200, 200, 80 the buttons behind it.
static void set_rate(struct ps2_mouse *m, u8 value)
{
    if (m->rates[0] == 200 && value == 80) {
        if (m->rates[1] == 100) {
            m->id = ID_WHEEL;
        } else if (m->rates[1] == 200 && m->id != ID_PLAIN) {
            m->id = ID_BUTTONS;
        }
    }
    m->rates[0] = m->rates[1];
    m->rates[1] = value;
    m->rate = value;
}

static void put_status(struct ps2_mouse *m)
{
    u8 buttons = (u8)((m->buttons & 1) << 2 | (m->buttons & 4) >> 1 | (m->buttons & 2) >> 1);
    ps2_queue_put(&m->queue,
                  (u8)(m->remote << 6 | m->reporting << 5 | m->scaling << 4 | buttons));
    ps2_queue_put(&m->queue, m->resolution);
    ps2_queue_put(&m->queue, m->rate);
}

static void argument(struct ps2_mouse *m, u8 value)
{
    if (m->command == CMD_RATE) {
        set_rate(m, value);
    } else {
        m->resolution = value & 3;
    }
    m->command = 0;
    ps2_queue_put(&m->queue, ACKNOWLEDGE);
}

// What needs no more answer than that it was understood. False: it is none of these.
static bool setting(struct ps2_mouse *m, u8 byte)
{
    switch (byte) {
    case CMD_SCALING_1:
    case CMD_SCALING_2:
        m->scaling = byte == CMD_SCALING_2;
        break;
    case CMD_STREAM:
    case CMD_REMOTE:
        m->remote = byte == CMD_REMOTE;
        break;
    case CMD_WRAP:
    case CMD_WRAP_END:
        m->wrap = byte == CMD_WRAP;
        break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        m->reporting = byte == CMD_ENABLE;
        m->dx = m->dy = m->dz = 0;
        break;
    case CMD_DEFAULTS:
        set_defaults(m);
        break;
    case CMD_RESOLUTION:
    case CMD_RATE:
        m->command = byte;
        break;
    default:
        return false;
    }
    return true;
}

static void command(struct ps2_mouse *m, u8 byte)
{
    // Any command stops what was being sent.
    u8 last_sent = m->last_sent;
    m->queue = (struct ps2_queue){0};
    if (setting(m, byte)) {
        ps2_queue_put(&m->queue, ACKNOWLEDGE);
        return;
    }
    if (byte == CMD_RESEND) {
        ps2_queue_put(&m->queue, last_sent);
        return;
    }
    bool known =
        byte == CMD_RESET || byte == CMD_IDENTIFY || byte == CMD_STATUS || byte == CMD_READ;
    u8 buttons = m->buttons;
    if (byte == CMD_RESET) {
        ps2_mouse_reset(m);
        m->buttons = m->sent_buttons = buttons;
    }
    ps2_queue_put(&m->queue, known ? ACKNOWLEDGE : RESEND);
    if (byte == CMD_RESET) {
        ps2_queue_put(&m->queue, SELF_TEST_PASSED);
        ps2_queue_put(&m->queue, m->id);
    } else if (byte == CMD_IDENTIFY) {
        ps2_queue_put(&m->queue, m->id);
    } else if (byte == CMD_STATUS) {
        put_status(m);
    } else if (byte == CMD_READ) {
        put_packet(m);
    }
}

void ps2_mouse_command(struct ps2_mouse *m, u8 byte)
{
    if (m->wrap && byte != CMD_WRAP_END && byte != CMD_RESET) {
        ps2_queue_put(&m->queue, byte);
    } else if (m->command && byte < CMD_SCALING_1) {
        argument(m, byte);
    } else {
        m->command = 0;
        command(m, byte);
    }
}

void ps2_mouse_event(struct ps2_mouse *m, const struct host_input_event *e)
{
    m->dx += e->dx;
    m->dy += e->dy;
    m->dz += e->dz;
    m->buttons = e->buttons & 0x1F;
    stream(m);
}

u8 ps2_mouse_send(struct ps2_mouse *m)
{
    m->last_sent = ps2_queue_get(&m->queue);
    stream(m);
    return m->last_sent;
}
