// SPDX-License-Identifier: MIT
// File descriptor tables: allocation, lookup, dup, close-on-exec. A table used by one task only is
// read without its lock.
#include "fs/fd_table.h"

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/signal.h"
#include "sched/sched.h"

#define FDS_MIN 64U
#define FDS_LIMIT (1U << 20)

static struct file *init_fd_array[FDS_MIN];
static unsigned long init_open_fds[FDS_MIN / 64], init_cloexec[FDS_MIN / 64];
struct files_struct init_files = {.count = ATOMIC_INIT(1),
                                  .lock = SPIN_LOCK_INIT_RANK("init_files", 0),
                                  .max_fds = FDS_MIN,
                                  .fd = init_fd_array,
                                  .open_fds = init_open_fds,
                                  .cloexec = init_cloexec};

// One block: pointers, then both bitmaps. NULL without memory.
static struct file **arrays_alloc(unsigned n, unsigned long **open_fds, unsigned long **cloexec)
{
    size_t bits = n / 8, size = n * sizeof(struct file *);
    struct file **fd = kvmalloc(size + 2 * bits, GFP_KERNEL | __GFP_ZERO);
    if (fd) {
        *open_fds = (unsigned long *)((char *)fd + size);
        *cloexec = (unsigned long *)((char *)fd + size + bits);
    }
    return fd;
}

// Grows to hold descriptor `want`. The lock is held, and dropped while memory is found. 0 or
// -errno.
static int expand(struct files_struct *files, unsigned want)
{
    while (want >= files->max_fds) {
        unsigned n = FDS_MIN;
        while (n <= want) {
            n *= 2;
        }
        if (n > FDS_LIMIT) {
            return -EMFILE;
        }
        spin_unlock(&files->lock);
        unsigned long *open_fds, *cloexec;
        struct file **fd = arrays_alloc(n, &open_fds, &cloexec);
        spin_lock(&files->lock);
        if (!fd) {
            return -ENOMEM;
        }
        if (n <= files->max_fds) {
            spin_unlock(&files->lock);
            kvfree(fd);
            spin_lock(&files->lock);
            continue;
        }
        memcpy(fd, files->fd, files->max_fds * sizeof(*fd));
        memcpy(open_fds, files->open_fds, files->max_fds / 8);
        memcpy(cloexec, files->cloexec, files->max_fds / 8);
        struct file **old = files->fd;
        files->fd = fd;
        files->open_fds = open_fds;
        files->cloexec = cloexec;
        files->max_fds = n;
        if (old != init_fd_array) {
            spin_unlock(&files->lock);
            kvfree(old);
            spin_lock(&files->lock);
        }
    }
    return 0;
}

static bool table_shared(const struct files_struct *files)
{
    return __atomic_load_n(&files->count.v, __ATOMIC_ACQUIRE) > 1;
}

static struct file *lookup(struct files_struct *files, unsigned fd)
{
    return fd < files->max_fds ? files->fd[fd] : NULL;
}

static struct file *fget_from(struct files_struct *files, unsigned fd)
{
    spin_lock(&files->lock);
    struct file *f = lookup(files, fd);
    if (f) {
        get_file(f);
    }
    spin_unlock(&files->lock);
    return f;
}

struct file *fget_raw(unsigned fd)
{
    return fget_from(current->files, fd);
}

struct file *fget(unsigned fd)
{
    struct file *f = fget_raw(fd);
    if (f && (f->f_mode & FMODE_PATH)) {
        fput(f);
        return NULL;
    }
    return f;
}

struct fd fdget_raw(unsigned fd)
{
    struct files_struct *files = current->files;
    if (!table_shared(files)) {
        return (struct fd){lookup(files, fd), false};
    }
    return (struct fd){fget_from(files, fd), true};
}

struct fd fdget(unsigned fd)
{
    struct fd f = fdget_raw(fd);
    if (unlikely(f.file && (f.file->f_mode & FMODE_PATH))) {
        fdput(f);
        f.file = NULL;
    }
    return f;
}

void fdput(struct fd f)
{
    if (f.need_put && f.file) {
        fput(f.file);
    }
}

// The position is shared as soon as anybody else holds the file.
struct fd fdget_pos(unsigned fd)
{
    struct fd f = fdget(fd);
    if (f.file && !f.file->f_op->stream && (f.need_put || atomic_read(&f.file->f_count) > 1)) {
        mutex_lock(&f.file->f_pos_lock);
        f.pos_locked = true;
    }
    return f;
}

void fdput_pos(struct fd f)
{
    if (f.pos_locked) {
        mutex_unlock(&f.file->f_pos_lock);
    }
    fdput(f);
}

