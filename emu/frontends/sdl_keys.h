// SPDX-License-Identifier: MIT
// Keys as SDL names them (by place on the keyboard, USB HID usage IDs) and as host.h does; and a
// film's keys.
#ifndef VIV_FRONTENDS_SDL_KEYS_H
#define VIV_FRONTENDS_SDL_KEYS_H

#include "frontends/sdl.h"
#include "base/types.h"

// The key of set 2 for an SDL_Scancode, 0: a PC's keyboard has none there.
u16 sdl_key(unsigned scancode);
// What a person wants of a film who presses that key.
enum sdl_wish sdl_film_wish(unsigned scancode);

#endif
