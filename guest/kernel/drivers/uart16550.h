// SPDX-License-Identifier: MIT
// Registers of the 16550 (National PC16550D data sheet, table II).
#pragma once

#include "arch/x86_64/io.h"

#define UART_COUNT 4
#define UART_CLOCK 1843200u
#define UART_RBR 0
#define UART_THR 0
#define UART_IER 1
#define UART_IIR 2
#define UART_FCR 2
#define UART_LCR 3
#define UART_MCR 4
#define UART_LSR 5
#define UART_MSR 6
#define UART_IER_RX 0x01
#define UART_IER_TX 0x02
#define UART_IER_LINE 0x04
#define UART_IER_MODEM 0x08
#define UART_IIR_NONE 0x01
#define UART_FCR_ENABLE 0x01
#define UART_FCR_CLEAR 0x06
#define UART_FCR_TRIGGER_14 0xc0
#define UART_LCR_8N1 0x03
#define UART_LCR_STOP2 0x04
#define UART_LCR_PARITY 0x08
#define UART_LCR_EVEN 0x10
#define UART_LCR_BREAK 0x40
#define UART_LCR_DLAB 0x80
#define UART_MCR_DTR 0x01
#define UART_MCR_RTS 0x02
#define UART_MCR_OUT2 0x08
#define UART_LSR_DR 0x01
#define UART_LSR_OE 0x02
#define UART_LSR_PE 0x04
#define UART_LSR_FE 0x08
#define UART_LSR_BI 0x10
#define UART_LSR_THRE 0x20
#define UART_LSR_TEMT 0x40
#define UART_MSR_DDCD 0x08
#define UART_MSR_CTS 0x10
#define UART_MSR_DSR 0x20
#define UART_MSR_RI 0x40
#define UART_MSR_DCD 0x80
#define UART_FIFO_SIZE 16

static const u16 uart_legacy_ports[UART_COUNT] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
static const u8 uart_legacy_irqs[UART_COUNT] = {4, 3, 5, 11};

// Around a look at the transmitter and what it is given then: the log's console may write to the
// same port. Interrupts off, a leaf.
void uart_tx_lock(u16 port);
void uart_tx_unlock(u16 port);

static inline void uart_set_line(u16 port, unsigned baud, u8 lcr)
{
    unsigned divisor = UART_CLOCK / 16 / (baud ? baud : 9600);
    outb(port + UART_LCR, (u8)(lcr | UART_LCR_DLAB));
    outb(port + 0, (u8)divisor);
    outb(port + 1, (u8)(divisor >> 8));
    outb(port + UART_LCR, lcr);
}
