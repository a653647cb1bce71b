// SPDX-License-Identifier: MIT
// The machine as a whole: exact stops, determinism, hash, snapshots, errors.
#include "base/memory.h"
#include "machine/boot.h"
#include "machine/machine.h"
#include "machine/tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEM_BYTES (UINT64_C(8) << 20)

static u8 *kernel;
static size_t kernel_size;

// A machine whose serial output is kept.
struct fixture {
    struct machine *m;
    char output[64];
    size_t used;
};

static void keep(void *ctx, const u8 *bytes, size_t size)
{
    struct fixture *f = ctx;
    for (size_t i = 0; i < size && f->used < sizeof(f->output) - 1; i++) {
        f->output[f->used++] = (char)bytes[i];
    }
}

static long no_input(void *ctx, u8 *bytes, size_t room)
{
    return 0;
}

static void no_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops serial_ops = {
    .write = keep, .read = no_input, .set_ready = no_ready};

static void *prepared_tree(u64 mem_bytes)
{
    void *tree;
    struct tree_changes changes = {.mem_bytes = mem_bytes, .bootargs = "quiet"};
    struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes);
    assert_true(status_ok(&s));
    return tree;
}

static void open_machine(struct fixture *f, enum tlb_geometry tlb, bool chaos)
{
    memset(f, 0, sizeof(*f));
    void *tree = prepared_tree(MEM_BYTES);
    struct host host = {.serial[0] = {&serial_ops, f}, .rtc_base_s = 1767225600};
    struct machine_config config = {.tree = tree,
                                    .host = &host,
                                    .cpu_model = "v2",
                                    .tlb = tlb,
                                    .chaos = chaos,
                                    .chaos_seed = 1};
    struct status s = machine_create(&f->m, &config);
    if (!status_ok(&s)) {
        fail_msg("%s", s.text);
    }
    struct boot_params params = {.kernel = {kernel, kernel_size, "ticker"},
                                 .tree = {tree, tree_size(tree), "tree"},
                                 .command_line = tree_bootargs(tree)};
    s = boot_load(f->m, &params);
    if (!status_ok(&s)) {
        fail_msg("%s", s.text);
    }
    free(tree);
}

static u64 hash_at(struct machine *m, u64 step)
{
    struct machine_result r = machine_run(m, step);
    assert_int_equal(r.exit, MACHINE_EXIT_UNTIL);
    assert_int_equal(machine_clock(m)->step, step);
    return machine_hash(m);
}

static void test_runs_to_its_end(void **state)
{
    struct fixture f;
    open_machine(&f, TLB_FULL, false);
    struct machine_result r = machine_run(f.m, UINT64_MAX);
    assert_int_equal(r.exit, MACHINE_EXIT_DEBUG_EXIT);
    assert_int_equal(r.value, 7);
    assert_string_equal(f.output, "..........");
    // 1000 periods of 1193 / 1193182 s, most of it asleep.
    u64 ns = vclock_ns(machine_clock(f.m));
    assert_in_range(ns, 998500000, 1001000000); // setting the mode may raise OUT once more
    assert_true(machine_clock(f.m)->idle_ns > 900000000);
    machine_destroy(f.m);
}

// A deadline centuries ahead never comes: the machine is as stuck as without it.
static void test_the_end_of_time(void **state)
{
    static const u8 code[] = {
        0xC7, 0x05, 0xF0, 0x00, 0xE0, 0xFE, 0xFF, 0x01, 0x00, 0x00, // APIC on
        0xC7, 0x05, 0x20, 0x03, 0xE0, 0xFE, 0x40, 0x00, 0x04, 0x00, // timer: TSC deadline
        0xB9, 0xE0, 0x06, 0x00, 0x00, 0xBA, 0x00, 0x00, 0x00, 0x7F, // IA32_TSC_DEADLINE =
        0x31, 0xC0, 0x0F, 0x30,                                     // 7F000000_00000000H
        0xFB, 0xF4,                                                 // sti; hlt
    };
    struct fixture f;
    struct cpu_regs regs;
    open_machine(&f, TLB_FULL, false);
    cpu_get_regs(machine_cpu(f.m, 0), &regs);
    assert_true(physmem_write(machine_memory(f.m), regs.rip, code, sizeof(code)));
    struct machine_result r = machine_run(f.m, UINT64_MAX);
    assert_int_equal(r.exit, MACHINE_EXIT_STUCK);
    assert_int_equal(machine_clock(f.m)->idle_ns, 0);
    machine_destroy(f.m);
}

