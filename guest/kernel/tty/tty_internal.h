// SPDX-License-Identifier: MIT
// Parts of tty/ towards each other.
#pragma once

#include "tty/tty.h"

#define TERMIOS_DEFAULT                                                                            \
    {                                                                                              \
        .c_iflag = ICRNL | IXON, .c_oflag = OPOST | ONLCR,                                         \
        .c_cflag = B115200 | CS8 | CREAD | HUPCL | CLOCAL,                                         \
        .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,               \
        .c_cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},                    \
    }

// ldisc.c
// tty->lock held; dropped while a signal is sent.
void ldisc_receive_buf(struct tty_struct *tty, const u8 *buf, const u8 *flags, size_t n);
ssize_t ldisc_read(struct file *f, struct tty_struct *tty, struct iov_iter *to);
bool ldisc_input_ready(struct tty_struct *tty, bool for_poll); // any
size_t ldisc_input_count(struct tty_struct *tty);              // FIONREAD
void ldisc_flush_input(struct tty_struct *tty);
void ldisc_mode_changed(struct tty_struct *tty, bool was_canonical); // tty->lock held
bool tty_at_eof(struct tty_struct *tty); // no carrier, and CLOCAL does not say to ignore that
// output.c
ssize_t output_write(struct file *f, struct tty_struct *tty, struct iov_iter *from);
void output_echo(struct tty_struct *tty, u8 c); // tty->lock held; as ECHOCTL shows it
void output_raw(struct tty_struct *tty,
                u8 c); // tty->lock held; through OPOST, dropped when there is no room
void output_erase_char(struct tty_struct *tty, u8 erased, u32 column_before);
// job.c
int tty_check_change(struct tty_struct *tty,
                     int sig); // 0, -EIO or -ERESTARTSYS after signalling the group
void tty_signal_foreground(struct tty_struct *tty, int sig); // task context
void tty_hangup_session(struct tty_struct *tty);
long tty_job_ioctl(struct file *f, struct tty_struct *tty, unsigned cmd, unsigned long arg,
                   bool *handled);
void tty_open_acquire(struct tty_struct *tty, struct file *f);
// ioctl.c
long tty_ioctl(struct file *f, unsigned cmd, unsigned long arg);
int tty_wait_until_sent(struct tty_struct *tty); // 0 or -ERESTARTSYS
