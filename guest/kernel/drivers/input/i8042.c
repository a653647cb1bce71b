// SPDX-License-Identifier: MIT
// The PS/2 controller (IBM PS/2 HITR, "Keyboard and Auxiliary Device Controller"): finds out what
// is there, then leaves it to interrupts; an idle machine is not asked anything. i8042.direct on
// the command line turns the keyboard's translation off, i8042.noaux the mouse's port,
// i8042.nokbd the keyboard's.
#include "arch/x86_64/apic.h"
#include "arch/x86_64/io.h"
#include "drivers/driver.h"
#include "drivers/input/ps2.h"
#include "init/init.h"
#include "lib/err.h"
#include "lib/printk.h"

#define DATA_PORT 0x60
#define STATUS_PORT 0x64
#define STATUS_OUTPUT_FULL 0x01
#define STATUS_INPUT_FULL 0x02
#define STATUS_FROM_AUX 0x20
#define CMD_READ_CONFIG 0x20
#define CMD_WRITE_CONFIG 0x60
#define CMD_AUX_OFF 0xA7
#define CMD_AUX_ON 0xA8
#define CMD_WRITE_AUX 0xD4
#define CONFIG_KEYBOARD_IRQ 0x01
#define CONFIG_AUX_IRQ 0x02
#define CONFIG_KEYBOARD_OFF 0x10
#define CONFIG_AUX_OFF 0x20
#define CONFIG_TRANSLATE 0x40
#define KEYBOARD_IRQ 1
#define AUX_IRQ 12
#define ANSWER_NS (50 * NSEC_PER_MSEC)
#define STALE_BYTES 32   // more than any controller keeps
#define BYTES_AT_ONCE 64 // in one interrupt; the next byte makes another

static DEFINE_SPINLOCK(controller_lock); // the registers; interrupts off
static struct ps2_port ports[2];         // keyboard, auxiliary device

static bool wait_status(u8 mask, u8 wanted)
{
    u64 end = ktime_get() + ANSWER_NS;
    while ((inb(STATUS_PORT) & mask) != wanted) {
        if (ktime_get() > end)
            return false;
        cpu_relax();
    }
    return true;
}

static bool write_byte(u16 port, u8 value)
{
    if (!wait_status(STATUS_INPUT_FULL, 0))
        return false;
    outb(port, value);
    return true;
}

bool i8042_write_port(const struct ps2_port *port, u8 byte)
{
    unsigned long flags;
    spin_lock_irqsave(&controller_lock, flags);
    bool done =
        (!port->aux || write_byte(STATUS_PORT, CMD_WRITE_AUX)) && write_byte(DATA_PORT, byte);
    spin_unlock_irqrestore(&controller_lock, flags);
    return done;
}

// Before interrupts are on.
static bool read_config(u8 *config)
{
    if (!write_byte(STATUS_PORT, CMD_READ_CONFIG) ||
        !wait_status(STATUS_OUTPUT_FULL, STATUS_OUTPUT_FULL))
        return false;
    *config = inb(DATA_PORT);
    return true;
}

static bool write_config(u8 config)
{
    unsigned long flags;
    spin_lock_irqsave(&controller_lock, flags);
    bool done = write_byte(STATUS_PORT, CMD_WRITE_CONFIG) && write_byte(DATA_PORT, config);
    spin_unlock_irqrestore(&controller_lock, flags);
    return done;
}

// Everything that is there is taken: a byte left in the buffer would make no interrupt.
static void i8042_interrupt(unsigned irq, void *data)
{
    (void)irq;
    (void)data;
    for (int i = 0; i < BYTES_AT_ONCE; i++) {
        spin_lock(&controller_lock);
        u8 status = inb(STATUS_PORT);
        bool there = status & STATUS_OUTPUT_FULL;
        u8 byte = there ? inb(DATA_PORT) : 0;
        spin_unlock(&controller_lock);
        if (!there)
            return;
        ps2_port_byte(&ports[!!(status & STATUS_FROM_AUX)], byte);
    }
}

// An empty bus reads as ones: "full" for ever. True: there is a controller, and it is empty.
static bool flush(void)
{
    for (int i = 0; i < STALE_BYTES; i++) {
        if (!(inb(STATUS_PORT) & STATUS_OUTPUT_FULL))
            return true;
        inb(DATA_PORT);
    }
    return false;
}

// A controller without a second port ignores the command that turns it on.
static bool has_aux(void)
{
    u8 config;
    return write_byte(STATUS_PORT, CMD_AUX_OFF) && read_config(&config) &&
           (config & CONFIG_AUX_OFF) && write_byte(STATUS_PORT, CMD_AUX_ON) &&
           read_config(&config) && !(config & CONFIG_AUX_OFF);
}

static bool option(const char *name)
{
    char value[4];
    return cmdline_get(name, value, sizeof(value));
}

// Turns on what is wanted; a port whose device does not answer is turned off again.
static int start_port(unsigned n, unsigned irq, u8 *config)
{
    u8 irq_bit = n ? CONFIG_AUX_IRQ : CONFIG_KEYBOARD_IRQ;
    u8 off_bit = n ? CONFIG_AUX_OFF : CONFIG_KEYBOARD_OFF;
    int err = irq_request(irq, i8042_interrupt, NULL, "i8042", false);
    if (err)
        return err;
    *config = (u8)((*config | irq_bit) & ~off_bit);
    if (!write_config(*config))
        return -EIO;
    if (n ? psmouse_probe(&ports[1]) : atkbd_probe(&ports[0]))
        return 0;
    *config = (u8)((*config & ~irq_bit) | off_bit);
    write_config(*config);
    pr_info("i8042: nothing at the %s port", n ? "auxiliary" : "keyboard");
    return 0;
}

static int i8042_probe(const struct platform_node *node)
{
    (void)node;
    u8 config;
    if (!flush() || !read_config(&config)) {
        pr_info("i8042: no controller");
        return 0;
    }
    bool aux = !option("i8042.noaux") && has_aux();
    config |= CONFIG_KEYBOARD_OFF | CONFIG_AUX_OFF;
    config &= (u8) ~(CONFIG_KEYBOARD_IRQ | CONFIG_AUX_IRQ);
    if (option("i8042.direct"))
        config &= (u8)~CONFIG_TRANSLATE;
    if (!write_config(config))
        return -EIO;
    flush();
    ps2_port_init(&ports[0], "isa0060/serio0", false);
    ps2_port_init(&ports[1], "isa0060/serio1", true);
    ports[0].translated = config & CONFIG_TRANSLATE;
    int err = option("i8042.nokbd") ? 0 : start_port(0, KEYBOARD_IRQ, &config);
    return !err && aux ? start_port(1, AUX_IRQ, &config) : err;
}

const struct driver i8042_driver = {
    .name = "i8042", .compatible = "intel,i8042", .probe = i8042_probe};
