// SPDX-License-Identifier: MIT
// What several CPUs do to each other: start-up, IPIs, locks, shared page tables and code. What is
// printed does not depend on who is how fast.
#include "smp.h"

#include "console.h"
#include "cpuid.h"
#include "msr.h"

#define APIC 0xFEE00000u
#define IOAPIC 0xFEC00000u
enum { APIC_ID = 0x20, APIC_VERSION = 0x30, APIC_TPR = 0x80, APIC_EOI = 0xB0, APIC_LDR = 0xD0,
       APIC_DFR = 0xE0, APIC_SVR = 0xF0, APIC_IRR = 0x200, APIC_ICR = 0x300, APIC_ICR_HIGH = 0x310,
       APIC_TIMER = 0x320, APIC_INITIAL = 0x380, APIC_DIVIDE = 0x3E0 };
enum { ICR_NMI = 4 << 8, ICR_INIT = 5 << 8, ICR_START = 6 << 8, ICR_LOWEST = 1 << 8,
       ICR_LOGICAL = 1 << 11, ICR_ASSERT = 1 << 14, ICR_LEVEL = 1 << 15, TO_SELF = 1 << 18,
       TO_ALL = 2 << 18, TO_OTHERS = 3 << 18 };
enum { V_PING = 0x41, V_PONG, V_FLUSH, V_COUNT, V_TIMER, V_PIT, V_HIGH = 0x90 };

extern u64 pml4[], pd[], window_pt[];
extern u8 stubs[], trampoline[], trampoline_end[];
u64 idt[512] __attribute__((aligned(4096)));
int main(void);
void started(u32 id, u32 page);
void interrupt(u64 vector, u64 rip);

// What a CPU is to do; it answers in done.
enum job { JOB_NONE, JOB_COUNT, JOB_LOCK, JOB_READ, JOB_CALL, JOB_TPR, JOB_TIMER, JOB_MOVE,
           JOB_CLOCK, JOB_SLEEP, JOB_FILL };
static struct cpu {
    volatile u32 starts, page, job, done;
    volatile u64 answer, counts[256];
} __attribute__((aligned(64))) cpus[CPUS_MAX];

static volatile u32 cpu_count = 1;
static volatile u64 counter, lock_word, turn, clock_now;

static inline void relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

static inline u32 apic_read(u32 reg)
{
    return *(volatile u32 *)(u64)(APIC + reg);
}

static inline void apic_write(u32 reg, u32 value)
{
    *(volatile u32 *)(u64)(APIC + reg) = value;
}

static inline u32 self(void)
{
    return apic_read(APIC_ID) >> 24;
}

static inline u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("lfence; rdtsc; lfence" : "=a"(low), "=d"(high));
    return low | (u64)high << 32;
}

static void send_ipi(u32 destination, u32 what)
{
    while (apic_read(APIC_ICR) & 1 << 12) {
        relax();
    }
    apic_write(APIC_ICR_HIGH, destination << 24);
    apic_write(APIC_ICR, what);
}

static void print_line(const char *name, u64 value)
{
    print_item(name, value);
    print("\n");
}

// Long enough for another CPU to do something: a few turns of viv, more of QEMU, which runs one CPU
// after the other by counted instructions.
static void wait_ticks(u64 ticks)
{
    ticks = on_tcg() ? ticks * 10 : ticks / 8;
    for (u64 start = rdtsc(); rdtsc() - start < ticks;) {
        relax();
    }
}

// --- what interrupts do

void interrupt(u64 vector, u64 rip)
{
    struct cpu *c = &cpus[self()];
    c->counts[vector]++;
    switch (vector) {
    case V_PING:
        send_ipi(0, V_PONG);
        break;
    case V_FLUSH:
        __asm__ volatile("invlpg (%0)" : : "r"((u64)WINDOW) : "memory");
        break;
    default:
        if (vector < 32 && vector != 2) {
            print_item("exception ", vector);
            print_line(" at ", rip);
            for (;;) {
                __asm__ volatile("cli; hlt");
            }
        }
    }
    if (vector != 2) {
        apic_write(APIC_EOI, 0);
    }
}

