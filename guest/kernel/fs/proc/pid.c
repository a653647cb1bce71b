// SPDX-License-Identifier: MIT
// /proc/PID and /proc/PID/task/TID: directories made from rows, their files and links.
#include "fs/proc/proc.h"

#include "arch/x86_64/uaccess.h"

#define WRITE_MAX 128

static const struct inode_operations pid_file_iops, pid_link_iops;
static const struct file_operations pid_file_fops;

struct task_struct *proc_task(const struct inode *i)
{
    struct pid *pid = proc_i(i)->pid;
    struct task_struct *t = NULL;
    spin_lock(&tasklist_lock);
    t = pid ? pid_task(pid, proc_i(i)->is_thread ? PIDTYPE_PID : PIDTYPE_TGID) : NULL;
    if (t) {
        get_task_struct(t);
    }
    spin_unlock(&tasklist_lock);
    return t;
}

// Whether current may look into t's memory and files: the same user, not more capable, or
// CAP_SYS_PTRACE (ptrace(2)).
bool proc_may_look(struct task_struct *t)
{
    const struct cred *me = current_cred(), *c = get_task_cred(t);
    bool same = me->fsuid == c->uid && me->fsuid == c->euid && me->fsuid == c->suid &&
                me->fsgid == c->gid && me->fsgid == c->egid && me->fsgid == c->sgid;
    bool subset = !(c->cap_permitted.cap & ~me->cap_permitted.cap);
    put_cred(c);
    return same_thread_group(t, current) || (same && subset) || capable(CAP_SYS_PTRACE);
}

// Only what anybody may know belongs to the user; a process that changed its user keeps root's
// files (proc(5)).
static void set_owner(struct inode *i, struct task_struct *t)
{
    const struct cred *c = get_task_cred(t);
    i->i_uid = c->euid;
    i->i_gid = c->egid;
    put_cred(c);
}

struct inode *proc_pid_inode(struct super_block *sb, struct task_struct *t, umode_t mode,
                             bool is_thread)
{
    struct inode *i = proc_new_inode(sb, mode);
    if (i) {
        spin_lock(&tasklist_lock); // NULL once t has been waited for: such a file is dead
        proc_i(i)->pid = get_pid(is_thread ? task_pid(t) : task_tgid(t));
        spin_unlock(&tasklist_lock);
        proc_i(i)->is_thread = is_thread;
        set_owner(i, t);
    }
    return i;
}

static int pid_revalidate(struct dentry *d, unsigned flags)
{
    struct task_struct *t = d->d_inode ? proc_task(d->d_inode) : NULL;
    if (!t) {
        return 0;
    }
    set_owner(d->d_inode, t);
    put_task_struct(t);
    return 1;
}

const struct dentry_operations proc_pid_dops = {.d_revalidate = pid_revalidate,
                                                .d_delete = always_delete_dentry};

static struct dentry *add(struct dentry *d, struct inode *i)
{
    if (!i) {
        return ERR_PTR(-ENOMEM);
    }
    d->d_op = &proc_pid_dops;
    d_add(d, i);
    return NULL;
}

// --- a process's own directory

static bool row_applies(const struct pid_row *row, bool is_thread)
{
    return !is_thread || !row->group_only;
}

static struct dentry *pid_dir_lookup(struct inode *dir, struct dentry *d)
{
    bool is_thread = proc_i(dir)->is_thread;
    struct task_struct *t = proc_task(dir);
    struct dentry *result = ERR_PTR(-ENOENT);
    if (!t) {
        return result;
    }
    for (const struct pid_row *row = proc_pid_rows; row->name; row++) {
        if (strlen(row->name) != d->d_name.len ||
            memcmp(row->name, d->d_name.name, d->d_name.len) || !row_applies(row, is_thread)) {
            continue;
        }
        struct inode *i = proc_pid_inode(dir->i_sb, t, row->mode, is_thread);
        if (i) {
            proc_i(i)->row = row;
            i->i_op = row->iops ? row->iops : row->link ? &pid_link_iops : &pid_file_iops;
            i->i_fop = row->fops ? row->fops : &pid_file_fops;
        }
        result = add(d, i);
        break;
    }
    put_task_struct(t);
    return result;
}

