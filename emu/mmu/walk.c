// SPDX-License-Identifier: MIT
// The page walk: 32-bit, PAE and 4-level paging (SDM 3A 4.3-4.6), with A and D bits.
#include "mmu/mmu_internal.h"

#include "base/check.h"

#include <string.h>

#define PHYS_MASK (BIT(MMU_PHYS_BITS) - 1)

struct table_format {
    u8 entry_size, index_bits, top_level;
};

static const struct table_format formats[] = {
    [PAGING_32BIT] = {4, 10, 2},
    [PAGING_PAE] = {8, 9, 2},
    [PAGING_4LEVEL] = {8, 9, 4},
};

static bool page_fault(struct fault *fault, u64 linear, u32 mode, enum mmu_access access, u32 why)
{
    u32 code = why;
    if (access == ACCESS_WRITE) {
        code |= PF_WRITE;
    }
    if (mode & MODE_USER) {
        code |= PF_USER;
    }
    // SDM 3A 4.7: the I/D flag exists only where a fetch can be refused as such.
    if (access == ACCESS_FETCH && (mode & (MODE_SMEP | MODE_NXE))) {
        code |= PF_FETCH;
    }
    *fault = (struct fault){EXC_PF, true, code, linear};
    return false;
}

static u64 read_entry(struct mmu *mmu, u64 gpa, unsigned size, u32 rpn)
{
    u64 entry = 0;
    if (rpn != PHYSMEM_NO_RPN) {
        memcpy(&entry, physmem_page(mmu->mem, rpn) + (gpa & PAGE_MASK), size);
        return entry;
    }
    mmu->before_device(mmu->before_device_ctx);
    return io_space_read(mmu->mmio, gpa, size);
}

// Whether setting A or D in a 4-byte entry may change the upper half of an 8-byte entry that
// something depends on.
static bool may_alias_wide_entry(const struct mmu_shared *shared, u32 rpn, unsigned size)
{
    const struct table_track *track = shared->tracks[rpn];
    return track && size == 4 && (track->many || track->entry_size == 8);
}

// Stores an entry whose A or D bit was just set. Nothing cached depends on those bits being clear,
// so no translation is dropped (but see above).
static void write_entry(struct mmu *mmu, u64 gpa, u64 entry, unsigned size, u32 rpn)
{
    struct physmem *mem = mmu->mem;
    if (rpn == PHYSMEM_NO_RPN) {
        mmu->before_device(mmu->before_device_ctx);
        io_space_write(mmu->mmio, gpa, entry, size);
        return;
    }
    u32 offset = (u32)(gpa & PAGE_MASK);
    mem->writer = PHYSMEM_BY_WALK;
    if (may_alias_wide_entry(mmu->shared, rpn, size)) {
        physmem_write_page(mem, rpn, offset, &entry, size);
    } else {
        physmem_write_untracked(mem, rpn, offset, &entry, size);
    }
    mem->writer = PHYSMEM_BY_DEVICE;
}

static bool is_large(u64 entry, unsigned level, u32 mode)
{
    if (!(entry & PTE_PS)) {
        return false;
    }
    return (mode & MODE_FORMAT) != PAGING_32BIT ? level == 2 || level == 3
                                                : level == 2 && (mode & MODE_PSE);
}

// Bits that must be zero in a present entry (SDM 3A tables 4-5, 4-9 to 4-11, 4-15 to 4-20).
static u64 reserved_bits(u64 entry, unsigned level, bool large, u32 mode)
{
    enum paging_format format = mode & MODE_FORMAT;
    if (format == PAGING_32BIT) {
        // PSE-36 takes bits 20:13 as address bits 39:32.
        return large ? BIT(21) : 0;
    }
    u64 reserved = BIT(52) - BIT(MMU_PHYS_BITS);
    if (format == PAGING_PAE) {
        reserved |= BIT(63) - BIT(52);
    }
    if (!(mode & MODE_NXE)) {
        reserved |= PTE_NX;
    }
    if (level == 4) {
        reserved |= PTE_PS;
    } else if (large) {
        reserved |= BIT(12 + 9 * (level - 1)) - BIT(13);
    }
    return reserved;
}

