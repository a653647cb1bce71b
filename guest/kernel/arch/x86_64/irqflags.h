// SPDX-License-Identifier: MIT
// Interrupt flag of this CPU.
#pragma once

#include "lib/types.h"

static inline unsigned long local_save_flags(void)
{
    unsigned long f;
    __asm__ volatile("pushfq; popq %0" : "=r"(f)::"memory");
    return f;
}
static inline void local_irq_disable(void)
{
    __asm__ volatile("cli" ::: "memory");
}
static inline void local_irq_enable(void)
{
    __asm__ volatile("sti" ::: "memory");
}
static inline unsigned long local_irq_save(void)
{
    unsigned long f = local_save_flags();
    local_irq_disable();
    return f;
}
static inline void local_irq_restore(unsigned long f)
{
    if (f & 0x200)
        local_irq_enable();
}
static inline bool irqs_disabled(void)
{
    return !(local_save_flags() & 0x200);
}
static inline void __attribute__((noreturn)) cpu_halt(void)
{
    for (;;)
        __asm__ volatile("cli\n hlt" ::: "memory");
}
static inline void cpu_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}
