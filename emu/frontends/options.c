// SPDX-License-Identifier: MIT
// Reading the command line.
#include "frontends/options.h"

#include "base/memory.h"
#include "host/posix_clock.h"
#include "machine/tree.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHECKPOINT_STEPS (UINT64_C(1) << 28)
#define MEM_MAX (UINT64_C(1) << 39)
#define RTC_DEFAULT UINT64_C(1767225600) // 2026-01-01T00:00:00Z

static struct status bad_value(const char *option, const char *value, const char *wanted)
{
    return status_error(STATUS_USAGE, "%s %s: %s expected", option, value, wanted);
}

static struct status set_machine(struct run_options *o, const char *value)
{
    o->machine = value;
    return status_success();
}

static struct status set_kernel(struct run_options *o, const char *value)
{
    o->kernel = value;
    return status_success();
}

static struct status set_initrd(struct run_options *o, const char *value)
{
    o->initrd = value;
    return status_success();
}

static struct status set_append(struct run_options *o, const char *value)
{
    o->append = value;
    return status_success();
}

static struct status set_cpu(struct run_options *o, const char *value)
{
    o->cpu = value;
    return status_success();
}

static struct status set_exec(struct run_options *o, const char *value)
{
    o->exec = value;
    return status_success();
}

static struct status set_log(struct run_options *o, const char *value)
{
    o->log = value;
    return status_success();
}

static struct status set_stats(struct run_options *o, const char *value)
{
    o->stats = true;
    return status_success();
}

static struct status set_trace(struct run_options *o, const char *value)
{
    o->trace = value;
    return status_success();
}

static struct status set_perfetto(struct run_options *o, const char *value)
{
    o->perfetto = value;
    return *value ? status_success() : bad_value("--perfetto", value, "a file name");
}

static struct status set_strace(struct run_options *o, const char *value)
{
    o->strace = value ? value : "";
    return status_success();
}

static struct status set_disk(struct run_options *o, const char *value)
{
    if (o->disk_count == DISKS_MAX) {
        return status_error(STATUS_USAGE, "--disk %s: at most %d disks", value, DISKS_MAX);
    }
    struct disk_option *d = &o->disks[o->disk_count++];
    d->path = xstrdup(value);
    char *comma = strrchr(d->path, ',');
    if (comma) {
        if (strcmp(comma, ",ro") == 0) {
            d->mode = POSIX_BLOCK_READ;
        } else if (strcmp(comma, ",snapshot") == 0) {
            d->mode = POSIX_BLOCK_SNAPSHOT;
        } else {
            return bad_value("--disk", value, "FILE, FILE,ro or FILE,snapshot (no other comma)");
        }
        *comma = '\0';
    }
    return *d->path ? status_success() : bad_value("--disk", value, "a file name");
}

// Decimal, or 0x...; nothing behind it.
static bool parse_number(const char *text, u64 *value)
{
    char *end;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return isdigit((unsigned char)*text) && !errno && !*end;
}

static struct status set_mem(struct run_options *o, const char *value)
{
    char *end;
    errno = 0;
    u64 n = strtoull(value, &end, 10);
    static const char letters[] = "KMGT";
    const char *letter = *end ? strchr(letters, toupper((unsigned char)*end)) : &letters[1];
    if (!isdigit((unsigned char)*value) || errno || !letter || (*end && end[1])) {
        return bad_value("--mem", value, "a size like 256M or 2G");
    }
    unsigned shift = 10 * (unsigned)(letter - letters + 1);
    if (n > MEM_MAX >> shift) {
        return status_error(STATUS_BAD_INPUT, "--mem %s: a machine has at most 512G", value);
    }
    o->mem_bytes = n << shift;
    if (!o->mem_bytes || o->mem_bytes % (1u << 20)) {
        return bad_value("--mem", value, "whole MiB, at least 1M,");
    }
    return status_success();
}

// What follows "lockstep": nothing, or :SEED[@STEP].
static bool parse_lockstep(struct run_options *o, const char *value)
{
    unsigned long long seed = 0, step = UINT64_MAX;
    int used = 0;
    o->lockstep = !*value ||
                  (sscanf(value, ":%llu%n@%llu%n", &seed, &used, &step, &used) > 0 && !value[used]);
    o->lockstep_seed = seed;
    o->lockstep_dense_step = step;
    return o->lockstep;
}

static struct status set_engine(struct run_options *o, const char *value)
{
    bool jit = strcmp(value, "jit") == 0;
    o->lockstep = strncmp(value, "lockstep", 8) == 0 && parse_lockstep(o, value + 8);
    if (!jit && !o->lockstep && strcmp(value, "interp") != 0) {
        return bad_value("--cpu-engine", value, "jit, interp or lockstep[:SEED[@STEP]]");
    }
    if (!cpu_has_jit() && (jit || o->lockstep)) {
        return status_error(STATUS_USAGE,
                            "--cpu-engine %s: this viv has no translator for this host; use interp",
                            value);
    }
    o->engine = jit ? CPU_ENGINE_JIT : CPU_ENGINE_INTERP;
    return status_success();
}

