// SPDX-License-Identifier: MIT
// Line discipline, output side: OPOST processing, columns, echo, the writing system call.
#include "abi/signal.h"
#include "tty/tty_internal.h"

#define WRITE_CHUNK 256
#define MAX_EXPANSION 8 // a tab

// What one byte becomes under OPOST, and the cursor's column after it. Returns its length.
static unsigned process(struct tty_struct *tty, u8 c, u8 out[MAX_EXPANSION])
{
    u32 flags = tty->termios.c_oflag;
    unsigned n = 0;
    switch (flags & OPOST ? c : c | 0x100) {
    case '\n':
        if (flags & ONLRET)
            tty->column = 0;
        if (flags & ONLCR) {
            out[n++] = '\r';
            tty->column = 0;
        }
        out[n++] = '\n';
        break;
    case '\r':
        if ((flags & ONOCR) && tty->column == 0)
            break;
        if (flags & OCRNL) {
            out[n++] = '\n';
            if (flags & ONLRET)
                tty->column = 0;
            break;
        }
        tty->column = 0;
        out[n++] = c;
        break;
    case '\t': {
        unsigned spaces = 8 - (tty->column & 7);
        if ((flags & TABDLY) == XTABS)
            while (n < spaces)
                out[n++] = ' ';
        else
            out[n++] = c;
        tty->column += spaces;
        break;
    }
    case '\b':
        if (tty->column)
            tty->column--;
        out[n++] = c;
        break;
    default:
        if ((flags & OPOST) && (flags & OLCUC) && c >= 'a' && c <= 'z')
            c -= 'a' - 'A';
        if (c >= 32 && c != 127 && !((tty->termios.c_iflag & IUTF8) && (c & 0xc0) == 0x80))
            tty->column++;
        out[n++] = c;
    }
    return n;
}

void output_raw(struct tty_struct *tty, u8 c)
{
    u8 out[MAX_EXPANSION];
    unsigned n = process(tty, c, out);
    if (n && tty->ops->write_room(tty) >= n)
        tty->ops->write(tty, out, n);
}

void output_echo(struct tty_struct *tty, u8 c)
{
    bool control = (c < 32 && c != '\t' && c != '\n') || c == 127;
    if (control && (tty->termios.c_lflag & ECHOCTL)) {
        output_raw(tty, '^');
        output_raw(tty, c ^ 0100);
        return;
    }
    output_raw(tty, c);
}

// Takes `erased` off the screen: a tab goes back to where it started, a control character is two
// wide.
void output_erase_char(struct tty_struct *tty, u8 erased, u32 column_before)
{
    u32 width = 1;
    if (erased == '\t')
        width = tty->column > column_before ? tty->column - column_before : 0;
    else if (erased < 32 || erased == 127)
        width = tty->termios.c_lflag & ECHOCTL ? 2 : 0;
    while (width--) {
        output_raw(tty, '\b');
        if (erased != '\t') {
            output_raw(tty, ' ');
            output_raw(tty, '\b');
        }
    }
}

// Hands a chunk to the driver; returns how many of its bytes were taken.
static size_t push(struct tty_struct *tty, const u8 *buf, size_t n)
{
    size_t done = 0;
    spin_lock(&tty->lock);
    if (tty->stopped) {
        spin_unlock(&tty->lock);
        return 0;
    }
    if (!(tty->termios.c_oflag & OPOST)) {
        done = tty->ops->write(tty, buf, n);
    } else {
        size_t space = tty->ops->write_room(tty);
        u8 out[WRITE_CHUNK * 2];
        size_t filled = 0;
        size_t limit = min(space, sizeof(out));
        bool plain = !(tty->termios.c_oflag & OLCUC);
        while (done < n && filled + MAX_EXPANSION <= limit) {
            u8 c = buf[done++];
            if (plain && (u8)(c - 32) < 127 - 32) { // nearly always
                out[filled++] = c;
                tty->column++;
            } else {
                filled += process(tty, c, out + filled);
            }
        }
        tty->ops->write(tty, out, filled);
    }
    spin_unlock(&tty->lock);
    return done;
}

static bool can_write(struct tty_struct *tty)
{
    return !tty->stopped && tty->ops->write_room(tty) > MAX_EXPANSION;
}

static ssize_t write_chunk(struct file *f, struct tty_struct *tty, const u8 *buf, size_t n)
{
    size_t done = 0;
    while (done < n) {
        done += push(tty, buf + done, n - done);
        if (done == n)
            break;
        if (f->f_flags & O_NONBLOCK)
            return done ? (ssize_t)done : -EAGAIN;
        if (wait_event_interruptible(tty->write_wait, can_write(tty)))
            return done ? (ssize_t)done : -ERESTARTSYS;
    }
    return (ssize_t)done;
}

ssize_t output_write(struct file *f, struct tty_struct *tty, struct iov_iter *from)
{
    u8 buf[WRITE_CHUNK];
    ssize_t done = 0;
    if (tty->termios.c_lflag & TOSTOP) {
        int err = tty_check_change(tty, SIGTTOU);
        if (err)
            return err;
    }
    if (f->f_flags & O_NONBLOCK) {
        if (!mutex_trylock(&tty->write_lock))
            return -EAGAIN;
    } else if (mutex_lock_interruptible(&tty->write_lock)) {
        return -ERESTARTSYS;
    }
    while (iov_iter_count(from)) {
        size_t want = min(sizeof(buf), iov_iter_count(from)), n = copy_from_iter(buf, want, from);
        ssize_t taken = n ? write_chunk(f, tty, buf, n) : -EFAULT;
        if (taken > 0)
            done += taken;
        if (taken != (ssize_t)want) {
            if (taken > 0 && (size_t)taken < n)
                iov_iter_revert(from, n - (size_t)taken);
            if (!done)
                done = taken;
            break;
        }
        cond_resched();
    }
    mutex_unlock(&tty->write_lock);
    return done;
}
