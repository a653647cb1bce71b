// SPDX-License-Identifier: MIT
// The guest and its outside.
#include "guest.h"

#include "base/check.h"
#include "base/memory.h"
#include "machine/boot.h"
#include "machine/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_MAX (64 << 20)
#define LONG_WAIT_NS 30000000 // the guest has done what it was told to
#define RAM_BYTES (128 << 20)
#define SMALL_RAM_BYTES (16 << 20) // for kernels of our own

static void must(struct status s)
{
    if (!status_ok(&s)) {
        fprintf(stderr, "guest: %s\n", s.text);
        exit(1);
    }
}

void guest_read_files(struct guest_files *f, const char *kernel, const char *disk)
{
    *f = (struct guest_files){.kernel = xcalloc(1, KERNEL_MAX)};
    FILE *file = fopen(kernel, "rb");
    CHECK(file);
    f->kernel_size = fread(f->kernel, 1, KERNEL_MAX, file);
    fclose(file);
    if (disk) {
        must(posix_block_open(&f->image, disk, POSIX_BLOCK_READ));
    }
}

void guest_free_files(struct guest_files *f)
{
    posix_block_close(f->image);
    free(f->kernel);
}

static void take_output(void *ctx, const u8 *bytes, size_t size)
{
    struct guest *g = ctx;
    for (size_t i = 0; i < size; i++) {
        g->shown_hash = (g->shown_hash ^ bytes[i]) * UINT64_C(1099511628211);
    }
    g->shown_bytes += size;
}

static long typed_byte(void *ctx, u8 *bytes, size_t room)
{
    struct guest *g = ctx;
    if (!g->has_byte || !room) {
        return 0;
    }
    g->has_byte = false;
    bytes[0] = (u8)g->text[g->typed++];
    g->waits = g->patient && bytes[0] == '\n';
    return 1;
}

static void set_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
    struct guest *g = ctx;
    g->ready = ready;
    g->ready_dev = dev;
}

static const struct host_serial_ops line_ops = {
    .write = take_output, .read = typed_byte, .set_ready = set_ready};

static long no_byte(void *ctx, u8 *bytes, size_t room)
{
    return 0;
}

static void no_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops silent_ops = {
    .write = take_output, .read = no_byte, .set_ready = no_ready};

static void type(struct guest *g)
{
    if (g->text && g->text[g->typed] && !g->has_byte && !g->waits &&
        ++g->polls % g->typing_polls == 0) {
        g->has_byte = true;
        g->ready(g->ready_dev);
    }
}

static bool poll_outside(void *ctx, bool slice_end)
{
    type(ctx);
    return false;
}

// Whoever types does so at odd times: idle waits end early now and then.
static u64 idle_outside(void *ctx, u64 now_ns, u64 deadline_ns)
{
    struct guest *g = ctx;
    if (deadline_ns - now_ns > LONG_WAIT_NS) {
        g->waits = false;
        g->polls = g->typing_polls - 1;
    }
    type(g);
    if (g->has_byte && deadline_ns - now_ns > 100) {
        return now_ns + 1 + (deadline_ns - now_ns) / 3 % 1000003;
    }
    return deadline_ns;
}

static const struct host_door_ops door_ops = {.poll = poll_outside, .idle = idle_outside};

static struct status boot(void *ctx)
{
    struct guest *g = ctx;
    struct boot_params params = {.kernel = {g->files->kernel, g->files->kernel_size, "kernel"},
                                 .tree = {g->tree, tree_size(g->tree), "tree"},
                                 .command_line = tree_bootargs(g->tree)};
    g->boots++;
    machine_reset(g->m);
    machine_clear_memory(g->m);
    return boot_load(g->m, &params);
}

void guest_open(struct guest *g, const struct guest_files *files, enum tlb_geometry tlb,
                const char *exec, const char *text)
{
    *g = (struct guest){.files = files, .text = text, .typing_polls = 3};
    struct tree_changes changes = {
        .mem_bytes = files->cpus ? SMALL_RAM_BYTES : RAM_BYTES,
        .cpus = files->cpus,
        .exec = exec,
        .bootargs = exec ? "console=ttyS2" : "",
    };
    must(tree_prepare(&g->tree, tree_builtin, tree_builtin_size, "built-in", &changes));
    struct host live = {.serial = {{&line_ops, g}, {&silent_ops, g}, {&silent_ops, g}},
                        .door = {&door_ops, g}};
    if (files->image) {
        struct host_block below = posix_block_host(files->image);
        g->disk = overlay_create(&below);
        live.disk[0] = overlay_host(g->disk);
    }
    g->log = input_log_create(&live);
    struct machine_config config = {
        .tree = g->tree, .host = input_log_host(g->log), .cpu_model = "v2", .tlb = tlb};
    must(machine_create(&g->m, &config));
    input_log_set_clock(g->log, machine_clock(g->m));
    must(boot(g));
}

void guest_begin_time(struct guest *g, u64 memory_bytes)
{
    g->time = timeline_create(g->m, g->log, memory_bytes);
    if (g->disk) {
        timeline_add_disk(g->time, g->disk);
    }
    timeline_set_boot(g->time, boot, g);
}

void guest_close(struct guest *g)
{
    timeline_destroy(g->time);
    machine_destroy(g->m);
    input_log_destroy(g->log);
    overlay_destroy(g->disk);
    free(g->tree);
}
