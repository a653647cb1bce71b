// SPDX-License-Identifier: MIT
// Out of memory: choosing a process by its size and oom_score_adj, killing it, taking its private
// memory at once.
#include "mm/oom.h"

#include "lib/printk.h"
#include "mm/mm_internal.h"
#include "proc/signal.h"
#include "proc/task.h"

static DECLARE_WAIT_QUEUE_HEAD(reaper_wait);
static DEFINE_MUTEX(oom_mutex);
static struct mm_struct *reap_queue[8]; // counted (mm_count); oom_mutex for adding
static struct mm_struct *last_victim;   // counted (mm_count); oom_mutex

// A thread of the group that still has an mm. tasklist_lock held.
static struct task_struct *thread_with_mm(struct task_struct *leader)
{
    struct task_struct *t;

    if (!leader->signal)
        return NULL;
    for_each_thread(leader, t) if (t->mm && !(t->flags & PF_KTHREAD)) return t;
    return NULL;
}

static u64 mm_badness(struct mm_struct *mm, short adj, u64 total_pages)
{
    s64 points =
        (s64)(mm_rss(mm) + (u64)atomic64_read(&mm->counters[MM_SWAPENTS]) + mm->nr_page_tables);

    points += (s64)adj * (s64)(total_pages / 1000);
    return points > 0 ? (u64)points : 1;
}

u64 oom_badness(struct task_struct *t, u64 total_pages)
{
    u64 points = 0;

    if ((t->flags & PF_KTHREAD) || t->tgid == 1 || !t->signal)
        return 0;
    if (t->signal->oom_score_adj == OOM_SCORE_ADJ_MIN)
        return 0;
    spin_lock(&t->alloc_lock);
    if (t->mm && !atomic_read(&t->mm->oom_reaped))
        points = mm_badness(t->mm, t->signal->oom_score_adj, total_pages);
    spin_unlock(&t->alloc_lock);
    return points;
}

int oom_score(struct task_struct *t)
{
    u64 total = totalram_pages(), points = oom_badness(t, total);

    // As Linux shows it: badness 0 is 1000 * 2/3, scaled so that all of memory is another 2/3 of
    // 1000.
    if (!points)
        return 0;
    return (int)min((1000 + points * 1000 / total) * 2 / 3, (u64)2000);
}

// The worst process, counted; NULL if none may be killed.
static struct task_struct *select_victim(void)
{
    struct task_struct *p, *worst = NULL;
    u64 total = totalram_pages(), most = 0;

    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        struct task_struct *t = thread_with_mm(p);
        u64 points = t ? oom_badness(t, total) : 0;

        if (points > most) {
            most = points;
            worst = t;
        }
    }
    if (worst)
        get_task_struct(worst);
    spin_unlock(&tasklist_lock);
    return worst;
}

static void log_kill(struct task_struct *t, struct mm_struct *mm)
{
    const unsigned kb = PAGE_SHIFT - 10;

    klog(LOG_ERR,
         "Out of memory: Killed process %d (%s) total-vm:%lukB, anon-rss:%lukB, file-rss:%lukB, "
         "shmem-rss:%lukB, pgtables:%lukB oom_score_adj:%d",
         t->tgid, t->comm, (unsigned long)mm->total_vm << kb,
         (unsigned long)atomic64_read(&mm->counters[MM_ANONPAGES]) << kb,
         (unsigned long)atomic64_read(&mm->counters[MM_FILEPAGES]) << kb,
         (unsigned long)atomic64_read(&mm->counters[MM_SHMEMPAGES]) << kb,
         (unsigned long)mm->nr_page_tables << kb, t->signal->oom_score_adj);
}

// SIGKILL for every process that uses mm: memory comes back only when the last one is gone.
static void kill_users(struct mm_struct *mm)
{
    struct task_struct *p, *t;

    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        t = thread_with_mm(p);
        if (!t || t->mm != mm || p->tgid == 1)
            continue;
        for_each_thread(p, t) t->oom_victim = true;
        group_send_sig_info(SIGKILL, SEND_SIG_PRIV, p);
    }
    spin_unlock(&tasklist_lock);
}

