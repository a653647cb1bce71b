// SPDX-License-Identifier: MIT
// The other CPUs: INIT and start-up IPIs (SDM vol. 3 section 8.4), calls between CPUs.
#include "arch/x86_64/smp.h"

#include "arch/x86_64/apic.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/thread.h"
#include "drivers/acpi.h"
#include "init/init.h"
#include "lib/bitops.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "mm/slab.h"
#include "sched/sched.h"

#define START_TIMEOUT_NS (1 * NSEC_PER_SEC)
#define SIPI_DELAY_NS (200 * NSEC_PER_USEC)
#define INIT_DELAY_NS (10 * NSEC_PER_USEC)

extern const char ap_trampoline[], ap_trampoline_end[];
// Read by ap_boot.S; one CPU starts at a time.
u64 ap_boot_cr3, ap_boot_stack;
struct cpu *ap_boot_cpu;
void ap_start(struct cpu *c);

// --- calls

// What each CPU has been asked, a slot for each asker: no locks.
static struct call_queue {
    u64 pending; // bit per asker
    struct {
        smp_call_t fn;
        void *arg;
    } slot[NR_CPUS];
    u64 waiting; // as asker: CPUs that have not answered yet
} __aligned(64) calls[NR_CPUS];

void smp_send_reschedule(unsigned cpu)
{
    apic_send_ipi(cpus[cpu].apic_id, VECTOR_RESCHEDULE);
}

void smp_serve_calls(void)
{
    unsigned me = smp_processor_id();
    struct call_queue *q = &calls[me];
    u64 askers;
    if (!__atomic_load_n(&q->pending, __ATOMIC_RELAXED))
        return;
    while ((askers = __atomic_exchange_n(&q->pending, 0, __ATOMIC_SEQ_CST)))
        for (; askers; askers &= askers - 1) {
            unsigned asker = ctz64(askers);
            q->slot[asker].fn(q->slot[asker].arg);
            __atomic_and_fetch(&calls[asker].waiting, ~BIT(me), __ATOMIC_SEQ_CST);
        }
}

void smp_call_many(u64 mask, smp_call_t fn, void *arg)
{
    preempt_disable();
    BUG_ON(in_irq());
    unsigned me = smp_processor_id();
    struct call_queue *mine = &calls[me];
    mask &= cpu_online_mask() & ~BIT(me);
    __atomic_store_n(&mine->waiting, mask, __ATOMIC_RELAXED);
    for (u64 left = mask; left; left &= left - 1) {
        struct call_queue *q = &calls[ctz64(left)];
        q->slot[me].fn = fn;
        q->slot[me].arg = arg;
        // Somebody else's interrupt is on its way if there is a bit already.
        if (!__atomic_fetch_or(&q->pending, BIT(me), __ATOMIC_SEQ_CST))
            apic_send_ipi(cpus[ctz64(left)].apic_id, VECTOR_CALL);
    }
    while (__atomic_load_n(&mine->waiting, __ATOMIC_ACQUIRE)) {
        if (irqs_disabled())
            smp_serve_calls();
        cpu_relax();
    }
    preempt_enable();
}

// --- the end

static bool stopping;

void smp_stop_others(void)
{
    __atomic_store_n(&stopping, true, __ATOMIC_SEQ_CST);
    if (nr_cpus_online > 1)
        apic_send_nmi_to_others();
}

bool smp_stopping(void)
{
    return __atomic_load_n(&stopping, __ATOMIC_ACQUIRE);
}

// --- start

// First C code of another CPU, on its idle task's stack, interrupts off.
void ap_start(struct cpu *c)
{
    cpu_init_ap(c);
    fpu_init_cpu();
    apic_init_cpu();
    __atomic_store_n(&c->online, true, __ATOMIC_RELEASE);
    cpu_idle_loop();
}

