// SPDX-License-Identifier: MIT
// A port of the PS/2 controller, and commands to the device on it: each byte is acknowledged (IBM
// PS/2 HITR, Keyboards and Mouse, "Commands from the system").
#pragma once

#include "sched/wait.h"

#define PS2_ACK 0xFA
#define PS2_RESEND 0xFE
#define PS2_REPLY_MAX 4

struct ps2_port {
    const char *name; // "isa0060/serio0"
    bool aux;         // the second one
    bool translated;  // codes of set 2 arrive as set 1
    // A byte that answers no command. Hard interrupt context.
    void (*receive)(struct ps2_port *port, u8 byte);
    void *private;

    struct mutex command_lock; // one command at a time
    spinlock_t lock;           // below; interrupts off
    wait_queue_head_t wait;
    enum ps2_state { PS2_IDLE, PS2_WANT_ACK, PS2_WANT_REPLY, PS2_DONE, PS2_REFUSED } state;
    u8 reply[PS2_REPLY_MAX];
    unsigned reply_len, reply_want;
};

void ps2_port_init(struct ps2_port *port, const char *name, bool aux);
// Sends the command, its arguments, and waits for `reply_n` bytes. 0; -EIO: refused, no answer in
// 200 ms, or the controller takes no bytes. Task context.
int ps2_command(struct ps2_port *port, u8 command, const u8 *args, unsigned n, u8 *reply,
                unsigned reply_n);
// The controller has a byte of this port. Hard interrupt context.
void ps2_port_byte(struct ps2_port *port, u8 byte);

// i8042.c: false: the controller does not take it. Any context.
bool i8042_write_port(const struct ps2_port *port, u8 byte);
// The drivers' side: true: the device is there and taken. Task context, interrupts work.
bool atkbd_probe(struct ps2_port *port);
bool psmouse_probe(struct ps2_port *port);
