// SPDX-License-Identifier: MIT
// Any page tables, in every paging format: an MMU with all its caches, one without and the
// reference walk agree on every access (data, fault, error code, address) and on all of memory, A
// and D bits included, whatever is stored into the tables in between.
//
// Input: operations, each a byte (what & its variant) and its operands; see play().
#include "base/check.h"
#include "base/memory.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/reference_walk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

#define OPERATIONS_MAX 400
#define ACCESS_MAX 32

struct side {
    struct physmem *mem;
    struct io_space *mmio;
    struct mmu_shared *shared;
    struct mmu *mmu;
};

struct game {
    struct side side[2]; // without caches, with all
    struct reference *reference;
    struct input in;
};

static void before_device(void *ctx)
{
}

static void side_create(struct side *s, enum tlb_geometry geometry)
{
    struct status status = physmem_create(&s->mem, REFERENCE_RAM);
    CHECK(status_ok(&status));
    s->mmio = io_space_create(UINT64_C(1) << 46);
    s->shared = mmu_shared_create(s->mem, s->mmio, geometry);
    s->mmu = mmu_create(s->shared, 0, before_device, s);
}

// As it was created: making it anew costs the host more than the game does.
static void side_restart(struct side *s)
{
    static const u8 zeros[REFERENCE_RAM];
    struct mmu_context none = {0};
    mmu_flush_all(s->shared);
    physmem_write(s->mem, 0, zeros, sizeof(zeros));
    mmu_set_context(s->mmu, &none);
}

static void store_physical(struct game *g, u64 gpa, const void *bytes, unsigned size)
{
    if (gpa > REFERENCE_RAM - size) {
        return;
    }
    memcpy(g->reference->ram + gpa, bytes, size);
    for (unsigned i = 0; i < 2; i++) {
        physmem_write(g->side[i].mem, gpa, bytes, size);
    }
}

// An index into a table of 512 or 1024 entries: few, so that paths meet.
static u64 table_index(u8 choice)
{
    static const u16 indices[8] = {0, 1, 2, 3, 256, 510, 511, 1023};
    return indices[choice & 7];
}

// Entry: flags (12 bits), page, and of the upper bits XD or a reserved one.
static void set_entry(struct game *g, bool wide)
{
    u64 where = input_u8(&g->in), flags = input_take(&g->in, 2), high = input_u8(&g->in);
    u64 at = (where & 15) * PAGE_SIZE + (table_index((u8)(where >> 4)) % (wide ? 512 : 1024)) * (wide ? 8 : 4);
    u64 entry = (flags & 0xFFF) | (flags >> 12) << 12;
    if (wide) {
        entry |= high & 1 ? UINT64_C(1) << 63 : 0;
        entry |= high & 0x80 ? UINT64_C(1) << (12 + (high >> 1 & 63) % 51) : 0;
    } else {
        entry |= (high & 0x80 ? (u64)1 << (12 + (high & 31) % 20) : 0);
    }
    store_physical(g, at, &entry, wide ? 8 : 4);
}

static void set_context(struct game *g)
{
    u64 page = input_u8(&g->in);
    u8 bits = input_u8(&g->in), format = bits & 3;
    struct mmu_context c = {
        .cr0 = (format ? UINT64_C(0x80000000) : 0) | 1 | (u64)(bits >> 2 & 1) << 16,
        .cr3 = (page & 15) * PAGE_SIZE | (page >> 4) << (format == 2 ? 5 : 3),
        .cr4 = (u64)(bits >> 3 & 1) << 4 | (u64)(bits >> 4 & 1) << 20 | (u64)(bits >> 5 & 1) << 21 |
               (format >= 2 ? 0x20u : 0),
        .efer = (u64)(bits >> 6 & 1) << 11 | (format == 3 ? 0x500u : 0),
    };
    u8 who = input_u8(&g->in);
    c.cpl = who & 3;
    c.ac = who >> 2 & 1;
    if (format == 2) {
        bool loads = reference_load_pdptes(g->reference, c.cr3, c.pdpte);
        for (unsigned i = 0; i < 2; i++) {
            u64 pdpte[4] = {0};
            CHECK(mmu_load_pdptes(g->side[i].mmu, c.cr3, pdpte) == loads);
            CHECK(!loads || !memcmp(pdpte, c.pdpte, sizeof(pdpte)));
        }
        if (!loads) {
            return;
        }
    }
    g->reference->context = c;
    for (unsigned i = 0; i < 2; i++) {
        mmu_set_context(g->side[i].mmu, &c);
    }
}

// A linear address from four indices and an offset; sometimes not canonical.
static u64 linear_address(struct game *g)
{
    u64 indices = input_take(&g->in, 2), offset = input_take(&g->in, 2);
    const struct mmu_context *c = &g->reference->context;
    offset = offset & 0x8000 ? 0xFF0 | (offset & 15) : offset & 0xFFF;
    u64 i4 = table_index((u8)(indices & 7)), i3 = table_index((u8)(indices >> 3 & 7));
    u64 i2 = table_index((u8)(indices >> 6 & 7)), i1 = table_index((u8)(indices >> 9 & 7));
    if (c->efer & 0x400) {
        u64 linear = i4 % 512 << 39 | i3 % 512 << 30 | i2 % 512 << 21 | i1 % 512 << 12 | offset;
        bool canonical = (indices >> 12) != 5;
        return canonical ? (u64)((s64)(linear << 16) >> 16) : linear;
    }
    u64 linear = c->cr4 & 0x20 ? (i3 & 3) << 30 | i2 % 512 << 21 | i1 % 512 << 12
                               : i2 << 22 | i1 << 12;
    // Wrapping at 4 GiB is the CPU's matter.
    linear = (linear | offset) & UINT32_MAX;
    return linear > UINT32_MAX - ACCESS_MAX ? linear - ACCESS_MAX : linear;
}

