// SPDX-License-Identifier: MIT
// Local APIC timer and end of interrupt, IOAPIC routing, vectors and their handlers. The 8259s are
// masked for good.
#include "arch/x86_64/apic.h"

#include "abi/errno.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"
#include "lib/math.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "sched/lock.h"
#include "sched/timer.h"

#define APIC_BASE 0xfee00000UL
#define APIC_ID 0x20
#define APIC_EOI 0xb0
#define APIC_SPURIOUS 0xf0
#define APIC_TPR 0x80
#define APIC_ICR_LOW 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0
#define LVT_MASKED 0x10000u
#define LVT_TSC_DEADLINE 0x40000u
#define MSR_TSC_DEADLINE 0x6e0
#define ICR_NMI 0x400u
#define ICR_INIT 0x500u
#define ICR_STARTUP 0x600u
#define ICR_BUSY 0x1000u
#define ICR_ASSERT 0x4000u
#define ICR_ALL_BUT_SELF 0xc0000u

#define IOAPIC_BASE 0xfec00000UL
#define IOAPIC_MAX_PINS 120
#define FIRST_DEVICE_VECTOR 0x30
#define LAST_DEVICE_VECTOR 0xdf
#define REDIR_MASKED 0x10000u
#define REDIR_LEVEL 0x8000u
#define REDIR_LOW 0x2000u

struct irq_action {
    irq_handler_t fn;
    void *data;
    const char *name;
    struct irq_action *next;
};
static struct {
    struct irq_action *actions;
    int gsi; // -1 = MSI
    bool level;
} vectors[256];
static unsigned next_vector = FIRST_DEVICE_VECTOR;
static u8 gsi_vector[IOAPIC_MAX_PINS]; // 0 = none
static DEFINE_SPINLOCK(vector_lock);
static volatile u8 *apic, *ioapic;
static unsigned ioapic_pins;
static u64 apic_timer_hz; // of the one-shot counter

static u32 apic_read(u32 reg)
{
    return mmio_read32(apic + reg);
}

static void apic_write(u32 reg, u32 v)
{
    mmio_write32(apic + reg, v);
}

void apic_eoi(void)
{
    apic_write(APIC_EOI, 0);
}

static void pic_disable(void)
{
    static const u16 ports[2] = {0x20, 0xa0};
    for (int i = 0; i < 2; i++) {
        outb(ports[i], 0x11);                   // ICW1: initialise, ICW4 follows
        outb(ports[i] + 1, (u8)(0x20 + 8 * i)); // ICW2: vectors, should a spurious one come
        outb(ports[i] + 1, i ? 2 : 4);          // ICW3: cascade on IRQ 2
        outb(ports[i] + 1, 1);                  // ICW4: 8086 mode
        outb(ports[i] + 1, 0xff);               // all masked
    }
}

// Counter frequency: the crystal of CPUID 0x15 when it is given, else measured against the TSC
// clock.
static void timer_calibrate(void)
{
    if (cpu_features.genuine_intel && cpu_features.max_leaf >= 0x15 && cpuid(0x15, 0).ecx) {
        apic_timer_hz = cpuid(0x15, 0).ecx;
        return;
    }
    apic_write(APIC_TIMER_INITIAL, ~0u);
    u64 start = ktime_get();
    ndelay_busy(2 * NSEC_PER_MSEC);
    u64 ticks = ~0u - apic_read(APIC_TIMER_CURRENT), ns = ktime_get() - start;
    apic_write(APIC_TIMER_INITIAL, 0);
    apic_timer_hz = ticks * NSEC_PER_SEC / ns;
}

static void local_setup(void)
{
    apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    apic_write(APIC_TPR, 0);
    apic_write(APIC_LVT_LINT0, LVT_MASKED);
    apic_write(APIC_LVT_LINT1, LVT_MASKED);
    apic_write(APIC_LVT_ERROR, LVT_MASKED);
    apic_write(APIC_TIMER_DIVIDE, 0xb); // divide by 1
    apic_write(APIC_LVT_TIMER, LVT_MASKED | VECTOR_TIMER);
    if (cpu_features.tsc_deadline) {
        apic_write(APIC_LVT_TIMER, LVT_TSC_DEADLINE | VECTOR_TIMER);
        __asm__ volatile("mfence" ::: "memory"); // SDM vol. 3 section 10.5.4.1
    } else {
        if (!apic_timer_hz)
            timer_calibrate();
        apic_write(APIC_LVT_TIMER, VECTOR_TIMER);
    }
}

