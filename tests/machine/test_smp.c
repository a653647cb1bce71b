// SPDX-License-Identifier: MIT
// Several CPUs, as a machine: exact stops, the schedule in hash and snapshot, no matter how a run is
// cut up or what is cached. The guest is tests/ring0/smp.c.
#include "base/memory.h"
#include "machine/boot.h"
#include "machine/machine.h"
#include "machine/tree.h"

#include <libfdt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MEM_BYTES (UINT64_C(8) << 20)

static u8 *kernel;
static size_t kernel_size;

static struct machine *open_machine(unsigned cpus, enum tlb_geometry tlb, u64 chaos)
{
    void *tree;
    struct tree_changes changes = {.mem_bytes = MEM_BYTES, .cpus = cpus};
    struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes);
    assert_true(status_ok(&s));
    struct host host = {.rtc_base_s = 1767225600};
    struct machine_config config = {.tree = tree,
                                    .host = &host,
                                    .cpu_model = "v2",
                                    .tlb = tlb,
                                    .chaos = chaos,
                                    .chaos_seed = chaos};
    struct machine *m;
    s = machine_create(&m, &config);
    if (!status_ok(&s)) {
        fail_msg("%s", s.text);
    }
    struct boot_params params = {.kernel = {kernel, kernel_size, "smp"}, .command_line = ""};
    s = boot_load(m, &params);
    assert_true(status_ok(&s));
    assert_int_equal(machine_cpu_count(m), cpus);
    free(tree);
    return m;
}

static u64 hash_at(struct machine *m, u64 step)
{
    struct machine_result r = machine_run(m, step);
    assert_int_equal(r.exit, MACHINE_EXIT_UNTIL);
    assert_int_equal(machine_clock(m)->step, step);
    return machine_hash(m);
}

static u64 end_of(struct machine *m)
{
    struct machine_result r = machine_run(m, UINT64_MAX);
    assert_int_equal(r.exit, MACHINE_EXIT_DEBUG_EXIT);
    assert_int_equal(r.value, 0);
    return machine_hash(m);
}

