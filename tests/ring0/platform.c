// SPDX-License-Identifier: MIT
// The processor's surroundings: local APIC, IOAPIC, 8259, timers, NMI, MSRs. Prints what can be told
// without knowing how fast anything is.
#include "kernel.h"

#define LAPIC(reg) (*(volatile u32 *)(0xFEE00000ul + (reg)))
#define IOAPIC_SELECT (*(volatile u32 *)0xFEC00000u)
#define IOAPIC_DATA (*(volatile u32 *)0xFEC00010u)
#define PATIENCE 20000000

enum {
    APIC_ID = 0x20, APIC_VERSION = 0x30, TPR = 0x80, PPR = 0xA0, EOI = 0xB0, LDR = 0xD0, DFR = 0xE0,
    SVR = 0xF0, ISR = 0x100, TMR = 0x180, IRR = 0x200, ESR = 0x280, ICR_LOW = 0x300,
    ICR_HIGH = 0x310, LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370,
    INITIAL = 0x380, CURRENT = 0x390, DIVIDE = 0x3E0,
};

extern u64 device_pd[];

// What a handler uses is volatile: the compiler knows of no call of it.
static volatile unsigned taken[256];
static volatile u8 order[16];
static volatile unsigned order_count;
static volatile bool no_eoi;
static void (*volatile in_handler)(void);

static bool take_interrupt(struct trap *t)
{
    if (t->vector < 32 && t->vector != 2 && t->vector != 15) {
        return false;
    }
    if (t->vector == VECTOR_DONE) {
        return false;
    }
    taken[t->vector]++;
    if (order_count < sizeof(order)) {
        order[order_count++] = (u8)t->vector;
    }
    if (in_handler) {
        in_handler();
    }
    if (t->vector != 2 && !no_eoi) {
        LAPIC(EOI) = 0;
    }
    return true;
}

static void forget(void)
{
    for (unsigned i = 0; i < 256; i++) {
        taken[i] = 0;
    }
    order_count = 0;
    no_eoi = false;
    in_handler = NULL;
}

static void show(const char *name, u64 value)
{
    print(name);
    print_item(": ", value);
    print("\n");
}

static void show_order(const char *name)
{
    print(name);
    print(":");
    for (unsigned i = 0; i < order_count; i++) {
        print_item(" ", order[i]);
    }
    print("\n");
    forget();
}

static void open_interrupts(void)
{
    __asm__ volatile("sti; nop; nop; nop; nop; cli" : : : "memory");
}

// Interrupts on until the vector was taken n times, or patience ends.
static void wait_for(unsigned vector, unsigned n)
{
    for (unsigned i = 0; i < PATIENCE && taken[vector] < n; i++) {
        __asm__ volatile("sti; nop; nop; cli" : : : "memory");
    }
}

static void send(u32 low, u32 high)
{
    LAPIC(ICR_HIGH) = high;
    LAPIC(ICR_LOW) = low;
    while (LAPIC(ICR_LOW) & 0x1000) {
    }
}

static void send_self(unsigned vector)
{
    send(0x40000 | vector, 0);
}

static bool bit(unsigned base, unsigned vector)
{
    return LAPIC(base + vector / 32 * 16) >> (vector % 32) & 1;
}

// Taken and acknowledged, whatever is left.
static void drain(void)
{
    for (unsigned i = 0; i < 16; i++) {
        open_interrupts();
        LAPIC(EOI) = 0;
    }
    forget();
}

static void apic_registers(void)
{
    show("apic version, low digit pair", LAPIC(APIC_VERSION) >> 4 & 0xF);
    LAPIC(SVR) = 0xFF;
    LAPIC(LVT_TIMER) = 0x20045;
    show("lvt while disabled", LAPIC(LVT_TIMER));
    LAPIC(SVR) = 0x1FF;
    show("lvt after enabling", LAPIC(LVT_TIMER));
    LAPIC(LVT_TIMER) = 0x10045;
    LAPIC(LVT_LINT0) = 0x10000;
    LAPIC(LVT_LINT1) = 0x10000;
    LAPIC(LVT_ERROR) = 0x10000;
    show("svr", LAPIC(SVR) & 0x1FF);
    LAPIC(TPR) = 0xFFFFFF67;
    show("tpr", LAPIC(TPR));
    show("cr8 of tpr", READ_REG("cr8"));
    WRITE_REG("cr8", 5);
    show("tpr of cr8", LAPIC(TPR));
    show("ppr of tpr", LAPIC(PPR));
    WRITE_REG("cr8", 0);
    LAPIC(LDR) = 0xFFFFFFFF;
    show("ldr", LAPIC(LDR));
    LAPIC(DFR) = 0x0FFFFFFF;
    show("dfr, cluster", LAPIC(DFR));
    LAPIC(DFR) = 0xFFFFFFFF;
    show("dfr, flat", LAPIC(DFR));
    LAPIC(LDR) = 0x01000000;
    LAPIC(ICR_HIGH) = 0xFFFFFFFF;
    show("icr high", LAPIC(ICR_HIGH));
    LAPIC(DIVIDE) = 0xFFFFFFFF;
    show("divide configuration", LAPIC(DIVIDE));
}

