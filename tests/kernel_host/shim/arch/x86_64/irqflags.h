// SPDX-License-Identifier: MIT
// Host stand-in: one thread, no interrupts.
#pragma once

#include "lib/types.h"

static inline unsigned long local_save_flags(void)
{
    return 0x200;
}
static inline void local_irq_disable(void)
{
}
static inline void local_irq_enable(void)
{
}
static inline unsigned long local_irq_save(void)
{
    return 0x200;
}
static inline void local_irq_restore(unsigned long f)
{
    (void)f;
}
static inline bool irqs_disabled(void)
{
    return false;
}
static inline void cpu_relax(void)
{
}
