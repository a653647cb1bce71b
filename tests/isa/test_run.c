// SPDX-License-Identifier: MIT
// cpu_run(): steps counted to the letter, exits, boundaries, and the clock that devices see
// (DESIGN.md, invariants 1, 3).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/isa/bare.h"

#define CODE BARE_USER
#define STACK (BARE_USER + 0x10000)
#define MMIO_LINEAR (BARE_USER + 0x20000)
#define MMIO_PHYSICAL UINT64_C(0xFE000000)

// A device at a port and in memory: notes the step of each access and does what it was told.
struct device {
    struct bare *b;
    u64 step[8], value[8];
    unsigned accesses;
    bool kick, raise;
};

static u64 device_read(void *dev, u64 offset, unsigned size)
{
    struct device *d = dev;
    struct cpu_signal s = cpu_signal(d->b->cpu);
    d->step[d->accesses++ & 7] = d->b->clock.step;
    if (d->kick) {
        s.ops->kick(s.cpu);
    }
    if (d->raise) {
        s.ops->set_intr(s.cpu, true);
    }
    return 0x55;
}

static void device_write(void *dev, u64 offset, u64 value, unsigned size)
{
    struct device *d = dev;
    d->value[d->accesses & 7] = value;
    device_read(dev, offset, size);
}

static const struct io_ops device_ops = {.read = device_read, .write = device_write};

static u8 acknowledge(void *apic)
{
    struct device *d = apic;
    struct cpu_signal s = cpu_signal(d->b->cpu);
    s.ops->set_intr(s.cpu, false);
    return 17; // a vector the bare IDT has
}

static u8 get_cr8(void *apic)
{
    return 0;
}

static void set_cr8(void *apic, u8 value)
{
}

static const struct cpu_apic_ops apic_ops = {
    .acknowledge = acknowledge, .get_cr8 = get_cr8, .set_cr8 = set_cr8};

static struct bare *b;
static struct device device;

static int setup(void **state)
{
    b = bare_create(TLB_FULL);
    device = (struct device){.b = b};
    b->apic = (struct cpu_apic){&apic_ops, &device};
    struct status s = io_space_add(b->ports, 0x100, 16, &device_ops, &device, "test");
    assert_true(status_ok(&s));
    s = io_space_add(b->mmio, MMIO_PHYSICAL, 0x1000, &device_ops, &device, "test");
    assert_true(status_ok(&s));
    u64 entry = MMIO_PHYSICAL | 3;
    memcpy(b->mem->ram + BARE_TABLES + 0x3000 + (MMIO_LINEAR >> PAGE_SHIFT) * 8, &entry, 8);
    return 0;
}

static int teardown(void **state)
{
    bare_destroy(b);
    return 0;
}

// Kernel code at CODE, registers zero but rsp; rbx = MMIO_LINEAR.
static void start(const char *code, size_t size, u64 rflags)
{
    physmem_write(b->mem, CODE, code, size);
    struct cpu_regs r = bare_user_regs(b, CODE);
    memset(r.gpr, 0, sizeof(r.gpr));
    r.seg[CPU_CS] = (struct cpu_segment){0x08, 0xA09B, 0xFFFFFFFF, 0};
    r.seg[CPU_SS] = (struct cpu_segment){0x10, 0xC093, 0xFFFFFFFF, 0};
    r.cpl = 0;
    r.gpr[CPU_RSP] = STACK;
    r.gpr[CPU_RBX] = MMIO_LINEAR;
    r.rflags = rflags | 2;
    cpu_set_regs(b->cpu, &r);
}
#define START(code, rflags) start(code, sizeof(code) - 1, rflags)

static struct cpu_regs regs(void)
{
    struct cpu_regs r;
    cpu_get_regs(b->cpu, &r);
    return r;
}

static u64 rip_of(int vector)
{
    return BARE_HANDLERS + (u64)vector * 16;
}

