// SPDX-License-Identifier: MIT
// The reference walk. One function per paging format; nothing is shared with emu/mmu.
#include "tests/fuzz/reference_walk.h"

#include <string.h>

#define P 1u
#define RW 2u
#define US 4u
#define A 0x20u
#define D 0x40u
#define PS 0x80u
#define NX (UINT64_C(1) << 63)
#define ADDRESS UINT64_C(0x000000FFFFFFF000) // MAXPHYADDR 40

struct path {
    u64 entry_at[4];
    u64 entry[4];
    unsigned count, entry_bytes;
    u64 gpa; // if it is mapped
    bool absent, reserved;
};

static u64 get(const struct reference *r, u64 gpa, unsigned size)
{
    u64 value = size == 4 ? UINT32_MAX : UINT64_MAX;
    if (gpa < REFERENCE_RAM) {
        memcpy(&value, r->ram + gpa, size);
    }
    return value;
}

static void put(struct reference *r, u64 gpa, u64 value, unsigned size)
{
    if (gpa < REFERENCE_RAM) {
        memcpy(r->ram + gpa, &value, size);
    }
}

// Reads the next entry of the path; false: the walk ends here.
static bool step(const struct reference *r, struct path *p, u64 at)
{
    u64 entry = get(r, at, p->entry_bytes);
    p->absent = !(entry & P);
    p->entry_at[p->count] = at;
    p->entry[p->count++] = entry;
    return !p->absent;
}

// SDM 3A 4.3, tables 4-4 to 4-6; PSE-36 with MAXPHYADDR 40.
static void walk_32bit(const struct reference *r, u64 linear, struct path *p)
{
    p->entry_bytes = 4;
    if (!step(r, p, (r->context.cr3 & 0xFFFFF000) + (linear >> 22 & 1023) * 4)) {
        return;
    }
    u64 pde = p->entry[0];
    if ((pde & PS) && (r->context.cr4 & 0x10)) {
        p->reserved = pde >> 21 & 1;
        p->gpa = (pde & 0xFFC00000) | (pde >> 13 & 0xFF) << 32 | (linear & 0x3FFFFF);
        return;
    }
    if (step(r, p, (pde & 0xFFFFF000) + (linear >> 12 & 1023) * 4)) {
        p->gpa = (p->entry[1] & 0xFFFFF000) | (linear & 0xFFF);
    }
}

static bool reserved_wide(const struct reference *r, u64 entry, bool pae)
{
    return (entry & UINT64_C(0x000FFF0000000000)) || (pae && (entry & UINT64_C(0x7FF0000000000000))) ||
           ((entry & NX) && !(r->context.efer & 0x800));
}

// The page directory and the page table: common to PAE (4.4.2) and 4-level paging (4.5).
static void walk_lower(const struct reference *r, u64 linear, u64 directory, bool pae,
                       struct path *p)
{
    if (!step(r, p, directory + (linear >> 21 & 511) * 8)) {
        return;
    }
    u64 pde = p->entry[p->count - 1];
    p->reserved = reserved_wide(r, pde, pae);
    if (pde & PS) {
        p->reserved |= (pde & 0x1FE000) != 0;
        p->gpa = (pde & ADDRESS & ~UINT64_C(0x1FFFFF)) | (linear & 0x1FFFFF);
        return;
    }
    if (p->reserved || !step(r, p, (pde & ADDRESS) + (linear >> 12 & 511) * 8)) {
        return;
    }
    u64 pte = p->entry[p->count - 1];
    p->reserved = reserved_wide(r, pte, pae);
    p->gpa = (pte & ADDRESS) | (linear & 0xFFF);
}

static void walk_pae(const struct reference *r, u64 linear, struct path *p)
{
    p->entry_bytes = 8;
    u64 pdpte = r->context.pdpte[linear >> 30 & 3];
    p->absent = !(pdpte & P);
    if (!p->absent) {
        walk_lower(r, linear, pdpte & ADDRESS, true, p);
    }
}

// SDM 3A 4.5, tables 4-15 to 4-20.
static void walk_4level(const struct reference *r, u64 linear, struct path *p)
{
    p->entry_bytes = 8;
    if (!step(r, p, (r->context.cr3 & ADDRESS) + (linear >> 39 & 511) * 8)) {
        return;
    }
    u64 pml4e = p->entry[0];
    p->reserved = reserved_wide(r, pml4e, false) || (pml4e & PS);
    if (p->reserved || !step(r, p, (pml4e & ADDRESS) + (linear >> 30 & 511) * 8)) {
        return;
    }
    u64 pdpte = p->entry[1];
    p->reserved = reserved_wide(r, pdpte, false);
    if (pdpte & PS) {
        p->reserved |= (pdpte & 0x3FFFE000) != 0;
        p->gpa = (pdpte & ADDRESS & ~UINT64_C(0x3FFFFFFF)) | (linear & 0x3FFFFFFF);
    } else if (!p->reserved) {
        walk_lower(r, linear, pdpte & ADDRESS, false, p);
    }
}