// Guest physical address of linear under a leaf entry that maps 2^shift bytes.
static u64 leaf_address(u64 entry, unsigned shift, u64 linear, u32 mode)
{
    u64 offset = linear & (BIT(shift) - 1);
    if ((mode & MODE_FORMAT) == PAGING_32BIT) {
        u64 base = entry & 0xFFFFFFFFu & ~(BIT(shift) - 1);
        if (shift == 22) {
            base |= bits_get(entry, 13, 8) << 32;
        }
        return base | offset;
    }
    return (entry & PHYS_MASK & ~(BIT(shift) - 1)) | offset;
}

// SDM 3A 4.6.1. all: the AND of the entries' R/W and U/S; any_nx: the OR of their XD.
static bool allowed(u64 all, bool any_nx, u32 mode, enum mmu_access access)
{
    bool user_page = all & PTE_US;
    if (access == ACCESS_FETCH) {
        if (any_nx && (mode & MODE_NXE)) {
            return false;
        }
        return mode & MODE_USER ? user_page : !(user_page && (mode & MODE_SMEP));
    }
    if (mode & MODE_USER) {
        return user_page && (access == ACCESS_READ || (all & PTE_RW));
    }
    if (user_page && (mode & MODE_SMAP) && !(mode & MODE_AC)) {
        return false;
    }
    return access == ACCESS_READ || (all & PTE_RW) || !(mode & MODE_WP);
}

// The first table's address; false if a PAE pointer is not present.
static bool walk_root(const struct mmu *mmu, enum paging_format format, u64 linear, u64 *table)
{
    if (format == PAGING_4LEVEL) {
        *table = mmu->context.cr3 & PHYS_MASK & ~PAGE_MASK;
    } else if (format == PAGING_32BIT) {
        *table = mmu->context.cr3 & 0xFFFFF000u;
    } else {
        u64 pdpte = mmu->context.pdpte[bits_get(linear, 30, 2)];
        *table = pdpte & PHYS_MASK & ~PAGE_MASK;
        return pdpte & PTE_P;
    }
    return true;
}

static void finish_walk(const struct mmu *mmu, struct walk *walk, u64 gpa)
{
    gpa &= mmu->shared->a20_mask;
    walk->gpa = gpa;
    walk->rpn = mmu_rpn(mmu, gpa);
    walk->cacheable &= mmu_page_cacheable(mmu->shared, gpa, walk->rpn);
}

bool mmu_walk(struct mmu *mmu, u32 mode, u64 linear, enum mmu_access access, struct walk *walk,
              struct fault *fault)
{
    enum paging_format format = mode & MODE_FORMAT;
    walk->depth = 0;
    walk->cacheable = true;
    if (format == PAGING_NONE) {
        finish_walk(mmu, walk, linear & 0xFFFFFFFFu);
        return true;
    }
    const struct table_format *t = &formats[format];
    u64 table, all = PTE_RW | PTE_US;
    bool any_nx = false;
    if (!walk_root(mmu, format, linear, &table)) {
        return page_fault(fault, linear, mode, access, 0);
    }
    for (unsigned level = t->top_level;; level--) {
        unsigned shift = PAGE_SHIFT + t->index_bits * (level - 1);
        u64 at = table + bits_get(linear, shift, t->index_bits) * t->entry_size;
        at &= mmu->shared->a20_mask;
        u32 rpn = mmu_rpn(mmu, at);
        u64 entry = read_entry(mmu, at, t->entry_size, rpn);
        if (!(entry & PTE_P)) {
            return page_fault(fault, linear, mode, access, 0);
        }
        bool large = is_large(entry, level, mode);
        if (entry & reserved_bits(entry, level, large, mode)) {
            return page_fault(fault, linear, mode, access, PF_PRESENT | PF_RESERVED);
        }
        walk->cacheable &= mmu_page_cacheable(mmu->shared, at, rpn);
        walk->path[walk->depth].rpn = rpn;
        walk->path[walk->depth++].level = (u8)level;
        all &= entry;
        any_nx |= t->entry_size == 8 && (entry & PTE_NX);
        bool leaf = large || level == 1;
        if (leaf && !allowed(all, any_nx, mode, access)) {
            return page_fault(fault, linear, mode, access, PF_PRESENT);
        }
        u64 mark = leaf && access == ACCESS_WRITE ? PTE_A | PTE_D : PTE_A;
        if (~entry & mark) {
            write_entry(mmu, at, entry | mark, t->entry_size, rpn);
        }
        if (leaf) {
            finish_walk(mmu, walk, leaf_address(entry, shift, linear, mode));
            return true;
        }
        table = entry & (t->entry_size == 4 ? 0xFFFFF000u : PHYS_MASK & ~PAGE_MASK);
    }
}

