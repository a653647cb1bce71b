// SPDX-License-Identifier: MIT
// From a keyboard's bytes to key codes. Nothing but logic: tested on the host.
#pragma once

#include "lib/types.h"

// Where the decoder stands inside a sequence. Zero it (but for `set`) to start anew.
struct scancode_decoder {
    u8 set;        // 1 (what the controller's translation gives) or 2
    u8 prefix;     // 0xE0 or 0xE1, or 0
    u8 pause_left; // bytes of an E1 sequence that follow
    bool released; // F0 was seen (set 2)
};
struct scancode_key {
    u16 scancode; // as MSC_SCAN tells it: with 0xE000 behind an E0 prefix
    u16 keycode;  // KEY_*, or 0: no known key
    bool pressed;
    bool momentary; // no release will follow (Pause)
};
// Takes the next byte. True: it completed a key's code. Bytes that are no part of any are skipped.
bool scancode_decode(struct scancode_decoder *d, u8 byte, struct scancode_key *key);
// KEY_* by scan code of set 1 or 2; 0: none.
u16 scancode_to_key(u8 set, u16 scancode);
// Its scan code of set 1; 0: none.
u16 scancode_of_key(u16 keycode);
