// SPDX-License-Identifier: MIT
// The guest kernel's tasks and run queues, read from its memory by its debug information: fern's
// and Linux's, whose structures fern follows.
#include "debugger/guest_internal.h"

#include "base/memory.h"
#include "trace/guest_view.h"

#include <stdlib.h>
#include <string.h>

#define LIST_STEPS_MAX 70000u // more than there are pids
#define GROUPS_DEPTH_MAX 8u    // of groups in groups of tasks
#define CR0_PG (UINT64_C(1) << 31)
#define EFER_LMA (UINT64_C(1) << 10)
#define KERNEL_HALF (UINT64_C(1) << 63)

// Bits of task_struct.state and exit_state (guest/kernel/sched/sched.h, and the same in Linux's
// include/linux/sched.h): macros leave no trace in debug information.
enum { STATE_INTERRUPTIBLE = 1, STATE_UNINTERRUPTIBLE = 2, STATE_STOPPED = 4, STATE_TRACED = 8 };
enum { STATE_NOLOAD = 0x400 }; // Linux: a kernel thread that waits for work
enum { EXIT_IS_DEAD = 0x10, EXIT_IS_ZOMBIE = 0x20 };
enum { NICE_0_PRIO = 120, RT_PRIORITIES_MAX = 256 };

// --- layout

struct guest_name {
    const char *structure, *member; // NULL: this kernel has none
};

#define MEMBER_ROW(id, structure, member, linux_structure, linux_member)                           \
    {{structure, member}, {linux_structure, linux_member}},
#define NAME_ROW(id, name, linux_name) {name, linux_name},
static const struct guest_name members[][GUEST_KIND_COUNT] = {
    GUEST_TASK_MEMBERS(MEMBER_ROW) GUEST_OTHER_MEMBERS(MEMBER_ROW)};
static const char *const variables[][GUEST_KIND_COUNT] = {GUEST_SYMBOLS(NAME_ROW)};
static const char *const structs[][GUEST_KIND_COUNT] = {GUEST_STRUCTS(NAME_ROW)};
#undef MEMBER_ROW
#undef NAME_ROW

// Linux 6.2 to 6.14: with others that are often wanted it is a member of one variable.
static bool find_hot_current(struct symbols *s, u64 *out)
{
    struct symbol_member member;
    if (!symbols_member(s, "pcpu_hot", "current_task", &member) ||
        !symbols_kernel_address(s, "pcpu_hot", out)) {
        return false;
    }
    *out += member.offset;
    return true;
}

// Also again when the kernel turns out to lie elsewhere than it was linked for.
static struct status read_variables(struct symbols *s, struct guest *g)
{
    for (unsigned i = 0; i < GUEST_SYMBOL_COUNT; i++) {
        const char *name = variables[i][g->kind];
        if (name && !symbols_kernel_address(s, name, &g->symbol[i]) &&
            !(i == CURRENT && find_hot_current(s, &g->symbol[i]))) {
            return status_error(STATUS_BAD_INPUT, "no kernel with symbol %s: tasks are unknown",
                                name);
        }
    }
    return status_success();
}

static struct status read_members(struct symbols *s, struct guest *g)
{
    for (unsigned i = 0; i < GUEST_MEMBER_COUNT; i++) {
        const struct guest_name *name = &members[i][g->kind];
        bool found =
            name->structure && symbols_member(s, name->structure, name->member, &g->members[i]);
        if (name->structure && !found && (i < GUEST_MEMBERS_NEEDED || g->kind == GUEST_FERN)) {
            return status_error(STATUS_BAD_INPUT,
                                "the kernel's struct %s has no member %s: tasks are unknown",
                                name->structure, name->member);
        }
    }
    return status_success();
}

static struct status read_layout(struct symbols *s, struct guest *g)
{
    g->kind = symbols_kernel_is_linux(s) ? GUEST_LINUX : GUEST_FERN;
    struct status status = read_variables(s, g);
    for (unsigned i = 0; status_ok(&status) && i < GUEST_STRUCT_COUNT; i++) {
        const char *name = structs[i][g->kind];
        if (name && (!symbols_struct_size(s, name, &g->size[i]) || !g->size[i])) {
            return status_error(STATUS_BAD_INPUT, "the kernel has no struct %s: tasks are unknown",
                                name);
        }
    }
    return status_ok(&status) ? read_members(s, g) : status;
}

struct status guest_check(struct symbols *symbols)
{
    struct guest g = {0};
    return read_layout(symbols, &g);
}