static void test_budget(void **state)
{
    START("\x90\x90\x90\x90\xEB\xFA", 0); // four nops, a jump back to the first
    for (u64 total = 0, budget = 1; budget < 40; budget++) {
        assert_int_equal(cpu_run(b->cpu, budget), CPU_EXIT_BUDGET);
        total += budget;
        assert_int_equal(b->clock.step, total);
        assert_int_equal(regs().rip, CODE + total % 5);
    }
    struct cpu_counters c;
    cpu_get_counters(b->cpu, &c);
    assert_int_equal(c.instructions, b->clock.step);
    assert_int_equal(c.ring0_steps, b->clock.step);
}

static void test_halt(void **state)
{
    START("\x90\xF4\x90", 0);
    assert_int_equal(cpu_run(b->cpu, 10), CPU_EXIT_HALTED);
    assert_int_equal(b->clock.step, 2);
    assert_int_equal(cpu_run(b->cpu, 10), CPU_EXIT_HALTED);
    struct cpu_signal s = cpu_signal(b->cpu);
    s.ops->set_intr(s.cpu, true); // IF is clear
    assert_true(cpu_is_asleep(b->cpu));
    assert_int_equal(cpu_run(b->cpu, 10), CPU_EXIT_HALTED);
    assert_int_equal(b->clock.step, 2);
    s.ops->raise_nmi(s.cpu);
    assert_false(cpu_is_asleep(b->cpu));
    assert_int_equal(cpu_run(b->cpu, 1), CPU_EXIT_BUDGET); // the delivery is the step
    assert_int_equal(b->clock.step, 3);
    assert_int_equal(regs().rip, rip_of(2));
}

static void test_fault_costs_its_delivery(void **state)
{
    START("\x90\x0F\x0B", 0); // nop; ud2
    assert_int_equal(cpu_run(b->cpu, 1), CPU_EXIT_BUDGET);
    assert_int_equal(regs().rip, CODE + 1);
    assert_int_equal(cpu_run(b->cpu, 1), CPU_EXIT_BUDGET);
    assert_int_equal(b->clock.step, 2);
    assert_int_equal(regs().rip, rip_of(6));
    struct cpu_counters c;
    cpu_get_counters(b->cpu, &c);
    assert_int_equal(c.instructions, 1);
}

static void test_int_costs_one(void **state)
{
    START("\xCC", 0); // int3
    cpu_run(b->cpu, 1);
    assert_int_equal(b->clock.step, 1);
    assert_int_equal(regs().rip, rip_of(3));
}

static void test_rep(void **state)
{
    START("\xB9\x0A\x00\x00\x00\x48\x8D\x7C\x24\x40\xF3\xAA\x90",
          0); // mov ecx,10; lea rdi,[rsp+64]; rep stosb; nop
    cpu_run(b->cpu, 2 + 3);
    assert_int_equal(regs().gpr[CPU_RCX], 7);
    assert_int_equal(regs().rip, CODE + 10);
    cpu_run(b->cpu, 6);
    assert_int_equal(regs().gpr[CPU_RCX], 1);
    assert_int_equal(regs().rip, CODE + 10);
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().gpr[CPU_RCX], 0);
    assert_int_equal(regs().rip, CODE + 12);
    assert_int_equal(b->clock.step, 12);
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, CODE + 13);
    START("\xF3\xAA\x90", 0); // rcx = 0: one step
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, CODE + 2);
}

static void test_clock_at_devices(void **state)
{
    // nop; mov eax,[rbx]; nop; mov [rbx],eax; nop; in al,dx at port 0x100; jmp $
    START("\x90\x8B\x03\x90\x89\x03\x90\x66\xBA\x00\x01\xEC\xEB\xFE", 0);
    cpu_run(b->cpu, 20);
    assert_int_equal(device.accesses, 3);
    assert_int_equal(device.step[0], 1);
    assert_int_equal(device.step[1], 3);
    assert_int_equal(device.step[2], 6);
    assert_int_equal(device.value[1], 0x55);
    assert_int_equal(b->clock.step, 20);
}

