// SPDX-License-Identifier: MIT
// Stop replies: what gdb is told of why the guest stands still, or has ended.
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
    s->general = s->follow ? s->follow : thread_of_cpu(s->target, stop->cpu).tid;
    s->reported = s->general;
    reply_text(s, "thread:"); // gdb takes it for chosen, without another Hg
    reply_thread(s, s->general);
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

// Which thread stands for the CPU from now on.
static void choose_thread(struct gdb_server *s, const struct target_stop *stop)
{
    s->follow = stop->kind == TARGET_STOP_STEP ? s->stepping : 0;
    struct gdb_thread thread = thread_of_cpu(s->target, stop->cpu);
    if (s->follow && thread.tid != s->ran) {
        server_note(s,
                    "another task runs now: %s, pid %d; while it steps, gdb goes on calling it "
                    "thread %lld",
                    thread.has_task ? thread.task.comm : "none", thread.task.pid,
                    (long long)s->follow);
    }
    s->follow = s->follow == thread.tid ? 0 : s->follow;
}

void resumed_reply(struct gdb_server *s, const struct target_stop *stop)
{
    bool ended = stop->kind == TARGET_STOP_EXIT;
    if (ended && at_end_again(s, stop)) {
        exit_reply(s, &stop->result);
        return;
    }
    if (!gdb_knows_why(s, stop)) {
        server_note(s, "%s", stop->text);
    }
    choose_thread(s, stop);
    s->told_end = ended;
    s->end_step = stop->step;
    server_send_notes(s);
    stop_reply(s, stop);
}