static int pid_dir_iterate(struct file *f, struct dir_context *ctx)
{
    loff_t pos = 2;
    if (!dir_emit_dots(f, ctx)) {
        return 0;
    }
    for (const struct pid_row *row = proc_pid_rows; row->name; row++, pos++) {
        if (pos < ctx->pos || !row_applies(row, proc_i(f->f_inode)->is_thread)) {
            continue;
        }
        if (!ctx->actor(ctx, row->name, (int)strlen(row->name), pos, (u64)pos,
                        mode_to_dtype(row->mode))) {
            return 0;
        }
        ctx->pos = pos + 1;
    }
    return 0;
}

const struct inode_operations proc_pid_dir_iops = {.lookup = pid_dir_lookup};
const struct file_operations proc_pid_dir_fops = {
    .llseek = dcache_dir_lseek, .read = generic_read_dir, .iterate = pid_dir_iterate};

// --- files of rows

static int show_row(struct seq_file *m, void *v)
{
    const struct inode *i = m->private;
    struct task_struct *t = proc_task(i);
    if (!t) {
        return -ESRCH;
    }
    const struct pid_row *row = proc_i(i)->row;
    int error = row->show ? row->show(m, t) : 0;
    put_task_struct(t);
    return error;
}

static int pid_file_open(struct inode *i, struct file *f)
{
    struct task_struct *t = proc_task(i);
    if (!t) {
        return -ESRCH;
    }
    bool allowed = !proc_i(i)->row->owner_only || proc_may_look(t);
    put_task_struct(t);
    return allowed ? single_open(f, show_row, i) : -EACCES;
}

static ssize_t pid_file_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    const struct pid_row *row = proc_i(f->f_inode)->row;
    char text[WRITE_MAX + 1];
    size_t n = min_t(size_t, iov_iter_count(from), WRITE_MAX);
    if (!row->write) {
        return -EINVAL;
    }
    if (copy_from_iter(text, n, from) != n) {
        return -EFAULT;
    }
    text[n] = '\0';
    struct task_struct *t = proc_task(f->f_inode);
    if (!t) {
        return -ESRCH;
    }
    ssize_t done = row->write(t, text, n);
    put_task_struct(t);
    if (done > 0) {
        *pos += done;
    }
    return done;
}

static const struct inode_operations pid_file_iops = {.setattr = NULL};
static const struct file_operations pid_file_fops = {.open = pid_file_open,
                                                     .read = seq_read,
                                                     .write = pid_file_write,
                                                     .llseek = seq_lseek,
                                                     .release = seq_release};

// --- magic links of rows

static int row_link(struct dentry *d, struct path *path)
{
    struct task_struct *t = proc_task(d->d_inode);
    if (!t) {
        return -ENOENT;
    }
    int error = proc_may_look(t) ? proc_i(d->d_inode)->row->link(t, path) : -EACCES;
    put_task_struct(t);
    return error;
}

static const struct inode_operations pid_link_iops = {.get_link_path = row_link};

// --- /proc: numbers, self

static const char *self_target(struct dentry *d, struct inode *i, void **cookie)
{
    char *text = kasprintf(GFP_KERNEL, "%d", task_tgid_vnr(current));
    *cookie = text;
    return text ? text : ERR_PTR(-ENOMEM);
}

static const char *thread_self_target(struct dentry *d, struct inode *i, void **cookie)
{
    char *text = kasprintf(GFP_KERNEL, "%d/task/%d", task_tgid_vnr(current), task_pid_vnr(current));
    *cookie = text;
    return text ? text : ERR_PTR(-ENOMEM);
}

static void put_target(void *cookie)
{
    kfree(cookie);
}

static const struct inode_operations self_iops = {.get_link = self_target, .put_link = put_target};
static const struct inode_operations thread_self_iops = {.get_link = thread_self_target,
                                                         .put_link = put_target};

static bool name_is(const struct dentry *d, const char *name)
{
    return d->d_name.len == strlen(name) && !memcmp(d->d_name.name, name, d->d_name.len);
}