static void test_kick(void **state)
{
    START("\x90\x90\x8B\x03\x90\x90\x90\xEB\xFE", 0);
    device.kick = true;
    assert_int_equal(cpu_run(b->cpu, 100), CPU_EXIT_KICK);
    assert_int_equal(b->clock.step, 3);
    assert_int_equal(regs().rip, CODE + 4);
    assert_int_equal(cpu_run(b->cpu, 1), CPU_EXIT_BUDGET);
    assert_int_equal(regs().rip, CODE + 5);
    START("\x90\x90\x8B\x03\x90\xEB\xFE", 0); // also where the budget ends there
    assert_int_equal(cpu_run(b->cpu, 3), CPU_EXIT_KICK);
}

static void test_interrupt_after_the_access(void **state)
{
    START("\x90\x89\x03\x90\x90\x90\xEB\xFE", 0x200);
    device.raise = true;
    cpu_run(b->cpu, 3); // nop, store, delivery
    assert_int_equal(regs().rip, rip_of(17));
    u64 frame[2];
    memcpy(frame, b->mem->ram + regs().gpr[CPU_RSP], sizeof(frame));
    assert_int_equal(frame[0], CODE + 3);
}

static void test_sti_shadow(void **state)
{
    START("\xFB\x90\x90\x90\xEB\xFE", 0); // sti; nop...
    struct cpu_signal s = cpu_signal(b->cpu);
    s.ops->set_intr(s.cpu, true);
    cpu_run(b->cpu, 2);
    assert_int_equal(regs().rip, CODE + 2);
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, rip_of(17));
    assert_int_equal(b->clock.step, 3);
}

static void test_single_step(void **state)
{
    START("\x90\x90\x90", 0x100); // TF
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, CODE + 1);
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, rip_of(1));
    u64 frame[3];
    memcpy(frame, b->mem->ram + regs().gpr[CPU_RSP], sizeof(frame));
    assert_int_equal(frame[0], CODE + 1);
    assert_int_equal(frame[2] & 0x100, 0x100);
}

static void test_rep_single_step(void **state)
{
    START("\xF3\xAA\x90", 0x100);
    struct cpu_regs r = regs();
    r.gpr[CPU_RCX] = 5;
    r.gpr[CPU_RDI] = STACK + 0x100;
    cpu_set_regs(b->cpu, &r);
    cpu_run(b->cpu, 2); // one iteration, the trap
    assert_int_equal(regs().rip, rip_of(1));
    assert_int_equal(regs().gpr[CPU_RCX], 4);
    u64 frame[1];
    memcpy(frame, b->mem->ram + regs().gpr[CPU_RSP], sizeof(frame));
    assert_int_equal(frame[0], CODE);
}

static void test_rep_under_interrupt(void **state)
{
    // mov ecx,5; mov rdi,rbx; rep stosd to the device: the interrupt comes between iterations
    START("\xB9\x05\x00\x00\x00\x48\x89\xDF\xF3\xAB\xEB\xFE", 0x200);
    device.raise = true;
    cpu_run(b->cpu, 4); // two moves, one iteration, the delivery
    assert_int_equal(regs().rip, rip_of(17));
    assert_int_equal(regs().gpr[CPU_RCX], 4);
    assert_int_equal(device.accesses, 1);
    u64 frame[1];
    memcpy(frame, b->mem->ram + regs().gpr[CPU_RSP], sizeof(frame));
    assert_int_equal(frame[0], CODE + 8);
}

static void each_undefined(void *ctx, const char *mnemonic, u64 count)
{
    assert_string_equal(mnemonic, "vaddps");
    *(u64 *)ctx += count;
}

