// SPDX-License-Identifier: MIT
// The tree of mounts: lookup, attaching, detaching, mount(2) and umount2(2).
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "fs/seq_file.h"
#include "proc/nsproxy.h"
#include "syscall/syscall.h"

#define HASH_BITS 8
#define MNT_FLAGS                                                                                  \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME |     \
     MS_STRICTATIME)

static struct hlist_head mount_hash[1u << HASH_BITS];
DEFINE_SPINLOCK(mount_lock);
static DEFINE_MUTEX(namespace_mutex); // changes of the tree
struct mnt_namespace init_mnt_ns = {.count = ATOMIC_INIT(1),
                                    .list = LIST_HEAD_INIT(init_mnt_ns.list),
                                    .poll = WAIT_QUEUE_HEAD_INIT(init_mnt_ns.poll)};

static struct hlist_head *bucket(const struct mount *parent, const struct dentry *d)
{
    u64 h = ((u64)parent >> 6) * 31 + ((u64)d >> 6);
    return &mount_hash[(h ^ (h >> HASH_BITS)) & ((1u << HASH_BITS) - 1)];
}

struct mount *mntget(struct mount *m)
{
    if (m) {
        atomic_inc(&m->mnt_count);
    }
    return m;
}

void mntput(struct mount *m)
{
    if (m && atomic_dec_and_test(&m->mnt_count)) {
        struct super_block *sb = m->mnt_sb;
        dput(m->mnt_root);
        deactivate_super(sb);
        kfree(m->mnt_devname);
        kfree(m);
    }
}

void path_get(const struct path *p)
{
    mntget(p->mnt);
    dget(p->dentry);
}

void path_put(const struct path *p)
{
    dput(p->dentry);
    mntput(p->mnt);
}

int mnt_want_write(struct mount *m)
{
    struct super_block *sb = m->mnt_sb;
    atomic_inc(&sb->s_writers);
    smp_mb();
    if ((m->mnt_flags | sb->s_flags) & MS_RDONLY) {
        atomic_dec(&sb->s_writers);
        return -EROFS;
    }
    return 0;
}

void mnt_drop_write(struct mount *m)
{
    atomic_dec(&m->mnt_sb->s_writers);
}

struct mnt_namespace *current_mnt_ns(void)
{
    return current->nsproxy && current->nsproxy->mnt_ns ? current->nsproxy->mnt_ns : &init_mnt_ns;
}

// mount_lock held.
static struct mount *find_child(const struct mount *parent, const struct dentry *d)
{
    struct mount *m;
    hlist_for_each_entry(m, bucket(parent, d), mnt_hash) {
        if (m->mnt_parent == parent && m->mnt_mountpoint == d) {
            return m;
        }
    }
    return NULL;
}

bool lookup_mnt(struct path *path)
{
    spin_lock(&mount_lock);
    struct mount *m = mntget(find_child(path->mnt, path->dentry));
    spin_unlock(&mount_lock);
    if (!m) {
        return false;
    }
    struct dentry *root = dget(m->mnt_root);
    path_put(path);
    path->mnt = m;
    path->dentry = root;
    return true;
}

bool follow_up(struct path *path)
{
    spin_lock(&mount_lock);
    struct mount *parent = path->mnt->mnt_parent;
    if (parent == path->mnt) {
        spin_unlock(&mount_lock);
        return false;
    }
    struct path up = {mntget(parent), dget(path->mnt->mnt_mountpoint)};
    spin_unlock(&mount_lock);
    path_put(path);
    *path = up;
    return true;
}

// Consumes root and its super block's reference, also on failure.
static struct mount *alloc_mount(struct dentry *root, const char *devname, unsigned flags)
{
    static atomic_t last_id;
    struct mount *m = kzalloc(sizeof(*m), GFP_KERNEL);
    char *name = kstrdup(devname ? devname : "none", GFP_KERNEL);
    if (!m || !name) {
        struct super_block *sb = root->d_sb;
        kfree(m);
        kfree(name);
        dput(root);
        deactivate_super(sb);
        return ERR_PTR(-ENOMEM);
    }
    m->mnt_devname = name;
    m->mnt_root = root;
    m->mnt_sb = root->d_sb;
    m->mnt_parent = m;
    m->mnt_mountpoint = root;
    m->mnt_flags = flags & MNT_FLAGS;
    m->mnt_id = atomic_inc_return(&last_id);
    atomic_set(&m->mnt_count, 1);
    INIT_LIST_HEAD(&m->mnt_mounts);
    INIT_LIST_HEAD(&m->mnt_child);
    INIT_LIST_HEAD(&m->mnt_list);
    INIT_LIST_HEAD(&m->mnt_share);
    INIT_LIST_HEAD(&m->mnt_slave_list);
    INIT_LIST_HEAD(&m->mnt_slave);
    return m;
}

