// SPDX-License-Identifier: MIT
// What the file systems need from the rest of the kernel on the host, beside mm_shim.h: a disk in memory, root's
// credentials, user copies that are plain copies.
#pragma once

#include "mm_shim.h"
#include "syscall/syscall.h"

// Brings the VFS up with a tmpfs root and /dev/sda of `size` bytes at `image`, which the test may look at and change
// while nothing is mounted.
void fs_shim_init(void *image, size_t size);
extern u64 shim_disk_writes, shim_disk_flushes;
