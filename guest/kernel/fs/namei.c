// SPDX-License-Identifier: MIT
// Path walking (path_resolution(7)): components, symbolic links, mount points, ".."; opening of the last component.
#include "arch/x86_64/uaccess.h"
#include "fs/internal.h"
#include "proc/signal.h"

#define MAX_LINKS 40
#define NEAR_LINKS 4

enum last_type { LAST_NORM, LAST_ROOT, LAST_DOT, LAST_DOTDOT };

struct saved_link {
    const char *rest; // what follows the link in the text it stood in
    void *cookie;
    void (*put)(void *cookie);
    struct dentry *dentry; // keeps the text alive
};
struct nameidata {
    struct path path, root;
    struct qstr last;
    enum last_type last_type;
    unsigned flags;
    int links, depth;
    struct saved_link *stack, near[NEAR_LINKS];
};

static struct kmem_cache *names_cache;
struct mutex rename_mutex;

char *page_get(void)
{
    return kmem_cache_alloc(names_cache, GFP_KERNEL);
}

void page_release(char *p)
{
    if (p) {
        kmem_cache_free(names_cache, p);
    }
}

struct filename *getname_flags(const char __user *u, unsigned lookup_flags)
{
    struct filename *n = (struct filename *)page_get();
    if (!n) {
        return ERR_PTR(-ENOMEM);
    }
    n->name = (char *)(n + 1);
    long room = PATH_MAX;
    long len = strncpy_from_user(n->name, u, room);
    if (len > 0 && len < room) {
        return n;
    }
    if (len == 0 && (lookup_flags & LOOKUP_EMPTY)) {
        return n;
    }
    page_release((char *)n);
    return ERR_PTR(len < 0 ? len : len == 0 ? -ENOENT : -ENAMETOOLONG);
}

struct filename *getname(const char __user *u)
{
    return getname_flags(u, 0);
}

void putname(struct filename *n)
{
    if (!IS_ERR_OR_NULL(n)) {
        page_release((char *)n);
    }
}

// --- the walk

static void set_root(struct nameidata *nd)
{
    if (!nd->root.dentry) {
        get_fs_root(current->fs, &nd->root);
    }
}

static void jump_to_root(struct nameidata *nd)
{
    set_root(nd);
    if (nd->path.dentry) {
        path_put(&nd->path);
    }
    nd->path = nd->root;
    path_get(&nd->path);
}

static int walk_start(int dfd, const char *name, struct nameidata *nd, unsigned flags)
{
    nd->flags = flags;
    nd->links = nd->depth = 0;
    nd->stack = nd->near;
    nd->last_type = LAST_ROOT;
    nd->root.dentry = NULL;
    nd->root.mnt = NULL;
    nd->path.dentry = NULL;
    nd->path.mnt = NULL;
    if (*name == '/') {
        jump_to_root(nd);
        return 0;
    }
    if (dfd == AT_FDCWD) {
        get_fs_pwd(current->fs, &nd->path);
        return 0;
    }
    struct fd f = fdget_raw((unsigned)dfd);
    if (!f.file) {
        return -EBADF;
    }
    int error = *name && !d_is_dir(f.file->f_path.dentry) ? -ENOTDIR : 0;
    if (!error) {
        nd->path = f.file->f_path;
        path_get(&nd->path);
    }
    fdput(f);
    return error;
}

static void pop_link(struct nameidata *nd)
{
    struct saved_link *l = &nd->stack[--nd->depth];
    if (l->put) {
        l->put(l->cookie);
    }
    dput(l->dentry);
}

static void walk_end(struct nameidata *nd)
{
    while (nd->depth) {
        pop_link(nd);
    }
    if (nd->stack != nd->near) {
        kfree(nd->stack);
        nd->stack = nd->near;
    }
    if (nd->path.dentry) {
        path_put(&nd->path);
        nd->path.dentry = NULL;
    }
    if (nd->root.dentry) {
        path_put(&nd->root);
        nd->root.dentry = NULL;
    }
}

