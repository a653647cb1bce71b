// SPDX-License-Identifier: MIT
// User, group and capability identities: setuid(2) and relatives, setgroups(2), capget(2). Rules of
// credentials(7).
#include "mm/slab.h"
#include "proc/proc_internal.h"
#include "sched/sched.h"
#include "syscall/syscall.h"

#define NGROUPS_MAX 65536
#define KEEP ((u32)-1)
#define CAPABILITY_VERSION_1 0x19980330U
#define CAPABILITY_VERSION_2 0x20071026U
#define CAPABILITY_VERSION_3 0x20080522U

SYSCALL_DEFINE(getuid)
{
    (void)a;
    return current_cred()->uid;
}

SYSCALL_DEFINE(geteuid)
{
    (void)a;
    return current_cred()->euid;
}

SYSCALL_DEFINE(getgid)
{
    (void)a;
    return current_cred()->gid;
}

SYSCALL_DEFINE(getegid)
{
    (void)a;
    return current_cred()->egid;
}

// capabilities(7), "Effect of user ID changes on capabilities".
static void fix_capabilities(struct cred *fresh, const struct cred *old)
{
    bool had_root = old->uid == 0 || old->euid == 0 || old->suid == 0;
    bool has_root = fresh->uid == 0 || fresh->euid == 0 || fresh->suid == 0;
    if (had_root && !has_root) {
        fresh->cap_permitted.cap = 0;
        fresh->cap_effective.cap = 0;
        fresh->cap_ambient.cap = 0;
    }
    if (old->euid == 0 && fresh->euid != 0)
        fresh->cap_effective.cap = 0;
    if (old->euid != 0 && fresh->euid == 0)
        fresh->cap_effective.cap = fresh->cap_permitted.cap;
}

static long commit_uids(struct cred *fresh)
{
    if (fresh->uid != fresh->user->uid) {
        struct user_struct *u = alloc_uid(fresh->uid);
        if (!u) {
            abort_creds(fresh);
            return -EAGAIN;
        }
        put_user_struct(fresh->user);
        fresh->user = u;
    }
    fresh->fsuid = fresh->euid;
    fix_capabilities(fresh, current_cred());
    commit_creds(fresh);
    return 0;
}

static long commit_gids(struct cred *fresh)
{
    fresh->fsgid = fresh->egid;
    commit_creds(fresh);
    return 0;
}

static long refuse(struct cred *fresh)
{
    abort_creds(fresh);
    return -EPERM;
}

SYSCALL_DEFINE(setuid)
{
    uid_t uid = ARG_UINT(0);
    if (uid == KEEP)
        return -EINVAL;
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    if (capable(CAP_SETUID))
        c->uid = c->suid = uid;
    else if (uid != c->uid && uid != c->suid)
        return refuse(c);
    c->euid = uid;
    return commit_uids(c);
}

SYSCALL_DEFINE(setgid)
{
    gid_t gid = ARG_UINT(0);
    if (gid == KEEP)
        return -EINVAL;
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    if (capable(CAP_SETGID))
        c->gid = c->sgid = gid;
    else if (gid != c->gid && gid != c->sgid)
        return refuse(c);
    c->egid = gid;
    return commit_gids(c);
}

SYSCALL_DEFINE(setreuid)
{
    uid_t ruid = ARG_UINT(0), euid = ARG_UINT(1);
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    const struct cred *old = current_cred();
    bool privileged = capable(CAP_SETUID);
    if (ruid != KEEP && ruid != old->uid && ruid != old->euid && !privileged)
        return refuse(c);
    if (euid != KEEP && euid != old->uid && euid != old->euid && euid != old->suid && !privileged)
        return refuse(c);
    if (ruid != KEEP)
        c->uid = ruid;
    if (euid != KEEP)
        c->euid = euid;
    if (ruid != KEEP || (euid != KEEP && euid != old->uid))
        c->suid = c->euid;
    return commit_uids(c);
}

