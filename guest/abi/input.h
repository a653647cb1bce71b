// SPDX-License-Identifier: MIT
// Input events as Linux's programs see them (Documentation/input/event-codes.rst, uapi input.h).
#pragma once

#include <stdint.h>

// What a read of /dev/input/eventN gives, one after the other.
struct linux_input_event {
    int64_t sec, usec;
    uint16_t type, code;
    int32_t value;
};
struct linux_input_id {
    uint16_t bustype, vendor, product, version;
};

#define EV_SYN 0x00
#define EV_KEY 0x01
#define EV_REL 0x02
#define EV_ABS 0x03
#define EV_MSC 0x04
#define EV_SW 0x05
#define EV_LED 0x11
#define EV_SND 0x12
#define EV_REP 0x14
#define EV_MAX 0x1f

#define SYN_REPORT 0
#define SYN_DROPPED 3

enum linux_key {
    KEY_RESERVED = 0,
#define KEY(name, code, set_1, set_2) KEY_##name = code,
#define KEY_AGAIN(name, set_1, set_2)
#include "abi/linux_keys.def"
#undef KEY
#undef KEY_AGAIN
};
#define BTN_LEFT 0x110
#define BTN_RIGHT 0x111
#define BTN_MIDDLE 0x112
#define BTN_SIDE 0x113
#define BTN_EXTRA 0x114
#define KEY_MAX 0x2ff

#define REL_X 0x00
#define REL_Y 0x01
#define REL_WHEEL 0x08
#define REL_MAX 0x0f
#define MSC_SCAN 0x04
#define MSC_MAX 0x07
#define LED_NUML 0x00
#define LED_CAPSL 0x01
#define LED_SCROLLL 0x02
#define LED_MAX 0x0f
#define REP_DELAY 0x00
#define REP_PERIOD 0x01
#define REP_MAX 0x01

#define BUS_I8042 0x11
#define EV_VERSION 0x010001

// Requests with a fixed size; the others are made of their number (EVIOC_NR) and a size.
#define EVIOCGVERSION 0x80044501u
#define EVIOCGID 0x80084502u
#define EVIOCGREP 0x80084503u
#define EVIOCSREP 0x40084503u
#define EVIOCGRAB 0x40044590u
#define EVIOCREVOKE 0x40044591u
#define EVIOCSCLOCKID 0x400445a0u
#define EVIOC_TYPE 'E'
#define EVIOC_NR_NAME 0x06
#define EVIOC_NR_PHYS 0x07
#define EVIOC_NR_UNIQ 0x08
#define EVIOC_NR_PROP 0x09
#define EVIOC_NR_KEY 0x18
#define EVIOC_NR_LED 0x19
#define EVIOC_NR_SND 0x1a
#define EVIOC_NR_SW 0x1b
#define EVIOC_NR_BIT 0x20 // + event type
#define EVIOC_NR_ABS 0x40 // + axis
#define IOC_NR(cmd) ((cmd)&0xffu)
#define IOC_TYPE(cmd) ((cmd) >> 8 & 0xffu)
#define IOC_SIZE(cmd) ((cmd) >> 16 & 0x3fffu)
#define IOC_DIR(cmd) ((cmd) >> 30)
#define IOC_DIR_READ 2u
