// SPDX-License-Identifier: MIT
// Frames of a replay by guest time.
#include "frontends/frames.h"

#include "base/memory.h"
#include "display/png_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FRAMES_PER_SECOND 30
#define NS_PER_SECOND UINT64_C(1000000000)

struct frames {
    struct machine *machine;
    const char *directory;
    struct surface surface;
    FILE *list;
    unsigned long written;
    u64 shown_since; // number of the frame that the last file is of
    struct status status;
};

static u64 number_at(u64 now_ns)
{
    return (u64)((unsigned __int128)now_ns * FRAMES_PER_SECOND / NS_PER_SECOND);
}

static u64 time_of(u64 number)
{
    return (u64)(((unsigned __int128)number * NS_PER_SECOND + FRAMES_PER_SECOND - 1) /
                 FRAMES_PER_SECOND);
}

static struct status failed(const char *path)
{
    return status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
}

// The file before is shown up to this frame.
static void end_last(struct frames *f, u64 number)
{
    if (f->written) {
        fprintf(f->list, "duration %.6f\n", (double)(number - f->shown_since) / FRAMES_PER_SECOND);
    }
}

static void write_frame(struct frames *f, u64 number)
{
    char *path = xasprintf("%s/frame-%06lu.png", f->directory, f->written + 1);
    FILE *file = fopen(path, "wbe");
    f->status = file ? png_file_write(file, path, &f->surface, true) : failed(path);
    if (file && fclose(file) != 0 && status_ok(&f->status)) {
        f->status = failed(path);
    }
    end_last(f, number);
    f->written++;
    f->shown_since = number;
    fprintf(f->list, "file 'frame-%06lu.png'\n", f->written);
    free(path);
}

static void on_frame(void *ctx, u64 now_ns, u64 *due_ns)
{
    struct frames *f = ctx;
    u64 number = number_at(now_ns);
    *due_ns = time_of(number + 1);
    if (status_ok(&f->status) && surface_update(&f->surface, f->machine, NULL)) {
        write_frame(f, number);
    }
}

static struct status make_directory(const char *path)
{
    if (mkdir(path, 0777) == 0) {
        return status_success();
    }
    if (errno != EEXIST) {
        return status_error(STATUS_BAD_INPUT, "cannot make %s: %s", path, strerror(errno));
    }
    DIR *dir = opendir(path);
    if (!dir) {
        return status_error(STATUS_BAD_INPUT, "cannot use %s: %s", path, strerror(errno));
    }
    bool empty = true;
    for (const struct dirent *e = readdir(dir); e && empty; e = readdir(dir)) {
        empty = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
    }
    closedir(dir);
    return empty ? status_success()
                 : status_error(STATUS_BAD_INPUT,
                                "--frames %s: it is not empty; name a new directory", path);
}

struct status frames_begin(struct frames **out, const char *directory, struct machine *m)
{
    struct device_picture picture;
    if (!machine_picture(m, &picture)) {
        return status_error(STATUS_BAD_INPUT, "--frames: this machine has no display");
    }
    struct status s = make_directory(directory);
    if (!status_ok(&s)) {
        return s;
    }
    char *path = xasprintf("%s/frames.ffconcat", directory);
    FILE *list = fopen(path, "we");
    s = list ? status_success() : failed(path);
    free(path);
    if (!list) {
        return s;
    }
    struct frames *f = xcalloc(1, sizeof(*f));
    *f = (struct frames){.machine = m, .directory = directory, .list = list, .status = s};
    surface_init(&f->surface);
    fputs("ffconcat version 1.0\n", list);
    machine_set_frame_clock(m, on_frame, f, vclock_ns(machine_clock(m)));
    *out = f;
    return s;
}

struct status frames_end(struct frames *f)
{
    if (!f) {
        return status_success();
    }
    u64 number = number_at(vclock_ns(machine_clock(f->machine))) + 1, none;
    machine_set_frame_clock(f->machine, NULL, NULL, 0);
    on_frame(f, time_of(number), &none);
    end_last(f, number + 1);
    struct status s = f->status;
    if ((ferror(f->list) | fclose(f->list)) && status_ok(&s)) {
        s = failed("frames.ffconcat");
    }
    surface_free(&f->surface);
    free(f);
    return s;
}
