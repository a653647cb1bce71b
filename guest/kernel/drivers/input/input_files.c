// SPDX-License-Identifier: MIT
// What files tell of input devices: /proc/bus/input/devices and handlers, /sys/class/input.
#include "drivers/input/input.h"
#include "fs/fs.h"
#include "fs/seq_file.h"
#include "lib/err.h"
#include "lib/printf.h"
#include "lib/printk.h"

#define INPUT_MAJOR 13

// Words from the highest that is not 0, as Linux writes bitmaps.
static void put_bits(struct seq_file *m, const unsigned long *bits, unsigned max_code)
{
    int word = (int)BITS_TO_LONGS(max_code + 1) - 1;
    while (word > 0 && !bits[word])
        word--;
    for (; word >= 0; word--)
        seq_printf(m, word ? "%lx " : "%lx", bits[word]);
}

static const struct {
    const char *name, *file;
    unsigned type;
} bitmaps[] = {
    {"EV", "ev", EV_SYN},   {"KEY", "key", EV_KEY}, {"REL", "rel", EV_REL},
    {"MSC", "msc", EV_MSC}, {"LED", "led", EV_LED},
};

static void show_device(struct seq_file *m, const struct input_device *dev)
{
    const struct linux_input_id *id = &dev->id;
    seq_printf(m, "I: Bus=%04x Vendor=%04x Product=%04x Version=%04x\n", id->bustype, id->vendor,
               id->product, id->version);
    seq_printf(m, "N: Name=\"%s\"\nP: Phys=%s\nS: Sysfs=/class/input/input%u\nU: Uniq=\n",
               dev->name, dev->phys, dev->number);
    seq_puts(m, "H: Handlers=");
    for (unsigned i = 0; i < dev->nr_handles; i++)
        seq_printf(m, "%s ", dev->handles[i].name);
    seq_puts(m, "\nB: PROP=0\n");
    for (unsigned i = 0; i < ARRAY_SIZE(bitmaps); i++) {
        unsigned max_code;
        const unsigned long *bits = input_bits(dev, bitmaps[i].type, &max_code);
        if (bitmaps[i].type == EV_SYN || test_bit(bitmaps[i].type, dev->evbit)) {
            seq_printf(m, "B: %s=", bitmaps[i].name);
            put_bits(m, bits, max_code);
            seq_putc(m, '\n');
        }
    }
    seq_putc(m, '\n');
}

static int show_devices(struct seq_file *m, void *v)
{
    (void)v;
    const struct input_device *dev;
    for (unsigned i = 0; (dev = input_device_at(i)) != NULL; i++)
        show_device(m, dev);
    return 0;
}

static int show_handlers(struct seq_file *m, void *v)
{
    (void)v;
    seq_puts(m, "N: Number=0 Name=kbd\nN: Number=1 Name=evdev Minor=64\n"
                "N: Number=2 Name=mousedev Minor=32\n");
    return 0;
}

static int show_text(struct seq_file *m, void *v)
{
    (void)v;
    seq_printf(m, "%s\n", (const char *)m->private);
    return 0;
}

static int show_hex(struct seq_file *m, void *v)
{
    (void)v;
    seq_printf(m, "%04lx\n", (u64)m->private);
    return 0;
}

static int show_dev(struct seq_file *m, void *v)
{
    (void)v;
    seq_printf(m, "%u:%lu\n", INPUT_MAJOR, (u64)m->private);
    return 0;
}

#define SHOW_BITS(type)                                                                            \
    static int show_##type(struct seq_file *m, void *v)                                            \
    {                                                                                              \
        (void)v;                                                                                   \
        unsigned max_code;                                                                         \
        const unsigned long *bits = input_bits(m->private, type, &max_code);                       \
        put_bits(m, bits, max_code);                                                               \
        seq_putc(m, '\n');                                                                         \
        return 0;                                                                                  \
    }
SHOW_BITS(EV_SYN)
SHOW_BITS(EV_KEY)
SHOW_BITS(EV_REL)
SHOW_BITS(EV_MSC)
SHOW_BITS(EV_LED)

static void add_attribute(const char *folder, const char *name,
                          int (*show)(struct seq_file *, void *), const void *priv)
{
    char path[96];
    snprintf(path, sizeof(path), "class/input/%s/%s", folder, name);
    if (sysfs_register(path, show, (void *)(uintptr_t)priv))
        pr_warn("input: no /sys/%s", path);
}

static void add_attributes(const char *folder, const struct input_device *dev)
{
    static int (*const shows[])(struct seq_file *, void *) = {show_EV_SYN, show_EV_KEY, show_EV_REL,
                                                              show_EV_MSC, show_EV_LED};
    add_attribute(folder, "name", show_text, dev->name);
    add_attribute(folder, "phys", show_text, dev->phys);
    add_attribute(folder, "uniq", show_text, "");
    add_attribute(folder, "properties", show_text, "0");
    add_attribute(folder, "id/bustype", show_hex, (void *)(u64)dev->id.bustype);
    add_attribute(folder, "id/vendor", show_hex, (void *)(u64)dev->id.vendor);
    add_attribute(folder, "id/product", show_hex, (void *)(u64)dev->id.product);
    add_attribute(folder, "id/version", show_hex, (void *)(u64)dev->id.version);
    for (unsigned i = 0; i < ARRAY_SIZE(bitmaps); i++) {
        char name[24];
        snprintf(name, sizeof(name), "capabilities/%s", bitmaps[i].file);
        add_attribute(folder, name, shows[i], dev);
    }
}

void input_files_add_node(const struct input_device *dev, const char *name, unsigned minor)
{
    char folder[24];
    add_attribute(name, "dev", show_dev, (void *)(u64)minor);
    if (dev) {
        snprintf(folder, sizeof(folder), "%s/device", name);
        add_attributes(folder, dev);
    }
}

void input_files_add(const struct input_device *dev)
{
    char folder[16];
    snprintf(folder, sizeof(folder), "input%u", dev->number);
    add_attributes(folder, dev);
}

void input_files_init(void)
{
    if (proc_register("bus/input/devices", 0444, show_devices, NULL, NULL) ||
        proc_register("bus/input/handlers", 0444, show_handlers, NULL, NULL))
        pr_warn("input: no /proc/bus/input");
}
