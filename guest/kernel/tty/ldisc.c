// SPDX-License-Identifier: MIT
// Line discipline, input side: termios(3) canonical and raw modes, editing, signal characters, flow
// control.
#include "abi/signal.h"
#include "fs/poll.h"
#include "tty/tty_internal.h"

#define MASK (TTY_READ_BUF - 1)
#define THROTTLE_ROOM 512u // less room than this: RTS goes down
#define UNTHROTTLE_ROOM 2048u
#define READ_CHUNK 256

#define L_FLAG(tty, f) ((tty)->termios.c_lflag & (f))
#define I_FLAG(tty, f) ((tty)->termios.c_iflag & (f))

static bool is_cc(const struct tty_struct *tty, int index, u8 c)
{
    return c && tty->termios.c_cc[index] == c;
}

static u32 used(const struct tty_struct *tty)
{
    return tty->read_head - tty->read_tail;
}

static u32 room(const struct tty_struct *tty)
{
    return TTY_READ_BUF - used(tty);
}

bool tty_at_eof(struct tty_struct *tty)
{
    return !READ_ONCE(tty->carrier) && !(tty->termios.c_cflag & CLOCAL);
}

static void put_byte(struct tty_struct *tty, u8 c)
{
    __clear_bit(tty->read_head & MASK, tty->delimiters);
    tty->read_buf[tty->read_head++ & MASK] = c;
}

static void line_done(struct tty_struct *tty, u8 c)
{
    put_byte(tty, c);
    __set_bit((tty->read_head - 1) & MASK, tty->delimiters);
    tty->canon_head = tty->read_head;
    tty->wake_reader = true;
}

// Only a line that nobody can finish must not be held back.
static void check_throttle(struct tty_struct *tty)
{
    bool readable = !L_FLAG(tty, ICANON) || tty->canon_head != tty->read_tail;
    if (!tty->throttled && readable && room(tty) < THROTTLE_ROOM) {
        tty->throttled = true;
        if (tty->ops->throttle)
            tty->ops->throttle(tty);
    }
}

static void check_unthrottle(struct tty_struct *tty)
{
    if (tty->throttled && room(tty) > UNTHROTTLE_ROOM) {
        tty->throttled = false;
        if (tty->ops->unthrottle)
            tty->ops->unthrottle(tty);
    }
}

// --- editing the line that is being typed: bytes [canon_head, read_head)

static bool is_continuation(const struct tty_struct *tty, u8 c)
{
    return I_FLAG(tty, IUTF8) && (c & 0xc0) == 0x80;
}

// Column after the typed bytes up to `end`, for erasing tabs.
static u32 column_at(const struct tty_struct *tty, u32 end)
{
    u32 col = tty->canon_column;
    for (u32 i = tty->canon_head; i != end; i++) {
        u8 c = tty->read_buf[i & MASK];
        if (c == '\t')
            col = (col | 7) + 1;
        else if (c < 32 || c == 127)
            col += L_FLAG(tty, ECHOCTL) ? 2 : 0;
        else if (!is_continuation(tty, c))
            col++;
    }
    return col;
}

static bool erase_one(struct tty_struct *tty)
{
    if (tty->read_head == tty->canon_head)
        return false;
    u8 c;
    do
        c = tty->read_buf[--tty->read_head & MASK];
    while (is_continuation(tty, c) && tty->read_head != tty->canon_head);
    if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOE))
        output_erase_char(tty, c, column_at(tty, tty->read_head));
    return true;
}

static bool is_word_byte(u8 c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c >= 128;
}

static void erase_word(struct tty_struct *tty)
{
    bool seen = false;
    while (tty->read_head != tty->canon_head) {
        bool word = is_word_byte(tty->read_buf[(tty->read_head - 1) & MASK]);
        if (seen && !word)
            break;
        seen |= word;
        erase_one(tty);
    }
}

static void kill_line(struct tty_struct *tty, u8 c)
{
    if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOK) && L_FLAG(tty, ECHOKE) && L_FLAG(tty, ECHOE)) {
        while (erase_one(tty))
            ;
        return;
    }
    tty->read_head = tty->canon_head;
    if (L_FLAG(tty, ECHO)) {
        output_echo(tty, c);
        if (L_FLAG(tty, ECHOK))
            output_raw(tty, '\n');
    }
}

static void reprint(struct tty_struct *tty, u8 c)
{
    output_echo(tty, c);
    output_raw(tty, '\n');
    for (u32 i = tty->canon_head; i != tty->read_head; i++)
        output_echo(tty, tty->read_buf[i & MASK]);
}