static void set_gates(void)
{
    for (unsigned v = 0; v < 256; v++) {
        u64 target = (u64)stubs + 16 * v;
        idt[2 * v] = (target & 0xFFFF) | KERNEL_CS << 16 | (u64)0x8E << 40 |
                     (target >> 16 & 0xFFFF) << 48;
        idt[2 * v + 1] = target >> 32;
    }
}

// --- the jobs

static void lock(void)
{
    while (__atomic_exchange_n(&lock_word, 1, __ATOMIC_ACQUIRE)) {
        relax();
    }
}

static void unlock(void)
{
    __atomic_store_n(&lock_word, 0, __ATOMIC_RELEASE);
}

static void count_atomically(void)
{
    for (int i = 0; i < 5000; i++) {
        __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);
    }
}

static void count_locked(void)
{
    for (int i = 0; i < 3000; i++) {
        lock();
        counter = counter + 1;
        unlock();
    }
}

// The window holds "mov $n, %eax; ret".
static u64 call_window(void)
{
    u32 a = 0, b, c = 0, d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d)); // SDM 3A 8.1.3
    return (u64)((int (*)(void))(u64)WINDOW)();
}

// An interrupt below the task priority waits.
static u64 task_priority(u32 id)
{
    apic_write(APIC_TPR, 0x80);
    u64 before = cpus[id].counts[V_COUNT], high = cpus[id].counts[V_HIGH];
    cpus[id].answer = 1; // ready
    while (cpus[id].counts[V_HIGH] == high) {
        relax();
    }
    u64 held = cpus[id].counts[V_COUNT] == before &&
               (apic_read(APIC_IRR + V_COUNT / 32 * 0x10) >> V_COUNT % 32 & 1);
    apic_write(APIC_TPR, 0);
    while (cpus[id].counts[V_COUNT] == before) {
        relax();
    }
    return held;
}

static u64 own_timer(u32 id)
{
    u64 before = cpus[id].counts[V_TIMER];
    apic_write(APIC_DIVIDE, 0xB);
    apic_write(APIC_TIMER, V_TIMER);
    apic_write(APIC_INITIAL, 1000);
    while (cpus[id].counts[V_TIMER] == before) {
        relax();
    }
    return cpus[id].counts[V_TIMER] - before;
}

// The APIC's page may lie over memory, for this CPU alone.
static u64 move_apic(void)
{
    u64 base = rdmsr(0x1B);
    volatile u32 *moved = (u32 *)(u64)(MOVED_APIC + APIC_VERSION);
    u64 before = *moved;
    wrmsr(0x1B, (base & 0xFFF) | MOVED_APIC);
    u64 there = *moved & 0xFF, away = apic_read(APIC_VERSION);
    wrmsr(0x1B, base);
    return there >= 0x10 && there < 0x20 && away == ~0u && before == 0x12345678 &&
           *moved == 0x12345678;
}

// Each takes its turn: nobody's clock is behind the one before.
static u64 clocks_in_step(u32 id)
{
    u64 wrong = 0;
    for (u32 round = 0; round < 200; round++) {
        while (turn % cpu_count != id) {
            relax();
        }
        u64 now = rdtsc();
        wrong += now < clock_now;
        clock_now = now;
        __atomic_add_fetch(&turn, 1, __ATOMIC_RELEASE);
    }
    return wrong;
}

// One instruction that lasts longer than a turn, on every CPU at once.
static u64 fill(u32 id)
{
    u8 *at = (u8 *)(u64)(FILLED + id * FILLED_BYTES);
    u64 count = FILLED_BYTES, wrong = 0;
    __asm__ volatile(".globl fill_instruction\nfill_instruction: rep stosb"
                     : "+D"(at), "+c"(count)
                     : "a"(id + 1)
                     : "memory");
    for (u32 i = 1; i <= FILLED_BYTES; i++) {
        wrong += *(at - i) != id + 1;
    }
    return wrong + count;
}

static u64 do_job(u32 id, u32 job)
{
    switch (job) {
    case JOB_COUNT:
        count_atomically();
        return 0;
    case JOB_LOCK:
        count_locked();
        return 0;
    case JOB_READ:
        return *(volatile u32 *)(u64)WINDOW;
    case JOB_CALL:
        return call_window();
    case JOB_TPR:
        return task_priority(id);
    case JOB_TIMER:
        return own_timer(id);
    case JOB_MOVE:
        return move_apic();
    case JOB_CLOCK:
        return clocks_in_step(id);
    case JOB_FILL:
        return fill(id);
    case JOB_SLEEP: // deaf to all but NMI and INIT
        __asm__ volatile("cli");
        cpus[id].answer = 1; // ready
        __asm__ volatile("hlt; sti");
        return 0;
    }
    return 0;
}

