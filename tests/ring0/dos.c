// SPDX-License-Identifier: MIT
// The 32-bit test kernel for what programs of DOS' time relied upon: x87 errors as interrupt 13 (SDM 1 8.7.2, appendix D), the
// extensions of virtual-8086 mode (SDM 3B 21.3, 21.4).
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

#define CR4_VME 1u
#define CR4_PVI 2u
#define VIF 0x80000u
#define VIP 0x100000u
#define IOPL_3 0x3000u

extern char v86_begin[], v86_end[];
static struct {
    u32 task[26];
    u8 kept[32]; // BIT(n): INT n is not redirected
    u8 io_map_end;
} __attribute__((packed, aligned(128))) wide_tss;

#define V(name)                                                                                    \
    ({                                                                                             \
        extern char v_##name[];                                                                    \
        v_##name;                                                                                  \
    })

// A TSS with a map of redirected interrupts: 21 is.
static void reset_extensions(u32 io_map, u32 limit)
{
    __asm__ volatile("lgdt gdt_pointer");
    reset();
    for (unsigned i = 0; i < 26; i++) {
        wide_tss.task[i] = tss[i];
    }
    for (unsigned i = 0; i < sizeof(wide_tss.kept); i++) {
        wide_tss.kept[i] = i == 0x21 / 8 ? 0xFF & ~(1 << (0x21 & 7)) : 0xFF;
    }
    wide_tss.io_map_end = 0xFF;
    wide_tss.task[25] = io_map << 16;
    u32 at = (u32)&wide_tss;
    gdt[TSS_SELECTOR / 8] = limit | (u64)(at & 0xFFFFFF) << 16 | (u64)0x89 << 40 | (u64)(at >> 24) << 56;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR));
    set_gate(3, (u32)stubs + 16 * VECTOR_DONE, 14, 3);
    for (const char *p = v86_begin; p < v86_end; p++) {
        ((volatile char *)V86_BASE)[p - v86_begin] = *p;
    }
    *(volatile u32 *)(0x21 * 4) = V86_CS << 16 | (u32)(V(handler_21) - v86_begin);
    WRITE_REG("cr4", CR4_VME);
    more_flags = 0;
}

static void v86(const char *what, const char *code, u32 flags)
{
    more_flags = flags & 0xFFFF0000;
    in_kernel(what, S(enter_v86), flags << 16 | (u32)(code - v86_begin));
}

static void v86_flags(void)
{
    reset_extensions(136, sizeof(wide_tss) - 1);
    v86("vme: flags", V(flags), 0);
    v86("vme: flags, iopl 3", V(flags), IOPL_3);
    v86("vme: sti", V(sti), 0);
    v86("vme: sti, vip", V(sti), VIP);
    v86("vme: sti, vip, iopl 3", V(sti), VIP | IOPL_3);
    v86("vme: pushfd", V(pushfd), 0);
    v86("vme: popfd", V(popfd), 0);
    v86("vme: popf", V(popf), 0);
    v86("vme: popf, vip", V(popf), VIP);
    v86("vme: popf without if", V(popf_clear), 0);
    v86("vme: popf, iopl 3", V(popf), IOPL_3);
    v86("vme: popf with tf", V(popf_tf), 0);
    v86("vme: iret", V(iret), 0);
    v86("vme: iret, vip", V(iret), VIP);
    v86("vme: iret, iopl 3", V(iret), IOPL_3);
    v86("vme: iret with tf", V(iret_tf), 0);
    v86("vme: iretd", V(iretd), 0);
    v86("vme: vif", V(nothing), VIF);
    v86("vme: vif and vip", V(nothing), VIF | VIP);
    v86("vme: vif and vip, iopl 3", V(nothing), VIF | VIP | IOPL_3);
    WRITE_REG("cr4", 0);
    v86("vme: off, vif and vip", V(nothing), VIF | VIP);
    v86("vme: off, sti", V(sti), 0);
}

static void v86_interrupts(void)
{
    reset_extensions(136, sizeof(wide_tss) - 1);
    v86("vme: int redirected", V(int_21), 0);
    v86("vme: int redirected, iopl 3", V(int_21), IOPL_3);
    v86("vme: int redirected, no stack", V(int_no_stack), 0);
    v86("vme: int kept", V(int_done), 0);
    v86("vme: int kept, iopl 3", V(int_done), IOPL_3);
    *(volatile u32 *)(0x21 * 4) = V86_CS << 16 | (u32)(V(handler_iret) - v86_begin);
    v86("vme: int and iret", V(int_21), 0);
    WRITE_REG("cr4", 0);
    v86("vme: off, int", V(int_21), 0);
    reset_extensions(136, 103);
    v86("vme: map beyond the tss", V(int_21), 0);
    reset_extensions(16, sizeof(wide_tss) - 1);
    v86("vme: no room for the map", V(int_21), 0);
}

static void user(const char *what, const char *snippet, u32 flags)
{
    name = what, start = snippet;
    run_user(snippet, 0, flags | 2);
    __asm__ volatile("movl %0, %%ds; movl %0, %%es; pushl $2; popfl" : : "r"(KERNEL_DS));
}

static void protected_flags(void)
{
    reset_extensions(136, sizeof(wide_tss) - 1);
    user("pvi: off, sti", S(sti), 0);
    WRITE_REG("cr4", CR4_PVI);
    user("pvi: sti", S(sti), 0);
    user("pvi: cli", S(cli), VIF);
    user("pvi: sti, vip", S(sti), VIP);
    user("pvi: sti, iopl 3", S(sti), IOPL_3);
    user("pvi: pushf", S(pushf), 0);
    user("pvi: vif and vip", S(cli), VIF | VIP);
    user("pvi: vif and vip, iopl 3", S(cli), VIF | VIP | IOPL_3);
    WRITE_REG("cr4", 0);
}

int main(void)
{
    begin_kernel();
    in_kernel("ud2", S(ud2), 0);
    native_errors();
    if (!on_tcg()) {
        reported_errors();
        v86_flags();
        v86_interrupts();
        protected_flags();
    }
    end_of_kernel();
}
