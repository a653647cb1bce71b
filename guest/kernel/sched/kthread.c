// SPDX-License-Identifier: MIT
// Kernel threads (made by kthreadd), the bottom-half thread with its work and deferred frees, task
// work.
#include "sched/kthread.h"

#include "abi/sched.h"
#include "arch/x86_64/smp.h"
#include "lib/bitops.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "proc/pid.h"
#include "sched/sched.h"
#include "sched/wait.h"

struct create_request {
    struct list_head entry;
    int (*fn)(void *);
    void *arg;
    char name[TASK_COMM_LEN];
    struct task_struct *result;
    struct completion done;
};
static LIST_HEAD(requests);
static DEFINE_SPINLOCK(requests_lock);
static DECLARE_WAIT_QUEUE_HEAD(kthreadd_wait);

static int kthread_main(void *arg)
{
    (void)arg;
    struct task_struct *t = current;
    t->kthread_result = t->kthread_fn(t->kthread_arg);
    do_exit_kthread();
}

static struct task_struct *make(struct create_request *r)
{
    struct task_struct *t = task_dup(&init_task);
    if (!t)
        return ERR_PTR(-ENOMEM);
    kstrlcpy(t->comm, r->name, sizeof(t->comm));
    sched_fork(t);
    copy_thread(t, kthread_main, NULL, 0, false, 0);
    int err = proc_adopt_kthread(t);
    if (err) {
        task_discard(t);
        return ERR_PTR(err);
    }
    t->kthread_fn = r->fn; // proc/ has cleared what a fork does not inherit
    t->kthread_arg = r->arg;
    return t;
}

static int kthreadd(void *unused)
{
    (void)unused;
    for (;;) {
        wait_event_state(kthreadd_wait, !list_empty(&requests), TASK_INTERRUPTIBLE,
                         0); // not in the load average
        spin_lock(&requests_lock);
        struct create_request *r = list_first_entry(&requests, struct create_request, entry);
        list_del(&r->entry);
        spin_unlock(&requests_lock);
        r->result = make(r);
        complete(&r->done);
    }
    return 0;
}

struct task_struct *kthreadd_create(void)
{
    struct create_request r = {.fn = kthreadd, .name = "kthreadd"};
    return make(&r);
}

static struct task_struct *create(int (*fn)(void *), void *arg, const char *fmt, va_list ap)
{
    struct create_request r = {.fn = fn, .arg = arg};
    vsnprintf(r.name, sizeof(r.name), fmt, ap);
    init_completion(&r.done);
    spin_lock(&requests_lock);
    list_add_tail(&r.entry, &requests);
    spin_unlock(&requests_lock);
    wake_up(&kthreadd_wait);
    wait_for_completion(&r.done);
    return r.result;
}

struct task_struct *kthread_create(int (*fn)(void *), void *arg, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct task_struct *t = create(fn, arg, fmt, ap);
    va_end(ap);
    return t;
}

struct task_struct *kthread_run(int (*fn)(void *), void *arg, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct task_struct *t = create(fn, arg, fmt, ap);
    va_end(ap);
    if (!IS_ERR(t))
        wake_up_new_task(t);
    return t;
}

bool kthread_should_stop(void)
{
    return READ_ONCE(current->kthread_stop_asked);
}

int kthread_stop(struct task_struct *t)
{
    struct completion exited;
    init_completion(&exited);
    get_task_struct(t);
    t->kthread_exited = &exited;
    smp_store_release(&t->kthread_stop_asked, true);
    wake_up_process(t);
    wait_for_completion(&exited);
    int result = t->kthread_result;
    put_task_struct(t);
    return result;
}

void do_exit_kthread(void)
{
    struct task_struct *t = current;
    proc_exit_kthread(t);
    preempt_disable();
    struct completion *exited = t->kthread_exited;
    if (exited)
        complete(exited);
    preempt_enable_no_resched();
    schedule_dead();
}

static LIST_HEAD(work_list);
static LIST_HEAD(deferred_list);
#define BATCH_NS (2 * NSEC_PER_MSEC)
static bool deferred_asked;        // the thread was woken for the list
static DEFINE_SPINLOCK(work_lock); // both lists; interrupts off
static DECLARE_WAIT_QUEUE_HEAD(work_wait);
static DECLARE_WAIT_QUEUE_HEAD(work_done);
static DECLARE_WAIT_QUEUE_HEAD(deferred_wait);
static struct work_struct *work_running;

bool schedule_work(struct work_struct *w)
{
    unsigned long flags;
    spin_lock_irqsave(&work_lock, flags);
    bool fresh = !w->queued;
    if (fresh) {
        w->queued = true;
        list_add_tail(&w->entry, &work_list);
    }
    spin_unlock_irqrestore(&work_lock, flags);
    if (fresh)
        wake_up(&work_wait);
    return fresh;
}

void flush_work(struct work_struct *w)
{
    wait_event(work_done, !smp_load_acquire(&w->queued) && READ_ONCE(work_running) != w);
}

static void defer(struct deferred *d, void (*free)(struct deferred *d), bool wake)
{
    unsigned long flags;
    d->free = free;
    spin_lock_irqsave(&work_lock, flags);
    wake &= !deferred_asked;
    deferred_asked |= wake;
    list_add_tail(&d->entry, &deferred_list);
    spin_unlock_irqrestore(&work_lock, flags);
    if (wake)
        wake_up(&deferred_wait);
}

