// SPDX-License-Identifier: MIT
// What programs do with fern's /dev/fb0 and tty1..tty4; prints a line for what is not as it should
// be, and "display_program: passed". Leaves a picture of its own on the screen
//.
#include <errno.h>
#include <fcntl.h>
#include <linux/fb.h>
#include <linux/kd.h>
#include <linux/vt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MEMORY (16u << 20)

static int failures;
static volatile sig_atomic_t resized;

static void check(int good, const char *what)
{
    if (!good) {
        printf("not ok: %s (errno %d)\n", what, errno);
        failures++;
    }
}
#define CHECK(c) check((c), #c)
#define FAILS(call, error) check((call) == -1 && errno == (error), #call " fails with " #error)

static void on_resize(int sig)
{
    (void)sig;
    resized = 1;
}

static struct fb_var_screeninfo variable(int fb)
{
    struct fb_var_screeninfo v = {0};
    CHECK(ioctl(fb, FBIOGET_VSCREENINFO, &v) == 0);
    return v;
}

static unsigned line_length(int fb)
{
    struct fb_fix_screeninfo f = {0};
    CHECK(ioctl(fb, FBIOGET_FSCREENINFO, &f) == 0);
    CHECK(f.smem_len == MEMORY && f.type == FB_TYPE_PACKED_PIXELS &&
          f.visual == FB_VISUAL_TRUECOLOR);
    return f.line_length;
}

static void files(int fb)
{
    uint32_t dots[4] = {1, 2, 3, 4}, back[4] = {0};
    CHECK(lseek(fb, 5000, SEEK_SET) == 5000 && write(fb, dots, sizeof(dots)) == sizeof(dots));
    CHECK(pread(fb, back, sizeof(back), 5000) == sizeof(back) && !memcmp(dots, back, sizeof(dots)));
    CHECK(lseek(fb, -8, SEEK_END) == MEMORY - 8 && write(fb, dots, sizeof(dots)) == 8);
    FAILS(write(fb, dots, 4), ENOSPC);
    CHECK(read(fb, back, 4) == 0);
    FAILS(pwrite(fb, dots, 4, MEMORY + 1), EFBIG);
    FAILS(pwrite(fb, (void *)8, 4, 0), EFAULT);
    FAILS(lseek(fb, -1, SEEK_SET), EINVAL);
    memset(back, 0, sizeof(back));
    CHECK(pwrite(fb, back, sizeof(back), 5000) == sizeof(back));
}

