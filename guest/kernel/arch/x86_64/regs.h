// SPDX-License-Identifier: MIT
// The saved user or kernel register frame, as entry.S lays it out (SDM vol. 3 section 6.14 for the
// last five).
#pragma once

#include "lib/types.h"

struct pt_regs {
    u64 r15, r14, r13, r12, bp, bx;
    u64 r11, r10, r9, r8, ax, cx, dx, si, di;
    u64 orig_ax; // syscall number, error code, or -1 when neither (no restart wanted)
    u64 ip, cs, flags, sp, ss;
};

#define KERNEL_CS 0x10
#define KERNEL_DS 0x18
#define USER32_CS 0x23
#define USER_DS 0x2b
#define USER_CS 0x33
#define TSS_SELECTOR 0x40

#define FLAGS_CF 0x1UL
#define FLAGS_TF 0x100UL
#define FLAGS_IF 0x200UL
#define FLAGS_DF 0x400UL
#define FLAGS_IOPL 0x3000UL
#define FLAGS_NT 0x4000UL
#define FLAGS_RF 0x10000UL
#define FLAGS_AC 0x40000UL
// What a user may set through sigreturn: OF DF TF SF ZF AF PF CF RF AC.
#define FLAGS_USER_MASK 0x50dd5UL

static inline bool user_mode(const struct pt_regs *regs)
{
    return (regs->cs & 3) == 3;
}