static struct mount *mount_type(struct file_system_type *t, unsigned flags, const char *source,
                                const char *data)
{
    struct dentry *root = t->mount(t, flags, source, data);
    if (IS_ERR(root)) {
        return (struct mount *)root;
    }
    return alloc_mount(root, source, flags);
}

struct mount *kern_mount_internal(struct file_system_type *t)
{
    return mount_type(t, 0, t->name, NULL);
}

static void mark_mounted(struct dentry *d, bool on)
{
    spin_lock(&dcache_lock);
    d->d_flags = on ? d->d_flags | DCACHE_MOUNTED : d->d_flags & ~DCACHE_MOUNTED;
    spin_unlock(&dcache_lock);
}

// mount_lock held. m gets references to its place.
static void attach(struct mount *m, struct mount *parent, struct dentry *where,
                   struct mnt_namespace *ns)
{
    m->mnt_parent = mntget(parent);
    m->mnt_mountpoint = dget(where);
    mark_mounted(where, true);
    hlist_add_head(&m->mnt_hash, bucket(parent, where));
    list_add_tail(&m->mnt_child, &parent->mnt_mounts);
    if (list_empty(&m->mnt_list)) {
        list_add_tail(&m->mnt_list, &ns->list);
    }
    m->mnt_ns = ns;
    ns->event++;
}

// mount_lock held: takes m out of its place; *old gets the references it had.
static void detach(struct mount *m, struct path *old)
{
    old->mnt = m->mnt_parent;
    old->dentry = m->mnt_mountpoint;
    m->mnt_parent = m;
    m->mnt_mountpoint = m->mnt_root;
    hlist_del_init(&m->mnt_hash);
    list_del_init(&m->mnt_child);
    bool more = false;
    for (unsigned b = 0; b < ARRAY_SIZE(mount_hash) && !more; b++) {
        struct mount *other;
        hlist_for_each_entry(other, &mount_hash[b], mnt_hash) {
            more |= other->mnt_mountpoint == old->dentry;
        }
    }
    if (!more) {
        mark_mounted(old->dentry, false);
    }
}

// Attaches at what is on top of path. 0 or -errno; on success m's reference belongs to the tree.
static int graft(struct mount *m, struct path *path)
{
    bool dir = d_is_dir(path->dentry);
    if (dir != d_is_dir(m->mnt_root)) {
        return -ENOTDIR;
    }
    if (d_unhashed(path->dentry) && path->dentry != path->mnt->mnt_root) {
        return -ENOENT;
    }
    spin_lock(&mount_lock);
    attach(m, path->mnt, path->dentry, current_mnt_ns());
    spin_unlock(&mount_lock);
    return 0;
}

static void climb(struct path *path)
{
    while ((path->dentry->d_flags & DCACHE_MOUNTED) && lookup_mnt(path)) {
    }
}

static int do_new_mount(struct path *path, const char *type, unsigned flags, const char *source,
                        const char *data)
{
    struct file_system_type *t = type ? get_fs_type(type, strlen(type)) : NULL;
    if (!type) {
        return -EINVAL;
    }
    if (!t) {
        return -ENODEV;
    }
    struct mount *m = mount_type(t, flags, source, data);
    if (IS_ERR(m)) {
        return (int)PTR_ERR(m);
    }
    mutex_lock(&namespace_mutex);
    climb(path);
    int error = graft(m, path);
    if (path->mnt->mnt_sb == m->mnt_sb && path->mnt->mnt_root == path->dentry && !error) {
        // The same file system twice on one place, as Linux refuses it.
        struct path old;
        spin_lock(&mount_lock);
        detach(m, &old);
        list_del_init(&m->mnt_list);
        spin_unlock(&mount_lock);
        path_put(&old);
        error = -EBUSY;
    }
    mutex_unlock(&namespace_mutex);
    if (error) {
        mntput(m);
    }
    return error;
}

static struct mount *clone_mount(struct mount *old, struct dentry *root)
{
    atomic_inc(&old->mnt_sb->s_active);
    return alloc_mount(dget(root), old->mnt_devname, old->mnt_flags);
}

