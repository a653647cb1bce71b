// SPDX-License-Identifier: MIT
// Names of text addresses from the table that symtab.py put into the image.
#include "arch/x86_64/paging.h"
#include "lib/printf.h"
#include "lib/printk.h"
#include "lib/string.h"

extern const u64 symbol_count;
extern const u32 symbol_offsets[];
extern const char symbol_names[];

int symbol_format(char *buf, size_t size, u64 addr)
{
    u64 offset = addr - KERNEL_IMAGE_BASE, lo = 0, hi = symbol_count;
    if (addr < KERNEL_IMAGE_BASE || !symbol_count || offset < symbol_offsets[0])
        return scnprintf(buf, size, "%#lx", addr);
    while (hi - lo > 1) { // symbol_offsets[lo] <= offset
        u64 mid = (lo + hi) / 2;
        if (symbol_offsets[mid] <= offset)
            lo = mid;
        else
            hi = mid;
    }
    const char *name = symbol_names;
    for (u64 i = 0; i < lo; i++)
        name += strlen(name) + 1;
    u64 end = lo + 1 < symbol_count ? symbol_offsets[lo + 1] : symbol_offsets[lo];
    return scnprintf(buf, size, "%s+%#lx/%#lx", name, offset - symbol_offsets[lo],
                     end - symbol_offsets[lo]);
}
