// SPDX-License-Identifier: MIT
// From options to a loaded machine.
#include "frontends/session.h"

#include "base/memory.h"
#include "frontends/session_internal.h"
#include "frontends/window.h"
#include "isa/coverage.h"
#include "machine/boot.h"
#include "machine/tree.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINES 4

// /dev/null or the like: as where a window is started from a desktop, which is not to end at once.
static bool is_null(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && !isatty(fd);
}

// ttyS0: the user. The terminal is raw unless the command's output goes elsewhere. A replay takes
// no input.
static struct host_serial first_serial(struct session *s, const struct run_options *o,
                                       struct status *result)
{
    struct host_serial serial = {0};
    if (o->outside) {
        return o->outside->serial[0];
    }
    if (o->serial && strcmp(o->serial, "null") == 0) {
        return posix_serial_stream(s->door, -1, -1);
    }
    if (o->serial && strncmp(o->serial, "file:", 5) == 0) {
        *result = posix_serial_file(s->door, o->serial + 5, &serial);
        return serial;
    }
    if (s->reader && !o->goes_live) {
        return posix_serial_stream(s->door, -1, STDOUT_FILENO);
    }
    if (isatty(STDIN_FILENO)) {
        return posix_serial_terminal(s->door, !s->reset_ends || isatty(STDOUT_FILENO));
    }
    if (o->window && is_null(STDIN_FILENO)) {
        return posix_serial_stream(s->door, -1, STDOUT_FILENO);
    }
    // Beside a window nothing stands still until somebody writes into a pipe.
    return o->window ? posix_serial_async(s->door, STDIN_FILENO, STDOUT_FILENO)
                     : posix_serial_stream(s->door, STDIN_FILENO, STDOUT_FILENO);
}

// ttyS1: the command's standard error. ttyS2: the kernel's log. A replay has the lines that the
// recording had, wherever their output goes now.
static struct status connect_serials(struct session *s, const struct run_options *o,
                                     struct host *host)
{
    struct status result = status_success();
    bool exec = s->reset_ends;
    host->serial[0] = first_serial(s, o, &result);
    if (status_ok(&result) && exec) {
        host->serial[1] =
            o->outside ? o->outside->serial[1] : posix_serial_stream(s->door, -1, STDERR_FILENO);
    }
    if (status_ok(&result) && o->log) {
        result = posix_serial_file(s->door, o->log, &host->serial[2]);
    } else if (exec) {
        host->serial[2] = posix_serial_stream(s->door, -1, -1);
    }
    for (unsigned i = 0; status_ok(&result) && s->reader && i < LINES; i++) {
        bool recorded = s->recording.lines >> i & 1;
        if (recorded && !host->serial[i].ops) {
            host->serial[i] = posix_serial_stream(s->door, -1, -1);
        } else if (!recorded) {
            host->serial[i] = (struct host_serial){0};
        }
    }
    return result;
}

static struct status load(struct session *s)
{
    const struct session_boot *b = &s->boot;
    struct boot_params params = {
        .kernel = {b->kernel, b->kernel_size, b->kernel_path},
        .tree = {b->tree, b->tree_size, "the device tree"},
        .initrd = {b->initrd, b->initrd_size, b->initrd_path},
        .command_line = tree_bootargs(b->tree),
    };
    return boot_load(s->machine, &params);
}

static struct status open_door(struct session *s, const struct run_options *o, struct host *host)
{
    struct posix_door_config config = {.pace = o->pace, .time_limit_ns = o->time_limit_ns};
    if (s->reader && !o->goes_live) {
        config.pace = POSIX_PACE_NONE;
    }
    struct status result = posix_door_create(&s->door, &config);
    if (status_ok(&result)) {
        host->door = o->outside ? o->outside->door : posix_door_host(s->door);
        result = connect_serials(s, o, host);
        if (o->window && (!s->reader || o->goes_live)) {
            window_connect(o->window, s->door, host);
        }
    }
    return result;
}

// The CPU of a recording must still answer the same.
static struct status check_cpu(struct session *s)
{
    struct recording *r = &s->recording;
    struct bytes now = {0};
    const char *profile = cpu_undefined_profile_name(machine_cpu(s->machine, 0));
    recording_cpuid(machine_cpu(s->machine, 0), &now);
    if (!s->reader) {
        r->cpuid = now.data;
        r->cpuid_size = now.size;
        r->undefined_profile = xstrdup(profile);
        return status_success();
    }
    bool same = now.size == r->cpuid_size && memcmp(now.data, r->cpuid, now.size) == 0 &&
                (!r->undefined_profile || strcmp(r->undefined_profile, profile) == 0);
    bytes_free(&now);
    return same ? status_success()
                : status_error(STATUS_BAD_INPUT,
                               "%s was made with another CPU \"%s\" than this viv has under that "
                               "name; use the viv that made it",
                               log_reader_path(s->reader), r->cpu_model);
}

