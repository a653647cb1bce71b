// SPDX-License-Identifier: MIT
// The display: one linear picture of 32-bit dots (0x00RRGGBB) in device memory, whose top may move.
#pragma once

#include "lib/types.h"

struct display;
// Task context; display_lock held.
struct display_ops {
    void (*set_mode)(struct display *d); // width, height and pitch as they stand in d
    void (*pan)(struct display *d);      // pan_y rows of dots above the picture
    void (*blank)(struct display *d);    // as d->blanked says
};

struct display {
    const char *name;
    const struct display_ops *ops;
    void *driver_data;
    phys_addr_t memory; // page-aligned
    size_t memory_size;
    unsigned max_width, max_height;
    bool active; // a mode has been set; until then nothing is drawn and the device is off
    unsigned width, height;
    unsigned virtual_height; // rows of dots that fit into memory
    size_t pitch;            // bytes a row
    unsigned pan_y;
    bool blanked;
    u8 *pixels; // memory, mapped; NULL before the first mode
};

#define DISPLAY_DEFAULT_WIDTH 1024
#define DISPLAY_DEFAULT_HEIGHT 768

// NULL without one. Never goes away.
struct display *display_get(void);
// A driver has found the device: makes /dev/fb0 and the virtual terminals. 0 or -errno. The size
// is that of the first mode, which is set when somebody writes or draws.
int display_register(struct display *d);

// Task context, may sleep; all are serialised inside.
// -EINVAL: not a multiple of 8, smaller than 64x64, larger than the device or its memory; -ENOMEM.
int display_set_mode(struct display *d, unsigned width, unsigned height);
bool display_mode_possible(const struct display *d, unsigned width, unsigned height);
int display_activate(struct display *d);        // the first mode, if none is set; 0 or -errno
int display_pan(struct display *d, unsigned y); // 0 or -EINVAL
void display_blank(struct display *d, bool blanked);
void display_panic(struct display *d); // the mode again, from its beginning; no locks are taken

// fbdev.c: how many have /dev/fb0 open or mapped: the picture's top must then stay at 0.
bool fbdev_in_use(void);
int fbdev_register(struct display *d); // 0 or -errno
