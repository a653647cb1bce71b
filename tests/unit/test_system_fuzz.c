// SPDX-License-Identifier: MIT
// Kernels made of random system instructions over random tables: whatever they do, the emulator
// lives, and every TLB geometry and every division of the budget give the same state.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus/io_space.h"
#include "cpu/cpu.h"

#define RAM_BYTES (48 * PAGE_SIZE)
#define TABLES UINT64_C(0x1000) // four page tables
#define GDT UINT64_C(0x5000)
#define IDT UINT64_C(0x6000)
#define TSS UINT64_C(0x7000)
#define DATA UINT64_C(0x8000)
#define CODE UINT64_C(0x10000)
#define CODE_BYTES UINT64_C(0x4000)
#define MACHINES 3

struct machine {
    struct physmem *mem;
    struct io_space *ports, *mmio;
    struct mmu_shared *shared;
    struct vclock clock;
    struct probes probes;
    struct cpu_apic apic;
    unsigned current_cpu;
    struct cpu *cpu;
    u64 cr8, device_state;
    struct hash *hash;
};

struct fuzz {
    struct machine machine[MACHINES];
    u64 random;
    u64 shutdowns, halts;
};

static u64 next_random(struct fuzz *f)
{
    f->random ^= f->random << 13;
    f->random ^= f->random >> 7;
    f->random ^= f->random << 17;
    return f->random * UINT64_C(0x2545F4914F6CDD1D) >> 16;
}

static u64 below(struct fuzz *f, u64 n)
{
    return next_random(f) % n;
}

static u8 apic_acknowledge(void *ctx)
{
    return 0x40;
}

static u8 apic_get_cr8(void *ctx)
{
    return (u8)((struct machine *)ctx)->cr8;
}

static void apic_set_cr8(void *ctx, u8 value)
{
    ((struct machine *)ctx)->cr8 = value;
}

static bool apic_read(void *ctx, u32 msr, u64 *value)
{
    *value = 0xFEE00900;
    return msr == 0x1B;
}

static bool apic_write(void *ctx, u32 msr, u64 value)
{
    return false;
}

static void apic_set_tsc_offset(void *ctx, u64 offset)
{
}

static const struct cpu_apic_ops apic_ops = {
    apic_acknowledge, apic_get_cr8, apic_set_cr8, apic_read, apic_write, apic_set_tsc_offset,
};

static u64 device_read(void *dev, u64 offset, unsigned size)
{
    struct machine *m = dev;
    m->device_state = m->device_state * 31 + offset * 8 + size;
    return m->device_state >> 8;
}

static void device_write(void *dev, u64 offset, u64 value, unsigned size)
{
    struct machine *m = dev;
    m->device_state = (m->device_state ^ value) * 37 + offset * 8 + size;
}

static const struct io_ops device_ops = {device_read, device_write, 8};

static void machine_start(struct machine *m, enum tlb_geometry geometry)
{
    struct status s = physmem_create(&m->mem, RAM_BYTES);
    assert_true(status_ok(&s));
    m->ports = io_space_create(0x10000);
    m->mmio = io_space_create(UINT64_C(1) << 40);
    s = io_space_add(m->ports, 0x60, 0x40, &device_ops, m, "ports");
    assert_true(status_ok(&s));
    s = io_space_add(m->mmio, 0x100000, 0x10000, &device_ops, m, "mmio");
    assert_true(status_ok(&s));
    m->shared = mmu_shared_create(m->mem, m->mmio, geometry);
    m->clock.step_ps = 1000;
    m->apic = (struct cpu_apic){&apic_ops, m};
    struct cpu_config config = {.model = "v2",
                                .mmu = m->shared,
                                .mem = m->mem,
                                .ports = m->ports,
                                .clock = &m->clock,
                                .probes = &m->probes,
                                .apic = &m->apic,
                                .current_cpu = &m->current_cpu,
                                .tsc_hz = 1000000000,
                                .crystal_hz = 25000000};
    s = cpu_create(&m->cpu, &config);
    assert_true(status_ok(&s));
    m->hash = hash_create();
}

