// SPDX-License-Identifier: MIT
// What /proc shows about memory; procfs calls these. Each writes the whole file into m.
#pragma once

#include "fs/seq_file.h"

int proc_show_maps(struct seq_file *m, struct mm_struct *mm);  // /proc/PID/maps
int proc_show_smaps(struct seq_file *m, struct mm_struct *mm); // /proc/PID/smaps
int proc_show_smaps_rollup(struct seq_file *m, struct mm_struct *mm);
int proc_show_statm(struct seq_file *m, struct mm_struct *mm); // mm NULL: zeroes
void proc_show_mm_status(struct seq_file *m,
                         struct mm_struct *mm); // the Vm... lines of /proc/PID/status
int proc_show_meminfo(struct seq_file *m, void *v);
int proc_show_vmstat(struct seq_file *m, void *v);
int drop_caches(int what); // 1 page cache, 2 slab objects, 3 both
