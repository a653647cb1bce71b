// SPDX-License-Identifier: MIT
// Virtual terminals: which one is in the foreground, their driver side towards tty/, their sizes.
#include "tty/vt.h"

#include "abi/signal.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "tty/vt_internal.h"

#define WRITE_ROOM 4096

struct vt vts[VT_COUNT];
DEFINE_SPINLOCK(vt_lock);
DEFINE_MUTEX(vt_mutex);
DECLARE_WAIT_QUEUE_HEAD(vt_switched);

static bool present;        // there is a display
static unsigned foreground; // index; changed with vt_lock held
static void (*keyboard_changed)(void);
static u8 keyboard_locks;

// What interrupts ask for, done by the bottom half.
static struct work_struct request_work;
static atomic_t wanted_number; // 0: none
static atomic_t wanted_lines;
static bool wanted_present; // leave the past

struct vt *vt_foreground(void)
{
    return &vts[READ_ONCE(foreground)];
}

u8 vt_locks(void)
{
    return READ_ONCE(keyboard_locks);
}

void vt_notify_keyboard(void)
{
    void (*changed)(void) = READ_ONCE(keyboard_changed);
    if (changed)
        changed();
}

// --- sizes and memory

static void answer(void *context, const char *bytes, size_t n)
{
    struct vt *vt = context;
    tty_receive(vt->tty, (const u8 *)bytes, n, TTY_NORMAL);
}

static void *screen_memory(unsigned cols, unsigned rows)
{
    return kvmalloc(vt_screen_memory(cols, rows, VT_HISTORY), GFP_KERNEL);
}

static int allocate_locked(struct vt *vt)
{
    unsigned cols, rows;
    if (vt->memory)
        return 0;
    vt_paint_size(display_get()->width, display_get()->height, &cols, &rows);
    void *memory = screen_memory(cols, rows);
    if (!memory)
        return -ENOMEM;
    spin_lock(&vt_lock);
    vt->screen.answer = answer;
    vt->screen.context = vt;
    vt_screen_init(&vt->screen, cols, rows, VT_HISTORY, memory);
    vt->memory = memory;
    spin_unlock(&vt_lock);
    return 0;
}

int vt_allocate(struct vt *vt)
{
    mutex_lock(&vt_mutex);
    int err = allocate_locked(vt);
    mutex_unlock(&vt_mutex);
    return err;
}

// Without memory the terminal keeps its size; then it is not drawn (vt_picture.c compares).
static void resize_screen(struct vt *vt, unsigned cols, unsigned rows)
{
    void *memory = screen_memory(cols, rows), *old = vt->memory;
    struct vt_screen *fresh = kmalloc(sizeof(*fresh), GFP_KERNEL);
    if (!memory || !fresh) {
        pr_warn("tty%u: no memory for %ux%u", vt->number, cols, rows);
        kvfree(memory);
        kfree(fresh);
        return;
    }
    spin_lock(&vt_lock);
    fresh->answer = answer;
    fresh->context = vt;
    vt_screen_init(fresh, cols, rows, VT_HISTORY, memory);
    vt_screen_take_over(fresh, &vt->screen);
    vt->screen = *fresh;
    vt->memory = memory;
    vt->back = 0;
    spin_unlock(&vt_lock);
    kvfree(old);
    kfree(fresh);
}

static void set_window_size(struct vt *vt, unsigned cols, unsigned rows)
{
    struct linux_winsize size = {.ws_row = (u16)rows,
                                 .ws_col = (u16)cols,
                                 .ws_xpixel = (u16)display_get()->width,
                                 .ws_ypixel = (u16)display_get()->height};
    mutex_lock(&vt->tty->termios_lock);
    bool changed = memcmp(&size, &vt->tty->winsize, sizeof(size)) != 0;
    vt->tty->winsize = size;
    mutex_unlock(&vt->tty->termios_lock);
    if (changed)
        tty_signal_foreground(vt->tty, SIGWINCH);
}

// While a program draws, the terminals stay as they are: it mostly restores the mode in the end.
void vt_display_changed(void)
{
    unsigned cols, rows;
    if (!present || vt_foreground()->graphics)
        return;
    mutex_lock(&vt_mutex);
    vt_paint_size(display_get()->width, display_get()->height, &cols, &rows);
    for (unsigned i = 0; i < VT_COUNT; i++)
        if (vts[i].memory && (vts[i].screen.cols != cols || vts[i].screen.rows != rows))
            resize_screen(&vts[i], cols, rows);
    if (vt_picture_resize())
        pr_warn("vt: no memory to draw %ux%u", cols, rows);
    mutex_unlock(&vt_mutex);
    for (unsigned i = 0; i < VT_COUNT; i++)
        set_window_size(&vts[i], cols, rows);
}

// --- the keyboard's side

void vt_receive(const u8 *bytes, size_t n)
{
    struct vt *vt = vt_foreground();
    if (!READ_ONCE(present))
        return;
    if (READ_ONCE(vt->back)) {
        WRITE_ONCE(wanted_present, true);
        schedule_work(&request_work);
    }
    tty_receive(vt->tty, bytes, n, TTY_NORMAL);
}

void vt_switch(unsigned number)
{
    if (number < 1 || number > VT_COUNT || !READ_ONCE(present))
        return;
    atomic_set(&wanted_number, (int)number);
    schedule_work(&request_work);
}

void vt_scroll_back(int lines)
{
    if (!READ_ONCE(present))
        return;
    atomic_add(lines, &wanted_lines);
    schedule_work(&request_work);
}