static struct status set_smp(struct run_options *o, const char *value)
{
    u64 n;
    if (!parse_number(value, &n) || !n || n > TREE_CPUS_MAX) {
        return bad_value("--smp", value, "a number of CPUs from 1 to 8");
    }
    o->cpus = (unsigned)n;
    return status_success();
}

static struct status set_serial(struct run_options *o, const char *value)
{
    bool file = strncmp(value, "file:", 5) == 0 && value[5];
    if (!file && strcmp(value, "stdio") != 0 && strcmp(value, "null") != 0) {
        return bad_value("--serial", value, "stdio, file:PATH or null");
    }
    o->serial = value;
    return status_success();
}

static struct status set_display(struct run_options *o, const char *value)
{
    o->sdl = strcmp(value, "sdl") == 0;
    if (!o->sdl && strcmp(value, "none") != 0) {
        return bad_value("--display", value, "none or sdl");
    }
    return status_success();
}

// The step stands behind the last '@', if there is nothing but digits.
static struct status set_screenshot(struct run_options *o, const char *value)
{
    if (o->screenshot_count == SCREENSHOTS_MAX) {
        return status_error(STATUS_USAGE, "--screenshot: at most %u of them", SCREENSHOTS_MAX);
    }
    const char *at = strrchr(value, '@');
    u64 step = SCREENSHOT_AT_END;
    size_t length = at && parse_number(at + 1, &step) ? (size_t)(at - value) : strlen(value);
    if (length < 5 || strncmp(value + length - 4, ".png", 4) != 0) {
        return bad_value("--screenshot", value, "FILE.png or FILE.png@STEP");
    }
    o->screenshots[o->screenshot_count++] =
        (struct screenshot_option){xasprintf("%.*s", (int)length, value), step};
    return status_success();
}

static struct status set_frames(struct run_options *o, const char *value)
{
    o->frames = value;
    return status_success();
}

static struct status set_rtc(struct run_options *o, const char *value)
{
    if (strcmp(value, "now") == 0) {
        o->rtc_s = posix_wall_seconds();
        return status_success();
    }
    struct tm date = {0};
    const char *end = strptime(value, "%Y-%m-%d", &date);
    if (end && (*end == 'T' || *end == ' ')) {
        end = strptime(end + 1, "%H:%M:%S", &date);
    }
    if (!end || *end || date.tm_year < 70 || date.tm_year > 199) {
        return bad_value("--rtc", value,
                         "now or a UTC date like 2026-01-01T12:00:00 (1970 to 2099)");
    }
    o->rtc_s = (u64)timegm(&date);
    return status_success();
}

static struct status set_seed(struct run_options *o, const char *value)
{
    return parse_number(value, &o->seed) ? status_success()
                                         : bad_value("--seed", value, "a number");
}

static struct status set_chaos(struct run_options *o, const char *value)
{
    o->chaos = true;
    return parse_number(value, &o->chaos_seed) ? status_success()
                                               : bad_value("--chaos", value, "a number");
}

static struct status set_tlb(struct run_options *o, const char *value)
{
    static const char *const names[] = {
        [TLB_FULL] = "full", [TLB_TINY] = "tiny", [TLB_OFF] = "off"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            o->tlb = (enum tlb_geometry)i;
            return status_success();
        }
    }
    return bad_value("--tlb", value, "full, tiny or off");
}

static struct status set_pace(struct run_options *o, const char *value)
{
    if (strcmp(value, "host") == 0) {
        o->pace = POSIX_PACE_HOST;
    } else if (strcmp(value, "none") == 0) {
        o->pace = POSIX_PACE_NONE;
    } else {
        return bad_value("--pace", value, "host or none");
    }
    return status_success();
}

static struct status set_timeout(struct run_options *o, const char *value)
{
    char *end;
    double seconds = strtod(value, &end);
    if (end == value || *end || !(seconds > 0) || seconds > 1e9) {
        return bad_value("--timeout", value, "a positive number of seconds");
    }
    o->time_limit_ns = (u64)(seconds * 1e9);
    o->time_limit_ns += !o->time_limit_ns;
    return status_success();
}

static struct status set_until(struct run_options *o, const char *value)
{
    return parse_number(value, &o->until_step) ? status_success()
                                               : bad_value("--until", value, "a step number");
}

static struct status set_record(struct run_options *o, const char *value)
{
    o->record = value;
    o->log_inputs = true;
    return status_success();
}

static struct status set_self_contained(struct run_options *o, const char *value)
{
    o->self_contained = true;
    return status_success();
}

static struct status set_checkpoints(struct run_options *o, const char *value)
{
    o->checkpoint_steps = CHECKPOINT_STEPS;
    return !value || (parse_number(value, &o->checkpoint_steps) && o->checkpoint_steps)
               ? status_success()
               : bad_value("--checkpoints", value, "a number of steps");
}

