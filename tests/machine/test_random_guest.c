// SPDX-License-Identifier: MIT
// test_random_guest [SEEDS [FIRST]]: guests of random instructions that poke at every device.
// Whatever they do, the machine ends in order, and in the same state with every translation cache,
// after a restore, and in pieces; the sanitizers watch.
#include "base/memory.h"
#include "host/overlay.h"
#include "machine/machine.h"
#include "machine/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CODE 0x100000
#define CODE_BYTES 16384
#define STEPS 30000
#define IDLE_MAX 2000
#define DISK_BYTES (256 * 512)
#define AHCI_BAR UINT32_C(0xFEBF0000)
#define START_PAGE 0x8000 // of all CPUs but the first
#define START_32 0x197000 // where they go from there
#define HANDLER 0x198000

// The test's own generator: the same guests on every host (SplitMix64).
static u64 random_u64(u64 *state)
{
    u64 x = *state += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

struct writer {
    u8 *at, *end;
    u64 seed;
};

static u32 pick(struct writer *w, u32 count)
{
    return (u32)(random_u64(&w->seed) % count);
}

static void put(struct writer *w, const void *bytes, size_t size)
{
    if (size <= (size_t)(w->end - w->at)) {
        memcpy(w->at, bytes, size);
        w->at += size;
    }
}

static void put_byte(struct writer *w, u8 byte)
{
    put(w, &byte, 1);
}

// mov register, value
static void put_load(struct writer *w, u8 reg, u32 value)
{
    put_byte(w, (u8)(0xB8 + reg));
    put(w, &value, 4);
}

static u32 value(struct writer *w)
{
    static const u32 values[] = {0,      1,      2,          0x7F,       0x80, 0xFF,
                                 0x8000, 0xFFFF, 0x80000000, UINT32_MAX, CODE, 0x200000};
    return pick(w, 2) ? values[pick(w, ARRAY_LEN(values))] : (u32)random_u64(&w->seed);
}

static void port_access(struct writer *w)
{
    static const u16 ports[] = {0x20,  0x21,  0xA0,  0xA1,  0x40,  0x42,  0x43,  0x61,  0x64,
                                0x70,  0x71,  0x3F8, 0x3F9, 0x3FA, 0x3FB, 0x3FC, 0x2F8, 0x2FA,
                                0x4D0, 0x4D1, 0x600, 0x602, 0x608, 0xCF8, 0xCFC, 0xCFE};
    static const u8 opcodes[] = {0xEC, 0xED, 0xEE, 0xEF, 0xEE, 0xEF};
    put_load(w, 2, ports[pick(w, ARRAY_LEN(ports))] + (pick(w, 4) ? 0 : pick(w, 4)));
    put_load(w, 0, value(w));
    if (!pick(w, 5)) {
        put_byte(w, 0x66);
    }
    put_byte(w, opcodes[pick(w, ARRAY_LEN(opcodes))]);
}

// A register of the LAPIC, the IOAPIC or the AHCI controller, or RAM.
static void memory_access(struct writer *w)
{
    static const u32 bases[] = {0xFEE00000,       0xFEC00000,       AHCI_BAR,
                                AHCI_BAR + 0x100, AHCI_BAR + 0x180, 0x300000};
    u32 address = bases[pick(w, ARRAY_LEN(bases))] + pick(w, 0x400);
    address = pick(w, 4) ? address & ~3u : address;
    static const u8 opcodes[] = {0xA0, 0xA1, 0xA2, 0xA3, 0xA3, 0xA3};
    put_load(w, 0, value(w));
    put_byte(w, opcodes[pick(w, ARRAY_LEN(opcodes))]);
    put(w, &address, 4);
}

// mov [address], value
static void put_store(struct writer *w, u32 address, u32 v)
{
    put_load(w, 0, v);
    put_byte(w, 0xA3);
    put(w, &address, 4);
}

// Any message to any CPU, most of all to those that can be hurt by it.
static void interrupt_message(struct writer *w)
{
    static const u32 deliveries[] = {0, 0, 0, 1, 4, 5, 6, 6};
    static const u32 shorthands[] = {0, 0, 1, 2, 3, 3};
    u32 delivery = deliveries[pick(w, ARRAY_LEN(deliveries))];
    u32 vector = delivery == 6 ? START_PAGE >> 12 : pick(w, 256);
    put_store(w, 0xFEE00310, pick(w, 4) << 24);
    put_store(w, 0xFEE00300, shorthands[pick(w, ARRAY_LEN(shorthands))] << 18 | 1u << 14 |
                                 pick(w, 2) << 11 | delivery << 8 | vector);
}

// A complete AHCI request: tables of random content, command issue.
static void disk_request(struct writer *w)
{
    static const u32 registers[] = {0x100, 0x108, 0x110, 0x114, 0x118, 0x134, 0x138, 0x04};
    for (unsigned i = 0; i < ARRAY_LEN(registers); i++) {
        u32 address = AHCI_BAR + registers[i];
        u32 v = i < 2 ? 0x200000 + (pick(w, 64) << 10) : registers[i] == 0x118 ? 0x11 : value(w);
        put_store(w, address, v);
    }
}

static void system_state(struct writer *w)
{
    static const u8 small[][3] = {
        {0xF4},       {0xFA},       {0xFB}, {0xF4},       {0x0F, 0xA2},
        {0x0F, 0x31}, {0xCC},       {0xCF}, {0x9D},       {0x0F, 0x01, 0xF8},
        {0x0F, 0x09}, {0x0F, 0x0B}, {0xF1}, {0x0F, 0x30}, {0x0F, 0x32}};
    static const u32 msrs[] = {0x10,  0x1B,  0x3B,       0x1A0,      0x277,     0x2FF,
                               0x200, 0x6E0, 0xC0000080, 0xC0000081, 0xC0000100};
    if (pick(w, 3) == 0) {
        put_load(w, 1, msrs[pick(w, ARRAY_LEN(msrs))]);
        put_load(w, 0, value(w));
        put_load(w, 2, pick(w, 2) ? 0 : value(w));
        put(w, pick(w, 2) ? "\x0F\x30" : "\x0F\x32", 2);
    } else if (pick(w, 4) == 0) { // mov crN, eax
        put_load(w, 0, value(w));
        put(w, "\x0F\x22", 2);
        put_byte(w, (u8)(0xC0 | pick(w, 5) << 3));
    } else {
        const u8 *s = small[pick(w, ARRAY_LEN(small))];
        put(w, s, s[1] ? s[2] ? 3 : 2 : 1);
    }
}

static void write_code(u8 *code, u64 seed, unsigned cpus)
{
    struct writer w = {code, code + CODE_BYTES, seed};
    // The AHCI function gets its BAR and bus mastering.
    static const u32 setup[][2] = {{0x80001024, AHCI_BAR}, {0x80001004, 7}};
    for (unsigned i = 0; i < ARRAY_LEN(setup); i++) {
        put_load(&w, 2, 0xCF8);
        put_load(&w, 0, setup[i][0]);
        put_byte(&w, 0xEF);
        put_load(&w, 2, 0xCFC);
        put_load(&w, 0, setup[i][1]);
        put_byte(&w, 0xEF);
    }
    if (cpus > 1) { // APIC on, and everybody up
        put_store(&w, 0xFEE000F0, 0x1FF);
        put_store(&w, 0xFEE00300, 0xC4500);
        put_store(&w, 0xFEE00300, 0xC4600 | START_PAGE >> 12);
    }
    while (w.at < w.end - 32) {
        switch (pick(&w, cpus > 1 ? 14 : 12)) {
        case 12:
            interrupt_message(&w);
            break;
        case 13:
            put(&w, pick(&w, 2) ? "\xF3\x90" : "\xFB\xF4", 2); // pause; sti, hlt
            break;
        case 0:
        case 1:
        case 2:
            port_access(&w);
            break;
        case 3:
        case 4:
        case 5:
            memory_access(&w);
            break;
        case 6:
            disk_request(&w);
            break;
        case 7:
            system_state(&w);
            break;
        default: // bytes that may be anything
            for (unsigned i = 1 + pick(&w, 6); i; i--) {
                put_byte(&w, (u8)random_u64(&w.seed));
            }
            break;
        }
    }
}

static bool zero_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    memset(bytes, (int)(offset >> 9), size);
    return true;
}

