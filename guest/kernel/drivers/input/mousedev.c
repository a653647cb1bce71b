// SPDX-License-Identifier: MIT
// /dev/input/mice and mouseN: all mice, or one, as a PS/2 mouse that programs talk to. It answers
// commands, and knocks make it one with a wheel (ImPS/2) or five buttons (ExplorerPS/2).
#include "abi/fcntl.h"
#include "drivers/input/input.h"
#include "fs/poll.h"
#include "lib/err.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/task.h"
#include "sched/wait.h"

#define INPUT_MAJOR 13
#define MOUSE_MINOR 32
#define MICE_MINOR 63
#define KNOCK_BYTES 6
#define OUT_BYTES 8
#define STEPS 16 // clicks that wait to be read
#define FIRST_BYTE_BIT 0x08
#define X_SIGN 0x10
#define Y_SIGN 0x20

// Movement between two changes of the buttons: right, up, towards the user.
struct mouse_step {
    s32 dx, dy, dz;
    u8 buttons;
};
struct mouse_client {
    struct list_head entry;
    const struct input_device *dev; // NULL: all
    enum { PLAIN = 0, WHEEL = 3, BUTTONS = 4 } identity;
    u8 last_bytes[KNOCK_BYTES];     // as written
    struct mouse_step steps[STEPS]; // not told yet
    unsigned first, nr_steps;       // of the ring; at least one, into which movement goes
    u8 told_buttons;
    u8 out[OUT_BYTES]; // being read
    u8 out_len, out_at;
};

static DEFINE_SPINLOCK(mousedev_lock); // clients; interrupts off
static LIST_HEAD(clients);
static DECLARE_WAIT_QUEUE_HEAD(mousedev_wait);
static const struct input_device *mice[INPUT_DEVICES];
static unsigned nr_mice;

// --- from the mice

static struct mouse_step *newest(struct mouse_client *c)
{
    return &c->steps[(c->first + c->nr_steps - 1) % STEPS];
}

static void set_button(struct mouse_client *c, u8 bit, bool down)
{
    u8 before = newest(c)->buttons;
    u8 buttons = (u8)(down ? before | bit : before & ~bit);
    if (buttons == before)
        return;
    if (c->nr_steps < STEPS) {
        c->nr_steps++;
        *newest(c) = (struct mouse_step){0};
    }
    newest(c)->buttons = buttons;
}

static void take(struct mouse_client *c, const struct input_value *v)
{
    struct mouse_step *s = newest(c);
    if (v->type == EV_REL) {
        s->dx += v->code == REL_X ? v->value : 0;
        s->dy -= v->code == REL_Y ? v->value : 0;
        s->dz -= v->code == REL_WHEEL ? v->value : 0;
    } else if (v->type == EV_KEY && v->code >= BTN_LEFT && v->code <= BTN_EXTRA) {
        set_button(c, (u8)(1 << (v->code - BTN_LEFT)), v->value);
    }
}

static void mousedev_events(struct input_handle *h, const struct input_value *values, unsigned n)
{
    struct mouse_client *c;
    bool wake = false;
    spin_lock(&mousedev_lock);
    list_for_each_entry(c, &clients, entry)
    {
        if (c->dev && c->dev != h->dev)
            continue;
        for (unsigned i = 0; i < n; i++)
            take(c, &values[i]);
        wake = true;
    }
    spin_unlock(&mousedev_lock);
    if (wake)
        wake_up_interruptible_poll(&mousedev_wait, POLLIN | POLLRDNORM);
}

// --- the mouse that clients see; lock held

static bool to_tell(const struct mouse_client *c, const struct mouse_step *s)
{
    return s->dx || s->dy || s->dz || s->buttons != c->told_buttons;
}

static bool has_news(const struct mouse_client *c)
{
    return c->out_at < c->out_len || c->nr_steps > 1 || to_tell(c, &c->steps[c->first]);
}

static void out(struct mouse_client *c, u8 byte)
{
    if (c->out_len < OUT_BYTES)
        c->out[c->out_len++] = byte;
}

// As much of a sum as a packet has room for.
static s32 part_of(s32 *sum, s32 lowest, s32 highest)
{
    s32 part = clamp(*sum, lowest, highest);
    *sum -= part;
    return part;
}

static void out_packet(struct mouse_client *c)
{
    if (c->nr_steps > 1 && !to_tell(c, &c->steps[c->first])) {
        c->first = (c->first + 1) % STEPS;
        c->nr_steps--;
    }
    struct mouse_step *s = &c->steps[c->first];
    s32 dx = part_of(&s->dx, -127, 127), dy = part_of(&s->dy, -127, 127);
    u8 head = (u8)(FIRST_BYTE_BIT | (s->buttons & 7) | (dx < 0 ? X_SIGN : 0));
    out(c, (u8)(head | (dy < 0 ? Y_SIGN : 0)));
    out(c, (u8)dx);
    out(c, (u8)dy);
    if (c->identity == WHEEL)
        out(c, (u8)part_of(&s->dz, -127, 127));
    else if (c->identity == BUTTONS)
        out(c, (u8)((part_of(&s->dz, -7, 7) & 0xf) | (s->buttons & 0x18) << 1));
    else
        s->dz = 0;
    c->told_buttons = s->buttons;
}

static void knock(struct mouse_client *c, u8 byte)
{
    static const u8 wheel[KNOCK_BYTES] = {0xf3, 200, 0xf3, 100, 0xf3, 80};
    static const u8 five_buttons[KNOCK_BYTES] = {0xf3, 200, 0xf3, 200, 0xf3, 80};
    memmove(c->last_bytes, c->last_bytes + 1, KNOCK_BYTES - 1);
    c->last_bytes[KNOCK_BYTES - 1] = byte;
    if (!memcmp(c->last_bytes, wheel, KNOCK_BYTES))
        c->identity = WHEEL;
    else if (!memcmp(c->last_bytes, five_buttons, KNOCK_BYTES))
        c->identity = BUTTONS;
}

