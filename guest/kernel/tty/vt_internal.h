// SPDX-License-Identifier: MIT
// Parts of the virtual terminals towards each other.
#pragma once

#include "drivers/display/display.h"
#include "tty/tty_internal.h"
#include "tty/vt.h"
#include "tty/vt_paint.h"

#define VT_MAJOR 4
#define VT_HISTORY 500 // lines of scroll-back

// lock: vt_lock, unless said otherwise.
struct vt {
    unsigned number; // 1..VT_COUNT
    struct tty_struct *tty;
    struct vt_screen screen;
    void *memory;  // of the screen; NULL until it is opened or shown (vt_mutex)
    bool graphics; // KD_GRAPHICS: nothing is drawn
    enum vt_keyboard_raw raw;
    bool leds_given;
    u8 leds, lock_flags; // VT_LED_*: KDSETLED, KDSKBLED
    unsigned back;       // lines of history that are looked at
};
extern struct vt vts[VT_COUNT];
extern spinlock_t vt_lock;
extern struct mutex vt_mutex; // sizes and memory; taken before vt_lock
extern wait_queue_head_t vt_switched;

struct vt *vt_foreground(void);
int vt_allocate(struct vt *vt);                           // its screen; 0 or -ENOMEM; may sleep
void vt_switch_now(unsigned number);                      // task context, may sleep
void vt_output(struct vt *vt, const u8 *bytes, size_t n); // task context
void vt_notify_keyboard(void);
u8 vt_locks(void); // as the keyboard's driver said

// vt_picture.c: drawing. vt_lock held.
void vt_schedule_paint(const struct vt *vt); // soon, if it is seen
void vt_repaint(void);                       // all of it
bool vt_paint_pending(void);
void vt_picture_panic(struct vt *vt); // draws at once; no locks
int vt_picture_init(void);
// New memory for the display's size; vt_mutex held. 0 or -ENOMEM.
int vt_picture_resize(void);

long vt_ioctl(struct tty_struct *tty, unsigned cmd, unsigned long arg); // vt_ioctl.c
void vt_log_drain(void); // what has not been shown yet; may sleep
void vt_log_init(void);  // vt_log.c: the kernel's log on the terminal that console= names