struct guest *guest_create(struct machine *m, struct symbols *symbols)
{
    struct guest *g = xcalloc(1, sizeof(*g));
    struct status status = read_layout(symbols, g);
    if (!status_ok(&status)) {
        free(g);
        return NULL;
    }
    g->machine = m;
    g->symbols = symbols;
    return g;
}

void guest_destroy(struct guest *g)
{
    free(g);
}

bool guest_is_linux(const struct guest *g)
{
    return g->kind == GUEST_LINUX;
}

// --- reading

// With page-table isolation Linux's programs run on a second root, one page behind the kernel's,
// that maps next to nothing of the kernel.
static bool sees_kernel(struct guest *g)
{
    u8 byte;
    u64 name = guest_member_address(g, g->symbol[INIT_TASK], TASK_COMM);
    if (walk_read(&g->kernel, name, &byte, 1) == 1) {
        return true;
    }
    g->kernel.cr3 &= ~(u64)PAGE_SIZE;
    return walk_read(&g->kernel, name, &byte, 1) == 1;
}

// The kernel's half is the same in every address space, so any CPU's will do that is in one.
bool guest_begin(struct guest *g)
{
    g->steps_left = LIST_STEPS_MAX;
    for (unsigned i = 0; i < machine_cpu_count(g->machine); i++) {
        g->kernel = walk_space_of_cpu(g->machine, i);
        if (!(g->kernel.cr0 & CR0_PG) || !(g->kernel.efer & EFER_LMA)) {
            continue;
        }
        if (g->kind != GUEST_LINUX) {
            return true;
        }
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(g->machine, i), &regs);
        if (symbols_locate_kernel(g->symbols, regs.lstar)) {
            read_variables(g->symbols, g);
        }
        if (sees_kernel(g)) {
            return true;
        }
    }
    return false;
}

bool guest_step(struct guest *g)
{
    return g->steps_left && g->steps_left--;
}

u64 guest_member(struct guest *g, u64 object, enum guest_member_id id)
{
    const struct symbol_member *m = &g->members[id];
    u64 value = 0, size = m->size < 8 ? m->size : 8;
    if (!object || walk_read(&g->kernel, object + m->offset, &value, size) != size) {
        return 0;
    }
    if (m->is_signed && size && size < 8) {
        unsigned unused = 64 - 8 * (unsigned)size;
        value = (u64)((s64)(value << unused) >> unused);
    }
    return value;
}

struct guest_list guest_list_begin(u64 head)
{
    return (struct guest_list){.head = head, .node = head, .mark = head};
}

u64 guest_list_next(struct guest *g, struct guest_list *list)
{
    list->node = guest_step(g) ? guest_member(g, list->node, LIST_NEXT) : 0;
    if (list->node == list->head || list->node == list->mark) {
        return 0;
    }
    list->count++;
    if ((list->count & (list->count - 1)) == 0) {
        list->mark = list->node;
    }
    return list->node;
}

struct walk_space guest_space(struct guest *g, const struct guest_task *task)
{
    guest_begin(g);
    struct walk_space space = g->kernel;
    if (task->cr3) {
        space.cr3 = task->cr3;
    }
    return space;
}

struct walk_space guest_kernel_space(struct guest *g)
{
    guest_begin(g);
    return g->kernel;
}

// --- tasks

static char state_letter(u64 state, u64 exit_state)
{
    if (exit_state & EXIT_IS_ZOMBIE) {
        return 'Z';
    }
    if (exit_state & EXIT_IS_DEAD) {
        return 'X';
    }
    if (state & STATE_UNINTERRUPTIBLE) {
        return state & STATE_NOLOAD ? 'I' : 'D';
    }
    if (state & STATE_STOPPED) {
        return 'T';
    }
    if (state & STATE_TRACED) {
        return 't';
    }
    return state & STATE_INTERRUPTIBLE ? 'S' : 'R';
}

static u64 read_u64(struct guest *g, u64 address)
{
    u64 value = 0;
    return walk_read(&g->kernel, address, &value, sizeof(value)) == sizeof(value) ? value : 0;
}

// Where a per-CPU variable of Linux stands.
static u64 of_cpu(struct guest *g, unsigned cpu, enum guest_symbol_id id)
{
    return read_u64(g, g->symbol[CPUS] + cpu * sizeof(u64)) + g->symbol[id];
}

static u64 current_address(struct guest *g, unsigned cpu)
{
    if (g->kind == GUEST_LINUX) {
        return read_u64(g, of_cpu(g, cpu, CURRENT));
    }
    return guest_member(g, g->symbol[CPUS] + cpu * g->size[SIZE_CPU], CPU_TASK);
}