static const struct host_block_ops disk_ops = {.read = zero_read};

static void swallow(void *ctx, const u8 *bytes, size_t size)
{
}

static long two_bytes_then_end(void *ctx, u8 *bytes, size_t room)
{
    unsigned *left = ctx;
    bytes[0] = 'x';
    return *left ? (*left)--, 1 : -1;
}

static void no_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops serial_ops = {
    .write = swallow, .read = two_bytes_then_end, .set_ready = no_ready};

// Nobody is outside, but a guest that sleeps for ever with a timer that it does not hear is to end
// as well.
static bool patience_ends(void *ctx, bool slice_end)
{
    return *(unsigned *)ctx > IDLE_MAX;
}

static u64 idle(void *ctx, u64 now_ns, u64 deadline_ns)
{
    unsigned *rounds = ctx;
    return deadline_ns == UINT64_MAX ? HOST_IDLE_FOREVER
           : ++*rounds > IDLE_MAX    ? now_ns
                                     : deadline_ns;
}

static const struct host_door_ops door_ops = {.poll = patience_ends, .idle = idle};

// Every exception and interrupt goes on a little further in the code, on a fresh stack.
static void set_up_handlers(struct machine *m, struct cpu_regs *regs)
{
    static const u8 handler[] = {
        0xBC, 0x00, 0x00, 0x18, 0x00, // mov esp, 0x180000
        0xA1, 0x00, 0x90, 0x19, 0x00, // mov eax, [0x199000]
        0x83, 0xC0, 0x25,             // add eax, 37
        0x25, 0xFF, 0x3F, 0x00, 0x00, // and eax, 0x3FFF
        0xA3, 0x00, 0x90, 0x19, 0x00, // mov [0x199000], eax
        0x05, 0x00, 0x00, 0x10, 0x00, // add eax, CODE
        0xFB,                         // sti
        0xFF, 0xE0,                   // jmp eax
    };
    // cli; lgdt [START_PAGE + 32]; mov eax, cr0; or al, 1; mov cr0, eax; jmp 8:START_32
    static const u8 start[] = {0xFA, 0x66, 0x0F, 0x01, 0x16, 0x20, 0x80, 0x0F, 0x20, 0xC0, 0x0C,
                               0x01, 0x0F, 0x22, 0xC0, 0x66, 0xEA, 0x00, 0x70, 0x19, 0x00, 0x08,
                               0x00};
    // mov eax, 16; mov ds, es, ss; lidt [START_PAGE + 40]; jmp HANDLER
    static const u8 start_32[] = {0xB8, 0x10, 0x00, 0x00, 0x00, 0x8E, 0xD8, 0x8E, 0xC0,
                                  0x8E, 0xD0, 0x0F, 0x01, 0x1D, 0x28, 0x80, 0x00, 0x00,
                                  0xE9, 0xE9, 0x0F, 0x00, 0x00};
    static const u8 pointers[] = {23, 0, 0x00, 0x10, 0x19, 0, 0, 0, 0xFF, 0x07, 0x00, 0x00, 0x19, 0};
    static const u64 gdt[] = {0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF};
    u64 gates[256];
    for (unsigned i = 0; i < 256; i++) {
        gates[i] = UINT64_C(0x00198E0000088000); // 0x198000, selector 8, 32-bit interrupt gate
    }
    physmem_write(machine_memory(m), HANDLER, handler, sizeof(handler));
    physmem_write(machine_memory(m), START_PAGE, start, sizeof(start));
    physmem_write(machine_memory(m), START_PAGE + 32, pointers, sizeof(pointers));
    physmem_write(machine_memory(m), START_32, start_32, sizeof(start_32));
    physmem_write(machine_memory(m), 0x191000, gdt, sizeof(gdt));
    physmem_write(machine_memory(m), 0x190000, gates, sizeof(gates));
    regs->idtr_base = 0x190000;
    regs->idtr_limit = sizeof(gates) - 1;
    regs->gdtr_base = 0x191000;
    regs->gdtr_limit = sizeof(gdt) - 1;
}

