// SPDX-License-Identifier: MIT
// From options to what the machine is made of: its tree, kernel, disks.
#include "frontends/session_internal.h"

#include "base/memory.h"
#include "frontends/file.h"
#include "machine/tree.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_MAX (512u << 20)
#define TREE_MAX (16u << 20)
#define CPU_DEFAULT "v3"
#define LOG_CONSOLE "console=ttyS2"
#define SCREEN_CONSOLE "console=tty0"
#define STATE_HASH_SHIFT 22  // TIME_TRAVEL.md: registers and devices every 2^22 steps,
#define MEMORY_HASH_SHIFT 26 // memory every 2^26

static bool is_bundled(const struct run_options *o)
{
    return !o->kernel && !o->initrd && !o->disk_count;
}

// The tree as it comes from its file, compiled if it is a source. *blob: free() it.
static struct status read_tree_file(const char *path, u8 **blob, size_t *size)
{
    struct status s = file_read("machine", path, TREE_MAX, blob, size);
    const char *dot = strrchr(path, '.');
    if (status_ok(&s) && dot && strcmp(dot, ".dts") == 0) {
        free(*blob);
        *blob = NULL;
        s = file_compile_tree(path, blob, size);
    }
    return s;
}

// What is added to the kernel's command line: where its log goes, unless the user said so.
static const char *console_of(const struct run_options *o)
{
    if (o->exec || o->log) {
        return LOG_CONSOLE;
    }
    bool named = o->append && strstr(o->append, "console=");
    return o->sdl && is_bundled(o) && !named ? SCREEN_CONSOLE : "";
}

static struct status read_tree(struct session *s, const struct run_options *o)
{
    u8 *blob = NULL;
    size_t size = tree_builtin_size;
    struct status result = status_success();
    if (o->machine) {
        result = read_tree_file(o->machine, &blob, &size);
        if (!status_ok(&result)) {
            return result;
        }
    }
    const char *console = console_of(o), *append = o->append ? o->append : "";
    char *bootargs = xasprintf("%s%s%s", append, *append && *console ? " " : "", console);
    struct tree_changes changes = {
        .mem_bytes = o->mem_bytes,
        .cpus = o->cpus,
        .bootargs = bootargs,
        .exec = o->exec,
        .exec_tty = o->exec && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
        .seed = o->seed,
    };
    void *tree = NULL;
    result = tree_prepare(&tree, blob ? blob : tree_builtin, size,
                          o->machine ? o->machine : "the built-in machine", &changes);
    if (status_ok(&result)) {
        s->boot.tree = tree;
        s->boot.tree_size = tree_size(tree);
    }
    free(bootargs);
    free(blob);
    return result;
}

static struct status read_files(struct session *s, const struct run_options *o)
{
    struct session_boot *b = &s->boot;
    b->kernel_path = o->kernel ? xstrdup(o->kernel) : file_beside_executable("fern");
    struct status result =
        file_read("kernel", b->kernel_path, KERNEL_MAX, &b->kernel, &b->kernel_size);
    if (status_ok(&result) && o->initrd) {
        b->initrd_path = xstrdup(o->initrd);
        result = file_read("initrd", o->initrd, KERNEL_MAX, &b->initrd, &b->initrd_size);
    }
    return status_ok(&result) ? read_tree(s, o) : result;
}

struct status session_open_disk(struct session *s, struct host *host, unsigned n, const char *path,
                                enum posix_block_mode mode)
{
    struct status result = posix_block_open(&s->disks[n], path, mode);
    if (status_ok(&result)) {
        host->disk[n] = posix_block_host(s->disks[n]);
    }
    return result;
}

static void add_image(struct session *s, enum recording_role role, unsigned index, const char *path,
                      u64 size_bytes, bool read_only)
{
    s->recording.images[s->recording.image_count++] =
        (struct recording_image){.role = (u8)role,
                                 .index = (u8)index,
                                 .read_only = read_only,
                                 .path = file_absolute(path),
                                 .size_bytes = size_bytes};
}

static struct status open_one_disk(struct session *s, const struct run_options *o,
                                   struct host *host, unsigned n, const struct disk_option *d)
{
    bool written = d->mode == POSIX_BLOCK_WRITE && !o->log_inputs;
    enum posix_block_mode mode =
        written || d->mode == POSIX_BLOCK_READ ? d->mode : POSIX_BLOCK_SNAPSHOT;
    struct status result = session_open_disk(s, host, n, d->path, mode);
    if (status_ok(&result)) {
        add_image(s, RECORDING_DISK, n, d->path, host->disk[n].size_bytes,
                  mode == POSIX_BLOCK_READ);
    }
    return result;
}

static struct status open_disks(struct session *s, const struct run_options *o, struct host *host)
{
    struct status result = status_success();
    if (is_bundled(o)) {
        struct disk_option rootfs = {.path = file_beside_executable("rootfs.img"),
                                     .mode = POSIX_BLOCK_SNAPSHOT};
        result = open_one_disk(s, o, host, 0, &rootfs);
        free(rootfs.path);
    }
    for (unsigned i = 0; status_ok(&result) && i < o->disk_count; i++) {
        result = open_one_disk(s, o, host, i, &o->disks[i]);
    }
    return result;
}

static void describe(struct session *s, const struct run_options *o)
{
    struct recording *r = &s->recording;
    r->tree_size = s->boot.tree_size;
    r->tree = xcalloc(1, r->tree_size);
    memcpy(r->tree, s->boot.tree, r->tree_size);
    r->cpu_model = xstrdup(o->cpu ? o->cpu : CPU_DEFAULT);
    r->rtc_base_s = o->rtc_s;
    r->seed = o->seed;
    r->chaos = o->chaos;
    r->chaos_seed = o->chaos_seed;
    r->reset_ends = o->exec != NULL;
    r->state_hash_shift = STATE_HASH_SHIFT;
    r->memory_hash_shift = MEMORY_HASH_SHIFT;
}

struct status session_plan(struct session *s, const struct run_options *o, struct host *host)
{
    struct status result = read_files(s, o);
    if (!status_ok(&result)) {
        return result;
    }
    describe(s, o);
    add_image(s, RECORDING_KERNEL, 0, s->boot.kernel_path, s->boot.kernel_size, true);
    if (s->boot.initrd) {
        add_image(s, RECORDING_INITRD, 0, s->boot.initrd_path, s->boot.initrd_size, true);
    }
    return open_disks(s, o, host);
}
