// SPDX-License-Identifier: MIT
// Page walks: rights, reserved bits, page sizes, A and D, error codes (SDM 3A chapter 4).
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bus/io_space.h"
#include "mmu/mmu.h"

#define CR0_PG_PE UINT64_C(0x80000001)
#define CR0_WP UINT64_C(0x10000)
#define CR0_AM UINT64_C(0x40000)
#define CR4_PAE UINT64_C(0x20)
#define CR4_PSE UINT64_C(0x10)
#define CR4_SMEP UINT64_C(0x100000)
#define CR4_SMAP UINT64_C(0x200000)
#define EFER_LM UINT64_C(0x500)
#define EFER_NXE UINT64_C(0x800)

enum { P = 1, RW = 2, US = 4, A = 0x20, D = 0x40, PS = 0x80 };
#define NX (UINT64_C(1) << 63)

#define ROOT UINT64_C(0x1000)
#define PDPT UINT64_C(0x2000)
#define PD UINT64_C(0x3000)
#define PT UINT64_C(0x4000)
#define DATA UINT64_C(0x200000)
#define LINEAR UINT64_C(0x8040201000) // index 1 at every level
#define LINEAR_32 UINT64_C(0x401000)

struct fixture {
    struct physmem *mem;
    struct io_space *mmio;
    struct mmu_shared *shared;
    struct mmu *mmu;
    struct mmu_context context;
};

static void nothing(void *ctx)
{
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct status s = physmem_create(&f->mem, 16 << 20);
    assert_true(status_ok(&s));
    f->mmio = io_space_create(UINT64_C(1) << 40);
    f->shared = mmu_shared_create(f->mem, f->mmio, TLB_FULL);
    f->mmu = mmu_create(f->shared, 0, nothing, NULL);
    f->context = (struct mmu_context){
        .cr0 = CR0_PG_PE | CR0_WP, .cr3 = ROOT, .cr4 = CR4_PAE, .efer = EFER_LM | EFER_NXE};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mmu_destroy(f->mmu);
    mmu_shared_destroy(f->shared);
    io_space_destroy(f->mmio);
    physmem_destroy(f->mem);
    free(f);
    return 0;
}

static void put(struct fixture *f, u64 gpa, u64 value, unsigned size)
{
    assert_true(physmem_write(f->mem, gpa, &value, size));
}

static u64 get(struct fixture *f, u64 gpa)
{
    u64 value;
    assert_true(physmem_read(f->mem, gpa, &value, 8));
    return value;
}

static void map(struct fixture *f, u64 pml4e, u64 pdpte, u64 pde, u64 pte)
{
    put(f, ROOT + 8, pml4e, 8);
    put(f, PDPT + 8, pdpte, 8);
    put(f, PD + 8, pde, 8);
    put(f, PT + 8, pte, 8);
    mmu_set_context(f->mmu, &f->context);
}

static void map_open(struct fixture *f, u64 pte)
{
    map(f, PDPT | P | RW | US, PD | P | RW | US, PT | P | RW | US, pte);
}

enum how { READ, WRITE, FETCH };
#define NO_FAULT 0xFFFFFFFFu

// The page-fault error code of one access, NO_FAULT if there is none.
static u32 try(struct fixture *f, enum how how, u64 linear)
{
    struct fault fault;
    u8 byte = 0x5A;
    u32 rpn;
    bool ok = how == READ    ? mmu_read_slow(f->mmu, linear, &byte, 1, &fault)
              : how == WRITE ? mmu_write_slow(f->mmu, linear, &byte, 1, &fault)
                             : mmu_fetch_page(f->mmu, linear, &rpn, &fault);
    if (ok) {
        return NO_FAULT;
    }
    assert_int_equal(fault.vector, EXC_PF);
    assert_true(fault.has_error_code);
    assert_int_equal(fault.cr2, linear);
    return fault.error_code;
}

struct row {
    u64 pml4e, pte; // flags; levels between are open
    bool wp, smep, smap, nxe, user, ac;
    u32 read, write, fetch; // expected error codes
};