static struct machine *build(const void *tree, struct overlay *disk, unsigned *input,
                             unsigned *rounds, enum tlb_geometry tlb, u64 seed)
{
    struct host host = {.serial[0] = {&serial_ops, input},
                        .disk[0] = overlay_host(disk),
                        .door = {&door_ops, rounds}};
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2", .tlb = tlb};
    struct machine *m;
    struct status s = machine_create(&m, &config);
    if (!status_ok(&s)) {
        fprintf(stderr, "test_random_guest: %s\n", s.text);
        exit(1);
    }
    u8 *bytes = xcalloc(1, 0x100000);
    u64 state = ~seed;
    for (size_t i = 0; i < 0x100000; i += 8) { // command tables and whatever else it may point at
        u64 word = random_u64(&state) & (i % 64 ? UINT64_MAX : UINT64_C(0x000000FF3FFF00E5));
        memcpy(bytes + i, &word, 8);
    }
    physmem_write(machine_memory(m), 0x200000, bytes, 0x100000);
    write_code(bytes, seed, machine_cpu_count(m));
    physmem_write(machine_memory(m), CODE, bytes, CODE_BYTES);
    free(bytes);
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(m, 0), &regs);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        regs.seg[i] =
            (struct cpu_segment){.selector = 16, .attributes = 0xC093, .limit = UINT32_MAX};
    }
    regs.seg[CPU_CS].selector = 8;
    regs.seg[CPU_CS].attributes = 0xC09B;
    set_up_handlers(m, &regs);
    regs.cr0 = 0x11;
    regs.rip = CODE;
    regs.gpr[CPU_RSP] = 0x180000;
    cpu_set_regs(machine_cpu(m, 0), &regs);
    return m;
}

