// SPDX-License-Identifier: MIT
// procfs: the super block, the tree of global entries, their inodes and files.
#include "fs/proc/proc.h"

#include "arch/x86_64/uaccess.h"

#define PROC_SUPER_MAGIC 0x9fa0
#define WRITE_MAX 4096

struct proc_entry proc_root = {
    .name = "/proc", .mode = S_IFDIR | 0555, .ino = 1, .parent = &proc_root};
static struct kmem_cache *inode_cache;
static const struct inode_operations dir_iops, file_iops, link_iops;
static const struct file_operations dir_fops, file_fops;

static struct inode *alloc_inode(struct super_block *sb)
{
    struct proc_inode *p = kmem_cache_alloc(inode_cache, GFP_KERNEL | __GFP_ZERO);
    return p ? &p->vfs : NULL;
}

static void free_inode(struct inode *i)
{
    kmem_cache_free(inode_cache, proc_i(i));
}

static void evict_inode(struct inode *i)
{
    truncate_inode_pages(&i->i_data, 0);
    clear_inode(i);
    if (proc_i(i)->pid) {
        put_pid(proc_i(i)->pid);
        proc_i(i)->pid = NULL;
    }
}

static int proc_statfs(struct dentry *d, struct linux_statfs *st)
{
    st->f_bsize = PAGE_SIZE;
    st->f_namelen = NAME_MAX;
    return 0;
}

const struct super_operations proc_sops = {.alloc_inode = alloc_inode,
                                           .free_inode = free_inode,
                                           .evict_inode = evict_inode,
                                           .statfs = proc_statfs};

struct inode *proc_new_inode(struct super_block *sb, umode_t mode)
{
    struct inode *i = new_inode(sb);
    if (i) {
        i->i_ino = get_next_ino();
        i->i_mode = mode;
        i->i_atime = i->i_mtime = i->i_ctime = current_time(i);
        set_nlink(i, S_ISDIR(mode) ? 2 : 1);
    }
    return i;
}

// --- the tree

static ino_t next_static_ino = 2;

struct proc_entry *proc_add(struct proc_entry *parent, const char *name, umode_t mode)
{
    struct proc_entry *e = kzalloc(sizeof(*e), GFP_KERNEL), **link = &parent->child;
    if (!e) {
        return NULL;
    }
    e->name = name;
    e->mode = mode;
    e->ino = (ino_t)(0xF0000000u + next_static_ino++);
    e->parent = parent;
    while (*link) {
        link = &(*link)->next;
    }
    *link = e;
    return e;
}

static struct proc_entry *find(const struct proc_entry *dir, const char *name, size_t len)
{
    struct proc_entry *e = dir->child;
    while (e && (strlen(e->name) != len || memcmp(e->name, name, len))) {
        e = e->next;
    }
    return e;
}

struct proc_entry *proc_mkdir(struct proc_entry *parent, const char *name)
{
    struct proc_entry *e = find(parent, name, strlen(name));
    return e ? e : proc_add(parent, name, S_IFDIR | 0555);
}

int proc_register(const char *path, umode_t mode, int (*show)(struct seq_file *m, void *v),
                  int (*write)(const char *text, size_t len), void *priv)
{
    struct proc_entry *dir = &proc_root;
    const char *slash;
    while (dir && (slash = strchr(path, '/')) != NULL) {
        struct proc_entry *e = find(dir, path, (size_t)(slash - path));
        if (!e) {
            char *name = kstrndup(path, (size_t)(slash - path), GFP_KERNEL);
            e = name ? proc_add(dir, name, S_IFDIR | 0555) : NULL;
        }
        dir = e;
        path = slash + 1;
    }
    struct proc_entry *e = dir ? proc_add(dir, path, (umode_t)(S_IFREG | (mode & 0777))) : NULL;
    if (!e) {
        return -ENOMEM;
    }
    e->show = show;
    e->write = write;
    e->priv = priv;
    return 0;
}

struct inode *proc_entry_inode(struct super_block *sb, const struct proc_entry *e)
{
    struct inode *i = proc_new_inode(sb, e->mode);
    if (!i) {
        return NULL;
    }
    proc_i(i)->entry = e;
    i->i_ino = e->ino;
    i->i_size = e->size;
    i->i_op = S_ISDIR(e->mode) ? &dir_iops : S_ISLNK(e->mode) ? &link_iops : &file_iops;
    i->i_fop = S_ISDIR(e->mode) ? &dir_fops : e->fops ? e->fops : &file_fops;
    return i;
}

struct dentry *proc_lookup_static(const struct proc_entry *dir, struct super_block *sb,
                                  struct dentry *d)
{
    const struct proc_entry *e = find(dir, d->d_name.name, d->d_name.len);
    if (!e) {
        return ERR_PTR(-ENOENT);
    }
    struct inode *i = proc_entry_inode(sb, e);
    if (!i) {
        return ERR_PTR(-ENOMEM);
    }
    d_add(d, i);
    return NULL;
}

