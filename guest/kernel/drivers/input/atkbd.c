// SPDX-License-Identifier: MIT
// The keyboard on the controller's first port: scan codes to key events; LEDs and repeat times to
// the keyboard (IBM PS/2 HITR, Keyboards). It repeats held keys by itself.
#include "drivers/input/input.h"
#include "drivers/input/ps2.h"
#include "drivers/input/scancodes.h"
#include "lib/err.h"
#include "lib/printk.h"
#include "mm/slab.h"
#include "sched/kthread.h"

#define CMD_LEDS 0xED
#define CMD_IDENTIFY 0xF2
#define CMD_RATE 0xF3
#define CMD_ENABLE 0xF4
#define REPLY_SELF_TEST 0xAA
#define IDENTITY 0xAB // its first byte
#define LED_BIT_SCROLL 0x01
#define LED_BIT_NUM 0x02
#define LED_BIT_CAPS 0x04
#define DEFAULT_DELAY_MS 250
#define DEFAULT_PERIOD_MS 33

struct atkbd {
    struct ps2_port *port;
    struct input_device dev;
    struct scancode_decoder decoder;
    struct work_struct work;         // brings the keyboard into line with `dev`
    bool set_leds, set_rate, enable; // what work is to do; written by whoever wants it
};

// Typematic byte: delay in steps of 250 ms; a period of (8 + A) * 2^B * 1/240 s.
static u8 rate_byte(s32 delay_ms, s32 period_ms)
{
    u8 delay = (u8)clamp(DIV_ROUND_UP(delay_ms, 250) - 1, 0, 3), rate = 0;
    while (rate < 31 && (8 + (rate & 7)) * (1 << (rate >> 3)) * 1000 / 240 < period_ms)
        rate++;
    return (u8)(delay << 5 | rate);
}

static u8 led_byte(const struct input_device *dev)
{
    return (u8)((test_bit(LED_SCROLLL, dev->led) ? LED_BIT_SCROLL : 0) |
                (test_bit(LED_NUML, dev->led) ? LED_BIT_NUM : 0) |
                (test_bit(LED_CAPSL, dev->led) ? LED_BIT_CAPS : 0));
}

static void atkbd_work(struct work_struct *w)
{
    struct atkbd *k = container_of(w, struct atkbd, work);
    if (__atomic_exchange_n(&k->set_leds, false, __ATOMIC_SEQ_CST)) {
        u8 leds = led_byte(&k->dev);
        ps2_command(k->port, CMD_LEDS, &leds, 1, NULL, 0);
    }
    if (__atomic_exchange_n(&k->set_rate, false, __ATOMIC_SEQ_CST)) {
        u8 rate = rate_byte(READ_ONCE(k->dev.rep[REP_DELAY]), READ_ONCE(k->dev.rep[REP_PERIOD]));
        ps2_command(k->port, CMD_RATE, &rate, 1, NULL, 0);
    }
    if (__atomic_exchange_n(&k->enable, false, __ATOMIC_SEQ_CST))
        ps2_command(k->port, CMD_ENABLE, NULL, 0, NULL, 0);
}

static void atkbd_event(struct input_device *dev, u16 type, u16 code, s32 value)
{
    (void)code;
    (void)value;
    struct atkbd *k = dev->driver_data;
    WRITE_ONCE(*(type == EV_LED ? &k->set_leds : &k->set_rate), true);
    schedule_work(&k->work);
}

// Somebody plugged it in again: it has forgotten what it was told, and what was held.
static void keyboard_came_back(struct atkbd *k)
{
    k->decoder = (struct scancode_decoder){.set = k->decoder.set};
    input_release_all_keys(&k->dev);
    k->set_leds = k->set_rate = k->enable = true;
    schedule_work(&k->work);
}

static bool is_self_test(struct atkbd *k, u8 byte)
{
    if (k->decoder.prefix || k->decoder.pause_left || k->decoder.released)
        return false;
    return byte == REPLY_SELF_TEST &&
           (k->decoder.set == 2 || !input_key_held(&k->dev, KEY_LEFTSHIFT));
}

static void atkbd_receive(struct ps2_port *port, u8 byte)
{
    struct atkbd *k = port->private;
    struct scancode_key key;
    if (is_self_test(k, byte)) {
        keyboard_came_back(k);
        return;
    }
    if (!scancode_decode(&k->decoder, byte, &key))
        return;
    input_report(&k->dev, EV_MSC, MSC_SCAN, key.scancode);
    if (key.keycode) {
        bool held = input_key_held(&k->dev, key.keycode);
        input_report(&k->dev, EV_KEY, key.keycode, key.pressed ? 1 + held : 0);
    }
    input_sync(&k->dev);
    if (key.keycode && key.pressed && key.momentary) {
        input_report(&k->dev, EV_KEY, key.keycode, 0);
        input_sync(&k->dev);
    }
}

static void describe(struct atkbd *k)
{
    static const u16 types[] = {EV_KEY, EV_MSC, EV_LED, EV_REP};
    struct input_device *dev = &k->dev;
    dev->name = k->decoder.set == 1 ? "AT Translated Set 2 keyboard" : "AT Raw Set 2 keyboard";
    dev->phys = "isa0060/serio0/input0";
    dev->id = (struct linux_input_id){BUS_I8042, 1, (u16)(k->decoder.set == 1 ? 1 : 2), 0xab41};
    dev->driver_data = k;
    dev->event = atkbd_event;
    dev->rep[REP_DELAY] = DEFAULT_DELAY_MS;
    dev->rep[REP_PERIOD] = DEFAULT_PERIOD_MS;
    for (unsigned i = 0; i < ARRAY_SIZE(types); i++)
        __set_bit(types[i], dev->evbit);
    __set_bit(MSC_SCAN, dev->mscbit);
    for (unsigned led = LED_NUML; led <= LED_SCROLLL; led++)
        __set_bit(led, dev->ledbit);
    for (u16 code = 0; code <= 0xFF; code++) {
        __set_bit(scancode_to_key(k->decoder.set, code), dev->keybit);
        __set_bit(scancode_to_key(k->decoder.set, (u16)(0xE000 | code)), dev->keybit);
    }
    __clear_bit(KEY_RESERVED, dev->keybit);
}

// Keyboards say AB and their model; the first ones only acknowledged.
static bool identify(struct ps2_port *port)
{
    u8 id[2] = {0}, none = 0;
    if (!ps2_command(port, CMD_IDENTIFY, NULL, 0, id, 2))
        return id[0] == IDENTITY;
    return !ps2_command(port, CMD_LEDS, &none, 1, NULL, 0);
}

bool atkbd_probe(struct ps2_port *port)
{
    if (!identify(port))
        return false;
    struct atkbd *k = kzalloc(sizeof(*k), GFP_KERNEL);
    if (!k)
        return false;
    k->port = port;
    k->decoder.set = port->translated ? 1 : 2;
    work_init(&k->work, atkbd_work);
    describe(k);
    if (input_register_device(&k->dev)) {
        kfree(k);
        return false;
    }
    k->set_leds = k->set_rate = k->enable = true;
    atkbd_work(&k->work);
    port->private = k;
    port->receive = atkbd_receive;
    return true;
}
