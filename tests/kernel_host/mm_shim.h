// SPDX-License-Identifier: MIT
// What memory management needs from the rest of the kernel, for tests on the host: frames from an
// arena, objects from malloc (so that ASan watches them), locks that check their own use, and the
// n-th allocation failing on demand.
#pragma once

#include "fs/fs.h"
#include "mm/mm.h"

void shim_init(void);
void shim_exit(void);
extern long shim_fail_nth; // > 0: counts down with each allocation; the one that reaches 0 fails
extern bool shim_failed;   // an allocation has failed since this was cleared
unsigned long shim_pages(void);   // frames in use
unsigned long shim_objects(void); // objects in use
struct file *
shim_file(loff_t size); // page-cached file whose page n is filled with the 64-bit value 1000 + n
void shim_file_free(struct file *f);
u64 shim_file_disk(struct file *f, unsigned page);  // what has been written back
void shim_file_cut(struct file *f, unsigned pages); // what lies behind reads as zero from now on
extern u64 shim_rlimit[16];
