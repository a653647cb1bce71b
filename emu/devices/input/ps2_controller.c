// SPDX-License-Identifier: MIT
// The keyboard controller, an 8042 with the PS/2 firmware (IBM PS/2 HITR, "Keyboard and Auxiliary
// Device Controller"): ports 60 and 64, translation, output port with A20 and reset. Bytes of the
// two devices arrive as soon as there is room for them.
#include "devices/device.h"

#include "devices/input/ps2.h"

enum {
    STATUS_OUTPUT = 1 << 0, STATUS_SYSTEM = 1 << 2, STATUS_COMMAND = 1 << 3,
    STATUS_UNLOCKED = 1 << 4, STATUS_AUX = 1 << 5,
    CONFIG_KEYBOARD_IRQ = 1 << 0, CONFIG_AUX_IRQ = 1 << 1, CONFIG_SYSTEM = 1 << 2,
    CONFIG_KEYBOARD_OFF = 1 << 4, CONFIG_AUX_OFF = 1 << 5, CONFIG_TRANSLATE = 1 << 6,
    OUT_NO_RESET = 1 << 0, OUT_A20 = 1 << 1, OUT_KEYBOARD_FULL = 1 << 4, OUT_AUX_FULL = 1 << 5,
    OUT_LATCHED = 0xCF, // without the two that follow the output buffer
};

enum {
    CMD_READ_RAM = 0x20, CMD_WRITE_RAM = 0x60, CMD_PASSWORD_TEST = 0xA4, CMD_AUX_OFF = 0xA7,
    CMD_AUX_ON = 0xA8, CMD_AUX_TEST = 0xA9, CMD_SELF_TEST = 0xAA, CMD_KEYBOARD_TEST = 0xAB,
    CMD_KEYBOARD_OFF = 0xAD, CMD_KEYBOARD_ON = 0xAE, CMD_READ_INPUT = 0xC0, CMD_READ_OUTPUT = 0xD0,
    CMD_WRITE_OUTPUT = 0xD1, CMD_FAKE_KEYBOARD = 0xD2, CMD_FAKE_AUX = 0xD3, CMD_WRITE_AUX = 0xD4,
    CMD_A20_OFF = 0xDD, CMD_A20_ON = 0xDF, CMD_TEST_INPUTS = 0xE0, CMD_PULSE = 0xF0,
    SELF_TEST_PASSED = 0x55, NO_PASSWORD = 0xF1, INTERFACE_GOOD = 0x00, INPUT_UNLOCKED = 0x80,
    BREAK_PREFIX = 0xF0,
};

struct ps2 {
    u8 ram[32];       // [0] is the command byte
    u8 command;       // whose data byte comes next; 0: none
    u8 last_was_command;
    u8 data, full, from_aux; // the output buffer
    u8 break_pending; // the keyboard sent F0, translation makes it the next code's top bit
    u8 output_port;   // what was written
    struct ps2_keyboard keyboard;
    struct ps2_mouse mouse;
    u64 repeat_ns; // when the keyboard sends its held key again; EVENT_NEVER: it does not
    // Wiring.
    unsigned repeat_event;
    struct irq_line keyboard_irq, aux_irq;
    const struct host_input *host;
};

static void lines_update(const struct ps2 *p)
{
    irq_set(&p->keyboard_irq, p->full && !p->from_aux && (p->ram[0] & CONFIG_KEYBOARD_IRQ));
    irq_set(&p->aux_irq, p->full && p->from_aux && (p->ram[0] & CONFIG_AUX_IRQ));
}

static void buffer_put(struct ps2 *p, u8 byte, bool from_aux)
{
    p->data = byte;
    p->full = true;
    p->from_aux = from_aux;
}

