// SPDX-License-Identifier: MIT
// One execve in progress: what exec.c, exec_args.c and exec_elf.c pass along.
#pragma once

#include "fs/fs.h"

#define EXEC_HEADER_SIZE 256
#define EXEC_MAX_DEPTH 5 // "#!" interpreters of interpreters

struct exec_args;

struct exec {
    struct file *file;          // counted, writers denied
    const char *filename;       // as given: AT_EXECFN
    char *interp; // kmalloc'ed: interpreter of a script that is to be loaded next, or NULL
    int depth;
    u8 header[EXEC_HEADER_SIZE]; // first bytes, zero-filled
    struct exec_args *args;
    struct cred *cred;          // new credentials, until committed
    bool secure;                // AT_SECURE
    struct mm_struct *mm;       // not yet installed
};

// --- exec_args.c: strings in the order in which they lie on the new stack (argv, envp, file name).
struct exec_args *exec_args_alloc(void); // NULL without memory
void exec_args_free(struct exec_args *a);
// Copies NULL-terminated arrays of the user, or of the kernel (for init). 0, -E2BIG, -EFAULT,
// -ENOMEM.
int exec_args_from_user(struct exec_args *a, const u64 __user *argv, const u64 __user *envp);
int exec_args_from_kernel(struct exec_args *a, const char *const *argv, const char *const *envp);
// Script: argv[0] goes, interp [and arg] and script come in front.
int exec_args_prepend(struct exec_args *a, const char *interp, const char *arg, const char *script);
// The whole start of the stack below `top` in current's address space: strings, auxv, envp, argv,
// argc. Returns the stack pointer, 16-byte aligned, or -errno. auxv: pairs, AT_NULL last; entries
// AT_RANDOM, AT_EXECFN and AT_PLATFORM are filled in here. Sets mm's arg and env bounds.
long exec_args_write(struct exec_args *a, const char *filename, u64 top, u64 *auxv,
                     unsigned auxv_words);

// --- exec.c
// The credentials that the file gives (set-user-ID): e->cred, e->secure. 0 or -errno.
int exec_compute_creds(struct exec *e);
// Kills the siblings, installs the new mm and credentials. -errno: the old program goes on, or is
// being killed.
int exec_point_of_no_return(struct exec *e);

// --- exec_elf.c: 0 (current_pt_regs() ready), -ENOEXEC or another -errno.
int exec_load_elf(struct exec *e);
