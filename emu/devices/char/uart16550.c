// SPDX-License-Identifier: MIT
// The 16550A UART (National Semiconductor PC16550D, section 8). Transmitted characters leave at
// once: the holding register and FIFO are always empty again, so output costs no virtual time.
// Received ones arrive at the programmed rate, and only while the guest can take them: RTS up, the
// receive interrupt enabled, room in the FIFO. So nothing is ever overrun. The end of the host's
// input is a fall of the carrier (DCD), once all before it was read.
#include "devices/device.h"

#include <libfdt.h>
#include <string.h>

enum { FIFO_BYTES = 16, PORTS = 4 };

enum { REG_DATA, REG_IER, REG_IIR_FCR, REG_LCR, REG_MCR, REG_LSR, REG_MSR, REG_SCRATCH };

enum {
    IER_RX = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8, IER_WRITABLE = 0x0F,
    IIR_NONE = 1, IIR_MODEM = 0, IIR_THRE = 2, IIR_RX = 4, IIR_LINE = 6, IIR_TIMEOUT = 0x0C,
    IIR_FIFOS = 0xC0,
    FCR_ENABLE = 1, FCR_CLEAR_RX = 2,
    LCR_WORD = 3, LCR_STOP = 4, LCR_PARITY = 8, LCR_BREAK = 0x40, LCR_DLAB = 0x80,
    MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10, MCR_WRITABLE = 0x1F,
    LSR_READY = 1, LSR_OVERRUN = 2, LSR_BREAK = 0x10, LSR_ERRORS = 0x1E, LSR_THRE = 0x20,
    LSR_TEMT = 0x40,
    MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_DELTAS = 0x0F, MSR_TERI = 4,
};

struct uart {
    u8 ier, fcr, lcr, mcr, lsr, msr, scratch; // lsr: error bits only; msr: with deltas
    u16 divisor;
    u8 fifo[FIFO_BYTES];
    u8 fifo_head, fifo_count;
    u8 thre_pending;    // the THRE interrupt condition, until IIR is read or THR written
    u8 timeout_pending; // characters lie in the FIFO and nobody came
    u8 starved;               // the host had no input; it calls when it has
    u8 end_of_input, carrier; // the host said so; DCD
    u64 receive_ns;     // deadline: the next character is complete
    u64 timeout_ns;     // deadline: four character times without traffic
    // Wiring.
    struct irq_line line;
    unsigned receive_event, timeout_event;
    const struct host_serial *host;
    u64 clock_hz, line_speed; // line_speed: how many times faster than it should the far end sends
};

static bool fifos_on(const struct uart *u)
{
    return u->fcr & FCR_ENABLE;
}

static unsigned capacity(const struct uart *u)
{
    return fifos_on(u) ? FIFO_BYTES : 1;
}

static unsigned trigger_level(const struct uart *u)
{
    static const u8 levels[4] = {1, 4, 8, 14};
    return fifos_on(u) ? levels[u->fcr >> 6] : 1;
}

// Time of one character on the line: start, data, parity and stop bits at clock / (16 * divisor),
// the whole sped up by the tree's viv,line-speed.
static u64 character_ns(const struct uart *u)
{
    u64 bits = 1 + 5 + (u->lcr & LCR_WORD) + !!(u->lcr & LCR_PARITY) + (u->lcr & LCR_STOP ? 2 : 1);
    u64 divisor = u->divisor ? u->divisor : 65536;
    return bits * divisor * 16 * 1000000000 / (u->clock_hz * u->line_speed) + 1;
}

