// SPDX-License-Identifier: MIT
// The user stack frame of a handler (struct rt_sigframe of x86-64) and sigreturn(2); alternate
// stacks (sigaltstack(2)).
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/thread.h"
#include "arch/x86_64/uaccess.h"
#include "lib/string.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "signal/sigqueue.h"
#include "signal/sigset.h"
#include "syscall/syscall.h"

#define RED_ZONE_SIZE 128

static bool on_altstack(const struct task_struct *t, u64 sp)
{
    // With SS_AUTODISARM the stack is off while a handler runs, so nobody is "on" it.
    return !(t->sas_flags & SS_AUTODISARM) && sp > t->sas_sp && sp - t->sas_sp <= t->sas_size;
}

int altstack_flags(const struct task_struct *t, u64 sp)
{
    if (!t->sas_size)
        return SS_DISABLE;
    return on_altstack(t, sp) ? SS_ONSTACK : 0;
}

void altstack_reset(struct task_struct *t)
{
    t->sas_sp = 0;
    t->sas_size = 0;
    t->sas_flags = SS_DISABLE;
}

int altstack_set(const struct linux_stack *fresh, u64 sp, u64 min_size)
{
    struct task_struct *t = current;
    if (on_altstack(t, sp))
        return -EPERM;
    u32 mode = (u32)fresh->ss_flags & ~SS_AUTODISARM;
    if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
        return -EINVAL;
    u64 base = fresh->ss_sp, size = fresh->ss_size;
    if (mode == SS_DISABLE) {
        base = size = 0;
    } else if (size < min_size) {
        return -ENOMEM;
    }
    t->sas_sp = base;
    t->sas_size = size;
    t->sas_flags = (u32)fresh->ss_flags;
    return 0;
}

static void save_sigcontext(struct linux_sigcontext *sc, const struct pt_regs *r)
{
    const struct thread_struct *th = &current->thread;
    *sc = (struct linux_sigcontext){
        .r8 = r->r8,
        .r9 = r->r9,
        .r10 = r->r10,
        .r11 = r->r11,
        .r12 = r->r12,
        .r13 = r->r13,
        .r14 = r->r14,
        .r15 = r->r15,
        .di = r->di,
        .si = r->si,
        .bp = r->bp,
        .bx = r->bx,
        .dx = r->dx,
        .ax = r->ax,
        .cx = r->cx,
        .sp = r->sp,
        .ip = r->ip,
        .flags = r->flags,
        .cs = (u16)r->cs,
        .ss = (u16)r->ss,
        .err = th->error_code,
        .trapno = th->trap_nr,
        .cr2 = th->cr2,
    };
}

// Where the frame goes: below the red zone or at the top of the alternate stack. 0 if it does not
// fit there.
static u64 place_frame(const struct ksignal *k, const struct pt_regs *regs, u64 *fpstate)
{
    struct task_struct *t = current;
    u64 sp = regs->sp - RED_ZONE_SIZE;
    bool nested = on_altstack(t, regs->sp), enters = false;
    if ((k->action.flags & SA_ONSTACK) && altstack_flags(t, regs->sp) == 0) {
        sp = t->sas_sp + t->sas_size;
        enters = true;
    }
    *fpstate = ALIGN_DOWN(sp - fpu_user_frame_size(), 64UL);
    u64 frame = ALIGN_DOWN(*fpstate - sizeof(struct linux_rt_sigframe), 16UL) - 8;
    if ((nested || enters) && !(frame > t->sas_sp && frame - t->sas_sp <= t->sas_size))
        return 0;
    return frame;
}

int setup_rt_frame(struct ksignal *k, struct pt_regs *regs, const sigset_t_k *saved_mask)
{
    struct task_struct *t = current;
    struct linux_rt_sigframe frame;
    u64 fpstate;
    u64 sp = place_frame(k, regs, &fpstate);
    if (!sp || !(k->action.flags & SA_RESTORER) || fpu_save_to_user((void __user *)fpstate))
        return -EFAULT;
    frame.pretcode = k->action.restorer;
    frame.uc.uc_flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS | (fpu_xcr0 ? UC_FP_XSTATE : 0);
    frame.uc.uc_link = 0;
    frame.uc.uc_stack = (struct linux_stack){t->sas_sp, (int)t->sas_flags, t->sas_size};
    save_sigcontext(&frame.uc.uc_mcontext, regs);
    frame.uc.uc_mcontext.oldmask = saved_mask->sig;
    frame.uc.uc_mcontext.fpstate = fpstate;
    frame.uc.uc_sigmask = saved_mask->sig;
    frame.info = k->info;
    if (copy_to_user((void __user *)sp, &frame, sizeof(frame)))
        return -EFAULT;
    if (t->sas_flags & SS_AUTODISARM)
        altstack_reset(t);

    regs->di = (u64)k->sig;
    regs->si = sp + offset_of(struct linux_rt_sigframe, info);
    regs->dx = sp + offset_of(struct linux_rt_sigframe, uc);
    regs->ax = 0;
    regs->ip = k->action.handler;
    regs->sp = sp;
    regs->cs = USER_CS;
    regs->ss = USER_DS;
    regs->flags &= ~(FLAGS_DF | FLAGS_RF | FLAGS_TF);
    return 0;
}

static void restore_regs(struct pt_regs *r, const struct linux_sigcontext *sc)
{
    r->r8 = sc->r8, r->r9 = sc->r9, r->r10 = sc->r10, r->r11 = sc->r11;
    r->r12 = sc->r12, r->r13 = sc->r13, r->r14 = sc->r14, r->r15 = sc->r15;
    r->di = sc->di, r->si = sc->si, r->bp = sc->bp, r->bx = sc->bx;
    r->dx = sc->dx, r->ax = sc->ax, r->cx = sc->cx, r->sp = sc->sp, r->ip = sc->ip;
    r->flags = (r->flags & ~FLAGS_USER_MASK) | (sc->flags & FLAGS_USER_MASK);
    r->cs = USER_CS;
    r->ss = USER_DS;
    r->orig_ax = ~0UL; // no system call to restart
}

SYSCALL_DEFINE(rt_sigreturn)
{
    struct pt_regs *regs = a->regs;
    struct linux_ucontext uc;
    u64 frame = regs->sp - 8; // the handler's ret took pretcode off
    if (copy_from_user(&uc, (void __user *)(frame + offset_of(struct linux_rt_sigframe, uc)),
                       sizeof(uc)))
        goto bad;
    // Only the one 64-bit code segment exists; a kernel or null selector would fault in iret.
    if ((uc.uc_mcontext.cs | 3) != USER_CS)
        goto bad;
    set_current_blocked(&(sigset_t_k){uc.uc_sigmask});
    if (fpu_restore_from_user((const void __user *)uc.uc_mcontext.fpstate))
        goto bad;
    restore_regs(regs, &uc.uc_mcontext);
    (void)altstack_set(&uc.uc_stack, regs->sp, 0); // refused while still on it, and that is right
    return (long)regs->ax;
bad:
    force_sig(SIGSEGV);
    return 0;
}