static u64 root_of_mm(struct guest *g, u64 mm)
{
    struct walk walk;
    u64 pgd = guest_member(g, mm, MM_PGD);
    walk_linear(&g->kernel, pgd, &walk);
    return pgd && walk.mapped ? walk.gpa : 0;
}

bool guest_read_task(struct guest *g, u64 address, struct guest_task *out)
{
    memset(out, 0, sizeof(*out));
    u64 room = g->members[TASK_COMM].size;
    room = room < sizeof(out->comm) - 1 ? room : sizeof(out->comm) - 1;
    if (address < KERNEL_HALF || walk_read(&g->kernel, guest_member_address(g, address, TASK_COMM),
                                           out->comm, room) != room) {
        return false;
    }
    for (char *c = out->comm; *c; c++) {
        *c = *c < ' ' || *c == 127 ? '?' : *c; // what a program calls itself goes to a terminal
    }
    out->address = address;
    out->pid = (int)guest_member(g, address, TASK_PID);
    out->tgid = (int)guest_member(g, address, TASK_TGID);
    out->ppid = (int)guest_member(g, guest_member(g, address, TASK_REAL_PARENT), TASK_TGID);
    out->state = state_letter(guest_member(g, address, TASK_STATE),
                              guest_member(g, address, TASK_EXIT_STATE));
    out->cr3 = root_of_mm(g, guest_member(g, address, TASK_MM));
    out->vruntime_ns = guest_member(g, address, TASK_VRUNTIME);
    out->nice = (int)guest_member(g, address, TASK_STATIC_PRIO) - NICE_0_PRIO;
    out->policy = (int)guest_member(g, address, TASK_POLICY);
    out->rt_priority = (int)guest_member(g, address, TASK_RT_PRIORITY);
    out->kernel_rsp = guest_member(g, address, TASK_KERNEL_SP);
    out->kernel_stack = guest_member(g, address, TASK_STACK);
    out->cpu = -1;
    for (unsigned i = 0; i < machine_cpu_count(g->machine); i++) {
        out->cpu = current_address(g, i) == address ? (int)i : out->cpu;
    }
    return true;
}

u64 guest_current_address(struct guest *g, unsigned cpu)
{
    return guest_begin(g) ? current_address(g, cpu) : 0;
}

u64 guest_task_number(struct guest *g, const struct machine *m, unsigned cpu)
{
    enum guest_task_identity identity;
    u64 key = guest_task_key(m, cpu, &identity);
    u64 address = g && identity == GUEST_TASK_BY_MEMORY ? guest_current_address(g, cpu) : 0;
    return address ? address : key;
}

u64 guest_current_place(struct guest *g, unsigned cpu)
{
    return g->kind == GUEST_LINUX && guest_begin(g) ? of_cpu(g, cpu, CURRENT) : 0;
}

bool guest_current(struct guest *g, unsigned cpu, struct guest_task *out)
{
    return guest_begin(g) && guest_read_task(g, current_address(g, cpu), out);
}

static int compare_tasks(const void *a, const void *b)
{
    const struct guest_task *x = a, *y = b;
    return x->pid < y->pid ? -1 : x->pid > y->pid;
}

// Calls fn for each task but the idle ones; stops when it returns false.
static void each_task(struct guest *g, bool (*fn)(struct guest *g, u64 task, void *ctx), void *ctx)
{
    u64 node, thread;
    struct guest_list leaders =
        guest_list_begin(guest_member_address(g, g->symbol[INIT_TASK], TASK_TASKS));
    while ((node = guest_list_next(g, &leaders)) != 0) {
        u64 leader = guest_container(g, node, TASK_TASKS);
        u64 signal = guest_member(g, leader, TASK_SIGNAL);
        struct guest_list threads =
            guest_list_begin(guest_member_address(g, signal, SIGNAL_THREAD_HEAD));
        bool met_leader = false;
        while (signal && (thread = guest_list_next(g, &threads)) != 0) {
            u64 task = guest_container(g, thread, TASK_THREAD_NODE);
            met_leader |= task == leader;
            if (!fn(g, task, ctx)) {
                return;
            }
        }
        if (!met_leader && !fn(g, leader, ctx)) { // a zombie has left its thread list
            return;
        }
    }
}

struct task_collection {
    struct guest_task *out;
    unsigned room, count;
};

static bool collect_task(struct guest *g, u64 address, void *ctx)
{
    struct task_collection *c = ctx;
    struct guest_task task;
    if (!guest_read_task(g, address, &task)) {
        return false; // the list has left the kernel's memory
    }
    if (c->count < c->room) {
        c->out[c->count] = task;
    }
    c->count++;
    return true;
}

