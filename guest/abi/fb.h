// SPDX-License-Identifier: MIT
// Frame buffer devices (/dev/fb0): ioctl numbers and structures of Linux's fbdev.
#pragma once

#include <stdint.h>

#define FBIOGET_VSCREENINFO 0x4600
#define FBIOPUT_VSCREENINFO 0x4601
#define FBIOGET_FSCREENINFO 0x4602
#define FBIOPAN_DISPLAY 0x4606
#define FBIOBLANK 0x4611
#define FBIO_WAITFORVSYNC 0x40044620u

struct linux_fb_bitfield {
    uint32_t offset, length, msb_right; // bits
};

struct linux_fb_var_screeninfo {
    uint32_t xres, yres, xres_virtual, yres_virtual, xoffset, yoffset; // dots
    uint32_t bits_per_pixel, grayscale;
    struct linux_fb_bitfield red, green, blue, transp;
    uint32_t nonstd, activate;
    uint32_t height, width; // of the screen, millimetres
    uint32_t accel_flags, pixclock;
    uint32_t left_margin, right_margin, upper_margin, lower_margin, hsync_len, vsync_len;
    uint32_t sync, vmode, rotate, colorspace, reserved[4];
};
#define FB_ACTIVATE_NOW 0
#define FB_ACTIVATE_TEST 2
#define FB_ACTIVATE_MASK 15

struct linux_fb_fix_screeninfo {
    char id[16];
    uint64_t smem_start;
    uint32_t smem_len, type, type_aux, visual;
    uint16_t xpanstep, ypanstep, ywrapstep;
    uint32_t line_length; // bytes
    uint64_t mmio_start;
    uint32_t mmio_len, accel;
    uint16_t capabilities, reserved[2];
};
#define FB_TYPE_PACKED_PIXELS 0
#define FB_VISUAL_TRUECOLOR 2
#define FB_BLANK_UNBLANK 0
#define FB_BLANK_POWERDOWN 4