static void machine_stop(struct machine *m)
{
    hash_destroy(m->hash);
    cpu_destroy(m->cpu);
    mmu_shared_destroy(m->shared);
    io_space_destroy(m->ports);
    io_space_destroy(m->mmio);
    physmem_destroy(m->mem);
}

static void poke(struct fuzz *f, u64 gpa, const void *bytes, u64 size)
{
    for (unsigned i = 0; i < MACHINES; i++) {
        assert_true(physmem_write(f->machine[i].mem, gpa, bytes, size));
    }
}

static void poke64(struct fuzz *f, u64 gpa, u64 value)
{
    poke(f, gpa, &value, 8);
}

// Identity tables for the first 2 MiB, with some entries changed, and everything again at -2 GiB.
static void make_tables(struct fuzz *f)
{
    for (u64 i = 0; i < 512; i++) {
        u64 flags = 7 | (below(f, 30) ? 0 : below(f, 8)) | (below(f, 2) ? 0x60 : 0);
        flags = below(f, 40) ? flags : flags & ~(1 + below(f, 7));
        u64 frame = below(f, 40) ? i % 48 : below(f, 48);
        poke64(f, TABLES + 0x3000 + i * 8, frame << PAGE_SHIFT | flags);
    }
    poke64(f, TABLES + 0x3000 + 47 * 8, 0x100003); // the device
    static const u64 links[][2] = {{0, 0x2007},      {0xFF8, 0x2007},  {0x1000, 0x3007},
                                   {0x1FF0, 0x3007}, {0x2000, 0x4007}, {0x2008, 0x1007},
                                   {0x800, 0x1003}};
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        poke64(f, TABLES + links[i][0], links[i][1]);
    }
}

static u64 random_code_address(struct fuzz *f)
{
    return CODE + below(f, CODE_BYTES / 64) * 64;
}

static void make_descriptors(struct fuzz *f)
{
    static const u64 kinds[] = {
        0x00AF9B000000FFFF, 0x00CF93000000FFFF, 0x00CFFB000000FFFF, 0x00CFF3000000FFFF,
        0x00AFFB000000FFFF, 0x00CF9B000000FFFF, 0x00AF9F000000FFFF, 0x0040920000000FFF,
        0x0040960000000FFF, 0x00008B0070000067, 0x0000890070000067, 0x0000820050000047,
        0x0000EC0000080000, 0x00CF13000000FFFF, 0x00009B000000FFFF, 0x000093000000FFFF,
    };
    poke64(f, GDT, 0);
    for (u64 i = 1; i < 32; i++) {
        u64 d = i < 6 ? kinds[i - 1] : kinds[below(f, ARRAY_LEN(kinds))];
        d ^= below(f, 12) ? 0 : BIT(32 + below(f, 32));
        poke64(f, GDT + i * 8, d);
    }
    for (u64 v = 0; v < 256; v++) {
        u64 target = random_code_address(f), selector = below(f, 8) ? 8 : below(f, 32) * 8;
        u64 type = below(f, 12) ? 14 + below(f, 2) : below(f, 16);
        u64 dpl = below(f, 3) ? 3 : 0, ist = below(f, 6) ? 0 : below(f, 8);
        u64 low = (target & 0xFFFF) | selector << 16 | ist << 32 | type << 40 | dpl << 45 |
                  (u64)(below(f, 20) != 0) << 47 | (target >> 16 & 0xFFFF) << 48;
        poke64(f, IDT + v * 16, low);
        poke64(f, IDT + v * 16 + 8, below(f, 60) ? 0 : next_random(f));
    }
    for (u64 i = 0; i < 16; i++) {
        poke64(f, TSS + 4 + i * 8, DATA + below(f, 0x4000));
    }
}

