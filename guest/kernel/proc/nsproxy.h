// SPDX-License-Identifier: MIT
// Namespaces of a task, counted as one. No global hostname, mount table or pid table exists beside
// these.
#pragma once

#include "abi/utsname.h"
#include "sched/lock.h"

struct uts_namespace {
    atomic_t count;
    struct rw_semaphore sem;
    struct linux_new_utsname name;
};
struct mnt_namespace;
struct pid_namespace;
struct nsproxy {
    atomic_t count;
    struct uts_namespace *uts_ns;
    struct mnt_namespace *mnt_ns;
    struct pid_namespace *pid_ns_for_children;
};
extern struct nsproxy init_nsproxy;
extern struct uts_namespace init_uts_ns;
void get_nsproxy(struct nsproxy *n);
void put_nsproxy(struct nsproxy *n);