#define OK NO_FAULT

static void test_rights(void **state)
{
    static const struct row rows[] = {
        // supervisor page, supervisor access
        {P | RW, P | RW, 1, 1, 1, 1, 0, 0, OK, OK, OK},
        {P | RW, P, 1, 0, 0, 1, 0, 0, OK, PF_PRESENT | PF_WRITE, OK},
        {P, P | RW, 1, 0, 0, 1, 0, 0, OK, PF_PRESENT | PF_WRITE, OK},
        {P | RW, P, 0, 0, 0, 1, 0, 0, OK, OK, OK},
        {P | RW, P | RW | NX, 1, 0, 0, 1, 0, 0, OK, OK, PF_PRESENT | PF_FETCH},
        {P | RW | NX, P | RW, 1, 0, 0, 1, 0, 0, OK, OK, PF_PRESENT | PF_FETCH},
        {P | RW, P | RW | NX, 1, 0, 0, 0, 0, 0, 9, 11, 9}, // NX reserved without NXE
        {P | RW, 0, 1, 0, 0, 1, 0, 0, 0, PF_WRITE, PF_FETCH},
        {P | RW, 0, 1, 0, 0, 0, 0, 0, 0, PF_WRITE, 0},
        {P | RW, 0, 1, 1, 0, 0, 0, 0, 0, PF_WRITE, PF_FETCH},
        {0, P | RW, 1, 0, 0, 1, 0, 0, 0, PF_WRITE, PF_FETCH},
        // user page, supervisor access
        {P | RW | US, P | RW | US, 1, 0, 0, 1, 0, 0, OK, OK, OK},
        {P | RW | US, P | RW | US, 1, 1, 0, 1, 0, 0, OK, OK, PF_PRESENT | PF_FETCH},
        {P | RW | US, P | RW | US, 1, 0, 1, 1, 0, 0, PF_PRESENT, PF_PRESENT | PF_WRITE, OK},
        {P | RW | US, P | RW | US, 1, 0, 1, 1, 0, 1, OK, OK, OK},
        {P | RW | US, P | US, 0, 0, 1, 1, 0, 1, OK, OK, OK},
        {P | RW | US, P | US, 1, 0, 1, 1, 0, 1, OK, PF_PRESENT | PF_WRITE, OK},
        {P | RW, P | RW | US, 1, 1, 1, 1, 0, 0, OK, OK, OK}, // user only if every level says so
        // user access
        {P | RW | US, P | RW | US, 1, 1, 1, 1, 1, 0, OK, OK, OK},
        {P | RW | US, P | US, 0, 0, 0, 1, 1, 0, OK, PF_PRESENT | PF_WRITE | PF_USER, OK},
        {P | RW | US, P | RW, 1, 0, 0, 1, 1, 0, 5, 7, 21},
        {P | RW, P | RW | US, 1, 0, 0, 1, 1, 0, 5, 7, 21},
        {P | RW, P | RW | US, 1, 0, 0, 0, 1, 0, 5, 7, 5},
        {P | RW | US, P | RW | US | NX, 1, 0, 0, 1, 1, 0, OK, OK, 21},
        {P | RW | US, 0, 1, 0, 0, 1, 1, 0, 4, 6, 20},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        f->context.cr0 = CR0_PG_PE | (r->wp ? CR0_WP : 0);
        f->context.cr4 = CR4_PAE | (r->smep ? CR4_SMEP : 0) | (r->smap ? CR4_SMAP : 0);
        f->context.efer = EFER_LM | (r->nxe ? EFER_NXE : 0);
        f->context.cpl = r->user ? 3 : 0;
        f->context.ac = r->ac;
        map(f, r->pml4e ? r->pml4e | PDPT : 0, PD | P | RW | US, PT | P | RW | US,
            r->pte ? r->pte | DATA : 0);
        for (unsigned twice = 0; twice < 2; twice++) { // the second time from the TLB
            assert_int_equal(try(f, READ, LINEAR), r->read);
            assert_int_equal(try(f, WRITE, LINEAR), r->write);
            assert_int_equal(try(f, FETCH, LINEAR), r->fetch);
        }
    }
}

