// SPDX-License-Identifier: MIT
// Restartable sequences, rseq(2).
#include "proc/rseq.h"

#include "abi/rseq.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "proc/signal.h"
#include "syscall/syscall.h"

#define NO_CPU (~0u)

// The descriptor at `at`, checked. -EFAULT, -EINVAL.
static int read_sequence(struct linux_rseq_cs *cs, u64 at)
{
    u32 signature;
    if (at >= TASK_SIZE || copy_from_user(cs, (void __user *)at, sizeof(*cs)))
        return -EFAULT;
    u64 end;
    if (__builtin_add_overflow(cs->start_ip, cs->post_commit_offset, &end) ||
        cs->start_ip >= TASK_SIZE || end >= TASK_SIZE || cs->abort_ip >= TASK_SIZE)
        return -EINVAL;
    if (cs->version || cs->flags || cs->abort_ip - cs->start_ip < cs->post_commit_offset)
        return -EINVAL; // an abort address inside would never come to an end
    if (get_user(signature, (u32 __user *)(cs->abort_ip - sizeof(u32))))
        return -EFAULT;
    return signature == current->rseq.signature ? 0 : -EINVAL;
}

// Ends the sequence that the thread says it is in: at its abort address if it is in it, else by
// forgetting it. 0, -EFAULT, -EINVAL.
static int abort_sequence(struct pt_regs *regs)
{
    struct linux_rseq __user *area = current->rseq.area;
    struct linux_rseq_cs cs;
    u64 at;
    if (get_user(at, &area->rseq_cs))
        return -EFAULT;
    if (!at)
        return 0;
    int error = read_sequence(&cs, at);
    if (error)
        return error;
    if (put_user(0UL, &area->rseq_cs))
        return -EFAULT;
    if (regs->ip - cs.start_ip < cs.post_commit_offset)
        regs->ip = cs.abort_ip;
    return 0;
}

static int write_ids(struct linux_rseq __user *area, u32 start, u32 id)
{
    if (put_user(start, &area->cpu_id_start) || put_user(id, &area->cpu_id) ||
        put_user(0u, &area->node_id) || put_user(start, &area->mm_cid))
        return -EFAULT;
    return 0;
}

// Where the thread runs now. Each CPU has an mm_cid of its own, which is right, if not dense.
static int tell_cpu(void)
{
    struct task_struct *t = current;
    u32 cpu = READ_ONCE(t->cpu);
    if (cpu == t->rseq.told_cpu)
        return 0;
    t->rseq.told_cpu = cpu;
    return write_ids(t->rseq.area, cpu, cpu);
}

void rseq_resume(struct pt_regs *regs)
{
    __atomic_and_fetch(&current->work, ~BIT(TW_RSEQ), __ATOMIC_SEQ_CST);
    if (!current->rseq.area || (current->flags & PF_EXITING))
        return;
    if (abort_sequence(regs) || tell_cpu())
        force_sig(SIGSEGV);
}

void rseq_signal(struct pt_regs *regs)
{
    if (current->rseq.area && abort_sequence(regs))
        force_sig(SIGSEGV);
}

static long unregister(void __user *area, u32 size, u32 flags, u32 signature)
{
    struct task_struct *t = current;
    if (flags & ~RSEQ_FLAG_UNREGISTER)
        return -EINVAL;
    if (!t->rseq.area || t->rseq.area != area || t->rseq.size != size)
        return -EINVAL;
    if (t->rseq.signature != signature)
        return -EPERM;
    if (write_ids(t->rseq.area, 0, RSEQ_CPU_ID_UNINITIALIZED))
        return -EFAULT;
    rseq_forget(t);
    return 0;
}

SYSCALL_DEFINE(rseq)
{
    struct linux_rseq __user *area = ARG_PTR(0);
    u32 size = ARG_UINT(1), flags = ARG_UINT(2), signature = ARG_UINT(3);
    struct task_struct *t = current;
    if (flags & RSEQ_FLAG_UNREGISTER)
        return unregister(area, size, flags, signature);
    if (flags)
        return -EINVAL;
    if (t->rseq.area) {
        if (t->rseq.area != area || t->rseq.size != size)
            return -EINVAL;
        return t->rseq.signature == signature ? -EBUSY : -EPERM;
    }
    if (size < RSEQ_ORIGINAL_SIZE || (u64)area % RSEQ_ALIGN)
        return -EINVAL;
    // A stale descriptor must not end the thread at its first return.
    if (!access_ok(area, size) || put_user(0UL, &area->rseq_cs))
        return -EFAULT;
    t->rseq = (struct rseq_registration){area, size, signature, NO_CPU};
    __atomic_or_fetch(&t->work, BIT(TW_RSEQ), __ATOMIC_SEQ_CST);
    return 0;
}
