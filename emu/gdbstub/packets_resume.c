// SPDX-License-Identifier: MIT
// Everything that makes the guest run, forwards or back, and the stop replies it ends in.
#include "gdbstub/server_internal.h"

// Signals as gdb numbers them (gdb manual, "GDB signals").
enum {
    SIGNAL_INT = 2,
    SIGNAL_ILL = 4,
    SIGNAL_TRAP = 5,
    SIGNAL_ABORT = 6,
    SIGNAL_FPE = 8,
    SIGNAL_SEGV = 11,
    SIGNAL_TERM = 15
};

#define STATUS_GUEST_FAILED 125 // viv's own exit status when the guest waits for nothing

// --- stop replies ----------------------------------------------------------------------------
static unsigned vector_signal(s64 vector)
{
    switch (vector) {
    case 0:  // #DE
    case 16: // #MF
    case 19: // #XM
        return SIGNAL_FPE;
    case 6: // #UD
        return SIGNAL_ILL;
    case 13: // #GP
    case 14: // #PF
        return SIGNAL_SEGV;
    default:
        return SIGNAL_TRAP;
    }
}

unsigned stop_signal(const struct gdb_server *s, const struct target_stop *stop)
{
    switch (stop->kind) {
    case TARGET_STOP_CANCELLED:
        return SIGNAL_INT;
    case TARGET_STOP_STEP: // between two steps of a range
        return s->interrupted ? SIGNAL_INT : SIGNAL_TRAP;
    case TARGET_STOP_CATCH:
        if (stop->catches & TARGET_CATCH_FAULT) {
            return SIGNAL_SEGV;
        }
        return stop->catches & TARGET_CATCH_EXCEPTION ? vector_signal(stop->caught) : SIGNAL_TRAP;
    default:
        return SIGNAL_TRAP;
    }
}

static void watch_reason(struct gdb_server *s, u64 type, const struct target_stop *stop)
{
    static const char *const names[] = {[2] = "watch", [3] = "rwatch", [4] = "awatch"};
    reply_text(s, "%s:%llx;", names[type], (unsigned long long)stop->address);
}

static bool is_gdb_catch(const struct gdb_server *s, int number)
{
    for (unsigned i = 0; i < s->catch_count; i++) {
        if (s->catches[i] == number) {
            return true;
        }
    }
    return false;
}

// Why, as "name:value;". Only what gdb itself asked for is given a reason: it would silently go on
// from a breakpoint it does not know.
static void stop_reason(struct gdb_server *s, const struct target_stop *stop)
{
    const struct gdb_point *point = gdb_points_find(s, stop->number);
    switch (stop->kind) {
    case TARGET_STOP_BREAKPOINT:
        if (point && point->type <= 1 && s->swbreak) {
            reply_text(s, "%s:;", point->type ? "hwbreak" : "swbreak");
        }
        break;
    case TARGET_STOP_WATCHPOINT:
        if (point && point->type >= 2) {
            watch_reason(s, point->type, stop);
        }
        break;
    case TARGET_STOP_CATCH:
        if (is_gdb_catch(s, stop->number)) {
            reply_text(s, "%s:%llx;",
                       stop->catches & TARGET_CATCH_SYSCALL ? "syscall_entry" : "syscall_return",
                       (unsigned long long)stop->caught);
        }
        break;
    case TARGET_STOP_HISTORY_BEGIN:
        reply_text(s, "replaylog:begin;");
        break;
    case TARGET_STOP_HISTORY_END:
    case TARGET_STOP_EXIT:
        reply_text(s, "replaylog:end;");
        break;
    default:
        break;
    }
}

// The stop's thread and the registers gdb asks for at once.
static void stop_thread(struct gdb_server *s, const struct target_stop *stop)
{
    struct gdb_thread thread = thread_of_cpu(s->target, stop->cpu);
    s->general = thread.tid; // gdb takes it so, without another Hg
    reply_text(s, "thread:");
    reply_thread(s, thread.tid);
    reply_text(s, ";core:%x;", stop->cpu);
    struct cpu_regs regs;
    target_get_regs(s->target, stop->cpu, &regs);
    static const unsigned numbers[] = {6, 7}; // of RBP and RSP in registers.def
    static const unsigned gprs[] = {CPU_RBP, CPU_RSP};
    for (unsigned i = 0; i < 2; i++) {
        reply_text(s, "%02x:", numbers[i]);
        reply_hex(s, &regs.gpr[gprs[i]], 8);
        reply_text(s, ";");
    }
    reply_text(s, "10:");
    reply_hex(s, &regs.rip, 8);
    reply_text(s, ";");
}