static void apic_priorities(void)
{
    forget();
    send_self(0x40);
    show("irr of a sent one", bit(IRR, 0x40));
    show("isr of a sent one", bit(ISR, 0x40));
    show("tmr of an edge", bit(TMR, 0x40));
    no_eoi = true;
    open_interrupts();
    show("irr in service", bit(IRR, 0x40));
    show("isr in service", bit(ISR, 0x40));
    show("ppr in service", LAPIC(PPR));
    send_self(0x4F); // the same class: waits
    open_interrupts();
    show("same class taken", taken[0x4F]);
    send_self(0x50);
    open_interrupts();
    show("higher class taken", taken[0x50]);
    show("ppr, two in service", LAPIC(PPR));
    LAPIC(EOI) = 0;
    show("ppr after one eoi", LAPIC(PPR));
    LAPIC(EOI) = 0;
    open_interrupts();
    show("same class taken after eoi", taken[0x4F]);
    LAPIC(EOI) = 0;
    show("ppr at the end", LAPIC(PPR));
    show_order("order");
    send_self(0x41);
    send_self(0x61);
    send_self(0x51);
    send_self(0x51); // while it is in IRR: one
    open_interrupts();
    show_order("order of three");
    LAPIC(TPR) = 0x50;
    send_self(0x51);
    open_interrupts();
    show("taken under tpr", taken[0x51]);
    LAPIC(TPR) = 0x4F;
    open_interrupts();
    show("taken under a lower tpr", taken[0x51]);
    LAPIC(TPR) = 0;
    drain();
}

static void apic_errors(void)
{
    LAPIC(ESR) = 0;
    LAPIC(ESR) = 0;
    show("esr", LAPIC(ESR));
    LAPIC(ICR_LOW) = 0x4000F;
    show("esr before it is written", LAPIC(ESR) & 0x60);
    LAPIC(ESR) = 0;
    show("esr of vector 15", LAPIC(ESR) & 0x20);
    LAPIC(ESR) = 0;
    show("esr again", LAPIC(ESR));
    drain();
}

static void apic_destinations(void)
{
    u32 id = LAPIC(APIC_ID);
    forget();
    send(0x42, id);
    open_interrupts();
    show("physical, own id", taken[0x42]);
    send(0x43, id ^ 0x04000000);
    open_interrupts();
    show("physical, nobody's id", taken[0x43]);
    send(0x44, 0xFF000000);
    open_interrupts();
    show("physical, all", taken[0x44]);
    send(0x845, 0x01000000);
    open_interrupts();
    show("logical, flat", taken[0x45]);
    send(0x846, 0x02000000);
    open_interrupts();
    show("logical, another", taken[0x46]);
    LAPIC(DFR) = 0x0FFFFFFF;
    LAPIC(LDR) = 0x21000000;
    send(0x847, 0x21000000);
    open_interrupts();
    show("logical, cluster", taken[0x47]);
    send(0x848, 0x11000000);
    open_interrupts();
    show("logical, another cluster", taken[0x48]);
    LAPIC(DFR) = 0xFFFFFFFF;
    LAPIC(LDR) = 0x01000000;
    send(0x80049, 0);
    open_interrupts();
    show("all including self", taken[0x49]);
    send(0xC004A, 0);
    open_interrupts();
    show("all but self", taken[0x4A]);
    send(0x94B, 0x01000000);
    open_interrupts();
    show("lowest priority", taken[0x4B]);
    drain();
}

static void send_nmi(void)
{
    send(0x400, LAPIC(APIC_ID));
    for (volatile unsigned i = 0; i < 100; i++) {
    }
}

