// SPDX-License-Identifier: MIT
// Matching entries and returns. A new task shows itself by coming back from a fork that it never
// made; its pid is what the parent's call returns, what the kernel stored for it, or what it is
// told by gettid().
#include "trace/tasks.h"

#include "base/memory.h"
#include "trace/tasks_internal.h"

#include <stdlib.h>

#define CLONE_VM 0x100u
#define CLONE_PARENT_SETTID 0x100000u
#define CLONE_CHILD_SETTID 0x1000000u

// Where gregs[] lies in struct ucontext, and two of its indices (sys/ucontext.h).
#define UCONTEXT_GREGS 40
#define GREG_RAX 13
#define GREG_RIP 16

static bool read_current(void *ctx, u64 address, void *out, u64 size)
{
    const struct tasks *ts = ctx;
    return cpu_debug_read(machine_cpu(ts->m, ts->cpu), address, out, size);
}

bool tasks_read(struct tasks *ts, u64 address, void *out, u64 size)
{
    return read_current(ts, address, out, size);
}

u64 tasks_stack(struct tasks *ts)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(ts->m, ts->cpu), &regs);
    return regs.gpr[CPU_RSP];
}

struct tasks *tasks_create(struct machine *m)
{
    struct tasks *ts = xcalloc(1, sizeof(*ts));
    ts->m = m;
    for (unsigned i = 0; i < CPUS_MAX; i++) {
        ts->cpus[i].task = -1;
    }
    return ts;
}

void tasks_destroy(struct tasks *ts)
{
    free(ts);
}

void tasks_listen(struct tasks *ts, const struct task_listener *listener)
{
    if (ts->listener_count < LISTENERS_MAX) {
        ts->listeners[ts->listener_count++] = *listener;
    }
}

struct task *tasks_get(struct tasks *ts, unsigned index)
{
    return &ts->all[index];
}

void tasks_look_from(struct tasks *ts, unsigned cpu)
{
    ts->cpu = cpu;
}

struct machine *tasks_machine(const struct tasks *ts)
{
    return ts->m;
}

struct task *tasks_current(struct tasks *ts, unsigned cpu)
{
    return cpu < CPUS_MAX && ts->cpus[cpu].task >= 0 ? &ts->all[ts->cpus[cpu].task] : NULL;
}

unsigned tasks_live(const struct tasks *ts)
{
    return ts->live;
}

// The task with this key; of several (a parent that waits for its vfork child), the youngest that
// lives.
static struct task *find(struct tasks *ts, u64 key)
{
    struct task *found = NULL;
    for (unsigned i = 0; i < ts->top; i++) {
        struct task *t = &ts->all[i];
        if (t->used && t->key == key &&
            (!found || found->ended > t->ended ||
             (found->ended == t->ended && found->born < t->born))) {
            found = t;
        }
    }
    return found;
}

struct task *tasks_find(struct tasks *ts, u64 key)
{
    struct task *t = find(ts, key);
    return t && !t->ended ? t : NULL;
}

struct task *tasks_running(struct tasks *ts, unsigned cpu)
{
    return tasks_find(ts, guest_task_key(ts->m, cpu, &ts->identity));
}

static void end_task(struct tasks *ts, struct task *t)
{
    if (!t->ended) {
        t->ended = true;
        ts->live--;
    }
}

void tasks_end(struct tasks *ts, struct task *t, const struct task_end *end)
{
    for (unsigned i = 0; !t->ended && i < ts->listener_count; i++) {
        if (ts->listeners[i].ended) {
            ts->listeners[i].ended(ts->listeners[i].ctx, t, end);
        }
    }
    t->in_call = false;
    end_task(ts, t);
}

// A slot for a task with this key: that of an ended one with it, a free one, or the one that was
// seen longest ago.
static struct task *add(struct tasks *ts, u64 key)
{
    struct task *t = find(ts, key);
    t = t && (t->ended || ts->identity == GUEST_TASK_BY_STACK) ? t : NULL;
    struct task *stalest = &ts->all[0];
    for (unsigned i = 0; !t && i < ts->top; i++) {
        stalest = ts->all[i].seen < stalest->seen ? &ts->all[i] : stalest;
    }
    t = t || ts->top == TASKS_MAX ? t : &ts->all[ts->top];
    t = t ? t : stalest;
    if (t->used) {
        end_task(ts, t);
    }
    *t = (struct task){.used = true,
                       .key = key,
                       .child = -1,
                       .parent = -1,
                       .index = (unsigned)(t - ts->all),
                       .leader = (unsigned)(t - ts->all),
                       .born = ++ts->clock};
    ts->top = t->index >= ts->top ? t->index + 1 : ts->top;
    ts->live++;
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].born(ts->listeners[i].ctx, t);
    }
    return t;
}

