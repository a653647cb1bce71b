// SPDX-License-Identifier: MIT
// Packets of three bytes (buttons and signs, dx, dy), or four with the wheel and two more buttons.
#include "drivers/input/mouse_packets.h"

#define FIRST_BYTE_BIT 0x08
#define X_SIGN 0x10
#define Y_SIGN 0x20
#define X_OVERFLOW 0x40
#define Y_OVERFLOW 0x80
#define STALE_NS (500 * NSEC_PER_MSEC)

static s32 movement(u8 low, bool negative)
{
    return negative ? (s32)low - 256 : low;
}

static void wheel_byte(const struct mouse_packets *p, struct mouse_motion *m)
{
    u8 byte = p->bytes[3];
    if (p->protocol == MOUSE_WHEEL) {
        m->wheel = -(s32)(s8)byte;
    } else {
        m->wheel = -(s32)((s8)(byte << 4) / 16);
        m->buttons |= (u8)(byte >> 1 & 0x18);
    }
}

bool mouse_decode(struct mouse_packets *p, u8 byte, u64 now_ns, struct mouse_motion *motion)
{
    unsigned size = p->protocol == MOUSE_PS2 ? 3 : 4;
    if (p->count && now_ns - p->last_ns > STALE_NS)
        p->count = 0;
    p->last_ns = now_ns;
    if (!p->count && !(byte & FIRST_BYTE_BIT))
        return false;
    p->bytes[p->count++] = byte;
    if (p->count < size)
        return false;
    p->count = 0;
    u8 head = p->bytes[0];
    *motion = (struct mouse_motion){.buttons = head & 7};
    if (!(head & X_OVERFLOW))
        motion->dx = movement(p->bytes[1], head & X_SIGN);
    if (!(head & Y_OVERFLOW))
        motion->dy = -movement(p->bytes[2], head & Y_SIGN);
    if (size == 4)
        wheel_byte(p, motion);
    return true;
}
