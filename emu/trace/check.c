// SPDX-License-Identifier: MIT
// What an expression's fields mean, and its truth.
#include "trace/check.h"

#include "base/bits.h"
#include "base/memory.h"
#include "mmu/fault.h"
#include "trace/check_internal.h"
#include "trace/sink_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAULT BIT(CHECK_FAULT)
#define TRANSITION BIT(CHECK_TRANSITION)
#define SYSCALL_ BIT(CHECK_SYSCALL)
#define IRQ BIT(CHECK_IRQ)
#define SWITCH BIT(CHECK_SWITCH)
#define ANY (BIT(CHECK_EVENT_KINDS) - 1)
#define EVENTS (FAULT | TRANSITION | IRQ)

static struct check_value number(__int128 n)
{
    return (struct check_value){.known = true, .number = n};
}

static struct check_value word(const char *w)
{
    return (struct check_value){.known = w && *w, .is_word = true, .word = w ? w : ""};
}

#define READ_FIELD(name, expression)                                                               \
    static struct check_value read_##name(const struct check_event *e)                             \
    {                                                                                              \
        return expression;                                                                         \
    }

READ_FIELD(step, number(e->step))
READ_FIELD(vtime, number(e->vtime_ns))
READ_FIELD(cpu, number(e->cpu))
READ_FIELD(ring, number(e->event->from_cpl))
READ_FIELD(to_ring, number(e->event->to_cpl))
READ_FIELD(rip, number(e->event->rip))
READ_FIELD(cr3, number(e->event->cr3))
READ_FIELD(vector, number(e->event->vector))
READ_FIELD(error, number(e->event->error_code))
READ_FIELD(target, number(e->event->address))
READ_FIELD(cause, word(trace_cause_name(e->event->cause)))
READ_FIELD(address, number(e->event->address))
READ_FIELD(write, number((e->event->error_code & PF_WRITE) != 0))
READ_FIELD(fetch, number((e->event->error_code & PF_FETCH) != 0))
READ_FIELD(present, number((e->event->error_code & PF_PRESENT) != 0))
READ_FIELD(outcome, word(fault_outcome_name(e->outcome)))
READ_FIELD(extable, number(e->in_extable))
READ_FIELD(number, number(e->call->number))
READ_FIELD(result, ((struct check_value){.known = e->call->done, .number = e->call->result}))
READ_FIELD(failed, number(syscall_failed(e->call)))
READ_FIELD(error_number, number(syscall_failed(e->call) ? -e->call->result : 0))
READ_FIELD(returned, number(e->call->done))
READ_FIELD(duration, number(e->duration_ns))
READ_FIELD(arg0, number(e->call->arg[0]))
READ_FIELD(arg1, number(e->call->arg[1]))
READ_FIELD(arg2, number(e->call->arg[2]))
READ_FIELD(arg3, number(e->call->arg[3]))
READ_FIELD(arg4, number(e->call->arg[4]))
READ_FIELD(arg5, number(e->call->arg[5]))
READ_FIELD(from_pid, number(e->swtch->from.pid))
READ_FIELD(to_pid, number(e->swtch->to.pid))
READ_FIELD(from_comm, word(e->swtch->from.name))
READ_FIELD(to_comm, word(e->swtch->to.name))

static struct check_value read_pid(const struct check_event *e)
{
    return (struct check_value){.known = e->task.pid != 0, .number = e->task.pid};
}

static struct check_value read_comm(const struct check_event *e)
{
    return word(e->task.name);
}

static struct check_value read_name(const struct check_event *e)
{
    switch (e->kind) {
    case CHECK_SYSCALL:
        return word(e->call->row->name);
    case CHECK_TRANSITION:
        return word(e->event->cause == TRANSITION_EXCEPTION ? trace_exception_name(e->event->vector)
                                                            : trace_cause_name(e->event->cause));
    default:
        return word("");
    }
}

const struct check_field check_fields[] = {
    {"step", ANY, read_step},
    {"vtime", ANY, read_vtime},
    {"cpu", ANY, read_cpu},
    {"pid", ANY & ~SWITCH, read_pid},
    {"comm", ANY & ~SWITCH, read_comm},
    {"ring", EVENTS, read_ring},
    {"to", TRANSITION, read_to_ring},
    {"rip", EVENTS, read_rip},
    {"cr3", EVENTS, read_cr3},
    {"vector", TRANSITION | IRQ, read_vector},
    {"error", TRANSITION | FAULT, read_error},
    {"target", TRANSITION, read_target},
    {"cause", TRANSITION, read_cause},
    {"name", TRANSITION | SYSCALL_, read_name},
    {"address", FAULT, read_address},
    {"write", FAULT, read_write},
    {"fetch", FAULT, read_fetch},
    {"present", FAULT, read_present},
    {"outcome", FAULT, read_outcome},
    {"extable", FAULT, read_extable},
    {"number", SYSCALL_, read_number},
    {"result", SYSCALL_, read_result},
    {"failed", SYSCALL_, read_failed},
    {"errno", SYSCALL_, read_error_number},
    {"returned", SYSCALL_, read_returned},
    {"duration", SYSCALL_, read_duration},
    {"arg0", SYSCALL_, read_arg0},
    {"arg1", SYSCALL_, read_arg1},
    {"arg2", SYSCALL_, read_arg2},
    {"arg3", SYSCALL_, read_arg3},
    {"arg4", SYSCALL_, read_arg4},
    {"arg5", SYSCALL_, read_arg5},
    {"from_pid", SWITCH, read_from_pid},
    {"to_pid", SWITCH, read_to_pid},
    {"from_comm", SWITCH, read_from_comm},
    {"to_comm", SWITCH, read_to_comm},
};
const unsigned check_field_count = ARRAY_LEN(check_fields);