// True if the character was an editing one.
static bool canonical_edit(struct tty_struct *tty, u8 c)
{
    if (is_cc(tty, VERASE, c)) {
        if (erase_one(tty) && L_FLAG(tty, ECHO) && !L_FLAG(tty, ECHOE))
            output_echo(tty, c);
    } else if (is_cc(tty, VKILL, c)) {
        kill_line(tty, c);
    } else if (is_cc(tty, VWERASE, c) && L_FLAG(tty, IEXTEN)) {
        erase_word(tty);
    } else if (is_cc(tty, VREPRINT, c) && L_FLAG(tty, ECHO) && L_FLAG(tty, IEXTEN)) {
        reprint(tty, c);
    } else if (is_cc(tty, VLNEXT, c) && L_FLAG(tty, IEXTEN)) {
        tty->literal_next = true;
        if (L_FLAG(tty, ECHO) && L_FLAG(tty, ECHOCTL)) {
            output_raw(tty, '^');
            output_raw(tty, '\b');
        }
    } else {
        return false;
    }
    return true;
}

// End of line or of file. True if it was one.
static bool canonical_end(struct tty_struct *tty, u8 c)
{
    if (c == '\n') {
        if (L_FLAG(tty, ECHO) || L_FLAG(tty, ECHONL))
            output_raw(tty, '\n');
        line_done(tty, c);
    } else if (is_cc(tty, VEOF, c)) {
        line_done(tty, 0); // a zero that is a delimiter: end of file to the reader
    } else if (is_cc(tty, VEOL, c) || (is_cc(tty, VEOL2, c) && L_FLAG(tty, IEXTEN))) {
        if (L_FLAG(tty, ECHO))
            output_echo(tty, c);
        line_done(tty, c);
    } else {
        return false;
    }
    return true;
}

static void signal_char(struct tty_struct *tty, int sig, u8 c)
{
    if (!L_FLAG(tty, NOFLSH)) {
        tty->read_head = tty->read_tail = tty->canon_head = 0;
        if (tty->ops->flush_buffer)
            tty->ops->flush_buffer(tty);
        check_unthrottle(tty);
    }
    if (L_FLAG(tty, ECHO))
        output_echo(tty, c);
    spin_unlock(&tty->lock);
    tty_signal_foreground(tty, sig);
    spin_lock(&tty->lock);
}

static bool signal_chars(struct tty_struct *tty, u8 c)
{
    int sig = is_cc(tty, VINTR, c)   ? SIGINT
              : is_cc(tty, VQUIT, c) ? SIGQUIT
              : is_cc(tty, VSUSP, c) ? SIGTSTP
                                     : 0;
    if (sig)
        signal_char(tty, sig, c);
    return sig != 0;
}

static void restart_output(struct tty_struct *tty)
{
    tty->stopped = false;
    if (tty->ops->start)
        tty->ops->start(tty);
    wake_up_interruptible_poll(&tty->write_wait, POLLOUT | POLLWRNORM);
}

static bool flow_chars(struct tty_struct *tty, u8 c)
{
    if (is_cc(tty, VSTART, c)) {
        restart_output(tty);
        return true;
    }
    if (is_cc(tty, VSTOP, c)) {
        tty->stopped = true;
        return true;
    }
    return false;
}

// Breaks and line errors (termios(3): IGNBRK, BRKINT, IGNPAR, PARMRK). True if nothing of it goes
// further.
static bool line_error(struct tty_struct *tty, u8 *c, enum tty_flag flag)
{
    if (flag == TTY_BREAK) {
        if (I_FLAG(tty, IGNBRK))
            return true;
        if (I_FLAG(tty, BRKINT)) {
            signal_char(tty, SIGINT, *c);
            return true;
        }
    } else if (I_FLAG(tty, IGNPAR)) {
        return true;
    }
    if (I_FLAG(tty, PARMRK)) {
        put_byte(tty, 0xff);
        put_byte(tty, 0);
    } else if (flag != TTY_BREAK) {
        *c = 0;
    }
    return false;
}

static void store_char(struct tty_struct *tty, u8 c)
{
    bool canonical = L_FLAG(tty, ICANON);
    if (room(tty) <= 2) { // room for the end of the line is kept
        if (I_FLAG(tty, IMAXBEL))
            output_raw(tty, '\a');
        return;
    }
    if (L_FLAG(tty, ECHO)) {
        if (canonical && tty->read_head == tty->canon_head)
            tty->canon_column = tty->column;
        output_echo(tty, c);
    }
    if (I_FLAG(tty, PARMRK) && c == 0xff)
        put_byte(tty, 0xff);
    put_byte(tty, c);
    if (!canonical)
        tty->wake_reader = true;
}