static volatile unsigned nmi_depth, nmi_deepest;

static void nmi_again(void)
{
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (taken[2] == 1) { // two more while blocked: one is remembered
        send_nmi();
        send_nmi();
    }
    nmi_depth--;
}

// An IRETQ within the handler opens NMIs again (SDM 3A 6.7.1).
static void nmi_iret(void)
{
    nmi_depth++;
    nmi_deepest = nmi_depth > nmi_deepest ? nmi_depth : nmi_deepest;
    if (taken[2] == 1) {
        send_nmi();
        __asm__ volatile("movl %%ss, %%eax; movq %%rsp, %%rcx; pushq %%rax; pushq %%rcx; pushfq;"
                         "movl %%cs, %%eax; pushq %%rax; leaq 1f(%%rip), %%rax; pushq %%rax;"
                         "iretq; 1:"
                         :
                         :
                         : "rax", "rcx", "memory");
        for (volatile unsigned i = 0; i < 100; i++) {
        }
    }
    nmi_depth--;
}

static void nmi_blocking(void)
{
    forget();
    send_nmi();
    show("nmi with interrupts off", taken[2]);
    forget();
    in_handler = nmi_again;
    send_nmi();
    show("nmis, two sent in the handler", taken[2]);
    show("nmi handlers nested", nmi_deepest);
    forget();
    nmi_depth = nmi_deepest = 0;
    in_handler = nmi_iret;
    send_nmi();
    show("nmis, iret in the handler", taken[2]);
    show("nmi handlers nested by iret", nmi_deepest);
    forget();
}

static void apic_timer(void)
{
    forget();
    LAPIC(DIVIDE) = 0xB;
    LAPIC(LVT_TIMER) = 0x45;
    LAPIC(INITIAL) = 4000;
    show("count runs", LAPIC(CURRENT) <= 4000);
    wait_for(0x45, 1);
    show("one shot", taken[0x45]);
    show("count at the end", LAPIC(CURRENT));
    show("initial count at the end", LAPIC(INITIAL));
    LAPIC(LVT_TIMER) = 0x10046;
    LAPIC(INITIAL) = 1000;
    for (unsigned i = 0; i < PATIENCE && LAPIC(CURRENT); i++) {
    }
    show("masked: count", LAPIC(CURRENT));
    show("masked: irr", bit(IRR, 0x46));
    LAPIC(LVT_TIMER) = 0x46;
    open_interrupts();
    show("unmasked after the end", taken[0x46]);
    LAPIC(LVT_TIMER) = 0x20047;
    LAPIC(INITIAL) = 4000;
    wait_for(0x47, 3);
    show("periodic, three", taken[0x47] >= 3);
    LAPIC(INITIAL) = 0;
    drain();
    for (unsigned i = 0; i < 40000; i++) {
        open_interrupts();
    }
    show("periodic, stopped", taken[0x47]);
    show("count, stopped", LAPIC(CURRENT));
    LAPIC(LVT_TIMER) = 0x10000;
    drain();
}

static u32 ioapic_get(unsigned reg)
{
    IOAPIC_SELECT = reg;
    return IOAPIC_DATA;
}

static void ioapic_put(unsigned reg, u32 value)
{
    IOAPIC_SELECT = reg;
    IOAPIC_DATA = value;
}

static void pit_periodic(u16 count)
{
    outb(0x43, 0x34); // channel 0, mode 2
    outb(0x40, (u8)count);
    outb(0x40, (u8)(count >> 8));
}

static volatile u32 remote_irr[2];

// Level triggered: as the interrupt is in service, and after its EOI.
static void look_at_remote_irr(void)
{
    remote_irr[0] = ioapic_get(0x14) >> 14 & 1;
    ioapic_put(0x14, ioapic_get(0x14) | 0x10000);
    LAPIC(EOI) = 0;
    remote_irr[1] = ioapic_get(0x14) >> 14 & 1;
}

