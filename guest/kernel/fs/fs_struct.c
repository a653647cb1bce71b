// SPDX-License-Identifier: MIT
// Root, working directory and umask of a task (shared with CLONE_FS).
#include "fs/file.h"
#include "mm/slab.h"
#include "sched/sched.h"

struct fs_struct init_fs = {
    .users = ATOMIC_INIT(1), .lock = SPIN_LOCK_INIT_RANK("init_fs", 0), .umask = 022};

struct fs_struct *copy_fs_struct(struct fs_struct *old)
{
    struct fs_struct *fs = kmalloc(sizeof(*fs), GFP_KERNEL);
    if (!fs) {
        return NULL;
    }
    atomic_set(&fs->users, 1);
    spin_lock_init(&fs->lock);
    spin_lock(&old->lock);
    fs->umask = old->umask;
    fs->root = old->root;
    fs->pwd = old->pwd;
    path_get(&fs->root);
    path_get(&fs->pwd);
    spin_unlock(&old->lock);
    return fs;
}

void exit_fs(struct task_struct *t)
{
    spin_lock(&t->alloc_lock);
    struct fs_struct *fs = t->fs;
    t->fs = NULL;
    spin_unlock(&t->alloc_lock);
    if (fs && atomic_dec_and_test(&fs->users)) {
        path_put(&fs->root);
        path_put(&fs->pwd);
        if (fs != &init_fs) {
            kfree(fs);
        }
    }
}

static void get_one(struct fs_struct *fs, const struct path *from, struct path *to)
{
    spin_lock(&fs->lock);
    *to = *from;
    path_get(to);
    spin_unlock(&fs->lock);
}

void get_fs_root(struct fs_struct *fs, struct path *root)
{
    get_one(fs, &fs->root, root);
}

void get_fs_pwd(struct fs_struct *fs, struct path *pwd)
{
    get_one(fs, &fs->pwd, pwd);
}

static void set_one(struct fs_struct *fs, struct path *which, const struct path *p)
{
    path_get(p);
    spin_lock(&fs->lock);
    struct path old = *which;
    *which = *p;
    spin_unlock(&fs->lock);
    if (old.dentry) {
        path_put(&old);
    }
}

void set_fs_root(struct fs_struct *fs, const struct path *p)
{
    set_one(fs, &fs->root, p);
}

void set_fs_pwd(struct fs_struct *fs, const struct path *p)
{
    set_one(fs, &fs->pwd, p);
}