static void enable_apic(u32 id)
{
    apic_write(APIC_DFR, ~0u);
    apic_write(APIC_LDR, 1u << (24 + id));
    apic_write(APIC_SVR, 0x1FF);
    apic_write(APIC_TPR, 0);
}

void started(u32 id, u32 page)
{
    struct cpu *c = &cpus[id];
    enable_apic(id);
    c->page = page;
    c->job = c->done = 0;
    __atomic_add_fetch(&c->starts, 1, __ATOMIC_RELEASE);
    __asm__ volatile("sti");
    for (u32 done = 0;;) {
        while (c->job == done) {
            relax();
        }
        done = c->job;
        c->answer = do_job(id, done >> 8);
        c->done = done;
    }
}

// --- the first CPU

static void give(u32 id, enum job job)
{
    cpus[id].job = job << 8 | ((cpus[id].job + 1) & 0xFF);
}

static u64 take(u32 id)
{
    while (cpus[id].done != cpus[id].job) {
        relax();
    }
    return cpus[id].answer;
}

// Everyone, the first CPU too; the sum of the answers.
static u64 all_do(enum job job)
{
    for (u32 i = 1; i < cpu_count; i++) {
        give(i, job);
    }
    u64 sum = do_job(0, job);
    for (u32 i = 1; i < cpu_count; i++) {
        sum += take(i);
    }
    return sum;
}

static void copy_trampoline(u32 page)
{
    for (u32 i = 0; i < trampoline_end - trampoline; i++) {
        ((u8 *)(u64)page)[i] = trampoline[i];
    }
}

static void start_all(void)
{
    copy_trampoline(START_PAGE);
    __asm__ volatile("movl %0, 0" : : "r"(0xFDEBF4FA) : "memory"); // cli; hlt; who gets lost stays
    send_ipi(0, TO_OTHERS | ICR_INIT | ICR_ASSERT | ICR_LEVEL);
    wait_ticks(100000);
    send_ipi(0, TO_OTHERS | ICR_INIT | ICR_LEVEL); // de-assert: nothing
    send_ipi(0, TO_OTHERS | ICR_START | ICR_ASSERT | START_PAGE >> 12);
    wait_ticks(100000);
    send_ipi(0, TO_OTHERS | ICR_START | ICR_ASSERT | START_PAGE >> 12); // running: ignored
    wait_ticks(2000000);
    u32 wrong = 0;
    for (u32 i = 1; i < CPUS_MAX; i++) {
        cpu_count += cpus[i].starts != 0;
        wrong += cpus[i].starts > 1 || (cpus[i].starts && cpus[i].page != START_PAGE);
    }
    print_line("cpus ", cpu_count);
    print_line("wrong starts ", wrong);
}

static void ping_pong(void)
{
    u64 rounds = 0;
    for (u32 i = 0; i < 400; i++) {
        u64 before = cpus[0].counts[V_PONG];
        send_ipi(1 + i % (cpu_count - 1), V_PING | ICR_ASSERT);
        while (cpus[0].counts[V_PONG] == before) {
            relax();
        }
        rounds += cpus[0].counts[V_PONG] - before;
    }
    print_line("ping pong ", rounds);
}

static void counting(void)
{
    counter = 0;
    all_do(JOB_COUNT);
    print_line("lost atomic counts ", 5000 * cpu_count - counter);
    counter = 0;
    all_do(JOB_LOCK);
    print_line("lost locked counts ", 3000 * cpu_count - counter);
}