// Copies the mounts below `old` (under its dentry `root`) onto `copy`. 0 or -ENOMEM.
static int clone_children(struct mount *old, struct dentry *root, struct mount *copy)
{
    struct mount *child;
    list_for_each_entry(child, &old->mnt_mounts, mnt_child) {
        if (!is_subdir(child->mnt_mountpoint, root)) {
            continue;
        }
        struct mount *m = clone_mount(child, child->mnt_root);
        if (IS_ERR(m)) {
            return -ENOMEM;
        }
        spin_lock(&mount_lock);
        attach(m, copy, child->mnt_mountpoint, current_mnt_ns());
        spin_unlock(&mount_lock);
        int error = clone_children(child, child->mnt_root, m);
        if (error) {
            return error;
        }
    }
    return 0;
}

static void umount_tree(struct mount *m);

static int do_bind(struct path *path, const char *source, bool recursive)
{
    struct path from;
    if (!source || !*source) {
        return -EINVAL;
    }
    int error = kern_path(source, LOOKUP_FOLLOW, &from);
    if (error) {
        return error;
    }
    mutex_lock(&namespace_mutex);
    struct mount *m = clone_mount(from.mnt, from.dentry);
    error = PTR_ERR_OR_ZERO(m);
    if (!error) {
        climb(path);
        struct mount *above = from.mnt;
        error = graft(m, path);
        if (error) {
            mntput(m);
        } else if (recursive && (error = clone_children(above, from.dentry, m)) != 0) {
            umount_tree(m);
        }
    }
    mutex_unlock(&namespace_mutex);
    path_put(&from);
    return error;
}

static int do_move(struct path *path, const char *source)
{
    struct path from, old;
    if (!source || !*source) {
        return -EINVAL;
    }
    int error = kern_path(source, LOOKUP_FOLLOW, &from);
    if (error) {
        return error;
    }
    mutex_lock(&namespace_mutex);
    climb(path);
    struct mount *m = from.mnt;
    error = -EINVAL;
    if (from.dentry != m->mnt_root || m->mnt_parent == m ||
        d_is_dir(path->dentry) != d_is_dir(from.dentry)) {
        goto out;
    }
    error = -ELOOP;
    for (struct mount *p = path->mnt; p->mnt_parent != p; p = p->mnt_parent) {
        if (p == m) {
            goto out;
        }
    }
    error = 0;
    spin_lock(&mount_lock);
    detach(m, &old);
    attach(m, path->mnt, path->dentry, current_mnt_ns());
    spin_unlock(&mount_lock);
    path_put(&old);
out:
    mutex_unlock(&namespace_mutex);
    path_put(&from);
    return error;
}

static int do_remount(struct path *path, unsigned flags, const char *data)
{
    struct mount *m = path->mnt;
    if (path->dentry != m->mnt_root) {
        return -EINVAL;
    }
    int error = flags & MS_BIND ? 0 : do_remount_sb(m->mnt_sb, flags, data, false);
    if (!error) {
        unsigned keep = flags & MS_BIND ? 0 : m->mnt_flags & MS_RDONLY & flags;
        spin_lock(&mount_lock);
        m->mnt_flags = (flags & MNT_FLAGS) | keep;
        spin_unlock(&mount_lock);
        m->mnt_ns->event++;
    }
    return error;
}

static int do_mount(const char *source, struct path *path, const char *type, unsigned flags,
                    const char *data)
{
    if (!(flags & (MS_NOATIME | MS_STRICTATIME))) {
        flags |= MS_RELATIME;
    }
    if (flags & MS_REMOUNT) {
        return do_remount(path, flags, data);
    }
    if (flags & MS_BIND) {
        return do_bind(path, source, flags & MS_REC);
    }
    if (flags & (MS_SHARED | MS_SLAVE | MS_UNBINDABLE)) {
        return -EINVAL; // every mount is private here
    }
    if (flags & MS_PRIVATE) {
        return path->dentry == path->mnt->mnt_root ? 0 : -EINVAL;
    }
    if (flags & MS_MOVE) {
        return do_move(path, source);
    }
    return do_new_mount(path, type, flags, source, data);
}

int kern_mount(const char *source, const char *target, const char *type, unsigned flags,
               const char *data)
{
    struct path path;
    int error = kern_path(target, LOOKUP_FOLLOW, &path);
    if (!error) {
        error = do_mount(source, &path, type, flags, data);
        path_put(&path);
    }
    return error;
}

// mount_lock held: detach, and out of the namespace.
static void unlink_mount(struct mount *m, struct path *old)
{
    detach(m, old);
    list_del_init(&m->mnt_list);
    m->mnt_ns->event++;
    m->mnt_ns = NULL;
}

// namespace_mutex held: takes m and all below out of the tree; each goes when its last user does.
static void umount_tree(struct mount *m)
{
    while (!list_empty(&m->mnt_mounts)) {
        umount_tree(list_last_entry(&m->mnt_mounts, struct mount, mnt_child));
    }
    struct path old;
    spin_lock(&mount_lock);
    unlink_mount(m, &old);
    spin_unlock(&mount_lock);
    path_put(&old);
    mntput(m);
}