// Modem lines as the guest sees them; in loopback they are the modem control outputs (8.6.7).
static u8 modem_lines(const struct uart *u)
{
    if (u->mcr & MCR_LOOP) {
        return (u8)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                    (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
    }
    if (!u->host || !u->host->ops) {
        return 0;
    }
    return MSR_CTS | MSR_DSR | (u->carrier ? MSR_DCD : 0);
}

static void modem_update(struct uart *u)
{
    u8 before = u->msr & 0xF0, after = modem_lines(u);
    u8 changed = (before ^ after) >> 4;
    // TERI reports only the ring indicator's falling edge.
    if ((changed & MSR_TERI) && (after & MSR_RI)) {
        changed &= (u8)~MSR_TERI;
    }
    u->msr = (u8)(after | (u->msr & MSR_DELTAS) | changed);
}

// Priorities of 8.6.5, table 4.
static u8 interrupt_id(const struct uart *u)
{
    if ((u->ier & IER_LINE) && (u->lsr & LSR_ERRORS)) {
        return IIR_LINE;
    }
    if ((u->ier & IER_RX) && u->fifo_count >= trigger_level(u)) {
        return IIR_RX;
    }
    if ((u->ier & IER_RX) && u->timeout_pending) {
        return IIR_TIMEOUT;
    }
    if ((u->ier & IER_THRE) && u->thre_pending) {
        return IIR_THRE;
    }
    if ((u->ier & IER_MODEM) && (u->msr & MSR_DELTAS)) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

// On a PC, OUT2 gates the interrupt onto the bus. Loopback disconnects OUT2 from its pin.
static void interrupt_update(struct uart *u)
{
    bool gate = (u->mcr & MCR_OUT2) && !(u->mcr & MCR_LOOP);
    irq_set(&u->line, gate && interrupt_id(u) != IIR_NONE);
}

static bool may_receive(const struct uart *u)
{
    return u->host && u->host->ops && (u->mcr & MCR_RTS) && !(u->mcr & MCR_LOOP) &&
           (u->ier & IER_RX) && !u->starved && !u->end_of_input && u->fifo_count < capacity(u);
}

// Keeps a character on its way while the guest can take one, and calls a character back when it no
// longer can.
static void receive_arm(struct device *dev)
{
    struct uart *u = dev->state;
    if (!may_receive(u)) {
        event_set(dev->bus->events, u->receive_event, EVENT_NEVER);
    } else if (u->receive_ns == EVENT_NEVER) {
        event_set(dev->bus->events, u->receive_event, vclock_ns(dev->bus->clock) + character_ns(u));
    }
}

// Restarts the wait for the character timeout (8.6.4): from the last character in or out of a
// non-empty FIFO.
static void timeout_restart(struct device *dev)
{
    struct uart *u = dev->state;
    u->timeout_pending = false;
    event_set(dev->bus->events, u->timeout_event,
              fifos_on(u) && u->fifo_count ? vclock_ns(dev->bus->clock) + 4 * character_ns(u)
                                           : EVENT_NEVER);
}

static void fifo_push(struct device *dev, u8 byte)
{
    struct uart *u = dev->state;
    if (u->fifo_count >= capacity(u)) {
        u->lsr |= LSR_OVERRUN; // only in loopback: the line waits for room
        if (!fifos_on(u)) {
            u->fifo[u->fifo_head] = byte;
        }
        return;
    }
    u->fifo[(u->fifo_head + u->fifo_count) % FIFO_BYTES] = byte;
    u->fifo_count++;
    timeout_restart(dev);
}

static u8 fifo_pop(struct device *dev)
{
    struct uart *u = dev->state;
    u8 byte = u->fifo[u->fifo_head];
    if (u->fifo_count) {
        u->fifo_head = (u8)((u->fifo_head + 1) % FIFO_BYTES);
        u->fifo_count--;
        timeout_restart(dev);
    }
    return byte;
}

static void fifo_clear(struct device *dev)
{
    struct uart *u = dev->state;
    u->fifo_head = u->fifo_count = 0;
    timeout_restart(dev);
}

static void carrier_update(struct uart *u)
{
    if (u->end_of_input && !u->fifo_count) {
        u->carrier = false;
        modem_update(u);
    }
}

static void receive_fire(void *ctx, u64 deadline_ns)
{
    struct device *dev = ctx;
    struct uart *u = dev->state;
    if (!may_receive(u)) {
        return;
    }
    u8 byte;
    long got = u->host->ops->read(u->host->ctx, &byte, 1);
    if (got > 0) {
        fifo_push(dev, byte);
        receive_arm(dev);
    } else if (got < 0) {
        u->end_of_input = true;
        carrier_update(u);
    } else {
        u->starved = true;
    }
    interrupt_update(u);
}

static void timeout_fire(void *ctx, u64 deadline_ns)
{
    struct device *dev = ctx;
    struct uart *u = dev->state;
    u->timeout_pending = u->fifo_count > 0;
    interrupt_update(u);
}

// The host has input again; called at a step boundary.
static void host_ready(void *ctx)
{
    struct uart *u = ((struct device *)ctx)->state;
    u->starved = false;
    receive_arm(ctx);
}

static void transmit(struct device *dev, u8 byte)
{
    struct uart *u = dev->state;
    if (u->mcr & MCR_LOOP) {
        fifo_push(dev, byte);
    } else if (u->host && u->host->ops) {
        u->host->ops->write(u->host->ctx, &byte, 1);
    }
    u->thre_pending = true;
}

static u8 register_read(struct device *dev, u64 reg)
{
    struct uart *u = dev->state;
    u8 value;
    switch (reg) {
    case REG_DATA:
        if (u->lcr & LCR_DLAB) {
            return (u8)u->divisor;
        }
        value = fifo_pop(dev);
        carrier_update(u);
        receive_arm(dev);
        return value;
    case REG_IER:
        return u->lcr & LCR_DLAB ? (u8)(u->divisor >> 8) : u->ier;
    case REG_IIR_FCR:
        value = interrupt_id(u);
        if (value == IIR_THRE) {
            u->thre_pending = false;
        }
        return value | (fifos_on(u) ? IIR_FIFOS : 0);
    case REG_LCR:
        return u->lcr;
    case REG_MCR:
        return u->mcr;
    case REG_LSR:
        value = u->lsr | LSR_THRE | LSR_TEMT | (u->fifo_count ? LSR_READY : 0);
        u->lsr &= (u8)~LSR_ERRORS;
        return value;
    case REG_MSR:
        value = u->msr;
        u->msr &= (u8)~MSR_DELTAS;
        return value;
    default:
        return u->scratch;
    }
}

static void fcr_write(struct device *dev, u8 value)
{
    struct uart *u = dev->state;
    bool toggled = (u->fcr ^ value) & FCR_ENABLE;
    // The other bits are taken only together with the enable bit (8.6.4).
    u->fcr = value & FCR_ENABLE ? value & 0xC9 : 0;
    if (toggled || ((value & FCR_ENABLE) && (value & FCR_CLEAR_RX))) {
        fifo_clear(dev);
    }
}

static void register_write(struct device *dev, u64 reg, u8 value)
{
    struct uart *u = dev->state;
    switch (reg) {
    case REG_DATA:
        if (u->lcr & LCR_DLAB) {
            u->divisor = (u16)((u->divisor & 0xFF00) | value);
        } else {
            transmit(dev, value);
        }
        break;
    case REG_IER:
        if (u->lcr & LCR_DLAB) {
            u->divisor = (u16)((u->divisor & 0xFF) | value << 8);
            break;
        }
        // Enabling the THRE interrupt while the register is empty asks for one at once.
        if ((value & IER_THRE) && !(u->ier & IER_THRE)) {
            u->thre_pending = true;
        }
        u->ier = value & IER_WRITABLE;
        break;
    case REG_IIR_FCR:
        fcr_write(dev, value);
        break;
    case REG_LCR:
        if ((u->mcr & MCR_LOOP) && (value & LCR_BREAK) && !(u->lcr & LCR_BREAK)) {
            fifo_push(dev, 0);
            u->lsr |= LSR_BREAK;
        }
        u->lcr = value;
        break;
    case REG_MCR:
        u->mcr = value & MCR_WRITABLE;
        modem_update(u);
        break;
    case REG_SCRATCH:
        u->scratch = value;
        break;
    }
    carrier_update(u);
    receive_arm(dev);
}

static u64 uart_read(void *ctx, u64 offset, unsigned size)
{
    struct device *dev = ctx;
    u8 value = register_read(dev, offset);
    interrupt_update(dev->state);
    return value;
}

static void uart_write(void *ctx, u64 offset, u64 value, unsigned size)
{
    struct device *dev = ctx;
    register_write(dev, offset, (u8)value);
    interrupt_update(dev->state);
}

static const struct io_ops uart_ops = {uart_read, uart_write, 1};

// The host port is the n of the /aliases entry serial<n> that names the node; without one nothing
// is connected.
static const struct host_serial *host_port(const struct device *dev, const void *fdt)
{
    for (unsigned n = 0; n < PORTS; n++) {
        char alias[] = {'s', 'e', 'r', 'i', 'a', 'l', (char)('0' + n), '\0'};
        const char *path = fdt_get_alias(fdt, alias);
        if (path && strcmp(path, dev->path) == 0) {
            return &dev->bus->host->serial[n];
        }
    }
    return NULL;
}

static struct status uart_create(struct device *dev, const void *fdt, int node)
{
    struct uart *u = dev->state;
    u64 base, length;
    struct status s = device_reg(dev, fdt, node, &base, &length);
    if (status_ok(&s)) {
        s = io_space_add(dev->bus->ports, base, 8, &uart_ops, dev, "uart");
    }
    if (status_ok(&s)) {
        s = device_irq(dev, fdt, node, 0, &u->line);
    }
    u->clock_hz = device_cell(fdt, node, "clock-frequency", 1843200);
    u->line_speed = device_cell(fdt, node, "viv,line-speed", 1);
    if (status_ok(&s) && (u->clock_hz < 1000 || !u->line_speed)) {
        s = status_error(STATUS_BAD_INPUT, "device tree: %s: absurd \"%s\"", dev->path,
                         u->line_speed ? "clock-frequency" : "viv,line-speed");
    }
    u->receive_ns = u->timeout_ns = EVENT_NEVER;
    const struct event receive = {&u->receive_ns, receive_fire, dev, "uart receive"};
    const struct event timeout = {&u->timeout_ns, timeout_fire, dev, "uart timeout"};
    u->receive_event = event_add(dev->bus->events, &receive);
    u->timeout_event = event_add(dev->bus->events, &timeout);
    u->host = host_port(dev, fdt);
    if (u->host && u->host->ops && u->host->ops->set_ready) {
        u->host->ops->set_ready(u->host->ctx, host_ready, dev);
    }
    return s;
}

static void uart_reset(struct device *dev)
{
    struct uart *u = dev->state;
    u->ier = u->fcr = u->lcr = u->mcr = u->lsr = u->scratch = 0;
    u->divisor = 12; // the chip's is undefined: 9600 baud
    u->thre_pending = u->starved = false;
    // What the host said of its input outlives a reset.
    u->carrier = !u->end_of_input;
    u->msr = modem_lines(u);
    fifo_clear(dev);
    memset(u->fifo, 0, sizeof(u->fifo));
    event_set(dev->bus->events, u->receive_event, EVENT_NEVER);
    irq_set(&u->line, false);
}

static const struct field uart_fields[] = {
    FIELD(struct uart, ier),
    FIELD(struct uart, fcr),
    FIELD(struct uart, lcr),
    FIELD(struct uart, mcr),
    FIELD(struct uart, lsr),
    FIELD(struct uart, msr),
    FIELD(struct uart, scratch),
    FIELD(struct uart, divisor),
    FIELD_ARRAY(struct uart, fifo),
    FIELD_MAX(struct uart, fifo_head, FIFO_BYTES - 1),
    FIELD_MAX(struct uart, fifo_count, FIFO_BYTES),
    FIELD(struct uart, thre_pending),
    FIELD(struct uart, timeout_pending),
    FIELD(struct uart, starved),
    FIELD(struct uart, end_of_input),
    FIELD(struct uart, carrier),
    FIELD_AS(struct uart, receive_ns, FIELD_DECIMAL),
    FIELD_AS(struct uart, timeout_ns, FIELD_DECIMAL),
    FIELD_END,
};

const struct device_class uart16550_class = {
    .name = "uart16550",
    .compatible = "ns16550a",
    .state_size = sizeof(struct uart),
    .create = uart_create,
    .reset = uart_reset,
    .fields = uart_fields,
};