// After a reset with cleared memory the same kernel boots and runs as the first time.
static void test_boots_again(void **state)
{
    struct fixture f;
    open_machine(&f, TLB_FULL, false);
    for (int i = 0; i < 3; i++) {
        machine_run(f.m, machine_clock(f.m)->step + 20000);
        machine_reset(f.m);
        machine_clear_memory(f.m);
        struct boot_params params = {.kernel = {kernel, kernel_size, "ticker"}, .command_line = ""};
        struct status s = boot_load(f.m, &params);
        assert_true(status_ok(&s));
    }
    f.used = 0;
    memset(f.output, 0, sizeof(f.output));
    struct machine_result r = machine_run(f.m, UINT64_MAX);
    assert_int_equal(r.exit, MACHINE_EXIT_DEBUG_EXIT);
    assert_string_equal(f.output, "..........");
    machine_destroy(f.m);
}

// However the run is cut up and however hashes are taken, the same states follow.
static void test_slices_do_not_matter(void **state)
{
    struct fixture a, b;
    open_machine(&a, TLB_FULL, false);
    open_machine(&b, TLB_FULL, false);
    u64 step = 0;
    for (u64 i = 1; i < 200; i++) {
        step += 1 + i * 2654435761u % 97;
        hash_at(a.m, step);
    }
    assert_int_equal(machine_hash(a.m), hash_at(b.m, step));
    assert_int_equal(machine_run(a.m, UINT64_MAX).value, 7);
    assert_int_equal(machine_run(b.m, UINT64_MAX).value, 7);
    assert_int_equal(machine_hash(a.m), machine_hash(b.m));
    machine_destroy(a.m);
    machine_destroy(b.m);
}

static void test_tlb_does_not_matter(void **state)
{
    u64 hashes[3];
    for (int i = 0; i < 3; i++) {
        struct fixture f;
        open_machine(&f, (enum tlb_geometry)i, false);
        machine_run(f.m, UINT64_MAX);
        hashes[i] = machine_hash(f.m);
        machine_destroy(f.m);
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_equal(hashes[0], hashes[2]);
}

// Record = restore: from a snapshot, in the same machine and in another one, the run goes on as it
// did.
static void test_snapshots(void **state)
{
    struct fixture a, b;
    open_machine(&a, TLB_FULL, false);
    for (u64 at = 1; at < 9000; at += 1777) {
        u64 here = hash_at(a.m, machine_clock(a.m)->step + at % 977 + 1);
        struct snapshot *s = machine_save(a.m);
        assert_int_equal(machine_hash(a.m), here); // saving changes nothing
        u64 later = machine_clock(a.m)->step + 4321;
        u64 wanted = hash_at(a.m, later);
        machine_load(a.m, s);
        assert_int_equal(machine_hash(a.m), here);
        assert_int_equal(hash_at(a.m, later), wanted);
        open_machine(&b, TLB_TINY, false);
        hash_at(b.m, 3000);
        machine_load(b.m, s);
        assert_int_equal(machine_hash(b.m), here);
        assert_int_equal(hash_at(b.m, later), wanted);
        machine_destroy(b.m);
        snapshot_free(s);
    }
    machine_destroy(a.m);
}

// A byte of RAM, of a device, a register, time: each changes the hash.
static void test_hash_sees_changes(void **state)
{
    struct fixture f;
    open_machine(&f, TLB_FULL, false);
    u64 before = hash_at(f.m, 5000);
    u8 byte;
    physmem_read(machine_memory(f.m), 0x7FFFFF, &byte, 1);
    u8 other = byte ^ 1;
    physmem_write(machine_memory(f.m), 0x7FFFFF, &other, 1);
    assert_int_not_equal(machine_hash(f.m), before);
    physmem_write(machine_memory(f.m), 0x7FFFFF, &byte, 1);
    assert_int_equal(machine_hash(f.m), before); // zeroed again = never touched

    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(f.m, 0), &regs);
    cpu_set_regs(machine_cpu(f.m, 0), &regs);
    assert_int_equal(machine_hash(f.m), before);
    regs.gpr[CPU_RBX] ^= 4;
    cpu_set_regs(machine_cpu(f.m, 0), &regs);
    assert_int_not_equal(machine_hash(f.m), before);
    regs.gpr[CPU_RBX] ^= 4;
    cpu_set_regs(machine_cpu(f.m, 0), &regs);

    unsigned flipped = 0;
    for (unsigned i = 0; i < machine_device_count(f.m); i++) {
        struct device *dev = machine_device(f.m, i);
        for (const struct field *p = dev->class->fields; p->name; p++) {
            u8 *at = (u8 *)dev->state + p->offset;
            *at ^= 1;
            if (machine_hash(f.m) == before) {
                fail_msg("%s: %s does not count in the hash", dev->path, p->name);
            }
            *at ^= 1;
            flipped++;
        }
    }
    assert_true(flipped > 50);
    assert_int_equal(machine_hash(f.m), before);
    machine_destroy(f.m);
}