void tasks_set_pid(struct tasks *ts, struct task *t, int pid)
{
    if (t->pid || pid <= 0) {
        return;
    }
    t->pid = pid;
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].named(ts->listeners[i].ctx, t);
    }
}

bool tasks_is_fork(u64 number)
{
    return number == NR_FORK || number == NR_VFORK || number == NR_CLONE || number == NR_CLONE3;
}

// The stack pointer a child of this call starts with.
static u64 child_rsp(struct tasks *ts, const struct task *t)
{
    const struct syscall_view *call = &t->call;
    u64 stack[2] = {0, 0};
    if (call->number == NR_CLONE && call->arg[1]) {
        return call->arg[1];
    }
    if (call->number == NR_CLONE3 && read_current(ts, call->arg[0] + 40, stack, sizeof(stack)) &&
        stack[0]) {
        return stack[0] + stack[1];
    }
    return t->user_rsp;
}

// Where the kernel stores the pid in the child's memory, 0 if it was not asked to.
static u64 tid_address(const struct syscall_view *call)
{
    if (call->number == NR_CLONE && (call->arg[0] & CLONE_CHILD_SETTID)) {
        return call->arg[3];
    }
    if (call->number == NR_CLONE && (call->arg[0] & CLONE_PARENT_SETTID) &&
        (call->arg[0] & CLONE_VM)) {
        return call->arg[2];
    }
    return 0;
}

static int stored_pid(struct tasks *ts, u64 address)
{
    int pid = 0;
    return address && read_current(ts, address, &pid, sizeof(pid)) ? pid : 0;
}

static struct task *find_parent(struct tasks *ts, u64 rip, u64 rsp)
{
    for (unsigned i = 0; i < ts->top; i++) {
        struct task *t = &ts->all[i];
        if (t->used && t->in_call && !t->claimed && tasks_is_fork(t->call.number) &&
            t->return_rip == rip && child_rsp(ts, t) == rsp) {
            return t;
        }
    }
    return NULL;
}

static struct birth *find_birth(struct tasks *ts, u64 rip, u64 rsp)
{
    for (unsigned i = 0; i < BIRTHS_MAX; i++) {
        struct birth *b = &ts->births[(ts->next_birth + i) % BIRTHS_MAX]; // oldest first
        if (b->pid && b->rip == rip && b->rsp == rsp &&
            (!b->tid_address || stored_pid(ts, b->tid_address) == b->pid)) {
            return b;
        }
    }
    return NULL;
}

// A task comes to user mode that we do not know.
static void new_task(struct tasks *ts, u64 key, const struct cpu_regs *regs)
{
    struct task *parent = find_parent(ts, regs->rip, regs->gpr[CPU_RSP]);
    struct birth *birth = parent ? NULL : find_birth(ts, regs->rip, regs->gpr[CPU_RSP]);
    bool first = !ts->any;
    ts->any = true;
    struct task *t = add(ts, key);
    t->seen = ++ts->clock;
    t->cpu = ts->cpu;
    ts->cpus[ts->cpu].task = (int)t->index;
    if (parent) {
        parent->claimed = true;
        parent->child = (int)t->index;
        family_born(ts, t, parent, family_clone_flags(ts, &parent->call));
        tasks_set_pid(ts, t, stored_pid(ts, tid_address(&parent->call)));
    } else if (birth) {
        struct task *maker = &ts->all[birth->parent];
        family_born(ts, t, maker->born == birth->parent_born ? maker : NULL, birth->flags);
        tasks_set_pid(ts, t, birth->pid);
        birth->pid = 0;
    } else if (first) {
        family_name(ts, t, regs->gpr[CPU_RSP]);
        tasks_set_pid(ts, t, 1);
    }
}

