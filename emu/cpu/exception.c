// SPDX-License-Identifier: MIT
// What a fault during a delivery becomes: double fault, shutdown (SDM 3A 6.15, table 6-5).
#include "cpu/gate.h"

#include <stdio.h>

// Faults that follow each other in one delivery end in #DF after four, except benign ones: a ring-3
// handler of #AC on a misaligned stack faults for ever (silicon hangs, too). That is a shutdown
// here.
#define DELIVERY_TRIES_MAX 8

enum fault_class { CLASS_BENIGN, CLASS_CONTRIBUTORY, CLASS_PAGE_FAULT, CLASS_DOUBLE_FAULT };

static enum fault_class classify(const struct event *event)
{
    if (event->source != DELIVER_EXCEPTION) {
        return CLASS_BENIGN;
    }
    switch (event->vector) {
    case EXC_DE:
    case EXC_TS:
    case EXC_NP:
    case EXC_SS:
    case EXC_GP:
    case EXC_CP:
        return CLASS_CONTRIBUTORY;
    case EXC_PF:
        return CLASS_PAGE_FAULT;
    case EXC_DF:
        return CLASS_DOUBLE_FAULT;
    default:
        return CLASS_BENIGN;
    }
}

static const char *vector_name(u8 vector)
{
    static const char *const names[] = {
        [EXC_DE] = "#DE", [EXC_DB] = "#DB", [EXC_NMI] = "NMI", [EXC_BP] = "#BP", [EXC_OF] = "#OF",
        [EXC_BR] = "#BR", [EXC_UD] = "#UD", [EXC_NM] = "#NM",  [EXC_DF] = "#DF", [EXC_TS] = "#TS",
        [EXC_NP] = "#NP", [EXC_SS] = "#SS", [EXC_GP] = "#GP",  [EXC_PF] = "#PF", [EXC_MF] = "#MF",
        [EXC_AC] = "#AC", [EXC_MC] = "#MC", [EXC_XM] = "#XM",  [EXC_CP] = "#CP",
    };
    return vector < ARRAY_LEN(names) && names[vector] ? names[vector] : "event";
}

static void enter_shutdown(struct cpu *cpu, const struct event *root, const struct event *event,
                           const struct fault *last)
{
    cpu->shutdown = true;
    cpu->boundary = true;
    snprintf(cpu->shutdown_reason, sizeof(cpu->shutdown_reason),
             "triple fault: %s (error code 0x%x) at rip 0x%llx cs 0x%x, cr2 0x%llx; then %s (0x%x) "
             "during "
             "the delivery of %s",
             vector_name(root->vector), root->error_code, (unsigned long long)cpu->rip,
             cpu->seg[CPU_CS].selector, (unsigned long long)cpu->cr2, vector_name(last->vector),
             last->error_code, vector_name(event->vector));
}

static struct event event_of_fault(const struct fault *fault)
{
    struct event event = {.vector = fault->vector,
                          .source = DELIVER_EXCEPTION,
                          .has_error_code = fault->has_error_code,
                          .error_code = fault->error_code};
    // Every fault-class exception saves RF set; #DF is an abort and #DB sees to itself (SDM
    // 3B 17.3.1.1).
    event.save_rf = fault->vector != EXC_DF && fault->vector != EXC_DB;
    return event;
}

void event_note_fault(struct cpu *cpu, const struct fault *fault)
{
    if (fault->vector == EXC_PF) {
        cpu->cr2 = fault->cr2;
        if (probe_on(cpu->config.probes, PROBE_page_fault)) {
            cpu_probe(cpu, PROBE_page_fault, cpu->rip, fault->cr2, 0, fault->error_code, 0, 0);
        }
    } else if (fault->vector == EXC_DB) {
        debug_note_exception(cpu);
    }
}

// The event that follows from a fault during the delivery of another.
static struct event escalate(const struct event *first, const struct fault *second)
{
    struct event next = event_of_fault(second);
    enum fault_class a = classify(first), b = classify(&next);
    bool both = (a == CLASS_CONTRIBUTORY && b == CLASS_CONTRIBUTORY) ||
                (a == CLASS_PAGE_FAULT && (b == CLASS_CONTRIBUTORY || b == CLASS_PAGE_FAULT));
    if (both) {
        next = (struct event){
            .vector = EXC_DF, .source = DELIVER_EXCEPTION, .has_error_code = true, .error_code = 0};
    }
    return next;
}

void event_deliver(struct cpu *cpu, const struct event *first)
{
    struct event event = *first;
    unsigned tries = 0;
    cpu->tf_armed = false;
    while (!gate_enter(cpu, &event)) {
        struct fault fault = cpu->fault;
        event_note_fault(cpu, &fault);
        struct event second = event_of_fault(&fault);
        bool double_fault = classify(&event) == CLASS_DOUBLE_FAULT;
        if ((double_fault && classify(&second) != CLASS_BENIGN) || ++tries == DELIVERY_TRIES_MAX) {
            enter_shutdown(cpu, first, &event, &fault);
            return;
        }
        event = escalate(&event, &fault);
    }
    cpu->halted = false;
}

void cpu_deliver_fault(struct cpu *cpu, const struct fault *fault)
{
    struct fault copy = *fault; // it is usually cpu->fault, which delivery overwrites
    event_note_fault(cpu, &copy);
    struct event event = event_of_fault(&copy);
    event_deliver(cpu, &event);
}

bool cpu_soft_interrupt(struct cpu *cpu, u8 vector, enum delivery_source source, u64 next_rip)
{
    struct event event = {
        .vector = vector, .source = source, .has_next_rip = true, .next_rip = next_rip};
    if (!gate_enter(cpu, &event)) {
        if (!cpu->task_switched) {
            return false;
        }
        struct fault fault = cpu->fault; // of the new task, before its first instruction
        cpu_deliver_fault(cpu, &fault);
    }
    cpu->tf_armed = false; // the handler clears TF; INT n itself is not followed by a trap
    return true;
}
