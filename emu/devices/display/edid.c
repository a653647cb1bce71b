// SPDX-License-Identifier: MIT
// The EDID base block (VESA E-EDID Standard, release A2, section 3).
#include "devices/display/edid.h"

#include <string.h>

enum { // offsets
    VENDOR = 8, PRODUCT = 10, YEAR = 17, VERSION = 18, BASIC = 20, COLOURS = 25, ESTABLISHED = 35,
    STANDARD = 38, PREFERRED = 54, NAME = 72, RANGE = 90, UNUSED = 108, CHECKSUM = 127,
};

enum { REFRESH_HZ = 60, DOTS_PER_INCH = 96 };

// Reduced blanking (VESA CVT 1.1, section 5): front porch, sync and all of the blanking.
enum { H_FRONT = 48, H_SYNC = 32, H_BLANK = 160, V_FRONT = 3, V_SYNC = 6, V_BLANK = 36 };

// Detailed timing (3.10.2).
static void put_timing(u8 *p, u32 width, u32 height, u32 width_mm, u32 height_mm)
{
    u64 clock_10khz = (u64)(width + H_BLANK) * (height + V_BLANK) * REFRESH_HZ / 10000;
    p[0] = (u8)clock_10khz;
    p[1] = (u8)(clock_10khz >> 8);
    p[2] = (u8)width;
    p[3] = (u8)H_BLANK;
    p[4] = (u8)((width >> 8) << 4 | H_BLANK >> 8);
    p[5] = (u8)height;
    p[6] = (u8)V_BLANK;
    p[7] = (u8)((height >> 8) << 4 | V_BLANK >> 8);
    p[8] = H_FRONT;
    p[9] = H_SYNC;
    p[10] = (u8)(V_FRONT << 4 | V_SYNC);
    p[11] = 0;
    p[12] = (u8)width_mm;
    p[13] = (u8)height_mm;
    p[14] = (u8)((width_mm >> 8) << 4 | height_mm >> 8);
    p[17] = 0x1A; // separate digital sync, horizontal one positive
}

// Display descriptor (3.10.3): its tag and 13 bytes.
static void put_descriptor(u8 *p, u8 tag, const char *text)
{
    p[3] = tag;
    memset(p + 5, ' ', 13);
    size_t length = strlen(text);
    memcpy(p + 5, text, length);
    p[5 + length] = '\n';
}

static void put_range(u8 *p)
{
    static const u8 limits[] = {50, 75, 30, 90, 25, 1}; // vertical Hz, horizontal kHz, 250 MHz
    put_descriptor(p, 0xFD, "");
    memcpy(p + 5, limits, sizeof(limits));
    p[11] = '\n';
}

void edid_make(u8 out[EDID_BYTES], u32 width, u32 height)
{
    static const u8 header[] = {0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0};
    static const u8 srgb[] = {0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54};
    // Width / 8 - 31; aspect ratio and refresh rate - 60 (3.9).
    static const u8 standard[16] = {0xD1, 0xC0, 0xA9, 0x40, 0x81, 0x80, 0x95, 0x00,
                                    0x81, 0xC0, 1,    1,    1,    1,    1,    1};
    u32 width_mm = width * 254 / (10 * DOTS_PER_INCH), height_mm = height * 254 /
                                                                   (10 * DOTS_PER_INCH);
    u32 vendor = ('V' - '@') << 10 | ('I' - '@') << 5 | ('V' - '@');
    memset(out, 0, EDID_BYTES);
    memcpy(out, header, sizeof(header));
    out[VENDOR] = (u8)(vendor >> 8);
    out[VENDOR + 1] = (u8)vendor;
    out[PRODUCT] = 1;
    out[YEAR] = 2026 - 1990;
    out[VERSION] = 1;
    out[VERSION + 1] = 4;
    out[BASIC] = 0xA0; // digital, 8 bits per colour
    out[BASIC + 1] = (u8)(width_mm / 10);
    out[BASIC + 2] = (u8)(height_mm / 10);
    out[BASIC + 3] = 220 - 100; // gamma 2.2
    out[BASIC + 4] = 0x06;      // sRGB; the preferred timing is the native one
    memcpy(out + COLOURS, srgb, sizeof(srgb));
    out[ESTABLISHED] = 0x21;     // 640x480, 800x600
    out[ESTABLISHED + 1] = 0x08; // 1024x768
    memcpy(out + STANDARD, standard, sizeof(standard));
    put_timing(out + PREFERRED, width, height, width_mm, height_mm);
    put_descriptor(out + NAME, 0xFC, "viv");
    put_range(out + RANGE);
    out[UNUSED + 3] = 0x10;
    u8 sum = 0;
    for (unsigned i = 0; i < CHECKSUM; i++) {
        sum = (u8)(sum + out[i]);
    }
    out[CHECKSUM] = (u8)-sum;
}
