// SPDX-License-Identifier: MIT
// The keyboards' handler for virtual terminals: what a key sends goes to the terminal at once, in
// the interrupt; what takes time (LEDs, reboot, SysRq) is left to the bottom half.
#include "drivers/input/input.h"
#include "drivers/input/keymap.h"
#include "drivers/power.h"
#include "lib/printf.h"
#include "sched/kthread.h"
#include "tty/tty.h"

#define HALF_SCREEN 18 // lines

static DEFINE_SPINLOCK(keyboard_lock); // all below; interrupts off
static struct keymap_state state;
static struct input_handle *keyboards[INPUT_DEVICES]; // only grows, at boot
static unsigned nr_keyboards;
static char sysrq_letter;
static bool reboot_wanted;

static void set_leds(void)
{
    struct vt_keyboard_modes modes = vt_keyboard_modes();
    u8 leds = modes.leds_given ? modes.leds : READ_ONCE(state.locks);
    vt_keyboard_locks(READ_ONCE(state.locks));
    for (unsigned i = 0; i < READ_ONCE(nr_keyboards); i++) {
        input_inject(keyboards[i], EV_LED, LED_SCROLLL, !!(leds & VT_LED_SCROLL));
        input_inject(keyboards[i], EV_LED, LED_NUML, !!(leds & VT_LED_NUM));
        input_inject(keyboards[i], EV_LED, LED_CAPSL, !!(leds & VT_LED_CAPS));
        input_inject(keyboards[i], EV_SYN, SYN_REPORT, 0);
    }
}

static void keyboard_work(struct work_struct *w)
{
    (void)w;
    spin_lock_irq(&keyboard_lock);
    char letter = sysrq_letter;
    bool reboot = reboot_wanted;
    sysrq_letter = 0;
    reboot_wanted = false;
    spin_unlock_irq(&keyboard_lock);
    set_leds();
    if (letter)
        sysrq_command(letter);
    if (reboot)
        ctrl_alt_del();
}
static struct work_struct bottom_half = {.entry = LIST_HEAD_INIT(bottom_half.entry),
                                         .func = keyboard_work};

static void modes_changed(void)
{
    schedule_work(&bottom_half);
}

// The terminal before (-1) or behind (1) the one in front.
static unsigned neighbour(int step)
{
    const struct tty_struct *front = vt_tty(0);
    unsigned number = front ? MINOR(tty_devnum(front)) : 1;
    return (number + VT_COUNT - 1 + (unsigned)step) % VT_COUNT + 1;
}

// Lock held.
static void note_action(struct keymap_result *r)
{
    if (r->action == KEYMAP_STEP) {
        r->action = KEYMAP_SWITCH;
        r->argument = (int)neighbour(r->argument);
    }
    if (r->action == KEYMAP_SYSRQ)
        sysrq_letter = (char)r->argument;
    reboot_wanted |= r->action == KEYMAP_REBOOT;
    if (r->locks_changed || r->action == KEYMAP_SYSRQ || r->action == KEYMAP_REBOOT)
        schedule_work(&bottom_half);
}

// A program that had grabbed the keyboard may have seen the end of what we saw the beginning of.
// Lock held.
static void forget_released_modifiers(void)
{
    static const u16 modifiers[] = {KEY_LEFTSHIFT, KEY_RIGHTSHIFT, KEY_LEFTCTRL,
                                    KEY_RIGHTCTRL, KEY_LEFTALT,    KEY_RIGHTALT};
    for (unsigned i = 0; i < ARRAY_SIZE(modifiers); i++) {
        bool held = false;
        for (unsigned k = 0; k < nr_keyboards; k++)
            held |= input_key_held(keyboards[k]->dev, modifiers[i]);
        if (!held)
            __clear_bit(modifiers[i], state.held);
    }
}

static void key(u16 code, s32 value)
{
    struct vt_keyboard_modes modes = vt_keyboard_modes();
    unsigned long flags;
    spin_lock_irqsave(&keyboard_lock, flags);
    forget_released_modifiers();
    struct keymap_result r = keymap_key(&state, &modes, code, value);
    note_action(&r);
    spin_unlock_irqrestore(&keyboard_lock, flags);
    if (r.n)
        vt_receive(r.bytes, r.n);
    if (r.action == KEYMAP_SWITCH)
        vt_switch((unsigned)r.argument);
    else if (r.action == KEYMAP_SCROLL)
        vt_scroll_back(r.argument * HALF_SCREEN);
}

static void keyboard_events(struct input_handle *h, const struct input_value *values, unsigned n)
{
    (void)h;
    for (unsigned i = 0; i < n; i++)
        if (values[i].type == EV_KEY && values[i].code < BTN_LEFT)
            key(values[i].code, values[i].value);
}

static bool keyboard_match(const struct input_device *dev)
{
    return test_bit(EV_KEY, dev->evbit) && test_bit(KEY_ENTER, dev->keybit);
}

static int keyboard_connect(struct input_handle *h)
{
    snprintf(h->name, sizeof(h->name), "kbd");
    keyboards[nr_keyboards] = h;
    WRITE_ONCE(nr_keyboards, nr_keyboards + 1);
    return 0;
}

static const struct input_handler keyboard_handler = {
    .name = "kbd", .match = keyboard_match, .connect = keyboard_connect, .events = keyboard_events};

int keyboard_init(void)
{
    vt_set_keyboard_notify(modes_changed);
    return input_register_handler(&keyboard_handler);
}
