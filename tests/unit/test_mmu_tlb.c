// SPDX-License-Identifier: MIT
// The TLB is transparent: off, tiny and full give the same results, faults, memory and device
// accesses over random games with page tables that are also code, stack and each other.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus/io_space.h"
#include "mmu/mmu.h"

#define FRAMES 48
#define RAM_BYTES (FRAMES * PAGE_SIZE)
#define DEVICE_BASE UINT64_C(0x100000)
#define MACHINES 3
#define CPUS 2
#define TABLES 10 // frames that roots and entries mostly name
#define HOT 10    // addresses that are met again and again
#define CONTEXTS 5

struct machine {
    struct physmem *mem;
    struct io_space *mmio;
    struct mmu_shared *shared;
    struct mmu *mmu[CPUS];
    u64 device_state; // changes with every access: counts and order are compared, too
    unsigned before_device;
};

struct game {
    struct machine machine[MACHINES];
    struct mmu_context context[CPUS], favourite[CONTEXTS];
    u64 hot[HOT];
    u64 random;
    u64 accesses, successes;
    struct {
        bool valid;
        unsigned cpu;
        u64 linear;
        u32 rpn;
    } held; // a code page that the full machine's CPU keeps executing from
};

static u64 next_random(struct game *g)
{
    g->random ^= g->random << 13;
    g->random ^= g->random >> 7;
    g->random ^= g->random << 17;
    return g->random * UINT64_C(0x2545F4914F6CDD1D) >> 16;
}

static u64 below(struct game *g, u64 n)
{
    return next_random(g) % n;
}

static bool chance(struct game *g, unsigned percent)
{
    return below(g, 100) < percent;
}

static u64 device_read(void *dev, u64 offset, unsigned size)
{
    struct machine *m = dev;
    m->device_state = m->device_state * 31 + offset * 8 + size;
    return (m->device_state >> 8) % FRAMES << PAGE_SHIFT |
           0x67; // as a table entry it leads somewhere
}

static void device_write(void *dev, u64 offset, u64 value, unsigned size)
{
    struct machine *m = dev;
    m->device_state = (m->device_state ^ value) * 37 + offset * 8 + size;
}

static const struct io_ops device_ops = {device_read, device_write, 8};

static void before_device(void *ctx)
{
    struct machine *m = ctx;
    m->before_device++;
}

// Stands for the code cache: drops its flag when a store hits the page.
static void on_code_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size)
{
    struct machine *m = ctx;
    m->mem->page_flags[rpn] &= (u8)~PHYSMEM_PAGE_CODE;
}

static void machine_start(struct machine *m, enum tlb_geometry geometry)
{
    struct status s = physmem_create(&m->mem, RAM_BYTES);
    assert_true(status_ok(&s));
    m->mmio = io_space_create(UINT64_C(1) << 40);
    s = io_space_add(m->mmio, DEVICE_BASE, 0x10000, &device_ops, m, "device");
    assert_true(status_ok(&s));
    m->shared = mmu_shared_create(m->mem, m->mmio, geometry);
    m->mem->on_store.code = on_code_store;
    m->mem->on_store.code_ctx = m;
    for (unsigned c = 0; c < CPUS; c++) {
        m->mmu[c] = mmu_create(m->shared, c, before_device, m);
    }
}

static void machine_stop(struct machine *m)
{
    for (unsigned c = 0; c < CPUS; c++) {
        mmu_destroy(m->mmu[c]);
    }
    mmu_shared_destroy(m->shared);
    io_space_destroy(m->mmio);
    physmem_destroy(m->mem);
}

// A table entry: mostly present and open, so that walks get deep; frames are reused at random.
static u64 random_entry(struct game *g)
{
    u64 entry = below(g, chance(g, 80) ? TABLES : FRAMES) << PAGE_SHIFT;
    if (chance(g, 1)) {
        entry = DEVICE_BASE + (below(g, 16) << PAGE_SHIFT);
    }
    entry |= chance(g, 97) ? 1 : 0;
    entry |= chance(g, 93) ? 2 : 0;
    entry |= chance(g, 90) ? 4 : 0;
    entry |= chance(g, 60) ? 0x20 : 0;
    entry |= chance(g, 50) ? 0x40 : 0;
    if (chance(g, 4)) {
        entry = (entry & 0xFFF) | 0x80; // large: maps memory from 0
    }
    entry |= chance(g, 2) ? UINT64_C(1) << 63 : 0;
    entry |= chance(g, 1) ? UINT64_C(1) << 51 : 0;
    return entry;
}