// Lock held.
static int alloc_locked(struct files_struct *files, unsigned start, u64 end, unsigned flags)
{
    for (;;) {
        unsigned fd = max(start, files->next_fd);
        if (fd < files->max_fds) {
            fd = (unsigned)find_next_zero_bit(files->open_fds, files->max_fds, fd);
        }
        if (fd >= end) {
            return -EMFILE;
        }
        if (fd >= files->max_fds) {
            int error = expand(files, fd);
            if (error) {
                return error;
            }
            continue;
        }
        __set_bit(fd, files->open_fds);
        if (flags & O_CLOEXEC) {
            __set_bit(fd, files->cloexec);
        } else {
            __clear_bit(fd, files->cloexec);
        }
        if (start <= files->next_fd) {
            files->next_fd = fd + 1;
        }
        return (int)fd;
    }
}

int alloc_fd(unsigned start, unsigned flags)
{
    struct files_struct *files = current->files;
    u64 end = rlimit(RLIMIT_NOFILE);
    spin_lock(&files->lock);
    int fd = alloc_locked(files, start, end, flags);
    spin_unlock(&files->lock);
    return fd;
}

int get_unused_fd_flags(unsigned flags)
{
    return alloc_fd(0, flags);
}

static void release_slot(struct files_struct *files, unsigned fd)
{
    __clear_bit(fd, files->open_fds);
    if (fd < files->next_fd) {
        files->next_fd = fd;
    }
}

void put_unused_fd(unsigned fd)
{
    struct files_struct *files = current->files;
    spin_lock(&files->lock);
    release_slot(files, fd);
    spin_unlock(&files->lock);
}

void fd_install(unsigned fd, struct file *f)
{
    struct files_struct *files = current->files;
    spin_lock(&files->lock);
    files->fd[fd] = f;
    spin_unlock(&files->lock);
}

static struct file *take_slot(struct files_struct *files, unsigned fd)
{
    spin_lock(&files->lock);
    struct file *f = lookup(files, fd);
    if (f) {
        files->fd[fd] = NULL;
        release_slot(files, fd);
    }
    spin_unlock(&files->lock);
    return f;
}

int close_fd(unsigned fd)
{
    struct file *f = take_slot(current->files, fd);
    return f ? filp_close(f, current->files, true) : -EBADF;
}

// Puts a counted f at fd, closing what was there. The lock is held and dropped. Consumes f's
// reference only on success.
static int replace_locked(struct files_struct *files, struct file *f, unsigned fd, unsigned flags)
{
    int error = expand(files, fd);
    if (error) {
        spin_unlock(&files->lock);
        return error;
    }
    struct file *old = files->fd[fd];
    if (!old && test_bit(fd, files->open_fds)) { // reserved by an open in progress
        spin_unlock(&files->lock);
        return -EBUSY;
    }
    files->fd[fd] = f;
    __set_bit(fd, files->open_fds);
    if (flags & O_CLOEXEC) {
        __set_bit(fd, files->cloexec);
    } else {
        __clear_bit(fd, files->cloexec);
    }
    spin_unlock(&files->lock);
    if (old) {
        filp_close(old, files, true);
    }
    return (int)fd;
}

int do_dup2(struct file *f, unsigned fd, unsigned flags)
{
    struct files_struct *files = current->files;
    if (fd >= rlimit(RLIMIT_NOFILE)) {
        return -EBADF;
    }
    get_file(f);
    spin_lock(&files->lock);
    int result = replace_locked(files, f, fd, flags);
    if (result < 0) {
        fput(f);
    }
    return result;
}

static void free_files(struct files_struct *files)
{
    if (files->fd != init_fd_array) {
        kvfree(files->fd);
    }
    if (files != &init_files) {
        kfree(files);
    }
}

struct files_struct *dup_files(struct files_struct *old, int *error)
{
    struct files_struct *files = kzalloc(sizeof(*files), GFP_KERNEL);
    *error = -ENOMEM;
    if (!files) {
        return NULL;
    }
    atomic_set(&files->count, 1);
    spin_lock_init(&files->lock);
    unsigned n = FDS_MIN;
    for (;;) {
        files->fd = arrays_alloc(n, &files->open_fds, &files->cloexec);
        if (!files->fd) {
            kfree(files);
            return NULL;
        }
        spin_lock(&old->lock);
        unsigned used = old->max_fds;
        while (used > FDS_MIN && !old->open_fds[used / 64 - 1]) {
            used -= 64;
        }
        if (used <= n) {
            n = used;
            break;
        }
        spin_unlock(&old->lock);
        kvfree(files->fd);
        while (n < used) {
            n *= 2;
        }
    }
    unsigned room = FDS_MIN;
    while (room < n) {
        room *= 2;
    }
    files->max_fds = room;
    files->next_fd = old->next_fd;
    for (unsigned w = 0; w < n / 64; w++) {
        u64 bits = old->open_fds[w];
        files->open_fds[w] = bits;
        files->cloexec[w] = old->cloexec[w];
        for (; bits; bits &= bits - 1) {
            unsigned fd = w * 64 + ctz64(bits);
            struct file *f = old->fd[fd];
            if (f) {
                files->fd[fd] = get_file(f);
            } else { // reserved by an open in progress of another thread
                __clear_bit(fd, files->open_fds);
            }
        }
    }
    spin_unlock(&old->lock);
    *error = 0;
    return files;
}