struct dentry *proc_lookup_pid(struct inode *dir, struct dentry *d)
{
    unsigned number;
    bool thread_self = name_is(d, "thread-self");
    if (thread_self || name_is(d, "self")) {
        struct inode *i = proc_new_inode(dir->i_sb, S_IFLNK | 0777);
        if (!i) {
            return ERR_PTR(-ENOMEM);
        }
        i->i_op = thread_self ? &thread_self_iops : &self_iops;
        d_add(d, i);
        return NULL;
    }
    if (proc_parse_number(&d->d_name, &number)) {
        return ERR_PTR(-ENOENT);
    }
    struct task_struct *t = find_get_task_by_vpid((pid_t)number);
    if (!t) {
        return ERR_PTR(-ENOENT);
    }
    struct inode *i = proc_pid_inode(dir->i_sb, t, S_IFDIR | 0555, false);
    if (i) {
        i->i_op = &proc_pid_dir_iops;
        i->i_fop = &proc_pid_dir_fops;
    }
    put_task_struct(t);
    return add(d, i);
}

// The process with the smallest number >= from, 0 at the end.
static pid_t next_pid(pid_t from)
{
    struct task_struct *p;
    pid_t best = 0;
    spin_lock(&tasklist_lock);
    for_each_process(p)
    {
        pid_t nr = task_tgid_vnr(p);
        if (nr >= from && (!best || nr < best)) {
            best = nr;
        }
    }
    spin_unlock(&tasklist_lock);
    return best;
}

int proc_emit_pids(struct dir_context *ctx, struct super_block *sb)
{
    static const char *const names[] = {"self", "thread-self"};
    for (; ctx->pos < PROC_DYNAMIC_POS + 2; ctx->pos++) {
        const char *name = names[ctx->pos - PROC_DYNAMIC_POS];
        if (!ctx->actor(ctx, name, (int)strlen(name), ctx->pos, (u64)ctx->pos,
                        mode_to_dtype(S_IFLNK))) {
            return 0;
        }
    }
    pid_t pid = (pid_t)(ctx->pos - PROC_DYNAMIC_POS - 2);
    while ((pid = next_pid(pid)) != 0) {
        char name[12];
        int n = snprintf(name, sizeof(name), "%d", pid);
        if (!ctx->actor(ctx, name, n, PROC_DYNAMIC_POS + 2 + pid, (u64)pid + PROC_DYNAMIC_POS,
                        mode_to_dtype(S_IFDIR))) {
            return 0;
        }
        ctx->pos = PROC_DYNAMIC_POS + 2 + ++pid;
    }
    return 0;
}

// --- task/

static struct dentry *task_lookup(struct inode *dir, struct dentry *d)
{
    unsigned number;
    struct task_struct *t, *leader;
    if (proc_parse_number(&d->d_name, &number)) {
        return ERR_PTR(-ENOENT);
    }
    leader = proc_task(dir);
    t = find_get_task_by_vpid((pid_t)number);
    struct dentry *result = ERR_PTR(-ENOENT);
    if (leader && t && same_thread_group(leader, t)) {
        struct inode *i = proc_pid_inode(dir->i_sb, t, S_IFDIR | 0555, true);
        if (i) {
            i->i_op = &proc_pid_dir_iops;
            i->i_fop = &proc_pid_dir_fops;
        }
        result = add(d, i);
    }
    if (t) {
        put_task_struct(t);
    }
    if (leader) {
        put_task_struct(leader);
    }
    return result;
}

static pid_t next_tid(struct task_struct *leader, pid_t from)
{
    struct task_struct *t;
    pid_t best = 0;
    spin_lock(&tasklist_lock);
    if (leader->signal) {
        for_each_thread(leader, t)
        {
            pid_t nr = task_pid_vnr(t);
            if (nr >= from && (!best || nr < best)) {
                best = nr;
            }
        }
    }
    spin_unlock(&tasklist_lock);
    return best;
}

static int task_iterate(struct file *f, struct dir_context *ctx)
{
    struct task_struct *leader = proc_task(f->f_inode);
    if (!leader) {
        return -ENOENT;
    }
    if (dir_emit_dots(f, ctx)) {
        pid_t tid = (pid_t)(ctx->pos - 2);
        while ((tid = next_tid(leader, tid)) != 0) {
            char name[12];
            int n = snprintf(name, sizeof(name), "%d", tid);
            if (!ctx->actor(ctx, name, n, 2 + tid, (u64)tid, mode_to_dtype(S_IFDIR))) {
                break;
            }
            ctx->pos = 2 + ++tid;
        }
    }
    put_task_struct(leader);
    return 0;
}

const struct inode_operations proc_task_iops = {.lookup = task_lookup};
const struct file_operations proc_task_fops = {
    .llseek = dcache_dir_lseek, .read = generic_read_dir, .iterate = task_iterate};
