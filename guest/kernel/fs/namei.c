// SPDX-License-Identifier: MIT
// Path walking (path_resolution(7)): components, symbolic links, mount points, "..".
#include "arch/x86_64/uaccess.h"
#include "fs/namei_walk.h"

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

int walk_start(int dfd, const char *name, struct nameidata *nd, unsigned flags)
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

void walk_end(struct nameidata *nd)
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

struct dentry *lookup_cached(const struct qstr *name, struct dentry *parent)
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

// `link` is a symbolic link reached from nd->path: its text, pushed on the stack (rest: what to go
// on with after it), or NULL when the walk has jumped (magic links, "/"), or ERR_PTR. Consumes
// link.
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

// Moves to child `d` (referenced, consumed). 0, 1 = a link: *text is what to walk now (NULL:
// already there), or -errno.
int step_into(struct nameidata *nd, struct dentry *d, unsigned how, const char *rest,
              const char **text)
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

int walk_component(struct nameidata *nd, unsigned how, const char *rest, const char **text)
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
int link_path_walk(const char *name, struct nameidata *nd)
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
int path_lookup(int dfd, const char *name, unsigned flags, struct nameidata *nd)
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

void namei_init(void)
{
    mutex_init_rank(&rename_mutex, LOCK_RENAME);
    names_cache = kmem_cache_create("names_cache", PATH_MAX + 64, 64, 0);
}
