// SPDX-License-Identifier: MIT
// The machine of the fuzzers.
#include "tests/fuzz/fuzz_machine.h"

#include "base/check.h"
#include "base/memory.h"
#include "machine/tree.h"

#include <stdlib.h>
#include <string.h>

#define GUEST 0x8000
#define HANDLER 0x8100
#define GDT 0x9000
#define IDT 0xA000
#define IDLE_MAX 100

static bool zero_read(void *ctx, u64 offset, void *bytes, size_t size)
{
    const struct fuzz_machine *f = ctx;
    memset(bytes, (int)(offset >> 9), size);
    return !f->outside.disk_fails;
}

static const struct host_block_ops disk_ops = {.read = zero_read};

static void swallow(void *ctx, const u8 *bytes, size_t size)
{
}

static long serial_read(void *ctx, u8 *bytes, size_t room)
{
    struct fuzz_machine *f = ctx;
    if (f->outside.input_read == f->outside.input_size) {
        return f->outside.at_end ? -1 : 0;
    }
    bytes[0] = f->outside.input[f->outside.input_read++];
    return 1;
}

static void set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct fuzz_machine *f = ctx;
    f->ready = ready;
    f->ready_dev = dev;
}

static const struct host_serial_ops serial_ops = {swallow, serial_read, set_ready};

static bool poll(void *ctx, bool slice_end)
{
    return ((struct fuzz_machine *)ctx)->idle_rounds > IDLE_MAX;
}

static u64 idle(void *ctx, u64 now_ns, u64 deadline_ns)
{
    struct fuzz_machine *f = ctx;
    return deadline_ns == EVENT_NEVER      ? HOST_IDLE_FOREVER
           : ++f->idle_rounds > IDLE_MAX ? now_ns
                                         : deadline_ns;
}

static const struct host_door_ops door_ops = {.poll = poll, .idle = idle};

static void put_guest(struct fuzz_machine *f)
{
    static const u8 guest[] = {0xFB, 0xF4, 0xEB, 0xFC}; // sti; hlt; jmp
    static const u8 handler[] = {
        0x50,                                                       // push eax
        0xC7, 0x05, 0xB0, 0x00, 0xE0, 0xFE, 0x00, 0x00, 0x00, 0x00, // EOI of the LAPIC
        0xB0, 0x20, 0xE6, 0xA0, 0xE6, 0x20,                         // and of the 8259s
        0xFF, 0x05, 0x00, 0x50, 0x00, 0x00,                         // inc dword [0x5000]
        0x58, 0xCF,
    };
    static const u64 gdt[] = {0, 0x00CF9B000000FFFF, 0x00CF93000000FFFF};
    u64 gates[256];
    for (unsigned i = 0; i < 256; i++) {
        gates[i] = UINT64_C(0x00008E0000080000) | HANDLER;
    }
    struct physmem *mem = machine_memory(f->m);
    physmem_write(mem, GUEST, guest, sizeof(guest));
    physmem_write(mem, HANDLER, handler, sizeof(handler));
    physmem_write(mem, GDT, gdt, sizeof(gdt));
    physmem_write(mem, IDT, gates, sizeof(gates));
}

static void set_registers(struct fuzz_machine *f)
{
    struct cpu_regs r;
    cpu_get_regs(machine_cpu(f->m, 0), &r);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        r.seg[i] = (struct cpu_segment){16, 0xC093, UINT32_MAX, 0};
    }
    r.seg[CPU_CS] = (struct cpu_segment){8, 0xC09B, UINT32_MAX, 0};
    r.gdtr_base = GDT, r.gdtr_limit = 23;
    r.idtr_base = IDT, r.idtr_limit = 2047;
    r.cr0 = 0x11;
    r.rip = GUEST;
    r.gpr[CPU_RSP] = 0x7000;
    cpu_set_regs(machine_cpu(f->m, 0), &r);
}

void fuzz_machine_restart(struct fuzz_machine *f)
{
    machine_reset(f->m);
    put_guest(f);
    set_registers(f);
    static const u32 setup[][2] = {{0x80001024, FUZZ_AHCI_BAR}, {0x80001004, 7},
                                   {0x80001810, FUZZ_DISPLAY_MEMORY},
                                   {0x80001818, FUZZ_DISPLAY_BAR}, {0x80001804, 2}};
    for (unsigned i = 0; i < ARRAY_LEN(setup); i++) {
        io_space_write(f->m->ports, 0xCF8, setup[i][0], 4);
        io_space_write(f->m->ports, 0xCFC, setup[i][1], 4);
    }
}

struct fuzz_machine *fuzz_machine_create(void)
{
    struct fuzz_machine *f = xcalloc(1, sizeof(*f));
    struct tree_changes changes = {.mem_bytes = FUZZ_RAM_BYTES, .cpus = 2};
    void *tree;
    struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "pc.dts", &changes);
    CHECK(status_ok(&s));
    struct host_block base = {.ops = &disk_ops, .ctx = f, .size_bytes = FUZZ_DISK_BYTES};
    f->disk = overlay_create(&base);
    struct host host = {
        .serial[0] = {&serial_ops, f}, .disk[0] = overlay_host(f->disk), .door = {&door_ops, f}};
    struct machine_config config = {
        .tree = tree, .host = &host, .cpu_model = "v2", .tlb = TLB_FULL};
    s = machine_create(&f->m, &config);
    CHECK(status_ok(&s));
    free(tree);
    fuzz_machine_restart(f);
    return f;
}

void fuzz_machine_run(struct fuzz_machine *f, u64 steps)
{
    f->idle_rounds = 0;
    u64 until = machine_clock(f->m)->step + steps;
    struct machine_result r = machine_run(f->m, until);
    CHECK(machine_clock(f->m)->step <= until);
    if (r.exit == MACHINE_EXIT_RESET || r.exit == MACHINE_EXIT_SHUTDOWN ||
        r.exit == MACHINE_EXIT_STUCK) {
        fuzz_machine_restart(f);
    }
}

void fuzz_machine_copy(struct fuzz_machine *to, struct fuzz_machine *from)
{
    fuzz_machine_run(from, 0);
    struct snapshot *s = machine_save(from->m);
    struct overlay_copy *blocks = overlay_save(from->disk);
    machine_load(to->m, s);
    overlay_restore(to->disk, blocks);
    to->outside = from->outside;
    snapshot_free(s);
    overlay_copy_free(blocks);
}