struct end {
    u64 hash, step;
    enum machine_exit exit;
};

// Runs to the middle, on to the end, and from the middle once more.
static struct machine_result run_twice(struct machine *m, struct overlay *disk, unsigned *input,
                                       unsigned *rounds)
{
    struct machine_result r = machine_run(m, STEPS / 2);
    if (r.exit != MACHINE_EXIT_UNTIL) {
        return r;
    }
    struct snapshot *middle = machine_save(m);
    struct overlay_copy *blocks = overlay_save(disk);
    unsigned input_then = *input, rounds_then = *rounds;
    machine_run(m, STEPS);
    machine_load(m, middle);
    overlay_restore(disk, blocks);
    *input = input_then;
    *rounds = rounds_then;
    snapshot_free(middle);
    overlay_copy_free(blocks);
    return machine_run(m, STEPS);
}

// In pieces of a few steps.
static struct machine_result run_in_pieces(struct machine *m, u64 seed)
{
    struct machine_result r = {.exit = MACHINE_EXIT_UNTIL};
    for (u64 step = 0; r.exit == MACHINE_EXIT_UNTIL && step < STEPS;) {
        step += 1 + random_u64(&seed) % 8;
        r = machine_run(m, step < STEPS ? step : STEPS);
    }
    return r;
}

enum way { STRAIGHT, RESTORED, IN_PIECES };

static struct end run(const void *tree, u64 seed, enum tlb_geometry tlb, enum way way)
{
    struct host_block base = {.ops = &disk_ops, .size_bytes = DISK_BYTES};
    struct overlay *disk = overlay_create(&base);
    unsigned input = 2;
    unsigned rounds = 0;
    struct machine *m = build(tree, disk, &input, &rounds, tlb, seed);
    struct machine_result r = way == RESTORED    ? run_twice(m, disk, &input, &rounds)
                              : way == IN_PIECES ? run_in_pieces(m, seed)
                                                 : machine_run(m, STEPS);
    struct end end = {machine_hash(m), machine_clock(m)->step, r.exit};
    machine_destroy(m);
    overlay_destroy(disk);
    return end;
}

// True if both ended alike; says so otherwise.
static bool same(const struct end *a, const struct end *b, u64 seed, const char *what)
{
    if (a->hash == b->hash && a->step == b->step && a->exit == b->exit) {
        return true;
    }
    printf("not ok - seed %llu %s: end %d at step %llu, else end %d at step %llu\n",
           (unsigned long long)seed, what, (int)b->exit, (unsigned long long)b->step, (int)a->exit,
           (unsigned long long)a->step);
    return false;
}

int main(int argc, char **argv)
{
    u64 seeds = argc > 1 ? strtoull(argv[1], NULL, 0) : 300;
    u64 first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    void *trees[3] = {0};
    int failed = 0;
    for (unsigned i = 0; i < ARRAY_LEN(trees); i++) {
        struct tree_changes changes = {.mem_bytes = 4 << 20, .cpus = i + 1};
        struct status s =
            tree_prepare(&trees[i], tree_builtin, tree_builtin_size, "built-in", &changes);
        failed |= !status_ok(&s);
    }
    unsigned exits[MACHINE_EXIT_STOPPED + 1] = {0};
    u64 steps = 0;
    for (u64 seed = first; seed < first + seeds && !failed; seed++) {
        const void *tree = trees[seed % ARRAY_LEN(trees)]; // 1 to 3 CPUs
        struct end full = run(tree, seed, TLB_FULL, STRAIGHT);
        struct end off = run(tree, seed, TLB_OFF, STRAIGHT);
        struct end restored = run(tree, seed, TLB_TINY, RESTORED);
        struct end pieces = run(tree, seed, TLB_FULL, IN_PIECES);
        exits[full.exit]++;
        steps += full.step;
        failed = !same(&full, &off, seed, "without a TLB") ||
                 !same(&full, &restored, seed, "after a restore") ||
                 !same(&full, &pieces, seed, "in pieces");
    }
    for (unsigned i = 0; i < ARRAY_LEN(trees); i++) {
        free(trees[i]);
    }
    printf("# %llu steps; ends: until %u, power off %u, debug exit %u, reset %u, shutdown %u, "
           "stuck %u, asleep %u\n",
           (unsigned long long)steps, exits[0], exits[1], exits[2], exits[3], exits[4], exits[5],
           exits[6]);
    if (!failed) {
        printf("ok - %llu random guests\n", (unsigned long long)seeds);
    }
    return failed;
}
