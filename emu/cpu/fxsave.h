// SPDX-License-Identifier: MIT
// The 512-byte FXSAVE image of the x87 and SSE registers (SDM 1 10.5.1).
#ifndef VIV_CPU_FXSAVE_H
#define VIV_CPU_FXSAVE_H

#include "cpu/state.h"

struct fxsave_area { // SDM 1 table 10-2
    u16 fcw, fsw;
    u8 ftw, reserved;
    u16 fop;
    u64 fip, fdp;
    u32 mxcsr, mxcsr_mask;
    u8 st[8][16];
    u8 xmm[16][16];
    u8 unused[96];
};
_Static_assert(sizeof(struct fxsave_area) == CPU_FXSAVE_BYTES, "SDM 1 10.5.1");

// wide: 64-bit instruction and data pointers, as REX.W forms have them; else 32 bits and a
// selector. xmm_count: 8 or 16. What the image leaves out is not touched.
void fxsave_store(const struct cpu_fpu *fpu, bool wide, unsigned xmm_count,
                  struct fxsave_area *area);
// The image's MXCSR must be valid.
void fxsave_load(struct cpu_fpu *fpu, bool wide, unsigned xmm_count,
                 const struct fxsave_area *area);

#endif
