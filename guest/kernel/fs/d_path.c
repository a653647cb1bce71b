// SPDX-License-Identifier: MIT
// Path names from dentries: d_path, getcwd(2).
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "syscall/syscall.h"

static bool prepend(char **at, int *room, const char *text, int n)
{
    if (*room < n) {
        return false;
    }
    *at -= n;
    *room -= n;
    memcpy(*at, text, (size_t)n);
    return true;
}

// Text from path up to root into the end of buf. *reached: root was met (else the walk ended at
// another tree's top).
static char *build(struct path path, const struct path *root, char *buf, int len, bool *reached)
{
    char *at = buf + len;
    int room = len;
    bool ok = prepend(&at, &room, "", 1);
    *reached = true;
    spin_lock(&mount_lock);
    spin_lock(&dcache_lock);
    while (ok && !(root && path.dentry == root->dentry && path.mnt == root->mnt)) {
        struct dentry *d = path.dentry;
        if (d == path.mnt->mnt_root || d->d_parent == d) {
            if (path.mnt->mnt_parent == path.mnt || d != path.mnt->mnt_root) {
                *reached = false;
                break;
            }
            path.dentry = path.mnt->mnt_mountpoint;
            path.mnt = path.mnt->mnt_parent;
            continue;
        }
        ok = prepend(&at, &room, d->d_name.name, (int)d->d_name.len) && prepend(&at, &room, "/", 1);
        path.dentry = d->d_parent;
    }
    spin_unlock(&dcache_lock);
    spin_unlock(&mount_lock);
    if (ok && !*at) {
        ok = prepend(&at, &room, "/", 1);
    }
    return ok ? at : ERR_PTR(-ENAMETOOLONG);
}

char *d_path(const struct path *path, const struct path *root, char *buf, int len)
{
    static const char deleted[] = " (deleted)";
    bool reached;
    struct dentry *d = path->dentry;
    if (d->d_op && d->d_op->d_dname) {
        return d->d_op->d_dname(d, buf, len);
    }
    bool gone = d_unhashed(d) && d->d_parent != d;
    if (!gone) {
        return build(*path, root, buf, len, &reached);
    }
    int tail = (int)sizeof(deleted) - 1;
    if (len <= tail) {
        return ERR_PTR(-ENAMETOOLONG);
    }
    char *at = build(*path, root, buf, len - tail, &reached);
    if (!IS_ERR(at)) {
        memcpy(buf + len - tail - 1, deleted, sizeof(deleted));
    }
    return at;
}

SYSCALL_DEFINE(getcwd)
{
    char __user *ubuf = ARG_PTR(0);
    unsigned long size = ARG_ULONG(1);
    struct path pwd, root;
    bool reached;
    char *page = page_get();
    if (!page) {
        return -ENOMEM;
    }
    get_fs_root(current->fs, &root);
    get_fs_pwd(current->fs, &pwd);
    long result = -ENOENT;
    if (!d_unhashed(pwd.dentry) || pwd.dentry->d_parent == pwd.dentry) {
        static const char outside[] = "(unreachable)";
        int head = (int)sizeof(outside) - 1;
        char *at = build(pwd, &root, page + head, PATH_MAX - head, &reached);
        if (!IS_ERR(at) && !reached) {
            at -= head;
            memcpy(at, outside, (size_t)head);
        }
        result = PTR_ERR(at);
        if (!IS_ERR(at)) {
            size_t n = strlen(at) + 1;
            result = n > size ? -ERANGE : copy_to_user(ubuf, at, n) ? -EFAULT : (long)n;
        }
    }
    path_put(&pwd);
    path_put(&root);
    page_release(page);
    return result;
}
