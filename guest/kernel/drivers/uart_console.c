// SPDX-License-Identifier: MIT
// The kernel log's console: polled output on a 16550 chosen by console=ttySn. National PC16550D
// data sheet.
#include "arch/x86_64/io.h"
#include "arch/x86_64/irqflags.h"
#include "drivers/power.h"
#include "drivers/uart16550.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/lock.h"

static u16 port;
static DEFINE_SPINLOCK(tx_lock); // of this port

void uart_tx_lock(u16 p)
{
    if (p == port)
        spin_lock(&tx_lock);
}

void uart_tx_unlock(u16 p)
{
    if (p == port)
        spin_unlock(&tx_lock);
}

// Gives up waiting at last: a CPU that holds the lock may have been stopped by a panic.
static void put(char c)
{
    for (int i = 0; i < 100000; i++) {
        if (spin_trylock(&tx_lock)) {
            bool ready = inb(port + UART_LSR) & UART_LSR_THRE;
            if (ready)
                outb(port + UART_THR, (u8)c);
            spin_unlock(&tx_lock);
            if (ready)
                return;
        }
        cpu_relax();
    }
    outb(port + UART_THR, (u8)c);
}

static void console_write(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (text[i] == '\n')
            put('\r');
        put(text[i]);
    }
}

void console_early_init(void)
{
    char name[16] = "ttyS0";
    unsigned n = 0;
    power_early_init();
    cmdline_get("console", name, sizeof(name));
    if (!strncmp(name, "ttyS", 4) && name[4] >= '0' && name[4] < '0' + UART_COUNT)
        n = (unsigned)(name[4] - '0');
    port = uart_legacy_ports[n];
    if (inb(port + UART_LSR) == 0xff) // no such chip
        return;
    uart_set_line(port, 115200, UART_LCR_8N1);
    outb(port + UART_FCR, UART_FCR_ENABLE | UART_FCR_CLEAR);
    log_set_console(console_write);
}
