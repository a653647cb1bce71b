// SPDX-License-Identifier: MIT
// The serial line, polled.
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

static inline void outb(u16 port, u8 value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 inb(u16 port)
{
    u8 value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

// 115200 baud, 8 bits.
static inline void console_begin(void)
{
    outb(0x3FB, 0x80);
    outb(0x3F8, 1);
    outb(0x3F9, 0);
    outb(0x3FB, 3);
}

static inline void print(const char *text)
{
    while (*text) {
        while (!(inb(0x3FD) & 0x20)) {
        }
        outb(0x3F8, (u8)*text++);
    }
}

static inline void print_hex(u64 value)
{
    char text[19] = "0x";
    int digits = 1;
    while (digits < 16 && value >> (4 * digits)) {
        digits++;
    }
    for (int i = 0; i < digits; i++) {
        text[2 + i] = "0123456789abcdef"[value >> (4 * (digits - 1 - i)) & 15];
    }
    text[2 + digits] = 0;
    print(text);
}

static inline void print_item(const char *name, u64 value)
{
    print(name);
    print_hex(value);
}

// Says so, and ends the machine: by the debug-exit port (viv, QEMU), or the shutdown port (Bochs).
__attribute__((noreturn)) static inline void end_of_kernel(void)
{
    print("end\n");
    while (!(inb(0x3FD) & 0x40)) { // the last byte is out
    }
    __asm__ volatile("outl %0, %w1" : : "a"(0), "Nd"(0xF4));
    for (const char *p = "Shutdown"; *p; p++) {
        outb(0x8900, (u8)*p);
    }
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

#endif
