// SPDX-License-Identifier: MIT
// Tasks as the scheduler and everybody else sees them; scheduling classes; sleeping and waking.
#pragma once

#include "arch/x86_64/thread.h"
#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "sched/kthread.h"
#include "sched/lock.h"
#include "sched/timer.h"

#define TASK_RUNNING 0x0
#define TASK_INTERRUPTIBLE 0x1
#define TASK_UNINTERRUPTIBLE 0x2
#define TASK_STOPPED_STATE 0x4
#define TASK_TRACED_STATE 0x8
#define TASK_DEAD 0x80      // never runs again
#define TASK_WAKEKILL 0x100 // fatal signals wake
#define TASK_WAKING 0x400 // on its way to the queue of another CPU; no waker's mask has it
#define TASK_NEW 0x800
#define TASK_KILLABLE (TASK_WAKEKILL | TASK_UNINTERRUPTIBLE)
#define TASK_STOPPED (TASK_WAKEKILL | TASK_STOPPED_STATE)
#define TASK_TRACED (TASK_WAKEKILL | TASK_TRACED_STATE)
#define TASK_NORMAL (TASK_INTERRUPTIBLE | TASK_UNINTERRUPTIBLE)

#define EXIT_ZOMBIE 0x20
#define EXIT_DEAD 0x10

// task->flags, changed by the task itself only
#define PF_KTHREAD 0x1u
#define PF_EXITING 0x2u
#define PF_FORKNOEXEC 0x4u
#define PF_MEMALLOC 0x8u // may use the reserves: reclaim and OOM victims
#define PF_SUPERPRIV 0x10u
#define PF_VFORK_WAIT 0x20u
#define PF_RESTORE_SIGMASK 0x40u // saved_sigmask is put back if no handler takes it
#define PF_MEMALLOC_NOFS 0x80u
#define PF_IDLE 0x100u // a CPU's idle task: on no queue

// task->work: atomic bits, any nonzero bit sends the return to user mode through the slow loop
#define TW_SIGPENDING 0
#define TW_TASK_WORK 2 // task_work list is not empty
#define TW_RSEQ 3      // it was preempted with an rseq area registered, or has just registered it

// Scheduling policies: SCHED_NORMAL.. in abi/sched.h.
#define MAX_RT_PRIO 100

// task->on_rq. Moving: runnable, between the queues of two CPUs.
enum { OFF_RQ, ON_RQ, ON_RQ_MOVING };
#define NICE_0_LOAD 1024

struct load_weight {
    u64 weight;
    u32 inv_weight; // 2^32 / weight
};
struct sched_entity {
    struct rb_node node;
    struct load_weight load;
    u64 vruntime;         // ns scaled by NICE_0_LOAD / weight
    u64 exec_start;       // rq clock when it was last accounted
    u64 sum_exec_runtime; // ns of CPU time, all
    u64 prev_sum_exec;    // at the last pick
    bool on_rq;
};
struct sched_rt_entity {
    struct list_head node;
    u64 slice_left; // ns, SCHED_RR
    bool on_rq;
};

// rseq(2); self
struct linux_rseq;
struct rseq_registration {
    struct linux_rseq __user *area; // NULL: none
    u32 size, signature;
    u32 told_cpu; // the CPU that the area names
};

struct mm_struct;
struct files_struct;
struct fs_struct;
struct signal_struct;
struct sighand_struct;
struct cred;
struct nsproxy;
struct pid;
struct completion;
struct robust_list_head_user;

#define TASK_COMM_LEN 16
enum pid_type { PIDTYPE_PID, PIDTYPE_TGID, PIDTYPE_PGID, PIDTYPE_SID, PIDTYPE_MAX };

// One bit per signal 1..64 at bit sig-1.
typedef struct {
    u64 sig;
} sigset_t_k;

struct sigpending {
    struct list_head list; // of struct sigqueue
    sigset_t_k signal;
};