static void test_reserved_bits(void **state)
{
    static const struct {
        unsigned level;
        u64 entry;
        bool reserved;
    } rows[] = {
        {4, PDPT | P | RW | PS, true},
        {4, PDPT | P | RW | UINT64_C(1) << 40, true},
        {4, PDPT | P | RW | UINT64_C(1) << 52, false},
        {3, P | RW | PS, false},
        {3, P | RW | PS | 1 << 13, true},
        {3, P | RW | PS | 1 << 29, true},
        {3, P | RW | PS | 1 << 12, false}, // PAT
        {2, P | RW | PS | DATA, false},
        {2, P | RW | PS | DATA | 1 << 20, true},
        {2, P | RW | PS | DATA | 1 << 12, false},
        {1, P | RW | PS | DATA, false}, // PAT
        {1, P | RW | DATA | UINT64_C(1) << 51, true},
        {1, P | RW | DATA | UINT64_C(1) << 62, false},
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        map_open(f, DATA | P | RW | US);
        put(f, (u64[]){PT, PD, PDPT, ROOT}[rows[i].level - 1] + 8, rows[i].entry, 8);
        assert_int_equal(try(f, READ, LINEAR),
                         rows[i].reserved ? PF_PRESENT | PF_RESERVED : NO_FAULT);
    }
}

static void test_large_pages(void **state)
{
    struct fixture *f = *state;
    u64 value = UINT64_C(0x1122334455667788), read = 0;
    struct fault fault;
    put(f, 0x601234, value, 8);
    map_open(f, 0);
    put(f, PD + 8, 0x600000 | P | RW | PS, 8);
    u64 at = (LINEAR & ~UINT64_C(0x1FFFFF)) | 0x1234;
    assert_true(mmu_read_slow(f->mmu, at, &read, 8, &fault));
    assert_int_equal(read, value);
    put(f, PDPT + 8, P | RW | PS, 8); // 1 GiB from 0
    at = (LINEAR & ~UINT64_C(0x3FFFFFFF)) | 0x601234;
    read = 0;
    assert_true(mmu_read_slow(f->mmu, at, &read, 8, &fault));
    assert_int_equal(read, value);
    assert_int_equal(get(f, PDPT + 8), P | RW | PS | A);
    assert_true(mmu_write_slow(f->mmu, at, &read, 8, &fault));
    assert_int_equal(get(f, PDPT + 8), P | RW | PS | A | D);
}

static void test_accessed_and_dirty(void **state)
{
    struct fixture *f = *state;
    map(f, PDPT | P | RW, PD | P | RW, PT | P | RW, DATA | P | RW);
    assert_int_equal(try(f, READ, LINEAR), NO_FAULT);
    assert_int_equal(get(f, ROOT + 8), PDPT | P | RW | A);
    assert_int_equal(get(f, PDPT + 8), PD | P | RW | A);
    assert_int_equal(get(f, PD + 8), PT | P | RW | A);
    assert_int_equal(get(f, PT + 8), DATA | P | RW | A);
    assert_int_equal(try(f, WRITE, LINEAR), NO_FAULT);
    assert_int_equal(get(f, PT + 8), DATA | P | RW | A | D);
    assert_int_equal(get(f, PD + 8), PT | P | RW | A);
    // Cleared bits come back, without any invalidation.
    put(f, PT + 8, DATA | P | RW, 8);
    assert_int_equal(try(f, READ, LINEAR), NO_FAULT);
    assert_int_equal(get(f, PT + 8), DATA | P | RW | A);
    put(f, PD + 8, PT | P | RW, 8);
    assert_int_equal(try(f, READ, LINEAR), NO_FAULT);
    assert_int_equal(get(f, PD + 8), PT | P | RW | A);
    // A refused access leaves the leaf alone.
    put(f, PT + 8, DATA | P, 8);
    assert_int_equal(try(f, WRITE, LINEAR), PF_PRESENT | PF_WRITE);
    assert_int_equal(get(f, PT + 8), DATA | P);
}

