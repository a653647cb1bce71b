// SPDX-License-Identifier: MIT
// Runs in the guest for test_input.py: prints events of an input device, and tries what evdev
// promises while the test on the host presses keys.
//   input_events dump DEVICE N     the first N events: type code value
//   input_events evdev             reads a line "go" before each step that needs keys
//   input_events mice              the same with /dev/input/mice
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "abi/input.h"

#define EVENT0 "/dev/input/event0"
#ifndef F_SETSIG
#define F_SETSIG 10
#endif

typedef struct linux_input_event event_t;

static int failures;
static volatile sig_atomic_t signals, signal_fd;

static void check(int good, const char *what)
{
    if (!good) {
        printf("not ok - %s (errno %d)\n", what, errno);
        failures++;
    }
}

static int open_device(const char *path, int flags)
{
    int fd = open(path, flags);
    if (fd < 0) {
        printf("not ok - %s: %s\n", path, strerror(errno));
        exit(1);
    }
    return fd;
}

// Tells the test what to do and waits until it has done it.
static void ask(const char *what)
{
    char line[16];
    printf("ASK %s\n", what);
    fflush(stdout);
    if (!fgets(line, sizeof(line), stdin)) {
        exit(1);
    }
    usleep(100000);
}

static int dump(const char *path, int count)
{
    int fd = open_device(path, O_RDONLY);
    printf("READY\n");
    fflush(stdout);
    event_t e[8];
    while (count > 0) {
        ssize_t n = read(fd, e, sizeof(e));
        if (n < (ssize_t)sizeof(*e)) {
            return 1;
        }
        for (int i = 0; i < n / (ssize_t)sizeof(*e) && count > 0; i++, count--) {
            printf("EVENT %u %u %d\n", e[i].type, e[i].code, e[i].value);
        }
        fflush(stdout);
    }
    return 0;
}

static int drain(int fd, event_t *events, int room)
{
    ssize_t n = read(fd, events, (size_t)room * sizeof(*events));
    return n < 0 ? -errno : (int)(n / (ssize_t)sizeof(*events));
}

static void plain_reads(void)
{
    event_t e[64];
    int fd = open_device(EVENT0, O_RDWR | O_NONBLOCK);
    check(read(fd, e, sizeof(e)) < 0 && errno == EAGAIN, "nothing there: EAGAIN");
    check(read(fd, e, 23) < 0 && errno == EINVAL, "less than an event: EINVAL");
    check(read(fd, e, 0) < 0 && errno == EAGAIN, "0 bytes, nothing there");
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
    check(poll(&p, 1, 0) == 1 && p.revents == POLLOUT, "poll before");
    ask("a");
    check(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT), "poll after");
    check(read(fd, e, 0) == 0, "0 bytes");
    check(read(fd, e, sizeof(*e) + 5) == sizeof(*e), "whole events only");
    check(e[0].type == EV_MSC && e[0].code == MSC_SCAN, "the scan code first");
    int n = drain(fd, e, 64);
    check(n == 5, "the others of press and release");
    check(e[0].type == EV_KEY && e[0].code == KEY_A && e[0].value == 1, "pressed");
    check(e[1].type == EV_SYN && e[1].code == SYN_REPORT, "a packet ends");
    check(e[3].type == EV_KEY && e[3].code == KEY_A && e[3].value == 0, "released");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    check(llabs(now.tv_sec - e[0].sec) < 30, "stamps of CLOCK_REALTIME");
    int clock = CLOCK_MONOTONIC, bad = 77;
    check(!ioctl(fd, EVIOCSCLOCKID, &clock), "EVIOCSCLOCKID");
    check(ioctl(fd, EVIOCSCLOCKID, &bad) < 0 && errno == EINVAL, "no such clock");
    ask("b");
    drain(fd, e, 64);
    clock_gettime(CLOCK_MONOTONIC, &now);
    check(e[0].sec <= now.tv_sec && now.tv_sec - e[0].sec < 30, "stamps of CLOCK_MONOTONIC");
    close(fd);
}