static void ldisc_receive(struct tty_struct *tty, u8 c, enum tty_flag flag)
{
    if (flag == TTY_OVERRUN || (flag != TTY_NORMAL && line_error(tty, &c, flag)))
        return;
    if (I_FLAG(tty, ISTRIP))
        c &= 0x7f;
    if (tty->literal_next) {
        tty->literal_next = false;
        store_char(tty, c);
        return;
    }
    if (I_FLAG(tty, IXON) && flow_chars(tty, c))
        return;
    if (tty->stopped && I_FLAG(tty, IXON) && I_FLAG(tty, IXANY))
        restart_output(tty);
    if (L_FLAG(tty, ISIG) && signal_chars(tty, c))
        return;
    if (c == '\r') {
        if (I_FLAG(tty, IGNCR))
            return;
        if (I_FLAG(tty, ICRNL))
            c = '\n';
    } else if (c == '\n' && I_FLAG(tty, INLCR)) {
        c = '\r';
    }
    if (I_FLAG(tty, IUCLC) && L_FLAG(tty, IEXTEN) && c >= 'A' && c <= 'Z')
        c += 'a' - 'A';
    if (!L_FLAG(tty, ICANON) || !(canonical_edit(tty, c) || canonical_end(tty, c)))
        store_char(tty, c);
}

// Nothing is looked at or changed on the way: bytes can be copied as they come.
static bool transparent(const struct tty_struct *tty)
{
    return !L_FLAG(tty, ICANON | ISIG | ECHO) &&
           !I_FLAG(tty, IXON | ISTRIP | IGNCR | ICRNL | INLCR | IUCLC | PARMRK) &&
           !tty->literal_next;
}

void ldisc_receive_buf(struct tty_struct *tty, const u8 *buf, const u8 *flags, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (flags[i] == TTY_NORMAL && transparent(tty)) {
            if (room(tty) > 2) {
                put_byte(tty, buf[i]);
                tty->wake_reader = true;
            }
        } else {
            ldisc_receive(tty, buf[i], (enum tty_flag)flags[i]);
        }
    }
    check_throttle(tty);
    if (tty->wake_reader) {
        tty->wake_reader = false;
        wake_up_interruptible_poll(&tty->read_wait, POLLIN | POLLRDNORM);
    }
}

void ldisc_flush_input(struct tty_struct *tty)
{
    spin_lock(&tty->lock);
    tty->read_head = tty->read_tail = tty->canon_head = 0;
    tty->literal_next = false;
    check_unthrottle(tty);
    spin_unlock(&tty->lock);
}

// Canonical on: what is there becomes one line without an end; off: everything is readable.
void ldisc_mode_changed(struct tty_struct *tty, bool was_canonical)
{
    bool canonical = L_FLAG(tty, ICANON);
    if (canonical == was_canonical)
        return;
    for (u32 i = tty->read_tail; i != tty->read_head; i++)
        __clear_bit(i & MASK, tty->delimiters);
    if (canonical && tty->read_head != tty->read_tail)
        __set_bit((tty->read_head - 1) & MASK, tty->delimiters);
    tty->canon_head = tty->read_head;
    tty->literal_next = false;
    wake_up_interruptible(&tty->read_wait);
}

bool ldisc_input_ready(struct tty_struct *tty, bool for_poll)
{
    if (L_FLAG(tty, ICANON))
        return tty->canon_head != tty->read_tail;
    u32 need = for_poll && !tty->termios.c_cc[VTIME] && tty->termios.c_cc[VMIN]
                   ? tty->termios.c_cc[VMIN]
                   : 1;
    return used(tty) >= need;
}

size_t ldisc_input_count(struct tty_struct *tty)
{
    spin_lock(&tty->lock);
    size_t n = used(tty);
    if (L_FLAG(tty, ICANON)) {
        n = 0;
        for (u32 i = tty->read_tail; i != tty->canon_head; i++)
            n += !(test_bit(i & MASK, tty->delimiters) && !tty->read_buf[i & MASK]);
    }
    spin_unlock(&tty->lock);
    return n;
}

// --- reading