void apic_init(void)
{
    pic_disable();
    apic = ioremap(APIC_BASE, PAGE_SIZE);
    if (!apic)
        panic("no memory for the local APIC mapping");
    local_setup();
    pr_info("apic: timer %s, %lu Hz", cpu_features.tsc_deadline ? "TSC deadline" : "one-shot",
            cpu_features.tsc_deadline ? clock_cycles_per_second() : apic_timer_hz);
}

void apic_init_cpu(void)
{
    local_setup();
}

static void icr_send(u32 apic_id, u32 command)
{
    unsigned long flags = local_irq_save();
    while (apic_read(APIC_ICR_LOW) & ICR_BUSY)
        cpu_relax();
    apic_write(APIC_ICR_HIGH, apic_id << 24);
    apic_write(APIC_ICR_LOW, command);
    local_irq_restore(flags);
}

void apic_send_ipi(u32 apic_id, unsigned vector)
{
    icr_send(apic_id, ICR_ASSERT | vector);
}

void apic_send_nmi_to_others(void)
{
    icr_send(0, ICR_ALL_BUT_SELF | ICR_ASSERT | ICR_NMI);
}

void apic_send_init(u32 apic_id)
{
    icr_send(apic_id, ICR_ASSERT | ICR_INIT);
}

void apic_send_startup(u32 apic_id, u64 page)
{
    icr_send(apic_id, ICR_ASSERT | ICR_STARTUP | (u32)(page >> PAGE_SHIFT));
}

void apic_timer_arm(u64 delta_ns)
{
    if (cpu_features.tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, delta_ns == ~0UL ? 0 : clock_tsc_at(ktime_get() + delta_ns));
        return;
    }
    if (delta_ns == ~0UL) {
        apic_write(APIC_TIMER_INITIAL, 0);
        return;
    }
    u64 ticks = mul_div_u64(delta_ns, apic_timer_hz, NSEC_PER_SEC);
    apic_write(APIC_TIMER_INITIAL, (u32)min(ticks, (u64)~0u - 1) + 1);
}

static u32 ioapic_read(u32 reg)
{
    mmio_write32(ioapic, reg);
    return mmio_read32(ioapic + 0x10);
}

static void ioapic_write(u32 reg, u32 v)
{
    mmio_write32(ioapic, reg);
    mmio_write32(ioapic + 0x10, v);
}

void ioapic_init(void)
{
    ioapic = ioremap(IOAPIC_BASE, PAGE_SIZE);
    if (!ioapic)
        panic("no memory for the IOAPIC mapping");
    ioapic_pins = min((ioapic_read(1) >> 16 & 0xff) + 1, (u32)IOAPIC_MAX_PINS);
    for (unsigned pin = 0; pin < ioapic_pins; pin++)
        ioapic_write(0x10 + 2 * pin, REDIR_MASKED);
}

// ISA IRQ 0 is wired to pin 2 (the MADT's usual override); all others to their own number.
static unsigned gsi_pin(unsigned gsi)
{
    return gsi == 0 ? 2 : gsi;
}

static int vector_alloc(int gsi, bool level)
{
    if (next_vector > LAST_DEVICE_VECTOR)
        return -ENOSPC;
    vectors[next_vector].gsi = gsi;
    vectors[next_vector].level = level;
    return (int)next_vector++;
}

static void action_add(unsigned vector, struct irq_action *a)
{
    a->next = vectors[vector].actions;
    smp_store_release(&vectors[vector].actions, a);
}

static struct irq_action *action_new(irq_handler_t fn, void *data, const char *name)
{
    struct irq_action *a = kmalloc(sizeof(*a), GFP_KERNEL);
    if (a)
        *a = (struct irq_action){fn, data, name, NULL};
    return a;
}