static void overrun(void)
{
    event_t e[128];
    int fd = open_device(EVENT0, O_RDWR | O_NONBLOCK);
    ask("many");
    int n = drain(fd, e, 128);
    check(n > 0 && n < 64, "a full ring loses events");
    check(n > 0 && e[0].type == EV_SYN && e[0].code == SYN_DROPPED, "SYN_DROPPED comes first");
    check(n > 0 && e[n - 1].type == EV_SYN && e[n - 1].code == SYN_REPORT, "whole packets");
    close(fd);
}

static void grabbing(void)
{
    event_t e[64];
    unsigned char keys[KEY_MAX / 8 + 1] = {0};
    int one = open_device(EVENT0, O_RDWR | O_NONBLOCK);
    int two = open_device(EVENT0, O_RDWR | O_NONBLOCK);
    check(!ioctl(one, EVIOCGRAB, 1), "EVIOCGRAB");
    check(ioctl(two, EVIOCGRAB, 1) < 0 && errno == EBUSY, "grabbed by another");
    check(ioctl(two, EVIOCGRAB, 0) < 0 && errno == EINVAL, "release of what is not ours");
    ask("hold c");
    check(drain(one, e, 64) == 3, "who grabs gets it");
    check(drain(two, e, 64) == -EAGAIN, "others do not");
    check(ioctl(two, 0x80004500u | EVIOC_NR_KEY | sizeof(keys) << 16, keys) > 0, "EVIOCGKEY");
    check(keys[KEY_C / 8] >> KEY_C % 8 & 1, "the held key is in it");
    check(!ioctl(one, EVIOCREVOKE, 0), "EVIOCREVOKE");
    check(read(one, e, sizeof(e)) < 0 && errno == ENODEV, "revoked: read");
    check(write(one, e, sizeof(e)) < 0 && errno == ENODEV, "revoked: write");
    struct pollfd p = {.fd = one, .events = POLLIN};
    check(poll(&p, 1, 0) == 1 && (p.revents & POLLHUP), "revoked: poll");
    p = (struct pollfd){.fd = two, .events = POLLIN}; // until the key is let go
    poll(&p, 1, 10000);
    check(drain(two, e, 64) == 3, "the grab ended with it");
    ask("d");
    check(ioctl(two, 0x80004500u | EVIOC_NR_KEY | sizeof(keys) << 16, keys) > 0, "EVIOCGKEY");
    check(drain(two, e, 64) == 2 || e[0].type != EV_KEY, "which forgets queued keys");
    close(one);
    close(two);
}

static void leds_and_queries(void)
{
    char name[64] = "";
    unsigned char leds[8] = {0}, types[8] = {0};
    int version = 0, fd = open_device(EVENT0, O_RDWR | O_NONBLOCK);
    struct linux_input_id id;
    event_t caps[2] = {{.type = EV_LED, .code = LED_CAPSL, .value = 1}, {.type = EV_SYN}};
    check(!ioctl(fd, EVIOCGVERSION, &version) && version == EV_VERSION, "EVIOCGVERSION");
    check(!ioctl(fd, EVIOCGID, &id) && id.bustype == BUS_I8042 && id.vendor == 1, "EVIOCGID");
    check(ioctl(fd, 0x80004500u | EVIOC_NR_NAME | sizeof(name) << 16, name) ==
              (int)strlen(name) + 1,
          "EVIOCGNAME");
    check(!strcmp(name, "AT Translated Set 2 keyboard"), name);
    check(ioctl(fd, 0x80004500u | EVIOC_NR_UNIQ | sizeof(name) << 16, name) < 0 && errno == ENOENT,
          "EVIOCGUNIQ");
    check(ioctl(fd, 0x80004500u | EVIOC_NR_BIT | sizeof(types) << 16, types) == 8, "EVIOCGBIT(0)");
    check(types[0] == 0x13 && types[2] == 0x12, "keys, scan codes, LEDs, repeat");
    check(ioctl(fd, 0x80004500u | (EVIOC_NR_BIT + EV_LED) | sizeof(leds) << 16, leds) == 8 &&
              leds[0] == 7,
          "EVIOCGBIT(EV_LED)");
    check(ioctl(fd, 0x4599, 0) < 0 && errno == EINVAL, "an unknown request");
    check(write(fd, caps, sizeof(caps)) == sizeof(caps), "write");
    check(ioctl(fd, 0x80004500u | EVIOC_NR_LED | sizeof(leds) << 16, leds) == 8 &&
              leds[0] == 1 << LED_CAPSL,
          "Caps Lock is lit");
    caps[0].value = 0;
    check(write(fd, caps, sizeof(caps)) == sizeof(caps), "write");
    check(write(fd, caps, 5) < 0 && errno == EINVAL, "write of less than an event");
    check(ioctl(fd, 0x80004500u | EVIOC_NR_LED | sizeof(leds) << 16, leds) == 8 && !leds[0],
          "Caps Lock is dark");
    close(fd);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    signals++;
    signal_fd = info->si_fd;
}

