// SPDX-License-Identifier: MIT
// "viv diff A B": runs two recordings beside each other and says from which step on, and in what,
// they differ.
#include "frontends/cmd_diff.h"

#include "frontends/outcome.h"
#include "replay/divergence.h"

#include <stdlib.h>
#include <string.h>

#define DIFFERENT 1
#define LINES_MAX 24
#define CHECKPOINT_BYTES (UINT64_C(256) << 20) // of each

static struct status open_side(struct session *s, struct run_options *o, const char *path)
{
    struct status result = options_parse(o, 0, NULL);
    o->replay = path;
    o->log_inputs = true;
    o->serial = "null";
    return status_ok(&result) ? session_open(s, o) : result;
}

static void header_line(const char *what)
{
    printf("the machines differ: %s\n", what);
}

static void compare_image(const struct recording_image *a, const struct recording_image *b)
{
    if (memcmp(a->sha256, b->sha256, sizeof(a->sha256)) != 0) {
        char in_a[65], in_b[65], text[400];
        recording_sha256_text(a->sha256, in_a);
        recording_sha256_text(b->sha256, in_b);
        snprintf(text, sizeof(text), "%s (SHA-256 %s) / %s (%s)", a->path, in_a, b->path, in_b);
        header_line(text);
    }
}

// Prints in what the machines differed from the start.
static void compare_headers(const struct recording *a, const struct recording *b)
{
    if (a->tree_size != b->tree_size || memcmp(a->tree, b->tree, a->tree_size) != 0) {
        header_line("device tree (memory, devices, command line, command or seed)");
    }
    if (strcmp(a->cpu_model, b->cpu_model) != 0) {
        header_line("CPU model");
    }
    if (a->rtc_base_s != b->rtc_base_s) {
        header_line("date at start");
    }
    if (a->chaos != b->chaos || a->chaos_seed != b->chaos_seed) {
        header_line("--chaos");
    }
    if (a->image_count != b->image_count) {
        header_line("number of images");
    }
    for (unsigned i = 0; i < a->image_count && i < b->image_count; i++) {
        compare_image(&a->images[i], &b->images[i]);
    }
}

static void print_line(void *ctx, const char *text)
{
    printf("  %s\n", text);
}

static int report(struct session *a, struct session *b, u64 step, u64 last_step)
{
    char text[300];
    u64 input_step;
    bool inputs = divergence_of_inputs(a->log, b->log, last_step, &input_step, text, sizeof(text));
    if (step == UINT64_MAX) {
        struct log_position end_a = log_reader_last(a->reader), end_b = log_reader_last(b->reader);
        bool same = end_a.step == end_b.step && end_a.vtime_ns == end_b.vtime_ns && !inputs;
        if (same) {
            printf("no difference in %llu steps\n", (unsigned long long)last_step);
            return 0;
        }
        printf("no difference up to step %llu, where the first of the two ends (%llu / %llu)\n",
               (unsigned long long)last_step, (unsigned long long)end_a.step,
               (unsigned long long)end_b.step);
        if (inputs) {
            printf("%s\n", text);
        }
        return DIFFERENT;
    }
    printf("first difference at step %llu\n", (unsigned long long)step);
    if (inputs) {
        printf("%s\n", text);
    }
    divergence_describe(a->machine, b->machine, LINES_MAX, print_line, NULL);
    return DIFFERENT;
}

struct sides {
    struct session *a, *b;
};

static bool is_ended(const struct session *s)
{
    int detail;
    return posix_door_why(s->door, &detail) != POSIX_DOOR_OPEN;
}

// A signal goes to either door.
static bool is_cancelled(void *ctx)
{
    const struct sides *sides = ctx;
    return is_ended(sides->a) || is_ended(sides->b);
}

static int cancelled_status(const struct sides *sides)
{
    char line[OUTCOME_LINE] = "";
    struct machine_result result = {.exit = MACHINE_EXIT_HOST};
    int status = outcome_status(is_ended(sides->a) ? sides->a : sides->b, &result, line);
    fprintf(stderr, "viv: %s\n", line);
    return status;
}

static int compare(struct session *a, struct session *b)
{
    struct sides sides = {a, b};
    compare_headers(&a->recording, &b->recording);
    struct divergence_range range = divergence_of_hashes(a->reader, b->reader);
    u64 end_a = log_reader_last(a->reader).step, end_b = log_reader_last(b->reader).step;
    u64 last_step = end_a < end_b ? end_a : end_b;
    struct timeline *in_a = session_timeline(a, CHECKPOINT_BYTES);
    struct timeline *in_b = session_timeline(b, CHECKPOINT_BYTES);
    char text[300];
    u64 input_step;
    if (divergence_of_inputs(a->log, b->log, last_step, &input_step, text, sizeof(text)) &&
        input_step < range.differs_step) {
        range.equal_step = input_step; // nothing can differ before
    }
    u64 step = divergence_find(in_a, in_b, &range, last_step, is_cancelled, &sides);
    int status = is_cancelled(&sides) ? cancelled_status(&sides) : report(a, b, step, last_step);
    timeline_destroy(in_a);
    timeline_destroy(in_b);
    return status;
}

int cmd_diff(int argc, char **argv)
{
    if (argc != 2 || argv[0][0] == '-' || argv[1][0] == '-') {
        bool help = argc == 1 && strcmp(argv[0], "--help") == 0;
        fputs("usage: viv diff FILE FILE   (two recordings)\n", help ? stdout : stderr);
        return help ? 0 : STATUS_USAGE;
    }
    struct session a = {0}, b = {0};
    struct run_options options_a, options_b;
    struct status s = open_side(&a, &options_a, argv[0]);
    if (status_ok(&s)) {
        s = open_side(&b, &options_b, argv[1]);
    }
    int status = 0;
    if (status_ok(&s)) {
        input_log_mute(a.log, true);
        input_log_mute(b.log, true);
        status = compare(&a, &b);
    }
    session_close(&b);
    session_close(&a);
    return status_ok(&s) ? status : outcome_fail(&s);
}
