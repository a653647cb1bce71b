// SPDX-License-Identifier: MIT
// Everything that makes the guest run, forwards or back.
#include "gdbstub/server_internal.h"

static void begin_running(struct gdb_server *s)
{
    s->busy = true;
    s->interrupted = false;
}

static void end_running(struct gdb_server *s)
{
    s->stepping = 0;
    s->busy = false;
    s->interrupted = false;
}

// A step is the CPU's, whichever task that runs then; the other CPUs go on by the schedule. Unless
// "monitor steps task" was asked for.
static const struct target_stop *step_cpu(struct gdb_server *s, enum target_direction direction)
{
    enum target_unit unit = s->own_steps ? TARGET_OWN : TARGET_INSTRUCTION;
    return target_move(s->target, direction, unit, 1);
}

// The thread about to be stepped, if it is one that runs.
static void note_stepping(struct gdb_server *s, s64 tid)
{
    struct gdb_thread thread;
    tid = tid > 0 ? tid : s->general;
    if (server_find(s, tid, &thread) && thread.runs) {
        target_select_cpu(s->target, thread.cpu);
        s->cpu = thread.cpu;
        s->stepping = thread.tid;
        s->ran = thread_of_cpu(s->target, s->cpu).tid;
    }
}

// Forward until the thread runs; returns the stop that came before, NULL if it runs.
static const struct target_stop *run_until_thread(struct gdb_server *s, s64 tid)
{
    struct gdb_thread thread;
    while (server_find(s, tid, &thread) && !thread.runs) {
        const struct target_stop *stop = target_move(s->target, TARGET_FORWARD, TARGET_SWITCH, 1);
        if (stop->kind != TARGET_STOP_STEP) {
            return stop;
        }
    }
    return NULL;
}

static const struct target_stop *step_thread(struct gdb_server *s, s64 tid)
{
    const struct target_stop *stop = run_until_thread(s, tid);
    if (stop) {
        return stop;
    }
    note_stepping(s, tid);
    return step_cpu(s, TARGET_FORWARD);
}

// vCont;r: steps while RIP is in begin..end, over interrupts and faults.
static const struct target_stop *step_range(struct gdb_server *s, s64 tid, u64 begin, u64 end)
{
    const struct target_stop *stop = run_until_thread(s, tid);
    if (stop) {
        return stop;
    }
    note_stepping(s, tid);
    struct cpu_regs regs;
    do {
        stop = target_move(s->target, TARGET_FORWARD, TARGET_OWN, 1);
        s->cpu = stop->cpu;
        target_get_regs(s->target, s->cpu, &regs);
    } while (stop->kind == TARGET_STOP_STEP && regs.rip >= begin && regs.rip < end &&
             !gdb_server_cancel(s));
    return stop;
}

static void run_to_reply(struct gdb_server *s, const struct target_stop *stop)
{
    resumed_reply(s, stop);
    end_running(s);
}

static void go_on(struct gdb_server *s, enum target_direction direction)
{
    begin_running(s);
    run_to_reply(s, target_continue(s->target, direction));
}

// The signal that gdb passes on: that of the stop was made for a fault, which the guest has anyway.
static void pass_signal(struct gdb_server *s, u64 signal)
{
    if (signal && signal != stop_signal(s, target_last_stop(s->target)) && !s->told_signals) {
        s->told_signals = true;
        server_note(s, "a whole machine takes no signals; it goes on without");
    }
}

// "c [addr]", "s [addr]": another address would be a write nobody sees.
static bool without_address(struct gdb_server *s, struct packet_args *a)
{
    if (!packet_end(a)) {
        reply_error(s, GDB_ERROR_INVALID);
        return false;
    }
    return true;
}

void packet_continue(struct gdb_server *s, struct packet_args *a)
{
    if (without_address(s, a)) {
        go_on(s, TARGET_FORWARD);
    }
}

static bool take_signal(struct gdb_server *s, struct packet_args *a)
{
    u64 signal;
    if (!packet_hex(a, &signal)) {
        reply_error(s, GDB_ERROR_INVALID);
        return false;
    }
    pass_signal(s, signal);
    return true;
}

void packet_continue_signal(struct gdb_server *s, struct packet_args *a)
{
    if (take_signal(s, a)) {
        packet_continue(s, a);
    }
}

void packet_step(struct gdb_server *s, struct packet_args *a)
{
    if (without_address(s, a)) {
        begin_running(s);
        run_to_reply(s, step_thread(s, s->resumed));
    }
}

