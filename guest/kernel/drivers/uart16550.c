// SPDX-License-Identifier: MIT
// 16550 serial ports as terminals: interrupt-driven both ways, RTS from the reader, DCD as the far
// end's presence.
#include "drivers/uart16550.h"

#include "abi/errno.h"
#include "arch/x86_64/apic.h"
#include "drivers/driver.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tty/tty.h"

#define TX_SIZE 4096u
#define TX_WAKE (TX_SIZE / 2)
#define TTY_MAJOR 4
#define SERIAL_MINOR 64

struct uart {
    u16 port;
    unsigned irq;
    struct tty_struct *tty;
    bool irq_taken;
    spinlock_t lock; // registers and the ring; interrupts off
    u8 ier;
    spinlock_t mcr_lock; // a leaf: the line discipline throttles with and without `lock`
    u8 mcr;
    u32 tx_head, tx_tail;
    u8 tx[TX_SIZE];
};

static u32 tx_used(const struct uart *u)
{
    return u->tx_head - u->tx_tail;
}

static void set_ier(struct uart *u, u8 ier)
{
    if (u->ier != ier) {
        u->ier = ier;
        outb(u->port + UART_IER, ier);
    }
}

static void change_mcr(struct uart *u, u8 set, u8 clear)
{
    unsigned long flags;
    spin_lock_irqsave(&u->mcr_lock, flags);
    u8 mcr = (u8)((u->mcr & ~clear) | set);
    if (u->mcr != mcr) {
        u->mcr = mcr;
        outb(u->port + UART_MCR, mcr);
    }
    spin_unlock_irqrestore(&u->mcr_lock, flags);
}

// Lock held. Fills an empty FIFO; the transmit interrupt stays on while the ring has more.
static void tx_fill(struct uart *u)
{
    bool held = u->tty->stopped;
    if (!held && tx_used(u)) {
        uart_tx_lock(u->port);
        if (inb(u->port + UART_LSR) & UART_LSR_THRE)
            for (int i = 0; i < UART_FIFO_SIZE && tx_used(u); i++)
                outb(u->port + UART_THR, u->tx[u->tx_tail++ % TX_SIZE]);
        uart_tx_unlock(u->port);
    }
    set_ier(u, tx_used(u) && !held ? u->ier | UART_IER_TX : u->ier & (u8)~UART_IER_TX);
}

static enum tty_flag error_of(u8 lsr)
{
    return lsr & UART_LSR_BI   ? TTY_BREAK
           : lsr & UART_LSR_PE ? TTY_PARITY
           : lsr & UART_LSR_FE ? TTY_FRAME
                               : TTY_NORMAL;
}

// Lock held. Takes what the FIFO has; bytes with an error go up one by one.
static void rx_drain(struct uart *u)
{
    u8 buf[64], lsr;
    size_t n = 0;
    while ((lsr = inb(u->port + UART_LSR)) & UART_LSR_DR) {
        u8 c = inb(u->port + UART_RBR);
        enum tty_flag flag = error_of(lsr);
        if (flag != TTY_NORMAL || n == sizeof(buf)) {
            tty_receive(u->tty, buf, n, TTY_NORMAL);
            n = 0;
        }
        if (flag != TTY_NORMAL)
            tty_receive(u->tty, &c, 1, flag);
        else
            buf[n++] = c;
    }
    if (n)
        tty_receive(u->tty, buf, n, TTY_NORMAL);
}

static void uart_interrupt(unsigned irq, void *data)
{
    (void)irq;
    struct uart *u = data;
    bool wake = false;
    spin_lock(&u->lock);
    for (int i = 0; i < 64; i++) {
        u8 iir = inb(u->port + UART_IIR);
        if (iir & UART_IIR_NONE)
            break;
        rx_drain(u);
        u8 msr = inb(u->port + UART_MSR);
        if (msr & UART_MSR_DDCD)
            tty_carrier(u->tty, msr & UART_MSR_DCD);
        if (u->ier & UART_IER_TX) {
            tx_fill(u);
            wake |= tx_used(u) <= TX_WAKE;
        }
    }
    spin_unlock(&u->lock);
    if (wake)
        tty_write_wakeup(u->tty);
}

static size_t uart_write_room(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    return TX_SIZE - tx_used(u);
}

static size_t uart_write(struct tty_struct *tty, const u8 *buf, size_t n)
{
    struct uart *u = tty->driver_data;
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    n = min(n, (size_t)(TX_SIZE - tx_used(u)));
    for (size_t i = 0; i < n; i++)
        u->tx[u->tx_head++ % TX_SIZE] = buf[i];
    tx_fill(u);
    spin_unlock_irqrestore(&u->lock, flags);
    return n;
}

static void uart_start(struct tty_struct *tty)
{
    uart_write(tty, NULL, 0);
}

static size_t uart_chars_in_buffer(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    return tx_used(u);
}

static bool uart_tx_empty(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    return inb(u->port + UART_LSR) & UART_LSR_TEMT;
}

static void uart_flush_buffer(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    u->tx_tail = u->tx_head;
    tx_fill(u);
    spin_unlock_irqrestore(&u->lock, flags);
}

