// SPDX-License-Identifier: MIT
// What a monitor says of itself (VESA E-EDID Standard, release A2: EDID 1.4).
#ifndef VIV_DEVICES_DISPLAY_EDID_H
#define VIV_DEVICES_DISPLAY_EDID_H

#include "base/types.h"

#define EDID_BYTES 128

// The base block of a monitor that prefers width x height pixels (at most 4095 each) at 60 Hz.
void edid_make(u8 out[EDID_BYTES], u32 width, u32 height);

#endif