// The lower page's bits are set even if the upper page faults; no byte is written.
static void test_crossing(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    u64 value = ~UINT64_C(0), old;
    struct mmu_rmw rmw;
    map(f, PDPT | P | RW, PD | P | RW, PT | P | RW, DATA | P | RW);
    assert_false(mmu_write_slow(f->mmu, LINEAR + 0xFFC, &value, 8, &fault));
    assert_int_equal(fault.vector, EXC_PF);
    assert_int_equal(fault.error_code, PF_WRITE);
    assert_int_equal(fault.cr2, LINEAR + 0x1000);
    assert_int_equal(get(f, PT + 8), DATA | P | RW | A | D);
    assert_int_equal(get(f, DATA + 0xFF8), 0);
    put(f, PT + 16, (DATA + 0x5000) | P | RW, 8);
    assert_true(mmu_write_slow(f->mmu, LINEAR + 0xFFC, &value, 8, &fault));
    assert_int_equal(get(f, DATA + 0xFF8), UINT64_C(0xFFFFFFFF00000000));
    assert_int_equal(get(f, DATA + 0x5000), 0xFFFFFFFF);
    assert_true(mmu_rmw_begin(f->mmu, LINEAR + 0xFFE, 4, &old, &rmw, &fault));
    assert_int_equal((u32)old, 0xFFFFFFFF);
    u32 changed = 0x12345678;
    mmu_rmw_commit(f->mmu, &rmw, &changed);
    assert_int_equal(get(f, DATA + 0x5000), 0xFFFF1234);
}

static void test_canonical_and_alignment(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    u64 value = 0;
    map_open(f, DATA | P | RW | US);
    assert_false(mmu_read_slow(f->mmu, UINT64_C(0x800000000000), &value, 1, &fault));
    assert_int_equal(fault.vector, EXC_GP);
    assert_false(mmu_read_slow(f->mmu, UINT64_C(0x7FFFFFFFFFFF), &value, 2, &fault));
    assert_int_equal(fault.vector, EXC_GP);
    f->context.cr0 |= CR0_AM;
    f->context.ac = true;
    f->context.cpl = 3;
    mmu_set_context(f->mmu, &f->context);
    assert_false(mmu_read_slow(f->mmu, LINEAR + 1, &value, 4, &fault));
    assert_int_equal(fault.vector, EXC_AC);
    assert_int_equal(fault.error_code, 0);
    assert_true(mmu_read_slow(f->mmu, LINEAR + 4, &value, 4, &fault));
    assert_null(
        tlb_lookup(&f->mmu->tables->read, LINEAR, 4)); // never cached: every access is checked
    f->context.cpl = 0;
    mmu_set_context(f->mmu, &f->context);
    assert_true(mmu_read_slow(f->mmu, LINEAR + 1, &value, 4, &fault));
}

static void test_32bit_paging(void **state)
{
    struct fixture *f = *state;
    f->context.efer = 0;
    f->context.cr4 = 0;
    put(f, ROOT + 4, PT | P | RW, 4);
    put(f, PT + 4, DATA | P | RW, 4);
    mmu_set_context(f->mmu, &f->context);
    assert_int_equal(try(f, WRITE, LINEAR_32), NO_FAULT);
    assert_int_equal(get(f, DATA), 0x5A);
    put(f, ROOT + 4, 0x800000 | P | RW | PS, 4);
    assert_int_equal(try(f, READ, LINEAR_32), 0); // without PSE it names a table: an empty one
    f->context.cr4 = CR4_PSE;
    mmu_set_context(f->mmu, &f->context);
    put(f, 0x801000, 0x77, 1);
    u8 byte = 0;
    struct fault fault;
    assert_true(mmu_read_slow(f->mmu, LINEAR_32, &byte, 1, &fault));
    assert_int_equal(byte, 0x77);
    put(f, ROOT + 4, 0x800000 | P | RW | PS | 1 << 21, 4);
    assert_int_equal(try(f, READ, LINEAR_32), PF_PRESENT | PF_RESERVED);
}