static bool read_side(struct mmu *mmu, u64 linear, u8 *bytes, unsigned size, struct fault *fault)
{
    switch (size) {
    case 1:
        return mmu_read8(mmu, linear, bytes, fault);
    case 4: {
        u32 value;
        bool good = mmu_read32(mmu, linear, &value, fault);
        memcpy(bytes, &value, good ? 4 : 0);
        return good;
    }
    case 8: {
        u64 value;
        bool good = mmu_read64(mmu, linear, &value, fault);
        memcpy(bytes, &value, good ? 8 : 0);
        return good;
    }
    default:
        return mmu_read_slow(mmu, linear, bytes, size, fault);
    }
}

static bool write_side(struct mmu *mmu, u64 linear, const u8 *bytes, unsigned size, bool rmw,
                       struct fault *fault)
{
    u64 value;
    struct mmu_rmw r;
    u8 old[ACCESS_MAX];
    if (rmw) {
        bool good = mmu_rmw_begin(mmu, linear, size, old, &r, fault);
        if (good) {
            mmu_rmw_commit(mmu, &r, bytes);
        }
        return good;
    }
    memcpy(&value, bytes, 8);
    switch (size) {
    case 1:
        return mmu_write8(mmu, linear, bytes[0], fault);
    case 4:
        return mmu_write32(mmu, linear, (u32)value, fault);
    case 8:
        return mmu_write64(mmu, linear, value, fault);
    default:
        return mmu_write_slow(mmu, linear, bytes, size, fault);
    }
}

// The page of an instruction byte, as the CPU's loop asks for it, and the byte.
static bool fetch_side(const struct side *s, u64 linear, u8 *byte, struct fault *fault)
{
    u32 rpn;
    if (!mmu_fetch_page(s->mmu, linear, &rpn, fault)) {
        return false;
    }
    *byte = rpn == PHYSMEM_NO_RPN ? 0xFF : physmem_page(s->mem, rpn)[linear & PAGE_MASK];
    return true;
}

static void access(struct game *g, enum reference_access kind, bool rmw)
{
    u64 linear = linear_address(g);
    static const u8 sizes[8] = {1, 4, 8, 8, 2, 16, 10, ACCESS_MAX};
    unsigned size = kind == REFERENCE_FETCH ? 1 : sizes[input_u8(&g->in) & 7];
    u8 wanted[ACCESS_MAX] = {0}, seen[ACCESS_MAX];
    struct fault fault = {0};
    if (kind == REFERENCE_WRITE) { // what is written may become an entry
        u64 word = input_take(&g->in, 3) << 3 | 7;
        for (unsigned i = 0; i < ACCESS_MAX; i += 8) {
            memcpy(wanted + i, &word, 8);
        }
    }
    memcpy(seen, wanted, sizeof(seen));
    bool good = reference_access(g->reference, linear, wanted, size, kind, &fault);
    for (unsigned i = 0; i < 2; i++) {
        const struct side *s = &g->side[i];
        struct fault f = {0};
        bool done = kind == REFERENCE_READ    ? read_side(s->mmu, linear, seen, size, &f)
                    : kind == REFERENCE_WRITE ? write_side(s->mmu, linear, seen, size, rmw, &f)
                                              : fetch_side(s, linear, seen, &f);
        CHECK(done == good);
        CHECK(!good || !memcmp(seen, wanted, size));
        CHECK(good || (f.vector == fault.vector && f.error_code == fault.error_code &&
                       f.cr2 == fault.cr2 && f.has_error_code == fault.has_error_code));
    }
}

static void compare_memory(const struct game *g)
{
    CHECK(!memcmp(g->side[0].mem->ram, g->reference->ram, REFERENCE_RAM));
    CHECK(!memcmp(g->side[1].mem->ram, g->reference->ram, REFERENCE_RAM));
}

static void play(struct game *g)
{
    for (unsigned n = 0; n < OPERATIONS_MAX && input_more(&g->in); n++) {
        u8 what = input_u8(&g->in);
        switch (what & 7) {
        case 0:
        case 1:
            set_entry(g, what & 1);
            break;
        case 2:
            set_context(g);
            break;
        case 3: { // bytes of a table
            u64 word = input_take(&g->in, 2);
            store_physical(g, word, &word, 1 + (what >> 3) % 8);
            break;
        }
        case 4:
            access(g, REFERENCE_FETCH, false);
            break;
        case 5:
            access(g, REFERENCE_WRITE, what & 8);
            break;
        case 6:
            access(g, REFERENCE_READ, false);
            break;
        default:
            if (what == 0xFF) {
                mmu_flush_all(g->side[1].shared);
            } else if (what & 8) {
                physmem_next_epoch(g->side[1].mem);
            } else {
                access(g, REFERENCE_READ, false);
            }
            break;
        }
    }
    compare_memory(g);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    static struct game *g;
    if (!g) {
        g = xcalloc(1, sizeof(*g));
        g->reference = xcalloc(1, sizeof(*g->reference));
        side_create(&g->side[0], TLB_OFF);
        side_create(&g->side[1], TLB_FULL);
    }
    *g->reference = (struct reference){0};
    g->in = (struct input){data, size, 0};
    for (unsigned i = 0; i < 2; i++) {
        side_restart(&g->side[i]);
    }
    play(g);
    return 0;
}
