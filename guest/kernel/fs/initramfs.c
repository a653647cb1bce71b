// SPDX-License-Identifier: MIT
// Unpacks a cpio archive of the "newc" form (cpio(5)) into the root.
#include "fs/internal.h"
#include "init/init.h"

struct entry {
    u64 ino, mode, uid, gid, nlink, mtime, size, major, minor, rmajor, rminor, namesize;
    const char *name;
    const u8 *data;
};

static bool hex8(const char *p, u64 *out)
{
    *out = 0;
    for (int k = 0; k < 8; k++) {
        char c = p[k];
        int v = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (v < 0) {
            return false;
        }
        *out = *out << 4 | (u64)v;
    }
    return true;
}

// Reads the header at p; returns the bytes it takes with name and data, 0 if it is broken.
static size_t parse(const u8 *p, size_t room, struct entry *e)
{
    u64 *fields[] = {&e->ino,  &e->mode,  &e->uid,   &e->gid,    &e->nlink,  &e->mtime,
                     &e->size, &e->major, &e->minor, &e->rmajor, &e->rminor, &e->namesize};
    if (room < 110 || (memcmp(p, "070701", 6) && memcmp(p, "070702", 6))) {
        return 0;
    }
    for (unsigned k = 0; k < ARRAY_SIZE(fields); k++) {
        if (!hex8((const char *)p + 6 + 8 * k, fields[k])) {
            return 0;
        }
    }
    size_t data_at = ALIGN_UP(110 + e->namesize, 4UL);
    if (!e->namesize || e->namesize > PATH_MAX || data_at > room || e->size > room - data_at ||
        p[110 + e->namesize - 1]) {
        return 0;
    }
    e->name = (const char *)p + 110;
    e->data = p + data_at;
    return ALIGN_UP(data_at + e->size, 4UL);
}

static int write_file(const struct entry *e)
{
    loff_t pos = 0;
    struct file *f =
        filp_open(e->name, O_WRONLY | O_CREAT | O_TRUNC, (umode_t)(e->mode & S_IALLUGO));
    if (IS_ERR(f)) {
        return (int)PTR_ERR(f);
    }
    while ((u64)pos < e->size) {
        ssize_t n = kernel_write(f, e->data + pos, e->size - (u64)pos, &pos);
        if (n <= 0) {
            fput_now(f);
            return n < 0 ? (int)n : -ENOSPC;
        }
    }
    fput_now(f);
    return 0;
}

static int set_attributes(const struct entry *e)
{
    struct path path;
    int error = kern_path(e->name, 0, &path);
    if (!error) {
        struct inode *i = path.dentry->d_inode;
        i->i_uid = (uid_t)e->uid;
        i->i_gid = (gid_t)e->gid;
        if (!S_ISLNK(e->mode)) {
            i->i_mode = (umode_t)e->mode;
        }
        i->i_mtime = i->i_ctime = i->i_atime = (struct timespec64){.tv_sec = (s64)e->mtime};
        path_put(&path);
    }
    return error;
}

static int make_symlink(const struct entry *e)
{
    char *target = kstrndup((const char *)e->data, e->size, GFP_KERNEL);
    if (!target) {
        return -ENOMEM;
    }
    int error = kern_symlink(target, e->name);
    kfree(target);
    return error;
}

// Hard links: the first name of an inode number is remembered, in archive order; data comes with
// the last one.
struct link_name {
    struct list_head entry;
    u64 ino, dev;
    const char *name;
};

static const char *first_name(struct list_head *links, const struct entry *e, int *error)
{
    struct link_name *l;
    u64 dev = e->major << 32 | e->minor;
    list_for_each_entry(l, links, entry) {
        if (l->ino == e->ino && l->dev == dev) {
            return l->name;
        }
    }
    l = kmalloc(sizeof(*l), GFP_KERNEL);
    if (!l) {
        *error = -ENOMEM;
        return NULL;
    }
    *l = (struct link_name){.ino = e->ino, .dev = dev, .name = e->name};
    list_add(&l->entry, links);
    return NULL;
}

static int make(const struct entry *e, struct list_head *links)
{
    int error = 0;
    switch (e->mode & S_IFMT) {
    case S_IFDIR:
        error = kern_mkdir(e->name, (umode_t)(e->mode & S_IALLUGO));
        return error == -EEXIST ? 0 : error;
    case S_IFLNK:
        return make_symlink(e);
    case S_IFREG: {
        const char *other = e->nlink > 1 ? first_name(links, e, &error) : NULL;
        if (other && !error) {
            error = kern_link(other, e->name);
            if (error || !e->size) {
                return error;
            }
        }
        return error ? error : write_file(e);
    }
    default:
        return kern_mknod(e->name, (umode_t)e->mode, MKDEV(e->rmajor, e->rminor));
    }
}

int initramfs_unpack(const void *start, size_t size)
{
    LIST_HEAD(links);
    const u8 *p = start;
    int error = 0;
    while (size && !error) {
        struct entry e = {0};
        size_t used = parse(p, size, &e);
        if (!used) {
            error = -EINVAL;
            break;
        }
        if (!strcmp(e.name, "TRAILER!!!")) {
            break;
        }
        if (strcmp(e.name, ".")) {
            error = make(&e, &links);
            error = error ? error : set_attributes(&e);
            if (error) {
                pr_err("initramfs: %s: error %d", e.name, -error);
            }
        }
        used = min(used, size);
        p += used;
        size -= used;
    }
    while (!list_empty(&links)) {
        struct link_name *l = list_first_entry(&links, struct link_name, entry);
        list_del(&l->entry);
        kfree(l);
    }
    return error;
}
