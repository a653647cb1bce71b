// SPDX-License-Identifier: MIT
// What the files of procfs share. Global entries are a tree made at boot (proc_register and
// friends); the directories of processes are made from tables of rows on each look-up.
#pragma once

#include "fs/internal.h"
#include "fs/seq_file.h"
#include "proc/proc_internal.h"

struct proc_entry {
    const char *name;
    umode_t mode;
    ino_t ino;
    int (*show)(struct seq_file *m, void *v);
    int (*write)(const char *text, size_t len);
    const struct file_operations *fops; // instead of show and write
    const char *target;                 // symbolic link
    loff_t size;                        // as stat(2) shows it
    void *priv;
    struct proc_entry *parent, *child, *next;
};

// A file of a process (or thread) directory.
struct pid_row {
    const char *name;
    umode_t mode;
    int (*show)(struct seq_file *m, struct task_struct *t);
    ssize_t (*write)(struct task_struct *t, char *text, size_t len); // text has a terminator
    int (*link)(struct task_struct *t, struct path *path);
    const struct inode_operations *iops; // directories
    const struct file_operations *fops;
    bool owner_only; // needs the rights to look into the process
    bool group_only; // not in task/TID
};

struct proc_inode {
    const struct proc_entry *entry;
    const struct pid_row *row;
    struct pid *pid; // counted
    bool is_thread;  // in task/TID
    unsigned fd;
    struct inode vfs;
};
static inline struct proc_inode *proc_i(const struct inode *i)
{
    return container_of((struct inode *)(uintptr_t)i, struct proc_inode, vfs);
}

extern struct proc_entry proc_root;
extern const struct dentry_operations proc_pid_dops;
extern const struct inode_operations proc_pid_dir_iops, proc_task_iops, proc_fd_iops,
    proc_fdinfo_iops;
extern const struct file_operations proc_pid_dir_fops, proc_task_fops, proc_fd_fops,
    proc_fdinfo_fops;

// generic.c
struct proc_entry *proc_mkdir(struct proc_entry *parent, const char *name);
struct proc_entry *proc_add(struct proc_entry *parent, const char *name, umode_t mode);
struct inode *proc_entry_inode(struct super_block *sb, const struct proc_entry *e);
extern const struct super_operations proc_sops;
struct inode *proc_new_inode(struct super_block *sb, umode_t mode);
struct dentry *proc_lookup_static(const struct proc_entry *dir, struct super_block *sb,
                                  struct dentry *d);
bool proc_emit_static(const struct proc_entry *dir,
                      struct dir_context *ctx); // positions from 2; false: full
int proc_parse_number(const struct qstr *name,
                      unsigned *out); // decimal without leading zeroes, or -ENOENT
#define PROC_DYNAMIC_POS 0x10000 // positions of what is not static

// pid.c: the task an inode stands for, counted, or NULL.
struct task_struct *proc_task(const struct inode *i);
struct inode *proc_pid_inode(struct super_block *sb, struct task_struct *t, umode_t mode,
                             bool is_thread);
struct dentry *proc_lookup_pid(struct inode *dir, struct dentry *d); // in /proc itself
int proc_emit_pids(struct dir_context *ctx, struct super_block *sb);
bool proc_may_look(struct task_struct *t);

// pid_files.c
extern const struct pid_row proc_pid_rows[];

void proc_global_init(void);
void proc_sysctl_init(void);
void proc_tree_init(void);
void proc_pages_init(void);
extern const struct file_operations proc_pagemap_fops;

// mounts.c: of the namespace of t.
int proc_show_mounts(struct seq_file *m, struct task_struct *t);
int proc_show_mountinfo(struct seq_file *m, struct task_struct *t);