static void ioapic(void)
{
    forget();
    show("ioapic last pin", ioapic_get(1) >> 16 & 0xFF);
    for (unsigned pin = 0; pin < 24; pin++) {
        ioapic_put(0x10 + 2 * pin, 0x10000);
    }
    ioapic_put(0x10 + 2 * 20, 0xFFFFFFFF);
    show("entry, low", ioapic_get(0x10 + 2 * 20));
    ioapic_put(0x11 + 2 * 20, 0xFFFFFFFF);
    show("entry, high", ioapic_get(0x11 + 2 * 20) & 0xFF000000);
    ioapic_put(0x10 + 2 * 20, 0x10000);
    IOAPIC_SELECT = 0x14;
    show("select reads back", IOAPIC_SELECT & 0xFF);
    ioapic_put(0x15, LAPIC(APIC_ID));
    ioapic_put(0x14, 0x51); // the PIT's pin
    pit_periodic(600);
    wait_for(0x51, 2);
    show("edges taken", taken[0x51] >= 2);
    ioapic_put(0x14, 0x10051);
    drain();
    for (unsigned i = 0; i < 60000; i++) {
        open_interrupts();
    }
    show("masked, taken", taken[0x51]);
    outb(0x43, 0x30); // mode 0: the output goes up at the end and stays there
    outb(0x40, 100);
    outb(0x40, 0);
    in_handler = look_at_remote_irr;
    no_eoi = true;
    ioapic_put(0x14, 0x8052);
    wait_for(0x52, 1);
    show("level taken", taken[0x52]);
    show("remote irr in service", remote_irr[0]);
    show("remote irr after eoi", remote_irr[1]);
    forget();
    ioapic_put(0x14, 0x8052); // still up: again
    in_handler = look_at_remote_irr;
    no_eoi = true;
    wait_for(0x52, 1);
    show("level taken again", taken[0x52]);
    ioapic_put(0x14, 0x10000);
    drain();
}

static void pic_begin(void)
{
    static const u8 words[][2] = {{0x20, 0x11}, {0xA0, 0x11}, {0x21, 0x30}, {0xA1, 0x38},
                                  {0x21, 4},    {0xA1, 2},    {0x21, 1},    {0xA1, 1}};
    for (unsigned i = 0; i < sizeof(words) / 2; i++) {
        outb(words[i][0], words[i][1]);
    }
    outb(0x21, 0xFE);
    outb(0xA1, 0xFF);
}

static u8 pic_read(u8 what)
{
    outb(0x20, what);
    return inb(0x20);
}

static void pic(void)
{
    forget();
    pic_begin();
    show("imr", inb(0x21));
    show("imr of the second", inb(0xA1));
    pit_periodic(600);
    for (unsigned i = 0; i < PATIENCE && !(pic_read(0x0A) & 1); i++) {
    }
    show("irr of the 8259", pic_read(0x0A) & 1);
    show("isr of the 8259", pic_read(0x0B) & 1);
    // VECTOR_DPL0 is 0x30, an ordinary gate for interrupts.
    LAPIC(LVT_LINT0) = 0x700;
    no_eoi = true;
    wait_for(0x30, 1);
    show("through lint0", taken[0x30]);
    show("isr of the lapic", bit(ISR, 0x30));
    show("isr of the 8259 in service", pic_read(0x0B) & 1);
    outb(0x20, 0x20);
    show("isr of the 8259 after eoi", pic_read(0x0B) & 1);
    LAPIC(LVT_LINT0) = 0x10000;
    for (unsigned i = 0; i < PATIENCE && !(pic_read(0x0A) & 1); i++) {
    }
    show("poll", pic_read(0x0C));
    show("isr after poll", pic_read(0x0B) & 1);
    outb(0x20, 0x60); // specific
    show("isr after specific eoi", pic_read(0x0B) & 1);
    outb(0x21, 0xFF);
    drain();
}

static u8 pit_status(unsigned channel)
{
    outb(0x43, (u8)(0xE0 | 2u << channel));
    return inb((u16)(0x40 + channel));
}

static u16 pit_latched(unsigned channel)
{
    outb(0x43, (u8)(channel << 6));
    u8 low = inb((u16)(0x40 + channel));
    return (u16)(low | inb((u16)(0x40 + channel)) << 8);
}

