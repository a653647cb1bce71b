// SPDX-License-Identifier: MIT
// A terminal's screen on the host, as text.
#pragma once

#include "tty/vt_screen.h"

// A fresh screen with everything it needs; vt_host_free ends it.
struct vt_screen *vt_host_new(unsigned cols, unsigned rows, unsigned history);
void vt_host_free(struct vt_screen *s);
void vt_host_write(struct vt_screen *s, const char *text);
// Row y (looking `back` lines into the past) as UTF-8 without blanks at its end; static memory.
const char *vt_host_row(const struct vt_screen *s, unsigned back, unsigned y);
// What the terminal has answered since the last call; static memory.
const char *vt_host_answer(void);
