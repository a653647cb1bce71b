// SPDX-License-Identifier: MIT
// Extended state: saved when a user task leaves the CPU, restored when one enters. SDM vol. 1
// chapters 10.5, 13.
#include "arch/x86_64/fpu.h"

#include "abi/errno.h"
#include "abi/signal.h"
#include "arch/x86_64/arch.h"
#include "arch/x86_64/io.h"
#include "arch/x86_64/uaccess.h"
#include "lib/printk.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/sched.h"

#define CR4_OSXSAVE (1UL << 18)
#define XCR0_SUPPORTED 0xe7UL // x87, SSE, AVX, AVX-512
#define FXSAVE_SIZE 512
#define XSTATE_HEADER 512 // XSTATE_BV of the header that follows the legacy area
#define SW_RESERVED 464   // bytes of the legacy area that are left to software

#define FPU_NO_CPU (~0u)

unsigned fpu_state_size = FXSAVE_SIZE;
u64 fpu_xcr0;
static u32 mxcsr_mask = 0xffbf;

// Software bytes of a signal frame's FXSAVE image (asm/sigcontext.h describes the ABI).
struct sw_bytes {
    u32 magic1, extended_size;
    u64 xfeatures;
    u32 xstate_size, padding[7];
};

static void state_save(void *p)
{
    if (fpu_xcr0)
        __asm__ volatile("xsave64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(p) : "memory");
}

static void state_restore(const void *p)
{
    if (fpu_xcr0)
        __asm__ volatile("xrstor64 (%0)" ::"r"(p), "a"(~0u), "d"(~0u) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(p) : "memory");
}

static void state_init(void *p)
{
    memset(p, 0, fpu_state_size);
    *(u16 *)p = 0x37f;                 // FCW: all exceptions masked, extended precision
    *(u32 *)((char *)p + 24) = 0x1f80; // MXCSR
}

void fpu_init_cpu(void)
{
    if (cpu_features.xsave) {
        unsigned long cr4;
        __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
        __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 | CR4_OSXSAVE));
        struct cpuid_regs r = cpuid(0xd, 0);
        fpu_xcr0 = ((u64)r.edx << 32 | r.eax) & XCR0_SUPPORTED;
        __asm__ volatile("xsetbv" ::"c"(0), "a"((u32)fpu_xcr0), "d"((u32)(fpu_xcr0 >> 32)));
        fpu_state_size = cpuid(0xd, 0).ebx; // size for what XCR0 enables now
    }
    static u8 area[FXSAVE_SIZE] __aligned(64);
    __asm__ volatile("fninit\n fxsave64 (%0)" ::"r"(area) : "memory");
    u32 mask = *(u32 *)(area + 28);
    if (mask)
        mxcsr_mask = mask;
}

int fpu_alloc(struct task_struct *t)
{
    static struct kmem_cache *cache;
    if (!cache)
        cache = kmem_cache_create("fpu_state", fpu_state_size, 64, 0);
    void *p = cache ? kmem_cache_alloc(cache, GFP_KERNEL) : NULL;
    t->thread.fpu_state = p;
    t->thread.fpu_cpu = FPU_NO_CPU;
    t->thread.fpu_alloc_base = cache;
    if (!p)
        return -ENOMEM;
    state_init(p);
    return 0;
}

void fpu_free(struct task_struct *t)
{
    if (t->thread.fpu_state)
        kmem_cache_free(t->thread.fpu_alloc_base, t->thread.fpu_state);
    t->thread.fpu_state = NULL;
}

// This CPU's registers hold t's state, and no other CPU's do any more.
static void own(struct cpu *c, struct task_struct *t)
{
    c->fpu_owner = t;
    t->thread.fpu_cpu = c->id;
}

// Is the CPU's register content current's?
static bool fpu_live(void)
{
    return current->thread.fpu_state && !(current->flags & PF_KTHREAD);
}

void fpu_copy(struct task_struct *dst, struct task_struct *src)
{
    preempt_disable();
    if (src == current && fpu_live())
        state_save(src->thread.fpu_state);
    if (src->thread.fpu_state && dst->thread.fpu_state)
        memcpy(dst->thread.fpu_state, src->thread.fpu_state, fpu_state_size);
    preempt_enable();
}