struct restart_block {
    long (*fn)(struct restart_block *rb); // restart_syscall calls it; NULL -> -EINTR
    union {
        struct {
            clockid_t clock;
            u64 expires; // absolute ns
            void __user *rmtp;
        } nanosleep;
        struct {
            void __user *ufds;
            unsigned nfds;
            bool has_timeout;
            u64 expires;
        } poll;
        struct {
            u32 __user *uaddr;
            u32 val, flags, bitset;
            u64 expires;
        } futex;
    };
};

// "Lock:" says what protects a field. rq = run-queue lock; tasklist = tasklist_lock; self = only
// the task itself writes.
struct task_struct {
    unsigned state;      // TASK_*; set_current_state / wake_up_process
    unsigned exit_state; // EXIT_*; tasklist
    unsigned flags;      // PF_*; self
    unsigned long work;  // TW_* bits, atomic
    void *stack;         // vmalloc'ed, guard pages on both sides
    atomic_t usage;      // get_task_struct / put_task_struct
    struct thread_struct thread;

    // scheduling, lock: rq
    u32 cpu;
    u8 on_rq; // OFF_RQ...
    bool on_cpu;
    int policy;      // SCHED_*
    int static_prio; // 100 + 20 + nice
    int rt_priority; // 1..99 for FIFO/RR, else 0
    bool reset_on_fork;
    u64 cpus_allowed; // bit per CPU
    struct sched_entity se;
    struct sched_rt_entity rt;
    u64 nvcsw, nivcsw;      // voluntary / involuntary switches
    u64 utime, stime;       // ns, accounted at mode changes of the tick granularity
    u64 start_time;         // ktime_get() at fork
    int pagefault_disabled; // self

    // identity and family, lock: tasklist
    pid_t pid, tgid; // as seen in the initial pid namespace, for logs
    struct pid *thread_pid;
    struct hlist_node pid_links[PIDTYPE_MAX];
    struct list_head tasks; // all thread-group leaders
    struct task_struct *real_parent, *parent;
    struct list_head children, sibling;
    struct task_struct *group_leader;
    struct list_head thread_node; // in signal->thread_head
    char comm[TASK_COMM_LEN];     // alloc_lock for writing
    spinlock_t alloc_lock;        // mm, files, fs, comm, cred pointer swaps seen by others

    // shared parts, each counted separately
    struct mm_struct *mm; // NULL in kernel threads
    struct mm_struct *active_mm;
    struct files_struct *files;
    struct fs_struct *fs;
    struct signal_struct *signal;
    struct sighand_struct *sighand;
    const struct cred *cred; // immutable; replaced as a whole by self
    struct nsproxy *nsproxy;

    // signals; lock: sighand->siglock
    sigset_t_k blocked, real_blocked, saved_sigmask;
    struct sigpending pending;
    u64 sas_sp, sas_size; // alternate stack; self
    u32 sas_flags;
    unsigned jobctl;                    // JOBCTL_* (signal.h)
    struct restart_block restart_block; // self
    bool restart_pending; // the system call returned -ERESTART*: do_signal decides; self
    int pdeath_signal;
    int exit_code, exit_signal; // exit_signal -1: a thread that is not the leader

    // fork, exec, exit
    struct completion *vfork_done;
    u32 __user *set_child_tid, *clear_child_tid;
    struct list_head dead_entry; // exit.c: to be released
    void __user *robust_list;
    u64 robust_list_len;
    struct rseq_registration rseq;
    void *futex_wait;             // the futex entry it sleeps on; futex.c
    struct task_work *task_works; // atomic list head
    struct task_work fork_work;   // CLONE_CHILD_SETTID, written by the child itself
    unsigned personality;
    u64 min_flt, maj_flt;
    u64 timer_slack_ns;
    bool no_new_privs;
    bool in_execve;
    bool oom_victim;
    unsigned
        fail_nth; // allocations until one fails on purpose, 0 = off; self (/proc/self/fail-nth)
    struct {
        u64 rchar, wchar, syscr, syscw, read_bytes, write_bytes;
    } io;
    void *journal_info; // file system transaction of this task

