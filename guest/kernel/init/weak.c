// SPDX-License-Identifier: MIT
// Stand-ins for parts that a build may leave out; the real ones replace them at link time. None of them claims success.
#include "arch/x86_64/thread.h"
#include "fs/block.h"
#include "init/init.h"
#include "lib/printk.h"
#include "mm/mm.h"
#include "proc/exec.h"
#include "proc/signal.h"
#include "proc/task.h"
#include "syscall/syscall.h"

struct mm_struct init_mm __weak = {.mm_users = ATOMIC_INIT(2), .mm_count = ATOMIC_INIT(1)};

void __weak syscall_dispatch(struct pt_regs *regs)
{
    regs->ax = (u64)-ENOSYS;
}
void __weak do_signal(struct pt_regs *regs)
{
    clear_bit(TW_SIGPENDING, &current->work);
}
bool __weak fatal_signal_pending(const struct task_struct *t)
{
    return false;
}
void __weak force_sig(int sig)
{
    panic("signal %d with no signal code linked", sig);
}
void __weak force_sig_fault(int sig, int code, void __user *addr)
{
    panic("signal %d (code %d) at %p with no signal code linked", sig, code, addr);
}
int __weak mm_user_fault(u64 address, unsigned flags, int *si_code)
{
    *si_code = SEGV_MAPERR;
    return SIGSEGV;
}
pid_t __weak kernel_process(int (*fn)(void *), void *arg)
{
    return -ENOSYS;
}
int __weak kernel_execve(const char *path, const char *const *argv, const char *const *envp)
{
    return -ENOSYS;
}
int __weak initramfs_unpack(const void *start, size_t size)
{
    return -ENOSYS;
}