static void fork_returned(struct tasks *ts, struct task *t)
{
    if (t->call.result <= 0) {
        return;
    }
    if (t->child >= 0) {
        tasks_set_pid(ts, &ts->all[t->child], (int)t->call.result);
    } else {
        struct birth *b = &ts->births[ts->next_birth];
        ts->next_birth = (ts->next_birth + 1) % BIRTHS_MAX;
        *b = (struct birth){.rip = t->return_rip,
                            .rsp = child_rsp(ts, t),
                            .tid_address = tid_address(&t->call),
                            .pid = (int)t->call.result,
                            .parent = (int)t->index,
                            .parent_born = t->born,
                            .flags = family_clone_flags(ts, &t->call)};
    }
}

// True if user mode starts in a signal handler whose frame resumes at the expected place or at the
// SYSCALL before it; then the interrupted RAX and RIP.
static bool signal_frame(struct tasks *ts, const struct cpu_regs *regs, u64 expected, u64 *rax,
                         u64 *rip)
{
    u64 gregs = regs->gpr[CPU_RDX] + UCONTEXT_GREGS;
    u64 frame_rax, frame_rip;
    if (regs->gpr[CPU_RDI] < 1 || regs->gpr[CPU_RDI] > 64 ||
        !read_current(ts, gregs + 8 * GREG_RAX, &frame_rax, 8) ||
        !read_current(ts, gregs + 8 * GREG_RIP, &frame_rip, 8) ||
        (frame_rip != expected && frame_rip != expected - 2 && frame_rip != expected + 1)) { // INT3
        return false;
    }
    *rax = frame_rax;
    *rip = frame_rip;
    return true;
}

static void tell_leave(struct tasks *ts, struct task *t, const struct probe_event *event, u64 rip,
                       u64 rax, bool handler)
{
    u64 number = t->call.number;
    bool exec = number == NR_EXECVE || number == NR_EXECVEAT;
    enum task_return how = TASK_RETURN;
    t->call.done = true;
    t->call.interrupted = handler && number != NR_RT_SIGRETURN;
    t->call.result = (s64)rax;
    if (rip == t->return_rip - 2 && number != NR_RT_SIGRETURN) { // back at the SYSCALL instruction
        how = TASK_RESTART;
        t->call.done = false;
    } else if (exec && rip != t->return_rip) {
        t->call.result = 0;
    }
    t->in_call = false;
    if (number == NR_GETTID || number == NR_SET_TID_ADDRESS || number == NR_GETPID) {
        tasks_set_pid(ts, t, (int)t->call.result);
    }
    family_before_leave(ts, t);
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].leave(ts->listeners[i].ctx, t, event, how);
    }
    family_after_leave(ts, t);
    if (tasks_is_fork(number)) {
        fork_returned(ts, t);
    }
}

// By memory, a task that comes back from these has another key than it went in with.
static struct task *find_rekeyed(struct tasks *ts, const struct cpu_regs *regs)
{
    struct task *found = NULL;
    for (unsigned i = 0; ts->identity == GUEST_TASK_BY_MEMORY && i < ts->top; i++) {
        struct task *t = &ts->all[i];
        u64 number = t->call.number;
        bool here = t->return_rip == regs->rip && t->user_rsp == regs->gpr[CPU_RSP];
        bool possible = number == NR_ARCH_PRCTL
                            ? here
                            : (number == NR_EXECVE || number == NR_EXECVEAT) && !here;
        if (t->used && !t->ended && t->in_call && possible && (!found || found->seen < t->seen)) {
            found = t;
        }
    }
    return found;
}