struct status check_create(struct check **out, const char *expression)
{
    struct check *c = xcalloc(1, sizeof(*c));
    c->expression = xstrdup(expression);
    struct status s = check_parse(c);
    *out = status_ok(&s) ? c : NULL;
    if (!*out) {
        check_destroy(c);
    }
    return s;
}

void check_destroy(struct check *c)
{
    if (c) {
        free(c->expression);
        free(c);
    }
}

bool check_wants(const struct check *c, enum check_event_kind kind)
{
    return c->quantifier != CHECK_FINAL_HASH && c->kind == kind;
}

bool check_needs_extable(const struct check *c)
{
    for (unsigned i = 0; i < c->node_count; i++) {
        const struct check_node *n = &c->nodes[i];
        if (n->op == OP_FIELD && check_fields[n->field].read == read_extable) {
            return true;
        }
    }
    return false;
}

const char *check_expression(const struct check *c)
{
    return c->expression;
}

static bool ordered(enum check_op op, int order)
{
    switch (op) {
    case OP_EQ:
        return order == 0;
    case OP_NE:
        return order != 0;
    case OP_LT:
        return order < 0;
    case OP_LE:
        return order <= 0;
    case OP_GT:
        return order > 0;
    default:
        return order >= 0;
    }
}

static struct check_value value_of(const struct check *c, int index, const struct check_event *e)
{
    const struct check_node *n = &c->nodes[index];
    switch (n->op) {
    case OP_FIELD:
        return check_fields[n->field].read(e);
    case OP_NUMBER:
        return number(n->number);
    default:
        return (struct check_value){.known = true, .is_word = true, .word = n->word};
    }
}

static bool compare(const struct check *c, const struct check_node *n, const struct check_event *e)
{
    struct check_value a = value_of(c, n->left, e), b = value_of(c, n->right, e);
    if (!a.known || a.is_word != b.is_word) {
        return n->op == OP_NE; // what is not known, or of another sort, equals nothing
    }
    int order = a.is_word ? strcmp(a.word, b.word) : (a.number > b.number) - (a.number < b.number);
    return ordered(n->op, order);
}

static bool holds(const struct check *c, int index, const struct check_event *e)
{
    if (index < 0) {
        return true;
    }
    const struct check_node *n = &c->nodes[index];
    struct check_value v;
    switch (n->op) {
    case OP_OR:
        return holds(c, n->left, e) || holds(c, n->right, e);
    case OP_AND:
        return holds(c, n->left, e) && holds(c, n->right, e);
    case OP_NOT:
        return !holds(c, n->left, e);
    case OP_FIELD:
        v = value_of(c, index, e);
        return v.known && (v.is_word || v.number != 0);
    default:
        return compare(c, n, e);
    }
}

static void describe(struct check *c, const struct check_event *e)
{
    char who[64] = "";
    if (e->task.pid || *e->task.name) {
        snprintf(who, sizeof(who), " in %d %s", e->task.pid, e->task.name);
    }
    size_t size = sizeof(c->reason);
    switch (e->kind) {
    case CHECK_FAULT:
        snprintf(c->reason, size, "page fault at 0x%llx, error 0x%x, ring %u, rip 0x%llx, %s%s",
                 (unsigned long long)e->event->address, e->event->error_code, e->event->from_cpl,
                 (unsigned long long)e->event->rip, fault_outcome_name(e->outcome), who);
        break;
    case CHECK_TRANSITION:
        snprintf(c->reason, size, "%s from ring %u to %u at rip 0x%llx%s", read_name(e).word,
                 e->event->from_cpl, e->event->to_cpl, (unsigned long long)e->event->rip, who);
        break;
    case CHECK_SYSCALL:
        snprintf(c->reason, size, "%s(0x%llx, 0x%llx, 0x%llx) = %lld%s%s",
                 e->call->row->name ? e->call->row->name : "unknown call",
                 (unsigned long long)e->call->arg[0], (unsigned long long)e->call->arg[1],
                 (unsigned long long)e->call->arg[2], (long long)e->call->result,
                 e->call->done ? "" : " (no return)", who);
        break;
    case CHECK_IRQ:
        snprintf(c->reason, size, "interrupt 0x%02x in ring %u at rip 0x%llx%s", e->event->vector,
                 e->event->from_cpl, (unsigned long long)e->event->rip, who);
        break;
    default:
        snprintf(c->reason, size, "switch from %d %s to %d %s", e->swtch->from.pid,
                 e->swtch->from.name, e->swtch->to.pid, e->swtch->to.name);
        break;
    }
}

void check_see(struct check *c, const struct check_event *e)
{
    if (!check_wants(c, e->kind)) {
        return;
    }
    bool truth = holds(c, c->where, e);
    c->seen += truth;
    bool breaks =
        (c->quantifier == CHECK_NEVER && truth) || (c->quantifier == CHECK_ALWAYS && !truth);
    if (breaks && !c->broken) {
        c->broken = true;
        c->broken_step = e->step;
        describe(c, e);
    }
}

bool check_verdict(const struct check *c, u64 final_hash, char *text, size_t size)
{
    if (c->quantifier == CHECK_FINAL_HASH) {
        snprintf(text, size, "the final hash is %016llx", (unsigned long long)final_hash);
        return ordered(c->op, final_hash == c->wanted ? 0 : 1);
    }
    if (c->quantifier == CHECK_COUNT) {
        snprintf(text, size, "the count is %llu", (unsigned long long)c->seen);
        return ordered(c->op, (c->seen > c->wanted) - (c->seen < c->wanted));
    }
    snprintf(text, size, "step %llu: %s", (unsigned long long)c->broken_step, c->reason);
    return !c->broken;
}