// One CPU changes the entry, the others are told to forget it.
static void shoot_down(void)
{
    u64 wrong = 0;
    *(u32 *)FRAME_A = 0xAAAA;
    *(u32 *)FRAME_B = 0xBBBB;
    window_pt[0] = FRAME_A | 3;
    for (u32 round = 0; round < 40; round++) {
        u64 want = round & 1 ? 0xBBBB : 0xAAAA;
        u64 before[CPUS_MAX];
        window_pt[0] = (round & 1 ? FRAME_B : FRAME_A) | 3;
        __asm__ volatile("invlpg (%0)" : : "r"((u64)WINDOW) : "memory");
        for (u32 i = 1; i < cpu_count; i++) {
            before[i] = cpus[i].counts[V_FLUSH];
        }
        send_ipi(0, TO_OTHERS | ICR_ASSERT | V_FLUSH);
        for (u32 i = 1; i < cpu_count; i++) {
            while (cpus[i].counts[V_FLUSH] == before[i]) {
                relax();
            }
        }
        wrong += all_do(JOB_READ) != want * cpu_count;
    }
    print_line("stale translations ", wrong);
}

static void changing_code(void)
{
    static const u8 code[] = {0xB8, 0, 0, 0, 0, 0xC3};
    u8 *at = (u8 *)FRAME_A;
    u64 wrong = 0;
    window_pt[0] = FRAME_A | 3;
    __asm__ volatile("movq %%cr3, %%rax; movq %%rax, %%cr3" : : : "rax", "memory");
    for (u32 i = 0; i < sizeof(code); i++) {
        ((volatile u8 *)at)[i] = code[i];
    }
    send_ipi(0, TO_OTHERS | ICR_ASSERT | V_FLUSH);
    wait_ticks(300000);
    for (u32 round = 1; round < 60; round++) {
        *(volatile u8 *)(at + 1) = (u8)round;
        wrong += all_do(JOB_CALL) != round * cpu_count;
    }
    print_line("stale code ", wrong);
}

static void nmis(void)
{
    u64 wrong = 0;
    for (u32 i = 1; i < cpu_count; i++) {
        for (u32 n = 1; n <= 3; n++) {
            send_ipi(i, ICR_NMI | ICR_ASSERT);
            while (cpus[i].counts[2] < n) {
                relax();
            }
        }
        cpus[i].answer = 0;
        give(i, JOB_SLEEP);
        while (!cpus[i].answer) {
            relax();
        }
        send_ipi(i, V_COUNT | ICR_ASSERT); // this does not wake it
        wait_ticks(300000);
        wrong += cpus[i].done == cpus[i].job || cpus[i].counts[V_COUNT] != 0;
        send_ipi(i, ICR_NMI | ICR_ASSERT); // this does
        take(i);
        while (!cpus[i].counts[V_COUNT]) {
            relax();
        }
        wrong += cpus[i].counts[2] != 4 || cpus[i].counts[V_COUNT] != 1;
    }
    print_line("wrong nmis ", wrong);
}

static u64 received(u32 mask)
{
    u64 wrong = 0;
    for (u32 i = 0; i < cpu_count; i++) {
        while ((mask >> i & 1) && !cpus[i].counts[V_COUNT]) {
            relax();
        }
    }
    wait_ticks(200000);
    for (u32 i = 0; i < cpu_count; i++) {
        wrong += cpus[i].counts[V_COUNT] != (mask >> i & 1);
        cpus[i].counts[V_COUNT] = 0;
    }
    return wrong;
}

static void destinations(void)
{
    u32 all = (1u << cpu_count) - 1;
    u64 wrong = 0;
    received(0); // forgets what came before
    send_ipi(1, V_COUNT | ICR_ASSERT);
    wrong += received(2);
    send_ipi(0xFF, V_COUNT | ICR_ASSERT);
    wrong += received(all);
    send_ipi(0, V_COUNT | ICR_ASSERT | TO_SELF);
    wrong += received(1);
    send_ipi(0, V_COUNT | ICR_ASSERT | TO_ALL);
    wrong += received(all);
    send_ipi(0, V_COUNT | ICR_ASSERT | TO_OTHERS);
    wrong += received(all & ~1u);
    send_ipi(2, V_COUNT | ICR_ASSERT | ICR_LOGICAL);
    wrong += received(2);
    send_ipi(all, V_COUNT | ICR_ASSERT | ICR_LOGICAL);
    wrong += received(all);
    send_ipi(0x80, V_COUNT | ICR_ASSERT | ICR_LOGICAL); // nobody, unless there are eight
    wrong += received(cpu_count == 8 ? 0x80 : 0);
    print_line("wrong destinations ", wrong);
    send_ipi(all, V_COUNT | ICR_ASSERT | ICR_LOGICAL | ICR_LOWEST);
    wait_ticks(300000);
    u64 sum = 0;
    for (u32 i = 0; i < cpu_count; i++) {
        sum += cpus[i].counts[V_COUNT];
        cpus[i].counts[V_COUNT] = 0;
    }
    print_line("lowest priority ", sum);
}

