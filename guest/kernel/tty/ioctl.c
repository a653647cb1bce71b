// SPDX-License-Identifier: MIT
// Terminal ioctls: settings, window size, queues, modem lines. tty_ioctl(4).
#include "abi/signal.h"
#include "arch/x86_64/uaccess.h"
#include "proc/cred.h"
#include "proc/signal.h"
#include "lib/string.h"
#include "tty/tty_internal.h"

int tty_wait_until_sent(struct tty_struct *tty)
{
    int err = wait_event_interruptible(tty->write_wait, tty->ops->chars_in_buffer(tty) == 0);
    while (!err && !tty->ops->tx_empty(tty)) { // no interrupt tells when the last byte has left
        if (signal_pending(current))
            return -ERESTARTSYS;
        set_current_state(TASK_INTERRUPTIBLE);
        schedule_deadline(ktime_get() + NSEC_PER_MSEC);
    }
    return err;
}

static void set_termios(struct tty_struct *tty, const struct linux_termios *t)
{
    mutex_lock(&tty->termios_lock);
    spin_lock(&tty->lock);
    struct linux_termios old = tty->termios;
    tty->termios = *t;
    ldisc_mode_changed(tty, old.c_lflag & ICANON);
    if ((old.c_iflag & IXON) && !(t->c_iflag & IXON) && tty->stopped) {
        tty->stopped = false;
        if (tty->ops->start)
            tty->ops->start(tty);
        wake_up_interruptible(&tty->write_wait);
    }
    spin_unlock(&tty->lock);
    if (tty->ops->set_termios)
        tty->ops->set_termios(tty);
    mutex_unlock(&tty->termios_lock);
    wake_up_interruptible(&tty->read_wait); // VMIN, CLOCAL may have changed what is ready
}

static long change_termios(struct tty_struct *tty, unsigned cmd, const void __user *p, size_t size)
{
    struct linux_termios t;
    int err = tty_check_change(tty, SIGTTOU);
    if (err)
        return err;
    if (copy_from_user(&t, p, min(size, sizeof(t))))
        return -EFAULT;
    unsigned how = cmd == TCSETSW || cmd == TCSETS2 + 1   ? 1
                   : cmd == TCSETSF || cmd == TCSETS2 + 2 ? 2
                                                          : 0;
    if (how && (err = tty_wait_until_sent(tty)))
        return err;
    if (how == 2)
        ldisc_flush_input(tty);
    set_termios(tty, &t);
    return 0;
}

static const u32 baud_table[] = {0,   50,   75,   110,  134,  150,  200,   300,
                                 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};

static u32 baud_of(u32 cflag)
{
    u32 code = cflag & CBAUD;
    static const u32 high[] = {0, 57600, 115200, 230400, 460800};
    if (code & 0010000)
        return (code & 017) < ARRAY_SIZE(high) ? high[code & 017] : 38400;
    return baud_table[code & 017];
}

static long get_termios2(struct tty_struct *tty, void __user *p)
{
    struct linux_termios2 t2 = {0};
    mutex_lock(&tty->termios_lock);
    memcpy(&t2, &tty->termios, offset_of(struct linux_termios2, c_ispeed));
    mutex_unlock(&tty->termios_lock);
    t2.c_ispeed = t2.c_ospeed = baud_of(t2.c_cflag);
    return copy_to_user(p, &t2, sizeof(t2)) ? -EFAULT : 0;
}

static long set_winsize(struct tty_struct *tty, const void __user *p)
{
    struct linux_winsize w;
    if (copy_from_user(&w, p, sizeof(w)))
        return -EFAULT;
    mutex_lock(&tty->termios_lock);
    bool changed = memcmp(&w, &tty->winsize, sizeof(w)) != 0;
    tty->winsize = w;
    mutex_unlock(&tty->termios_lock);
    if (changed)
        tty_signal_foreground(tty, SIGWINCH);
    return 0;
}

static long flush(struct tty_struct *tty, unsigned long which)
{
    int err = tty_check_change(tty, SIGTTOU);
    if (err)
        return err;
    if (which > TCIOFLUSH)
        return -EINVAL;
    if (which != TCOFLUSH)
        ldisc_flush_input(tty);
    if (which != TCIFLUSH && tty->ops->flush_buffer) {
        tty->ops->flush_buffer(tty);
        wake_up_interruptible(&tty->write_wait);
    }
    return 0;
}

