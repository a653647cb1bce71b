// SPDX-License-Identifier: MIT
// Pipes and FIFOs.
#pragma once

#include "fs/fs.h"

struct pipe_inode_info;
int create_pipe_files(struct file *files[2], int flags);          // read end, write end
long pipe_fcntl(struct file *f, unsigned cmd, unsigned long arg); // F_SETPIPE_SZ, F_GETPIPE_SZ
extern const struct file_operations fifo_fops;
