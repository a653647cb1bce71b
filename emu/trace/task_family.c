// SPDX-License-Identifier: MIT
// Processes and their parents. A signal that no handler takes leaves no trace in the guest's
// memory; SIGCHLD by default and deaths by signal are told here from the calls around them.
#include "trace/tasks_internal.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define CLONE_THREAD 0x10000u
#define UCONTEXT_SIGMASK 296

u64 family_clone_flags(struct tasks *ts, const struct syscall_view *call)
{
    u64 flags = 0;
    if (call->number == NR_CLONE) {
        return call->arg[0];
    }
    return call->number == NR_CLONE3 && tasks_read(ts, call->arg[0], &flags, 8) ? flags : 0;
}

void family_born(struct tasks *ts, struct task *t, struct task *maker, u64 flags)
{
    if (!maker) {
        return;
    }
    for (unsigned i = 0; i < ts->listener_count; i++) {
        if (ts->listeners[i].forked) {
            ts->listeners[i].forked(ts->listeners[i].ctx, t, maker);
        }
    }
    t->uid = maker->uid;
    snprintf(t->name, sizeof(t->name), "%s", maker->name);
    t->blocked = maker->blocked;
    t->ignores_children = maker->ignores_children;
    t->child_ignored = maker->child_ignored;
    if (flags & CLONE_THREAD) {
        t->leader = maker->leader;
        t->parent = ts->all[maker->leader].parent;
        t->parent_born = ts->all[maker->leader].parent_born;
    } else {
        t->parent = (int)maker->leader;
        t->parent_born = ts->all[maker->leader].born;
    }
}

// The words behind the arguments and the environment: AT_EXECFN of the auxiliary vector points at
// the program's path (getauxval(3)).
static u64 program_path(struct tasks *ts, u64 rsp)
{
    u64 pair[2], at = rsp + 8;
    for (unsigned ends = 0; ends < 2; at += 8) {
        if (at - rsp > 65536 || !tasks_read(ts, at, pair, 8)) {
            return 0;
        }
        ends += !pair[0];
    }
    for (unsigned i = 0; i < 64 && tasks_read(ts, at + i * 16, pair, 16) && pair[0]; i++) {
        if (pair[0] == AT_EXECFN) {
            return pair[1];
        }
    }
    return 0;
}

void family_name(struct tasks *ts, struct task *t, u64 rsp)
{
    char path[256] = "";
    u64 address = program_path(ts, rsp);
    for (size_t i = 0; address && i + 1 < sizeof(path); i++) {
        if (!tasks_read(ts, address + i, &path[i], 1) || !path[i]) {
            break;
        }
    }
    path[sizeof(path) - 1] = '\0';
    const char *slash = strrchr(path, '/');
    snprintf(t->name, 16, "%s", slash ? slash + 1 : path); // TASK_COMM_LEN
}

// One SIGCHLD at a time is pending, and tells of the first child.
static void tell_parent(struct tasks *ts, const struct task *leader, const struct task_end *end)
{
    if (leader->parent < 0 || ts->all[leader->parent].born != leader->parent_born) {
        return;
    }
    struct task *parent = &ts->all[leader->parent];
    struct child_signal *signal =
        parent->ignores_children ? &parent->handled_child : &parent->child_signal;
    if (!parent->ended && !parent->child_ignored && !signal->waits) {
        *signal = (struct child_signal){.waits = true,
                                        .killed = end->killed,
                                        .pid = leader->pid,
                                        .value = end->value,
                                        .uid = leader->uid};
    }
}

static bool has_thread(const struct tasks *ts, const struct task *leader)
{
    for (unsigned i = 0; i < ts->top; i++) {
        const struct task *t = &ts->all[i];
        if (t->used && !t->ended && t->leader == leader->index) {
            return true;
        }
    }
    return false;
}

void family_exits(struct tasks *ts, struct task *t, bool whole_process, int status)
{
    struct task *leader = &ts->all[t->leader];
    struct task_end end = {.value = status, .other = true};
    for (unsigned i = 0; whole_process && i < ts->top; i++) {
        struct task *thread = &ts->all[i];
        if (thread->used && !thread->ended && thread != t && thread->leader == t->leader) {
            tasks_end(ts, thread, &end);
        }
    }
    end.other = false;
    tasks_end(ts, t, &end);
    if (!has_thread(ts, leader)) {
        tell_parent(ts, leader, &end);
    }
}

static struct task *by_pid(struct tasks *ts, int pid)
{
    for (unsigned i = 0; i < ts->top; i++) {
        struct task *t = &ts->all[i];
        if (t->used && !t->ended && t->pid == pid) {
            return t;
        }
    }
    return NULL;
}

// A signal took it out of a call, as a tracer inside would have seen.
static void interrupt_call(struct tasks *ts, struct task *t)
{
    const struct vclock *clock = machine_clock(ts->m);
    struct probe_event event = {.step = ts->step,
                                .vtime_ns = vclock_ns(clock),
                                .cpu = (u8)t->cpu,
                                .kind = PROBE_transition};
    t->call.done = true;
    t->call.interrupted = true;
    t->call.result = -EINTR;
    t->in_call = false;
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].leave(ts->listeners[i].ctx, t, &event, TASK_RETURN);
    }
}