// A value for a register: an address, a selector, a control register's content, anything.
static u64 random_value(struct fuzz *f)
{
    static const u64 special[] = {
        0x1000,
        0x80010033,
        0x80000011,
        0x6A0,
        0x3006A0,
        0x20,
        0xC0000080,
        0xC0000081,
        0xC0000082,
        0xC0000084,
        0xC0000100,
        0xD01,
        0x500,
        0x202,
        0x246,
        0x1000000FF,
        0xFFFFFFFF80000000,
        0x800000000000,
        0x174,
        0x175,
        0x176,
        0x277,
        0x10,
        0,
    };
    switch (below(f, 6)) {
    case 0:
        return special[below(f, ARRAY_LEN(special))];
    case 1:
        return below(f, 32) * 8 | below(f, 4);
    case 2:
        return random_code_address(f);
    case 3:
        return next_random(f) << below(f, 32);
    case 4:
        return TABLES + below(f, 0x7000);
    default:
        return DATA + below(f, 0x8000);
    }
}

// Instructions; 'r' below marks a byte whose low three bits are replaced by a random register.
struct shape {
    u8 length;
    u8 reg_at; // index of that byte, 0: none
    u8 bytes[6];
};

static const struct shape shapes[] = {
    {3, 2, {0x48, 0x8B, 0x00}},
    {3, 2, {0x48, 0x89, 0x00}},
    {3, 2, {0x48, 0x01, 0x08}},
    {2, 1, {0x8B, 0x10}},
    {2, 1, {0x88, 0x08}},
    {1, 0, {0x50}},
    {1, 0, {0x58}},
    {1, 0, {0x90}},
    {2, 0, {0x0F, 0x05}},
    {3, 0, {0x48, 0x0F, 0x07}},
    {2, 0, {0x0F, 0x07}},
    {2, 0, {0x0F, 0x34}},
    {3, 0, {0x48, 0x0F, 0x35}},
    {2, 0, {0x48, 0xCF}},
    {1, 0, {0xCF}},
    {2, 0, {0x48, 0xCB}},
    {1, 0, {0xCC}},
    {1, 0, {0xF1}},
    {2, 0, {0xCD, 0x30}},
    {2, 0, {0xCD, 0x80}},
    {3, 2, {0x0F, 0x22, 0xC0}},
    {3, 2, {0x0F, 0x22, 0xD8}},
    {3, 2, {0x0F, 0x22, 0xE0}},
    {3, 2, {0x0F, 0x20, 0xD8}},
    {3, 2, {0x0F, 0x23, 0xF8}},
    {3, 2, {0x0F, 0x23, 0xC0}},
    {3, 2, {0x0F, 0x21, 0xF0}},
    {2, 0, {0x0F, 0x30}},
    {2, 0, {0x0F, 0x32}},
    {3, 2, {0x0F, 0x01, 0x10}},
    {3, 2, {0x0F, 0x01, 0x18}},
    {3, 2, {0x0F, 0x01, 0x00}},
    {3, 2, {0x0F, 0x01, 0x38}},
    {3, 2, {0x0F, 0x00, 0xD0}},
    {3, 2, {0x0F, 0x00, 0xD8}},
    {2, 1, {0x8E, 0xD0}},
    {2, 1, {0x8E, 0xD8}},
    {2, 1, {0x8E, 0xE0}},
    {2, 1, {0x8C, 0xC8}},
    {3, 0, {0x0F, 0x01, 0xF8}},
    {3, 0, {0x0F, 0x01, 0xCB}},
    {3, 0, {0x0F, 0x01, 0xCA}},
    {1, 0, {0xFA}},
    {1, 0, {0xFB}},
    {1, 0, {0xF4}},
    {1, 0, {0x9C}},
    {1, 0, {0x9D}},
    {2, 0, {0xE4, 0x60}},
    {2, 0, {0xE7, 0x64}},
    {1, 0, {0x6C}},
    {2, 0, {0xF3, 0x6E}},
    {3, 0, {0xF3, 0x48, 0xA5}},
    {3, 0, {0xF3, 0x48, 0xAB}},
    {2, 0, {0xF3, 0xA4}},
    {2, 1, {0xFF, 0xE0}},
    {2, 1, {0xFF, 0xD0}},
    {3, 2, {0x48, 0xFF, 0x28}},
    {3, 2, {0x48, 0xFF, 0x18}},
    {3, 2, {0x0F, 0x02, 0xC0}},
    {3, 2, {0x0F, 0x03, 0xC0}},
    {2, 0, {0x0F, 0xA2}},
    {2, 0, {0x0F, 0x31}},
    {2, 0, {0x0F, 0x0B}},
    {2, 0, {0xEB, 0x10}},
    {1, 0, {0xC3}},
    {4, 3, {0x48, 0x0F, 0xB1, 0x08}},
    {5, 4, {0xF3, 0x48, 0x0F, 0xAE, 0xD0}},
    {5, 4, {0x66, 0x0F, 0x38, 0x82, 0x08}},
    {4, 3, {0x48, 0x0F, 0xC7, 0x08}},
    {2, 0, {0x0F, 0xA0}},
    {2, 0, {0x0F, 0xA9}},
};

