// SPDX-License-Identifier: MIT
// Credentials: immutable once published; a change makes a copy and commits it. K-proc.
#pragma once

#include "lib/atomic.h"
#include "lib/list.h"
#include "lib/types.h"
#include "sched/kthread.h"

struct group_info {
    atomic_t usage;
    int ngroups;
    gid_t gid[];
};
typedef struct {
    u64 cap;
} kernel_cap_t;
// What the tasks of one user id share: counts for RLIMIT_NPROC and RLIMIT_SIGPENDING.
struct user_struct {
    atomic_t usage;
    uid_t uid;
    atomic_t processes, sigpending;
    struct hlist_node hash; // lock: in user.c
};
struct user_struct *find_user(uid_t uid);  // counted, or NULL
struct user_struct *alloc_uid(uid_t uid);  // counted, made if needed; NULL without memory
struct user_struct *get_user_struct(struct user_struct *u);
void put_user_struct(struct user_struct *u);
extern struct user_struct root_user;

struct cred {
    atomic_t usage;
    uid_t uid, suid, euid, fsuid;
    gid_t gid, sgid, egid, fsgid;
    kernel_cap_t cap_inheritable, cap_permitted, cap_effective, cap_bset, cap_ambient;
    unsigned securebits;
    struct group_info *group_info;
    struct user_struct *user; // of uid
    struct deferred rcu;
};
extern struct cred init_cred;
#define current_cred() (current->cred)
#define current_uid() (current->cred->uid)
#define current_fsuid() (current->cred->fsuid)
#define current_fsgid() (current->cred->fsgid)
const struct cred *get_cred(const struct cred *c);
void put_cred(const struct cred *c);
const struct cred *get_task_cred(struct task_struct *t);
struct cred *prepare_creds(void);   // a private copy of current's; NULL
void commit_creds(struct cred *fresh); // becomes current's
void abort_creds(struct cred *fresh);
bool in_group_p(gid_t gid);
bool capable(int cap); // CAP_*
#define CAP_CHOWN 0
#define CAP_DAC_OVERRIDE 1
#define CAP_DAC_READ_SEARCH 2
#define CAP_FOWNER 3
#define CAP_FSETID 4
#define CAP_KILL 5
#define CAP_SETGID 6
#define CAP_SETUID 7
#define CAP_SETPCAP 8
#define CAP_IPC_LOCK 14
#define CAP_SYS_RAWIO 17
#define CAP_SYS_CHROOT 18
#define CAP_SYS_PTRACE 19
#define CAP_SYS_ADMIN 21
#define CAP_SYS_BOOT 22
#define CAP_SYS_NICE 23
#define CAP_SYS_RESOURCE 24
#define CAP_SYS_TIME 25
#define CAP_SYS_TTY_CONFIG 26
#define CAP_MKNOD 27
#define CAP_SYSLOG 34
#define CAP_LAST_CAP 40