static void pit(void)
{
    outb(0x61, 0);    // gate 2 off
    outb(0x43, 0xB0); // channel 2, mode 0
    show("status, no count", pit_status(2));
    outb(0x42, 0x00);
    outb(0x42, 0x40);
    show("output, gate off", inb(0x61) & 0x20);
    outb(0x61, 1);
    u16 first = pit_latched(2);
    for (volatile unsigned i = 0; i < 10000; i++) {
    }
    show("counts down", pit_latched(2) < first && first <= 0x4000);
    show("status, counting", pit_status(2) & 0xBF);
    outb(0x61, 0);
    first = pit_latched(2);
    for (volatile unsigned i = 0; i < 1000; i++) {
    }
    show("gate off holds", pit_latched(2) == first);
    outb(0x61, 1);
    for (unsigned i = 0; i < PATIENCE && !(inb(0x61) & 0x20); i++) {
    }
    show("output at the end", inb(0x61) & 0x20);
    show("status at the end", pit_status(2));
    outb(0x43, 0x90); // low byte only
    outb(0x42, 0xFF);
    show("status, low byte", pit_status(2) & 0x3F);
    outb(0x43, 0xB6); // mode 3
    outb(0x42, 0x00);
    outb(0x42, 0x10);
    show("mode 3 is even", pit_latched(2) & 1);
    show("status, mode 3", pit_status(2) & 0x3F);
    outb(0x43, 0xB1); // BCD
    outb(0x42, 0x99);
    outb(0x42, 0x00);
    u16 value = pit_latched(2);
    show("bcd digits", (value & 15) <= 9 && (value >> 4 & 15) <= 9);
    outb(0x61, 0);
}

static u8 cmos(u8 reg)
{
    outb(0x70, reg);
    return inb(0x71);
}

static void cmos_write(u8 reg, u8 value)
{
    outb(0x70, reg);
    outb(0x71, value);
}

static void rtc(void)
{
    show("rtc valid", cmos(0xD));
    cmos_write(0xA, 0x26);
    show("rtc a", cmos(0xA) & 0x7F);
    cmos_write(0xB, 0x02);
    show("rtc b", cmos(0xB));
    cmos(0xC);
    show("rtc c, quiet", cmos(0xC) & 0x80);
    cmos_write(0xB, 0x42);
    u8 c = 0;
    for (unsigned i = 0; i < PATIENCE && !(c & 0x40); i++) {
        c = cmos(0xC);
    }
    u8 again = cmos(0xC);
    show("rtc c, periodic", c & 0xC0);
    show("rtc c, read again", again & 0x80);
    cmos_write(0xB, 0x82);
    show("rtc b, set", cmos(0xB));
    cmos_write(2, 0x59);
    show("rtc minutes", cmos(2));
    cmos_write(0xB, 0x02);
    cmos_write(0x50, 0xA5);
    show("cmos ram", cmos(0x50));
}

// Argument: {msr, low, high}.
__asm__(".pushsection .text\n.balign 16\n.globl s_wrmsr_words\ns_wrmsr_words:\n"
        "movl (%rdi), %ecx\nmovl 4(%rdi), %eax\nmovl 8(%rdi), %edx\nwrmsr\nrdmsr\n"
        "shlq $32, %rdx\norq %rdx, %rax\nint $0x80\n.popsection");

static void msr(const char *name, u32 number, u64 value)
{
    u32 words[3] = {number, (u32)value, (u32)(value >> 32)};
    in_kernel(name, S(wrmsr_words), (u64)words);
}

// Argument: the type, then the descriptor.
__asm__(".pushsection .text\n.balign 16\n.globl s_invpcid_words\ns_invpcid_words:\n"
        "movq (%rdi), %rax\ninvpcid 8(%rdi), %rax\nxorl %eax, %eax\nint $0x80\n.popsection");

static void invpcid(const char *name, bool user, u64 type, u64 pcid, u64 address)
{
    static u64 words[3];
    words[0] = type, words[1] = pcid, words[2] = address;
    if (user) {
        in_user(name, S(invpcid_words), (u64)words + USER_ALIAS);
    } else {
        in_kernel(name, S(invpcid_words), (u64)words);
    }
}

#define CR4_PCIDE 0x20000u

