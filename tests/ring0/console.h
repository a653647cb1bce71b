// SPDX-License-Identifier: MIT
// The serial line, polled by nobody: these machines take a byte at any time.
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

static inline void print(const char *text)
{
    while (*text) {
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

#endif
