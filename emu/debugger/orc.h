// SPDX-License-Identifier: MIT
// Unwinding by ORC, the tables of Linux kernels (Documentation/x86/orc-unwinder.rst; entries as in
// arch/x86/include/asm/orc_types.h).
#ifndef VIV_DEBUGGER_ORC_H
#define VIV_DEBUGGER_ORC_H

#include "debugger/symbols.h"

struct orc {
    const u8 *places, *entries; // .orc_unwind_ip, .orc_unwind; NULL: none
    u64 places_address;         // where the first stands in the kernel, as linked
    u64 count;
    bool has_end_bit; // up to 6.3 the last frame is told by a bit of its own
};

enum orc_result {
    ORC_UNKNOWN, // no entry for this place: ask somebody else
    ORC_UP,
    ORC_OUTERMOST,
};
// One frame up from an address as linked (of a return address, the byte before).
enum orc_result orc_unwind(const struct orc *orc, u64 address, struct symbol_frame *frame,
                           symbols_read_fn read, void *ctx);

#endif
