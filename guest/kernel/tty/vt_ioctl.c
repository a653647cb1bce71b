// SPDX-License-Identifier: MIT
// ioctls of virtual terminals: text or graphics, keyboard modes and LEDs, switching.
// ioctl_console(2).
#include "abi/vt.h"
#include "arch/x86_64/uaccess.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include "tty/vt_internal.h"

static bool may_configure(const struct tty_struct *tty)
{
    return current->signal->tty == tty || capable(CAP_SYS_TTY_CONFIG);
}

static long set_mode(struct vt *vt, unsigned long mode)
{
    if (mode > KD_GRAPHICS)
        return -EINVAL;
    spin_lock(&vt_lock);
    bool changed = vt->graphics != (mode == KD_GRAPHICS);
    vt->graphics = mode == KD_GRAPHICS;
    if (changed && vt == vt_foreground())
        vt_repaint(); // in graphics it only remembers that all must be drawn
    spin_unlock(&vt_lock);
    if (changed)
        vt_display_changed(); // the program may have left another mode
    return 0;
}

static long set_keyboard_mode(struct vt *vt, unsigned long mode)
{
    static const u8 raw_of[] = {VT_KB_RAW, VT_KB_XLATE, VT_KB_MEDIUMRAW, VT_KB_UNICODE, VT_KB_OFF};
    if (mode >= sizeof(raw_of))
        return -EINVAL;
    WRITE_ONCE(vt->raw, raw_of[mode]);
    vt_notify_keyboard();
    return 0;
}

static int get_keyboard_mode(const struct vt *vt)
{
    static const u8 mode_of[] = {[VT_KB_XLATE] = 1,
                                 [VT_KB_RAW] = 0,
                                 [VT_KB_MEDIUMRAW] = 2,
                                 [VT_KB_UNICODE] = 3,
                                 [VT_KB_OFF] = 4};
    return mode_of[vt->raw];
}

// More than the three LEDs: they show the locks again.
static long set_leds(struct vt *vt, unsigned long leds)
{
    WRITE_ONCE(vt->leds, (u8)(leds & 7));
    WRITE_ONCE(vt->leds_given, !(leds & ~7UL));
    vt_notify_keyboard();
    return 0;
}

static long keyboard(struct vt *vt, unsigned cmd, unsigned long arg)
{
    u8 leds = vt->leds_given ? vt->leds : vt_locks();
    switch (cmd) {
    case KDGKBTYPE:
        return put_user((char)KB_101, (char __user *)arg);
    case KDGKBMODE:
        return put_user(get_keyboard_mode(vt), (int __user *)arg);
    case KDGKBMETA:
        return put_user(K_ESCPREFIX, (int __user *)arg);
    case KDGETLED:
        return put_user((char)leds, (char __user *)arg);
    case KDGKBLED:
        return put_user((char)vt_locks(), (char __user *)arg);
    }
    if (!may_configure(vt->tty))
        return -EPERM;
    switch (cmd) {
    case KDSKBMODE:
        return set_keyboard_mode(vt, arg);
    case KDSETLED:
        return set_leds(vt, arg);
    case KDSETMODE:
        return set_mode(vt, arg);
    default: // KIOCSOUND, KDMKTONE: there is no speaker
        return 0;
    }
}

// --- switching

static bool is_open(const struct vt *vt)
{
    return atomic_read(&vt->tty->open_count) != 0;
}

static long query_free(int __user *p)
{
    for (unsigned i = 0; i < VT_COUNT; i++)
        if (!is_open(&vts[i]))
            return put_user((int)i + 1, p);
    return put_user(-1, p);
}

static long get_state(void __user *p)
{
    struct linux_vt_stat s = {.v_active = (u16)vt_foreground()->number, .v_state = 1};
    for (unsigned i = 0; i < VT_COUNT; i++)
        if (is_open(&vts[i]))
            s.v_state |= (u16)(2u << i);
    return copy_to_user(p, &s, sizeof(s)) ? -EFAULT : 0;
}

static long get_switch_mode(void __user *p)
{
    struct linux_vt_mode m = {.mode = VT_AUTO};
    return copy_to_user(p, &m, sizeof(m)) ? -EFAULT : 0;
}

// Only the kernel switches: no process is asked.
static long set_switch_mode(const void __user *p)
{
    struct linux_vt_mode m;
    if (copy_from_user(&m, p, sizeof(m)))
        return -EFAULT;
    return m.mode == VT_AUTO ? 0 : -EINVAL;
}

static long wait_active(unsigned long number)
{
    if (!number || number > VT_COUNT)
        return -ENXIO;
    return wait_event_interruptible(vt_switched, vt_foreground()->number == number) ? -ERESTARTSYS
                                                                                    : 0;
}

static long activate(unsigned long number)
{
    if (!number || number > VT_COUNT)
        return -ENXIO;
    vt_switch((unsigned)number);
    return 0;
}

// What a terminal holds is not given back: only its being free is checked.
static long disallocate(unsigned long number)
{
    if (number > VT_COUNT)
        return -ENXIO;
    if (number && (is_open(&vts[number - 1]) || vt_foreground()->number == number))
        return -EBUSY;
    return 0;
}

static long switching(struct vt *vt, unsigned cmd, unsigned long arg)
{
    switch (cmd) {
    case VT_OPENQRY:
        return query_free((int __user *)arg);
    case VT_GETSTATE:
        return get_state((void __user *)arg);
    case VT_GETMODE:
        return get_switch_mode((void __user *)arg);
    }
    if (!may_configure(vt->tty))
        return -EPERM;
    switch (cmd) {
    case VT_SETMODE:
        return set_switch_mode((const void __user *)arg);
    case VT_ACTIVATE:
        return activate(arg);
    case VT_WAITACTIVE:
        return wait_active(arg);
    case VT_DISALLOCATE:
        return disallocate(arg);
    default: // VT_RELDISP: nobody was asked
        return -EINVAL;
    }
}

// TIOCLINUX: the first byte says what is wanted.
static long linux_subcode(const char __user *p)
{
    char code;
    if (get_user(code, p))
        return -EFAULT;
    return code == TIOCL_GETFGCONSOLE ? (long)vt_foreground()->number - 1 : -EINVAL;
}

long vt_ioctl(struct tty_struct *tty, unsigned cmd, unsigned long arg)
{
    struct vt *vt = tty->driver_data;
    switch (cmd) {
    case KDGETMODE:
        return put_user(vt->graphics ? KD_GRAPHICS : KD_TEXT, (int __user *)arg);
    case KDGKBTYPE:
    case KDGKBMODE:
    case KDGKBMETA:
    case KDGETLED:
    case KDGKBLED:
    case KDSKBMODE:
    case KDSETLED:
    case KDSETMODE:
    case KIOCSOUND:
    case KDMKTONE:
        return keyboard(vt, cmd, arg);
    case VT_OPENQRY:
    case VT_GETSTATE:
    case VT_GETMODE:
    case VT_SETMODE:
    case VT_ACTIVATE:
    case VT_WAITACTIVE:
    case VT_DISALLOCATE:
    case VT_RELDISP:
        return switching(vt, cmd, arg);
    case TIOCLINUX:
        return linux_subcode((const char __user *)arg);
    default:
        return -ENOTTY;
    }
}
