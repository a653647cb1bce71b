// SPDX-License-Identifier: MIT
// /proc/PID/mounts and /proc/PID/mountinfo.
#include "fs/proc/proc.h"

static struct mnt_namespace *namespace_of(struct task_struct *t)
{
    return t->nsproxy ? t->nsproxy->mnt_ns : &init_mnt_ns;
}

// The n-th mount of the namespace, counted; NULL at the end.
static struct mount *nth_mount(struct mnt_namespace *ns, unsigned n)
{
    struct mount *m, *found = NULL;
    spin_lock(&mount_lock);
    list_for_each_entry(m, &ns->list, mnt_list)
    {
        if (!n--) {
            found = mntget(m);
            break;
        }
    }
    spin_unlock(&mount_lock);
    return found;
}

// Spaces and the like as octal, so that fields stay fields (fstab(5)).
static void put_escaped(struct seq_file *m, const char *text)
{
    for (; *text; text++) {
        if (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\\') {
            seq_printf(m, "\\%03o", (unsigned char)*text);
        } else {
            seq_putc(m, *text);
        }
    }
}

static int put_path(struct seq_file *m, struct mount *mount, struct dentry *dentry,
                    const struct path *root)
{
    struct path path = {.mnt = mount, .dentry = dentry};
    char *page = page_get();
    if (!page) {
        return -ENOMEM;
    }
    char *text = d_path(&path, root, page, PATH_MAX);
    if (!IS_ERR(text)) {
        put_escaped(m, text);
    }
    page_release(page);
    return 0;
}

static void put_flags(struct seq_file *m, const struct mount *mount)
{
    static const struct {
        unsigned flag;
        const char *name;
    } names[] = {{MS_NOSUID, ",nosuid"},         {MS_NODEV, ",nodev"},
                 {MS_NOEXEC, ",noexec"},         {MS_NOATIME, ",noatime"},
                 {MS_NODIRATIME, ",nodiratime"}, {MS_RELATIME, ",relatime"}};
    unsigned flags = mount->mnt_flags | mount->mnt_sb->s_flags;
    seq_puts(m, (flags & MS_RDONLY) ? "ro" : "rw");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        if (flags & names[i].flag) {
            seq_puts(m, names[i].name);
        }
    }
}

static void put_options(struct seq_file *m, const struct mount *mount)
{
    if (mount->mnt_sb->s_op->show_options) {
        mount->mnt_sb->s_op->show_options(m, mount->mnt_root);
    }
}

// Whether the mount lies at or below the one that holds the reader's root: what is above it is not
// shown.
static bool is_reachable(struct mount *mount, const struct path *root)
{
    spin_lock(&mount_lock);
    while (mount != root->mnt && mount->mnt_parent != mount) {
        mount = mount->mnt_parent;
    }
    spin_unlock(&mount_lock);
    return mount == root->mnt;
}

static int for_each_mount(struct seq_file *m, struct task_struct *t,
                          int (*show)(struct seq_file *, struct mount *, const struct path *root))
{
    struct mount *mount;
    struct path root;
    int error = 0;
    get_fs_root(current->fs, &root);
    for (unsigned n = 0; !error && (mount = nth_mount(namespace_of(t), n)) != NULL; n++) {
        error = is_reachable(mount, &root) ? show(m, mount, &root) : 0;
        mntput(mount);
    }
    path_put(&root);
    return error;
}

static int show_mount(struct seq_file *m, struct mount *mount, const struct path *root)
{
    put_escaped(m, mount->mnt_devname ? mount->mnt_devname : "none");
    seq_putc(m, ' ');
    int error = put_path(m, mount, mount->mnt_root, root);
    seq_printf(m, " %s ", mount->mnt_sb->s_type->name);
    put_flags(m, mount);
    put_options(m, mount);
    seq_puts(m, " 0 0\n");
    return error;
}

static int show_info(struct seq_file *m, struct mount *mount, const struct path *root)
{
    dev_t dev = mount->mnt_sb->s_dev;
    spin_lock(&mount_lock);
    int parent_id = mount->mnt_parent->mnt_id;
    spin_unlock(&mount_lock);
    seq_printf(m, "%d %d %u:%u / ", mount->mnt_id, parent_id, MAJOR(dev), MINOR(dev));
    int error = put_path(m, mount, mount->mnt_root, root);
    seq_putc(m, ' ');
    put_flags(m, mount);
    seq_printf(m, " - %s ", mount->mnt_sb->s_type->name);
    put_escaped(m, mount->mnt_devname ? mount->mnt_devname : "none");
    seq_puts(m, (mount->mnt_sb->s_flags & MS_RDONLY) ? " ro" : " rw");
    put_options(m, mount);
    seq_putc(m, '\n');
    return error;
}

int proc_show_mounts(struct seq_file *m, struct task_struct *t)
{
    return for_each_mount(m, t, show_mount);
}

int proc_show_mountinfo(struct seq_file *m, struct task_struct *t)
{
    return for_each_mount(m, t, show_info);
}
