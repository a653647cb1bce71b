// SPDX-License-Identifier: MIT
// A fault's task is told in the kernel by the faulting RSP, in user mode by its key (guest_view.h).
// Entries are compared as a walk finds them before and after.
#include "trace/fault_watch.h"

#include "base/memory.h"
#include "trace/guest_view.h"

#include <stdlib.h>
#include <string.h>

#define OPEN_MAX 256      // tasks inside a fault at once; the oldest is given up
#define DORMANT_AFTER 4096 // returns of others; from then on only a return to the same place counts

#define PTE_P 1u
#define PTE_W 2u
#define PTE_FRAME UINT64_C(0x000FFFFFFFFFF000)

// struct ucontext in a signal frame, at RDX of the handler: where its saved RIP lies.
#define UCONTEXT_RIP (40 + 16 * 8)

struct open_fault {
    u64 number; // for the callback; grows
    u64 rip, rsp, address, key, pte;
    u32 error_code;
    u32 others; // returns since, by other tasks
    u8 cpl;
};

struct fault_watch {
    struct machine *m;
    fault_ended_fn ended;
    void *ctx;
    struct open_fault open[OPEN_MAX]; // the first open_count, oldest first
    unsigned open_count;
};

struct fault_watch *fault_watch_create(struct machine *m, fault_ended_fn ended, void *ctx)
{
    struct fault_watch *w = xcalloc(1, sizeof(*w));
    w->m = m;
    w->ended = ended;
    w->ctx = ctx;
    return w;
}

static void end_fault(struct fault_watch *w, unsigned index, enum fault_outcome outcome)
{
    u64 number = w->open[index].number;
    w->open_count--;
    memmove(&w->open[index], &w->open[index + 1], (w->open_count - index) * sizeof(w->open[0]));
    w->ended(w->ctx, number, outcome);
}

void fault_watch_destroy(struct fault_watch *w)
{
    while (w && w->open_count) {
        end_fault(w, 0, FAULT_FATAL);
    }
    free(w);
}

void fault_watch_begin(struct fault_watch *w, const struct probe_event *event, u64 number)
{
    if (w->open_count == OPEN_MAX) {
        end_fault(w, 0, FAULT_FATAL);
    }
    struct cpu_regs regs;
    enum guest_task_identity identity;
    cpu_get_regs(machine_cpu(w->m, event->cpu), &regs);
    w->open[w->open_count++] = (struct open_fault){
        .number = number,
        .rip = event->rip,
        .rsp = regs.gpr[CPU_RSP],
        .address = event->address,
        .key = event->from_cpl == 3 ? guest_task_key(w->m, event->cpu, &identity) : 0,
        .pte = guest_pte(w->m, event->cr3, event->address),
        .error_code = event->error_code,
        .cpl = event->from_cpl,
    };
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

// Whether the task starts a signal handler that will come back to the fault.
static bool in_handler(const struct fault_watch *w, const struct open_fault *f, unsigned cpu,
                       const struct cpu_regs *regs)
{
    u64 rip;
    return cpu_debug_read(machine_cpu(w->m, cpu), regs->gpr[CPU_RDX] + UCONTEXT_RIP, &rip,
                          sizeof(rip)) &&
           rip == f->rip;
}

// True if the fault of this index has ended (and is gone).
static bool check(struct fault_watch *w, unsigned index, const struct probe_event *event,
                  const struct cpu_regs *regs, u64 key)
{
    struct open_fault *f = &w->open[index];
    bool same_task = f->cpl == 3 ? f->key == key : f->rsp == regs->gpr[CPU_RSP];
    if (f->cpl != event->to_cpl || !same_task) {
        f->others++;
        return false;
    }
    enum fault_outcome outcome = FAULT_FIXUP;
    if (event->address == f->rip) {
        outcome = judge(f, guest_pte(w->m, event->cr3, f->address));
    } else if (f->cpl == 3) { // a new task on the stack of one that was killed, else
        outcome = in_handler(w, f, event->cpu, regs) ? FAULT_SIGNAL : FAULT_FATAL;
    }
    end_fault(w, index, outcome);
    return true;
}

void fault_watch_transition(struct fault_watch *w, const struct probe_event *event)
{
    bool back = event->cause == TRANSITION_IRET || event->cause == TRANSITION_SYSRET;
    bool interesting = false;
    for (unsigned i = 0; back && i < w->open_count; i++) {
        const struct open_fault *f = &w->open[i];
        interesting = interesting || f->others < DORMANT_AFTER || f->rip == event->address;
    }
    if (!interesting) {
        return;
    }
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(w->m, event->cpu), &regs);
    enum guest_task_identity identity;
    u64 key = event->to_cpl == 3 ? guest_task_key(w->m, event->cpu, &identity) : 0;
    for (unsigned i = 0; i < w->open_count;) {
        i += check(w, i, event, &regs, key) ? 0 : 1;
    }
}