static u64 random_index(struct game *g)
{
    static const u64 few[] = {0, 0, 1, 2, 511};
    return few[below(g, 5)];
}

static u64 new_linear(struct game *g)
{
    u64 linear = random_index(g) << 39 | random_index(g) << 30 | random_index(g) << 21;
    linear |= (chance(g, 70) ? random_index(g) : below(g, FRAMES)) << 12;
    if (linear & UINT64_C(1) << 47) {
        linear |= UINT64_C(0xFFFF) << 48;
    }
    return linear;
}

// Mostly a page that was met before; the offset often is that of a table entry in use, or makes the
// access cross.
static u64 random_linear(struct game *g)
{
    u64 *slot = &g->hot[below(g, HOT)];
    if (chance(g, 3)) {
        *slot = new_linear(g);
    }
    u64 linear = *slot;
    u64 far_from_entries = PAGE_SIZE / 2 + below(g, PAGE_SIZE / 4);
    linear |= chance(g, 10)   ? PAGE_SIZE - 1 - below(g, 12)
              : chance(g, 25) ? random_index(g) * 8
                              : far_from_entries;
    return chance(g, 1) ? linear ^ UINT64_C(1) << 60 : linear;
}

static void set_context(struct game *g, unsigned cpu)
{
    struct mmu_context *c = &g->context[cpu];
    for (unsigned i = 0; i < MACHINES; i++) {
        mmu_set_context(g->machine[i].mmu[cpu], c);
    }
    if (g->held.cpu == cpu) {
        g->held.valid = false;
    }
}

static void random_format(struct game *g, struct mmu_context *c)
{
    u64 kind = below(g, 12);
    c->cr0 = (c->cr0 & ~UINT64_C(0x80000001)) | 1 | (kind ? UINT64_C(1) << 31 : 0);
    c->efer = (c->efer & ~UINT64_C(0x500)) | (kind > 5 ? 0x500 : 0);
    c->cr4 = (c->cr4 & ~UINT64_C(0x20)) | (kind > 2 ? 0x20 : 0);
}

static void mutate_context(struct game *g, struct mmu_context *c)
{
    switch (below(g, 10)) {
    case 0:
    case 1:
        c->cr3 = below(g, 4) << PAGE_SHIFT;
        break;
    case 2:
        c->cr0 ^= UINT64_C(1) << 16;
        break;
    case 3:
        c->cr4 ^= UINT64_C(1) << (chance(g, 50) ? 20 : 21);
        break;
    case 4:
        c->efer ^= UINT64_C(1) << 11;
        break;
    case 5:
        c->ac = !c->ac;
        break;
    case 6:
        random_format(g, c);
        break;
    case 7:
        c->cr4 ^= 0x10;
        c->cr0 ^= chance(g, 10) ? UINT64_C(1) << 18 : 0; // AM
        break;
    default:
        c->cpl = chance(g, 50) ? 3 : 0;
        break;
    }
}

// A CPU takes one of a few contexts, which change slowly: so keys are met again.
static void op_context(struct game *g)
{
    unsigned cpu = (unsigned)below(g, CPUS);
    struct mmu_context *c = &g->favourite[below(g, CONTEXTS)];
    if (chance(g, 15)) {
        mutate_context(g, c);
    }
    if (chance(g, 10)) {
        c->pdpte[below(g, 4)] = below(g, TABLES) << PAGE_SHIFT | chance(g, 90);
    }
    g->context[cpu] = *c;
    set_context(g, cpu);
}

// What is stored at address: mostly (parts of) sensible entries, or the tables would be rubble
// after a few stores.
static void fill_bytes(struct game *g, u64 address, u8 *bytes, unsigned size)
{
    bool rubble = chance(g, 5);
    u64 entry = random_entry(g);
    for (unsigned i = 0; i < size; i++) {
        unsigned byte = (unsigned)((address + i) & 7);
        entry = byte ? entry : random_entry(g);
        bytes[i] = (u8)(rubble ? next_random(g) : entry >> (byte * 8));
    }
}