// One byte of the keyboard on its way to the buffer. False: the byte was only a prefix.
static bool translate(struct ps2 *p, u8 *byte)
{
    if (!(p->ram[0] & CONFIG_TRANSLATE)) {
        return true;
    }
    if (*byte == BREAK_PREFIX) {
        p->break_pending = true;
        return false;
    }
    *byte = (u8)(ps2_translate(*byte) | (p->break_pending ? 0x80 : 0));
    p->break_pending = false;
    return true;
}

// What a person did goes to the devices while they have room for it.
static void take_input(struct device *dev)
{
    struct ps2 *p = dev->state;
    struct host_input_event e;
    if (!p->host->ops) {
        return;
    }
    while (ps2_queue_room(&p->keyboard.queue) >= PS2_EVENT_BYTES &&
           p->host->ops->read(p->host->ctx, HOST_INPUT_KEY, &e)) {
        ps2_keyboard_key(&p->keyboard, e.key, e.pressed);
        if (e.pressed && p->keyboard.repeat_key) {
            u64 delay_ns = ps2_keyboard_delay_ns(&p->keyboard);
            event_set(dev->bus->events, p->repeat_event, vclock_ns(dev->bus->clock) + delay_ns);
        }
    }
    while (ps2_queue_room(&p->mouse.queue) >= PS2_EVENT_BYTES &&
           p->host->ops->read(p->host->ctx, HOST_INPUT_MOUSE, &e)) {
        ps2_mouse_event(&p->mouse, &e);
    }
}

// Fills the empty output buffer from the devices whose clock is not held.
static void refill(struct device *dev)
{
    struct ps2 *p = dev->state;
    take_input(dev);
    if (!p->keyboard.repeat_key && p->repeat_ns != EVENT_NEVER) {
        event_set(dev->bus->events, p->repeat_event, EVENT_NEVER);
    }
    while (!p->full && p->keyboard.queue.count && !(p->ram[0] & CONFIG_KEYBOARD_OFF)) {
        u8 byte = ps2_keyboard_send(&p->keyboard);
        if (translate(p, &byte)) {
            buffer_put(p, byte, false);
        }
    }
    if (!p->full && p->mouse.queue.count && !(p->ram[0] & CONFIG_AUX_OFF)) {
        buffer_put(p, ps2_mouse_send(&p->mouse), true);
    }
    lines_update(p);
}

static void host_ready(void *ctx)
{
    refill(ctx);
}

static void repeat_fire(void *ctx, u64 deadline_ns)
{
    struct device *dev = ctx;
    struct ps2 *p = dev->state;
    ps2_keyboard_repeat(&p->keyboard);
    event_set(dev->bus->events, p->repeat_event,
              deadline_ns + ps2_keyboard_period_ns(&p->keyboard));
    refill(dev);
}

static void output_port_write(struct device *dev, u8 value)
{
    struct ps2 *p = dev->state;
    p->output_port = value & OUT_LATCHED;
    device_set_a20(dev, DEVICE_A20_8042, value & OUT_A20);
    if (!(value & OUT_NO_RESET)) {
        dev->bus->stop(dev->bus->machine, MACHINE_STOP_RESET, 0);
    }
}

static u8 output_port_read(const struct ps2 *p)
{
    unsigned full = !p->full ? 0 : p->from_aux ? OUT_AUX_FULL : OUT_KEYBOARD_FULL;
    return (u8)(p->output_port | full);
}

static void config_set(struct ps2 *p, u8 bits, bool on)
{
    p->ram[0] = (u8)(on ? p->ram[0] | bits : p->ram[0] & ~bits);
}