void fpu_reset_current(void)
{
    if (!current->thread.fpu_state)
        return;
    preempt_disable();
    state_init(current->thread.fpu_state);
    state_restore(current->thread.fpu_state);
    own(this_cpu(), current);
    preempt_enable();
}

void fpu_switch(struct task_struct *prev, struct task_struct *next)
{
    struct cpu *c = this_cpu();
    if (prev->thread.fpu_state && !(prev->flags & PF_KTHREAD)) // its own: it ran here
        state_save(prev->thread.fpu_state);
    bool there = c->fpu_owner == next && next->thread.fpu_cpu == c->id;
    if (next->thread.fpu_state && !(next->flags & PF_KTHREAD) && !there) {
        state_restore(next->thread.fpu_state);
        own(c, next);
    }
}

size_t fpu_user_frame_size(void)
{
    return fpu_state_size + (fpu_xcr0 ? 4 : 0); // FP_XSTATE_MAGIC2 follows
}

int fpu_save_to_user(void __user *buf)
{
    char *state = current->thread.fpu_state;
    preempt_disable();
    state_save(state);
    preempt_enable();
    struct sw_bytes sw = {0}; // without XSAVE, Linux leaves it all zero: a plain FXSAVE image
    if (fpu_xcr0)
        sw = (struct sw_bytes){.magic1 = FP_XSTATE_MAGIC1,
                               .extended_size = fpu_state_size + 4,
                               .xfeatures = fpu_xcr0,
                               .xstate_size = fpu_state_size};
    if (copy_to_user(buf, state, fpu_state_size) ||
        copy_to_user((char *)buf + SW_RESERVED, &sw, sizeof(sw)))
        return -EFAULT;
    if (fpu_xcr0 && put_user(FP_XSTATE_MAGIC2, (u32 *)((char *)buf + fpu_state_size)))
        return -EFAULT;
    return 0;
}

// Only what the CPU can load without a fault: reserved MXCSR bits and header fields cleared or
// refused.
static int sanitize(char *state, bool extended)
{
    *(u32 *)(state + 24) &= mxcsr_mask;
    if (!fpu_xcr0)
        return 0;
    u64 *header = (u64 *)(state + XSTATE_HEADER);
    if (!extended) {
        memset(header, 0, 64);
        header[0] = 3;
        return 0;
    }
    if (header[0] & ~fpu_xcr0)
        return -EINVAL;
    for (int i = 1; i < 8; i++)
        if (header[i])
            return -EINVAL;
    return 0;
}

// Straight into the saved state, with faults off. 0, -EINVAL (registers unchanged), or 1: a page is
// missing.
static int load_user_state(char *state, const void __user *buf, size_t size, bool extended)
{
    preempt_disable();
    pagefault_disable();
    int err = copy_from_user(state, buf, size) ? 1 : 0;
    pagefault_enable();
    if (!err) {
        memset(state + size, 0, fpu_state_size - size);
        err = sanitize(state, extended);
    }
    if (err)
        state_save(state); // the live registers replace the half-read image
    else
        state_restore(state);
    own(this_cpu(), current);
    preempt_enable();
    return err;
}

int fpu_restore_from_user(const void __user *buf)
{
    char *state = current->thread.fpu_state;
    if (!buf) {
        fpu_reset_current();
        return 0;
    }
    struct sw_bytes sw;
    if (copy_from_user(&sw, (const char *)buf + SW_RESERVED, sizeof(sw)))
        return -EFAULT;
    u32 magic2 = 0;
    bool extended = fpu_xcr0 && sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size == fpu_state_size;
    if (extended && (get_user(magic2, (const u32 *)((const char *)buf + fpu_state_size)) ||
                     magic2 != FP_XSTATE_MAGIC2))
        extended = false;
    size_t size = extended ? fpu_state_size : FXSAVE_SIZE;
    for (;;) {
        int err = load_user_state(state, buf, size, extended);
        if (err <= 0)
            return err;
        if (fault_in_readable(buf, size))
            return -EFAULT;
    }
}
