// SPDX-License-Identifier: MIT
// Pipes and FIFOs.
#pragma once

#include "fs/fs.h"

struct pipe_inode_info;
int create_pipe_files(struct file *files[2], int flags); // read end, write end
extern const struct file_operations fifo_fops;
