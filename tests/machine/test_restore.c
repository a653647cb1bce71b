// SPDX-License-Identifier: MIT
// test_restore KERNEL DISK|- [INITRD [APPEND]]: record = restore over a boot of a real kernel. At several
// points a snapshot is taken, the run goes on, and is repeated from the snapshot, in the same
// machine and in a second one: the state hashes and the output are the same.
#include "base/check.h"
#include "base/memory.h"
#include "host/overlay.h"
#include "host/posix_block.h"
#include "machine/boot_elf.h"
#include "machine/machine.h"
#include "machine/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 12

struct blob {
    u8 *bytes;
    size_t size;
};

struct guest {
    struct machine *m;
    struct overlay *disk;
    u64 output_hash, output_bytes; // of all serial output
};

static struct blob kernel, initrd;
static struct posix_block *image;
static const char *append = "console=ttyS2";

static void take_output(void *ctx, const u8 *bytes, size_t size)
{
    struct guest *g = ctx;
    for (size_t i = 0; i < size; i++) {
        g->output_hash = (g->output_hash ^ bytes[i]) * UINT64_C(1099511628211);
        g->output_bytes++;
    }
}

static long no_input(void *ctx, u8 *bytes, size_t room)
{
    return -1;
}

static void no_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops serial_ops = {
    .write = take_output, .read = no_input, .set_ready = no_ready};

static void must(struct status s)
{
    if (!status_ok(&s)) {
        fprintf(stderr, "test_restore: %s\n", s.text);
        exit(1);
    }
}

static void open_guest(struct guest *g, enum tlb_geometry tlb)
{
    memset(g, 0, sizeof(*g));
    void *tree;
    struct tree_changes changes = {.mem_bytes = 256 << 20,
                                   .exec = "ls -lR / | wc -l; sleep 1; ps; true | cat",
                                   .bootargs = append};
    must(tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes));
    struct host host = {.serial = {{&serial_ops, g}, {&serial_ops, g}, {&serial_ops, g}}};
    if (image) {
        struct host_block below = posix_block_host(image);
        g->disk = overlay_create(&below);
        host.disk[0] = overlay_host(g->disk);
    }
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2", .tlb = tlb};
    must(machine_create(&g->m, &config));
    struct boot_params params = {.kernel = {kernel.bytes, kernel.size, "kernel"},
                                 .initrd = {initrd.bytes, initrd.size, "initrd"},
                                 .tree = {tree, tree_size(tree), "tree"},
                                 .command_line = tree_bootargs(tree)};
    must(boot_elf(g->m, &params));
    free(tree);
}

static void close_guest(struct guest *g)
{
    machine_destroy(g->m);
    overlay_destroy(g->disk);
}

struct point {
    struct snapshot *machine;
    struct overlay_copy *disk;
    u64 output_hash, hash;
};

static void save(struct point *p, struct guest *g)
{
    p->machine = machine_save(g->m);
    p->disk = g->disk ? overlay_save(g->disk) : NULL;
    p->output_hash = g->output_hash;
    p->hash = machine_hash(g->m);
}

static void load(struct guest *g, const struct point *p)
{
    machine_load(g->m, p->machine);
    if (g->disk) {
        overlay_restore(g->disk, p->disk);
    }
    g->output_hash = p->output_hash;
}

static void name_difference(void *ctx, const char *part, u64 hash)
{
    fprintf(stderr, "  %s %016llx\n", part, (unsigned long long)hash);
}

static int compare(const char *what, u64 step, struct guest *g, u64 hash, u64 output_hash)
{
    if (machine_hash(g->m) == hash && g->output_hash == output_hash) {
        return 0;
    }
    fprintf(stderr, "test_restore: %s differs after the restore at step %llu; its parts:\n", what,
            (unsigned long long)step);
    machine_hash_parts(g->m, name_difference, NULL);
    return 1;
}

static struct blob read_file(const char *path)
{
    struct blob b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "test_restore: cannot read %s\n", path);
        exit(1);
    }
    b.bytes = xcalloc(1, 256 << 20);
    b.size = fread(b.bytes, 1, 256 << 20, f);
    fclose(f);
    return b;
}

// From the point on to its end, twice more: here and in a fresh machine with another TLB.
static int repeat(struct guest *a, struct point *p, u64 start, u64 end, u64 hash, u64 output_hash)
{
    int failed = 0;
    load(a, p);
    failed += compare("the restored state", start, a, p->hash, p->output_hash);
    machine_run(a->m, end);
    failed += compare("the repeated run", start, a, hash, output_hash);
    struct guest b;
    open_guest(&b, TLB_TINY);
    machine_run(b.m, start / 3);
    load(&b, p);
    failed += compare("the state in another machine", start, &b, p->hash, p->output_hash);
    machine_run(b.m, end);
    failed += compare("the run in another machine", start, &b, hash, output_hash);
    close_guest(&b);
    return failed;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    kernel = read_file(argv[1]);
    if (strcmp(argv[2], "-") != 0) {
        must(posix_block_open(&image, argv[2], POSIX_BLOCK_READ));
    }
    if (argc > 3) {
        initrd = read_file(argv[3]);
    }
    if (argc > 4) {
        append = argv[4];
    }
    struct guest whole;
    open_guest(&whole, TLB_FULL);
    struct machine_result result = machine_run(whole.m, UINT64_MAX);
    u64 steps = machine_clock(whole.m)->step;
    u64 final = machine_hash(whole.m);
    printf("%llu steps, end %d, %llu bytes of output\n", (unsigned long long)steps,
           (int)result.exit, (unsigned long long)whole.output_bytes);
    struct guest a;
    open_guest(&a, TLB_FULL);
    int failed = 0;
    for (u64 i = 1; i <= POINTS; i++) {
        u64 start = steps * i / (POINTS + 1) + i * 31;
        u64 end = start + steps / 20 < steps ? start + steps / 20 : steps;
        machine_run(a.m, start);
        struct point p;
        save(&p, &a);
        machine_run(a.m, end);
        failed += repeat(&a, &p, start, end, machine_hash(a.m), a.output_hash);
        snapshot_free(p.machine);
        overlay_copy_free(p.disk);
    }
    machine_run(a.m, UINT64_MAX);
    failed += compare("the end", steps, &a, final, whole.output_hash);
    close_guest(&a);
    close_guest(&whole);
    posix_block_close(image);
    free(kernel.bytes);
    free(initrd.bytes);
    printf("%s\n", failed ? "FAILED" : "passed");
    return failed != 0;
}