static void command(struct mouse_client *c, u8 byte)
{
    c->out_len = c->out_at = 0;
    out(c, 0xfa);
    knock(c, byte);
    switch (byte) {
    case 0xeb: // read data
        out_packet(c);
        break;
    case 0xf2: // identify
        out(c, (u8)c->identity);
        break;
    case 0xe9: // status: stream mode on, 8 counts per mm, 200 samples a second
        out(c, 0x60);
        out(c, 3);
        out(c, 200);
        break;
    case 0xff: // reset
        c->identity = PLAIN;
        out(c, 0xaa);
        out(c, 0);
        break;
    }
}

// --- files

static int mousedev_open(struct inode *inode, struct file *f)
{
    unsigned minor = MINOR(inode->i_rdev);
    if (minor != MICE_MINOR && minor - MOUSE_MINOR >= nr_mice)
        return -ENXIO;
    struct mouse_client *c = kzalloc(sizeof(*c), GFP_KERNEL);
    if (!c)
        return -ENOMEM;
    c->dev = minor == MICE_MINOR ? NULL : mice[minor - MOUSE_MINOR];
    c->nr_steps = 1;
    f->private_data = c;
    spin_lock_irq(&mousedev_lock);
    list_add_tail(&c->entry, &clients);
    spin_unlock_irq(&mousedev_lock);
    return stream_open(inode, f);
}

static int mousedev_release(struct inode *inode, struct file *f)
{
    (void)inode;
    struct mouse_client *c = f->private_data;
    spin_lock_irq(&mousedev_lock);
    list_del(&c->entry);
    spin_unlock_irq(&mousedev_lock);
    kfree(c);
    return 0;
}

static bool readable(const struct mouse_client *c)
{
    spin_lock_irq(&mousedev_lock);
    bool news = has_news(c);
    spin_unlock_irq(&mousedev_lock);
    return news;
}

// What is left of an answer or a packet, or one packet more.
static ssize_t mousedev_read(struct file *f, struct iov_iter *to, loff_t *pos)
{
    (void)pos;
    struct mouse_client *c = f->private_data;
    u8 bytes[OUT_BYTES];
    if (!readable(c)) {
        if (f->f_flags & O_NONBLOCK)
            return -EAGAIN;
        int err = wait_event_interruptible(mousedev_wait, readable(c));
        if (err)
            return err;
    }
    spin_lock_irq(&mousedev_lock);
    if (c->out_at == c->out_len) {
        c->out_len = c->out_at = 0;
        out_packet(c);
    }
    size_t n = min(iov_iter_count(to), (size_t)(c->out_len - c->out_at));
    memcpy(bytes, c->out + c->out_at, n);
    c->out_at = (u8)(c->out_at + n);
    spin_unlock_irq(&mousedev_lock);
    return copy_to_iter(bytes, n, to) == n ? (ssize_t)n : -EFAULT;
}

static ssize_t mousedev_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    (void)pos;
    struct mouse_client *c = f->private_data;
    ssize_t done = 0;
    u8 byte;
    for (; iov_iter_count(from); done++) {
        if (copy_from_iter(&byte, 1, from) != 1)
            return done ? done : -EFAULT;
        spin_lock_irq(&mousedev_lock);
        command(c, byte);
        spin_unlock_irq(&mousedev_lock);
    }
    wake_up_interruptible_poll(&mousedev_wait, POLLIN | POLLRDNORM);
    return done;
}

static poll_t mousedev_poll(struct file *f, struct poll_table *pt)
{
    struct mouse_client *c = f->private_data;
    poll_wait(f, &mousedev_wait, pt);
    return POLLOUT | POLLWRNORM | (readable(c) ? POLLIN | POLLRDNORM : 0);
}

static const struct file_operations mousedev_fops = {
    .open = mousedev_open,
    .release = mousedev_release,
    .read = mousedev_read,
    .write = mousedev_write,
    .poll = mousedev_poll,
    .llseek = no_llseek,
    .stream = true,
};

// --- registration

static bool mousedev_match(const struct input_device *dev)
{
    return test_bit(EV_REL, dev->evbit) && test_bit(BTN_LEFT, dev->keybit);
}

static int mousedev_connect(struct input_handle *h)
{
    char path[24];
    unsigned minor = MOUSE_MINOR + nr_mice;
    snprintf(h->name, sizeof(h->name), "mouse%u", nr_mice);
    snprintf(path, sizeof(path), "input/%s", h->name);
    mice[nr_mice++] = h->dev;
    input_files_add_node(h->dev, h->name, minor);
    return devtmpfs_create(path, S_IFCHR | 0660, MKDEV(INPUT_MAJOR, minor));
}

static const struct input_handler mousedev_handler = {.name = "mousedev",
                                                      .match = mousedev_match,
                                                      .connect = mousedev_connect,
                                                      .events = mousedev_events};

int mousedev_init(void)
{
    dev_t mice_dev = MKDEV(INPUT_MAJOR, MICE_MINOR);
    int err =
        register_chrdev(MKDEV(INPUT_MAJOR, MOUSE_MINOR), INPUT_DEVICES, "input", &mousedev_fops);
    err = err ? err : register_chrdev(mice_dev, 1, "input", &mousedev_fops);
    err = err ? err : devtmpfs_create("input/mice", S_IFCHR | 0660, mice_dev);
    if (err)
        return err;
    input_files_add_node(NULL, "mice", MICE_MINOR);
    return input_register_handler(&mousedev_handler);
}
