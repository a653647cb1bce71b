// SPDX-License-Identifier: MIT
// The jump caches: where translated code for a linear address is, in the tables of each key.
// mmu_remember_jump() is called from translated code with the guest's registers in the host's: this
// file is compiled without vector registers.
#include "mmu/mmu_internal.h"

#include <string.h>

// Address 0 has index 0.
static inline u64 empty_jump(u32 i)
{
    return i ? 0 : 1;
}

void jumps_begin(struct tlb_tables *tables)
{
    tables->jumps[0].neg = empty_jump(0);
}

void jumps_drop_all(struct tlb_set *set)
{
    struct tlb_jump *jumps = set->tables.jumps;
    if (set->jumps_logged > JUMP_LOG_MAX) {
        memset(jumps, 0, sizeof(set->tables.jumps));
        jumps[0].neg = empty_jump(0);
    } else {
        for (u32 n = 0; n < set->jumps_logged; n++) {
            jumps[set->jump_log[n]].neg = empty_jump(set->jump_log[n]);
        }
    }
    set->jumps_logged = 0;
    used_clear(&set->jump_pages);
}

static void log_jump(struct tlb_set *set, u32 i)
{
    if (set->jumps_logged < JUMP_LOG_MAX) {
        set->jump_log[set->jumps_logged] = (u16)i;
    }
    set->jumps_logged += set->jumps_logged <= JUMP_LOG_MAX;
}

void jumps_drop(struct tlb_set *set, u64 first, u64 bytes)
{
    struct tlb_jump *jumps = set->tables.jumps;
    bool all = set->jumps_logged > JUMP_LOG_MAX;
    u32 count = all ? TLB_JUMP_ENTRIES : set->jumps_logged;
    set->jumps_logged = 0; // written anew
    for (u32 n = 0; n < count; n++) {
        u32 i = all ? n : set->jump_log[n];
        if (-jumps[i].neg - first < bytes) {
            jumps[i].neg = empty_jump(i);
        } else if (jumps[i].neg != empty_jump(i)) {
            log_jump(set, i);
        }
    }
}

void mmu_drop_jumps(struct mmu_shared *shared)
{
    for (unsigned i = 0; i < shared->set_count; i++) {
        jumps_drop_all(shared->sets[i]);
    }
}

void jumps_add(struct tlb_set *set, u32 i, u64 linear, u64 code)
{
    struct tlb_jump *jump = &set->tables.jumps[i];
    if (jump->neg == empty_jump(i)) {
        log_jump(set, i);
    }
    jump->neg = -linear;
    jump->code = code;
    used_add(&set->jump_pages, page_index(linear));
}

void mmu_remember_jump(struct mmu *mmu, u64 linear, const void *code)
{
    struct tlb_set *set = (struct tlb_set *)mmu->tables; // its first member
    jumps_add(set, tlb_jump_index(linear), linear, (u64)(uintptr_t)code);
}