static void cross_mounts(struct path *path)
{
    while ((path->dentry->d_flags & DCACHE_MOUNTED) && lookup_mnt(path)) {
    }
}

static void step_up(struct nameidata *nd)
{
    set_root(nd);
    while (!(nd->path.dentry == nd->root.dentry && nd->path.mnt == nd->root.mnt)) {
        if (nd->path.dentry != nd->path.mnt->mnt_root) {
            struct dentry *parent = dget_parent(nd->path.dentry);
            dput(nd->path.dentry);
            nd->path.dentry = parent;
            break;
        }
        if (!follow_up(&nd->path)) {
            break;
        }
    }
    cross_mounts(&nd->path);
}

// Asks the file system; the directory is locked. Referenced dentry (maybe negative) or ERR_PTR.
struct dentry *lookup_hash(const struct qstr *name, struct dentry *parent)
{
    struct dentry *d = d_lookup(parent, name);
    if (d && d->d_op && d->d_op->d_revalidate && !d->d_op->d_revalidate(d, 0)) {
        d_invalidate(d);
        dput(d);
        d = NULL;
    }
    if (d) {
        return d;
    }
    struct inode *dir = parent->d_inode;
    if (!dir->i_nlink && S_ISDIR(dir->i_mode)) {
        return ERR_PTR(-ENOENT); // removed while somebody stands in it
    }
    if (!dir->i_op->lookup) {
        return ERR_PTR(-ENOTDIR);
    }
    d = d_alloc(parent, name);
    if (!d) {
        return ERR_PTR(-ENOMEM);
    }
    struct dentry *other = dir->i_op->lookup(dir, d);
    if (other) {
        dput(d);
        return other;
    }
    return d;
}

static struct dentry *lookup_slow(const struct qstr *name, struct dentry *parent)
{
    struct inode *dir = parent->d_inode;
    down_write(&dir->i_rwsem);
    struct dentry *d = lookup_hash(name, parent);
    up_write(&dir->i_rwsem);
    return d;
}

static struct dentry *lookup_cached(const struct qstr *name, struct dentry *parent)
{
    struct dentry *d = d_lookup(parent, name);
    if (d && unlikely(d->d_op && d->d_op->d_revalidate) && !d->d_op->d_revalidate(d, 0)) {
        d_invalidate(d);
        dput(d);
        return NULL;
    }
    return d;
}

static int grow_stack(struct nameidata *nd)
{
    if (nd->depth < NEAR_LINKS || nd->stack != nd->near) {
        return 0;
    }
    struct saved_link *more = kmalloc(sizeof(*more) * (MAX_LINKS + 1), GFP_KERNEL);
    if (!more) {
        return -ENOMEM;
    }
    memcpy(more, nd->near, sizeof(nd->near));
    nd->stack = more;
    return 0;
}

// `link` is a symbolic link reached from nd->path: its text, pushed on the stack (rest: what to go on with after it), or
// NULL when the walk has jumped (magic links, "/"), or ERR_PTR. Consumes link.
static const char *begin_link(struct nameidata *nd, struct path *link, const char *rest)
{
    struct inode *inode = link->dentry->d_inode;
    const char *text = NULL;
    void *cookie = NULL;
    int error = -ELOOP;
    if (nd->links++ >= MAX_LINKS) {
        goto fail;
    }
    error = grow_stack(nd);
    if (error) {
        goto fail;
    }
    touch_atime(link);
    if (inode->i_op->get_link_path) {
        struct path target;
        error = inode->i_op->get_link_path(link->dentry, &target);
        if (error) {
            goto fail;
        }
        path_put(&nd->path);
        nd->path = target;
    } else {
        text = inode->i_op->get_link(link->dentry, inode, &cookie);
        if (IS_ERR(text)) {
            error = (int)PTR_ERR(text);
            goto fail;
        }
    }
    nd->stack[nd->depth++] = (struct saved_link){rest, cookie, inode->i_op->put_link, link->dentry};
    if (text && *text == '/') {
        jump_to_root(nd);
        while (*text == '/') {
            text++;
        }
    }
    return text && *text ? text : NULL;
fail:
    dput(link->dentry);
    return ERR_PTR(error);
}

