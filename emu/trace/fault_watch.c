// SPDX-License-Identifier: MIT
// A fault's task is told in the kernel by the faulting RSP, in user mode by its key (guest_view.h).
// Entries are compared as a walk finds them before and after.
#include "trace/fault_watch.h"

#include "base/memory.h"
#include "trace/guest_view.h"

#include <stdlib.h>

#define OPEN_MAX 256 // tasks inside a fault at once; the oldest is given up

#define PTE_P 1u
#define PTE_W 2u
#define PTE_FRAME UINT64_C(0x000FFFFFFFFFF000)

struct open_fault {
    u64 number; // for the callback
    u64 rip, rsp, address, key, pte;
    u32 error_code;
    u8 cpl;
    bool used;
};

struct fault_watch {
    struct machine *m;
    fault_ended_fn ended;
    void *ctx;
    struct open_fault open[OPEN_MAX];
    unsigned open_count, next;
};

struct fault_watch *fault_watch_create(struct machine *m, fault_ended_fn ended, void *ctx)
{
    struct fault_watch *w = xcalloc(1, sizeof(*w));
    w->m = m;
    w->ended = ended;
    w->ctx = ctx;
    return w;
}

static void end_fault(struct fault_watch *w, struct open_fault *f, enum fault_outcome outcome)
{
    f->used = false;
    w->open_count--;
    w->ended(w->ctx, f->number, outcome);
}

void fault_watch_destroy(struct fault_watch *w)
{
    if (!w) {
        return;
    }
    for (unsigned i = 0; i < OPEN_MAX; i++) { // from the oldest on
        struct open_fault *f = &w->open[(w->next + i) % OPEN_MAX];
        if (f->used) {
            end_fault(w, f, FAULT_FATAL);
        }
    }
    free(w);
}

void fault_watch_begin(struct fault_watch *w, const struct probe_event *event, u64 number)
{
    struct open_fault *f = &w->open[w->next];
    w->next = (w->next + 1) % OPEN_MAX;
    if (f->used) {
        end_fault(w, f, FAULT_FATAL);
    }
    struct cpu_regs regs;
    enum guest_task_identity identity;
    cpu_get_regs(machine_cpu(w->m, event->cpu), &regs);
    *f = (struct open_fault){
        .number = number,
        .rip = event->rip,
        .rsp = regs.gpr[CPU_RSP],
        .address = event->address,
        .key = event->from_cpl == 3 ? guest_task_key(w->m, event->cpu, &identity) : 0,
        .pte = guest_pte(w->m, event->cr3, event->address),
        .error_code = event->error_code,
        .cpl = event->from_cpl,
        .used = true,
    };
    w->open_count++;
}

static enum fault_outcome judge(const struct open_fault *f, u64 now)
{
    bool write = f->error_code & PF_WRITE;
    if (!(now & PTE_P)) {
        return FAULT_RETRY;
    }
    if (!(f->pte & PTE_P)) {
        return f->pte ? FAULT_SWAP_IN : FAULT_MAP;
    }
    if (write && !(f->pte & PTE_W) && (now & PTE_W)) {
        return (f->pte ^ now) & PTE_FRAME ? FAULT_COW : FAULT_WRITE_ENABLE;
    }
    if ((f->pte ^ now) & PTE_FRAME) {
        return FAULT_COW;
    }
    return FAULT_SPURIOUS;
}

static void check(struct fault_watch *w, struct open_fault *f, const struct probe_event *event,
                  const struct cpu_regs *regs, u64 key)
{
    bool same_task = f->cpl == 3 ? f->key == key : f->rsp == regs->gpr[CPU_RSP];
    if (f->cpl != event->to_cpl || !same_task) {
        return;
    }
    if (event->address == f->rip) {
        end_fault(w, f, judge(f, guest_pte(w->m, event->cr3, f->address)));
    } else {
        end_fault(w, f, f->cpl == 3 ? FAULT_SIGNAL : FAULT_FIXUP);
    }
}

void fault_watch_transition(struct fault_watch *w, const struct probe_event *event)
{
    bool back = event->cause == TRANSITION_IRET || event->cause == TRANSITION_SYSRET;
    if (!w->open_count || !back) {
        return;
    }
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(w->m, event->cpu), &regs);
    enum guest_task_identity identity;
    u64 key = event->to_cpl == 3 ? guest_task_key(w->m, event->cpu, &identity) : 0;
    for (unsigned i = 0; i < OPEN_MAX; i++) {
        if (w->open[i].used) {
            check(w, &w->open[i], event, &regs, key);
        }
    }
}
