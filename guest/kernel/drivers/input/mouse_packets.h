// SPDX-License-Identifier: MIT
// From a PS/2 mouse's bytes to movement (IBM PS/2 HITR, Mouse; Microsoft's IntelliMouse). Nothing
// but logic: tested on the host.
#pragma once

#include "lib/types.h"

enum mouse_protocol { MOUSE_PS2 = 0, MOUSE_WHEEL = 3, MOUSE_BUTTONS = 4 }; // by its identity

struct mouse_packets {
    enum mouse_protocol protocol;
    u8 bytes[4];
    u8 count;
    u64 last_ns; // when the last byte came
};
struct mouse_motion {
    s32 dx, dy, wheel; // right, down, away from the user
    u8 buttons;        // bits: left, right, middle, side, extra
};
// Takes the next byte, which came at `now_ns`. True: it completed a packet. A first byte without
// the bit that each of them has is skipped, and so is the beginning of a packet whose rest does not
// come for half a second: so both sides find each other again.
bool mouse_decode(struct mouse_packets *p, u8 byte, u64 now_ns, struct mouse_motion *motion);
