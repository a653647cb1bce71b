// SPDX-License-Identifier: MIT
// Commands to a PS/2 device while its port stays interrupt-driven: the interrupt sorts answers from
// what the device has to tell.
#include "drivers/input/ps2.h"

#include "lib/err.h"
#include "lib/string.h"

#define ANSWER_NS (200 * NSEC_PER_MSEC)
#define TRIES 3 // a device may ask for the byte again

void ps2_port_init(struct ps2_port *port, const char *name, bool aux)
{
    *port = (struct ps2_port){.name = name, .aux = aux};
    mutex_init(&port->command_lock);
    spin_lock_init(&port->lock);
    init_waitqueue_head(&port->wait);
}

// Lock held. True: the byte belongs to the command.
static bool answer(struct ps2_port *port, u8 byte)
{
    switch (port->state) {
    case PS2_WANT_ACK:
        if (byte == PS2_ACK)
            port->state = port->reply_want ? PS2_WANT_REPLY : PS2_DONE;
        else if (byte == PS2_RESEND)
            port->state = PS2_REFUSED;
        else
            return false;
        return true;
    case PS2_WANT_REPLY:
        port->reply[port->reply_len++] = byte;
        if (port->reply_len == port->reply_want)
            port->state = PS2_DONE;
        return true;
    default:
        // Came too late; in a mouse's packets every byte is possible.
        return !port->aux && (byte == PS2_ACK || byte == PS2_RESEND);
    }
}

static bool finished(const struct ps2_port *port)
{
    enum ps2_state s = READ_ONCE(port->state);
    return s == PS2_DONE || s == PS2_REFUSED;
}

void ps2_port_byte(struct ps2_port *port, u8 byte)
{
    spin_lock(&port->lock);
    bool mine = answer(port, byte);
    bool wake = mine && finished(port);
    spin_unlock(&port->lock);
    if (wake)
        wake_up(&port->wait);
    if (!mine && port->receive)
        port->receive(port, byte);
}

static void set_state(struct ps2_port *port, enum ps2_state state, unsigned want)
{
    unsigned long flags;
    spin_lock_irqsave(&port->lock, flags);
    port->state = state;
    port->reply_len = 0;
    port->reply_want = want;
    spin_unlock_irqrestore(&port->lock, flags);
}

// One byte and its acknowledgement; the last one's reply too.
static int exchange(struct ps2_port *port, u8 byte, unsigned want)
{
    for (int i = 0; i < TRIES; i++) {
        set_state(port, PS2_WANT_ACK, want);
        if (!i8042_write_port(port, byte))
            break;
        if (wait_event_timeout_ns(port->wait, finished(port), ANSWER_NS))
            break;
        if (port->state == PS2_DONE)
            return 0;
    }
    return -EIO;
}

int ps2_command(struct ps2_port *port, u8 command, const u8 *args, unsigned n, u8 *reply,
                unsigned reply_n)
{
    reply_n = min(reply_n, (unsigned)PS2_REPLY_MAX);
    mutex_lock(&port->command_lock);
    int err = exchange(port, command, n ? 0 : reply_n);
    for (unsigned i = 0; !err && i < n; i++)
        err = exchange(port, args[i], i == n - 1 ? reply_n : 0);
    if (!err && reply_n)
        memcpy(reply, port->reply, reply_n);
    set_state(port, PS2_IDLE, 0);
    mutex_unlock(&port->command_lock);
    return err;
}