struct vt_keyboard_modes vt_keyboard_modes(void)
{
    const struct vt *vt = vt_foreground();
    const struct vt_modes *m = &vt->screen.modes;
    if (!READ_ONCE(present) || !READ_ONCE(vt->memory))
        return (struct vt_keyboard_modes){.raw = VT_KB_UNICODE};
    return (struct vt_keyboard_modes){.raw = READ_ONCE(vt->raw),
                                      .application_cursor = READ_ONCE(m->application_cursor),
                                      .application_keypad = READ_ONCE(m->application_keypad),
                                      .newline = READ_ONCE(m->newline),
                                      .leds_given = READ_ONCE(vt->leds_given),
                                      .leds = READ_ONCE(vt->leds)};
}

void vt_set_keyboard_notify(void (*changed)(void))
{
    WRITE_ONCE(keyboard_changed, changed);
}

void vt_keyboard_locks(u8 locks)
{
    WRITE_ONCE(keyboard_locks, locks);
}

void vt_switch_now(unsigned number)
{
    struct vt *vt = &vts[number - 1];
    if (vt_allocate(vt))
        return;
    spin_lock(&vt_lock);
    bool changed = foreground != number - 1;
    if (changed) {
        vt_foreground()->back = 0;
        WRITE_ONCE(foreground, number - 1);
        vt_repaint();
    }
    spin_unlock(&vt_lock);
    if (changed) {
        vt_display_changed();
        wake_up_all(&vt_switched);
        vt_notify_keyboard();
    }
}

static void look_back(int lines)
{
    spin_lock(&vt_lock);
    struct vt *vt = vt_foreground();
    int most = vt->memory ? (int)vt->screen.history_count : 0;
    unsigned back = (unsigned)clamp((int)vt->back + lines, 0, most);
    if (xchg(&wanted_present, false))
        back = 0;
    if (back != vt->back) {
        WRITE_ONCE(vt->back, back);
        vt_schedule_paint(vt);
    }
    spin_unlock(&vt_lock);
}

static void do_requests(struct work_struct *w)
{
    (void)w;
    int number = atomic_xchg(&wanted_number, 0);
    if (number)
        vt_switch_now((unsigned)number);
    look_back(atomic_xchg(&wanted_lines, 0));
}

// --- the tty's side

// What has been logged so far comes first.
static int vt_open(struct tty_struct *tty)
{
    int err = vt_allocate(tty->driver_data);
    if (!err)
        vt_log_drain();
    return err;
}

static size_t vt_write_room(struct tty_struct *tty)
{
    (void)tty;
    return WRITE_ROOM;
}

void vt_output(struct vt *vt, const u8 *bytes, size_t n)
{
    spin_lock(&vt_lock);
    struct vt_modes before = vt->screen.modes;
    vt_screen_write(&vt->screen, bytes, n);
    vt->back = 0;
    vt_schedule_paint(vt);
    bool modes_changed = before.application_cursor != vt->screen.modes.application_cursor ||
                         before.application_keypad != vt->screen.modes.application_keypad;
    spin_unlock(&vt_lock);
    if (modes_changed && vt == vt_foreground())
        vt_notify_keyboard();
}

static size_t vt_write(struct tty_struct *tty, const u8 *buf, size_t n)
{
    struct vt *vt = tty->driver_data;
    if (READ_ONCE(vt->memory)) // an echo before the first open has no screen
        vt_output(vt, buf, n);
    return n;
}

static size_t vt_chars_in_buffer(struct tty_struct *tty)
{
    (void)tty;
    return 0;
}

// tcdrain waits until it is drawn.
static bool vt_tx_empty(struct tty_struct *tty)
{
    return tty->driver_data != vt_foreground() || !vt_paint_pending();
}

static const struct tty_operations vt_ops = {
    .open = vt_open,
    .write_room = vt_write_room,
    .write = vt_write,
    .chars_in_buffer = vt_chars_in_buffer,
    .tx_empty = vt_tx_empty,
    .ioctl = vt_ioctl,
};

struct tty_struct *vt_tty(unsigned number)
{
    if (!READ_ONCE(present) || number > VT_COUNT)
        return NULL;
    return number ? vts[number - 1].tty : vt_foreground()->tty;
}

struct tty_struct *vt_console_tty(void)
{
    char name[8];
    if (!cmdline_get("console", name, sizeof(name)) || strncmp(name, "tty", 3) || name[3] < '0' ||
        name[3] > '0' + VT_COUNT || name[4])
        return NULL;
    return vt_tty((unsigned)(name[3] - '0'));
}

static int register_one(unsigned number)
{
    char name[8] = "tty0";
    name[3] = (char)('0' + number);
    struct vt *vt = &vts[number - 1];
    vt->number = number;
    vt->raw = VT_KB_UNICODE;
    struct tty_struct *tty = tty_register(name, MKDEV(VT_MAJOR, number), &vt_ops, vt);
    if (IS_ERR(tty))
        return (int)PTR_ERR(tty);
    tty->termios.c_iflag |= IUTF8;
    vt->tty = tty;
    return 0;
}

int vt_init(void)
{
    unsigned cols, rows;
    int err = vt_picture_init();
    work_init(&request_work, do_requests);
    for (unsigned n = 1; !err && n <= VT_COUNT; n++)
        err = register_one(n);
    if (!err)
        err = register_chrdev(MKDEV(VT_MAJOR, 0), 1, "tty", &tty_fops);
    if (!err)
        err = devtmpfs_create("tty0", S_IFCHR | 0620, MKDEV(VT_MAJOR, 0));
    if (err)
        return err;
    WRITE_ONCE(present, true);
    vt_paint_size(display_get()->width, display_get()->height, &cols, &rows);
    for (unsigned i = 0; i < VT_COUNT; i++)
        set_window_size(&vts[i], cols, rows);
    vt_log_init();
    return 0;
}