// Commands that answer with a byte. False: it is none of these.
static bool question(struct ps2 *p, u8 command)
{
    switch (command) {
    case CMD_PASSWORD_TEST:
        buffer_put(p, NO_PASSWORD, false);
        return true;
    case CMD_AUX_TEST:
    case CMD_KEYBOARD_TEST:
        buffer_put(p, INTERFACE_GOOD, false);
        return true;
    case CMD_SELF_TEST:
        p->ram[0] |= CONFIG_SYSTEM;
        buffer_put(p, SELF_TEST_PASSED, false);
        return true;
    case CMD_READ_INPUT:
        buffer_put(p, INPUT_UNLOCKED, false);
        return true;
    case CMD_READ_OUTPUT:
        buffer_put(p, output_port_read(p), false);
        return true;
    case CMD_TEST_INPUTS:
        buffer_put(p, 0, false);
        return true;
    }
    if (command >= CMD_READ_RAM && command < CMD_READ_RAM + 32) {
        buffer_put(p, p->ram[command - CMD_READ_RAM], false);
        return true;
    }
    return false;
}

static void command_write(struct device *dev, u8 command)
{
    struct ps2 *p = dev->state;
    p->command = 0;
    if (question(p, command)) {
        return;
    }
    switch (command) {
    case CMD_AUX_OFF:
    case CMD_AUX_ON:
        config_set(p, CONFIG_AUX_OFF, command == CMD_AUX_OFF);
        break;
    case CMD_KEYBOARD_OFF:
    case CMD_KEYBOARD_ON:
        config_set(p, CONFIG_KEYBOARD_OFF, command == CMD_KEYBOARD_OFF);
        break;
    case CMD_A20_OFF:
    case CMD_A20_ON:
        output_port_write(dev, (u8)bits_set(p->output_port, 1, 1, command == CMD_A20_ON));
        break;
    case CMD_WRITE_OUTPUT:
    case CMD_FAKE_KEYBOARD:
    case CMD_FAKE_AUX:
    case CMD_WRITE_AUX:
        p->command = command;
        break;
    default:
        if (command >= CMD_WRITE_RAM && command < CMD_WRITE_RAM + 32) {
            p->command = command;
        } else if (command >= CMD_PULSE && !(command & OUT_NO_RESET)) {
            dev->bus->stop(dev->bus->machine, MACHINE_STOP_RESET, 0);
        }
        break;
    }
}

static void data_write(struct device *dev, u8 value)
{
    struct ps2 *p = dev->state;
    u8 command = p->command;
    p->command = 0;
    switch (command) {
    case 0:
        config_set(p, CONFIG_KEYBOARD_OFF, false); // its clock is let go for it
        ps2_keyboard_command(&p->keyboard, value);
        break;
    case CMD_WRITE_AUX:
        config_set(p, CONFIG_AUX_OFF, false);
        ps2_mouse_command(&p->mouse, value);
        break;
    case CMD_WRITE_OUTPUT:
        output_port_write(dev, value);
        break;
    case CMD_FAKE_KEYBOARD:
    case CMD_FAKE_AUX:
        buffer_put(p, value, command == CMD_FAKE_AUX);
        break;
    default:
        p->ram[command - CMD_WRITE_RAM] = value;
        break;
    }
}

static u64 data_read(void *ctx, u64 offset, unsigned size)
{
    struct ps2 *p = ((struct device *)ctx)->state;
    u8 value = p->data;
    p->full = false;
    lines_update(p); // falls between two bytes, so that each is an edge
    refill(ctx);
    return value;
}

static void data_port_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct ps2 *p = ((struct device *)ctx)->state;
    p->last_was_command = false;
    data_write(ctx, (u8)value);
    refill(ctx);
}

static u64 status_read(void *ctx, u64 offset, unsigned size)
{
    const struct ps2 *p = ((struct device *)ctx)->state;
    return STATUS_UNLOCKED | (p->full ? STATUS_OUTPUT : 0) |
           (p->full && p->from_aux ? STATUS_AUX : 0) |
           (p->ram[0] & CONFIG_SYSTEM ? STATUS_SYSTEM : 0) |
           (p->last_was_command ? STATUS_COMMAND : 0);
}

static void command_port_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct ps2 *p = ((struct device *)ctx)->state;
    p->last_was_command = true;
    command_write(ctx, (u8)value);
    refill(ctx);
}