static u64 random_number(u64 *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

// Many pieces, some of one step: the schedule is the same.
static void test_slices_do_not_matter(void **state)
{
    struct machine *a = open_machine(3, TLB_FULL, 0), *b = open_machine(3, TLB_FULL, 0);
    u64 seed = 1, step = 0;
    for (unsigned i = 0; i < 3000; i++) {
        step += i % 3 ? 1 + random_number(&seed) % 40 : 1 + random_number(&seed) % 5000;
        machine_run(a, step);
        if (i % 50 == 0) {
            assert_int_equal(hash_at(b, step), machine_hash(a));
        }
    }
    assert_int_equal(end_of(a), end_of(b));
    machine_destroy(a);
    machine_destroy(b);
}

// From snapshots at random steps, in the same machine and in another with another TLB.
static void test_restores(void **state)
{
    struct machine *a = open_machine(4, TLB_FULL, 0), *b = open_machine(4, TLB_TINY, 0);
    u64 seed = 7, end = machine_clock(a)->step;
    for (unsigned i = 0; i < 12; i++) {
        u64 at = end + 1 + random_number(&seed) % 300000, later = at + random_number(&seed) % 100000;
        u64 here = hash_at(a, at);
        struct snapshot *s = machine_save(a);
        u64 wanted = hash_at(a, later);
        machine_load(a, s);
        assert_int_equal(machine_hash(a), here);
        assert_int_equal(hash_at(a, later), wanted);
        machine_load(b, s);
        assert_int_equal(machine_hash(b), here);
        assert_int_equal(hash_at(b, later), wanted);
        snapshot_free(s);
        end = later;
    }
    assert_int_equal(end_of(a), end_of(b));
    machine_destroy(a);
    machine_destroy(b);
}

// Whose turn it is and what is left of it are state.
static void test_schedule_is_state(void **state)
{
    struct machine *m = open_machine(2, TLB_FULL, 0);
    size_t size = machine_state_size(m);
    u8 *bytes = xcalloc(1, size);
    u64 here = hash_at(m, 500000);
    machine_state_save(m, bytes);
    for (unsigned word = 3; word < 5; word++) { // after step, idle_ns, step_ps
        bytes[8 * word] ^= 1;
        machine_state_load(m, bytes);
        assert_int_not_equal(machine_hash(m), here);
        bytes[8 * word] ^= 1;
    }
    machine_state_load(m, bytes);
    assert_int_equal(machine_hash(m), here);
    free(bytes);
    machine_destroy(m);
}

static void test_chaos(void **state)
{
    u64 hashes[3];
    for (unsigned i = 0; i < 3; i++) {
        struct machine *m = open_machine(4, i ? TLB_FULL : TLB_TINY, i < 2 ? 5 : 6);
        hashes[i] = end_of(m);
        machine_destroy(m);
    }
    assert_int_equal(hashes[0], hashes[1]);
    assert_int_not_equal(hashes[0], hashes[2]);
}

// The started CPUs get their share: no CPU's clock of steps stands still.
static void test_all_run(void **state)
{
    struct machine *m = open_machine(4, TLB_FULL, 0);
    end_of(m);
    for (unsigned i = 0; i < 4; i++) {
        struct cpu_counters c;
        cpu_get_counters(machine_cpu(m, i), &c);
        assert_true(c.ring0_steps > 100000);
    }
    machine_destroy(m);
}

static void test_trees(void **state)
{
    static const unsigned counts[] = {1, 2, 8, 9};
    for (unsigned i = 0; i < ARRAY_LEN(counts); i++) {
        void *tree;
        unsigned found = 0;
        struct tree_changes changes = {.cpus = counts[i]};
        struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "it", &changes);
        assert_true(status_ok(&s));
        s = tree_cpu_count(tree, &found);
        assert_int_equal(status_ok(&s), counts[i] <= TREE_CPUS_MAX);
        assert_int_equal(found, counts[i]);
        assert_int_equal(tree_cpu_hz(tree, "tsc-frequency", 0), 1000000000);
        free(tree);
    }
}

// A CPU counts as any other node does: unless its status is something other than okay.
static void test_status(void **state)
{
    static const struct {
        const char *status;
        unsigned counted;
    } rows[] = {{NULL, 3}, {"okay", 3}, {"ok", 3}, {"disabled", 2}, {"reserved", 2}, {"fail", 2},
                {"fail-cache", 2}, {"", 2}};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        void *tree, *again;
        unsigned found = 0;
        struct tree_changes changes = {.cpus = 3};
        struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "it", &changes);
        assert_true(status_ok(&s));
        u8 blob[65536];
        assert_int_equal(fdt_open_into(tree, blob, sizeof(blob)), 0);
        int node = fdt_path_offset(blob, "/cpus/cpu@2");
        if (rows[i].status) {
            assert_int_equal(fdt_setprop_string(blob, node, "status", rows[i].status), 0);
        }
        assert_int_equal(tree_is_enabled(blob, node), rows[i].counted == 3);
        s = tree_cpu_count(blob, &found);
        assert_true(status_ok(&s));
        assert_int_equal(found, rows[i].counted);
        s = tree_prepare(&again, blob, sizeof(blob), "it", &changes); // three were asked for
        assert_true(status_ok(&s));
        s = tree_cpu_count(again, &found);
        assert_true(status_ok(&s));
        assert_int_equal(found, 3);
        free(again);
        free(tree);
    }
}

int main(int argc, char **argv)
{
    FILE *file = fopen(argv[1], "rb");
    kernel = xcalloc(1, 1 << 20);
    kernel_size = file ? fread(kernel, 1, 1 << 20, file) : 0;
    if (file) {
        fclose(file);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slices_do_not_matter), cmocka_unit_test(test_restores),
        cmocka_unit_test(test_schedule_is_state),    cmocka_unit_test(test_chaos),
        cmocka_unit_test(test_all_run),              cmocka_unit_test(test_trees),
        cmocka_unit_test(test_status),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free(kernel);
    return failed;
}
