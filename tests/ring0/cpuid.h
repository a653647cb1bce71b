// SPDX-License-Identifier: MIT
// What CPUID tells.
#ifndef CPUID_H
#define CPUID_H

#include "console.h"

// QEMU's translator: some things it does not survive (paging without protection, PCIDs, FERR#).
static inline bool on_tcg(void)
{
    u32 eax = 0x40000000, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx == 0x54474354; // "TCGT"
}

#endif