static void asynchronous(void)
{
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};
    int fd = open_device(EVENT0, O_RDONLY | O_NONBLOCK);
    sigaction(SIGIO, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    fcntl(fd, F_SETOWN, getpid());
    check(!fcntl(fd, F_SETFL, O_ASYNC | O_NONBLOCK), "O_ASYNC");
    check((fcntl(fd, F_GETFL) & O_ASYNC), "O_ASYNC is told");
    ask("e");
    check(signals > 0, "SIGIO");
    fcntl(fd, F_SETSIG, SIGUSR1);
    signals = signal_fd = 0;
    ask("f");
    check(signals > 0 && signal_fd == fd, "F_SETSIG: the descriptor is told");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    signals = 0;
    ask("g");
    check(!signals, "no signals any more");
    int ep = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}, got;
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
    check(epoll_wait(ep, &got, 1, 0) == 1, "epoll: what is there");
    check(epoll_wait(ep, &got, 1, 0) == 0, "epoll: edge-triggered");
    ask("h");
    check(epoll_wait(ep, &got, 1, 0) == 1, "epoll: new events");
    close(ep);
    close(fd);
}

static int read_bytes(int fd, unsigned char *bytes, int want)
{
    int n = 0;
    for (ssize_t got; n < want && (got = read(fd, bytes + n, (size_t)(want - n))) > 0;) {
        n += (int)got;
    }
    return n;
}

static void mice(void)
{
    static const unsigned char knock[] = {0xf3, 200, 0xf3, 100, 0xf3, 80}, identify[] = {0xf2};
    unsigned char b[32];
    int fd = open_device("/dev/input/mice", O_RDWR | O_NONBLOCK);
    check(read(fd, b, 3) < 0 && errno == EAGAIN, "no movement");
    ask("move");
    int n = read_bytes(fd, b, 3);
    check(n == 3 && b[0] == 0x28 && b[1] == 10 && b[2] == (unsigned char)-20, "a packet of PS/2");
    check(write(fd, knock, sizeof(knock)) == sizeof(knock), "the wheel's knock");
    read_bytes(fd, b, 32);
    check(write(fd, identify, 1) == 1 && read_bytes(fd, b, 8) == 2 && b[0] == 0xfa && b[1] == 3,
          "ImPS/2");
    ask("button");
    n = read_bytes(fd, b, 8);
    check(n == 8 && b[0] == 9 && b[4] == 8, "packets of ImPS/2: a button");
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc == 4 && !strcmp(argv[1], "dump")) {
        return dump(argv[2], atoi(argv[3]));
    }
    if (argc == 2 && !strcmp(argv[1], "evdev")) {
        plain_reads();
        overrun();
        grabbing();
        leds_and_queries();
        asynchronous();
    } else if (argc == 2 && !strcmp(argv[1], "mice")) {
        mice();
    }
    puts(failures ? "FAILED" : "PASSED");
    return failures != 0;
}