static void pcids(void)
{
    test("");
    in_kernel("cr3 bit 63 without pcide", S(set_cr3), (u64)pml4 | (u64)1 << 63);
    invpcid("invpcid 0 without pcide", false, 0, 0, 0);
    invpcid("invpcid 0, pcid without pcide", false, 0, 1, 0);
    invpcid("invpcid 1, pcid without pcide", false, 1, 1, 0);
    invpcid("invpcid 2, pcid without pcide", false, 2, 1, 0);
    invpcid("invpcid user", true, 2, 0, 0);
    WRITE_REG("cr3", (u64)pml4 | 8);
    in_kernel("pcide with bits in cr3", S(set_cr4), CR4_BASE | CR4_PCIDE);
    WRITE_REG("cr3", (u64)pml4);
    in_kernel("pcide", S(set_cr4), CR4_BASE | CR4_PCIDE);
    WRITE_REG("cr4", CR4_BASE | CR4_PCIDE);
    u64 low = (u64)pml4 & 0xFFF; // none
    in_kernel("cr3 with a pcid", S(set_cr3), (u64)pml4 | 5);
    show("cr3 keeps the pcid", (READ_REG("cr3") & 0xFFF) - low);
    in_kernel("cr3 bit 63 with pcide", S(set_cr3), (u64)pml4 | 6 | (u64)1 << 63);
    show("cr3 drops bit 63", READ_REG("cr3") >> 63);
    in_kernel("cr3 bit 62 with pcide", S(set_cr3), (u64)pml4 | (u64)1 << 62);
    for (u64 type = 0; type < 5; type++) {
        invpcid("invpcid, by type", false, type, 5, 0);
    }
    invpcid("invpcid, not canonical", false, 0, 5, (u64)1 << 47);
    invpcid("invpcid 1 looks at no address", false, 1, 5, (u64)1 << 47);
    invpcid("invpcid, reserved bits", false, 1, 0x1000, 0);
    WRITE_REG("cr3", (u64)pml4);
}

static void msrs(void)
{
    const u64 bad = (u64)1 << 47;
    test("");
    msr("efer reserved", 0xC0000080, 0xD03);
    msr("efer without lme", 0xC0000080, 0xC01);
    msr("efer without sce", 0xC0000080, 0xD00);
    msr("star", 0xC0000081, 0x0123456789ABCDEF);
    msr("lstar", 0xC0000082, ~(u64)0);
    msr("lstar not canonical", 0xC0000082, bad);
    msr("cstar not canonical", 0xC0000083, bad);
    msr("sfmask", 0xC0000084, 0xFFFFFFFF);
    msr("sfmask upper", 0xC0000084, (u64)1 << 32);
    msr("gs base not canonical", 0xC0000101, bad);
    msr("kernel gs base", 0xC0000102, ~(u64)0xFFF);
    msr("kernel gs base not canonical", 0xC0000102, bad);
    msr("tsc aux", 0xC0000103, 0xFFFFFFFF);
    msr("tsc aux upper", 0xC0000103, (u64)1 << 32);
    msr("sysenter cs", 0x174, 8);
    msr("sysenter esp not canonical", 0x175, bad);
    msr("sysenter eip not canonical", 0x176, bad);
    msr("pat", 0x277, 0x0007040600070406);
    msr("pat type 2", 0x277, 0x0007040600070402);
    msr("pat type 8", 0x277, 0x0807040600070406);
    msr("mtrr capabilities", 0xFE, 0);
    msr("mtrr default type", 0x2FF, 0xC06);
    msr("mtrr default type reserved", 0x2FF, 0x1C06);
    msr("mtrr default type 2", 0x2FF, 0xC02);
    msr("mtrr fixed", 0x250, 0x0606060606060606);
    msr("mtrr fixed type 7", 0x250, 0x0706060606060606);
    msr("mtrr base type 2", 0x200, 2);
    msr("mtrr base reserved", 0x200, 0x106);
    msr("mtrr mask reserved", 0x201, 0x1);
    msr("apic base reserved", 0x1B, 0xFEE00801);
    msr("x2apic in xapic mode", 0x802, 0);
    msr("x2apic tpr in xapic mode", 0x808, 0);
    test("");
    wrmsr(0x2FF, 0xC00);
    wrmsr(0x10, 0x1000);
    show("tsc was set", rdmsr(0x10) >= 0x1000 && rdmsr(0x10) < 0x1000000000);
    u64 before = rdmsr(0x10);
    show("tsc goes on", rdmsr(0x10) > before);
}

int main(void)
{
    console_begin();
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    device_pd[(0xFEC00000 - 0xC0000000) / 0x200000] = 0xFEC00083;
    test("");
    wrmsr(0x1B, rdmsr(0x1B) | 0x800);
    on_trap = take_interrupt;
    apic_registers();
    apic_priorities();
    apic_errors();
    apic_destinations();
    nmi_blocking();
    apic_timer();
    ioapic();
    pic();
    pit();
    rtc();
    on_trap = NULL;
    msrs();
    if (!on_tcg()) {
        pcids();
    }
    end_of_kernel();
}
