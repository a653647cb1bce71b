// SPDX-License-Identifier: MIT
// A booted fern for the debugger's tests.
#include "boot.h"

#include "base/memory.h"
#include "machine/boot.h"
#include "machine/tree.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static int failures, count;

void tap(bool ok, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s %d - ", ok ? "ok" : "not ok", ++count);
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    va_end(args);
    failures += !ok;
}

int tap_end(void)
{
    printf("1..%d\n", count);
    return failures != 0;
}

static void must(struct status s)
{
    if (!status_ok(&s)) {
        printf("not ok - %s\n", s.text);
        exit(1);
    }
}

static void take_output(void *ctx, const u8 *bytes, size_t size)
{
    struct boot *b = ctx;
    b->output = xrealloc(b->output, b->output_size + size + 1);
    memcpy(b->output + b->output_size, bytes, size);
    b->output_size += size;
    b->output[b->output_size] = '\0';
}

static void drop_output(void *ctx, const u8 *bytes, size_t size)
{
}

static long no_input(void *ctx, u8 *bytes, size_t room)
{
    return -1;
}

static void no_ready(void *ctx, void (*ready)(void *dev), void *dev)
{
}

static const struct host_serial_ops kept = {
    .write = take_output, .read = no_input, .set_ready = no_ready};
static const struct host_serial_ops dropped = {
    .write = drop_output, .read = no_input, .set_ready = no_ready};

static u8 *read_kernel(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        must(status_error(STATUS_BAD_INPUT, "cannot read %s", path));
    }
    u8 *bytes = xcalloc(1, 64 << 20);
    *size = fread(bytes, 1, 64 << 20, f);
    fclose(f);
    return bytes;
}

void boot_open(struct boot *b, const char *kernel, const char *rootfs, const char *command)
{
    memset(b, 0, sizeof(*b));
    void *tree;
    struct tree_changes changes = {.exec = command, .bootargs = "console=ttyS2"};
    must(tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes));
    must(posix_block_open(&b->disk, rootfs, POSIX_BLOCK_SNAPSHOT));
    struct host host = {.serial = {{&kept, b}, {&dropped, b}, {&dropped, b}}};
    host.disk[0] = posix_block_host(b->disk);
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2"};
    must(machine_create(&b->m, &config));
    size_t size;
    u8 *bytes = read_kernel(kernel, &size);
    struct boot_params params = {.kernel = {bytes, size, kernel},
                                 .tree = {tree, tree_size(tree), "tree"},
                                 .command_line = tree_bootargs(tree)};
    must(boot_load(b->m, &params));
    free(bytes);
    free(tree);
    b->symbols = symbols_create();
    must(symbols_add(b->symbols, kernel, 0, true));
}

void boot_close(struct boot *b)
{
    machine_destroy(b->m);
    posix_block_close(b->disk);
    symbols_destroy(b->symbols);
    free(b->output);
}

u64 boot_step(const struct boot *b)
{
    return machine_clock(b->m)->step;
}

bool boot_run(struct boot *b, u64 steps)
{
    return machine_run(b->m, boot_step(b) + steps).exit == MACHINE_EXIT_UNTIL;
}