// A triple fault: the delivery that ends in it costs nothing, and the state stays what it is.
static void test_shutdown(void **state)
{
    START("\x90\x0F\x0B", 0); // nop; ud2
    struct cpu_regs r = regs();
    r.idtr_limit = 0;
    cpu_set_regs(b->cpu, &r);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cpu_run(b->cpu, 100), CPU_EXIT_SHUTDOWN);
        assert_int_equal(b->clock.step, 1);
        assert_int_equal(regs().rip, CODE + 1);
    }
}

static void test_undefined_is_counted(void **state)
{
    START("\x62\xF1\x74\x48\x58\xC2", 0); // vaddps zmm0, zmm1, zmm2
    cpu_run(b->cpu, 1);
    assert_int_equal(regs().rip, rip_of(6));
    u64 count = 0;
    cpu_each_undefined(b->cpu, each_undefined, &count);
    assert_int_equal(count, 1);
}

// Each event is emitted when it is wanted, with what its row in probes.def names, and a sink may
// stop the run right after its instruction or delivery.
struct sink {
    struct probe_event event;
    unsigned count;
};

static void sink(void *ctx, const struct probe_event *event)
{
    struct sink *s = ctx;
    s->event = *event;
    s->count++;
    cpu_stop(b->cpu);
}

// Runs until the event that the second instruction causes, at byte offset.
static struct probe_event event_at(enum probe_kind kind, u64 offset)
{
    struct sink s = {0};
    b->probes = (struct probes){BIT(kind), sink, &s};
    u64 begin = b->clock.step;
    assert_int_equal(cpu_run(b->cpu, 100), CPU_EXIT_STOPPED);
    b->probes = (struct probes){0};
    assert_int_equal(s.count, 1);
    assert_int_equal(s.event.kind, kind);
    assert_int_equal(s.event.step, begin + 1);
    assert_int_equal(s.event.rip, CODE + offset);
    assert_int_equal(b->clock.step, begin + 2);
    return s.event;
}

static void expect(struct probe_event e, u64 address, u64 value, u8 size, u8 cause)
{
    assert_int_equal(e.address, address);
    assert_int_equal(e.value, value);
    assert_int_equal(e.size, size);
    assert_int_equal(e.cause, cause);
}

static void test_access_events(void **state)
{
    START("\xB8\x07\0\0\0\xE6\x0F\x90", 0); // mov eax, 7; out 15, al
    expect(event_at(PROBE_port, 5), 15, 7, 1, 1);
    START("\xB8\x07\0\0\0\xE5\x0F\x90", 0); // in eax, 15
    expect(event_at(PROBE_port, 5), 15, 0xFFFFFFFF, 4, 0);
    START("\xB8\x07\0\0\0\x8B\x43\x08\x90", 0); // mov eax, [rbx + 8]
    expect(event_at(PROBE_mmio, 5), MMIO_PHYSICAL + 8, 0x55, 4, 0);
    START("\xB8\x07\0\0\0\x88\x43\x08\x90", 0); // mov [rbx + 8], al
    expect(event_at(PROBE_mmio, 5), MMIO_PHYSICAL + 8, 7, 1, 1);
    START("\xB8\x07\0\0\0\x8B\x04\x25\0\0\0\x70", 0); // mov eax, [0x70000000]
    struct probe_event e = event_at(PROBE_page_fault, 5);
    assert_int_equal(e.address, 0x70000000);
    assert_int_equal(regs().rip, rip_of(14));
}

static void test_system_events(void **state)
{
    START("\x0F\x20\xD8\x0F\x22\xD8\x90", 0); // mov rax, cr3; mov cr3, rax
    expect(event_at(PROBE_cr3_write, 3), BARE_TABLES, BARE_TABLES, 8, 0);
    START("\xB9\x77\x02\0\0\x0F\x32\x90", 0); // mov ecx, IA32_PAT; rdmsr
    expect(event_at(PROBE_msr, 5), 0x277, UINT64_C(0x0007040600070406), 8, 0);
    START("\xB9\x74\x01\0\0\x0F\x30\x90", 0); // mov ecx, IA32_SYSENTER_CS; wrmsr
    expect(event_at(PROBE_msr, 5), 0x174, 0, 8, 1);
    START("\xB9\xFE\0\0\0\x0F\x30\x90", 0); // IA32_MTRRCAP: #GP, no event
    struct sink s = {0};
    b->probes = (struct probes){BIT(PROBE_msr), sink, &s};
    cpu_run(b->cpu, 2);
    b->probes = (struct probes){0};
    assert_int_equal(regs().rip, rip_of(13));
    assert_int_equal(s.count, 0);
}

