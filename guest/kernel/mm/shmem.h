// SPDX-License-Identifier: MIT
// Files in memory without a name: shared anonymous mappings, memfd. tmpfs (K-fs) provides the file.
#pragma once

#include "fs/fs.h"

// An unlinked tmpfs file of `size` bytes, open for reading and writing; ERR_PTR. Its pages are made
// on demand by its mapping's fault handler (generic_file_vm_ops does: readpage of tmpfs zeroes).
// Mappings whose pages must stay in memory set AS_UNEVICTABLE in mapping->flags: then
// add_to_page_cache marks them PG_swapbacked and counts them as shmem.
struct file *shmem_file_setup(const char *name, loff_t size, u64 vm_flags);
int shmem_zero_setup(
    struct vm_area_struct *vma); // K-mm: gives a shared anonymous VMA (also of /dev/zero) its file
