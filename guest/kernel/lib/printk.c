// SPDX-License-Identifier: MIT
// The kernel log: a byte ring of records, and a console that prints below a level.
#include "lib/printk.h"

#include "lib/printf.h"
#include "lib/string.h"
#include "sched/wait.h"

#define RING_SIZE (128u << 10)
#define LINE_MAX 512

struct header {
    u64 time_ns;
    u16 length;
    u8 level;
};

static char ring[RING_SIZE];
static u64 head, tail; // byte positions, ever growing: records are in [tail, head)
static u64 first_seq, next_seq;
static DEFINE_SPINLOCK(log_lock);
static int console_level = LOG_DEBUG;
static void (*console_write)(const char *text, size_t n);
static void (*panic_write)(const char *text, size_t n);
static bool panicking;
static bool wake_wanted;
DECLARE_WAIT_QUEUE_HEAD(log_wait);

static void ring_copy_in(u64 pos, const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ring[(pos + i) % RING_SIZE] = ((const char *)p)[i];
}

static void ring_copy_out(void *p, u64 pos, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((char *)p)[i] = ring[(pos + i) % RING_SIZE];
}

static void drop_oldest(void)
{
    struct header h;
    ring_copy_out(&h, tail, sizeof(h));
    tail += sizeof(h) + h.length;
    first_seq++;
}

static void record_add(enum log_level level, u64 now, const char *text, size_t n)
{
    struct header h = {now, (u16)n, (u8)level};
    while (head - tail + sizeof(h) + n > RING_SIZE)
        drop_oldest();
    ring_copy_in(head, &h, sizeof(h));
    ring_copy_in(head + sizeof(h), text, n);
    head += sizeof(h) + n;
    next_seq++;
}

static void console_write_all(const char *text, size_t n)
{
    console_write(text, n);
    if (panicking && panic_write)
        panic_write(text, n);
}

static void console_line(u64 now, const char *text, size_t n)
{
    char stamp[32];
    int len = scnprintf(stamp, sizeof(stamp), "[%5lu.%06lu] ", now / NSEC_PER_SEC,
                        now % NSEC_PER_SEC / 1000);
    console_write_all(stamp, (size_t)len);
    console_write_all(text, n);
    console_write_all("\n", 1);
}

void vklog(enum log_level level, const char *fmt, va_list ap)
{
    char line[LINE_MAX];
    int len = vsnprintf(line, sizeof(line), fmt, ap);
    size_t n = min((size_t)len, sizeof(line) - 1);
    while (n && line[n - 1] == '\n')
        n--;
    u64 now = ktime_get();
    unsigned long flags;
    spin_lock_irqsave(&log_lock, flags);
    record_add(level, now, line, n);
    if (console_write && (int)level < console_level)
        console_line(now, line, n);
    spin_unlock_irqrestore(&log_lock, flags);
    WRITE_ONCE(wake_wanted, true);
}

void klog(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vklog(level, fmt, ap);
    va_end(ap);
}

// From the timer interrupt: klog itself may run under any lock.
void log_wake_readers(void)
{
    if (READ_ONCE(wake_wanted)) {
        WRITE_ONCE(wake_wanted, false);
        if (waitqueue_active(&log_wait))
            wake_up_all(&log_wait);
    }
}

// A new console prints what is in the ring already.
void log_set_console(void (*write)(const char *text, size_t n))
{
    unsigned long flags;
    spin_lock_irqsave(&log_lock, flags);
    console_write = write;
    for (u64 pos = tail; pos < head;) {
        struct header h;
        char line[LINE_MAX];
        ring_copy_out(&h, pos, sizeof(h));
        ring_copy_out(line, pos + sizeof(h), h.length);
        if ((int)h.level < console_level)
            console_line(h.time_ns, line, h.length);
        pos += sizeof(h) + h.length;
    }
    spin_unlock_irqrestore(&log_lock, flags);
}

void log_set_panic_console(void (*write)(const char *text, size_t n))
{
    panic_write = write;
}

size_t log_read(u64 *seq, struct log_record *rec, char *text, size_t size)
{
    unsigned long flags;
    size_t n = 0;
    spin_lock_irqsave(&log_lock, flags);
    if (*seq < first_seq)
        *seq = first_seq;
    if (*seq < next_seq) {
        u64 pos = tail;
        struct header h;
        for (u64 s = first_seq;; s++) {
            ring_copy_out(&h, pos, sizeof(h));
            if (s == *seq)
                break;
            pos += sizeof(h) + h.length;
        }
        *rec = (struct log_record){*seq, h.time_ns, (enum log_level)h.level};
        n = min((size_t)h.length, size);
        ring_copy_out(text, pos + sizeof(h), n);
    }
    spin_unlock_irqrestore(&log_lock, flags);
    return n;
}

u64 log_first_seq(void)
{
    return READ_ONCE(first_seq);
}

u64 log_next_seq(void)
{
    return READ_ONCE(next_seq);
}

void log_set_console_level(int level)
{
    console_level = level;
}

int log_console_level(void)
{
    return console_level;
}

// For panic: the console is used whatever holds the lock, and everything is printed.
void log_panic_mode(void)
{
    log_lock.locked = 0;
#ifdef FERN_DEBUG_LOCKS
    log_lock.owner_cpu = 0;
#endif
    console_level = LOG_DEBUG + 1;
    panicking = true;
}

// Repeats the last `count` records on the console.
void log_repeat_last(unsigned count)
{
    u64 seq = next_seq > count ? next_seq - count : 0;
    char line[LINE_MAX];
    struct log_record rec;
    while (console_write && seq < next_seq) {
        size_t n = log_read(&seq, &rec, line, sizeof(line));
        console_line(rec.time_ns, line, n);
        seq++;
    }
}
