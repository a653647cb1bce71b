// SPDX-License-Identifier: MIT
// /dev/fb0, the virtual terminal it belongs to, /dev/input/event*.
#include "screen.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "abi/fb.h"
#include "abi/vt.h"

#define EVENT_DEVICES 8

static struct {
    int fb, terminal; // terminal: the virtual terminal that we draw on
    bool foreign;     // we were started elsewhere: on the serial line, for example
    unsigned vt;      // its number
    struct linux_fb_var_screeninfo before;
    struct termios termios_before;
    uint8_t *memory;
    size_t memory_bytes;
    unsigned line_bytes;
    int events[EVENT_DEVICES];
    unsigned nr_events;
} display = {.fb = -1, .terminal = -1};
static volatile sig_atomic_t quit;

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void on_signal(int sig)
{
    (void)sig;
    quit = 1;
}

void screen_quit(void)
{
    quit = 1;
}

static void restore(void)
{
    if (display.fb >= 0) {
        ioctl(display.fb, FBIOPUT_VSCREENINFO, &display.before);
    }
    if (display.terminal >= 0) {
        if (display.foreign) {
            ioctl(display.terminal, KDSKBMODE, K_UNICODE);
        } else {
            tcsetattr(display.terminal, TCSAFLUSH, &display.termios_before);
        }
        ioctl(display.terminal, KDSETMODE, KD_TEXT);
    }
}

// Keys that we see as events would be typed at the terminal too: there they are thrown away.
static void quiet_terminal(void)
{
    struct termios t;
    if (display.foreign || tcgetattr(display.terminal, &display.termios_before) < 0) {
        display.foreign = true;
        ioctl(display.terminal, KDSKBMODE, K_OFF);
        return;
    }
    t = display.termios_before;
    t.c_lflag &= ~(tcflag_t)(ECHO | ICANON);
    tcsetattr(display.terminal, TCSANOW, &t);
}

static void open_terminal(void)
{
    long mode;
    struct linux_vt_stat state;
    display.terminal =
        ioctl(0, KDGETMODE, &mode) == 0 ? dup(0) : open("/dev/tty0", O_RDWR | O_NOCTTY);
    display.foreign = ioctl(0, KDGETMODE, &mode) != 0;
    if (display.terminal < 0) {
        return;
    }
    if (ioctl(display.terminal, VT_GETSTATE, &state) == 0) {
        display.vt = state.v_active;
    }
    quiet_terminal();
    ioctl(display.terminal, KDSETMODE, KD_GRAPHICS);
}

static void set_mode(int width, int height)
{
    struct linux_fb_var_screeninfo v = display.before;
    struct linux_fb_fix_screeninfo fix;
    v.xres = v.xres_virtual = (uint32_t)width;
    v.yres = v.yres_virtual = (uint32_t)height;
    v.bits_per_pixel = 32;
    v.xoffset = v.yoffset = 0;
    v.activate = FB_ACTIVATE_NOW;
    if (ioctl(display.fb, FBIOPUT_VSCREENINFO, &v) < 0 ||
        ioctl(display.fb, FBIOGET_VSCREENINFO, &v) < 0 ||
        ioctl(display.fb, FBIOGET_FSCREENINFO, &fix) < 0) {
        fail("/dev/fb0");
    }
    if (v.xres != (uint32_t)width || v.yres != (uint32_t)height || v.bits_per_pixel != 32) {
        errno = EINVAL;
        fail("/dev/fb0: the mode");
    }
    display.line_bytes = fix.line_length;
    display.memory_bytes = (size_t)fix.line_length * (size_t)height;
    display.memory =
        mmap(NULL, display.memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, display.fb, 0);
    if (display.memory == MAP_FAILED) {
        fail("/dev/fb0: mmap");
    }
}

static void open_events(void)
{
    for (int i = 0; i < EVENT_DEVICES; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/dev/input/event%d", i);
        int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0) {
            display.events[display.nr_events++] = fd;
        }
    }
}

void screen_open(struct screen *s, int width, int height)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (picture_make(&s->picture, width, height) < 0) {
        fail("the picture");
    }
    display.fb = open("/dev/fb0", O_RDWR | O_CLOEXEC);
    if (display.fb < 0) {
        fail("/dev/fb0");
    }
    if (ioctl(display.fb, FBIOGET_VSCREENINFO, &display.before) < 0) {
        fail("/dev/fb0");
    }
    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        struct sigaction action = {.sa_handler = on_signal};
        sigaction(signals[i], &action, NULL);
    }
    atexit(restore);
    open_terminal();
    set_mode(width, height);
    open_events();
}

static bool in_front(void)
{
    struct linux_vt_stat state;
    return display.terminal < 0 || ioctl(display.terminal, VT_GETSTATE, &state) < 0 ||
           state.v_active == display.vt;
}

bool screen_show(struct screen *s)
{
    size_t row_bytes = (size_t)s->picture.width * 4;
    if (in_front() && row_bytes == display.line_bytes) {
        memcpy(display.memory, s->picture.dots, row_bytes * (size_t)s->picture.height);
    } else if (in_front()) {
        for (int y = 0; y < s->picture.height; y++) {
            memcpy(display.memory + (size_t)y * display.line_bytes,
                   s->picture.dots + (long)y * s->picture.width, row_bytes);
        }
    }
    return !quit;
}

static void take(struct input *in, const struct linux_input_event *e)
{
    if (e->type == EV_KEY && e->code <= KEY_MAX) {
        in->held[e->code] = e->value;
        in->pressed[e->code] |= e->value != 0;
    } else if (e->type == EV_REL) {
        in->dx += e->code == REL_X ? e->value : 0;
        in->dy += e->code == REL_Y ? e->value : 0;
        in->wheel += e->code == REL_WHEEL ? e->value : 0;
    }
}

void input_read(struct input *in)
{
    struct linux_input_event events[16];
    memset(in->pressed, 0, sizeof(in->pressed));
    in->dx = in->dy = in->wheel = 0;
    for (unsigned i = 0; i < display.nr_events; i++) {
        ssize_t n;
        while ((n = read(display.events[i], events, sizeof(events))) > 0) {
            for (unsigned k = 0; k < (size_t)n / sizeof(*events); k++) {
                take(in, &events[k]);
            }
        }
    }
    if (display.foreign && in->pressed[KEY_C] &&
        (in->held[KEY_LEFTCTRL] || in->held[KEY_RIGHTCTRL])) {
        quit = 1;
    }
}

unsigned screen_frames_asked(int argc, char **argv)
{
    char *end;
    if (argc == 1) {
        return 0;
    }
    long frames = argc == 3 && !strcmp(argv[1], "-n") ? strtol(argv[2], &end, 10) : 0;
    if (frames < 1 || frames > 1000000 || *end) {
        fprintf(stderr, "usage: %s [-n FRAMES]\n", argv[0]);
        exit(64);
    }
    return (unsigned)frames;
}

void screen_mark(const char *name)
{
    char line[64];
    int length = snprintf(line, sizeof(line), "mark %s\n", name);
    if (write(2, line, (size_t)length) != length) {
        fail("the mark");
    }
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void pace(uint64_t period_ns)
{
    static uint64_t due;
    uint64_t now = now_ns();
    due += period_ns;
    if (due < now) {
        due = now; // too slow: nothing is caught up
        return;
    }
    struct timespec t = {(time_t)(due / 1000000000u), (long)(due % 1000000000u)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}