static unsigned random_instruction(struct fuzz *f, u8 *out)
{
    if (below(f, 5) < 2) { // mov $value, %reg
        u64 value = random_value(f);
        out[0] = 0x48;
        out[1] = (u8)(0xB8 + below(f, 8));
        memcpy(out + 2, &value, 8);
        return 10;
    }
    const struct shape *s = &shapes[below(f, ARRAY_LEN(shapes))];
    memcpy(out, s->bytes, s->length);
    if (s->reg_at) {
        out[s->reg_at] |= (u8)below(f, 8);
    }
    return s->length;
}

static void make_code(struct fuzz *f)
{
    u8 code[CODE_BYTES + 16];
    for (u64 at = 0; at < CODE_BYTES;) {
        at += random_instruction(f, code + at);
    }
    poke(f, CODE, code, CODE_BYTES);
}

// 64-bit mode, ring 0 or 3, somewhere in the code.
static void restart(struct fuzz *f)
{
    struct cpu_regs r;
    cpu_get_regs(f->machine[0].cpu, &r);
    bool user = below(f, 3) == 0;
    for (unsigned i = 0; i < 16; i++) {
        r.gpr[i] = random_value(f);
    }
    r.gpr[CPU_RSP] = DATA + 0x2000 + below(f, 0x200) * 8;
    r.rip = random_code_address(f);
    r.rflags =
        2 | (below(f, 4) ? 0 : 0x200) | (below(f, 10) ? 0 : 0x100) | (below(f, 9) ? 0 : 0x3000);
    r.seg[CPU_CS] = (struct cpu_segment){user ? 0x2B : 0x08, user ? 0xA0FB : 0xA09B, ~0u, 0};
    r.seg[CPU_SS] = (struct cpu_segment){user ? 0x23 : 0x10, user ? 0xC0F3 : 0xC093, ~0u, 0};
    r.seg[CPU_DS] = r.seg[CPU_ES] = r.seg[CPU_SS];
    r.tr = (struct cpu_segment){0x50, 0x8B, 0x67, TSS};
    r.gdtr_base = GDT, r.gdtr_limit = 0xFF;
    r.idtr_base = IDT, r.idtr_limit = 0xFFF;
    r.cr0 = 0x80010033;
    r.cr3 = TABLES;
    r.cr4 = 0x6A0 | (below(f, 3) ? 0 : 0x200000) | (below(f, 6) ? 0 : 0x100000);
    r.efer = 0xD01;
    r.cpl = user ? 3 : 0;
    r.halted = false;
    r.lstar = random_code_address(f);
    r.star = UINT64_C(0x001B000800000000);
    for (unsigned i = 0; i < MACHINES; i++) {
        cpu_reset(f->machine[i].cpu);
        cpu_set_regs(f->machine[i].cpu, &r);
    }
}