static const struct io_ops data_ops = {data_read, data_port_write, 1};
static const struct io_ops command_ops = {status_read, command_port_write, 1};

static struct status ps2_create(struct device *dev, const void *fdt, int node)
{
    struct ps2 *p = dev->state;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 1, &data_ops, dev, "ps2-data");
    }
    if (status_ok(&s)) {
        s = device_reg_at(dev, fdt, node, 1, &base, &length);
    }
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 1, &command_ops, dev, "ps2-command");
    }
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 0, &p->keyboard_irq);
    }
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 1, &p->aux_irq);
    }
    p->repeat_ns = EVENT_NEVER;
    const struct event repeat = {&p->repeat_ns, repeat_fire, dev, "keyboard repeat"};
    p->repeat_event = event_add(dev->bus->events, &repeat);
    p->host = &dev->bus->host->input;
    if (p->host->ops) {
        p->host->ops->set_ready(p->host->ctx, HOST_INPUT_KEY, host_ready, dev);
        p->host->ops->set_ready(p->host->ctx, HOST_INPUT_MOUSE, host_ready, dev);
    }
    return s;
}

static void ps2_loaded(struct device *dev)
{
    const struct ps2 *p = dev->state;
    device_set_a20(dev, DEVICE_A20_8042, p->output_port & OUT_A20);
}

// As firmware leaves it: tested, keyboard on with translation, the auxiliary device off, A20
// passing.
static void ps2_reset(struct device *dev)
{
    struct ps2 *p = dev->state;
    for (unsigned i = 0; i < sizeof(p->ram); i++) {
        p->ram[i] = 0;
    }
    p->ram[0] = CONFIG_KEYBOARD_IRQ | CONFIG_SYSTEM | CONFIG_AUX_OFF | CONFIG_TRANSLATE;
    p->command = p->last_was_command = p->data = p->full = p->from_aux = p->break_pending = 0;
    p->output_port = OUT_LATCHED;
    event_set(dev->bus->events, p->repeat_event, EVENT_NEVER);
    ps2_keyboard_reset(&p->keyboard);
    ps2_mouse_reset(&p->mouse);
    device_set_a20(dev, DEVICE_A20_8042, true);
    lines_update(p);
}

#define K(member) FIELD(struct ps2, keyboard.member)
#define M(member) FIELD(struct ps2, mouse.member)
#define QUEUE(member)                                                                              \
    FIELD_MAX(struct ps2, member.head, PS2_QUEUE - 1),                                             \
        FIELD_MAX(struct ps2, member.count, PS2_QUEUE)

static const struct field ps2_fields[] = {
    FIELD_ARRAY(struct ps2, ram),
    FIELD(struct ps2, command),
    FIELD(struct ps2, last_was_command),
    FIELD(struct ps2, data),
    FIELD(struct ps2, full),
    FIELD(struct ps2, from_aux),
    FIELD(struct ps2, break_pending),
    FIELD(struct ps2, output_port),
    FIELD_ARRAY(struct ps2, keyboard.queue.bytes),
    QUEUE(keyboard.queue), K(command), K(scanning), K(leds), K(rate), K(scan_set),
    K(last_sent), K(repeat_key),
    FIELD_ARRAY(struct ps2, mouse.queue.bytes),
    QUEUE(mouse.queue), M(command), M(reporting), M(remote), M(wrap), M(scaling),
    M(resolution), M(rate), M(id), M(last_sent), M(rates[0]), M(rates[1]), M(buttons),
    M(sent_buttons), M(dx), M(dy), M(dz),
    FIELD_AS(struct ps2, repeat_ns, FIELD_DECIMAL),
    FIELD_END,
};

const struct device_class ps2_controller_class = {
    .name = "ps2_controller",
    .compatible = "intel,i8042",
    .state_size = sizeof(struct ps2),
    .create = ps2_create,
    .reset = ps2_reset,
    .loaded = ps2_loaded,
    .fields = ps2_fields,
};
