// SPDX-License-Identifier: MIT
// /proc/fern/cfs: the trees of the fair class as they are, node by node. Linux has no such file;
// its /proc/PID/sched tells of one task.
#include "fs/seq_file.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/sched_internal.h"

#define NODES 64 // of a tree; the others are counted

struct node {
    pid_t pid;
    char comm[TASK_COMM_LEN];
    u64 vruntime, weight;
    unsigned depth;
    char side; // of its parent: 'L', 'R', or '-' at the root
};
struct tree {
    u64 min_vruntime, load;
    unsigned nr_running, count;
    struct node running, nodes[NODES]; // in order of vruntime
};

static struct node describe(struct sched_entity *se)
{
    const struct task_struct *t = container_of(se, struct task_struct, se);
    struct node n = {.pid = t->pid, .vruntime = se->vruntime, .weight = se->load.weight};
    memcpy(n.comm, t->comm, sizeof(n.comm));
    n.comm[sizeof(n.comm) - 1] = '\0';
    return n;
}

static void place(struct node *n, const struct rb_node *node)
{
    n->side = !node->parent ? '-' : node->parent->left == node ? 'L' : 'R';
    for (const struct rb_node *up = node->parent; up; up = up->parent)
        n->depth++;
}

// The queue is locked for as long as this takes.
static void copy_tree(struct run_queue *rq, struct tree *t)
{
    unsigned long flags;
    memset(t, 0, sizeof(*t));
    spin_lock_irqsave(&rq->lock, flags);
    struct cfs_rq *cfs = &rq->cfs;
    t->min_vruntime = cfs->min_vruntime;
    t->load = cfs->load;
    t->nr_running = cfs->nr_running;
    if (cfs->curr && cfs->curr->on_rq)
        t->running = describe(cfs->curr);
    for (struct rb_node *n = rb_first(&cfs->tasks.root); n && t->count < NODES; n = rb_next(n)) {
        t->nodes[t->count] = describe(rb_entry(n, struct sched_entity, node));
        place(&t->nodes[t->count++], n);
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

static void show_node(struct seq_file *m, const char *what, const struct node *n)
{
    seq_printf(m, "%s %d %c %u %lu %lu %s\n", what, n->pid, n->side ? n->side : '-', n->depth,
               n->vruntime, n->weight, n->comm);
}

static int show_trees(struct seq_file *m, void *v)
{
    (void)v;
    struct tree *t = kmalloc(sizeof(*t), GFP_KERNEL);
    if (!t)
        return -ENOMEM;
    for (unsigned cpu = 0; cpu < nr_cpus_online; cpu++) {
        copy_tree(&runqueues[cpu], t);
        seq_printf(m, "cpu %u min_vruntime %lu load %lu running %u\n", cpu, t->min_vruntime,
                   t->load, t->nr_running);
        if (t->running.pid)
            show_node(m, "curr", &t->running);
        for (unsigned i = 0; i < t->count; i++)
            show_node(m, "node", &t->nodes[i]);
    }
    kfree(t);
    return 0;
}

void sched_show_init(void)
{
    if (proc_register("fern/cfs", 0444, show_trees, NULL, NULL))
        pr_warn("no /proc/fern/cfs");
}