static unsigned baud_of(u32 cflag)
{
    static const unsigned low[16] = {0,   50,   75,   110,  134,  150,  200,   300,
                                     600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
    if (cflag & 0010000)
        return (cflag & 017) == 1 ? 57600 : 115200;
    return low[cflag & 017];
}

static void uart_set_termios(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    u32 c = tty->termios.c_cflag;
    u8 lcr = (u8)((c & CSIZE) >> 4); // CS5..CS8 are 0..3, as in LCR
    lcr |= c & CSTOPB ? UART_LCR_STOP2 : 0;
    lcr |= c & PARENB ? UART_LCR_PARITY | (c & PARODD ? 0 : UART_LCR_EVEN) : 0;
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    uart_set_line(u->port, baud_of(c), lcr);
    if (baud_of(c))
        change_mcr(u, UART_MCR_DTR, 0);
    else // B0 hangs up
        change_mcr(u, 0, UART_MCR_DTR | UART_MCR_RTS);
    spin_unlock_irqrestore(&u->lock, flags);
}

// From tty_receive in our own interrupt `lock` is held already.
static void uart_throttle(struct tty_struct *tty)
{
    change_mcr(tty->driver_data, 0, UART_MCR_RTS);
}

static void uart_unthrottle(struct tty_struct *tty)
{
    change_mcr(tty->driver_data, UART_MCR_RTS, 0);
}

static int uart_tiocmget(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    u8 msr = inb(u->port + UART_MSR);
    return (u->mcr & UART_MCR_DTR ? TIOCM_DTR : 0) | (u->mcr & UART_MCR_RTS ? TIOCM_RTS : 0) |
           (msr & UART_MSR_CTS ? TIOCM_CTS : 0) | (msr & UART_MSR_DCD ? TIOCM_CAR : 0) |
           (msr & UART_MSR_RI ? TIOCM_RNG : 0) | (msr & UART_MSR_DSR ? TIOCM_DSR : 0);
}

static u8 mcr_bits(unsigned modem)
{
    return (u8)((modem & TIOCM_DTR ? UART_MCR_DTR : 0) | (modem & TIOCM_RTS ? UART_MCR_RTS : 0));
}

static int uart_tiocmset(struct tty_struct *tty, unsigned set, unsigned clear)
{
    change_mcr(tty->driver_data, mcr_bits(set), mcr_bits(clear));
    return 0;
}

static void uart_send_break(struct tty_struct *tty, bool on)
{
    struct uart *u = tty->driver_data;
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    u8 lcr = inb(u->port + UART_LCR);
    outb(u->port + UART_LCR, on ? lcr | UART_LCR_BREAK : lcr & (u8)~UART_LCR_BREAK);
    spin_unlock_irqrestore(&u->lock, flags);
}

static int uart_open(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    if (!u->irq_taken) {
        int err = irq_request(u->irq, uart_interrupt, u, tty->name, false);
        if (err)
            return err;
        u->irq_taken = true;
    }
    uart_set_termios(tty);
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    outb(u->port + UART_FCR, UART_FCR_ENABLE | UART_FCR_TRIGGER_14);
    WRITE_ONCE(tty->carrier, inb(u->port + UART_MSR) & UART_MSR_DCD);
    set_ier(u, UART_IER_RX | UART_IER_LINE | UART_IER_MODEM);
    change_mcr(u, UART_MCR_DTR | UART_MCR_RTS | UART_MCR_OUT2, 0xff);
    tx_fill(u);
    spin_unlock_irqrestore(&u->lock, flags);
    return 0;
}

static void uart_close(struct tty_struct *tty)
{
    struct uart *u = tty->driver_data;
    wait_event_timeout_ns(tty->write_wait, tx_used(u) == 0, NSEC_PER_SEC);
    unsigned long flags;
    spin_lock_irqsave(&u->lock, flags);
    set_ier(u, 0);
    if (tty->termios.c_cflag & HUPCL)
        change_mcr(u, UART_MCR_OUT2, 0xff);
    else
        change_mcr(u, 0, UART_MCR_RTS);
    spin_unlock_irqrestore(&u->lock, flags);
}

static const struct tty_operations uart_ops = {
    .open = uart_open,
    .close = uart_close,
    .write_room = uart_write_room,
    .write = uart_write,
    .chars_in_buffer = uart_chars_in_buffer,
    .tx_empty = uart_tx_empty,
    .flush_buffer = uart_flush_buffer,
    .set_termios = uart_set_termios,
    .start = uart_start,
    .throttle = uart_throttle,
    .unthrottle = uart_unthrottle,
    .tiocmget = uart_tiocmget,
    .tiocmset = uart_tiocmset,
    .send_break = uart_send_break,
};

static int uart_probe(const struct platform_node *node)
{
    char name[8];
    unsigned line = 0;
    while (line < UART_COUNT && uart_legacy_ports[line] != node->port)
        line++;
    if (line == UART_COUNT)
        return -EINVAL;
    outb(node->port + 7, 0x5a); // the scratch register tells a chip from an empty bus
    if (inb(node->port + 7) != 0x5a)
        return node->irq == uart_legacy_irqs[line] ? 0 : -ENODEV;
    struct uart *u = kzalloc(sizeof(*u), GFP_KERNEL);
    if (!u)
        return -ENOMEM;
    u->port = node->port;
    u->irq = node->irq >= 0 ? (unsigned)node->irq : uart_legacy_irqs[line];
    spin_lock_init(&u->lock);
    spin_lock_init(&u->mcr_lock);
    outb(u->port + UART_IER, 0);
    snprintf(name, sizeof(name), "ttyS%u", line);
    u->tty = tty_register(name, MKDEV(TTY_MAJOR, SERIAL_MINOR + line), &uart_ops, u);
    if (IS_ERR(u->tty)) {
        int err = (int)PTR_ERR(u->tty);
        kfree(u);
        return err;
    }
    pr_info("uart: %s at port %#x, IRQ %u", name, u->port, u->irq);
    return 0;
}

const struct driver uart16550_driver = {
    .name = "uart16550", .compatible = "ns16550a", .probe = uart_probe};
