// SPDX-License-Identifier: MIT
// The display's modes, between its driver and those who draw (fbdev.c, tty/vt.c).
#include "drivers/display/display.h"

#include "abi/errno.h"
#include "arch/x86_64/paging.h"
#include "lib/printk.h"
#include "sched/lock.h"
#include "tty/vt.h"

#define BYTES_PER_DOT 4
#define MIN_SIDE 64

static struct display *primary;
static DEFINE_MUTEX(display_lock);

struct display *display_get(void)
{
    return primary;
}

bool display_mode_possible(const struct display *d, unsigned width, unsigned height)
{
    return width % 8 == 0 && width >= MIN_SIDE && height >= MIN_SIDE && width <= d->max_width &&
           height <= d->max_height && (size_t)width * height * BYTES_PER_DOT <= d->memory_size;
}

static int set_mode_locked(struct display *d, unsigned width, unsigned height)
{
    if (!display_mode_possible(d, width, height))
        return -EINVAL;
    if (!d->pixels) // only when it is wanted: 4096 pages
        d->pixels = (u8 *)ioremap(d->memory, d->memory_size);
    if (!d->pixels)
        return -ENOMEM;
    d->width = width;
    d->height = height;
    d->pitch = (size_t)width * BYTES_PER_DOT;
    d->virtual_height = (unsigned)min(d->memory_size / d->pitch, 0xffffUL);
    d->pan_y = 0;
    d->blanked = false;
    d->ops->set_mode(d);
    WRITE_ONCE(d->active, true);
    return 0;
}

int display_set_mode(struct display *d, unsigned width, unsigned height)
{
    mutex_lock(&display_lock);
    int err = set_mode_locked(d, width, height);
    mutex_unlock(&display_lock);
    if (!err)
        vt_display_changed();
    return err;
}

int display_activate(struct display *d)
{
    mutex_lock(&display_lock);
    int err = d->active ? 0 : set_mode_locked(d, d->width, d->height);
    mutex_unlock(&display_lock);
    return err;
}

int display_pan(struct display *d, unsigned y)
{
    int err = 0;
    mutex_lock(&display_lock);
    if (y + d->height > d->virtual_height) {
        err = -EINVAL;
    } else if (d->active && d->pan_y != y) {
        d->pan_y = y;
        d->ops->pan(d);
    }
    mutex_unlock(&display_lock);
    return err;
}

void display_blank(struct display *d, bool blanked)
{
    mutex_lock(&display_lock);
    if (d->active && d->blanked != blanked) {
        d->blanked = blanked;
        d->ops->blank(d);
    }
    mutex_unlock(&display_lock);
}

void display_panic(struct display *d)
{
    d->pan_y = 0;
    if (d->active)
        d->ops->set_mode(d);
}

int display_register(struct display *d)
{
    if (primary)
        return -EBUSY;
    d->width = min(d->max_width, (unsigned)DISPLAY_DEFAULT_WIDTH);
    d->height = min(d->max_height, (unsigned)DISPLAY_DEFAULT_HEIGHT);
    if (!display_mode_possible(d, d->width, d->height))
        return -ENODEV;
    d->pitch = (size_t)d->width * BYTES_PER_DOT;
    d->virtual_height = (unsigned)min(d->memory_size / d->pitch, 0xffffUL);
    primary = d;
    int err = fbdev_register(d);
    if (!err)
        err = vt_init();
    pr_info("%s: display, %lu KiB at %#lx", d->name, d->memory_size >> 10, d->memory);
    return err;
}
