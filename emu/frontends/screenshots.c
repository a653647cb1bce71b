// SPDX-License-Identifier: MIT
// Files are created before the guest starts, so that a wrong path costs nobody a run.
#include "frontends/screenshots.h"

#include "base/memory.h"
#include "display/png_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct shot {
    const struct screenshot_option *option;
    FILE *file; // NULL: taken
};

struct screenshots {
    struct shot shots[SCREENSHOTS_MAX];
    unsigned count;
    u64 first_step;
};

static void remove_files(struct screenshots *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->shots[i].file) {
            fclose(s->shots[i].file);
            unlink(s->shots[i].option->path);
        }
    }
}

struct status screenshots_open(struct screenshots **out, const struct run_options *o,
                               const struct machine *m)
{
    struct device_picture picture;
    *out = NULL;
    if (!o->screenshot_count) {
        return status_success();
    }
    if (!machine_picture(m, &picture)) {
        return status_error(STATUS_BAD_INPUT,
                            "--screenshot: this machine has no display (a pci1234,1111 node)");
    }
    struct screenshots *s = xcalloc(1, sizeof(*s));
    s->first_step = machine_clock(m)->step;
    for (unsigned i = 0; i < o->screenshot_count; i++) {
        const struct screenshot_option *option = &o->screenshots[i];
        FILE *file = fopen(option->path, "wbe");
        if (!file) {
            struct status result = status_error(STATUS_BAD_INPUT, "cannot write %s: %s",
                                                option->path, strerror(errno));
            remove_files(s);
            free(s);
            return result;
        }
        s->shots[s->count++] = (struct shot){option, file};
    }
    *out = s;
    return status_success();
}

u64 screenshots_next(const struct screenshots *shots, const struct machine *m, u64 until_step)
{
    u64 now = machine_clock(m)->step, next = until_step;
    for (unsigned i = 0; shots && i < shots->count; i++) {
        u64 step = shots->shots[i].option->step;
        if (shots->shots[i].file && step > now && step < next) {
            next = step;
        }
    }
    return next;
}

static struct status take(struct shot *shot, struct machine *m)
{
    struct surface surface;
    surface_init(&surface);
    surface_update(&surface, m, NULL);
    struct status s = png_file_write(shot->file, shot->option->path, &surface, false);
    if (fclose(shot->file) != 0 && status_ok(&s)) {
        s = status_error(STATUS_BAD_INPUT, "cannot write %s: %s", shot->option->path,
                         strerror(errno));
    }
    shot->file = NULL;
    surface_free(&surface);
    return s;
}

static struct status take_all_of(struct screenshots *shots, struct machine *m, u64 step)
{
    struct status s = status_success();
    for (unsigned i = 0; shots && i < shots->count && status_ok(&s); i++) {
        if (shots->shots[i].file && shots->shots[i].option->step == step) {
            s = take(&shots->shots[i], m);
        }
    }
    return s;
}

struct status screenshots_take(struct screenshots *shots, struct machine *m)
{
    return take_all_of(shots, m, machine_clock(m)->step);
}

struct status screenshots_finish(struct screenshots *shots, struct machine *m,
                                 const struct status *so_far)
{
    struct status s = *so_far;
    if (!shots) {
        return s;
    }
    if (status_ok(&s)) {
        s = screenshots_take(shots, m);
    }
    if (status_ok(&s)) {
        s = take_all_of(shots, m, SCREENSHOT_AT_END);
    }
    for (unsigned i = 0; i < shots->count && status_ok(&s); i++) {
        if (shots->shots[i].file) {
            s = status_error(STATUS_BAD_INPUT,
                             "no picture in %s: the run went from step %llu to %llu, and not "
                             "through %llu",
                             shots->shots[i].option->path, (unsigned long long)shots->first_step,
                             (unsigned long long)machine_clock(m)->step,
                             (unsigned long long)shots->shots[i].option->step);
        }
    }
    remove_files(shots);
    free(shots);
    return s;
}
