// SPDX-License-Identifier: MIT
// An interrupt wire: a level that somebody drives and somebody else listens to.
#ifndef VIV_BUS_IRQ_LINE_H
#define VIV_BUS_IRQ_LINE_H

#include "base/types.h"

struct irq_line {
    void (*set)(void *ctx, unsigned pin, bool level); // NULL: not connected
    void *ctx;
    unsigned pin;
};

static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set) {
        line->set(line->ctx, line->pin, level);
    }
}

#endif
