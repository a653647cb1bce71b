// SPDX-License-Identifier: MIT
// Serves the fake board over a subset of QEMU's qtest protocol, so that one script drives viv's
// devices and QEMU's. Commands, one a line: outb|outw|outl PORT VALUE, inb|inw|inl PORT,
// writeb|writew|writel ADDRESS VALUE, readb|readw|readl ADDRESS.
#include "device/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned size_of(const char *command)
{
    switch (command[strlen(command) - 1]) {
    case 'b':
        return 1;
    case 'w':
        return 2;
    default:
        return 4;
    }
}

// Guest physical addresses: RAM, then registers.
static u64 read_memory(struct fixture *f, u64 address, unsigned size)
{
    u64 value = 0;
    bool ram = physmem_read(f->bus.mem, address, &value, size);
    return ram ? value : io_space_read(f->bus.mmio, address, size);
}

static void write_memory(struct fixture *f, u64 address, u64 value, unsigned size)
{
    if (!physmem_write(f->bus.mem, address, &value, size)) {
        io_space_write(f->bus.mmio, address, value, size);
    }
}

static bool serve(struct fixture *f, const char *command, u64 a, u64 b)
{
    if (strncmp(command, "out", 3) == 0) {
        out(f, (u16)a, (u32)b, size_of(command));
        printf("OK\n");
    } else if (strncmp(command, "in", 2) == 0) {
        printf("OK 0x%04x\n", in(f, (u16)a, size_of(command)));
    } else if (strncmp(command, "write", 5) == 0) {
        write_memory(f, a, b, size_of(command));
        printf("OK\n");
    } else if (strncmp(command, "read", 4) == 0) {
        printf("OK 0x%016llx\n", (unsigned long long)read_memory(f, a, size_of(command)));
    } else {
        return false;
    }
    return true;
}

int main(void)
{
    struct fixture *f = fixture_create();
    char line[256];
    while (fgets(line, sizeof(line), stdin)) {
        char *rest = line + strcspn(line, " \n");
        char command[32];
        snprintf(command, sizeof(command), "%.*s", (int)(rest - line), line);
        u64 a = strtoull(rest, &rest, 0);
        u64 b = strtoull(rest, &rest, 0);
        if (!*command || !serve(f, command, a, b)) {
            printf("FAIL unknown command\n");
        }
        fflush(stdout);
    }
    fixture_destroy(f);
    return 0;
}
