// SPDX-License-Identifier: MIT
// The kernel's own log and its end: syslog(2) (klogctl(3)), reboot(2).
#include "abi/prctl.h"
#include "abi/reboot.h"
#include "drivers/power.h"
#include "fs/fs.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "syscall/syscall.h"

#define LOG_BUFFER_SIZE (64 << 10) // what SIZE_BUFFER tells; readers make room for as much
#define LINE_MAX 1024

static DEFINE_MUTEX(syslog_lock);
static u64 clear_seq; // READ_ALL starts here; lock: syslog_lock
static u64 read_seq;  // next record for READ
static int saved_console_level = -1;

// "<level>[ seconds.micros] text\n" of the record at *seq, which moves on. 0: none.
static size_t format_record(u64 *seq, char *line, size_t size)
{
    struct log_record rec;
    char text[LINE_MAX - 64];
    size_t n = log_read(seq, &rec, text, sizeof(text) - 1);
    if (!n)
        return 0;
    n = min(n, sizeof(text) - 1);
    while (n && text[n - 1] == '\n')
        n--;
    text[n] = '\0';
    ++*seq;
    return (size_t)scnprintf(line, size, "<%d>[%5lu.%06lu] %s\n", (int)rec.level,
                             (unsigned long)(rec.time_ns / NSEC_PER_SEC),
                             (unsigned long)(rec.time_ns % NSEC_PER_SEC / NSEC_PER_USEC), text);
}

// The first record from which on everything fits into `size` bytes.
static u64 start_that_fits(u64 from, size_t size, char *line)
{
    u64 total = 0, seq = from;
    while (true) {
        size_t n = format_record(&seq, line, LINE_MAX);
        if (!n)
            break;
        total += n;
    }
    for (seq = from; total > size;)
        total -= format_record(&seq, line, LINE_MAX);
    return seq;
}

// Copies records to the user; the log may grow meanwhile, never beyond `end`. Bytes or -errno.
static long copy_records(char __user *buf, size_t size, u64 *seq, u64 end, char *line)
{
    long done = 0;
    while (*seq < end) {
        u64 next = *seq;
        size_t n = format_record(&next, line, LINE_MAX);
        if (!n || done + n > size)
            break;
        if (copy_to_user(buf + done, line, n))
            return -EFAULT;
        done += (long)n;
        *seq = next;
    }
    return done;
}

static long read_all(char __user *buf, size_t size, bool clear)
{
    char *line = kmalloc(LINE_MAX, GFP_KERNEL);
    if (!line)
        return -ENOMEM;
    mutex_lock(&syslog_lock);
    u64 end = log_next_seq();
    u64 seq = start_that_fits(max(clear_seq, log_first_seq()), size, line);
    long n = copy_records(buf, size, &seq, end, line);
    if (clear && n >= 0)
        clear_seq = end;
    mutex_unlock(&syslog_lock);
    kfree(line);
    return n;
}

static long read_new(char __user *buf, size_t size)
{
    int error = wait_event_interruptible(log_wait, log_next_seq() > read_seq);
    if (error)
        return error;
    char *line = kmalloc(LINE_MAX, GFP_KERNEL);
    if (!line)
        return -ENOMEM;
    mutex_lock(&syslog_lock);
    long n = copy_records(buf, size, &read_seq, log_next_seq(), line);
    mutex_unlock(&syslog_lock);
    kfree(line);
    return n;
}

static long size_unread(void)
{
    char *line = kmalloc(LINE_MAX, GFP_KERNEL);
    if (!line)
        return -ENOMEM;
    long total = 0;
    mutex_lock(&syslog_lock);
    u64 seq = read_seq;
    size_t n;
    while ((n = format_record(&seq, line, LINE_MAX)))
        total += (long)n;
    mutex_unlock(&syslog_lock);
    kfree(line);
    return total;
}

