// SPDX-License-Identifier: MIT
// As much of Linux's structures as the debugger must know to tell tasks, for test_linux_layout.
// HOT: as in 6.2 to 6.14, where the current task is a member of pcpu_hot; NOWHERE: it is in no
// variable that is known.
struct list_head {
    struct list_head *next, *prev;
};

struct mm_struct {
    void *pgd;
};

struct signal_struct {
    struct list_head thread_head;
};

struct task_struct {
    unsigned __state;
    int exit_state;
    void *stack;
    struct {
        unsigned long sp;
    } thread;
    unsigned policy;
    int static_prio;
    unsigned rt_priority;
    struct {
        unsigned long vruntime;
    } se;
    int pid, tgid;
    struct list_head tasks, thread_node;
    struct task_struct *real_parent;
    char comm[16];
    struct mm_struct *mm;
    void *files;
    struct signal_struct *signal;
};

struct task_struct init_task;
unsigned long __per_cpu_offset[8];
unsigned long runqueues;
#ifdef HOT
struct pcpu_hot {
    union {
        struct {
            struct task_struct *current_task;
            int preempt_count;
        };
        char padding[64];
    };
} pcpu_hot;
#elif !defined(NOWHERE)
struct task_struct *current_task;
#endif

void entry_SYSCALL_64(void)
{
}

int main(void)
{
    return 0;
}