static struct status set_from(struct run_options *o, const char *value)
{
    const char *at = strrchr(value, '@');
    if (!at || at == value || !parse_number(at + 1, &o->from_step)) {
        return bad_value("--from", value, "FILE@STEP");
    }
    free(o->from);
    o->from = xasprintf("%.*s", (int)(at - value), value);
    o->replay = o->from;
    o->log_inputs = o->goes_live = true;
    return status_success();
}

static struct status set_replay(struct run_options *o, const char *value)
{
    o->replay = value;
    o->log_inputs = true;
    return status_success();
}

static struct status set_verify(struct run_options *o, const char *value)
{
    o->verify = true;
    return status_success();
}

static struct status set_write_disk(struct run_options *o, const char *value)
{
    o->write_disk = value;
    return status_success();
}

static struct status set_gdb(struct run_options *o, const char *value)
{
    o->gdb = value;
    o->log_inputs = true;
    return status_success();
}

static struct status set_script(struct run_options *o, const char *value)
{
    o->script = value;
    return status_success();
}

static struct status set_symbols(struct run_options *o, const char *value)
{
    if (o->symbol_count == SYMBOL_FILES_MAX) {
        return status_error(STATUS_USAGE, "--symbols: at most %u files", SYMBOL_FILES_MAX);
    }
    o->symbols[o->symbol_count++] = value;
    return status_success();
}

static struct status set_gdb_any(struct run_options *o, const char *value)
{
    o->gdb_any = true;
    return status_success();
}

struct option_row {
    const char *name, *argument;
    struct status (*set)(struct run_options *o, const char *value);
    const char *help;
};

static const struct option_row rows[] = {
#define OPTION(name, argument, setter, help) {name, argument, setter, help},
#include "frontends/options.def"
#undef OPTION
};

// Options that DESIGN.md promises for later versions get a line of their own.
static const char *const later[] = {"--bios"};

// Options that describe a machine.
static const char *const machine_options[] = {"--machine", "--kernel", "--initrd", "--append",
                                              "--disk",    "--mem",    "--cpu",    "--smp",
                                              "--rtc",     "--seed",   "--chaos",  "--exec"};

static void note_machine_option(struct run_options *o, const char *name)
{
    for (unsigned i = 0; i < ARRAY_LEN(machine_options) && !o->machine_option; i++) {
        if (strcmp(name, machine_options[i]) == 0) {
            o->machine_option = machine_options[i];
        }
    }
}

static struct status unknown_option(const char *arg)
{
    for (unsigned i = 0; i < ARRAY_LEN(later); i++) {
        if (strcmp(arg, later[i]) == 0) {
            return status_error(STATUS_USAGE, "%s: not in this version", arg);
        }
    }
    return status_error(STATUS_USAGE, "unknown option %s; see viv run --help", arg);
}

// The row whose name arg is or begins with ("--name=value"); *value gets what follows '=', NULL if
// nothing.
static const struct option_row *find_row(const char *arg, const char **value)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        size_t length = strlen(rows[i].name);
        if (strncmp(arg, rows[i].name, length) == 0 && (!arg[length] || arg[length] == '=')) {
            *value = arg[length] ? arg + length + 1 : NULL;
            return &rows[i];
        }
    }
    return NULL;
}

struct status options_parse(struct run_options *o, int argc, char **argv)
{
    *o = (struct run_options){.rtc_s = RTC_DEFAULT, .until_step = UINT64_MAX};
    strace_options_init(&o->strace_options);
    for (int i = 0; i < argc; i++) {
        const char *value = NULL;
        if (argv[i][0] != '-' && o->file_count < FILES_MAX) {
            o->files[o->file_count++] = argv[i];
            continue;
        }
        struct status strace;
        if (strace_options_take(&o->strace_options, argc, argv, &i, &strace)) {
            if (!status_ok(&strace)) {
                return strace;
            }
            o->strace = o->strace ? o->strace : "";
            continue;
        }
        const struct option_row *row = find_row(argv[i], &value);
        if (!row) {
            return unknown_option(argv[i]);
        }
        note_machine_option(o, row->name);
        if (row->argument && !value) {
            if (++i == argc) {
                return status_error(STATUS_USAGE, "%s needs %s", row->name, row->argument);
            }
            value = argv[i];
        }
        if (!row->argument && value && row->set != set_strace && row->set != set_checkpoints) {
            return status_error(STATUS_USAGE, "%s takes no value", row->name);
        }
        struct status s = row->set(o, value);
        if (!status_ok(&s)) {
            return s;
        }
    }
    return status_success();
}

void options_free(struct run_options *o)
{
    for (unsigned i = 0; i < o->disk_count; i++) {
        free(o->disks[i].path);
    }
    for (unsigned i = 0; i < o->screenshot_count; i++) {
        free(o->screenshots[i].path);
    }
    free(o->from);
}

void options_help(void)
{
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        char *left = xasprintf("%s %s", rows[i].name, rows[i].argument ? rows[i].argument : "");
        printf("  %-34s %s\n", left, rows[i].help);
        free(left);
    }
    strace_options_help();
}