struct outcome {
    bool ok;
    struct fault fault;
    u8 bytes[64];
    u32 rpn;
};

static void compare(const struct outcome *a, const struct outcome *b)
{
    assert_int_equal(a->ok, b->ok);
    if (a->ok) {
        assert_memory_equal(a->bytes, b->bytes, sizeof(a->bytes));
        assert_int_equal(a->rpn, b->rpn);
    } else {
        assert_int_equal(a->fault.vector, b->fault.vector);
        assert_int_equal(a->fault.error_code, b->fault.error_code);
        assert_int_equal(a->fault.cr2, b->fault.cr2);
    }
}

enum access_kind {
    KIND_READ,
    KIND_WRITE,
    KIND_RMW,
    KIND_SYSTEM_READ,
    KIND_SYSTEM_WRITE,
    KIND_AS,
    KIND_PROBE,
    KIND_COUNT
};

static bool fast_or_slow_read(struct mmu *mmu, u64 linear, u8 *out, unsigned size,
                              struct fault *fault)
{
    u8 *host = tlb_lookup(&mmu->tables->read, linear, size);
    if (host) {
        memcpy(out, host, size);
        return true;
    }
    return mmu_read_slow(mmu, linear, out, size, fault);
}

static bool fast_or_slow_write(struct mmu *mmu, u64 linear, const u8 *in, unsigned size,
                               struct fault *fault)
{
    u8 *host = tlb_lookup(&mmu->tables->write, linear, size);
    if (host) {
        memcpy(host, in, size);
        return true;
    }
    return mmu_write_slow(mmu, linear, in, size, fault);
}

static bool do_rmw(struct mmu *mmu, u64 linear, const u8 *in, unsigned size, struct outcome *o)
{
    struct mmu_rmw rmw;
    u8 sum[64];
    if (!mmu_rmw_begin(mmu, linear, size, o->bytes, &rmw, &o->fault)) {
        return false;
    }
    for (unsigned i = 0; i < size; i++) {
        sum[i] = in[i] ^ (o->bytes[i] & 0x60); // uses A and D as they were read
    }
    mmu_rmw_commit(mmu, &rmw, sum);
    return true;
}

static void do_access(struct mmu *mmu, enum access_kind kind, u64 linear, const u8 *in,
                      unsigned size, struct outcome *o)
{
    memset(o, 0, sizeof(*o));
    switch (kind) {
    case KIND_READ:
        o->ok = fast_or_slow_read(mmu, linear, o->bytes, size, &o->fault);
        break;
    case KIND_WRITE:
        o->ok = fast_or_slow_write(mmu, linear, in, size, &o->fault);
        break;
    case KIND_RMW:
        o->ok = do_rmw(mmu, linear, in, size, o);
        break;
    case KIND_SYSTEM_READ:
        o->ok = mmu_system_read(mmu, linear, o->bytes, size, &o->fault);
        break;
    case KIND_SYSTEM_WRITE:
        o->ok = mmu_system_write(mmu, linear, in, size, &o->fault);
        break;
    case KIND_AS:
        o->ok = mmu_write_as(mmu, mmu->context.cpl ^ 3, linear, in, size, &o->fault);
        break;
    default:
        o->ok = mmu_probe_write(mmu, linear, size, &o->fault);
        break;
    }
}

static void op_access(struct game *g)
{
    static const unsigned sizes[] = {1, 2, 4, 8, 8, 8, 10, 16, 32, 64, 3, 5};
    unsigned cpu = (unsigned)below(g, CPUS), size = sizes[below(g, 12)];
    u64 linear = random_linear(g);
    if (!(g->context[cpu].efer & 0x400)) {
        linear = (u32)linear;
    }
    enum access_kind kind = (enum access_kind)below(g, KIND_COUNT);
    kind = chance(g, 40) ? KIND_READ : kind;
    u8 in[64];
    fill_bytes(g, linear, in, size);
    struct outcome outcome[MACHINES];
    for (unsigned i = 0; i < MACHINES; i++) {
        do_access(g->machine[i].mmu[cpu], kind, linear, in, size, &outcome[i]);
        compare(&outcome[i], &outcome[0]);
    }
    g->accesses++;
    g->successes += outcome[0].ok;
}