bool mmu_load_pdptes(struct mmu *mmu, u64 cr3, u64 pdpte[4])
{
    u64 loaded[4];
    for (unsigned i = 0; i < 4; i++) {
        u64 at = ((cr3 & 0xFFFFFFE0u) + i * 8) & mmu->shared->a20_mask;
        loaded[i] = read_entry(mmu, at, 8, mmu_rpn(mmu, at));
        // SDM 3A table 4-8: bits 2:1, 8:5 and everything from MAXPHYADDR up are reserved.
        if ((loaded[i] & PTE_P) && (loaded[i] & (~PHYS_MASK | 0x1E6))) {
            return false;
        }
    }
    memcpy(pdpte, loaded, sizeof(loaded));
    return true;
}

// A walk that changes nothing. rights: the AND of the entries, with XD set if any of them has it.
static bool dry_walk(const struct mmu *mmu, u64 linear, u64 *gpa, u64 *rights)
{
    u32 mode = mmu->mode;
    enum paging_format format = mode & MODE_FORMAT;
    *rights = PTE_RW | PTE_US;
    if (format == PAGING_NONE) {
        *gpa = linear & 0xFFFFFFFFu & mmu->shared->a20_mask;
        return true;
    }
    const struct table_format *t = &formats[format];
    u64 table, any_nx = 0;
    if (!mmu_canonical(mmu, linear) || !walk_root(mmu, format, linear, &table)) {
        return false;
    }
    for (unsigned level = t->top_level;; level--) {
        unsigned shift = PAGE_SHIFT + t->index_bits * (level - 1);
        u64 at = table + bits_get(linear, shift, t->index_bits) * t->entry_size, entry = 0;
        at &= mmu->shared->a20_mask;
        if (!physmem_read(mmu->mem, at, &entry, t->entry_size) || !(entry & PTE_P)) {
            return false;
        }
        bool large = is_large(entry, level, mode);
        if (entry & reserved_bits(entry, level, large, mode)) {
            return false;
        }
        any_nx |= t->entry_size == 8 ? entry & PTE_NX : 0;
        *rights = (*rights & entry) | any_nx;
        if (large || level == 1) {
            *gpa = leaf_address(entry, shift, linear, mode) & mmu->shared->a20_mask;
            return true;
        }
        table = entry & (t->entry_size == 4 ? 0xFFFFF000u : PHYS_MASK & ~PAGE_MASK);
    }
}

bool mmu_debug_translate(const struct mmu *mmu, u64 linear, u64 *gpa)
{
    u64 rights;
    return dry_walk(mmu, linear, gpa, &rights);
}

bool mmu_would_fetch(const struct mmu *mmu, u64 linear, u64 *gpa)
{
    u64 rights;
    if ((mmu->mode & MODE_FORMAT) == PAGING_NONE) {
        return dry_walk(mmu, linear, gpa, &rights);
    }
    return dry_walk(mmu, linear, gpa, &rights) &&
           allowed(rights, rights & PTE_NX, mmu->mode, ACCESS_FETCH);
}