SYSCALL_DEFINE(setregid)
{
    gid_t rgid = ARG_UINT(0), egid = ARG_UINT(1);
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    const struct cred *old = current_cred();
    bool privileged = capable(CAP_SETGID);
    if (rgid != KEEP && rgid != old->gid && rgid != old->egid && !privileged)
        return refuse(c);
    if (egid != KEEP && egid != old->gid && egid != old->egid && egid != old->sgid && !privileged)
        return refuse(c);
    if (rgid != KEEP)
        c->gid = rgid;
    if (egid != KEEP)
        c->egid = egid;
    if (rgid != KEEP || (egid != KEEP && egid != old->gid))
        c->sgid = c->egid;
    return commit_gids(c);
}

static bool is_one_of(u32 id, u32 x, u32 y, u32 z)
{
    return id == KEEP || id == x || id == y || id == z;
}

SYSCALL_DEFINE(setresuid)
{
    uid_t r = ARG_UINT(0), e = ARG_UINT(1), s = ARG_UINT(2);
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    if (!capable(CAP_SETUID) &&
        !(is_one_of(r, c->uid, c->euid, c->suid) && is_one_of(e, c->uid, c->euid, c->suid) &&
          is_one_of(s, c->uid, c->euid, c->suid)))
        return refuse(c);
    c->uid = r != KEEP ? r : c->uid;
    c->euid = e != KEEP ? e : c->euid;
    c->suid = s != KEEP ? s : c->suid;
    return commit_uids(c);
}

SYSCALL_DEFINE(setresgid)
{
    gid_t r = ARG_UINT(0), e = ARG_UINT(1), s = ARG_UINT(2);
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    if (!capable(CAP_SETGID) &&
        !(is_one_of(r, c->gid, c->egid, c->sgid) && is_one_of(e, c->gid, c->egid, c->sgid) &&
          is_one_of(s, c->gid, c->egid, c->sgid)))
        return refuse(c);
    c->gid = r != KEEP ? r : c->gid;
    c->egid = e != KEEP ? e : c->egid;
    c->sgid = s != KEEP ? s : c->sgid;
    return commit_gids(c);
}

static long put_three(const struct sys_args *a, u32 x, u32 y, u32 z)
{
    if (put_user(x, (u32 __user *)ARG_PTR(0)) || put_user(y, (u32 __user *)ARG_PTR(1)) ||
        put_user(z, (u32 __user *)ARG_PTR(2)))
        return -EFAULT;
    return 0;
}

SYSCALL_DEFINE(getresuid)
{
    const struct cred *c = current_cred();
    return put_three(a, c->uid, c->euid, c->suid);
}

SYSCALL_DEFINE(getresgid)
{
    const struct cred *c = current_cred();
    return put_three(a, c->gid, c->egid, c->sgid);
}

// setfsuid(2) and setfsgid(2) return the old value and never fail visibly.
SYSCALL_DEFINE(setfsuid)
{
    uid_t uid = ARG_UINT(0);
    const struct cred *old = current_cred();
    uid_t before = old->fsuid;
    if (uid == KEEP || uid == before ||
        (!capable(CAP_SETUID) && !is_one_of(uid, old->uid, old->euid, old->suid)))
        return before;
    struct cred *c = prepare_creds();
    if (c) {
        c->fsuid = uid;
        commit_creds(c);
    }
    return before;
}

SYSCALL_DEFINE(setfsgid)
{
    gid_t gid = ARG_UINT(0);
    const struct cred *old = current_cred();
    gid_t before = old->fsgid;
    if (gid == KEEP || gid == before ||
        (!capable(CAP_SETGID) && !is_one_of(gid, old->gid, old->egid, old->sgid)))
        return before;
    struct cred *c = prepare_creds();
    if (c) {
        c->fsgid = gid;
        commit_creds(c);
    }
    return before;
}

SYSCALL_DEFINE(getgroups)
{
    const struct group_info *g = current_cred()->group_info;
    int size = ARG_INT(0);
    if (size < 0)
        return -EINVAL;
    if (size == 0)
        return g->ngroups;
    if (size < g->ngroups)
        return -EINVAL;
    return copy_to_user(ARG_PTR(1), g->gid, (u64)g->ngroups * sizeof(gid_t)) ? -EFAULT : g->ngroups;
}

// in_group_p and ls(1) like them in order.
static void sort_groups(struct group_info *g)
{
    for (int gap = g->ngroups / 2; gap > 0; gap /= 2) {
        for (int i = gap; i < g->ngroups; i++) {
            gid_t v = g->gid[i];
            int j = i;
            for (; j >= gap && g->gid[j - gap] > v; j -= gap)
                g->gid[j] = g->gid[j - gap];
            g->gid[j] = v;
        }
    }
}

