// SPDX-License-Identifier: MIT
// The local APIC in x2APIC mode (SDM 3A 11.12): its MSRs, how it is entered and left.
#include "kernel.h"

#define APIC_BASE 0x1B
#define ADDRESS 0xFEE00000u
#define BSP 0x100u
#define EXTENDED 0x400u
#define ENABLED 0x800u

enum {
    ID = 0x802, VERSION = 0x803, TPR = 0x808, PPR = 0x80A, EOI = 0x80B, LDR = 0x80D, SVR = 0x80F,
    ISR = 0x810, TMR = 0x818, IRR = 0x820, ESR = 0x828, ICR = 0x830, LVT_TIMER = 0x832,
    LVT_ERROR = 0x837, INITIAL = 0x838, CURRENT = 0x839, DIVIDE = 0x83E, SELF_IPI = 0x83F,
};

static volatile unsigned taken[256];

static bool take_interrupt(struct trap *t)
{
    if (t->vector < 32 || t->vector == VECTOR_DONE) {
        return false;
    }
    taken[t->vector]++;
    wrmsr(EOI, 0);
    return true;
}

static void show(const char *what, u64 value)
{
    print(what);
    print_item(": ", value);
    print("\n");
}

// Argument: {msr, low, high}.
__asm__(".pushsection .text\n.balign 16\n.globl s_put_words\ns_put_words:\n"
        "movl (%rdi), %ecx\nmovl 4(%rdi), %eax\nmovl 8(%rdi), %edx\nwrmsr\nint $0x80\n"
        ".popsection");

static void put(const char *what, u32 number, u64 value)
{
    u32 words[3] = {number, (u32)value, (u32)(value >> 32)};
    in_kernel(what, S(put_words), (u64)words);
}

static void get(const char *what, u32 number)
{
    in_kernel(what, S(rdmsr), number);
}

static void enter(void)
{
    get("xapic mode: id", ID);
    put("extended, not enabled", APIC_BASE, ADDRESS | BSP | EXTENDED);
    put("enter", APIC_BASE, ADDRESS | BSP | EXTENDED | ENABLED);
    get("base", APIC_BASE);
    put("back to xapic mode", APIC_BASE, ADDRESS | BSP | ENABLED);
}

static void reads(void)
{
    get("id", ID);
    show("version, low digit pair", rdmsr(VERSION) >> 4 & 0xF);
    get("ldr", LDR);
    get("tpr", TPR);
    get("ppr", PPR);
    get("isr", ISR);
    get("tmr", TMR + 7);
    get("irr", IRR + 7);
    get("no register 801", 0x801);
    get("no apr", 0x809);
    get("eoi is not read", EOI);
    get("no rrd", 0x80C);
    get("no dfr", 0x80E);
    get("no icr high", 0x831);
    get("self ipi is not read", SELF_IPI);
}

static void writes(void)
{
    put("svr", SVR, 0x1FF);
    put("id is not written", ID, 0);
    put("ldr is not written", LDR, 1);
    put("ppr is not written", PPR, 0);
    put("isr is not written", ISR, 0);
    put("irr is not written", IRR, 0);
    put("current count is not written", CURRENT, 0);
    put("no dfr to write", 0x80E, 0);
    put("no icr high to write", 0x831, 0);
    put("tpr reserved", TPR, 0x100);
    put("tpr upper", TPR, (u64)1 << 32);
    put("eoi of 1", EOI, 1);
    put("esr of 1", ESR, 1);
    put("esr", ESR, 0);
    put("svr reserved", SVR, 0x21FF);
    put("lvt upper", LVT_TIMER, (u64)1 << 32 | 0x10045);
    put("lvt timer reserved", LVT_TIMER, 0x810045);
    put("lvt error reserved", LVT_ERROR, 0x10745);
    put("divide reserved", DIVIDE, 4);
    put("icr reserved", ICR, 0x104042);
    put("self ipi reserved", SELF_IPI, 0x142);
    wrmsr(TPR, 0x50);
    show("cr8 of tpr", READ_REG("cr8"));
    WRITE_REG("cr8", 0);
    get("tpr of cr8", TPR);
}

static void open_interrupts(void)
{
    __asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
}

static void send(const char *what, u64 icr)
{
    taken[icr & 0xFF] = 0;
    wrmsr(ICR, icr);
    open_interrupts();
    show(what, taken[icr & 0xFF]);
}

static void messages(void)
{
    wrmsr(SELF_IPI, 0x41);
    show("irr of self ipi", rdmsr(IRR + 0x41 / 32) >> (0x41 % 32) & 1);
    open_interrupts();
    show("self ipi", taken[0x41]);
    send("physical", 0x42);
    get("icr", ICR);
    send("physical, nobody", (u64)7 << 32 | 0x43);
    send("physical, everybody", (u64)0xFFFFFFFF << 32 | 0x44);
    send("logical", (u64)1 << 32 | 0x845);
    send("logical, another", (u64)2 << 32 | 0x846);
    send("logical, another cluster", (u64)0x10001 << 32 | 0x847);
    send("logical, everybody", (u64)0xFFFFFFFF << 32 | 0x848);
    send("self by shorthand", 0x40049);
    send("all by shorthand", 0x8004A);
    send("others by shorthand", 0xC004B);
    wrmsr(DIVIDE, 0xB);
    wrmsr(LVT_TIMER, 0x4C);
    wrmsr(INITIAL, 1000);
    for (unsigned i = 0; i < 10000000 && !taken[0x4C]; i++) {
        open_interrupts();
    }
    show("timer", taken[0x4C]);
    show("count at the end", rdmsr(CURRENT));
}

static void disable(void)
{
    put("disable", APIC_BASE, ADDRESS | BSP);
    get("disabled: id", ID);
    put("disabled: enter", APIC_BASE, ADDRESS | BSP | EXTENDED | ENABLED);
    put("xapic mode", APIC_BASE, ADDRESS | BSP | ENABLED);
    put("enter again", APIC_BASE, ADDRESS | BSP | EXTENDED | ENABLED);
    get("id again", ID);
}

int main(void)
{
    u32 eax = 1, ebx, ecx = 0, edx;
    console_begin();
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    test("");
    in_kernel("ud2", S(ud2), 0);
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    if (ecx >> 21 & 1) {
        wrmsr(APIC_BASE, ADDRESS | BSP | ENABLED);
        enter();
        reads();
        writes();
        on_trap = take_interrupt;
        messages();
        disable();
    }
    end_of_kernel();
}