// namespace_mutex held: only if nobody uses it. Walks into it take their reference under
// mount_lock too.
static int umount_unused(struct mount *m)
{
    struct path old;
    spin_lock(&mount_lock);
    // The caller's and the tree's; children hold one each.
    if (atomic_read(&m->mnt_count) > 2) {
        spin_unlock(&mount_lock);
        return -EBUSY;
    }
    unlink_mount(m, &old);
    spin_unlock(&mount_lock);
    path_put(&old);
    mntput(m);
    return 0;
}

int path_umount(struct path *path, int flags)
{
    struct mount *m = path->mnt;
    if (path->dentry != m->mnt_root) {
        return -EINVAL;
    }
    if (m == current_mnt_ns()->root || m == current->fs->root.mnt) {
        return flags & MNT_DETACH ? -EINVAL : do_remount_sb(m->mnt_sb, MS_RDONLY, NULL, false);
    }
    if (flags & MNT_EXPIRE) {
        return flags & (MNT_FORCE | MNT_DETACH) ? -EINVAL : -EAGAIN;
    }
    mutex_lock(&namespace_mutex);
    int error = -EINVAL;
    if (m->mnt_ns) {
        shrink_dcache_parent(m->mnt_root);
        error = 0;
        if (flags & MNT_DETACH) {
            umount_tree(m);
        } else {
            error = umount_unused(m);
        }
    }
    mutex_unlock(&namespace_mutex);
    return error;
}

static char *copy_string(const char __user *u, long *error)
{
    if (!u) {
        return NULL;
    }
    char *page = page_get();
    if (!page) {
        *error = -ENOMEM;
        return NULL;
    }
    long n = strncpy_from_user(page, u, PATH_MAX);
    if (n < 0 || n == PATH_MAX) {
        *error = n < 0 ? n : -EINVAL;
        page_release(page);
        return NULL;
    }
    return page;
}

SYSCALL_DEFINE(mount)
{
    unsigned flags = ARG_UINT(3);
    struct path path;
    long error = 0;
    if ((flags & 0xffff0000) == 0xc0ed0000) { // an old magic number in the upper half
        flags &= 0xffff;
    }
    char *source = copy_string(ARG_PTR(0), &error);
    char *type = error ? NULL : copy_string(ARG_PTR(2), &error);
    char *data = error ? NULL : copy_string(ARG_PTR(4), &error);
    if (!error) {
        error = user_path_at(AT_FDCWD, ARG_PTR(1), LOOKUP_FOLLOW, &path);
    }
    if (!error) {
        error = capable(CAP_SYS_ADMIN) ? do_mount(source, &path, type, flags, data) : -EPERM;
        path_put(&path);
    }
    page_release(source);
    page_release(type);
    page_release(data);
    return error;
}

SYSCALL_DEFINE(umount2)
{
    int flags = ARG_INT(1);
    struct path path;
    if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW)) {
        return -EINVAL;
    }
    int error =
        user_path_at(AT_FDCWD, ARG_PTR(0), flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &path);
    if (error) {
        return error;
    }
    error = capable(CAP_SYS_ADMIN) ? path_umount(&path, flags) : -EPERM;
    path_put(&path);
    return error;
}

const char *mount_option(const char *data, const char *name, char *buf, size_t size)
{
    size_t len = strlen(name);
    while (data && *data) {
        const char *end = strchr(data, ',');
        size_t n = end ? (size_t)(end - data) : strlen(data);
        if (n >= len && !memcmp(data, name, len) && (n == len || data[len] == '=')) {
            size_t skip = n == len ? len : len + 1;
            size_t value = min(n - skip, size - 1);
            memcpy(buf, data + skip, value);
            buf[value] = '\0';
            return buf;
        }
        data = end ? end + 1 : NULL;
    }
    return NULL;
}

void mount_init(void)
{
    struct file_system_type *t = get_fs_type("tmpfs", 5);
    struct mount *m = mount_type(t, 0, "rootfs", NULL);
    BUG_ON(IS_ERR(m));
    m->mnt_ns = &init_mnt_ns;
    list_add_tail(&m->mnt_list, &init_mnt_ns.list);
    init_mnt_ns.root = m;
    init_nsproxy.mnt_ns = &init_mnt_ns;
    struct path root = {m, m->mnt_root};
    set_fs_root(&init_fs, &root);
    set_fs_pwd(&init_fs, &root);
    if (current->fs && current->fs != &init_fs) {
        set_fs_root(current->fs, &root);
        set_fs_pwd(current->fs, &root);
    }
}
