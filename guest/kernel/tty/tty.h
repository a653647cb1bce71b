// SPDX-License-Identifier: MIT
// Terminals: driver interface, line discipline, job control. termios(3), tty_ioctl(4).
#pragma once

#include "abi/termios.h"
#include "fs/fs.h"
#include "proc/pid.h"

#define TTY_READ_BUF 4096 // bytes; a power of two
#define TTY_FLIP_BUF 1024

struct tty_struct;
// Driver operations. write, throttle and unthrottle: any context. The others: task context, may
// sleep.
struct tty_operations {
    int (*open)(struct tty_struct *tty);   // first open
    void (*close)(struct tty_struct *tty); // last close
    size_t (*write_room)(struct tty_struct *tty);
    size_t (*write)(struct tty_struct *tty, const u8 *buf, size_t n); // how many were taken
    size_t (*chars_in_buffer)(struct tty_struct *tty);                // not yet on the wire
    bool (*tx_empty)(struct tty_struct *tty);                         // nothing on the wire either
    void (*flush_buffer)(struct tty_struct *tty); // forgets what is not yet on the wire
    void (*set_termios)(struct tty_struct *tty);
    void (*start)(struct tty_struct *tty);      // output goes on after tty->stopped
    void (*throttle)(struct tty_struct *tty);   // the reader is full: drop RTS
    void (*unthrottle)(struct tty_struct *tty); // room again: raise RTS
    int (*tiocmget)(struct tty_struct *tty);    // TIOCM_*
    int (*tiocmset)(struct tty_struct *tty, unsigned set, unsigned clear);
    void (*send_break)(struct tty_struct *tty, bool on);
    long (*ioctl)(struct tty_struct *tty, unsigned cmd, unsigned long arg); // -ENOTTY when unknown
};

enum tty_flag { TTY_NORMAL, TTY_BREAK, TTY_FRAME, TTY_PARITY, TTY_OVERRUN };

struct tty_struct {
    char name[16];
    dev_t dev;
    const struct tty_operations *ops;
    void *driver_data;
    atomic_t open_count; // under open_lock
    struct mutex open_lock;
    struct linux_termios termios; // written under termios_lock and lock
    struct linux_winsize winsize;
    struct mutex termios_lock;
    struct mutex write_lock; // one writer at a time
    struct mutex read_lock;  // one reader at a time
    wait_queue_head_t read_wait, write_wait;
    struct pid *pgrp, *session; // counted; lock: tasklist_lock
    bool exclusive;             // TIOCEXCL

    // Driver to bottom half; interrupts off.
    spinlock_t flip_lock;
    u8 flip_buf[TTY_FLIP_BUF], flip_flags[TTY_FLIP_BUF];
    u32 flip_head, flip_tail;
    bool carrier;         // DCD as last seen
    bool carrier_dropped; // to be handled by the bottom half
    struct work_struct work;
    struct hrtimer batch_timer; // a stream is handed on every FLIP_BATCH_NS, single bytes at once
    u64 processed_at;

    // Line discipline; lock: lock (task context).
    spinlock_t lock;
    u8 read_buf[TTY_READ_BUF];                // ring by free-running indices
    DECLARE_BITMAP(delimiters, TTY_READ_BUF); // ends of lines (canonical)
    u32 read_head, read_tail;                 // all input is in [tail, head)
    u32 canon_head;                           // complete lines are in [tail, canon_head)
    u32 column, canon_column;                 // of the cursor; where the line being typed starts
    bool literal_next;
    bool wake_reader; // after the batch
    bool stopped;     // ^S
    bool throttled;
};
extern struct tty_struct *console_tty; // the serial line; /dev/console unless console= says else

// Driver side, any context: received bytes (all with one flag), room to write, carrier changes.
// Processed by the bottom half.
void tty_receive(struct tty_struct *tty, const u8 *buf, size_t n, enum tty_flag flag);
void tty_write_wakeup(struct tty_struct *tty);
void tty_carrier(struct tty_struct *tty, bool up); // down without CLOCAL: hang-up, reads end
// Makes the node /dev/<name>. ERR_PTR(-ENOMEM...).
struct tty_struct *tty_register(const char *name, dev_t dev, const struct tty_operations *ops,
                                void *data);

extern const struct file_operations tty_fops;
struct tty_struct *get_current_tty(void); // counted or NULL
struct tty_struct *tty_get(struct tty_struct *t);
void tty_put(struct tty_struct *t);
void disassociate_ctty(
    bool on_exit);         // session leader exits or TIOCNOTTY; K-proc's do_exit calls it
void proc_clear_tty(void); // setsid
dev_t tty_devnum(const struct tty_struct *t); // for /proc/PID/stat
void tty_init(void); // /dev/tty, /dev/console, line discipline; after fs_init
