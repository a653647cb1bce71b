// SPDX-License-Identifier: MIT
// Typed probe events: the one header any layer may include. A probe nobody listens to costs one
// predicted branch; a listener never changes what happens.
#ifndef VIV_TRACE_PROBE_H
#define VIV_TRACE_PROBE_H

#include "base/bits.h"
#include "base/types.h"

enum probe_kind {
#define PROBE(name, help) PROBE_##name,
#include "trace/probes.def"
#undef PROBE
    PROBE_KIND_COUNT
};

// How a privilege transition came about.
enum transition_cause {
    TRANSITION_SYSCALL, TRANSITION_SYSRET, TRANSITION_INTERRUPT, TRANSITION_EXCEPTION,
    TRANSITION_SOFT_INT, TRANSITION_IRET, TRANSITION_FAR, TRANSITION_SYSENTER, TRANSITION_SYSEXIT,
    TRANSITION_CAUSE_COUNT
};

// One flat record for all kinds; a kind uses the fields that probes.def names.
struct probe_event {
    u64 step;     // state before the event's step completed
    u64 vtime_ns;
    u64 rip;      // of the instruction it happened at
    u64 cr3;
    u64 address;  // CR2, port, MMIO address, target RIP
    u64 value;    // value, error code details
    u32 error_code;
    u16 kind;
    u8 cpu;
    u8 cause;     // enum transition_cause
    u8 from_cpl, to_cpl;
    u8 vector;
    u8 size;
};

struct probes {
    u64 enabled; // BIT(enum probe_kind)
    void (*sink)(void *ctx, const struct probe_event *event);
    void *ctx;
};

static inline bool probe_on(const struct probes *p, enum probe_kind kind)
{
    return UNLIKELY(p->enabled & BIT(kind));
}

static inline void probe_emit(const struct probes *p, const struct probe_event *event)
{
    p->sink(p->ctx, event);
}

#endif
