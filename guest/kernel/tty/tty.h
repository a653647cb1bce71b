// SPDX-License-Identifier: MIT
// Terminals: driver interface, line discipline, job control. termios(3), tty_ioctl(4).
#pragma once

#include "abi/termios.h"
#include "fs/fs.h"
#include "proc/pid.h"

#define TTY_READ_BUF 4096
#define TTY_WRITE_BUF 2048

struct tty_struct;
// Called with tty->write_lock held or from the ioctl path; may not sleep unless noted.
struct tty_operations {
    int (*open)(struct tty_struct *tty);   // first open; may sleep
    void (*close)(struct tty_struct *tty); // last close; may sleep
    size_t (*write_room)(struct tty_struct *tty);
    size_t (*write)(struct tty_struct *tty, const u8 *buf, size_t n); // how many were taken
    size_t (*chars_in_buffer)(struct tty_struct *tty);
    void (*flush_buffer)(struct tty_struct *tty);
    void (*set_termios)(struct tty_struct *tty, const struct linux_termios *old);
    void (*throttle)(struct tty_struct *tty);   // the reader is full: drop RTS
    void (*unthrottle)(struct tty_struct *tty); // room again: raise RTS
    int (*tiocmget)(struct tty_struct *tty);    // TIOCM_*
    int (*tiocmset)(struct tty_struct *tty, unsigned set, unsigned clear);
    void (*send_break)(struct tty_struct *tty, bool on);
};

struct tty_struct {
    char name[16];
    dev_t dev;
    const struct tty_operations *ops;
    void *driver_data;
    atomic_t open_count;
    struct linux_termios termios;
    struct linux_winsize winsize;
    struct mutex termios_lock;  // termios, winsize
    struct mutex write_lock;    // one writer at a time
    struct mutex read_lock;     // one reader at a time
    wait_queue_head_t read_wait, write_wait;
    spinlock_t lock;            // everything below; interrupts off
    u8 read_buf[TTY_READ_BUF];  // ring; canonical: complete lines up to canon_head
    u32 read_head, read_tail, canon_head, line_start;
    DECLARE_BITMAP(line_flags, TTY_READ_BUF); // delimiters
    u32 column, canon_column;
    bool literal_next, erasing, stopped, throttled, hung_up, eof_pending;
    struct pid *pgrp, *session; // counted
    unsigned packet;
};
extern struct tty_struct *console_tty; // /dev/console

// Driver side, hard interrupt context: received bytes with flags; carrier changes.
enum tty_flag { TTY_NORMAL, TTY_BREAK, TTY_FRAME, TTY_PARITY, TTY_OVERRUN };
void tty_receive(struct tty_struct *tty, const u8 *buf, size_t n, enum tty_flag flag);
void tty_write_wakeup(struct tty_struct *tty);
void tty_carrier(struct tty_struct *tty, bool up); // down without CLOCAL: hang-up, reads end
int tty_register(struct tty_struct *tty, const char *name, dev_t dev, const struct tty_operations *ops, void *data);

extern const struct file_operations tty_fops;
struct tty_struct *get_current_tty(void);   // counted or NULL
struct tty_struct *tty_get(struct tty_struct *t);
void tty_put(struct tty_struct *t);
void disassociate_ctty(bool on_exit);       // session leader exits or TIOCNOTTY; K-proc's do_exit calls it
void proc_clear_tty(void);                  // setsid
dev_t tty_devnum(const struct tty_struct *t); // for /proc/PID/stat
void tty_init(void); // /dev/tty, /dev/console, line discipline; after fs_init