static void came_back(struct tasks *ts, const struct probe_event *event)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(ts->m, event->cpu), &regs);
    u64 key = guest_task_key(ts->m, event->cpu, &ts->identity);
    struct task *t = find(ts, key);
    bool child = t && t->in_call && tasks_is_fork(t->call.number) && regs.gpr[CPU_RAX] == 0;
    if (!t || t->ended) {
        struct task *rekeyed =
            find_parent(ts, regs.rip, regs.gpr[CPU_RSP]) ? NULL : find_rekeyed(ts, &regs);
        if (rekeyed) {
            rekeyed->key = key;
            t = rekeyed;
        }
    }
    u64 expected = t ? (t->in_call ? t->return_rip : t->entry_rip) : 0;
    bool reused = t && !t->in_call && regs.rip != expected && regs.gpr[CPU_RAX] == 0 &&
                  find_parent(ts, regs.rip, regs.gpr[CPU_RSP]);
    if (!t || t->ended || reused || child) {
        new_task(ts, key, &regs);
        return;
    }
    ts->cpus[event->cpu].task = (int)t->index;
    t->seen = ++ts->clock;
    t->cpu = event->cpu;
    u64 rax = regs.gpr[CPU_RAX], rip = regs.rip;
    bool exec = t->in_call && (t->call.number == NR_EXECVE || t->call.number == NR_EXECVEAT);
    bool handler = rip != expected && !exec && signal_frame(ts, &regs, expected, &rax, &rip);
    if (t->in_call) {
        tell_leave(ts, t, event, rip, rax, handler);
    }
    if (handler) {
        struct task_signal signal = {.number = (int)regs.gpr[CPU_RDI],
                                     .siginfo = regs.gpr[CPU_RSI]};
        struct child_signal told;
        family_signal(ts, t, &signal, &told);
        for (unsigned i = 0; i < ts->listener_count; i++) {
            ts->listeners[i].signal(ts->listeners[i].ctx, t, &signal);
        }
    } else {
        family_in_user_mode(ts, t);
    }
}

static void fill_call(struct tasks *ts, struct task *t, const struct cpu_regs *regs)
{
    t->call = (struct syscall_view){
        .number = regs->gpr[CPU_RAX],
        .row = syscall_row(regs->gpr[CPU_RAX]),
        .arg = {regs->gpr[CPU_RDI], regs->gpr[CPU_RSI], regs->gpr[CPU_RDX], regs->gpr[10],
                regs->gpr[CPU_R8], regs->gpr[9]},
        .rsp = regs->gpr[CPU_RSP],
        .read = read_current,
        .ctx = ts,
    };
    t->call.row = t->call.row ? t->call.row : syscall_row_unknown();
    t->in_call = true;
    t->claimed = false;
    t->child = -1;
    t->call_steps = 0;
    t->entered_ns = vclock_ns(machine_clock(ts->m));
    t->return_rip = regs->gpr[CPU_RCX];
    if (t->call.number == NR_RT_SIGRETURN) { // back to what the signal interrupted
        u64 rip = regs->gpr[CPU_RSP] + UCONTEXT_GREGS + 8 * GREG_RIP;
        tasks_read(ts, rip, &t->return_rip, sizeof(t->return_rip));
    }
    t->user_rsp = regs->gpr[CPU_RSP];
}

static void went_in(struct tasks *ts, const struct probe_event *event)
{
    u64 key = guest_task_key(ts->m, event->cpu, &ts->identity);
    struct task *t = find(ts, key);
    if (!t || t->ended) {
        ts->any = true;
        t = add(ts, key);
    }
    t->seen = ++ts->clock;
    t->cpu = event->cpu;
    ts->cpus[event->cpu].task = (int)t->index;
    ts->cpus[event->cpu].since = event->step;
    ts->cpus[event->cpu].call = event->cause == TRANSITION_SYSCALL;
    if (event->cause != TRANSITION_SYSCALL) {
        t->in_call = false;
        t->entry_rip = event->rip;
        return;
    }
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(ts->m, event->cpu), &regs);
    fill_call(ts, t, &regs);
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].enter(ts->listeners[i].ctx, t, event);
    }
    if (t->call.number == NR_EXIT || t->call.number == NR_EXIT_GROUP) {
        family_exits(ts, t, t->call.number == NR_EXIT_GROUP, (int)t->call.arg[0] & 255);
    }
}

// The kernel worked since the last ring crossing: for the call that was entered.
static void charge(struct tasks *ts, const struct probe_event *event)
{
    if (ts->cpus[event->cpu].call) {
        struct task *t = &ts->all[ts->cpus[event->cpu].task];
        t->call_steps += event->step - ts->cpus[event->cpu].since;
        ts->cpus[event->cpu].call = false;
    }
}

void tasks_transition(struct tasks *ts, const struct probe_event *event)
{
    ts->cpu = event->cpu;
    ts->step = event->step;
    if (event->cpu >= CPUS_MAX) {
        return;
    }
    if (event->from_cpl == 3 && event->to_cpl < 3) {
        went_in(ts, event);
    } else if (event->to_cpl == 3 && event->from_cpl < 3) {
        charge(ts, event);
        came_back(ts, event);
    }
}
