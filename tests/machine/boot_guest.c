// SPDX-License-Identifier: MIT
// Booting a real kernel for a test.
#include "boot_guest.h"

#include "base/memory.h"
#include "machine/boot.h"
#include "machine/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
        fprintf(stderr, "%s\n", s.text);
        exit(1);
    }
}

static struct blob read_file(const char *path)
{
    struct blob b = {0};
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    b.bytes = xcalloc(1, 256 << 20);
    b.size = fread(b.bytes, 1, 256 << 20, f);
    fclose(f);
    return b;
}

void boot_files_read(struct boot_files *f, const char *kernel, const char *disk, const char *initrd)
{
    memset(f, 0, sizeof(*f));
    f->kernel = read_file(kernel);
    if (strcmp(disk, "-") != 0) {
        must(posix_block_open(&f->image, disk, POSIX_BLOCK_READ));
    }
    if (initrd) {
        f->initrd = read_file(initrd);
    }
    f->append = "console=ttyS2";
    f->exec = "true";
}

void boot_files_free(struct boot_files *f)
{
    posix_block_close(f->image);
    free(f->kernel.bytes);
    free(f->initrd.bytes);
}

void open_guest(struct guest *g, const struct boot_files *f, enum tlb_geometry tlb)
{
    memset(g, 0, sizeof(*g));
    void *tree;
    struct tree_changes changes = {.mem_bytes = 256 << 20,
                                   .cpus = f->cpus,
                                   .exec = f->exec,
                                   .bootargs = f->append};
    must(tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes));
    struct host host = {.serial = {{&serial_ops, g}, {&serial_ops, g}, {&serial_ops, g}}};
    if (f->image) {
        struct host_block below = posix_block_host(f->image);
        g->disk = overlay_create(&below);
        host.disk[0] = overlay_host(g->disk);
    }
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2", .engine = f->engine, .tlb = tlb};
    must(machine_create(&g->m, &config));
    struct boot_params params = {.kernel = {f->kernel.bytes, f->kernel.size, "kernel"},
                                 .initrd = {f->initrd.bytes, f->initrd.size, "initrd"},
                                 .tree = {tree, tree_size(tree), "tree"},
                                 .command_line = tree_bootargs(tree)};
    must(boot_load(g->m, &params));
    free(tree);
}

void close_guest(struct guest *g)
{
    machine_destroy(g->m);
    overlay_destroy(g->disk);
}