static void test_pae_paging(void **state)
{
    struct fixture *f = *state;
    f->context.efer = EFER_NXE;
    put(f, ROOT, PD | P, 8);
    put(f, PD + 16, PT | P | RW, 8);
    put(f, PT + 8, DATA | P | RW | NX, 8);
    assert_true(mmu_load_pdptes(f->mmu, ROOT, f->context.pdpte));
    mmu_set_context(f->mmu, &f->context);
    assert_int_equal(try(f, WRITE, LINEAR_32), NO_FAULT);
    assert_int_equal(try(f, FETCH, LINEAR_32), PF_PRESENT | PF_FETCH);
    assert_int_equal(try(f, READ, UINT64_C(0x40000000)), 0); // its pointer is not present
    put(f, ROOT, PT | P, 8);                                 // registers, not memory, decide
    assert_int_equal(try(f, WRITE, LINEAR_32), NO_FAULT);
    put(f, ROOT + 24, P | RW, 8);
    u64 before[4];
    memcpy(before, f->context.pdpte, sizeof(before));
    assert_false(mmu_load_pdptes(f->mmu, ROOT, f->context.pdpte));
    assert_memory_equal(before, f->context.pdpte, sizeof(before));
}

// A frame that is written through many addresses becomes a table: none of them may write past the
// tracking.
static void test_aliases_of_a_new_table(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    u64 entry = DATA | P | RW, other = (DATA + 0x1000) | P | RW, read;
    map(f, PDPT | P | RW, PD | P | RW, PT | P | RW, 0);
    for (unsigned i = 0; i < 5; i++) {
        put(f, PT + 8 * i, UINT64_C(0x5000) | P | RW, 8);
    }
    u64 base = LINEAR & ~UINT64_C(0x1FFFFF);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(mmu_write_slow(f->mmu, base + i * PAGE_SIZE, &entry, 8, &fault));
    }
    put(f, DATA, 0xAAAA, 8);
    put(f, DATA + 0x1000, 0xBBBB, 8);
    put(f, PD + 16, UINT64_C(0x5000) | P | RW, 8);
    u64 through = base + 0x200000;
    assert_true(mmu_read_slow(f->mmu, through, &read, 8, &fault));
    assert_int_equal(read, 0xAAAA);
    for (unsigned i = 0; i < 5; i++) {
        u64 *value = i & 1 ? &entry : &other;
        u8 *host = tlb_lookup(&f->mmu->tables->write, base + i * PAGE_SIZE, 8);
        assert_null(host);
        assert_true(mmu_write_slow(f->mmu, base + i * PAGE_SIZE, value, 8, &fault));
        host = tlb_lookup(&f->mmu->tables->read, through, 8);
        assert_null(host);
        assert_true(mmu_read_slow(f->mmu, through, &read, 8, &fault));
        assert_int_equal(read, i & 1 ? 0xAAAA : 0xBBBB);
    }
}

// More address spaces than table sets: recycled, and nothing is mixed up.
static void test_many_roots(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    for (u64 i = 0; i < 100; i++) {
        u64 root = 0x400000 + i * 0x4000;
        put(f, root + 8, (root + 0x1000) | P | RW, 8);
        put(f, root + 0x1008, (root + 0x2000) | P | RW, 8);
        put(f, root + 0x2008, (root + 0x3000) | P | RW, 8);
        put(f, root + 0x3008, (DATA + i * PAGE_SIZE) | P | RW, 8);
        put(f, DATA + i * PAGE_SIZE, i, 8);
    }
    for (unsigned round = 0; round < 3; round++) {
        for (u64 i = 0; i < 100; i++) {
            u64 read = 0;
            f->context.cr3 = 0x400000 + i * 0x4000;
            mmu_set_context(f->mmu, &f->context);
            assert_true(mmu_read_slow(f->mmu, LINEAR, &read, 8, &fault));
            assert_int_equal(read, i);
            u8 *host = tlb_lookup(&f->mmu->tables->read, LINEAR, 8);
            assert_non_null(host);
            memcpy(&read, host, 8);
            assert_int_equal(read, i);
        }
    }
}

