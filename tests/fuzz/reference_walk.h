// SPDX-License-Identifier: MIT
// Paging once more, as simply as it can be said, over a RAM of its own: what the MMU is compared
// with. Written from SDM 3A chapter 4 alone.
#ifndef VIV_TESTS_FUZZ_REFERENCE_WALK_H
#define VIV_TESTS_FUZZ_REFERENCE_WALK_H

#include "mmu/mmu.h"

#define REFERENCE_RAM (16 * PAGE_SIZE)

struct reference {
    u8 ram[REFERENCE_RAM];
    struct mmu_context context;
};

enum reference_access { REFERENCE_READ, REFERENCE_WRITE, REFERENCE_FETCH };

// Translates the pages of an access of size bytes (at most a page), lower page first, setting A and
// D. False: *fault. gpa: of the first byte of each page's part.
bool reference_translate(struct reference *r, u64 linear, unsigned size,
                         enum reference_access access, u64 gpa[2], struct fault *fault);

// One access; bytes are read into, or written from. Outside RAM everything reads as ones.
bool reference_access(struct reference *r, u64 linear, u8 *bytes, unsigned size,
                      enum reference_access access, struct fault *fault);

// MOV to CR3 in PAE mode (SDM 3A 4.4.1): false: a reserved bit is set.
bool reference_load_pdptes(const struct reference *r, u64 cr3, u64 pdpte[4]);

#endif