static void mappings(int fb)
{
    int protection = PROT_READ | PROT_WRITE;
    volatile uint32_t *m = mmap(NULL, MEMORY, protection, MAP_SHARED, fb, 0), seen = 0;
    CHECK(m != MAP_FAILED);
    check(mmap(NULL, MEMORY, protection, MAP_PRIVATE, fb, 0) == MAP_FAILED, "no private mapping");
    check(mmap(NULL, MEMORY + 4096, protection, MAP_SHARED, fb, 0) == MAP_FAILED,
          "none that is larger");
    volatile uint32_t *second = mmap(NULL, 8192, protection, MAP_SHARED, fb, MEMORY - 8192);
    CHECK(second != MAP_FAILED);
    m[MEMORY / 4 - 1] = 77;
    CHECK(second[2047] == 77);
    CHECK(pread(fb, (void *)&seen, 4, MEMORY - 4) == 4 && seen == 77);
    pid_t child = fork();
    if (child == 0) {
        m[MEMORY / 4 - 2] = 99;
        m[100000] = 55;
        _exit(m[MEMORY / 4 - 1] == 77 ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0 && second[2046] == 99 && m[100000] == 55);
    m[0] = 4;
    CHECK(mprotect((void *)m, 4096, PROT_READ) == 0 && m[0] == 4);
    CHECK(mprotect((void *)m, 4096, protection) == 0);
    m[0] = 5; // faults, and is allowed
    CHECK(m[0] == 5);
    m[0] = m[100000] = 0;
    int zero = open("/dev/zero", O_RDONLY);
    CHECK(read(zero, (void *)(m + MEMORY / 4 - 4), 16) == 16 &&
          second[2047] == 0); // the kernel writes there
    close(zero);
    CHECK(munmap((void *)(m + 1024), 8192) == 0 && m[0] == 0 && m[4096] == m[4096]);
    CHECK(munmap((void *)m, MEMORY) == 0 && munmap((void *)second, 8192) == 0);
}

static int set_mode(int fb, unsigned width, unsigned height, unsigned bits)
{
    struct fb_var_screeninfo v = variable(fb);
    v.xres = v.xres_virtual = width;
    v.yres = v.yres_virtual = height;
    v.bits_per_pixel = bits;
    return ioctl(fb, FBIOPUT_VSCREENINFO, &v);
}

static void modes(int fb, int tty)
{
    struct winsize w = {0};
    CHECK(variable(fb).xres == 1024 && variable(fb).yres == 768 && line_length(fb) == 4096);
    CHECK(variable(fb).red.offset == 16 && variable(fb).blue.length == 8);
    CHECK(ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_col == 128 && w.ws_row == 48);
    FAILS(set_mode(fb, 100000, 100, 32), EINVAL);
    FAILS(set_mode(fb, 1024, 10, 32), EINVAL);
    FAILS(set_mode(fb, 640, 480, 64), EINVAL);
    FAILS(set_mode(fb, 0xfffffff9, 480, 32), EINVAL);
    CHECK(variable(fb).xres == 1024);
    CHECK(set_mode(fb, 1920, 1080, 32) == 0 && line_length(fb) == 7680);
    CHECK(ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_col == 240 && w.ws_row == 67);
    CHECK(set_mode(fb, 637, 480, 16) == 0 && variable(fb).xres == 640 &&
          variable(fb).bits_per_pixel == 32);
    CHECK(line_length(fb) == 2560 && ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_col == 80 &&
          w.ws_row == 30);
    CHECK(resized);
    struct fb_var_screeninfo v = variable(fb);
    v.yoffset = 480;
    CHECK(ioctl(fb, FBIOPAN_DISPLAY, &v) == 0 && variable(fb).yoffset == 480);
    v.yoffset = MEMORY / 2560 - 479;
    FAILS(ioctl(fb, FBIOPAN_DISPLAY, &v), EINVAL);
    v.yoffset = 0;
    CHECK(ioctl(fb, FBIOPAN_DISPLAY, &v) == 0);
    CHECK(ioctl(fb, FBIOBLANK, FB_BLANK_POWERDOWN) == 0 &&
          ioctl(fb, FBIOBLANK, FB_BLANK_UNBLANK) == 0);
    FAILS(ioctl(fb, FBIOBLANK, 17), EINVAL);
    uint32_t zero = 0;
    struct timespec before, after;
    CHECK(ioctl(fb, FBIO_WAITFORVSYNC, &zero) == 0);
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK(ioctl(fb, FBIO_WAITFORVSYNC, &zero) == 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long ns = (after.tv_sec - before.tv_sec) * 1000000000L + after.tv_nsec - before.tv_nsec;
    CHECK(ns > 10000000 && ns < 60000000);
}

// Of the visible part.
static unsigned long picture_sum(int fb)
{
    static uint32_t dots[640 * 480];
    unsigned long sum = 0;
    CHECK(pread(fb, dots, sizeof(dots), 0) == sizeof(dots));
    for (unsigned i = 0; i < sizeof(dots) / sizeof(dots[0]); i++)
        sum = sum * 31 + dots[i];
    return sum;
}

static void text(int tty, const char *what)
{
    CHECK(write(tty, what, strlen(what)) == (ssize_t)strlen(what));
    CHECK(tcdrain(tty) == 0);
}

static void graphics_and_text(int fb, int tty)
{
    int mode = -1;
    text(tty, "\033[2J\033[Hfirst");
    unsigned long first = picture_sum(fb);
    CHECK(ioctl(tty, KDGETMODE, &mode) == 0 && mode == KD_TEXT);
    CHECK(ioctl(tty, KDSETMODE, KD_GRAPHICS) == 0);
    CHECK(ioctl(tty, KDGETMODE, &mode) == 0 && mode == KD_GRAPHICS);
    text(tty, " and second");
    usleep(50000);
    CHECK(picture_sum(fb) == first); // nothing is drawn
    CHECK(ioctl(tty, KDSETMODE, KD_TEXT) == 0);
    usleep(50000);
    CHECK(picture_sum(fb) != first);
    text(tty, "\033[2J\033[Hfirst");
    CHECK(picture_sum(fb) == first);
    FAILS(ioctl(tty, KDSETMODE, 7), EINVAL);
}

// A mode that is there only while a program draws costs no text.
static void mode_while_drawing(int fb, int tty)
{
    struct winsize w = {0};
    text(tty, "\033[2J\033[H\n\n\nwide\033[4;70Hwide\033[30;1Hlow");
    unsigned long before = picture_sum(fb);
    CHECK(ioctl(tty, KDSETMODE, KD_GRAPHICS) == 0 && set_mode(fb, 320, 200, 32) == 0);
    CHECK(ioctl(tty, TIOCGWINSZ, &w) == 0 && w.ws_col == 80 && w.ws_row == 30);
    CHECK(set_mode(fb, 640, 480, 32) == 0 && picture_sum(fb) == before);
    CHECK(pwrite(fb, "dots", 4, 0) == 4 && picture_sum(fb) != before);
    CHECK(ioctl(tty, KDSETMODE, KD_TEXT) == 0);
    usleep(50000);
    CHECK(picture_sum(fb) == before);
}

static void keyboard_modes(int tty)
{
    char type = 0, leds = 0;
    int mode = -1;
    CHECK(ioctl(tty, KDGKBTYPE, &type) == 0 && type == KB_101);
    CHECK(ioctl(tty, KDGKBMODE, &mode) == 0 && mode == K_UNICODE);
    CHECK(ioctl(tty, KDSKBMODE, K_MEDIUMRAW) == 0 && ioctl(tty, KDGKBMODE, &mode) == 0 &&
          mode == K_MEDIUMRAW);
    CHECK(ioctl(tty, KDSKBMODE, K_UNICODE) == 0);
    FAILS(ioctl(tty, KDSKBMODE, 9), EINVAL);
    CHECK(ioctl(tty, KDSETLED, LED_CAP) == 0 && ioctl(tty, KDGETLED, &leds) == 0 &&
          leds == LED_CAP);
    CHECK(ioctl(tty, KDSETLED, 8) == 0 && ioctl(tty, KDGETLED, &leds) == 0 && leds == 0);
}

static void switching(int tty)
{
    struct vt_stat s = {0};
    struct vt_mode m = {.mode = 7};
    int number = -1, other = open("/dev/tty3", O_RDWR | O_NOCTTY);
    CHECK(other >= 0 && ioctl(tty, VT_GETSTATE, &s) == 0 && s.v_active == 1);
    CHECK((s.v_state & 2) && (s.v_state & 8) && !(s.v_state & 16));
    CHECK(ioctl(tty, VT_OPENQRY, &number) == 0 && number == 2);
    CHECK(ioctl(tty, VT_ACTIVATE, 3) == 0 && ioctl(tty, VT_WAITACTIVE, 3) == 0);
    CHECK(ioctl(tty, VT_GETSTATE, &s) == 0 && s.v_active == 3);
    int zero = open("/dev/tty0", O_RDWR | O_NOCTTY);
    CHECK(zero >= 0 && write(zero, "on tty3", 7) == 7);
    CHECK(close(zero) == 0);
    CHECK(ioctl(tty, VT_ACTIVATE, 1) == 0 && ioctl(tty, VT_WAITACTIVE, 1) == 0);
    FAILS(ioctl(tty, VT_ACTIVATE, 9), ENXIO);
    FAILS(ioctl(tty, VT_WAITACTIVE, 0), ENXIO);
    FAILS(ioctl(tty, VT_DISALLOCATE, 3), EBUSY);
    CHECK(ioctl(tty, VT_GETMODE, &m) == 0 && m.mode == VT_AUTO && ioctl(tty, VT_SETMODE, &m) == 0);
    m.mode = VT_PROCESS;
    FAILS(ioctl(tty, VT_SETMODE, &m), EINVAL);
    CHECK(close(other) == 0);
    FAILS(ioctl(0, VT_GETSTATE, &s), ENOTTY);
}

static void reports(int tty)
{
    char answer[32] = "";
    struct termios old, raw;
    CHECK(tcgetattr(tty, &old) == 0);
    raw = old;
    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    CHECK(tcsetattr(tty, TCSANOW, &raw) == 0);
    text(tty, "\033[2J\033[3;7H\033[6n");
    CHECK(read(tty, answer, sizeof(answer) - 1) == 6 && !strcmp(answer, "\033[3;7R"));
    CHECK(tcsetattr(tty, TCSANOW, &old) == 0);
}

static void leave_a_picture(int fb, int tty)
{
    static uint32_t row[640];
    CHECK(ioctl(tty, KDSETMODE, KD_GRAPHICS) == 0);
    for (unsigned y = 0; y < 480; y++) {
        for (unsigned x = 0; x < 640; x++)
            row[x] = (x * 3 + y * 0x205) & 0xffffff;
        CHECK(pwrite(fb, row, sizeof(row), (off_t)(y * sizeof(row))) == sizeof(row));
    }
}

int main(void)
{
    int status;
    if (fork()) { // a shell's child leads a group, which cannot start a session
        wait(&status);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 2;
    }
    setsid();
    int tty = open("/dev/tty1", O_RDWR);
    CHECK(tty >= 0 && ioctl(tty, KDSETMODE, KD_GRAPHICS) == 0);
    int fb = open("/dev/fb0", O_RDWR);
    CHECK(fb >= 0 && variable(fb).yoffset == 0); // whatever the text has scrolled
    CHECK(ioctl(tty, KDSETMODE, KD_TEXT) == 0);
    signal(SIGWINCH, on_resize);
    files(fb);
    mappings(fb);
    modes(fb, tty);
    graphics_and_text(fb, tty);
    mode_while_drawing(fb, tty);
    keyboard_modes(tty);
    switching(tty);
    reports(tty);
    leave_a_picture(fb, tty);
    printf("display_program: %s\n", failures ? "failed" : "passed");
    return failures != 0;
}