#define STEP_LAST 1u  // the last component: links only with LOOKUP_FOLLOW
#define STEP_SLASH 2u // ... or with a slash behind it

// Moves to child `d` (referenced, consumed). 0, 1 = a link: *text is what to walk now (NULL: already there), or -errno.
static int step_into(struct nameidata *nd, struct dentry *d, unsigned how, const char *rest, const char **text)
{
    struct path next = {nd->path.mnt, d};
    if (unlikely(d->d_flags & DCACHE_MOUNTED)) {
        mntget(next.mnt);
        cross_mounts(&next);
        if (next.mnt != nd->path.mnt) {
            dput(nd->path.dentry);
            mntput(nd->path.mnt);
            nd->path = next;
            return next.dentry->d_inode ? 0 : -ENOENT;
        }
        mntput(next.mnt);
    }
    struct inode *inode = next.dentry->d_inode;
    if (!inode) {
        dput(next.dentry);
        return -ENOENT;
    }
    if (unlikely(S_ISLNK(inode->i_mode))) {
        bool follow = !(how & STEP_LAST) || (nd->flags & LOOKUP_FOLLOW) || (how & STEP_SLASH);
        if (follow) {
            *text = begin_link(nd, &next, rest);
            return IS_ERR(*text) ? (int)PTR_ERR(*text) : 1;
        }
    }
    dput(nd->path.dentry);
    nd->path.dentry = next.dentry;
    return 0;
}

static int walk_component(struct nameidata *nd, unsigned how, const char *rest, const char **text)
{
    if (nd->last_type != LAST_NORM) {
        if (nd->last_type == LAST_DOTDOT) {
            step_up(nd);
        }
        return 0;
    }
    struct dentry *parent = nd->path.dentry;
    struct dentry *d = lookup_cached(&nd->last, parent);
    if (!d) {
        d = lookup_slow(&nd->last, parent);
        if (IS_ERR(d)) {
            return (int)PTR_ERR(d);
        }
    }
    return step_into(nd, d, how, rest, text);
}

static inline int may_search(struct inode *dir)
{
    if (likely((dir->i_mode & S_IXUGO) == S_IXUGO && !dir->i_op->permission)) {
        return 0;
    }
    return inode_permission(dir, MAY_EXEC);
}

// Cuts the next component off; returns what follows it. nd->last and last_type are set.
static const char *next_component(struct nameidata *nd, const char *name)
{
    u64 h = (u64)nd->path.dentry >> 6;
    u32 n = 0;
    for (char c; (c = name[n]) != 0 && c != '/'; n++) {
        h = (h ^ (u8)c) * 0x9e3779b97f4a7c15UL;
        h ^= h >> 32;
    }
    nd->last = (struct qstr){.name = name, .len = n, .hash = (u32)h};
    nd->last_type = LAST_NORM;
    if (name[0] == '.') {
        nd->last_type = n == 1 ? LAST_DOT : n == 2 && name[1] == '.' ? LAST_DOTDOT : LAST_NORM;
    }
    return name + n;
}

