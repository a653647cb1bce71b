// SPDX-License-Identifier: MIT
// File descriptors: tables and fdget-style access; root and working directory. K-fs owns
// fs/fd_table.c and fs/fs_struct.c.
#pragma once

#include "fs/fs.h"

struct fdtable_entry {
    struct file *file; // low bits unused
};
struct files_struct {
    atomic_t count;
    spinlock_t lock;
    unsigned max_fds; // entries in fd[]
    struct file **fd;
    unsigned long *open_fds, *cloexec;
    unsigned next_fd; // lowest possibly free
};

// A counted file or NULL. fget_raw also gives O_PATH files.
struct file *fget(unsigned fd);
struct file *fget_raw(unsigned fd);
struct fd {
    struct file *file;
    bool need_put, pos_locked;
};
// Without counting while the table is not shared (fdput undoes).
struct fd fdget(unsigned fd);
struct fd fdget_pos(unsigned fd); // also takes f_pos_lock where needed
void fdput(struct fd f);
void fdput_pos(struct fd f);
// Lowest free descriptor >= start within RLIMIT_NOFILE: reserved, to be installed or put back.
// -EMFILE, -ENOMEM.
int alloc_fd(unsigned start, unsigned flags); // O_CLOEXEC
int get_unused_fd_flags(unsigned flags);
void put_unused_fd(unsigned fd);
void fd_install(unsigned fd, struct file *f); // consumes the reference
int close_fd(unsigned fd);                    // -EBADF or the flush result
int do_dup2(struct file *f, unsigned fd, unsigned flags);
struct files_struct *dup_files(struct files_struct *old, int *error);
int unshare_files(void); // exec
void do_close_on_exec(struct files_struct *files);
void put_files_struct(struct files_struct *files);
void exit_files(struct task_struct *t);
// For /proc: counted file of another task's descriptor.
struct file *fget_task(struct task_struct *t, unsigned fd);
extern struct files_struct init_files;

struct fs_struct {
    atomic_t users;
    spinlock_t lock;
    int umask;
    struct path root, pwd;
};
struct fs_struct *copy_fs_struct(struct fs_struct *old);
void exit_fs(struct task_struct *t);
void get_fs_root(struct fs_struct *fs, struct path *root);
void get_fs_pwd(struct fs_struct *fs, struct path *pwd);
void set_fs_root(struct fs_struct *fs, const struct path *p);
void set_fs_pwd(struct fs_struct *fs, const struct path *p);
extern struct fs_struct init_fs;