void defer_free(struct deferred *d, void (*free)(struct deferred *d))
{
    defer(d, free, true);
}

void defer_free_lazy(struct deferred *d, void (*free)(struct deferred *d))
{
    defer(d, free, false);
}

static void run_work(void)
{
    unsigned long flags;
    spin_lock_irqsave(&work_lock, flags);
    while (!list_empty(&work_list)) {
        struct work_struct *w = list_first_entry(&work_list, struct work_struct, entry);
        list_del_init(&w->entry);
        // In this order: flush_work looks at them the other way round, without the lock.
        __atomic_store_n(&work_running, w, __ATOMIC_RELAXED);
        __atomic_store_n(&w->queued, false, __ATOMIC_RELEASE);
        spin_unlock_irqrestore(&work_lock, flags);
        w->func(w);
        WRITE_ONCE(work_running, NULL);
        smp_mb();
        if (waitqueue_active(&work_done))
            wake_up_all(&work_done);
        spin_lock_irqsave(&work_lock, flags);
    }
    spin_unlock_irqrestore(&work_lock, flags);
}

// Those who look at such an object without a reference have preemption or interrupts off. A CPU
// that was interrupted with neither has let go of all that it had found before.
static void note_quiet(void *arg)
{
    if (!(preempt_count() & (PREEMPT_HARDIRQ - 1)))
        __atomic_or_fetch((u64 *)arg, BIT(smp_processor_id()), __ATOMIC_SEQ_CST);
}

static void wait_for_lookups(void)
{
    u64 quiet = 0;
    while (nr_cpus_online > 1) {
        preempt_disable();
        quiet |= BIT(smp_processor_id()); // nobody is preempted in a lookup
        u64 left = cpu_online_mask() & ~quiet;
        if (left)
            smp_call_many(left, note_quiet, &quiet);
        preempt_enable();
        if (!(cpu_online_mask() & ~READ_ONCE(quiet)))
            return;
        msleep(1);
    }
}

static void run_deferred(void)
{
    LIST_HEAD(mine);
    unsigned long flags;
    spin_lock_irqsave(&work_lock, flags);
    list_splice_init(&deferred_list, &mine);
    deferred_asked = false;
    spin_unlock_irqrestore(&work_lock, flags);
    wait_for_lookups();
    struct deferred *d, *next;
    list_for_each_entry_safe(d, next, &mine, entry) d->free(d);
}

static int bottom_half(void *unused)
{
    (void)unused;
    for (;;) {
        wait_event_state(work_wait, !list_empty(&work_list), TASK_INTERRUPTIBLE, 0);
        run_work();
    }
    return 0;
}

static int deferred_thread(void *unused)
{
    (void)unused;
    for (;;) {
        wait_event_state(deferred_wait, READ_ONCE(deferred_asked), TASK_INTERRUPTIBLE, 0);
        if (nr_cpus_online > 1) { // disturb the other CPUs for many at once
            set_current_state(TASK_INTERRUPTIBLE);
            schedule_deadline(ktime_get() + BATCH_NS);
        }
        run_deferred();
    }
    return 0;
}

// Work of interrupts goes before every program, so that ^C reaches a real-time task that never
// sleeps; frees have time.
void kthread_init(void)
{
    struct task_struct *work = kthread_run(bottom_half, NULL, "kbottomhalf");
    struct task_struct *frees = kthread_run(deferred_thread, NULL, "kdeferred");
    if (IS_ERR(work) || IS_ERR(frees))
        panic("no memory for the bottom-half threads");
    sched_setscheduler(work, SCHED_FIFO, 99);
}

// A list head of ~0 says closed.
#define CLOSED ((struct task_work *)~0UL)

int task_work_add(struct task_struct *t, struct task_work *w)
{
    struct task_work *head = __atomic_load_n(&t->task_works, __ATOMIC_RELAXED);
    do {
        if (head == CLOSED)
            return -ESRCH;
        w->next = head;
    } while (!__atomic_compare_exchange_n(&t->task_works, &head, w, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    set_bit(TW_TASK_WORK, &t->work);
    return 0;
}

static void run_list(struct task_work *w)
{
    struct task_work *ordered = NULL;
    while (w) { // first added, first run
        struct task_work *next = w->next;
        w->next = ordered;
        ordered = w;
        w = next;
    }
    while (ordered) {
        struct task_work *next = ordered->next;
        ordered->func(ordered);
        ordered = next;
    }
}

void task_work_run(void)
{
    clear_bit(TW_TASK_WORK, &current->work);
    struct task_work *w;
    while ((w = __atomic_load_n(&current->task_works, __ATOMIC_RELAXED)) && w != CLOSED)
        run_list(__atomic_exchange_n(&current->task_works, NULL, __ATOMIC_ACQ_REL));
}

void task_work_close(struct task_struct *t)
{
    struct task_work *none;
    do {
        task_work_run();
        none = NULL;
    } while (!__atomic_compare_exchange_n(&t->task_works, &none, CLOSED, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED) &&
             none != CLOSED);
}