void stop_reply(struct gdb_server *s, const struct target_stop *stop)
{
    s->cpu = stop->cpu;
    s->reply_size = 0;
    reply_text(s, "T%02x", stop_signal(s, stop));
    stop_reason(s, stop);
    stop_thread(s, stop);
}

// gdb is told of the guest's end as the end of history, so that it can still go back from there;
// only when it wants to go on from there is the guest gone.
static bool at_end_again(const struct gdb_server *s, const struct target_stop *stop)
{
    return s->told_end && stop->step == s->end_step;
}

static void exit_reply(struct gdb_server *s, const struct machine_result *result)
{
    s->reply_size = 0;
    switch (result->exit) {
    case MACHINE_EXIT_DEBUG_EXIT:
        reply_text(s, "W%02x", result->value & 0xFF);
        break;
    case MACHINE_EXIT_SHUTDOWN:
        reply_text(s, "X%02x", SIGNAL_ABORT);
        break;
    case MACHINE_EXIT_STUCK:
        reply_text(s, "W%02x", STATUS_GUEST_FAILED);
        break;
    case MACHINE_EXIT_HOST:
        reply_text(s, "X%02x", SIGNAL_TERM);
        break;
    default:
        reply_text(s, "W00");
        break;
    }
    if (s->multiprocess) {
        reply_text(s, ";process:%x", GDB_PID);
    }
    s->exited = s->killed = true;
    if (!s->extended) {
        server_finish(s, GDB_EXITED);
    }
}

static bool gdb_knows_why(const struct gdb_server *s, const struct target_stop *stop)
{
    switch (stop->kind) {
    case TARGET_STOP_BREAKPOINT:
    case TARGET_STOP_WATCHPOINT:
        return gdb_points_find(s, stop->number) != NULL;
    case TARGET_STOP_CATCH:
        return is_gdb_catch(s, stop->number);
    case TARGET_STOP_EXIT:
        return false;
    default:
        return true;
    }
}

// The answer to a resumption that ended in stop.
static void resumed_reply(struct gdb_server *s, const struct target_stop *stop)
{
    bool ended = stop->kind == TARGET_STOP_EXIT;
    if (ended && at_end_again(s, stop)) {
        exit_reply(s, &stop->result);
        return;
    }
    if (!gdb_knows_why(s, stop)) {
        server_note(s, "%s", stop->text);
    }
    s->told_end = ended;
    s->end_step = stop->step;
    server_send_notes(s);
    stop_reply(s, stop);
}

// --- resuming --------------------------------------------------------------------------------
static void begin_running(struct gdb_server *s)
{
    s->busy = true;
    s->interrupted = false;
}

static void end_running(struct gdb_server *s)
{
    s->busy = false;
    s->interrupted = false;
}

// A step is the machine's: the next state of the CPU that stopped, whichever task that is then;
// unless "monitor steps task" was asked for.
static const struct target_stop *step_cpu(struct gdb_server *s, enum target_direction direction)
{
    enum target_unit unit = s->own_steps ? TARGET_OWN : TARGET_INSTRUCTION;
    return target_move(s->target, direction, unit, 1);
}

// Forward until the thread runs; returns the stop that came before, NULL if it runs.
static const struct target_stop *run_until_thread(struct gdb_server *s, s64 tid)
{
    struct gdb_thread thread;
    while (thread_find(s->target, tid, s->cpu, &thread) && !thread.runs) {
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
    return stop ? stop : step_cpu(s, TARGET_FORWARD);
}

// vCont;r: steps while RIP is in begin..end, over interrupts and faults.
static const struct target_stop *step_range(struct gdb_server *s, s64 tid, u64 begin, u64 end)
{
    const struct target_stop *stop = run_until_thread(s, tid);
    if (stop) {
        return stop;
    }
    struct cpu_regs regs;
    do {
        stop = target_move(s->target, TARGET_FORWARD, TARGET_OWN, 1);
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
