// SPDX-License-Identifier: MIT
// When the foreground terminal is drawn: in the bottom half, at most once in a 60th of a second, so
// that fast output costs one picture and not each of its lines.
#include "abi/errno.h"
#include "mm/slab.h"
#include "sched/kthread.h"
#include "sched/timer.h"
#include "tty/vt_internal.h"

#define PAINT_INTERVAL (NSEC_PER_SEC / 60)

static struct vt_painter painter; // pixels == NULL: nothing has been drawn yet
static DEFINE_MUTEX(paint_mutex);
static struct work_struct paint_work;
static struct hrtimer paint_timer;
static bool pending;
static u64 painted_at;

bool vt_paint_pending(void)
{
    return READ_ONCE(pending);
}

void vt_schedule_paint(const struct vt *vt)
{
    if (vt != vt_foreground() || vt->graphics || pending)
        return;
    WRITE_ONCE(pending, true);
    if (ktime_get() >= painted_at + PAINT_INTERVAL)
        schedule_work(&paint_work);
    else
        hrtimer_start(&paint_timer, painted_at + PAINT_INTERVAL);
}

void vt_repaint(void)
{
    painter.everything = true;
    vt_schedule_paint(vt_foreground());
}

static enum hrtimer_restart timer_expired(struct hrtimer *t)
{
    (void)t;
    schedule_work(&paint_work);
    return HRTIMER_NORESTART;
}

static bool is_current(void)
{
    return painter.width == display_get()->width && painter.height == display_get()->height;
}

int vt_picture_resize(void)
{
    struct display *d = display_get();
    unsigned cols, rows;
    if (is_current())
        return 0;
    vt_paint_size(d->width, d->height, &cols, &rows);
    vt_cell *cells = kvmalloc((size_t)cols * rows * sizeof(*cells), GFP_KERNEL);
    spin_lock(&vt_lock);
    vt_cell *old = painter.cells;
    if (cells)
        vt_painter_init(&painter, d->pixels, d->width, d->height, d->virtual_height, cells);
    else
        painter = (struct vt_painter){0};
    vt_schedule_paint(vt_foreground());
    spin_unlock(&vt_lock);
    kvfree(old);
    return cells ? 0 : -ENOMEM;
}

// The first picture turns the display on.
static int make_ready(void)
{
    if (painter.pixels)
        return 0;
    int err = display_activate(display_get());
    if (err)
        return err;
    mutex_lock(&vt_mutex);
    err = painter.pixels ? 0 : vt_picture_resize();
    mutex_unlock(&vt_mutex);
    return err;
}

// vt_lock held.
static bool can_paint(const struct vt *vt)
{
    return vt->memory && !vt->graphics && painter.pixels && is_current() &&
           vt->screen.cols == painter.cols && vt->screen.rows == painter.rows;
}

// What a program draws is expected at the memory's beginning: then the picture's top goes there.
static void paint(void)
{
    mutex_lock(&paint_mutex); // the display learns of the moves in their order
    spin_lock(&vt_lock);
    struct vt *vt = vt_foreground();
    bool can = can_paint(vt), moved = !can && painter.pan;
    WRITE_ONCE(pending, false);
    if (can)
        vt_paint(&painter, &vt->screen, vt->back, !fbdev_in_use());
    if (moved) {
        painter.pan = 0;
        painter.everything = true;
    }
    painted_at = ktime_get();
    unsigned pan = painter.pan;
    spin_unlock(&vt_lock);
    if (can || moved)
        display_pan(display_get(), pan);
    mutex_unlock(&paint_mutex);
}

static void do_paint(struct work_struct *w)
{
    (void)w;
    if (make_ready()) {
        WRITE_ONCE(pending, false);
        return;
    }
    paint();
}

void vt_stop_panning(void)
{
    if (READ_ONCE(painter.pixels))
        paint();
}

// A panic's lines are seen whatever was on the screen.
void vt_picture_panic(struct vt *vt)
{
    if (!painter.pixels || vt->screen.cols != painter.cols || vt->screen.rows != painter.rows)
        return;
    if (vt->graphics) {
        vt->graphics = false;
        painter.everything = true;
    }
    if (painter.everything || painter.pan)
        display_panic(display_get());
    vt_paint(&painter, &vt->screen, 0, false);
}

int vt_picture_init(void)
{
    work_init(&paint_work, do_paint);
    hrtimer_init(&paint_timer, timer_expired, HRTIMER_MONOTONIC);
    return 0;
}