static void op_fetch(struct game *g)
{
    unsigned cpu = (unsigned)below(g, CPUS);
    u64 linear = random_linear(g);
    if (!(g->context[cpu].efer & 0x400)) {
        linear = (u32)linear;
    }
    struct outcome outcome[MACHINES];
    memset(outcome, 0, sizeof(outcome));
    bool keep = chance(g, 50);
    for (unsigned i = 0; i < MACHINES; i++) {
        struct mmu *mmu = g->machine[i].mmu[cpu];
        mmu->translations_dropped = false;
        outcome[i].ok = mmu_fetch_page(mmu, linear, &outcome[i].rpn, &outcome[i].fault);
        compare(&outcome[i], &outcome[0]);
    }
    if (outcome[0].ok && keep && !g->machine[MACHINES - 1].mmu[cpu]->translations_dropped) {
        g->held.valid = true;
        g->held.cpu = cpu;
        g->held.linear = linear;
        g->held.rpn = outcome[0].rpn;
    }
}

// DMA, a debugger: not through a CPU.
static void op_store(struct game *g)
{
    u8 bytes[64];
    unsigned size = chance(g, 60) ? 8 : 1 + (unsigned)below(g, 64);
    u64 gpa = below(g, TABLES * PAGE_SIZE - 64);
    gpa = chance(g, 70) ? (gpa & ~PAGE_MASK) | random_index(g) * 8 : gpa;
    fill_bytes(g, gpa, bytes, size);
    for (unsigned i = 0; i < MACHINES; i++) {
        physmem_write(g->machine[i].mem, gpa, bytes, size);
    }
}

// As fork does: another root gets the upper half of one, and somebody runs there.
static void op_share(struct game *g)
{
    u64 from = below(g, 4) * PAGE_SIZE, to = below(g, 4) * PAGE_SIZE, upper[2];
    memcpy(upper, g->machine[0].mem->ram + from + 510 * 8, sizeof(upper));
    for (unsigned i = 0; i < MACHINES; i++) {
        physmem_write(g->machine[i].mem, to + 510 * 8, upper, sizeof(upper));
    }
    struct mmu_context *child = &g->favourite[below(g, CONTEXTS)];
    *child = g->favourite[below(g, CONTEXTS)];
    child->cr3 = to;
    child->cpl = 0;
}

// A page that stops being a table: many stores, away from its entries, and no walk in between.
static void op_burst(struct game *g)
{
    u64 gpa = below(g, TABLES) * PAGE_SIZE + PAGE_SIZE / 2;
    for (unsigned n = 0; n < 70; n++) {
        u64 value = next_random(g) & ~UINT64_C(1);
        for (unsigned i = 0; i < MACHINES; i++) {
            physmem_write(g->machine[i].mem, gpa + n * 8, &value, 8);
        }
    }
}

static void op_rare(struct game *g)
{
    u64 what = below(g, 6);
    u32 rpn = (u32)below(g, FRAMES);
    unsigned cpu = (unsigned)below(g, CPUS);
    u64 apic_page = chance(g, 60) ? rpn * PAGE_SIZE : UINT64_MAX;
    for (unsigned i = 0; i < MACHINES; i++) {
        struct machine *m = &g->machine[i];
        if (what == 0) {
            mmu_flush_all(m->shared);
        } else if (what == 1) {
            physmem_next_epoch(m->mem);
        } else if (what < 4) {
            mmu_set_apic_page(m->mmu[cpu], apic_page);
        } else {
            m->mem->page_flags[rpn] |= PHYSMEM_PAGE_CODE;
            mmu_drop_page_writes(m->shared, rpn);
        }
    }
}

