// SPDX-License-Identifier: MIT
// The drivers of keyboard and mouse against devices that answer right, wrong, late or not at all,
// and send any bytes: nothing hangs, and what is pressed afterwards arrives.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/input/input.h"
#include "drivers/input/ps2.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "sched/kthread.h"

struct cpu host_cpu;
static struct task_struct task;
struct task_struct *host_current = &task;

// --- surroundings

static u64 now;
static struct work_struct *works[8];
static unsigned nr_works;

ktime_t ktime_get(void)
{
    return now;
}
void panic(const char *fmt, ...)
{
    (void)fmt;
    abort();
}
void klog(enum log_level level, const char *fmt, ...)
{
    (void)level, (void)fmt;
}
void spin_lock_slow(spinlock_t *l)
{
    (void)l;
    abort(); // one task: nobody else holds it
}
void preempt_schedule(void)
{
}
void mutex_init(struct mutex *m)
{
    *m = (struct mutex){.owner = NULL};
}
void mutex_lock(struct mutex *m)
{
    assert_null(m->owner);
    m->owner = &task;
}
void mutex_unlock(struct mutex *m)
{
    m->owner = NULL;
}
void init_waitqueue_head(wait_queue_head_t *q)
{
    (void)q;
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
bool wait_interrupted(unsigned state)
{
    (void)state;
    return false;
}
void *kmalloc(size_t size, gfp_t gfp)
{
    (void)gfp;
    return calloc(1, size);
}
void kfree(const void *p)
{
    free((void *)(uintptr_t)p);
}
bool schedule_work(struct work_struct *w)
{
    if (w->queued)
        return false;
    assert_true(nr_works < ARRAY_SIZE(works));
    w->queued = true;
    works[nr_works++] = w;
    return true;
}
static void run_works(void)
{
    for (int i = 0; i < 4 && nr_works; i++) {
        struct work_struct *w = works[--nr_works];
        w->queued = false;
        w->func(w);
    }
}

// --- handlers: what arrives

static unsigned presses[KEY_MAX + 1], movement;

static void note(struct input_handle *h, const struct input_value *values, unsigned n)
{
    (void)h;
    assert_in_range(n, 2, INPUT_PACKET);
    assert_true(values[n - 1].type == EV_SYN && values[n - 1].code == SYN_REPORT);
    for (unsigned i = 0; i < n; i++) {
        if (values[i].type == EV_KEY && values[i].value)
            presses[values[i].code]++;
        movement += values[i].type == EV_REL && values[i].code == REL_X && values[i].value == 3;
    }
}
static bool match(const struct input_device *dev)
{
    (void)dev;
    return true;
}
static int connect(struct input_handle *h)
{
    (void)h;
    return 0;
}
static const struct input_handler handler = {"test", match, connect, note};
int keyboard_init(void)
{
    return input_register_handler(&handler);
}
int evdev_init(void)
{
    return 0;
}
int mousedev_init(void)
{
    return 0;
}
void input_files_init(void)
{
}
void input_files_add(const struct input_device *dev)
{
    (void)dev;
}

// --- devices

static struct ps2_port keyboard, mouse;
static unsigned chaos; // of 100: how often a device does something else than it should
static u8 wire[64];    // from the device that was asked, on its way
static unsigned on_wire;
static u8 rates[3]; // the mouse's last

static bool mad(void)
{
    return (unsigned)random() % 100 < chaos;
}

static void send(u8 byte)
{
    if (on_wire < sizeof(wire))
        wire[on_wire++] = mad() ? (u8)random() : byte;
}

static u8 mouse_id(void)
{
    static u8 id;
    if (rates[0] == 200 && rates[2] == 80)
        id = rates[1] == 100 ? 3 : rates[1] == 200 && id ? 4 : id;
    return id;
}

static void mouse_takes(u8 byte)
{
    static u8 command;
    send(0xfa);
    if (command == 0xf3) {
        memmove(rates, rates + 1, 2);
        rates[2] = byte;
        byte = 0;
    } else if (byte == 0xf2) {
        send(mouse_id());
    }
    command = byte;
}

bool i8042_write_port(const struct ps2_port *port, u8 byte)
{
    if (mad())
        return random() % 2;
    if (port->aux) {
        mouse_takes(byte);
    } else {
        send(0xfa);
        if (byte == 0xf2) {
            send(0xab);
            send(0x41);
        }
    }
    return true;
}

static struct ps2_port *listener;

// Who waits for an answer gets the bytes; when there are none, time passes.
bool schedule_deadline(ktime_t deadline)
{
    if (!on_wire) {
        now = deadline;
        return false;
    }
    u8 byte = wire[0];
    memmove(wire, wire + 1, --on_wire);
    struct ps2_port *to = mad() ? (random() % 2 ? &keyboard : &mouse) : listener;
    ps2_port_byte(to, byte);
    return true;
}

static void probe_both(void)
{
    input_init();
    ps2_port_init(&keyboard, "keyboard", false);
    keyboard.translated = true;
    ps2_port_init(&mouse, "mouse", true);
    listener = &keyboard;
    assert_true(atkbd_probe(&keyboard));
    listener = &mouse;
    assert_true(psmouse_probe(&mouse));
}

static void test_devices_that_answer(void **state)
{
    (void)state;
    probe_both();
    assert_string_equal(input_device_at(0)->name, "AT Translated Set 2 keyboard");
    assert_string_equal(input_device_at(1)->name, "ImExPS/2 Generic Explorer Mouse");
    ps2_port_byte(&keyboard, 0x1e);
    assert_int_equal(presses[KEY_A], 1);
    ps2_port_byte(&keyboard, 0x1e); // repeated
    assert_int_equal(presses[KEY_A], 2);
    ps2_port_byte(&keyboard, 0x9e);
    assert_false(input_key_held(input_device_at(0), KEY_A));
}

static void some_command(void)
{
    u8 argument = (u8)random(), reply[PS2_REPLY_MAX];
    listener = random() % 2 ? &keyboard : &mouse;
    ps2_command(listener, (u8)random(), &argument, (unsigned)random() % 2, reply,
                (unsigned)random() % (PS2_REPLY_MAX + 1));
    assert_int_equal(listener->state, PS2_IDLE);
}

static void expect_life(void)
{
    static const u8 packet[] = {0x08, 3, 0, 0};
    now += NSEC_PER_SEC;
    unsigned before = presses[KEY_A], moved = movement;
    for (int i = 0; i < 9; i++) // the longest sequence, and a key
        ps2_port_byte(&keyboard, i % 2 ? 0x9e : 0x1e);
    assert_true(presses[KEY_A] > before);
    for (unsigned i = 0; i < sizeof(packet); i++)
        ps2_port_byte(&mouse, packet[i]);
    assert_true(movement > moved);
}

static void test_devices_gone_mad(void **state)
{
    (void)state;
    srandom(4);
    for (int run = 0; run < 3000; run++) {
        chaos = (unsigned)random() % 101;
        for (int i = 0; i < 40; i++) {
            now += (u64)random() % (NSEC_PER_SEC / 10);
            ps2_port_byte(random() % 2 ? &keyboard : &mouse, (u8)random());
            if (random() % 16 == 0)
                some_command();
            run_works();
        }
        chaos = 0; // they come to their senses, what was asked of them is done
        on_wire = 0;
        listener = &keyboard;
        run_works();
        listener = &mouse;
        run_works();
        expect_life();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_devices_that_answer),
        cmocka_unit_test(test_devices_gone_mad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