static struct status create_machine(struct session *s, const struct run_options *o,
                                    const struct host *host)
{
    const struct recording *r = &s->recording;
    if (o->log_inputs) {
        s->log = input_log_create(host);
        if (s->reader) {
            log_reader_fill(s->reader, s->log);
        }
    }
    struct machine_config config = {
        .tree = s->boot.tree,
        .host = s->log ? input_log_host(s->log) : host,
        .cpu_model = r->cpu_model,
        .engine = o->engine,
        .tlb = o->tlb,
        .chaos = r->chaos,
        .chaos_seed = r->chaos_seed,
        .coverage = s->coverage = coverage_begin(),
    };
    struct status result = machine_create(&s->machine, &config);
    if (status_ok(&result) && s->log) {
        input_log_set_clock(s->log, machine_clock(s->machine));
        result = check_cpu(s);
    }
    return status_ok(&result) ? load(s) : result;
}

struct status session_open(struct session *s, const struct run_options *o)
{
    memset(s, 0, sizeof(*s));
    struct host host = {0};
    struct status result = status_success();
    if (o->replay) {
        result = log_reader_open(&s->reader, o->replay);
    }
    if (status_ok(&result)) {
        result = s->reader ? session_plan_replay(s, &host) : session_plan(s, o, &host);
    }
    if (status_ok(&result)) {
        s->reset_ends = s->recording.reset_ends;
        host.rtc_base_s = s->recording.rtc_base_s;
        host.seed = s->recording.seed;
        result = open_door(s, o, &host);
    }
    for (unsigned i = 0; status_ok(&result) && !s->reader && i < LINES; i++) {
        s->recording.lines |= (u8)((host.serial[i].ops != NULL) << i);
    }
    return status_ok(&result) ? create_machine(s, o, &host) : result;
}

struct status session_reboot(struct session *s)
{
    machine_reset(s->machine);
    machine_clear_memory(s->machine);
    return load(s);
}

static struct status boot_again(void *ctx)
{
    return session_reboot(ctx);
}

struct checkpoint_parts session_parts(struct session *s)
{
    struct checkpoint_parts parts = {.machine = s->machine, .disks = s->overlays};
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        struct overlay *overlay = s->disks[i] ? posix_block_overlay(s->disks[i]) : NULL;
        if (overlay) {
            s->overlays[parts.disk_count++] = overlay;
        }
    }
    return parts;
}

struct status session_enter(struct session *s, u64 step)
{
    u64 found;
    if (!checkpoint_chunk_find(s->reader, step, &found)) {
        return status_success();
    }
    struct checkpoint_parts parts = session_parts(s);
    return checkpoint_chunk_restore(s->reader, found, &parts, s->log);
}

static bool find_checkpoint(void *ctx, u64 step, u64 *found_step)
{
    const struct session *s = ctx;
    return checkpoint_chunk_find(s->reader, step, found_step);
}

static struct status restore_checkpoint(void *ctx, u64 found_step)
{
    struct session *s = ctx;
    struct checkpoint_parts parts = session_parts(s);
    return checkpoint_chunk_restore(s->reader, found_step, &parts, s->log);
}

// What the recording's file has for the timeline: checkpoints, and how the run ended.
static void use_recording(struct session *s, struct timeline *t)
{
    const struct timeline_store store = {find_checkpoint, restore_checkpoint, s};
    timeline_set_store(t, &store);
    const struct log_end *end = log_reader_end(s->reader);
    if (end && (end->exit == MACHINE_EXIT_SHUTDOWN || end->exit == MACHINE_EXIT_STUCK)) {
        struct machine_result result = {.exit = (enum machine_exit)end->exit, .value = end->value};
        memcpy(result.text, end->text, sizeof(result.text));
        timeline_set_end_result(t, &result);
    }
}

struct timeline *session_timeline(struct session *s, u64 memory_bytes)
{
    struct timeline *t = timeline_create(s->machine, s->log, memory_bytes);
    struct checkpoint_parts parts = session_parts(s);
    for (unsigned i = 0; i < parts.disk_count; i++) {
        timeline_add_disk(t, s->overlays[i]);
    }
    if (!s->reset_ends) {
        timeline_set_boot(t, boot_again, s);
    }
    if (s->reader) {
        use_recording(s, t);
    }
    return t;
}

void session_close(struct session *s)
{
    machine_destroy(s->machine);
    coverage_end(s->coverage);
    input_log_destroy(s->log);
    posix_door_destroy(s->door);
    for (unsigned i = 0; i < DISKS_MAX; i++) {
        posix_block_close(s->disks[i]);
    }
    log_reader_close(s->reader);
    recording_free(&s->recording);
    free(s->boot.kernel);
    free(s->boot.initrd);
    free(s->boot.tree);
    free(s->boot.kernel_path);
    free(s->boot.initrd_path);
    memset(s, 0, sizeof(*s));
}