// SDM 3A 12.11.5 and table 12-12: no MTRR is valid, and the PAT has its power-up value.
static void test_power_on_msrs(void **state)
{
    static const struct {
        u8 number[4];
        u64 value;
    } msrs[] = {
        {{0xFF, 0x02}, 0}, // IA32_MTRR_DEF_TYPE
        {{0x01, 0x02}, 0}, // PHYSMASK0
        {{0x0F, 0x02}, 0}, // PHYSMASK7
        {{0x50, 0x02}, 0}, // FIX64K_00000
        {{0x77, 0x02}, UINT64_C(0x0007040600070406)},
        {{0xFE, 0x00}, 0x508}, // IA32_MTRRCAP: write-combining, fixed, 8 variable
        {{0x17, 0x00}, 0},     // IA32_PLATFORM_ID
    };
    for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
        u8 code[] = {0xB9, msrs[i].number[0], msrs[i].number[1], 0, 0, 0x0F, 0x32, 0x90};
        start((const char *)code, sizeof(code), 0);
        assert_int_equal(cpu_run(b->cpu, 2), CPU_EXIT_BUDGET);
        assert_int_equal(regs().rip, CODE + 7);
        assert_int_equal(regs().gpr[CPU_RAX] | regs().gpr[CPU_RDX] << 32, msrs[i].value);
    }
}

static void test_transition_events(void **state)
{
    START("\xFB\x90\x90", 0); // sti; its shadow
    struct cpu_signal signal = cpu_signal(b->cpu);
    signal.ops->set_intr(signal.cpu, true);
    cpu_run(b->cpu, 1);
    struct probe_event e = event_at(PROBE_irq, 2);
    assert_int_equal(e.vector, 17);
    START("\xB8\x07\0\0\0\x0F\x05", 0); // syscall
    struct cpu_regs r = regs();
    r.lstar = CODE + 0x100;
    r.star = UINT64_C(0x0013000800000000);
    cpu_set_regs(b->cpu, &r);
    event_at(PROBE_syscall_enter, 5);
    assert_int_equal(regs().rip, CODE + 0x100);
    START("\xB9\0\0\0\x02\x48\x0F\x07", 0); // mov ecx, CODE; sysretq
    event_at(PROBE_syscall_exit, 5);
    assert_int_equal(regs().cpl, 3);
    START("\xB8\x07\0\0\0\xCC", 0); // int3
    e = event_at(PROBE_transition, 5);
    assert_int_equal(e.vector, 3);
    assert_int_equal(e.cause, TRANSITION_SOFT_INT);
    assert_int_equal(e.address, rip_of(3));
    START("\xB8\x07\0\0\0\x62\xF1\x74\x48\x58\xC2", 0); // vaddps zmm
    event_at(PROBE_undefined, 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_budget),
        T(test_halt),
        T(test_fault_costs_its_delivery),
        T(test_int_costs_one),
        T(test_rep),
        T(test_clock_at_devices),
        T(test_kick),
        T(test_sti_shadow),
        T(test_interrupt_after_the_access),
        T(test_single_step),
        T(test_rep_under_interrupt),
        T(test_rep_single_step),
        T(test_shutdown),
        T(test_undefined_is_counted),
        T(test_access_events),
        T(test_system_events),
        T(test_power_on_msrs),
        T(test_transition_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
