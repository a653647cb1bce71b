// SPDX-License-Identifier: MIT
// TLB maintenance (SDM vol. 3 section 4.10): here, and on every CPU that has the address space
// loaded. Who changes entries clears them first, flushes, and frees what they pointed to last.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"
#include "mm/mm.h"
#include "sched/sched.h"

#define SINGLE_PAGES 32 // above this a full flush is cheaper
#define CR4_PGE 0x80UL

struct flush {
    struct mm_struct *mm; // NULL: the kernel's, global entries
    u64 start, end;       // end 0: everything
};

static void invlpg(u64 addr)
{
    __asm__ volatile("invlpg (%0)" ::"r"(addr) : "memory");
}

static void reload_cr3(void)
{
    u64 v;
    __asm__ volatile("mov %%cr3, %0\n mov %0, %%cr3" : "=r"(v)::"memory");
}

static void flush_global(void)
{
    unsigned long cr4;
    if (!cpu_features.pge) {
        reload_cr3();
        return;
    }
    __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("mov %0, %%cr4\n mov %1, %%cr4" ::"r"(cr4 & ~CR4_PGE), "r"(cr4) : "memory");
}

// On one CPU; preemption off.
static void flush_here(void *arg)
{
    const struct flush *f = arg;
    if (f->mm && this_cpu_read(active_mm) != f->mm)
        return;
    if (f->end && f->end - f->start <= SINGLE_PAGES * PAGE_SIZE) {
        for (u64 a = f->start; a < f->end; a += PAGE_SIZE)
            invlpg(a);
    } else if (f->mm) {
        reload_cr3();
    } else {
        flush_global();
    }
}

// The barrier is mm_switch's partner: either the other CPU's bit is seen here, or it walks the
// tables after the change.
static void flush_others(struct mm_struct *mm, struct flush *f)
{
    smp_mb();
    u64 others = mm ? __atomic_load_n(&mm->cpu_bitmap, __ATOMIC_RELAXED) : cpu_online_mask();
    others &= ~BIT(smp_processor_id());
    if (others)
        smp_call_many(others, flush_here, f);
}

void tlb_flush_range(struct mm_struct *mm, u64 start, u64 end)
{
    struct flush f = {mm, start, end};
    preempt_disable();
    flush_here(&f);
    if (nr_cpus_online > 1)
        flush_others(mm, &f);
    preempt_enable();
}

void tlb_flush_page_here(struct mm_struct *mm, u64 addr)
{
    if (this_cpu_read(active_mm) == mm)
        invlpg(addr);
}

void tlb_flush_page(struct mm_struct *mm, u64 addr)
{
    preempt_disable();
    tlb_flush_page_here(mm, addr);
    if (nr_cpus_online > 1)
        flush_others(mm, &(struct flush){mm, addr, addr + PAGE_SIZE});
    preempt_enable();
}

void tlb_flush_mm(struct mm_struct *mm)
{
    tlb_flush_range(mm, 0, 0);
}

void tlb_flush_kernel(u64 start, u64 end)
{
    tlb_flush_range(NULL, start, end);
}

// Interrupts off. The bit of the next is set before its tables are used; that of the one before
// goes when its tables are out of use.
void mm_switch(struct mm_struct *next)
{
    struct cpu *c = this_cpu();
    struct mm_struct *prev = c->active_mm;
    u64 bit = BIT(c->id);
    if (prev == next)
        return;
    if (next != &init_mm)
        __atomic_or_fetch(&next->cpu_bitmap, bit, __ATOMIC_SEQ_CST);
    c->active_mm = next;
    __asm__ volatile("mov %0, %%cr3" ::"r"(virt_to_phys(next->pgd)) : "memory");
    if (prev != &init_mm)
        __atomic_and_fetch(&prev->cpu_bitmap, ~bit, __ATOMIC_SEQ_CST);
}
