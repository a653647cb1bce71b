// SPDX-License-Identifier: MIT
// What lib/, sched/ and the allocators need around them on the host: a frame arena, a clock that the test turns, a log.
#include "core_shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/x86_64/arch.h"
#include "lib/printk.h"
#include "mm/page.h"
#include "sched/sched_internal.h"

struct cpu host_cpu;
struct cpu cpus[NR_CPUS];
unsigned nr_cpus_online = 1;
static struct task_struct shim_task;
struct task_struct *host_current = &shim_task;
struct task_struct init_task = {.flags = PF_IDLE};
struct run_queue runqueues[NR_CPUS];
char *host_arena;
struct page *host_frames;
u64 shim_now;
bool shim_resched;

void shim_arena_init(unsigned long pages)
{
    free(host_arena);
    free(host_frames);
    host_arena = aligned_alloc(PAGE_SIZE << (MAX_ORDER - 1), pages * PAGE_SIZE);
    host_frames = calloc(pages, sizeof(struct page));
    max_pfn = pages;
}

// Frame 0 and a hole stay reserved, as on a machine.
void boot_for_each_free(void (*fn)(u64 start, u64 end))
{
    u64 top = max_pfn << PAGE_SHIFT;
    fn(PAGE_SIZE, top / 2);
    fn(top / 2 + 16 * PAGE_SIZE, top);
}

phys_addr_t virt_to_phys(const volatile void *va)
{
    return (u64)((const volatile char *)va - host_arena);
}

u64 ktime_get(void)
{
    return shim_now;
}

void resched_curr(u32 cpu)
{
    (void)cpu;
    shim_resched = true;
}

void klog(enum log_level level, const char *fmt, ...)
{
    (void)level;
    (void)fmt;
}

void panic(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

bool fatal_signal_pending(const struct task_struct *t)
{
    (void)t;
    return false;
}

void yield(void)
{
}

void msleep(unsigned ms)
{
    (void)ms;
}

void spin_lock_slow(spinlock_t *l)
{
    panic("lock %p is taken, and there is nobody to release it", (void *)l);
}

void preempt_schedule(void)
{
}

// No reclaim: what is not free cannot be had.
u64 reclaim_pages(gfp_t gfp, unsigned order, u64 nr)
{
    (void)gfp, (void)order, (void)nr;
    return 0;
}

void kswapd_wake(void)
{
}

bool out_of_memory(gfp_t gfp, unsigned order)
{
    (void)gfp, (void)order;
    return false;
}

void page_release_hook(struct page *p)
{
    (void)p;
}