static void test_chaos_differs_and_repeats(void **state)
{
    struct fixture f;
    u64 hashes[3];
    for (int i = 0; i < 3; i++) {
        open_machine(&f, TLB_FULL, i > 0);
        machine_run(f.m, UINT64_MAX);
        hashes[i] = machine_hash(f.m);
        machine_destroy(f.m);
    }
    assert_int_equal(hashes[1], hashes[2]);
    assert_int_not_equal(hashes[0], hashes[1]);
}

static struct status boot_bytes(struct machine *m, const u8 *bytes, size_t size)
{
    struct boot_params params = {.kernel = {bytes, size, "bad"}, .command_line = ""};
    return boot_load(m, &params);
}

// Every cut of the file and a thousand damaged headers: an error or a loaded kernel, never a crash.
static void test_damaged_kernels(void **state)
{
    struct fixture f;
    open_machine(&f, TLB_FULL, false);
    u8 *copy = xcalloc(1, kernel_size);
    for (size_t size = 0; size < 400 && size < kernel_size; size++) {
        memcpy(copy, kernel, size);
        u8 *exact = xcalloc(1, size);
        memcpy(exact, kernel, size);
        struct status s = boot_bytes(f.m, exact, size);
        assert_int_equal(s.code, STATUS_BAD_INPUT);
        free(exact);
    }
    srand(1);
    for (int i = 0; i < 1000; i++) {
        memcpy(copy, kernel, kernel_size);
        for (int k = 0; k < 4; k++) {
            copy[rand() % 300] = (u8)rand();
        }
        struct status s = boot_bytes(f.m, copy, kernel_size);
        assert_true(status_ok(&s) || s.code == STATUS_BAD_INPUT);
    }
    free(copy);
    machine_destroy(f.m);
}

static void test_damaged_trees(void **state)
{
    struct tree_changes changes = {.mem_bytes = MEM_BYTES, .exec = "true", .exec_tty = true};
    u8 *copy = xcalloc(1, tree_builtin_size);
    srand(2);
    for (int i = 0; i < 2000; i++) {
        memcpy(copy, tree_builtin, tree_builtin_size);
        for (int k = 0; k < 3; k++) {
            copy[(size_t)rand() % tree_builtin_size] = (u8)rand();
        }
        void *tree = NULL;
        struct status s = tree_prepare(&tree, copy, tree_builtin_size, "bad", &changes);
        if (status_ok(&s)) {
            struct host host = {0};
            struct machine *m = NULL;
            struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2"};
            s = machine_create(&m, &config);
            assert_true(status_ok(&s) || s.code == STATUS_BAD_INPUT);
            if (status_ok(&s)) {
                struct boot_params params = {.kernel = {kernel, kernel_size, "ticker"},
                                             .tree = {tree, tree_size(tree), "bad"},
                                             .command_line = ""};
                boot_load(m, &params); // makes ACPI tables of what there is
                machine_destroy(m);
            }
        }
        free(tree);
    }
    free(copy);
}

static void test_memory_sizes(void **state)
{
    static const u64 sizes[] = {UINT64_C(1) << 20, UINT64_C(3) << 30, UINT64_C(5) << 30};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        void *tree = prepared_tree(sizes[i]);
        u64 bytes = 0;
        struct status s = tree_memory_bytes(tree, &bytes);
        assert_true(status_ok(&s));
        assert_int_equal(bytes, sizes[i]);
        assert_string_equal(tree_bootargs(tree), "quiet");
        free(tree);
    }
}

static void read_kernel(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fail_msg("cannot read %s", path);
    }
    kernel = xcalloc(1, 1 << 20);
    kernel_size = fread(kernel, 1, 1 << 20, file);
    fclose(file);
}

int main(int argc, char **argv)
{
    read_kernel(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_time), cmocka_unit_test(test_runs_to_its_end),
        cmocka_unit_test(test_boots_again),
        cmocka_unit_test(test_slices_do_not_matter),
        cmocka_unit_test(test_tlb_does_not_matter),
        cmocka_unit_test(test_snapshots),
        cmocka_unit_test(test_hash_sees_changes),
        cmocka_unit_test(test_chaos_differs_and_repeats),
        cmocka_unit_test(test_damaged_kernels),
        cmocka_unit_test(test_damaged_trees),
        cmocka_unit_test(test_memory_sizes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(kernel);
    return failed;
}
