// SPDX-License-Identifier: MIT
// The mouse on the controller's second port. By a knock of sample rates it is asked for the wheel,
// then for two more buttons; it answers with its identity (Microsoft, IntelliMouse).
#include "drivers/input/input.h"
#include "drivers/input/mouse_packets.h"
#include "drivers/input/ps2.h"
#include "lib/err.h"
#include "mm/slab.h"
#include "sched/kthread.h"

#define CMD_RESOLUTION 0xE8
#define CMD_IDENTIFY 0xF2
#define CMD_RATE 0xF3
#define CMD_ENABLE 0xF4
#define CMD_DISABLE 0xF5
#define CMD_DEFAULTS 0xF6
#define SELF_TEST_PASSED 0xAA
#define RESOLUTION_8_PER_MM 3
#define SAMPLES_PER_SECOND 100

struct psmouse {
    struct ps2_port *port;
    struct input_device dev;
    struct mouse_packets packets;
    u8 byte_before;          // AA 00 inside the stream: it was plugged in again
    struct work_struct work; // sets it up anew
};

static const u16 buttons[] = {BTN_LEFT, BTN_RIGHT, BTN_MIDDLE, BTN_SIDE, BTN_EXTRA};

static bool set_rate(struct ps2_port *port, u8 rate)
{
    return !ps2_command(port, CMD_RATE, &rate, 1, NULL, 0);
}

// The identity after a knock of three rates; -1: no answer.
static int knock(struct ps2_port *port, u8 first, u8 second, u8 third)
{
    u8 id;
    if (!set_rate(port, first) || !set_rate(port, second) || !set_rate(port, third) ||
        ps2_command(port, CMD_IDENTIFY, NULL, 0, &id, 1))
        return -1;
    return id;
}

static enum mouse_protocol negotiate(struct ps2_port *port)
{
    if (knock(port, 200, 100, 80) != MOUSE_WHEEL)
        return MOUSE_PS2;
    return knock(port, 200, 200, 80) == MOUSE_BUTTONS ? MOUSE_BUTTONS : MOUSE_WHEEL;
}

static void set_up(struct psmouse *m)
{
    u8 resolution = RESOLUTION_8_PER_MM;
    ps2_command(m->port, CMD_DEFAULTS, NULL, 0, NULL, 0);
    m->packets = (struct mouse_packets){.protocol = negotiate(m->port)};
    set_rate(m->port, SAMPLES_PER_SECOND);
    ps2_command(m->port, CMD_RESOLUTION, &resolution, 1, NULL, 0);
}

static void psmouse_work(struct work_struct *w)
{
    struct psmouse *m = container_of(w, struct psmouse, work);
    set_up(m);
    ps2_command(m->port, CMD_ENABLE, NULL, 0, NULL, 0);
}

static void psmouse_receive(struct ps2_port *port, u8 byte)
{
    struct psmouse *m = port->private;
    struct mouse_motion motion;
    bool came_back = m->byte_before == SELF_TEST_PASSED && byte == 0 && m->packets.count <= 1;
    m->byte_before = byte;
    if (came_back) {
        m->packets.count = 0;
        schedule_work(&m->work);
        return;
    }
    if (!mouse_decode(&m->packets, byte, ktime_get(), &motion))
        return;
    for (unsigned i = 0; i < ARRAY_SIZE(buttons); i++)
        input_report(&m->dev, EV_KEY, buttons[i], motion.buttons >> i & 1);
    input_report(&m->dev, EV_REL, REL_X, motion.dx);
    input_report(&m->dev, EV_REL, REL_Y, motion.dy);
    input_report(&m->dev, EV_REL, REL_WHEEL, motion.wheel);
    input_sync(&m->dev);
}

static void describe(struct psmouse *m)
{
    static const char *const names[] = {[MOUSE_PS2] = "PS/2 Generic Mouse",
                                        [MOUSE_WHEEL] = "ImPS/2 Generic Wheel Mouse",
                                        [MOUSE_BUTTONS] = "ImExPS/2 Generic Explorer Mouse"};
    struct input_device *dev = &m->dev;
    enum mouse_protocol protocol = m->packets.protocol;
    dev->name = names[protocol];
    dev->phys = "isa0060/serio1/input0";
    dev->id = (struct linux_input_id){BUS_I8042, 2,
                                      (u16)(protocol == MOUSE_PS2     ? 1
                                            : protocol == MOUSE_WHEEL ? 5
                                                                      : 6),
                                      0};
    dev->driver_data = m;
    __set_bit(EV_KEY, dev->evbit);
    __set_bit(EV_REL, dev->evbit);
    for (unsigned i = 0; i < (protocol == MOUSE_BUTTONS ? 5 : 3); i++)
        __set_bit(buttons[i], dev->keybit);
    __set_bit(REL_X, dev->relbit);
    __set_bit(REL_Y, dev->relbit);
    if (protocol != MOUSE_PS2)
        __set_bit(REL_WHEEL, dev->relbit);
}

bool psmouse_probe(struct ps2_port *port)
{
    u8 id;
    if (ps2_command(port, CMD_DISABLE, NULL, 0, NULL, 0) ||
        ps2_command(port, CMD_IDENTIFY, NULL, 0, &id, 1))
        return false;
    struct psmouse *m = kzalloc(sizeof(*m), GFP_KERNEL);
    if (!m)
        return false;
    m->port = port;
    work_init(&m->work, psmouse_work);
    set_up(m);
    describe(m);
    if (input_register_device(&m->dev)) {
        kfree(m);
        return false;
    }
    port->private = m;
    port->receive = psmouse_receive;
    ps2_command(port, CMD_ENABLE, NULL, 0, NULL, 0);
    return true;
}