int irq_request(unsigned gsi, irq_handler_t fn, void *data, const char *name, bool level)
{
    if (gsi_pin(gsi) >= ioapic_pins)
        return -EINVAL;
    struct irq_action *a = action_new(fn, data, name);
    if (!a)
        return -ENOMEM;
    unsigned long flags;
    spin_lock_irqsave(&vector_lock, flags);
    int vector = gsi_vector[gsi] ? gsi_vector[gsi] : vector_alloc((int)gsi, level);
    if (vector > 0) {
        gsi_vector[gsi] = (u8)vector;
        action_add((unsigned)vector, a);
        unsigned pin = gsi_pin(gsi);
        ioapic_write(0x11 + 2 * pin, cpus[0].apic_id << 24);
        ioapic_write(0x10 + 2 * pin,
                     (u32)vector | (level ? REDIR_LEVEL | (gsi >= 16 ? REDIR_LOW : 0) : 0));
    }
    spin_unlock_irqrestore(&vector_lock, flags);
    if (vector < 0)
        kfree(a);
    return vector < 0 ? vector : 0;
}

static void irq_set_mask(unsigned gsi, bool masked)
{
    unsigned long flags;
    unsigned reg = 0x10 + 2 * gsi_pin(gsi);
    spin_lock_irqsave(&vector_lock, flags);
    u32 v = ioapic_read(reg);
    ioapic_write(reg, masked ? v | REDIR_MASKED : v & ~REDIR_MASKED);
    spin_unlock_irqrestore(&vector_lock, flags);
}

void irq_mask(unsigned gsi)
{
    irq_set_mask(gsi, true);
}

void irq_unmask(unsigned gsi)
{
    irq_set_mask(gsi, false);
}

int msi_request(irq_handler_t fn, void *data, const char *name, u64 *msi_addr, u32 *msi_data)
{
    struct irq_action *a = action_new(fn, data, name);
    if (!a)
        return -ENOMEM;
    unsigned long flags;
    spin_lock_irqsave(&vector_lock, flags);
    int vector = vector_alloc(-1, false);
    if (vector > 0)
        action_add((unsigned)vector, a);
    spin_unlock_irqrestore(&vector_lock, flags);
    if (vector < 0) {
        kfree(a);
        return vector;
    }
    *msi_addr = 0xfee00000UL | (u64)cpus[0].apic_id << 12;
    *msi_data = (u32)vector;
    return 0;
}

// The kernel's own vectors come first.
static const struct irq_source local_sources[] = {
    {VECTOR_TIMER, VECTOR_TIMER, NULL, "local timer"},
    {VECTOR_RESCHEDULE, 0, "RES", "Rescheduling interrupts"},
    {VECTOR_CALL, 0, "CAL", "Function call interrupts"},
};

bool irq_describe(unsigned i, struct irq_source *s)
{
    if (i < ARRAY_SIZE(local_sources)) {
        *s = local_sources[i];
        return true;
    }
    unsigned v = FIRST_DEVICE_VECTOR + i - (unsigned)ARRAY_SIZE(local_sources);
    if (v >= next_vector)
        return false;
    *s = (struct irq_source){v, vectors[v].gsi >= 0 ? (unsigned)vectors[v].gsi : v, NULL,
                             vectors[v].actions->name};
    return true;
}

u64 irq_count(unsigned vector)
{
    u64 n = 0;
    for (unsigned c = 0; c < nr_cpus_online; c++)
        n += READ_ONCE(cpus[c].irq_count[vector]);
    return n;
}

void interrupt_vector(struct pt_regs *regs, unsigned vector)
{
    preempt_count_add(PREEMPT_HARDIRQ);
    this_cpu()->irq_count[vector]++;
    if (vector == VECTOR_TIMER) {
        apic_eoi();
        timer_interrupt(user_mode(regs));
    } else if (vector == VECTOR_RESCHEDULE) {
        apic_eoi(); // the way out looks at need_resched
    } else if (vector == VECTOR_CALL) {
        apic_eoi();
        smp_serve_calls();
    } else if (vector != VECTOR_SPURIOUS) {
        for (struct irq_action *a = smp_load_acquire(&vectors[vector].actions); a; a = a->next)
            a->fn(vectors[vector].gsi >= 0 ? (unsigned)vectors[vector].gsi : vector, a->data);
        apic_eoi();
    }
    preempt_count_sub(PREEMPT_HARDIRQ);
}
