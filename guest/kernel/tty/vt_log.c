// SPDX-License-Identifier: MIT
// The kernel's log on a virtual terminal (console=tty0, tty1...): a thread reads it, since what
// logs may hold any lock. A panic's lines are drawn at once.
#include "init/init.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "sched/kthread.h"
#include "sched/sched.h"
#include "sched/wait.h"
#include "tty/vt_internal.h"

#define LINE_MAX 600

static bool enabled;
static DEFINE_MUTEX(drain_mutex);
static u64 next;        // record; under drain_mutex
static unsigned number; // of the terminal; 0: the one in the foreground

static struct vt *log_vt(void)
{
    return number ? &vts[number - 1] : vt_foreground();
}

static void show(const struct log_record *rec, const char *text, size_t n)
{
    char line[LINE_MAX];
    int len = scnprintf(line, sizeof(line), "[%5lu.%06lu] %.*s\r\n", rec->time_ns / NSEC_PER_SEC,
                        rec->time_ns % NSEC_PER_SEC / 1000, (int)n, text);
    struct vt *vt = log_vt();
    if (!vt_allocate(vt))
        vt_output(vt, (const u8 *)line, (size_t)len);
}

void vt_log_drain(void)
{
    char text[512];
    struct log_record rec;
    if (!enabled)
        return;
    mutex_lock(&drain_mutex);
    while (next < log_next_seq()) {
        size_t n = log_read(&next, &rec, text, sizeof(text));
        next = rec.seq + 1;
        if ((int)rec.level < log_console_level())
            show(&rec, text, n);
        cond_resched();
    }
    mutex_unlock(&drain_mutex);
}

static int log_thread(void *unused)
{
    (void)unused;
    for (;;) {
        wait_event_interruptible(log_wait, READ_ONCE(next) < log_next_seq());
        vt_log_drain();
    }
    return 0;
}

// Whatever holds the locks: nothing else runs any more.
static void panic_write(const char *text, size_t n)
{
    struct vt *vt = log_vt();
    if (!vt->memory || vt != vt_foreground())
        return;
    bool ends = n && text[n - 1] == '\n';
    vt_screen_write(&vt->screen, (const u8 *)text, n - ends);
    if (ends) {
        vt_screen_write(&vt->screen, (const u8 *)"\r\n", 2);
        vt_picture_panic(vt);
    }
}

void vt_log_init(void)
{
    char name[8] = "tty0";
    for (unsigned n = 0; n <= VT_COUNT; n++) {
        name[3] = (char)('0' + n);
        if (cmdline_has("console", name)) {
            number = n;
            enabled = true;
        }
    }
    if (!enabled)
        return;
    log_set_panic_console(panic_write);
    struct task_struct *t = kthread_run(log_thread, NULL, "vtlog");
    if (IS_ERR(t))
        pr_warn("vt: no log on the display: error %ld", PTR_ERR(t));
}