static struct dentry *dir_lookup(struct inode *inode, struct dentry *d)
{
    const struct proc_entry *dir = proc_i(inode)->entry;
    struct dentry *found = proc_lookup_static(dir, inode->i_sb, d);
    if (PTR_ERR_OR_ZERO(found) != -ENOENT) {
        return found;
    }
    if (dir == &proc_root) {
        return proc_lookup_pid(inode, d);
    }
    if (inode->i_sb->s_magic == PROC_SUPER_MAGIC) {
        return found;
    }
    d_add(d, NULL); // sysfs: nothing there, and nothing can be made there (EACCES)
    return NULL;
}

bool proc_emit_static(const struct proc_entry *dir, struct dir_context *ctx)
{
    loff_t pos = 2;
    for (const struct proc_entry *e = dir->child; e; e = e->next, pos++) {
        if (pos < ctx->pos) {
            continue;
        }
        if (!ctx->actor(ctx, e->name, (int)strlen(e->name), pos, e->ino, mode_to_dtype(e->mode))) {
            return false;
        }
        ctx->pos = pos + 1;
    }
    return true;
}

static int dir_iterate(struct file *f, struct dir_context *ctx)
{
    const struct proc_entry *dir = proc_i(f->f_inode)->entry;
    if (!dir_emit_dots(f, ctx)) {
        return 0;
    }
    if (ctx->pos < PROC_DYNAMIC_POS) {
        if (!proc_emit_static(dir, ctx)) {
            return 0;
        }
        ctx->pos = PROC_DYNAMIC_POS;
    }
    return dir == &proc_root ? proc_emit_pids(ctx, f->f_inode->i_sb) : 0;
}

static const char *entry_target(struct dentry *d, struct inode *i, void **cookie)
{
    return proc_i(i)->entry->target;
}

// /proc gives no change of owner, mode or size away.
static int proc_setattr(struct dentry *d, struct iattr *a)
{
    if (a->ia_valid & (ATTR_MODE | ATTR_UID | ATTR_GID)) {
        return -EPERM;
    }
    int error = setattr_prepare(d, a);
    return error;
}

static const struct inode_operations dir_iops = {.lookup = dir_lookup, .setattr = proc_setattr};
static const struct inode_operations file_iops = {.setattr = proc_setattr};
static const struct inode_operations link_iops = {.get_link = entry_target};
static const struct file_operations dir_fops = {
    .llseek = dcache_dir_lseek, .read = generic_read_dir, .iterate = dir_iterate};

// --- files

static int no_show(struct seq_file *m, void *v)
{
    return 0;
}

static int file_open(struct inode *i, struct file *f)
{
    const struct proc_entry *e = proc_i(i)->entry;
    return single_open(f, e->show ? e->show : no_show, e->priv);
}

static ssize_t file_write(struct file *f, struct iov_iter *from, loff_t *pos)
{
    const struct proc_entry *e = proc_i(f->f_inode)->entry;
    size_t n = min_t(size_t, iov_iter_count(from), WRITE_MAX);
    char *text = kmalloc(n + 1, GFP_KERNEL);
    ssize_t done = -EFAULT;
    if (!e->write) {
        kfree(text);
        return -EIO;
    }
    if (!text) {
        return -ENOMEM;
    }
    if (copy_from_iter(text, n, from) == n) {
        text[n] = '\0';
        int error = e->write(text, n);
        done = error ? error : (ssize_t)n;
        *pos += error ? 0 : (loff_t)n;
    }
    kfree(text);
    return done;
}

static const struct file_operations file_fops = {.open = file_open,
                                                 .read = seq_read,
                                                 .write = file_write,
                                                 .llseek = seq_lseek,
                                                 .release = seq_release};

// --- mounting

static int fill_super(struct super_block *sb, const char *data, bool silent)
{
    sb->s_op = &proc_sops;
    sb->s_magic = PROC_SUPER_MAGIC;
    struct inode *root = proc_entry_inode(sb, &proc_root);
    sb->s_root = root ? d_make_root(root) : NULL;
    return sb->s_root ? 0 : -ENOMEM;
}

static struct dentry *proc_mount(struct file_system_type *t, unsigned flags, const char *source,
                                 const char *data)
{
    return mount_nodev(t, flags, data, fill_super);
}

static struct file_system_type proc_type = {
    .name = "proc", .mount = proc_mount, .kill_sb = kill_anon_super};

int proc_parse_number(const struct qstr *name, unsigned *out)
{
    unsigned value = 0;
    if (!name->len || name->len > 9 || (name->name[0] == '0' && name->len > 1)) {
        return -ENOENT;
    }
    for (unsigned i = 0; i < name->len; i++) {
        if (name->name[i] < '0' || name->name[i] > '9') {
            return -ENOENT;
        }
        value = value * 10 + (unsigned)(name->name[i] - '0');
    }
    *out = value;
    return 0;
}

void proc_init(void)
{
    inode_cache = kmem_cache_create("proc_inode", sizeof(struct proc_inode), 0, 0);
    proc_global_init();
    proc_sysctl_init();
    proc_tree_init();
    proc_pages_init();
    register_filesystem(&proc_type);
}
