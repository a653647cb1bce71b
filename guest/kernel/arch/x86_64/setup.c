// SPDX-License-Identifier: MIT
// First C code: from the PVH entry to kernel_main, in the order that each step needs.
#include "arch/x86_64/apic.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/fpu.h"
#include "arch/x86_64/paging.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/slab.h"
#include "mm/vmalloc.h"
#include "sched/timer.h"

extern const u32 boot_start_info;
void arch_start(void);
void paging_late(void);

void arch_start(void)
{
    cpu_init_early();
    boot_memory_init(boot_start_info);
    console_early_init();
    paging_init();
    page_alloc_init();
    paging_late();
    slab_init();
    vmalloc_init();
    fpu_init_cpu();
    clock_init();
    kernel_main();
}
