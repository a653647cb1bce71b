// SPDX-License-Identifier: MIT
// The rows of undefined.def as constants for the handlers, in the packed form of cpu->flags.
#ifndef VIV_CPU_INTERP_UNDEFINED_H
#define VIV_CPU_INTERP_UNDEFINED_H

#include "cpu/state.h"
#include "isa/op_columns.h"

#define UNDEFINED_PACK(rflags) (((rflags)&0xFF) << 8 | ((rflags)&F_O ? FLAGS_O : 0))

enum {
#define UNDEFINED(op, cleared, set, kept, derived)                                                 \
    CLEARED_##op = UNDEFINED_PACK(cleared), SET_##op = UNDEFINED_PACK(set),                        \
    KEPT_##op = UNDEFINED_PACK(kept),
#include "cpu/interp/undefined.def"
#undef UNDEFINED
};

#endif
