// SPDX-License-Identifier: MIT
// From options to a loaded machine.
#include "frontends/session.h"

#include "base/memory.h"
#include "frontends/file.h"
#include "machine/boot_elf.h"
#include "machine/tree.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_MAX (512u << 20)
#define TREE_MAX (16u << 20)
#define CPU_DEFAULT "v2"
#define LOG_CONSOLE "console=ttyS2"

// What is needed only while the machine is built.
struct build {
    const struct run_options *o;
    struct host host;
    u8 *kernel, *initrd, *blob;
    void *tree;
    char *kernel_path; // of the bundled kernel
    size_t kernel_size, initrd_size;
};

static bool is_bundled(const struct run_options *o)
{
    return !o->kernel && !o->initrd && !o->disk_count;
}

static struct status read_tree(struct build *b)
{
    const struct run_options *o = b->o;
    size_t size = tree_builtin_size;
    const u8 *source = tree_builtin;
    if (o->machine) {
        struct status s = file_read("machine", o->machine, TREE_MAX, &b->blob, &size);
        if (!status_ok(&s)) {
            return s;
        }
        const char *dot = strrchr(o->machine, '.');
        if (dot && strcmp(dot, ".dts") == 0) {
            free(b->blob);
            b->blob = NULL;
            s = file_compile_tree(o->machine, &b->blob, &size);
            if (!status_ok(&s)) {
                return s;
            }
        }
        source = b->blob;
    }
    bool logs = o->exec || o->log;
    char *bootargs = xasprintf("%s%s%s", o->append ? o->append : "", o->append && logs ? " " : "",
                               logs ? LOG_CONSOLE : "");
    struct tree_changes changes = {
        .mem_bytes = o->mem_bytes,
        .bootargs = bootargs,
        .exec = o->exec,
        .exec_tty = o->exec && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
        .seed = o->seed,
    };
    struct status s = tree_prepare(&b->tree, source, size,
                                   o->machine ? o->machine : "the built-in machine", &changes);
    free(bootargs);
    return s;
}

static struct status read_files(struct build *b)
{
    const char *kernel = b->o->kernel;
    if (!kernel) {
        kernel = b->kernel_path = file_beside_executable("fern");
    }
    struct status s = file_read("kernel", kernel, KERNEL_MAX, &b->kernel, &b->kernel_size);
    if (status_ok(&s) && b->o->initrd) {
        s = file_read("initrd", b->o->initrd, KERNEL_MAX, &b->initrd, &b->initrd_size);
    }
    return status_ok(&s) ? read_tree(b) : s;
}

static struct status open_disk(struct session *s, struct build *b, unsigned n,
                               const struct disk_option *d)
{
    struct status result = posix_block_open(&s->disks[n], d->path, d->mode);
    if (status_ok(&result)) {
        b->host.disk[n] = posix_block_host(s->disks[n]);
    }
    return result;
}

static struct status open_disks(struct session *s, struct build *b)
{
    if (is_bundled(b->o)) {
        struct disk_option rootfs = {.path = file_beside_executable("rootfs.img"),
                                     .mode = POSIX_BLOCK_SNAPSHOT};
        struct status result = open_disk(s, b, 0, &rootfs);
        free(rootfs.path);
        return result;
    }
    struct status result = status_success();
    for (unsigned i = 0; status_ok(&result) && i < b->o->disk_count; i++) {
        result = open_disk(s, b, i, &b->o->disks[i]);
    }
    return result;
}

// ttyS0: the user. The terminal is raw unless the command's output goes elsewhere.
static struct host_serial first_serial(struct session *s, const struct run_options *o,
                                       struct status *result)
{
    struct host_serial serial = {0};
    if (o->serial && strcmp(o->serial, "null") == 0) {
        return posix_serial_stream(s->door, -1, -1);
    }
    if (o->serial && strncmp(o->serial, "file:", 5) == 0) {
        *result = posix_serial_file(s->door, o->serial + 5, &serial);
        return serial;
    }
    if (isatty(STDIN_FILENO)) {
        return posix_serial_terminal(s->door, !o->exec || isatty(STDOUT_FILENO));
    }
    return posix_serial_stream(s->door, STDIN_FILENO, STDOUT_FILENO);
}

// ttyS1: the command's standard error. ttyS2: the kernel's log.
static struct status connect_serials(struct session *s, struct build *b)
{
    const struct run_options *o = b->o;
    struct status result = status_success();
    b->host.serial[0] = first_serial(s, o, &result);
    if (status_ok(&result) && o->exec) {
        b->host.serial[1] = posix_serial_stream(s->door, -1, STDERR_FILENO);
    }
    if (status_ok(&result) && o->log) {
        result = posix_serial_file(s->door, o->log, &b->host.serial[2]);
    } else if (o->exec) {
        b->host.serial[2] = posix_serial_stream(s->door, -1, -1);
    }
    return result;
}

static struct status load(struct session *s, const struct build *b)
{
    struct boot_params params = {
        .kernel = {b->kernel, b->kernel_size, b->o->kernel ? b->o->kernel : b->kernel_path},
        .tree = {b->tree, tree_size(b->tree), "the device tree"},
        .initrd = {b->initrd, b->initrd_size, b->o->initrd},
        .command_line = tree_bootargs(b->tree),
    };
    return boot_elf(s->machine, &params);
}

static struct status build(struct session *s, struct build *b)
{
    struct status result = read_files(b);
    if (status_ok(&result)) {
        result = open_disks(s, b);
    }
    if (status_ok(&result)) {
        struct posix_door_config config = {.pace = b->o->pace,
                                           .time_limit_ns = b->o->time_limit_ns};
        result = posix_door_create(&s->door, &config);
    }
    if (status_ok(&result)) {
        b->host.door = posix_door_host(s->door);
        b->host.rtc_base_s = b->o->rtc_s;
        b->host.seed = b->o->seed;
        result = connect_serials(s, b);
    }
    if (status_ok(&result)) {
        struct machine_config config = {
            .tree = b->tree,
            .host = &b->host,
            .cpu_model = b->o->cpu ? b->o->cpu : CPU_DEFAULT,
            .tlb = b->o->tlb,
            .chaos = b->o->chaos,
            .chaos_seed = b->o->chaos_seed,
        };
        result = machine_create(&s->machine, &config);
    }
    return status_ok(&result) ? load(s, b) : result;
}

static void free_files(struct build *b)
{
    free(b->kernel);
    free(b->initrd);
    free(b->blob);
    free(b->tree);
    free(b->kernel_path);
}

struct status session_open(struct session *s, const struct run_options *o)
{
    struct build b = {.o = o};
    memset(s, 0, sizeof(*s));
    struct status result = build(s, &b);
    free_files(&b);
    return result;
}

struct status session_reboot(struct session *s, const struct run_options *o)
{
    struct build b = {.o = o};
    struct status result = read_files(&b);
    if (status_ok(&result)) {
        machine_reset(s->machine);
        machine_clear_memory(s->machine);
        result = load(s, &b);
    }
    free_files(&b);
    return result;
}

void session_close(struct session *s)
{
    machine_destroy(s->machine);
    posix_door_destroy(s->door);
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        posix_block_close(s->disks[i]);
    }
    memset(s, 0, sizeof(*s));
}