    // kernel threads
    int (*kthread_fn)(void *);
    void *kthread_arg;
    struct completion *kthread_exited;
    bool kthread_stop_asked;
    int kthread_result;

#ifdef FERN_DEBUG_LOCKS
    struct {
        const void *lock;
        int rank;
        const char *name;
        int cls; // lock_debug.c
    } held[24];
    int held_count;
#endif
    struct deferred reap;
};

extern struct task_struct init_task; // the idle task of CPU 0, pid 0

static inline struct task_struct *get_task_struct(struct task_struct *t)
{
    atomic_inc(&t->usage);
    return t;
}
void put_task_struct(struct task_struct *t); // any context; frees by the bottom-half thread
void task_release_proc(
    struct task_struct *t); // proc/: drops cred, signal... of a task that is about to be freed

// A copy of `orig`'s memory-independent fields with a stack, FPU area and usage 2 (the reaper's and
// the scheduler's); state TASK_NEW, linked nowhere, all shared pointers copied without references
// (fork replaces them). NULL without memory.
struct task_struct *task_dup(struct task_struct *orig);
// Undo of task_dup for a task that never ran and is linked nowhere.
void task_discard(struct task_struct *t);
// First scheduling parameters of a child (resets policy if reset_on_fork); then wake_up_new_task.
void sched_fork(struct task_struct *t);
void wake_up_new_task(struct task_struct *t);

// Sleep protocol: set_current_state(TASK_...), test the condition, schedule(). A wake-up in between
// is not lost.
#define set_current_state(s) __atomic_store_n(&current->state, (unsigned)(s), __ATOMIC_SEQ_CST)
#define __set_current_state(s) __atomic_store_n(&current->state, (unsigned)(s), __ATOMIC_RELAXED)
void schedule(void); // task context, preemption on
void cond_resched(void);
void yield(void);
bool wake_up_state(struct task_struct *t, unsigned state_mask); // any context; true if it was woken
static inline bool wake_up_process(struct task_struct *t)
{
    return wake_up_state(t, TASK_NORMAL);
}
void resched_curr(u32 cpu);
// Final schedule of a dying task (state TASK_DEAD set inside); drops the running reference on the
// other side.
void schedule_dead(void) __noreturn;

// Scheduling parameters. Permission checks are the caller's. 0 or -EINVAL.
int sched_setscheduler(struct task_struct *t, int policy, int rt_priority);
void set_user_nice(struct task_struct *t, int nice);
static inline int task_nice(const struct task_struct *t)
{
    return t->static_prio - 120;
}
// Priority as field 18 of /proc/PID/stat shows it: 20 + nice, or -1 - rt_priority.
int task_prio_stat(const struct task_struct *t);
u64 sched_rr_interval_ns(struct task_struct *t);
// -EINVAL if no online CPU in mask. On return t runs nowhere else. Task context.
int sched_setaffinity(struct task_struct *t, u64 mask);
u64 task_sched_runtime(struct task_struct *t);          // ns, exact, also of a running task
unsigned long nr_running(void);
u64 nr_context_switches(void);
u64 sched_idle_ns(void); // sum of all CPUs
struct cpu_times { // of one CPU, ns; idle is exact, the rest in ticks
    u64 user, nice, system, idle;
};
void sched_cpu_times(unsigned cpu, struct cpu_times *out);
void sched_loadavg(u64 avg[3]); // 11 fraction bits; sysinfo(2) wants << 5 (16 bits)
void task_cputime(struct task_struct *t, u64 *utime_ns,
                  u64 *stime_ns);                  // scaled so that the sum is exact
char task_state_char(const struct task_struct *t); // R S D T t Z X I

void sched_init(void);
void sched_init_idle(struct task_struct *idle, unsigned cpu); // a fresh task and its CPU's queue
void sched_tick(bool user); // from the timer, interrupts off
void cpu_idle_loop(void) __noreturn;

// Signals as sleepers see them (signal/ implements the sending side).
static inline bool signal_pending(const struct task_struct *t)
{
    return (__atomic_load_n(&t->work, __ATOMIC_ACQUIRE) >> TW_SIGPENDING) & 1;
}
bool fatal_signal_pending(const struct task_struct *t); // SIGKILL pending; signal/