// Idle task, descriptor tables and run queue of a CPU that is about to start. False without memory.
static bool cpu_prepare(unsigned id, u32 apic_id)
{
    struct cpu *c = &cpus[id];
    struct task_struct *idle = task_dup(&init_task);
    struct arch_cpu *a = kzalloc(sizeof(*a), GFP_KERNEL);
    if (!idle || !a) {
        if (idle)
            task_discard(idle);
        kfree(a);
        return false;
    }
    scnprintf(idle->comm, sizeof(idle->comm), "swapper/%u", id);
    sched_init_idle(idle, id);
    *c = (struct cpu){.self = c,
                      .id = id,
                      .apic_id = apic_id,
                      .arch = a,
                      .task = idle,
                      .idle = idle,
                      .active_mm = &init_mm,
                      .kernel_sp = (u64)idle->stack + KERNEL_STACK_SIZE};
    a->tss.rsp0 = c->kernel_sp;
    return true;
}

static bool wait_online(const struct cpu *c, u64 ns)
{
    u64 end = ktime_get() + ns;
    while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
        if (ktime_get() >= end)
            return false;
        cpu_relax();
    }
    return true;
}

static bool cpu_start(unsigned id, u32 apic_id, u64 page)
{
    if (!cpu_prepare(id, apic_id)) {
        pr_warn("smp: no memory for CPU %u", id);
        return false;
    }
    struct cpu *c = &cpus[id];
    ap_boot_cr3 = virt_to_phys(init_mm.pgd);
    ap_boot_stack = c->kernel_sp;
    ap_boot_cpu = c;
    smp_mb();
    apic_send_init(apic_id);
    ndelay_busy(INIT_DELAY_NS);
    apic_send_startup(apic_id, page);
    if (wait_online(c, SIPI_DELAY_NS))
        return true;
    apic_send_startup(apic_id, page);
    if (wait_online(c, START_TIMEOUT_NS))
        return true;
    // It may still come: what was prepared for it stays.
    pr_err("smp: CPU with APIC id %u does not start", apic_id);
    return false;
}

// APIC ids of the machine's CPUs: the MADT's, else the device tree's.
static unsigned cpu_ids(u32 *ids, unsigned max)
{
    unsigned n = acpi_cpu_ids(ids, max);
    struct dt_node *node = n ? NULL : dt_find("/cpus");
    for (node = node ? node->child : NULL; node && n < max; node = node->next) {
        const struct dt_prop *type = dt_prop_get(node, "device_type"),
                             *reg = dt_prop_get(node, "reg");
        if (!type || strcmp(type->data, "cpu") || !reg || reg->len < 4)
            continue;
        const u8 *id = (const u8 *)reg->data + reg->len - 4; // big-endian, low word
        ids[n++] = (u32)id[0] << 24 | (u32)id[1] << 16 | (u32)id[2] << 8 | id[3];
    }
    return n;
}

static unsigned option(const char *name, unsigned fallback)
{
    char text[16];
    u64 v;
    if (!cmdline_get(name, text, sizeof(text)) || kstrtou64(text, 10, &v))
        return fallback;
    return (unsigned)clamp(v, 1UL, (u64)NR_CPUS);
}

void smp_init(void)
{
    u32 ids[NR_CPUS];
    unsigned found = cpu_ids(ids, NR_CPUS), n = 0;
    unsigned possible = option("nr_cpus", NR_CPUS),
             most = min(option("maxcpus", NR_CPUS), possible);
    nr_cpus_possible = clamp(found, 1u, possible);
    if (nr_cpus_possible == 1)
        return;
    u64 page = boot_low_page();
    if (!page) {
        pr_warn("smp: no RAM below 1 MiB to start CPUs from");
        return;
    }
    memcpy(__va(page), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    for (unsigned i = 0; i < found && nr_cpus_online < most; i++) {
        if (ids[i] == cpus[0].apic_id || ids[i] >= 0xff)
            continue;
        if (!cpu_start(nr_cpus_online, ids[i], page))
            break;
        __atomic_store_n(&nr_cpus_online, nr_cpus_online + 1, __ATOMIC_SEQ_CST);
        n++;
    }
    pr_info("smp: %u CPUs", n + 1);
}
