// SPDX-License-Identifier: MIT
// The 32-bit test kernel for what programs of DOS' time relied upon: x87 errors as interrupt 13 (SDM 1 8.7.2, appendix D).
#include "cpuid.h"
#include "legacy_kernel.h"

#define PIC_BASE 0x50
#define APIC(reg) (*(volatile u32 *)(0xFEE00000u + (reg)))

// Both 8259s, edge triggered, all masked; their output through LINT0.
static void begin_pic(void)
{
    static const u8 words[][2] = {{0x20, 0x11}, {0xA0, 0x11}, {0x21, PIC_BASE}, {0xA1, PIC_BASE + 8},
                                  {0x21, 4},    {0xA1, 2},    {0x21, 1},        {0xA1, 1}};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        outb(words[i][0], words[i][1]);
    }
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    APIC(0xF0) = 0x1FF;
    APIC(0x350) = 0x700;
}

static void unmask(u16 lines)
{
    outb(0x21, (u8)~lines);
    outb(0xA1, (u8)(~lines >> 8));
}

static void show(const char *what, u32 value)
{
    print(what);
    print_item(": ", value);
    print("\n");
}

static u32 x87_status(void)
{
    u16 status;
    __asm__ volatile("fnstsw %0" : "=a"(status));
    return status;
}

static u32 slave_in_service(void)
{
    outb(0xA0, 0x0B);
    return inb(0xA0);
}

static void end_of_interrupt(void)
{
    outb(0xA0, 0x20);
    outb(0x20, 0x20);
}

// CR0.NE: #MF.
static void native_errors(void)
{
    WRITE_REG("cr0", 0x31);
    in_kernel("x87: wait", S(fpu_wait), 0);
    in_kernel("x87: load", S(fpu_load), 0);
    in_kernel("x87: mmx", S(fpu_mmx), 0);
    in_kernel("x87: cleared", S(fpu_clear), 0);
    WRITE_REG("cr0", 0x11);
}

// The instruction waits for interrupt 13; port F0 lets further ones pass until nothing is pending.
static void reported_errors(void)
{
    begin_pic();
    unmask(1 << 2 | 1 << 13);
    in_kernel("irq 13: wait", S(fpu_wait), 0);
    show("irq 13: status", x87_status());
    show("irq 13: in service", slave_in_service());
    end_of_interrupt();
    outb(0xF0, 0);
    in_kernel("irq 13: ignored", S(fpu_go_on), 0);
    in_kernel("irq 13: cleared", S(fpu_clear), 0);
    in_kernel("irq 13: load", S(fpu_load), 0);
    end_of_interrupt();
    outb(0xF0, 0);
    in_kernel("irq 13: cleared again", S(fpu_clear), 0);
    in_kernel("irq 13: mmx", S(fpu_mmx), 0);
    end_of_interrupt();
    outb(0xF0, 0);
    in_kernel("irq 13: what does not wait", S(fpu_control), 0);
    unmask(1); // another interrupt while the error waits for its own
    outb(0x43, 0x30);
    outb(0x40, 0);
    outb(0x40, 0x40);
    in_kernel("irq 13: held up", S(fpu_wait), 0);
    outb(0xF0, 0);
    end_of_interrupt();
    unmask(0);
    __asm__ volatile("fninit; fwait");
}

int main(void)
{
    begin_kernel();
    in_kernel("ud2", S(ud2), 0);
    native_errors();
    if (!on_tcg()) {
        reported_errors();
    }
    end_of_kernel();
}
