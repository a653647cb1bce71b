// SPDX-License-Identifier: MIT
// The line discipline: what is typed, what the screen shows, what a reader gets, which signals go out. termios(3).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "abi/signal.h"
#include "lib/printk.h"
#include "proc/signal.h"
#include "tty/tty_internal.h"

struct cpu host_cpu;
static struct task_struct task;
struct task_struct *host_current = &task;

static struct tty_struct tty;
static char screen[8192];
static size_t screen_len;
static int signals[8], nr_signals;
static bool throttled;
static size_t driver_room;

// --- surroundings

void panic(const char *fmt, ...)
{
    (void)fmt;
    abort();
}
void spin_lock_slow(spinlock_t *l)
{
    (void)l;
    abort();
}
void preempt_schedule(void)
{
}
ktime_t ktime_get(void)
{
    return 0;
}
void __wake_up(wait_queue_head_t *q, unsigned mode, int nr, void *key)
{
    (void)q, (void)mode, (void)nr, (void)key;
}
int autoremove_wake_function(struct wait_queue_entry *e, unsigned mode, void *key)
{
    (void)e, (void)mode, (void)key;
    return 0;
}
void prepare_to_wait(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state)
{
    (void)q, (void)e, (void)state;
}
void prepare_to_wait_exclusive(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state)
{
    (void)q, (void)e, (void)state;
}
void finish_wait(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    (void)q, (void)e;
}
bool wait_interrupted(unsigned state) // nobody will ever type: a sleep ends at once
{
    (void)state;
    return true;
}
bool schedule_deadline(ktime_t deadline)
{
    (void)deadline;
    return false;
}
void schedule(void)
{
}
void cond_resched(void)
{
}
int mutex_lock_interruptible(struct mutex *m)
{
    (void)m;
    return 0;
}
bool mutex_trylock(struct mutex *m)
{
    (void)m;
    return true;
}
void mutex_unlock(struct mutex *m)
{
    (void)m;
}
int tty_check_change(struct tty_struct *t, int sig)
{
    (void)t, (void)sig;
    return 0;
}
void tty_signal_foreground(struct tty_struct *t, int sig)
{
    (void)t;
    signals[nr_signals++] = sig;
}
size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
    memcpy((char *)i->single.iov_base + i->offset, from, n);
    i->offset += n;
    i->count -= n;
    return n;
}
size_t copy_from_iter(void *to, size_t n, struct iov_iter *i)
{
    memcpy(to, (const char *)i->single.iov_base + i->offset, n);
    i->offset += n;
    i->count -= n;
    return n;
}
void iov_iter_revert(struct iov_iter *i, size_t n)
{
    i->offset -= n;
    i->count += n;
}

static size_t drv_write(struct tty_struct *t, const u8 *buf, size_t n)
{
    (void)t;
    n = min(n, driver_room);
    driver_room -= n;
    memcpy(screen + screen_len, buf, n);
    screen_len += n;
    return n;
}
static size_t drv_room(struct tty_struct *t)
{
    (void)t;
    return driver_room;
}
static void drv_throttle(struct tty_struct *t)
{
    (void)t;
    throttled = true;
}
static void drv_unthrottle(struct tty_struct *t)
{
    (void)t;
    throttled = false;
}
static const struct tty_operations ops = {
    .write = drv_write, .write_room = drv_room, .throttle = drv_throttle, .unthrottle = drv_unthrottle};

// --- helpers

static int setup(void **state)
{
    (void)state;
    memset(&tty, 0, sizeof(tty));
    tty.ops = &ops;
    tty.termios = (struct linux_termios)TERMIOS_DEFAULT;
    tty.carrier = true;
    screen_len = 0;
    nr_signals = 0;
    throttled = false;
    driver_room = sizeof(screen);
    return 0;
}

static void type_n(const char *text, size_t n)
{
    u8 flags[512] = {0};
    for (size_t done = 0; done < n;) {
        size_t part = min(n - done, sizeof(flags));
        spin_lock(&tty.lock);
        ldisc_receive_buf(&tty, (const u8 *)text + done, flags, part);
        spin_unlock(&tty.lock);
        done += part;
    }
}

static void type(const char *text)
{
    type_n(text, strlen(text));
}

static void expect_screen(const char *text)
{
    screen[screen_len] = 0;
    assert_string_equal(screen, text);
    screen_len = 0;
}