static u64 state_of(struct machine *m)
{
    hash_restart(m->hash);
    cpu_hash(m->cpu, m->hash);
    hash_u64(m->hash, m->clock.step);
    hash_u64(m->hash, m->device_state);
    hash_u64(m->hash, m->cr8);
    return hash_value(m->hash);
}

// Runs exactly until the step, or until the CPU stops; the pieces are the machine's own.
static enum cpu_exit run_until(struct machine *m, u64 step, u64 piece)
{
    enum cpu_exit why = CPU_EXIT_BUDGET;
    while (m->clock.step < step && (why == CPU_EXIT_BUDGET || why == CPU_EXIT_KICK)) {
        u64 left = step - m->clock.step, before = m->clock.step;
        why = cpu_run(m->cpu, left < piece ? left : piece);
        assert_true(m->clock.step - before <= left);
        assert_true(why != CPU_EXIT_BUDGET || m->clock.step > before);
    }
    return why;
}

static void compare(struct fuzz *f, u64 seed)
{
    u64 first = state_of(&f->machine[0]);
    for (unsigned i = 1; i < MACHINES; i++) {
        if (state_of(&f->machine[i]) != first) {
            fail_msg("seed %llu, step %llu: machine %u differs", (unsigned long long)seed,
                     (unsigned long long)f->machine[0].clock.step, i);
        }
        assert_memory_equal(f->machine[i].mem->ram, f->machine[0].mem->ram, RAM_BYTES);
    }
}

// What wakes a halted CPU, or disturbs a running one.
static void signal_all(struct fuzz *f, bool wake)
{
    u64 what = wake ? 0 : below(f, 12);
    for (unsigned i = 0; i < MACHINES; i++) {
        struct cpu_signal signal = cpu_signal(f->machine[i].cpu);
        if (what == 0) {
            signal.ops->raise_nmi(signal.cpu);
        } else if (what == 1) {
            signal.ops->set_intr(signal.cpu, true);
        } else if (what == 2) {
            signal.ops->set_intr(signal.cpu, false);
        } else if (what == 3) {
            signal.ops->kick(signal.cpu);
        }
    }
}

static void play(u64 seed, struct fuzz *f)
{
    static const enum tlb_geometry geometries[MACHINES] = {TLB_OFF, TLB_TINY, TLB_FULL};
    f->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    for (unsigned i = 0; i < MACHINES; i++) {
        memset(&f->machine[i], 0, sizeof(f->machine[i]));
        machine_start(&f->machine[i], geometries[i]);
    }
    for (unsigned life = 0; life < 12; life++) {
        make_tables(f);
        make_descriptors(f);
        make_code(f);
        restart(f);
        bool stopped = false;
        for (unsigned slice = 0; slice < 12 && !stopped; slice++) {
            u64 until = f->machine[0].clock.step + 1 + below(f, 60);
            enum cpu_exit why = CPU_EXIT_BUDGET;
            for (unsigned i = 0; i < MACHINES; i++) {
                why = run_until(&f->machine[i], until, i == 2 ? 1 + below(f, 9) : 100);
            }
            compare(f, seed);
            stopped = why == CPU_EXIT_SHUTDOWN;
            f->shutdowns += stopped;
            f->halts += why == CPU_EXIT_HALTED;
            signal_all(f, why == CPU_EXIT_HALTED);
        }
    }
    for (unsigned i = 0; i < MACHINES; i++) {
        machine_stop(&f->machine[i]);
    }
}

static void test_random_kernels(void **state)
{
    const char *from = getenv("VIV_TEST_SEED"), *count = getenv("VIV_TEST_GAMES");
    u64 first = from ? strtoull(from, NULL, 0) : 1, games = count ? strtoull(count, NULL, 0) : 150;
    struct fuzz *f = calloc(1, sizeof(*f));
    for (u64 seed = first; seed < first + games; seed++) {
        play(seed, f);
    }
    print_message("%llu shutdowns, %llu halts\n", (unsigned long long)f->shutdowns,
                  (unsigned long long)f->halts);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