static void priorities(void)
{
    u64 held = 0;
    for (u32 i = 1; i < cpu_count; i++) {
        cpus[i].answer = 0;
        give(i, JOB_TPR);
        while (!cpus[i].answer) {
            relax();
        }
        send_ipi(i, V_COUNT | ICR_ASSERT);
        wait_ticks(300000);
        send_ipi(i, V_HIGH | ICR_ASSERT);
        held += take(i);
    }
    print_line("not held by TPR ", cpu_count - 1 - held);
}

// INIT stops a CPU whatever it does, a start-up message sends it elsewhere.
static void restart(void)
{
    u64 wrong = 0;
    copy_trampoline(OTHER_START_PAGE);
    for (u32 i = 1; i < cpu_count; i++) {
        u32 starts = cpus[i].starts;
        if (i & 1) {
            give(i, JOB_SLEEP);
            wait_ticks(300000);
        }
        send_ipi(i, ICR_INIT | ICR_ASSERT | ICR_LEVEL);
        wait_ticks(300000);
        u64 before = cpus[i].counts[V_COUNT];
        send_ipi(i, V_COUNT | ICR_ASSERT); // its APIC is off now
        wait_ticks(300000);
        wrong += cpus[i].counts[V_COUNT] != before || cpus[i].starts != starts;
        send_ipi(i, ICR_START | ICR_ASSERT | OTHER_START_PAGE >> 12);
        while (cpus[i].starts == starts) {
            relax();
        }
        wait_ticks(300000);
        wrong += cpus[i].starts != starts + 1 || cpus[i].page != OTHER_START_PAGE;
    }
    print_line("wrong restarts ", wrong);
}

static void ioapic_write(u32 index, u32 value)
{
    *(volatile u32 *)(u64)IOAPIC = index;
    *(volatile u32 *)(u64)(IOAPIC + 0x10) = value;
}

// A device's interrupts go where the I/O APIC says.
static void routing(void)
{
    u64 others = 0;
    for (u32 i = 0; i < cpu_count; i++) {
        cpus[i].counts[V_PIT] = 0;
    }
    ioapic_write(0x10 + 2 * 2 + 1, 1u << 24); // pin 2: CPU 1
    ioapic_write(0x10 + 2 * 2, V_PIT);
    outb(0x43, 0x34);
    outb(0x40, 1193 & 255);
    outb(0x40, 1193 >> 8);
    while (cpus[1].counts[V_PIT] < 3) {
        relax();
    }
    u32 last = cpu_count - 1;
    ioapic_write(0x10 + 2 * 2 + 1, 1u << (24 + last));
    ioapic_write(0x10 + 2 * 2, V_PIT | ICR_LOGICAL);
    u64 before = cpus[last].counts[V_PIT];
    while (cpus[last].counts[V_PIT] < before + 3) {
        relax();
    }
    ioapic_write(0x10 + 2 * 2, 1 << 16);
    for (u32 i = 0; i < cpu_count; i++) {
        others += i != 1 && i != last ? cpus[i].counts[V_PIT] : 0;
    }
    print_line("device interrupts elsewhere ", others);
}

int main(void)
{
    outb(0x21, 0xFF);
    outb(0xA1, 0xFF);
    set_gates();
    wrmsr(0x1B, rdmsr(0x1B) | 0x800);
    enable_apic(0);
    __asm__ volatile("sti");
    print("start\n");
    start_all();
    ping_pong();
    counting();
    shoot_down();
    changing_code();
    nmis();
    destinations();
    priorities();
    print_line("late timers ", all_do(JOB_TIMER) - cpu_count);
    turn = clock_now = 0;
    print_line("clocks behind ", all_do(JOB_CLOCK));
    *(volatile u32 *)(MOVED_APIC + APIC_VERSION) = 0x12345678;
    u64 moved = on_tcg() ? cpu_count : all_do(JOB_MOVE); // QEMU has one page for all
    print_line("not moved ", cpu_count - moved);
    restart();
    counting();
    print_line("wrong fills ", all_do(JOB_FILL));
    routing();
    end_of_kernel();
}
