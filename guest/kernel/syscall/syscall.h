// SPDX-License-Identifier: MIT
// System call signature and dispatch. Rows: abi/linux_syscalls.def; a body anywhere named
// sys_<name> is picked up.
#pragma once

#include "arch/x86_64/regs.h"
#include "arch/x86_64/uaccess.h"
#include "lib/err.h"
#include "lib/types.h"

struct sys_args {
    u64 arg[6];
    struct pt_regs *regs;
};
typedef long (*syscall_fn_t)(const struct sys_args *a);

// Prototypes of all rows; one that nobody defines answers ENOSYS. Define one with
// SYSCALL_DEFINE(read) { ... }.
#define SYSCALL(nr, name, ...) long sys_##name(const struct sys_args *a);
#include "abi/linux_syscalls.def"
#undef SYSCALL
#define SYSCALL_DEFINE(name) long sys_##name(const struct sys_args *a)
#define ARG_INT(n) ((int)a->arg[n])
#define ARG_UINT(n) ((unsigned)a->arg[n])
#define ARG_LONG(n) ((long)a->arg[n])
#define ARG_ULONG(n) (a->arg[n])
#define ARG_PTR(n) ((void __user *)a->arg[n])

// From entry.S: regs->orig_ax is the number; stores the result in regs->ax. Interrupts on.
void syscall_dispatch(struct pt_regs *regs);
void syscall_init(void);
// Row `nr` of /proc/fern/syscalls: false past the last number. name is NULL for numbers that no
// system call has; calls and errors count since boot, those of unimplemented ones too (implemented
// says which).
bool syscall_describe(unsigned nr, const char **name, bool *implemented, u64 *calls, u64 *errors);
// Calls with numbers above the table.
u64 syscall_unknown_calls(void);
