// SPDX-License-Identifier: MIT
// Kernel log: ring buffer, console output, panic, assertions. Any context.
#pragma once

#include <stdarg.h>

#include "lib/types.h"

enum log_level {
    LOG_EMERG,
    LOG_ALERT,
    LOG_CRIT,
    LOG_ERR,
    LOG_WARNING,
    LOG_NOTICE,
    LOG_INFO,
    LOG_DEBUG
};

// One line (a trailing newline is added if missing) at a level; reaches the ring always, the
// console below loglevel.
void klog(enum log_level level, const char *fmt, ...) __printf(2, 3);
void vklog(enum log_level level, const char *fmt, va_list ap) __printf(2, 0);
#define pr_err(...) klog(LOG_ERR, __VA_ARGS__)
#define pr_warn(...) klog(LOG_WARNING, __VA_ARGS__)
#define pr_notice(...) klog(LOG_NOTICE, __VA_ARGS__)
#define pr_info(...) klog(LOG_INFO, __VA_ARGS__)
#define pr_debug(...) klog(LOG_DEBUG, __VA_ARGS__)

// Registers (of the caller or of `regs`), backtrace, last log lines, then debug-exit 0x100 and
// halt.
void panic(const char *fmt, ...) __noreturn __printf(1, 2);
struct pt_regs;
void panic_regs(const struct pt_regs *regs, const char *fmt, ...) __noreturn __printf(2, 3);
void dump_stack(void);
// "name+0x12/0x80" of a kernel text address.
int symbol_format(char *buf, size_t size, u64 addr);

// An impossible state: stays on in release builds.
#define BUG_ON(c)                                                                                  \
    do {                                                                                           \
        if (unlikely(c))                                                                           \
            panic("BUG: %s (%s:%d)", #c, __FILE__, __LINE__);                                      \
    } while (0)
#define BUG() panic("BUG at %s:%d", __FILE__, __LINE__)
#define WARN_ON(c)                                                                                 \
    ({                                                                                             \
        bool won_ = !!(c);                                                                         \
        if (unlikely(won_))                                                                        \
            klog(LOG_WARNING, "WARN: %s (%s:%d)", #c, __FILE__, __LINE__);                         \
        won_;                                                                                      \
    })

// Reading side, for syslog(2), /proc/kmsg and /dev/kmsg. Sequence numbers grow by one per record; a
// record that has been overwritten is skipped (*seq is moved to the oldest). Returns the text
// length (an empty line is possible); *seq >= log_next_seq() means there is no record yet.
struct log_record {
    u64 seq;
    u64 time_ns;
    enum log_level level;
};
size_t log_read(u64 *seq, struct log_record *rec, char *text, size_t size);
u64 log_first_seq(void);
u64 log_next_seq(void);
struct wait_queue_head;
extern struct wait_queue_head log_wait; // woken (from bottom-half context) after new records
void log_set_console_level(int level);
int log_console_level(void);

// The console driver's polled output; prints the ring so far. Interrupts off inside.
void log_set_console(void (*write)(const char *text, size_t n));
// A second one, for panics only; whatever locks are held.
void log_set_panic_console(void (*write)(const char *text, size_t n));
void log_wake_readers(void); // from the timer interrupt
void log_panic_mode(void);   // for panic only
void log_repeat_last(unsigned count);
