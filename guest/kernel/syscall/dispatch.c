// SPDX-License-Identifier: MIT
// The system call table, made from abi/linux_syscalls.def with weak references, and its counters.
#include "syscall/syscall.h"

#include "lib/bitops.h"
#include "sched/sched.h"

// Rows without a body stay NULL.
#define SYSCALL(nr, name, ...) extern __typeof__(sys_##name) sys_##name __weak;
#include "abi/linux_syscalls.def"
#undef SYSCALL

#define SYSCALL(nr, name, ...) [nr] = sys_##name,
static const syscall_fn_t table[] = {
#include "abi/linux_syscalls.def"
};
#undef SYSCALL

#define SYSCALL(nr, name, ...) [nr] = #name,
static const char *const names[] = {
#include "abi/linux_syscalls.def"
};
#undef SYSCALL

#define NR_SYSCALLS ARRAY_SIZE(table)

// One writer at a time is likely but not promised: a lost count under SMP would only be a statistic
// off by one.
static struct {
    u64 calls, errors;
} stats[NR_SYSCALLS];
static u64 unknown_calls;

static bool wants_restart(long result)
{
    return result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK && result != -ENOIOCTLCMD;
}

static __noinline void note_error(struct pt_regs *regs, u64 nr, long result)
{
    stats[nr].errors++;
    // sigreturn sets orig_ax to -1: what it returns is the interrupted program's register.
    if (wants_restart(result) && (long)regs->orig_ax >= 0) {
        current->restart_pending = true;
        set_bit(TW_SIGPENDING, &current->work); // do_signal must see it, whoever took the signal
    }
}

void syscall_dispatch(struct pt_regs *regs)
{
    u32 nr = (u32)regs->orig_ax;
    if (unlikely(nr >= NR_SYSCALLS)) {
        unknown_calls++;
        regs->ax = (u64)-ENOSYS;
        return;
    }
    stats[nr].calls++;
    syscall_fn_t fn = table[nr];
    if (unlikely(!fn)) {
        stats[nr].errors++;
        regs->ax = (u64)-ENOSYS;
        return;
    }
    const struct sys_args args = {{regs->di, regs->si, regs->dx, regs->r10, regs->r8, regs->r9},
                                  regs};
    long result = fn(&args);
    if (unlikely(IS_ERR_VALUE(result)))
        note_error(regs, nr, result);
    regs->ax = (u64)result;
}

bool syscall_describe(unsigned nr, const char **name, bool *implemented, u64 *calls, u64 *errors)
{
    if (nr >= NR_SYSCALLS)
        return false;
    *name = names[nr];
    *implemented = table[nr] != NULL;
    *calls = stats[nr].calls;
    *errors = stats[nr].errors;
    return true;
}

u64 syscall_unknown_calls(void)
{
    return unknown_calls;
}

void syscall_init(void)
{
    // The table is constant; the MSRs of the syscall instruction are arch's.
}