static unsigned watch_hits;

static void on_watch(void *ctx, unsigned hit)
{
    watch_hits |= hit;
}

static void test_data_breakpoints(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    u32 value = 0;
    map_open(f, DATA | P | RW);
    struct mmu_watch watches[4] = {{LINEAR + 8, 4, true}, {LINEAR + 16, 8, false}};
    mmu_set_watches(f->mmu, watches, on_watch);
    static const struct {
        u64 offset;
        bool write;
        unsigned hits;
    } rows[] = {{8, true, 1},   {8, false, 0}, {5, true, 1},  {4, true, 0},  {12, true, 0},
                {16, false, 2}, {23, true, 2}, {24, true, 0}, {13, false, 2}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        watch_hits = 0;
        u64 at = LINEAR + rows[i].offset;
        assert_true(rows[i].write ? mmu_write_slow(f->mmu, at, &value, 4, &fault)
                                  : mmu_read_slow(f->mmu, at, &value, 4, &fault));
        assert_int_equal(watch_hits, rows[i].hits);
        assert_null(tlb_lookup(&f->mmu->tables->write, LINEAR, 1));
    }
}

static u64 read_at(struct fixture *f, u64 linear)
{
    u64 value = 0;
    struct fault fault;
    assert_true(mmu_read64(f->mmu, linear, &value, &fault));
    return value;
}

// Data, page tables and code: bit 20 of every address is 0, also of those that were cached.
static void test_a20(void **state)
{
    struct fixture *f = *state;
    struct fault fault;
    u64 gpa;
    u32 rpn;
    f->context = (struct mmu_context){.cr0 = 1};
    mmu_set_context(f->mmu, &f->context);
    put(f, 0x300000, 0x3333, 8);
    put(f, 0x200000, 0x2222, 8);
    assert_int_equal(read_at(f, 0x300000), 0x3333);
    mmu_set_a20(f->shared, false);
    assert_int_equal(read_at(f, 0x300000), 0x2222);
    assert_true(mmu_write64(f->mmu, 0x300000, 0x4444, &fault));
    assert_int_equal(get(f, 0x200000), 0x4444);
    assert_int_equal(get(f, 0x300000), 0x3333);
    assert_true(mmu_fetch_page(f->mmu, 0x300000, &rpn, &fault));
    assert_int_equal(rpn, 0x200);
    assert_true(mmu_debug_translate(f->mmu, 0x300000, &gpa));
    assert_int_equal(gpa, 0x200000);
    // A 4 MiB page and a table at an odd megabyte: both entries and frames.
    f->context = (struct mmu_context){.cr0 = CR0_PG_PE, .cr3 = 0x101000, .cr4 = CR4_PSE};
    put(f, 0x1000, PS | P, 4);
    mmu_set_context(f->mmu, &f->context);
    assert_int_equal(read_at(f, 0x300000), 0x4444);
    assert_int_equal(get(f, 0x1000) & 0xFF, PS | P | A);
    mmu_set_a20(f->shared, true);
    assert_false(mmu_read64(f->mmu, 0x300000, &gpa, &fault));
    assert_int_equal(fault.vector, EXC_PF);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rights),
        TEST(test_reserved_bits),
        TEST(test_large_pages),
        TEST(test_accessed_and_dirty),
        TEST(test_crossing),
        TEST(test_canonical_and_alignment),
        TEST(test_32bit_paging),
        TEST(test_pae_paging),
        TEST(test_aliases_of_a_new_table),
        TEST(test_many_roots),
        TEST(test_data_breakpoints),
        TEST(test_a20),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