static ssize_t get(char *buf, size_t n, unsigned flags)
{
    struct file f = {.f_flags = flags};
    struct iov_iter to = {.count = n, .single = {.iov_base = (u64)buf}};
    return ldisc_read(&f, &tty, &to);
}

static void expect_read(size_t n, const char *text)
{
    char buf[5000];
    ssize_t got = get(buf, n, O_NONBLOCK);
    assert_int_equal(got, (ssize_t)strlen(text));
    assert_memory_equal(buf, text, (size_t)got);
}

static void put(const char *text)
{
    struct file f = {.f_flags = O_NONBLOCK};
    struct iov_iter from = {.count = strlen(text), .single = {.iov_base = (u64)text}};
    assert_int_equal(output_write(&f, &tty, &from), (ssize_t)strlen(text));
}

// --- tests

static void lines(void **state)
{
    (void)state;
    char buf[8];
    type("hel");
    assert_int_equal(get(buf, 8, O_NONBLOCK), -EAGAIN);
    type("lo\rnext\nthird");
    expect_screen("hello\r\nnext\r\nthird");
    expect_read(3, "hel"); // a short read leaves the rest of its line
    expect_read(100, "lo\n");
    assert_int_equal(ldisc_input_count(&tty), 5);
    expect_read(100, "next\n");
    assert_false(ldisc_input_ready(&tty, true));
}

static void end_of_file(void **state)
{
    (void)state;
    type("ab\x04");
    expect_read(100, "ab"); // flushes what was typed
    type("\x04");
    char buf[8];
    assert_int_equal(get(buf, 8, O_NONBLOCK), 0);
    assert_int_equal(get(buf, 8, O_NONBLOCK), -EAGAIN); // only once
    type("abcd\x04");
    expect_read(4, "abcd");
    assert_int_equal(get(buf, 8, O_NONBLOCK), -EAGAIN); // the mark went with the full buffer
}

static void erasing(void **state)
{
    (void)state;
    type("ab\177c\n");
    expect_screen("ab\b \bc\r\n");
    expect_read(100, "ac\n");
    type("\177\177x\n"); // nothing to erase: nothing shown
    expect_screen("x\r\n");
    expect_read(100, "x\n");
    type("a\001\177\n"); // a control character is two wide
    expect_screen("a^A\b \b\b \b\r\n");
    expect_read(100, "a\n");
    type("one two  \027\027x\n"); // two words
    expect_screen("one two  \b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \bx\r\n");
    expect_read(100, "x\n");
    type("abc\025y\n"); // ^U
    expect_screen("abc\b \b\b \b\b \by\r\n");
    expect_read(100, "y\n");
    type("a\tb\177\177c\n"); // the tab goes back to column 1
    expect_screen("a\tb\b \b\b\b\b\b\b\b\bc\r\n");
    expect_read(100, "ac\n");
    type("lit\026\003\n"); // ^V ^C
    expect_screen("lit^\b^C\r\n");
    expect_read(100, "lit\003\n");
    assert_int_equal(nr_signals, 0);
}

static void utf8_is_erased_whole(void **state)
{
    (void)state;
    tty.termios.c_iflag |= IUTF8;
    type("\xc3\xa4\177z\n");
    expect_screen("\xc3\xa4\b \bz\r\n");
    expect_read(100, "z\n");
}

static void signal_characters(void **state)
{
    (void)state;
    type("lost\003kept\n");
    assert_int_equal(nr_signals, 1);
    assert_int_equal(signals[0], SIGINT);
    expect_read(100, "kept\n");
    expect_screen("lost^Ckept\r\n");
    type("\032\034");
    assert_int_equal(signals[1], SIGTSTP);
    assert_int_equal(signals[2], SIGQUIT);
    tty.termios.c_lflag |= NOFLSH;
    type("a\003b\n");
    expect_read(100, "ab\n");
    tty.termios.c_lflag &= ~(u32)ISIG;
    type("\003\n");
    expect_read(100, "\003\n");
    assert_int_equal(nr_signals, 4);
}

static void flow_control(void **state)
{
    (void)state;
    type("\023");
    assert_true(tty.stopped);
    struct file f = {.f_flags = O_NONBLOCK};
    struct iov_iter from = {.count = 1, .single = {.iov_base = (u64) "x"}};
    assert_int_equal(output_write(&f, &tty, &from), -EAGAIN);
    type("\021");
    put("y");
    expect_screen("y");
}