// A parent learns of a death that its process showed no call for.
static void found_dead(struct tasks *ts, int pid, int signal)
{
    struct task *leader = by_pid(ts, pid);
    struct task_end end = {.killed = true, .value = signal};
    if (!leader) {
        return;
    }
    if (signal != SIGKILL && leader->in_call) {
        interrupt_call(ts, leader);
    }
    if (signal != SIGKILL && leader->sent == signal) {
        struct task_signal told = {.number = signal, .sender = leader->sent_by};
        for (unsigned i = 0; i < ts->listener_count; i++) {
            ts->listeners[i].signal(ts->listeners[i].ctx, leader, &told);
        }
    }
    for (unsigned i = 0; i < ts->top; i++) {
        struct task *t = &ts->all[i];
        if (t->used && !t->ended && t->leader == leader->index && t != leader) {
            tasks_end(ts, t, &end);
        }
    }
    tasks_end(ts, leader, &end);
    tell_parent(ts, leader, &end);
}

void family_before_leave(struct tasks *ts, struct task *t)
{
    const struct syscall_view *call = &t->call;
    int status;
    if (call->number == NR_WAIT4 && call->done && call->result > 0 && call->arg[1] &&
        tasks_read(ts, call->arg[1], &status, sizeof(status)) && WIFSIGNALED(status)) {
        found_dead(ts, (int)call->result, WTERMSIG(status));
    }
}

void family_signal(struct tasks *ts, struct task *t, struct task_signal *signal,
                   struct child_signal *child)
{
    siginfo_t si;
    struct task *leader = &ts->all[t->leader];
    bool filled = tasks_read(ts, signal->siginfo, &si, sizeof(si)) && si.si_signo == signal->number;
    if (signal->number == SIGCHLD) {
        *child = leader->handled_child;
        leader->handled_child.waits = false;
        signal->child = !filled && child->waits ? child : NULL;
        if (filled && (si.si_code == CLD_KILLED || si.si_code == CLD_DUMPED)) {
            found_dead(ts, si.si_pid, si.si_status);
        }
    } else if (!filled && leader->sent == signal->number) {
        signal->sender = leader->sent_by;
    }
}

static void set_action(struct tasks *ts, struct task *t)
{
    u64 handler;
    if ((int)t->call.arg[0] != SIGCHLD || !t->call.arg[1] ||
        !tasks_read(ts, t->call.arg[1], &handler, sizeof(handler))) {
        return;
    }
    for (unsigned i = 0; i < ts->top; i++) {
        struct task *thread = &ts->all[i];
        if (thread->used && thread->leader == t->leader) {
            thread->ignores_children = handler != 0;
            thread->child_ignored = handler == 1;
        }
    }
}

static void set_mask(struct tasks *ts, struct task *t)
{
    u64 set;
    if (!t->call.arg[1] || !tasks_read(ts, t->call.arg[1], &set, sizeof(set))) {
        return;
    }
    int how = (int)t->call.arg[0];
    t->blocked = how == SIG_BLOCK ? t->blocked | set : how == SIG_UNBLOCK ? t->blocked & ~set : set;
}

static void set_name(struct tasks *ts, struct task *t)
{
    char name[16];
    if ((int)t->call.arg[0] == PR_SET_NAME && tasks_read(ts, t->call.arg[1], name, sizeof(name))) {
        snprintf(t->name, sizeof(t->name), "%.15s", name);
    }
}

static void sent_signal(struct tasks *ts, struct task *t)
{
    bool group = t->call.number == NR_TGKILL;
    struct task *target = by_pid(ts, (int)t->call.arg[group ? 1 : 0]);
    if (target) {
        target->sent = (int)t->call.arg[group ? 2 : 1];
        target->sent_by = ts->all[t->leader].pid;
    }
}

void family_after_leave(struct tasks *ts, struct task *t)
{
    const struct syscall_view *call = &t->call;
    u64 mask;
    if (call->number == NR_RT_SIGRETURN) { // the frame's, whatever the interrupted call returned
        t->blocked = tasks_read(ts, call->rsp + UCONTEXT_SIGMASK, &mask, 8) ? mask : t->blocked;
        return;
    }
    if (!call->done || call->result < 0) {
        return;
    }
    switch (call->number) {
    case NR_RT_SIGACTION:
        set_action(ts, t);
        break;
    case NR_RT_SIGPROCMASK:
        set_mask(ts, t);
        break;
    case NR_EXECVE:
    case NR_EXECVEAT: // handlers do not survive
        family_name(ts, t, tasks_stack(ts));
        t->ignores_children = t->child_ignored;
        break;
    case NR_PRCTL:
        set_name(ts, t);
        break;
    case NR_SETUID:
        t->uid = (u32)call->arg[0];
        break;
    case NR_SETREUID:
    case NR_SETRESUID:
        t->uid = (u32)call->arg[0] == UINT32_MAX ? t->uid : (u32)call->arg[0];
        break;
    case NR_KILL:
    case NR_TKILL:
    case NR_TGKILL:
        sent_signal(ts, t);
        break;
    default:
        break;
    }
}

// Where a tracer of the process's own kernel would be told of the pending signal.
void family_in_user_mode(struct tasks *ts, struct task *t)
{
    struct task *leader = &ts->all[t->leader];
    struct child_signal child = leader->child_signal;
    if (!child.waits || (t->blocked >> (SIGCHLD - 1) & 1) || leader->ignores_children) {
        leader->child_signal.waits = child.waits && !leader->ignores_children;
        return;
    }
    leader->child_signal.waits = false;
    struct task_signal signal = {.number = SIGCHLD, .child = &child};
    for (unsigned i = 0; i < ts->listener_count; i++) {
        ts->listeners[i].signal(ts->listeners[i].ctx, t, &signal);
    }
}