static void queue_for_reaper(struct mm_struct *mm)
{
    for (unsigned i = 0; i < ARRAY_SIZE(reap_queue); i++) {
        if (!READ_ONCE(reap_queue[i])) {
            mmgrab(mm);
            WRITE_ONCE(reap_queue[i], mm);
            wake_up(&reaper_wait);
            return;
        }
    }
}

// Is the last victim still on its way out (its memory not yet free)? oom_mutex held.
static bool victim_pending(void)
{
    struct mm_struct *mm = last_victim;

    if (!mm)
        return false;
    if (atomic_read(&mm->mm_users) && !atomic_read(&mm->oom_reaped))
        return true;
    last_victim = NULL;
    mmdrop(mm);
    return false;
}

static bool kill_one(void)
{
    struct task_struct *t = select_victim();
    struct mm_struct *mm;

    if (!t)
        return false;
    spin_lock(&t->alloc_lock);
    mm = t->mm;
    if (mm)
        mmgrab(mm); // not a user: dropping a last user here would unmap under the caller's locks
    spin_unlock(&t->alloc_lock);
    if (mm) {
        log_kill(t, mm);
        count_vm_event(OOM_KILL);
        last_victim = mm;
        kill_users(mm);
        queue_for_reaper(mm);
    }
    put_task_struct(t);
    return true;
}

bool out_of_memory(gfp_t gfp, unsigned order)
{
    bool killed = true;

    if (!(gfp & __GFP_FS) && !(gfp & __GFP_NOFAIL) && order > 0)
        return false;
    if (fatal_signal_pending(current) || (current->flags & PF_EXITING)) {
        current->oom_victim = true; // it dies anyway: let it have the reserves to do so
        return true;
    }
    if (!mutex_trylock(&oom_mutex)) {
        msleep(1); // somebody is at it
        return true;
    }
    if (victim_pending())
        msleep(2);
    else
        killed = kill_one();
    mutex_unlock(&oom_mutex);
    return killed;
}

// --- the reaper: a victim may be stuck in a lock that the starving task holds; its private memory
// is taken anyway

static bool reap(struct mm_struct *mm)
{
    struct vm_area_struct *vma;

    if (!mmget_not_zero(mm))
        return true; // exit_mmap is at it
    if (!down_read_trylock(&mm->mmap_lock)) {
        mmput(mm);
        return false;
    }
    list_for_each_entry(vma, &mm->mmap_list, vm_list)
    {
        if (vma->vm_flags & (VM_SHARED | VM_PFNMAP | VM_LOCKED))
            continue;
        zap_vma_range(vma, vma->vm_start, vma->vm_end);
    }
    atomic_set(&mm->oom_reaped, 1);
    up_read(&mm->mmap_lock);
    mmput(mm);
    return true;
}

static struct mm_struct *reap_next(unsigned *slot)
{
    for (*slot = 0; *slot < ARRAY_SIZE(reap_queue); (*slot)++)
        if (READ_ONCE(reap_queue[*slot]))
            return reap_queue[*slot];
    return NULL;
}

static int reaper_thread(void *unused)
{
    unsigned slot;

    (void)unused;
    current->flags |= PF_MEMALLOC;
    for (;;) {
        struct mm_struct *mm;

        wait_event_interruptible(reaper_wait, reap_next(&slot) != NULL);
        mm = reap_next(&slot);
        for (int tries = 0; mm && tries < 10 && !reap(mm); tries++)
            msleep(10);
        if (mm) {
            atomic_set(&mm->oom_reaped, 1); // whatever came of it: the next victim may be chosen
            WRITE_ONCE(reap_queue[slot], NULL);
            mmdrop(mm);
        }
    }
    return 0;
}

void oom_start(void)
{
    struct task_struct *t = kthread_run(reaper_thread, NULL, "oom_reaper");

    if (IS_ERR(t))
        panic("oom: no reaper thread (%ld)", PTR_ERR(t));
}