void packet_step_signal(struct gdb_server *s, struct packet_args *a)
{
    if (take_signal(s, a)) {
        packet_step(s, a);
    }
}

void packet_reverse_step(struct gdb_server *s, struct packet_args *a)
{
    begin_running(s);
    note_stepping(s, s->resumed);
    run_to_reply(s, step_cpu(s, TARGET_BACK));
}

void packet_reverse_continue(struct gdb_server *s, struct packet_args *a)
{
    go_on(s, TARGET_BACK);
}

// --- vCont -----------------------------------------------------------------------------------
struct action {
    char kind; // c s r
    u64 begin, end;
    s64 tid; // THREAD_ALL: every thread that no other action names
};

static bool parse_action(struct gdb_server *s, struct packet_args *a, struct action *out)
{
    u64 signal;
    *out = (struct action){.tid = THREAD_ALL};
    if (packet_skip(a, 'C') || packet_skip(a, 'S')) {
        out->kind = a->at[-1] == 'C' ? 'c' : 's';
        if (!packet_hex(a, &signal)) {
            return false;
        }
        pass_signal(s, signal);
    } else if (packet_skip(a, 'c') || packet_skip(a, 's')) {
        out->kind = (char)a->at[-1];
    } else if (packet_skip(a, 'r')) {
        out->kind = 'r';
        if (!packet_address_length(a, &out->begin, &out->end)) {
            return false;
        }
    } else {
        return false;
    }
    if (packet_skip(a, ':')) {
        return packet_thread(a, &out->tid);
    }
    return true;
}

// All CPUs always run by the machine's schedule; the action that steps says when to stop.
void packet_vcont(struct gdb_server *s, struct packet_args *a)
{
    struct action chosen = {0}, action;
    while (packet_skip(a, ';')) {
        if (packet_end(a) || !parse_action(s, a, &action)) {
            chosen.kind = 0;
            break;
        }
        bool first = !chosen.kind || (chosen.kind == 'c' && action.kind != 'c');
        chosen = first ? action : chosen;
    }
    if (!packet_end(a) || !chosen.kind) {
        reply_error(s, GDB_ERROR_INVALID);
        return;
    }
    begin_running(s);
    const struct target_stop *stop;
    if (chosen.kind == 'c') {
        stop = target_continue(s->target, TARGET_FORWARD);
    } else if (chosen.kind == 's') {
        stop = step_thread(s, chosen.tid);
    } else {
        stop = step_range(s, chosen.tid, chosen.begin, chosen.end);
    }
    run_to_reply(s, stop);
}

void packet_vcont_query(struct gdb_server *s, struct packet_args *a)
{
    reply_text(s, "vCont;c;C;s;S;t;r");
}

// --- the target's life -----------------------------------------------------------------------
void packet_why(struct gdb_server *s, struct packet_args *a)
{
    if (s->killed) {
        reply_text(s, "W00");
        return;
    }
    stop_reply(s, target_last_stop(s->target));
}

void packet_extended(struct gdb_server *s, struct packet_args *a)
{
    s->extended = true;
    reply_ok(s);
}

static const struct target_stop *start_again(struct gdb_server *s)
{
    s->killed = s->exited = s->told_end = false;
    s->follow = 0;
    begin_running(s);
    target_seek(s->target, timeline_begin(target_timeline(s->target)));
    end_running(s);
    return target_last_stop(s->target);
}

void packet_run(struct gdb_server *s, struct packet_args *a)
{
    stop_reply(s, start_again(s));
}

void packet_restart(struct gdb_server *s, struct packet_args *a)
{
    start_again(s);
    s->no_reply = true;
}

void packet_attach(struct gdb_server *s, struct packet_args *a)
{
    s->killed = s->exited = false;
    stop_reply(s, target_last_stop(s->target));
}

// In extended mode the target may be started again: it ends only when gdb goes.
void packet_vkill(struct gdb_server *s, struct packet_args *a)
{
    reply_ok(s);
    s->killed = true;
    if (!s->extended) {
        server_finish(s, GDB_KILLED);
    }
}

void packet_kill(struct gdb_server *s, struct packet_args *a)
{
    s->no_reply = true;
    s->killed = true;
    if (!s->extended) {
        server_finish(s, GDB_KILLED);
    }
}

void packet_detach(struct gdb_server *s, struct packet_args *a)
{
    reply_ok(s);
    server_finish(s, GDB_DETACHED);
}