// Takes up to n bytes of one line. *end: the line (or the file) ended here.
static size_t take_line(struct tty_struct *tty, u8 *buf, size_t n, bool *end)
{
    size_t got = 0;
    *end = false;
    spin_lock(&tty->lock);
    while (!*end && tty->read_tail != tty->canon_head) {
        u8 c = tty->read_buf[tty->read_tail & MASK];
        bool delimiter = test_bit(tty->read_tail & MASK, tty->delimiters);
        if (got == n &&
            !(delimiter && !c)) // an end-of-file mark right behind a full buffer goes with it
            break;
        tty->read_tail++;
        *end = delimiter;
        if (!(delimiter && !c))
            buf[got++] = c;
    }
    check_unthrottle(tty);
    spin_unlock(&tty->lock);
    return got;
}

static size_t take_raw(struct tty_struct *tty, u8 *buf, size_t n)
{
    size_t got = 0;
    spin_lock(&tty->lock);
    while (got < n && tty->read_tail != tty->read_head)
        buf[got++] = tty->read_buf[tty->read_tail++ & MASK];
    if ((s32)(tty->canon_head - tty->read_tail) < 0)
        tty->canon_head = tty->read_tail;
    check_unthrottle(tty);
    spin_unlock(&tty->lock);
    return got;
}

// Waits for input: 0, -EAGAIN, -ERESTARTSYS, -ETIME, or 1 at the end of the file.
static int wait_input(struct file *f, struct tty_struct *tty, u64 deadline)
{
    if (ldisc_input_ready(tty, false))
        return 0;
    if (tty_at_eof(tty))
        return 1;
    if (f->f_flags & O_NONBLOCK)
        return -EAGAIN;
    int err = tty_check_change(tty, SIGTTIN);
    if (err)
        return err;
    err = wait_event_interruptible_deadline(
        tty->read_wait, ldisc_input_ready(tty, false) || tty_at_eof(tty), deadline);
    if (!err && !ldisc_input_ready(tty, false))
        return 1;
    return err;
}

static ssize_t read_canonical(struct file *f, struct tty_struct *tty, struct iov_iter *to)
{
    u8 buf[READ_CHUNK];
    ssize_t done = 0;
    bool end = false;
    while (!end && iov_iter_count(to)) {
        if (!done) {
            int err = wait_input(f, tty, KTIME_MAX);
            if (err)
                return err < 0 ? err : 0;
        } else if (!ldisc_input_ready(tty, false)) {
            break;
        }
        if (!L_FLAG(tty, ICANON))
            return done; // the mode changed while we slept: the caller reads again
        size_t n = take_line(tty, buf, min(sizeof(buf), iov_iter_count(to)), &end);
        if (n && copy_to_iter(buf, n, to) != n)
            return done ? done : -EFAULT;
        done += (ssize_t)n;
    }
    return done;
}

// VMIN and VTIME as termios(3) has them: TIME counts from the first byte when MIN is not 0, from
// the call when it is.
static ssize_t read_raw(struct file *f, struct tty_struct *tty, struct iov_iter *to)
{
    u8 buf[READ_CHUNK];
    ssize_t done = 0;
    u64 interval = tty->termios.c_cc[VTIME] * 100 * NSEC_PER_MSEC;
    size_t minimum = tty->termios.c_cc[VMIN];
    u64 deadline = minimum ? KTIME_MAX : ktime_get() + interval;
    bool poll_only = !minimum && !interval;
    while (iov_iter_count(to)) {
        int err =
            poll_only && !ldisc_input_ready(tty, false) ? -ETIME : wait_input(f, tty, deadline);
        if (err == -ETIME || err > 0)
            break;
        if (err)
            return done ? done : err;
        size_t n = take_raw(tty, buf, min(sizeof(buf), iov_iter_count(to)));
        if (n && copy_to_iter(buf, n, to) != n)
            return done ? done : -EFAULT;
        done += (ssize_t)n;
        if ((size_t)done >= max(minimum, (size_t)1) && !ldisc_input_ready(tty, false))
            break;
        if (minimum && interval)
            deadline = ktime_get() + interval;
    }
    return done;
}

ssize_t ldisc_read(struct file *f, struct tty_struct *tty, struct iov_iter *to)
{
    if (!iov_iter_count(to))
        return 0;
    int err = tty_check_change(tty, SIGTTIN);
    if (err)
        return err;
    if (f->f_flags & O_NONBLOCK) {
        if (!mutex_trylock(&tty->read_lock))
            return -EAGAIN;
    } else if (mutex_lock_interruptible(&tty->read_lock)) {
        return -ERESTARTSYS;
    }
    ssize_t n = L_FLAG(tty, ICANON) ? read_canonical(f, tty, to) : read_raw(f, tty, to);
    mutex_unlock(&tty->read_lock);
    return n;
}