// Walks all but the last component of `name`, which ends up in nd->last. 0 or -errno.
static int link_path_walk(const char *name, struct nameidata *nd)
{
    while (*name == '/') {
        name++;
    }
    nd->last_type = LAST_ROOT;
    nd->last.len = 0;
    nd->last.name = name;
    if (!*name) {
        return 0;
    }
    int base = nd->depth; // links pushed before us belong to the caller's trailing one
    for (;;) {
        struct inode *dir = nd->path.dentry->d_inode;
        if (!S_ISDIR(dir->i_mode)) {
            return -ENOTDIR;
        }
        int error = may_search(dir);
        if (error) {
            return error;
        }
        const char *rest = next_component(nd, name);
        if (nd->last.len > NAME_MAX) {
            return -ENAMETOOLONG;
        }
        const char *after = rest;
        while (*after == '/') {
            after++;
        }
        if (!*after && nd->depth == base) {
            return 0;
        }
        const char *text = NULL;
        int step = walk_component(nd, 0, after, &text);
        if (step < 0) {
            return step;
        }
        name = step ? text : after;
        while (!name || !*name) { // the end of a nested link's text
            if (nd->depth == base) {
                // A jump (magic link, link to "/") in the middle always has something after it.
                return -ENOENT;
            }
            name = nd->stack[nd->depth - 1].rest;
            pop_link(nd);
        }
    }
}

// The whole path, the last component too, as flags say. On success nd->path is it.
static int path_lookup(int dfd, const char *name, unsigned flags, struct nameidata *nd)
{
    int error = walk_start(dfd, name, nd, flags);
    const char *s = name;
    while (!error) {
        error = link_path_walk(s, nd);
        if (error || nd->last_type == LAST_ROOT) {
            break;
        }
        bool slash = nd->last.name[nd->last.len] == '/';
        if (slash) {
            nd->flags |= LOOKUP_DIRECTORY;
        }
        const char *text = NULL;
        int step = walk_component(nd, STEP_LAST | (slash ? STEP_SLASH : 0), NULL, &text);
        if (step <= 0) {
            error = step;
            break;
        }
        if (!text) {
            break;
        }
        s = text;
    }
    if (!error && (nd->flags & LOOKUP_DIRECTORY) && !d_is_dir(nd->path.dentry)) {
        error = -ENOTDIR;
    }
    return error;
}

int filename_lookup(int dfd, const char *name, unsigned flags, struct path *out)
{
    struct nameidata nd;
    int error = path_lookup(dfd, name, flags, &nd);
    if (!error) {
        *out = nd.path;
        nd.path.dentry = NULL;
    }
    walk_end(&nd);
    return error;
}

int kern_path(const char *name, unsigned flags, struct path *out)
{
    return filename_lookup(AT_FDCWD, name, flags, out);
}

int user_path_at(int dfd, const char __user *name, unsigned flags, struct path *out)
{
    struct filename *n = getname_flags(name, flags);
    if (IS_ERR(n)) {
        return (int)PTR_ERR(n);
    }
    int error = filename_lookup(dfd, n->name, flags, out);
    putname(n);
    return error;
}

int filename_parent(int dfd, const char *name, struct path *parent, struct qstr *last, int *type)
{
    struct nameidata nd;
    int error = walk_start(dfd, name, &nd, 0);
    if (!error) {
        error = link_path_walk(name, &nd);
    }
    if (!error) {
        *parent = nd.path;
        *last = nd.last;
        *type = nd.last_type;
        nd.path.dentry = NULL;
    }
    walk_end(&nd);
    return error;
}

// --- opening

struct open_how {
    int flags;
    umode_t mode;
    bool created, exec; // exec: for execve, right to execute instead of to read
};