// What the full machine's CPU still executes from must be what a walk now gives, without a trace.
static void check_held(struct game *g)
{
    if (!g->held.valid) {
        return;
    }
    if (g->machine[MACHINES - 1].mmu[g->held.cpu]->translations_dropped) {
        g->held.valid = false;
        return;
    }
    struct fault fault;
    u32 rpn;
    u64 devices = g->machine[0].device_state;
    assert_true(mmu_fetch_page(g->machine[0].mmu[g->held.cpu], g->held.linear, &rpn, &fault));
    assert_int_equal(rpn, g->held.rpn);
    assert_int_equal(devices, g->machine[0].device_state);
}

static void compare_machines(struct game *g)
{
    for (unsigned i = 1; i < MACHINES; i++) {
        assert_memory_equal(g->machine[i].mem->ram, g->machine[0].mem->ram, RAM_BYTES);
        assert_int_equal(g->machine[i].device_state, g->machine[0].device_state);
    }
}

static void populate(struct game *g)
{
    for (u32 frame = 0; frame < FRAMES; frame++) {
        for (unsigned n = 0; n < 8; n++) {
            u64 entry = random_entry(g),
                index = n < 6 ? (u64[]){0, 1, 2, 3, 511, 510}[n] : below(g, 512);
            for (unsigned i = 0; i < MACHINES; i++) {
                physmem_write(g->machine[i].mem, frame * PAGE_SIZE + index * 8, &entry, 8);
            }
        }
    }
}

static void play(u64 seed, unsigned operations, u64 *successes)
{
    static const enum tlb_geometry geometries[MACHINES] = {TLB_OFF, TLB_TINY, TLB_FULL};
    struct game g = {.random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1};
    for (unsigned i = 0; i < MACHINES; i++) {
        machine_start(&g.machine[i], geometries[i]);
    }
    populate(&g);
    for (unsigned i = 0; i < HOT; i++) {
        g.hot[i] = new_linear(&g);
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        g.favourite[i] = (struct mmu_context){.cr0 = 0x80010001,
                                              .cr3 = below(&g, 4) * PAGE_SIZE,
                                              .cr4 = 0x30,
                                              .efer = 0xD00,
                                              .cpl = i & 1 ? 3 : 0};
        for (unsigned k = 0; k < 4; k++) {
            g.favourite[i].pdpte[k] = below(&g, TABLES) << PAGE_SHIFT | 1;
        }
        for (u64 changes = below(&g, 6); changes; changes--) {
            mutate_context(&g, &g.favourite[i]);
        }
    }
    for (unsigned i = 0; i < 2 * CPUS; i++) {
        op_context(&g);
    }
    for (unsigned n = 0; n < operations; n++) {
        u64 what = below(&g, 100);
        if (what < 78) {
            op_access(&g);
        } else if (what < 85) {
            op_fetch(&g);
        } else if (what < 93) {
            op_store(&g);
        } else if (what < 97) {
            op_context(&g);
        } else if (what < 98) {
            op_share(&g);
        } else if (what < 99 || chance(&g, 70)) {
            op_burst(&g);
        } else {
            op_rare(&g);
        }
        check_held(&g);
        if (n % 8 == 0) {
            compare_machines(&g);
        }
    }
    compare_machines(&g);
    *successes += g.successes;
    for (unsigned i = 0; i < MACHINES; i++) {
        machine_stop(&g.machine[i]);
    }
}

static void test_random_games(void **state)
{
    const char *from = getenv("VIV_TEST_SEED"), *count = getenv("VIV_TEST_GAMES");
    u64 first = from ? strtoull(from, NULL, 0) : 1, games = count ? strtoull(count, NULL, 0) : 80;
    u64 total = 0;
    for (u64 seed = first; seed < first + games; seed++) {
        u64 successes = 0;
        play(seed, 2000, &successes);
        print_message("game %llu: %llu accesses succeeded\n", (unsigned long long)seed,
                      (unsigned long long)successes);
        total += successes;
    }
    assert_true(total > games * 200); // the games are about translations, not about faults
}

static u8 read_byte(struct mmu *mmu, u64 linear)
{
    struct fault fault;
    u8 value = 0;
    assert_true(mmu_read8(mmu, linear, &value, &fault));
    return value;
}