// SDM 3A 4.6.1.
static bool refused(const struct reference *r, const struct path *p, enum reference_access access)
{
    const struct mmu_context *c = &r->context;
    bool writable = true, user_page = true, no_execute = false, user = c->cpl == 3;
    for (unsigned i = 0; i < p->count; i++) {
        writable &= (p->entry[i] & RW) != 0;
        user_page &= (p->entry[i] & US) != 0;
        no_execute |= p->entry_bytes == 8 && (p->entry[i] & NX);
    }
    bool nxe = (c->efer & 0x800) && p->entry_bytes == 8;
    if (user && !user_page) {
        return true;
    }
    if (access == REFERENCE_FETCH) {
        return (no_execute && nxe) || (!user && user_page && (c->cr4 >> 20 & 1));
    }
    if (!user && user_page && (c->cr4 >> 21 & 1) && !c->ac) {
        return true;
    }
    return access == REFERENCE_WRITE && !writable && (user || (c->cr0 >> 16 & 1));
}

// SDM 3A 4.7.
static bool page_fault(const struct reference *r, u64 linear, enum reference_access access,
                       bool present, bool reserved, struct fault *fault)
{
    const struct mmu_context *c = &r->context;
    bool wide = (c->efer & 0x400) || (c->cr4 & 0x20);
    u32 code = present ? PF_PRESENT : 0;
    code |= access == REFERENCE_WRITE ? PF_WRITE : 0;
    code |= c->cpl == 3 ? PF_USER : 0;
    code |= reserved ? PF_RESERVED : 0;
    if (access == REFERENCE_FETCH && ((c->cr4 >> 20 & 1) || (wide && (c->efer & 0x800)))) {
        code |= PF_FETCH;
    }
    *fault = (struct fault){EXC_PF, true, code, linear};
    return false;
}

// Entries that were used get A, the leaf of a write D, also if the next page will fault
// (ENGINE.md); a refused leaf gets nothing.
static void mark(struct reference *r, struct path *p, unsigned count, bool leaf_written)
{
    for (unsigned i = 0; i < count; i++) {
        bool written = leaf_written && i + 1 == p->count;
        // The entry as it is now: an earlier one may be the same memory.
        u64 entry = get(r, p->entry_at[i], p->entry_bytes);
        put(r, p->entry_at[i], entry | A | (written ? D : 0), p->entry_bytes);
    }
}

static bool translate_page(struct reference *r, u64 linear, enum reference_access access, u64 *gpa,
                           struct fault *fault)
{
    const struct mmu_context *c = &r->context;
    struct path p = {0};
    if (!(c->cr0 >> 31)) {
        *gpa = linear & UINT32_MAX;
        return true;
    }
    if (c->efer & 0x400) {
        walk_4level(r, linear, &p);
    } else if (c->cr4 & 0x20) {
        walk_pae(r, linear, &p);
    } else {
        walk_32bit(r, linear, &p);
    }
    if (p.absent || p.reserved || refused(r, &p, access)) {
        mark(r, &p, p.count ? p.count - 1 : 0, false);
        return page_fault(r, linear, access, !p.absent, p.reserved, fault);
    }
    mark(r, &p, p.count, access == REFERENCE_WRITE);
    *gpa = p.gpa;
    return true;
}

static bool canonical(u64 linear)
{
    u64 top = linear >> 47;
    return top == 0 || top == 0x1FFFF;
}

bool reference_translate(struct reference *r, u64 linear, unsigned size,
                         enum reference_access access, u64 gpa[2], struct fault *fault)
{
    if ((r->context.efer & 0x400) && (!canonical(linear) || !canonical(linear + size - 1))) {
        *fault = (struct fault){EXC_GP, true, 0, 0};
        return false;
    }
    unsigned room = (unsigned)(PAGE_SIZE - (linear & PAGE_MASK));
    return translate_page(r, linear, access, &gpa[0], fault) &&
           (size <= room || translate_page(r, linear + room, access, &gpa[1], fault));
}

bool reference_access(struct reference *r, u64 linear, u8 *bytes, unsigned size,
                      enum reference_access access, struct fault *fault)
{
    u64 gpa[2] = {0};
    if (!reference_translate(r, linear, size, access, gpa, fault)) {
        return false;
    }
    unsigned room = (unsigned)(PAGE_SIZE - (linear & PAGE_MASK));
    for (unsigned i = 0; i < size; i++) {
        u64 at = i < room ? gpa[0] + i : gpa[1] + i - room;
        if (access != REFERENCE_WRITE) {
            bytes[i] = at < REFERENCE_RAM ? r->ram[at] : 0xFF;
        } else if (at < REFERENCE_RAM) {
            r->ram[at] = bytes[i];
        }
    }
    return true;
}

bool reference_load_pdptes(const struct reference *r, u64 cr3, u64 pdpte[4])
{
    u64 loaded[4];
    for (unsigned i = 0; i < 4; i++) {
        loaded[i] = get(r, (cr3 & 0xFFFFFFE0) + i * 8, 8);
        if ((loaded[i] & P) && (loaded[i] & (~(ADDRESS | 0xFFF) | 0x1E6))) {
            return false;
        }
    }
    memcpy(pdpte, loaded, sizeof(loaded));
    return true;
}