static long console_switch(int type, int level)
{
    switch (type) {
    case SYSLOG_ACTION_CONSOLE_OFF:
        if (saved_console_level < 0)
            saved_console_level = log_console_level();
        log_set_console_level(1);
        return 0;
    case SYSLOG_ACTION_CONSOLE_ON:
        if (saved_console_level >= 0)
            log_set_console_level(saved_console_level);
        saved_console_level = -1;
        return 0;
    default:
        if (level < 1 || level > 8)
            return -EINVAL;
        log_set_console_level(level);
        saved_console_level = -1;
        return 0;
    }
}

SYSCALL_DEFINE(syslog)
{
    int type = ARG_INT(0), len = ARG_INT(2);
    if (type != SYSLOG_ACTION_READ_ALL && type != SYSLOG_ACTION_SIZE_BUFFER &&
        !capable(CAP_SYSLOG) && !capable(CAP_SYS_ADMIN))
        return -EPERM;
    switch (type) {
    case SYSLOG_ACTION_CLOSE:
    case SYSLOG_ACTION_OPEN:
        return 0; // nothing to do, on Linux either
    case SYSLOG_ACTION_READ:
    case SYSLOG_ACTION_READ_ALL:
    case SYSLOG_ACTION_READ_CLEAR:
        if (!ARG_ULONG(1) || len < 0)
            return -EINVAL;
        if (!len)
            return 0;
        if (type == SYSLOG_ACTION_READ)
            return read_new(ARG_PTR(1), (size_t)len);
        return read_all(ARG_PTR(1), (size_t)len, type == SYSLOG_ACTION_READ_CLEAR);
    case SYSLOG_ACTION_CLEAR:
        mutex_lock(&syslog_lock);
        clear_seq = log_next_seq();
        mutex_unlock(&syslog_lock);
        return 0;
    case SYSLOG_ACTION_CONSOLE_OFF:
    case SYSLOG_ACTION_CONSOLE_ON:
    case SYSLOG_ACTION_CONSOLE_LEVEL:
        return console_switch(type, len);
    case SYSLOG_ACTION_SIZE_UNREAD:
        return size_unread();
    case SYSLOG_ACTION_SIZE_BUFFER:
        return LOG_BUFFER_SIZE;
    default:
        return -EINVAL;
    }
}

// --- reboot

static bool ctrl_alt_del_restarts = true;

void ctrl_alt_del(void)
{
    if (ctrl_alt_del_restarts) {
        pr_notice("reboot: restarting");
        machine_restart();
    }
    struct pid *init = find_get_pid(1);
    if (init) {
        kill_pid(init, SIGINT, 1);
        put_pid(init);
    }
}

static bool magic_valid(u32 magic1, u32 magic2)
{
    return magic1 == LINUX_REBOOT_MAGIC1 &&
           (magic2 == LINUX_REBOOT_MAGIC2 || magic2 == LINUX_REBOOT_MAGIC2A ||
            magic2 == LINUX_REBOOT_MAGIC2B || magic2 == LINUX_REBOOT_MAGIC2C);
}

SYSCALL_DEFINE(reboot)
{
    if (!capable(CAP_SYS_BOOT))
        return -EPERM;
    if (!magic_valid(ARG_UINT(0), ARG_UINT(1)))
        return -EINVAL;
    switch (ARG_UINT(2)) {
    case LINUX_REBOOT_CMD_RESTART:
    case LINUX_REBOOT_CMD_RESTART2:
        pr_notice("reboot: restarting");
        machine_restart();
    case LINUX_REBOOT_CMD_HALT:
        pr_notice("reboot: halted");
        machine_halt();
    case LINUX_REBOOT_CMD_POWER_OFF:
        pr_notice("reboot: power off");
        machine_power_off();
    case LINUX_REBOOT_CMD_CAD_ON:
    case LINUX_REBOOT_CMD_CAD_OFF:
        ctrl_alt_del_restarts = ARG_UINT(2) == LINUX_REBOOT_CMD_CAD_ON;
        return 0;
    default:
        return -EINVAL;
    }
}