unsigned guest_tasks(struct guest *g, struct guest_task *out, unsigned room)
{
    struct task_collection c = {out, room, 0};
    if (!guest_begin(g)) {
        return 0;
    }
    each_task(g, collect_task, &c);
    qsort(out, c.count < room ? c.count : room, sizeof(*out), compare_tasks);
    return c.count;
}

static bool match_pid(struct guest *g, u64 address, void *ctx)
{
    struct guest_task *wanted = ctx, task;
    if (guest_read_task(g, address, &task) && task.pid == wanted->pid) {
        *wanted = task;
        return false;
    }
    return true;
}

bool guest_task_by_pid(struct guest *g, int pid, struct guest_task *out)
{
    *out = (struct guest_task){.pid = pid};
    if (!guest_begin(g)) {
        return false;
    }
    if (pid == 0) {
        return guest_read_task(g, g->symbol[INIT_TASK], out);
    }
    each_task(g, match_pid, out);
    return out->address != 0;
}

// --- run queues

static void queue_task(struct guest *g, u64 address, bool running, struct guest_queued *out,
                       unsigned room, unsigned *count)
{
    struct guest_queued q = {.running = running};
    if (!guest_read_task(g, address, &q.task)) {
        return;
    }
    q.vruntime_ns = q.task.vruntime_ns;
    if (*count < room) {
        out[*count] = q;
    }
    (*count)++;
}

static u64 leftmost(struct guest *g, u64 node)
{
    u64 left;
    while (node && guest_step(g) && (left = guest_member(g, node, RB_LEFT)) != 0) {
        node = left;
    }
    return node;
}

static u64 tree_next(struct guest *g, u64 node)
{
    u64 right = guest_member(g, node, RB_RIGHT);
    if (right) {
        return leftmost(g, right);
    }
    u64 parent;
    // Linux keeps the node's colour in the low bits.
    while (guest_step(g) && (parent = guest_member(g, node, RB_PARENT) & ~UINT64_C(3)) != 0) {
        if (guest_member(g, parent, RB_RIGHT) != node) {
            return parent;
        }
        node = parent;
    }
    return 0;
}

static void queue_rt(struct guest *g, u64 rq, u64 running, struct guest_queued *out, unsigned room,
                     unsigned *count)
{
    u64 queues = g->members[RQ_RT_QUEUES].size / g->size[SIZE_LIST_HEAD];
    for (u64 i = 0; i < queues && i < RT_PRIORITIES_MAX; i++) {
        struct guest_list queue = guest_list_begin(guest_member_address(g, rq, RQ_RT_QUEUES) +
                                                   i * g->size[SIZE_LIST_HEAD]);
        u64 node;
        while ((node = guest_list_next(g, &queue)) != 0) {
            u64 task = guest_container(g, node, TASK_RT_NODE);
            if (task != running) {
                queue_task(g, task, false, out, room, count);
            }
        }
    }
}

// A tree of what wants to run, in order. Of Linux's entities some are groups with a tree of their
// own.
static void queue_tree(struct guest *g, u64 root, unsigned depth, struct guest_queued *out,
                       unsigned room, unsigned *count)
{
    u64 node = leftmost(g, root);
    while (node && guest_step(g)) {
        u64 entity = guest_container(g, node, SE_NODE);
        u64 group = guest_has(g, SE_GROUP) ? guest_member(g, entity, SE_GROUP) : 0;
        if (!group) {
            queue_task(g, guest_container(g, node, TASK_SE_NODE), false, out, room, count);
        } else if (depth < GROUPS_DEPTH_MAX) {
            queue_tree(g, guest_member(g, group, CFS_TREE), depth + 1, out, room, count);
        }
        node = tree_next(g, node);
    }
}

unsigned guest_run_queue(struct guest *g, unsigned cpu, struct guest_queued *out, unsigned room)
{
    unsigned count = 0;
    if (!guest_begin(g) || !guest_has(g, RQ_CURR)) {
        return 0;
    }
    u64 rq = g->kind == GUEST_LINUX ? of_cpu(g, cpu, RUNQUEUES)
                                    : g->symbol[RUNQUEUES] + cpu * g->size[SIZE_RUN_QUEUE];
    u64 running = guest_member(g, rq, RQ_CURR);
    queue_task(g, running, true, out, room, &count);
    queue_rt(g, rq, running, out, room, &count);
    queue_tree(g, guest_member(g, rq, RQ_TREE), 0, out, room, &count);
    return count;
}