SYSCALL_DEFINE(setgroups)
{
    int n = ARG_INT(0);
    if (!capable(CAP_SETGID))
        return -EPERM;
    if ((unsigned)n > NGROUPS_MAX)
        return -EINVAL;
    struct group_info *g = kmalloc(sizeof(*g) + (u64)n * sizeof(gid_t), GFP_KERNEL);
    if (!g)
        return -ENOMEM;
    atomic_set(&g->usage, 1);
    g->ngroups = n;
    if (copy_from_user(g->gid, ARG_PTR(1), (u64)n * sizeof(gid_t))) {
        kfree(g);
        return -EFAULT;
    }
    sort_groups(g);
    struct cred *c = prepare_creds();
    if (!c) {
        kfree(g);
        return -ENOMEM;
    }
    // The old list keeps the reference that current's credentials have.
    atomic_dec(&c->group_info->usage);
    c->group_info = g;
    commit_creds(c);
    return 0;
}

// --- capabilities

struct cap_header {
    u32 version;
    int pid;
};
struct cap_data {
    u32 effective, permitted, inheritable;
};

// How many 32-bit words the caller's version has; unknown versions get ours written back.
static int cap_words(struct cap_header *h, struct cap_header __user *uh)
{
    if (copy_from_user(h, uh, sizeof(*h)))
        return -EFAULT;
    if (h->version == CAPABILITY_VERSION_1)
        return 1;
    if (h->version == CAPABILITY_VERSION_2 || h->version == CAPABILITY_VERSION_3)
        return 2;
    return put_user(CAPABILITY_VERSION_3, &uh->version) ? -EFAULT : -EINVAL;
}

SYSCALL_DEFINE(capget)
{
    struct cap_header h;
    struct cap_data d[2];
    int words = cap_words(&h, ARG_PTR(0));
    if (words < 0)
        return words == -EINVAL && !ARG_ULONG(1) ? 0 : words;
    if (h.pid < 0)
        return -EINVAL;
    struct task_struct *t = h.pid ? find_get_task_by_vpid(h.pid) : get_task_struct(current);
    if (!t)
        return -ESRCH;
    const struct cred *c = get_task_cred(t);
    for (int i = 0; i < 2; i++) {
        d[i].effective = (u32)(c->cap_effective.cap >> (32 * i));
        d[i].permitted = (u32)(c->cap_permitted.cap >> (32 * i));
        d[i].inheritable = (u32)(c->cap_inheritable.cap >> (32 * i));
    }
    put_cred(c);
    put_task_struct(t);
    if (!ARG_ULONG(1))
        return -EFAULT;
    return copy_to_user(ARG_PTR(1), d, (u64)words * sizeof(d[0])) ? -EFAULT : 0;
}

SYSCALL_DEFINE(capset)
{
    struct cap_header h;
    struct cap_data d[2] = {{0}};
    int words = cap_words(&h, ARG_PTR(0));
    if (words < 0)
        return words;
    if (h.pid && h.pid != task_pid_vnr(current))
        return -EPERM;
    if (copy_from_user(d, ARG_PTR(1), (u64)words * sizeof(d[0])))
        return -EFAULT;
    const u64 known = (1UL << (CAP_LAST_CAP + 1)) - 1;
    u64 e = (d[0].effective | (u64)d[1].effective << 32) & known;
    u64 p = (d[0].permitted | (u64)d[1].permitted << 32) & known;
    u64 i = (d[0].inheritable | (u64)d[1].inheritable << 32) & known;
    struct cred *c = prepare_creds();
    if (!c)
        return -ENOMEM;
    u64 may_inherit =
        c->cap_inheritable.cap | (capable(CAP_SETPCAP) ? c->cap_bset.cap : c->cap_permitted.cap);
    if ((p & ~c->cap_permitted.cap) || (e & ~p) || (i & ~may_inherit))
        return refuse(c);
    c->cap_effective.cap = e;
    c->cap_permitted.cap = p;
    c->cap_inheritable.cap = i;
    c->cap_ambient.cap &= p & i;
    commit_creds(c);
    return 0;
}