static void echo_modes(void **state)
{
    (void)state;
    tty.termios.c_lflag &= ~(u32)ECHO;
    type("secret\n");
    expect_screen("");
    tty.termios.c_lflag |= ECHONL;
    type("more\n");
    expect_screen("\r\n");
    expect_read(100, "secret\n");
    expect_read(100, "more\n");
}

static void raw_mode(void **state)
{
    (void)state;
    tty.termios.c_lflag &= ~(u32)(ICANON | ECHO | ISIG | IEXTEN);
    tty.termios.c_iflag = 0;
    tty.termios.c_oflag = 0;
    tty.termios.c_cc[VMIN] = 1;
    static char all[256], back[256];
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    type_n(all, 256);
    expect_screen("");
    assert_int_equal(get(back, 256, O_NONBLOCK), 256);
    assert_memory_equal(all, back, 256);
    tty.termios.c_cc[VMIN] = 0; // poll
    assert_int_equal(get(back, 256, 0), 0);
    tty.termios.c_cc[VMIN] = 10;
    type("abc");
    assert_false(ldisc_input_ready(&tty, true)); // poll waits for MIN
    tty.termios.c_cc[VTIME] = 1;
    assert_true(ldisc_input_ready(&tty, true));
    assert_int_equal(get(back, 256, 0), 3); // the timer between bytes ran out
}

static void mode_changes_keep_bytes(void **state)
{
    (void)state;
    type("typed");
    bool was = tty.termios.c_lflag & ICANON;
    tty.termios.c_lflag &= ~(u32)ICANON;
    ldisc_mode_changed(&tty, was);
    expect_read(100, "typed");
    type("again");
    tty.termios.c_lflag |= ICANON;
    ldisc_mode_changed(&tty, false);
    expect_read(100, "again");
}

static void output_processing(void **state)
{
    (void)state;
    put("a\nb");
    expect_screen("a\r\nb");
    tty.termios.c_oflag |= XTABS;
    put("\tc\td\r\te\n");
    expect_screen("       c       d\r        e\r\n");
    tty.termios.c_oflag = 0;
    put("x\ny");
    expect_screen("x\ny");
}

static void long_line_keeps_its_end(void **state)
{
    (void)state;
    static char big[6000], back[6000];
    memset(big, 'x', sizeof(big));
    driver_room = 0;
    type_n(big, sizeof(big));
    type("\n");
    ssize_t n = get(back, sizeof(back), O_NONBLOCK);
    assert_true(n > 4000 && n <= TTY_READ_BUF);
    assert_int_equal(back[n - 1], '\n');
}

static void raw_stream_is_throttled(void **state)
{
    (void)state;
    tty.termios.c_lflag = 0;
    tty.termios.c_iflag = 0;
    static char big[4096], back[4096];
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (char)(i * 7);
    size_t sent = 0;
    while (!throttled)
        type_n(big + sent++, 1);
    assert_true(sent > 3000 && sent < TTY_READ_BUF - 256); // what a FIFO still holds has room
    type_n(big + sent, 100);
    assert_int_equal(get(back, sizeof(back), O_NONBLOCK), (ssize_t)sent + 100);
    assert_memory_equal(big, back, sent + 100);
    assert_false(throttled);
}

static void carrier(void **state)
{
    (void)state;
    char buf[8];
    tty.carrier = false;
    assert_int_equal(get(buf, 8, O_NONBLOCK), -EAGAIN); // CLOCAL: does not matter
    tty.termios.c_cflag &= ~(u32)CLOCAL;
    type("x\n");
    assert_int_equal(get(buf, 8, 0), 2); // first what came before
    assert_int_equal(get(buf, 8, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(lines, setup),
        cmocka_unit_test_setup(end_of_file, setup),
        cmocka_unit_test_setup(erasing, setup),
        cmocka_unit_test_setup(utf8_is_erased_whole, setup),
        cmocka_unit_test_setup(signal_characters, setup),
        cmocka_unit_test_setup(flow_control, setup),
        cmocka_unit_test_setup(echo_modes, setup),
        cmocka_unit_test_setup(raw_mode, setup),
        cmocka_unit_test_setup(mode_changes_keep_bytes, setup),
        cmocka_unit_test_setup(output_processing, setup),
        cmocka_unit_test_setup(long_line_keeps_its_end, setup),
        cmocka_unit_test_setup(raw_stream_is_throttled, setup),
        cmocka_unit_test_setup(carrier, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