static long flow(struct tty_struct *tty, unsigned long action)
{
    int err = tty_check_change(tty, SIGTTOU);
    if (err)
        return err;
    u8 c;
    spin_lock(&tty->lock);
    switch (action) {
    case TCOOFF:
        tty->stopped = true;
        break;
    case TCOON:
        tty->stopped = false;
        if (tty->ops->start)
            tty->ops->start(tty);
        wake_up_interruptible(&tty->write_wait);
        break;
    case TCIOFF:
    case TCION:
        c = tty->termios.c_cc[action == TCIOFF ? VSTOP : VSTART];
        if (c)
            tty->ops->write(tty, &c, 1);
        break;
    default:
        err = -EINVAL;
    }
    spin_unlock(&tty->lock);
    return err;
}

static long send_break(struct tty_struct *tty, unsigned ms)
{
    int err = tty_check_change(tty, SIGTTOU);
    if (!err)
        err = tty_wait_until_sent(tty);
    if (err || !ms || !tty->ops->send_break)
        return err;
    tty->ops->send_break(tty, true);
    msleep(ms);
    tty->ops->send_break(tty, false);
    return 0;
}

static long modem(struct tty_struct *tty, unsigned cmd, unsigned __user *p)
{
    unsigned bits;
    if (!tty->ops->tiocmget || !tty->ops->tiocmset)
        return -ENOTTY;
    if (cmd == TIOCMGET)
        return put_user((unsigned)tty->ops->tiocmget(tty), p);
    if (get_user(bits, p))
        return -EFAULT;
    bits &= TIOCM_DTR | TIOCM_RTS;
    unsigned set = cmd == TIOCMBIC ? 0 : bits;
    unsigned clear = cmd == TIOCMBIC ? bits : cmd == TIOCMSET ? ~bits & (TIOCM_DTR | TIOCM_RTS) : 0;
    return tty->ops->tiocmset(tty, set, clear);
}

static long simulate_input(struct tty_struct *tty, const u8 __user *p)
{
    u8 c, flag = TTY_NORMAL;
    if (current->signal->tty != tty && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    if (get_user(c, p))
        return -EFAULT;
    spin_lock(&tty->lock);
    ldisc_receive_buf(tty, &c, &flag, 1);
    spin_unlock(&tty->lock);
    return 0;
}

long tty_ioctl(struct file *f, unsigned cmd, unsigned long arg)
{
    struct tty_struct *tty = f->private_data;
    void __user *p = (void *)arg;
    bool handled;
    long ret = tty_job_ioctl(f, tty, cmd, arg, &handled);
    if (handled)
        return ret;
    switch (cmd) {
    case TCGETS:
        return copy_to_user(p, &tty->termios, sizeof(tty->termios)) ? -EFAULT : 0;
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
        return change_termios(tty, cmd, p, sizeof(struct linux_termios));
    case TCGETS2:
        return get_termios2(tty, p);
    case TCSETS2:
    case TCSETS2 + 1:
    case TCSETS2 + 2:
        return change_termios(tty, cmd, p, sizeof(struct linux_termios2));
    case TIOCGWINSZ:
        return copy_to_user(p, &tty->winsize, sizeof(tty->winsize)) ? -EFAULT : 0;
    case TIOCSWINSZ:
        return set_winsize(tty, p);
    case FIONREAD:
        return put_user((int)ldisc_input_count(tty), (int *)p);
    case TIOCOUTQ:
        return put_user((int)tty->ops->chars_in_buffer(tty), (int *)p);
    case TCFLSH:
        return flush(tty, arg);
    case TCXONC:
        return flow(tty, arg);
    case TCSBRK:
        return send_break(tty, arg ? 0 : 250);
    case TCSBRKP:
        return send_break(tty, arg ? (unsigned)min(arg, 100UL) * 100 : 250);
    case TIOCMGET:
    case TIOCMSET:
    case TIOCMBIS:
    case TIOCMBIC:
        return modem(tty, cmd, p);
    case TIOCSTI:
        return simulate_input(tty, p);
    case TIOCGETD:
        return put_user(0, (int *)p);
    case TIOCEXCL:
        tty->exclusive = true;
        return 0;
    case TIOCNXCL:
        tty->exclusive = false;
        return 0;
    default:
        return tty->ops->ioctl ? tty->ops->ioctl(tty, cmd, arg) : -ENOTTY;
    }
}