// A page table that is used as data for a while is no longer followed; what was cached through it
// must be gone by then, or the next change of an entry would go unseen.
static void test_table_used_as_data(void **state)
{
    enum { ROOT = 1, PDPT, PD, PT, FIRST, SECOND };
    struct machine m = {0};
    machine_start(&m, TLB_FULL);
    for (unsigned frame = ROOT; frame < PT; frame++) {
        u64 entry = (u64)(frame + 1) << PAGE_SHIFT | 7;
        assert_true(physmem_write(m.mem, (u64)frame << PAGE_SHIFT, &entry, sizeof(entry)));
    }
    u64 leaf = (u64)FIRST << PAGE_SHIFT | 7;
    physmem_write(m.mem, (u64)PT << PAGE_SHIFT, &leaf, sizeof(leaf));
    physmem_write(m.mem, (u64)FIRST << PAGE_SHIFT, "1", 1);
    physmem_write(m.mem, (u64)SECOND << PAGE_SHIFT, "2", 1);
    struct mmu_context context = {
        .cr0 = 0x80000001, .cr3 = (u64)ROOT << PAGE_SHIFT, .cr4 = 0x20, .efer = 0x500};
    mmu_set_context(m.mmu[0], &context);
    assert_int_equal(read_byte(m.mmu[0], 0), '1');
    for (unsigned i = 0; i < 1000; i++) { // entries that map nothing
        u64 data = (u64)i << 32;
        physmem_write(m.mem, ((u64)PT << PAGE_SHIFT) + 8 * (100 + i % 200), &data, sizeof(data));
    }
    leaf = (u64)SECOND << PAGE_SHIFT | 7;
    physmem_write(m.mem, (u64)PT << PAGE_SHIFT, &leaf, sizeof(leaf));
    assert_int_equal(read_byte(m.mmu[0], 0), '2');
    machine_stop(&m);
}

// A second root with the same upper half takes over what the first one's walks found: changes below
// and in the root itself must reach it too.
static void inherit(struct machine *m, u64 linear, u64 gpa, u64 entry)
{
    enum { ROOT_A = 1, ROOT_B, PDPT, PD, PT, FIRST, SECOND };
    static const u64 entries[][3] = {
        {ROOT_A, 511, PDPT}, {ROOT_B, 511, PDPT}, {PDPT, 0, PD}, {PD, 0, PT}, {PT, 0, FIRST}};
    machine_start(m, TLB_FULL);
    for (unsigned i = 0; i < 5; i++) {
        u64 e = entries[i][2] << PAGE_SHIFT | 0x27;
        physmem_write(m->mem, (entries[i][0] << PAGE_SHIFT) + entries[i][1] * 8, &e, sizeof(e));
    }
    physmem_write(m->mem, (u64)FIRST << PAGE_SHIFT, "1", 1);
    physmem_write(m->mem, (u64)SECOND << PAGE_SHIFT, "2", 1);
    struct mmu_context context = {
        .cr0 = 0x80000001, .cr3 = (u64)ROOT_A << PAGE_SHIFT, .cr4 = 0x20, .efer = 0x500};
    mmu_set_context(m->mmu[0], &context);
    assert_int_equal(read_byte(m->mmu[0], linear), '1');
    context.cr3 = (u64)ROOT_B << PAGE_SHIFT;
    mmu_set_context(m->mmu[0], &context);
    assert_non_null(tlb_lookup(&m->mmu[0]->tables->read, linear, 1)); // without a walk
    physmem_write(m->mem, gpa, &entry, sizeof(entry));
}

static void test_inherited(void **state)
{
    const u64 linear = ~UINT64_C(0) << 39;
    struct machine m = {0};
    inherit(&m, linear, 0x5000, 0x7027); // the page table's entry
    assert_int_equal(read_byte(m.mmu[0], linear), '2');
    machine_stop(&m);
    memset(&m, 0, sizeof(m));
    inherit(&m, linear, 0x2000 + 511 * 8, 0); // the second root's
    struct fault fault;
    u8 value;
    assert_false(mmu_read8(m.mmu[0], linear, &value, &fault));
    assert_int_equal(fault.vector, 14);
    machine_stop(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_table_used_as_data),
                                       cmocka_unit_test(test_inherited),
                                       cmocka_unit_test(test_random_games)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