static int acc_mode(int flags)
{
    static const int modes[4] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};
    return modes[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static int may_open(const struct path *path, const struct open_how *how)
{
    struct inode *i = path->dentry->d_inode;
    int acc = how->exec ? MAY_EXEC : acc_mode(how->flags);
    switch (i->i_mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if (acc & MAY_WRITE) {
            return -EISDIR;
        }
        break;
    case S_IFBLK:
    case S_IFCHR:
        if (path->mnt->mnt_flags & MS_NODEV) {
            return -EACCES;
        }
        break;
    }
    if (!how->created) {
        int error = inode_permission(i, acc);
        if (error) {
            return error;
        }
    }
    if ((how->flags & O_NOATIME) && !inode_owner_or_capable(i)) {
        return -EPERM;
    }
    return 0;
}

// O_CREAT: looks the last component up, or makes it. Referenced dentry or ERR_PTR.
static struct dentry *lookup_or_create(struct nameidata *nd, struct open_how *how)
{
    struct dentry *parent = nd->path.dentry;
    struct inode *dir = parent->d_inode;
    struct dentry *d = how->flags & O_EXCL ? NULL : lookup_cached(&nd->last, parent);
    if (d && d->d_inode) {
        return d;
    }
    dput(d);
    int denied = mnt_want_write(nd->path.mnt);
    down_write(&dir->i_rwsem);
    d = lookup_hash(&nd->last, parent);
    if (!IS_ERR(d) && !d->d_inode) {
        umode_t mode = how->mode & (umode_t)~current->fs->umask & S_IALLUGO;
        int error = denied ? denied : vfs_create(dir, d, mode | S_IFREG);
        if (error) {
            dput(d);
            d = ERR_PTR(error);
        } else {
            how->created = true;
        }
    }
    up_write(&dir->i_rwsem);
    if (!denied) {
        mnt_drop_write(nd->path.mnt);
    }
    return d;
}

// The last component of an open: 0 = nd->path is the file, 1 = a link (*text as in step_into), or -errno.
static int open_last(struct nameidata *nd, struct open_how *how, const char **text)
{
    bool slash = nd->last_type != LAST_ROOT && nd->last.name[nd->last.len] == '/';
    if (slash) {
        nd->flags |= LOOKUP_DIRECTORY;
    }
    unsigned step = STEP_LAST | (slash ? STEP_SLASH : 0);
    if (nd->last_type == LAST_ROOT) {
        return 0;
    }
    if (nd->last_type != LAST_NORM || !(how->flags & O_CREAT)) {
        return walk_component(nd, step, NULL, text);
    }
    if (slash) {
        return -EISDIR;
    }
    struct dentry *d = lookup_or_create(nd, how);
    if (IS_ERR(d)) {
        return (int)PTR_ERR(d);
    }
    if (!how->created && (how->flags & O_EXCL)) {
        dput(d);
        return -EEXIST;
    }
    return step_into(nd, d, step, NULL, text);
}

static int truncate_opened(struct file *f)
{
    struct iattr a = {.ia_valid = ATTR_SIZE | ATTR_MTIME | ATTR_CTIME | ATTR_FILE, .ia_file = f};
    struct inode *i = f->f_inode;
    if (!capable(CAP_FSETID)) {
        a.ia_valid |= ATTR_KILL_PRIV;
    }
    int error = get_write_access(i); // also for O_RDONLY | O_TRUNC
    if (error) {
        return error;
    }
    error = mnt_want_write(f->f_path.mnt);
    if (!error) {
        down_write(&i->i_rwsem);
        error = notify_change(f->f_path.dentry, &a);
        up_write(&i->i_rwsem);
        mnt_drop_write(f->f_path.mnt);
    }
    put_write_access(i);
    return error;
}

static int open_at(struct nameidata *nd, struct open_how *how, struct file *f)
{
    struct inode *i = nd->path.dentry->d_inode;
    if ((nd->flags & LOOKUP_DIRECTORY) && !S_ISDIR(i->i_mode)) {
        return -ENOTDIR;
    }
    if ((how->flags & O_CREAT) && S_ISDIR(i->i_mode)) {
        return -EISDIR;
    }
    if (how->flags & O_PATH) {
        return vfs_open(&nd->path, f);
    }
    int error = may_open(&nd->path, how);
    if (error) {
        return error;
    }
    error = vfs_open(&nd->path, f);
    if (!error && (how->flags & O_TRUNC) && S_ISREG(i->i_mode) && !how->created) {
        error = truncate_opened(f);
    }
    return error;
}

// O_TMPFILE: a file without a name in the directory `name`.
static int open_nameless(int dfd, const char *name, struct nameidata *nd, struct open_how *how, struct file *f)
{
    static const struct qstr no_name = {.name = "#tmp", .len = 4};
    int error = path_lookup(dfd, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, nd);
    if (error) {
        return error;
    }
    struct inode *dir = nd->path.dentry->d_inode;
    if (!dir->i_op->tmpfile) {
        return -ENOTSUP;
    }
    if ((how->flags & O_ACCMODE) == O_RDONLY) {
        return -EINVAL;
    }
    error = inode_permission(dir, MAY_WRITE | MAY_EXEC);
    if (error) {
        return error;
    }
    error = mnt_want_write(nd->path.mnt);
    if (error) {
        return error;
    }
    struct dentry *d = d_alloc(nd->path.dentry, &no_name);
    error = -ENOMEM;
    if (d) {
        umode_t mode = how->mode & (umode_t)~current->fs->umask & S_IALLUGO;
        error = dir->i_op->tmpfile(dir, d, mode | S_IFREG);
        if (!error) {
            d->d_inode->i_state |= how->flags & O_EXCL ? 0 : I_LINKABLE;
            struct path path = {nd->path.mnt, d};
            error = vfs_open(&path, f);
        }
        dput(d);
    }
    mnt_drop_write(nd->path.mnt);
    return error;
}

static int open_walk(int dfd, const char *name, struct nameidata *nd, struct open_how *how, struct file *f)
{
    unsigned flags = LOOKUP_OPEN;
    if (how->flags & O_DIRECTORY) {
        flags |= LOOKUP_DIRECTORY;
    }
    if (!(how->flags & O_NOFOLLOW) && (how->flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL)) {
        flags |= LOOKUP_FOLLOW;
    }
    int error = walk_start(dfd, name, nd, flags);
    const char *s = name;
    while (!error) {
        error = link_path_walk(s, nd);
        if (error) {
            break;
        }
        const char *text = NULL;
        int step = open_last(nd, how, &text);
        if (step < 0) {
            error = step;
            break;
        }
        if (!step || !text) {
            return open_at(nd, how, f);
        }
        s = text;
    }
    return error;
}

static struct file *open_file(int dfd, const char *name, struct open_how *how)
{
    struct nameidata nd = {.stack = nd.near};
    struct file *f = alloc_empty_file((unsigned)how->flags);
    if (IS_ERR(f)) {
        return f;
    }
    int error = (how->flags & O_TMPFILE) == O_TMPFILE ? open_nameless(dfd, name, &nd, how, f)
                                                      : open_walk(dfd, name, &nd, how, f);
    walk_end(&nd);
    if (error) {
        fput_now(f);
        return ERR_PTR(error);
    }
    return f;
}

struct file *do_filp_open(int dfd, const char *name, int flags, umode_t mode)
{
    struct open_how how = {.flags = flags, .mode = mode};
    if (flags & O_PATH) {
        how.flags &= O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC;
    }
    return open_file(dfd, name, &how);
}

struct file *open_exec_kernel(const char *name)
{
    struct open_how how = {.flags = O_RDONLY | O_LARGEFILE, .exec = true};
    struct file *f = open_file(AT_FDCWD, name, &how);
    if (IS_ERR(f)) {
        return f;
    }
    int error = -EACCES;
    if (S_ISREG(f->f_inode->i_mode) && !(f->f_path.mnt->mnt_flags & MS_NOEXEC)) {
        error = deny_write_access(f);
    }
    if (error) {
        fput_now(f);
        return ERR_PTR(error);
    }
    return f;
}

struct file *open_exec(const char __user *uname)
{
    struct filename *n = getname(uname);
    if (IS_ERR(n)) {
        return (struct file *)n;
    }
    struct file *f = open_exec_kernel(n->name);
    putname(n);
    return f;
}

struct file *filp_open(const char *path, int flags, umode_t mode)
{
    return do_filp_open(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

void namei_init(void)
{
    mutex_init_rank(&rename_mutex, LOCK_RENAME);
    names_cache = kmem_cache_create("names_cache", PATH_MAX + 64, 64, 0);
}