static void swap_files(struct task_struct *t, struct files_struct *fresh)
{
    spin_lock(&t->alloc_lock);
    struct files_struct *old = t->files;
    t->files = fresh;
    spin_unlock(&t->alloc_lock);
    if (old) {
        put_files_struct(old);
    }
}

int unshare_files(void)
{
    if (!table_shared(current->files)) {
        return 0;
    }
    int error;
    struct files_struct *files = dup_files(current->files, &error);
    if (!files) {
        return error;
    }
    swap_files(current, files);
    return 0;
}

void do_close_on_exec(struct files_struct *files)
{
    spin_lock(&files->lock);
    for (unsigned w = 0; w < files->max_fds / 64; w++) {
        u64 bits;
        while ((bits = files->cloexec[w] & files->open_fds[w]) != 0) {
            unsigned fd = w * 64 + ctz64(bits);
            struct file *f = files->fd[fd];
            __clear_bit(fd, files->cloexec);
            if (!f) {
                continue;
            }
            files->fd[fd] = NULL;
            release_slot(files, fd);
            spin_unlock(&files->lock);
            filp_close(f, files, false);
            cond_resched();
            spin_lock(&files->lock);
        }
    }
    spin_unlock(&files->lock);
}

void put_files_struct(struct files_struct *files)
{
    if (!atomic_dec_and_test(&files->count)) {
        return;
    }
    for (unsigned w = 0; w < files->max_fds / 64; w++) {
        for (u64 bits = files->open_fds[w]; bits; bits &= bits - 1) {
            struct file *f = files->fd[w * 64 + ctz64(bits)];
            if (f) {
                filp_close(f, files, false);
                cond_resched();
            }
        }
    }
    free_files(files);
}

void exit_files(struct task_struct *t)
{
    swap_files(t, NULL);
}

// The table of another task with a reference, or NULL.
static struct files_struct *get_files(struct task_struct *t)
{
    spin_lock(&t->alloc_lock);
    struct files_struct *files = t->files;
    if (files) {
        atomic_inc(&files->count);
    }
    spin_unlock(&t->alloc_lock);
    return files;
}

struct file *fget_task(struct task_struct *t, unsigned fd)
{
    struct files_struct *files = get_files(t);
    if (!files) {
        return NULL;
    }
    struct file *f = fget_from(files, fd);
    put_files_struct(files);
    return f;
}

struct file *fget_task_next(struct task_struct *t, unsigned *fd, bool *cloexec)
{
    struct files_struct *files = get_files(t);
    struct file *f = NULL;
    if (!files) {
        return NULL;
    }
    spin_lock(&files->lock);
    for (; *fd < files->max_fds; ++*fd) {
        *fd = (unsigned)find_next_bit(files->open_fds, files->max_fds, *fd);
        if (*fd < files->max_fds && files->fd[*fd]) {
            f = get_file(files->fd[*fd]);
            *cloexec = test_bit(*fd, files->cloexec);
            break;
        }
    }
    spin_unlock(&files->lock);
    put_files_struct(files);
    return f;
}

int fd_get_cloexec(unsigned fd)
{
    struct files_struct *files = current->files;
    spin_lock(&files->lock);
    int on = lookup(files, fd) ? test_bit(fd, files->cloexec) : -EBADF;
    spin_unlock(&files->lock);
    return on;
}

int fd_set_cloexec(unsigned fd, bool on)
{
    struct files_struct *files = current->files;
    int error = -EBADF;
    spin_lock(&files->lock);
    if (lookup(files, fd)) {
        error = 0;
        if (on) {
            __set_bit(fd, files->cloexec);
        } else {
            __clear_bit(fd, files->cloexec);
        }
    }
    spin_unlock(&files->lock);
    return error;
}

unsigned files_max_fds(void)
{
    return current->files->max_fds;
}
