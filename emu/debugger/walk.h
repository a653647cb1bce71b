// SPDX-License-Identifier: MIT
// Page tables as the debugger reads them: from physical memory, without side effects on the guest
// (no accessed or dirty bits, no TLB). 32-bit, PAE and 4-level paging (SDM 3A 4.3-4.5).
#ifndef VIV_DEBUGGER_WALK_H
#define VIV_DEBUGGER_WALK_H

#include "machine/machine.h"

#include <stdio.h>

// An address space: what decides how a linear address is translated.
struct walk_space {
    const struct physmem *mem;
    u64 cr0, cr3, cr4, efer, rflags;
};
// The one that CPU is in now.
struct walk_space walk_space_of_cpu(const struct machine *m, unsigned cpu);

// Bits of the access that is asked about, those of a page fault's error code (SDM 3A 4.7).
enum { WALK_WRITE = 2, WALK_USER = 4, WALK_FETCH = 16 };

struct walk_step {
    const char *name; // "PML4E" "PDPTE" "PDE" "PTE"
    u64 index;
    u64 entry_gpa; // where the entry stands
    u64 entry;
    bool in_ram, present, leaf;
    bool reserved; // a bit is set that must be clear: any access faults
};
struct walk {
    struct walk_step steps[4];
    unsigned depth; // steps looked at
    bool canonical, mapped, reserved;
    u64 gpa, page_size;              // when mapped
    bool writable, user, executable; // all levels together
};
void walk_linear(const struct walk_space *space, u64 linear, struct walk *out);
// What an access would meet: 0, or the vector (14 page fault, with *error_code; 13 non-canonical).
unsigned walk_verdict(const struct walk_space *space, const struct walk *walk, unsigned access,
                      u32 *error_code);

// Bytes read up to the first that is not mapped RAM.
u64 walk_read(const struct walk_space *space, u64 linear, void *out, u64 size);
// The same as a symbols_read_fn: ctx is a struct walk_space; all or nothing.
bool walk_read_all(void *ctx, u64 linear, void *out, u64 size);

// The walk for people: indices, each level's entry with its flags, the verdict for the access.
void walk_print(FILE *out, const struct walk_space *space, u64 linear, unsigned access);

#endif
