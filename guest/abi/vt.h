// SPDX-License-Identifier: MIT
// Virtual terminals: ioctl numbers and structures. ioctl_console(2).
#pragma once

#include <stdint.h>

#define KIOCSOUND 0x4b2f
#define KDMKTONE 0x4b30
#define KDGETLED 0x4b31
#define KDSETLED 0x4b32
#define KDGKBTYPE 0x4b33
#define KB_101 2
#define KDSETMODE 0x4b3a
#define KDGETMODE 0x4b3b
#define KD_TEXT 0
#define KD_GRAPHICS 1
#define KDGKBMODE 0x4b44
#define KDSKBMODE 0x4b45
#define K_UNICODE 3
#define K_OFF 4
#define KDGKBMETA 0x4b62
#define KDGKBLED 0x4b64
#define K_ESCPREFIX 4

#define VT_OPENQRY 0x5600
#define VT_GETMODE 0x5601
#define VT_SETMODE 0x5602
#define VT_GETSTATE 0x5603
#define VT_RELDISP 0x5605
#define VT_ACTIVATE 0x5606
#define VT_WAITACTIVE 0x5607
#define VT_DISALLOCATE 0x5608
#define VT_AUTO 0
#define VT_PROCESS 1
struct linux_vt_mode {
    char mode, waitv;
    int16_t relsig, acqsig, frsig;
};
struct linux_vt_stat {
    uint16_t v_active, v_signal, v_state;
};

#define TIOCLINUX 0x541c
#define TIOCL_GETSHIFTSTATE 6
#define TIOCL_GETFGCONSOLE 12
