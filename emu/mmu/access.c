// SPDX-License-Identifier: MIT
// Accesses that the inline TLB check does not settle, and the context that selects the tables.
#include "mmu/mmu_internal.h"

#include "base/check.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_PG BIT(31)
#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)
#define CR4_SMEP BIT(20)
#define CR4_SMAP BIT(21)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

// The pages an access touches: the lower one first, the second only if it crosses.
struct span {
    u64 gpa[2];
    u32 rpn[2];
    unsigned first; // bytes in the first page
    unsigned pages;
};

struct mmu *mmu_create(struct mmu_shared *shared, unsigned cpu_index,
                       void (*before_device)(void *ctx), void *ctx)
{
    CHECK(cpu_index < MMU_CPUS_MAX && !shared->cpus[cpu_index]);
    struct mmu *mmu = xcalloc(1, sizeof(*mmu));
    mmu->shared = shared;
    mmu->mem = shared->mem;
    mmu->mmio = shared->mmio;
    mmu->cpu_index = cpu_index;
    mmu->before_device = before_device;
    mmu->before_device_ctx = ctx;
    mmu->tables = &shared->empty->tables;
    mmu->apic_page = UINT64_MAX;
    shared->cpus[cpu_index] = mmu;
    mmu_set_context(mmu, &(struct mmu_context){0});
    return mmu;
}

void mmu_destroy(struct mmu *mmu)
{
    if (mmu) {
        mmu->shared->cpus[mmu->cpu_index] = NULL;
        free(mmu);
    }
}

// Packs what matters of the context; irrelevant bits stay clear.
static u32 context_mode(const struct mmu_context *c)
{
    bool user = c->cpl == 3;
    u32 mode = user && c->ac && (c->cr0 & CR0_AM) ? MODE_ALIGN : 0;
    if (!(c->cr0 & CR0_PG)) {
        return mode | PAGING_NONE;
    }
    mode |= user ? MODE_USER : 0;
    mode |= c->cr0 & CR0_WP ? MODE_WP : 0;
    mode |= c->cr4 & CR4_SMEP ? MODE_SMEP : 0;
    if (c->cr4 & CR4_SMAP) {
        mode |= MODE_SMAP | (c->ac && !user ? MODE_AC : 0);
    }
    if (c->efer & EFER_LMA) {
        mode |= PAGING_4LEVEL;
    } else if (c->cr4 & CR4_PAE) {
        mode |= PAGING_PAE;
    } else {
        return mode | PAGING_32BIT | (c->cr4 & CR4_PSE ? MODE_PSE : 0);
    }
    return mode | (c->efer & EFER_NXE ? MODE_NXE : 0);
}

static void make_key(const struct mmu *mmu, u32 mode, struct tlb_key *key)
{
    *key = (struct tlb_key){.mode = mode};
    switch (mode & MODE_FORMAT) {
    case PAGING_NONE:
        break;
    case PAGING_PAE:
        key->root = mmu->context.cr3 & 0xFFFFFFE0u;
        memcpy(key->pdpte, mmu->context.pdpte, sizeof(key->pdpte));
        break;
    case PAGING_32BIT:
        key->root = mmu->context.cr3 & 0xFFFFF000u;
        break;
    default:
        key->root = mmu->context.cr3 & (BIT(MMU_PHYS_BITS) - PAGE_SIZE);
    }
}

static struct tlb_tables *find_tables(struct mmu *mmu, u32 mode)
{
    struct tlb_key key;
    make_key(mmu, mode, &key);
    u64 mixed = key.root >> PAGE_SHIFT;
    struct tlb_set **recent = &mmu->recent[(mixed ^ mixed >> 3 ^ mode >> 7 ^ mode >> 6) & 7];
    if (*recent && tlb_key_equal(&(*recent)->key, &key)) {
        (*recent)->last_use = ++mmu->shared->use_clock;
    } else {
        struct tlb_set *set = tlb_set_for(mmu->shared, &key);
        *recent = set == mmu->shared->empty ? NULL : set;
    }
    if (!*recent) {
        return &mmu->shared->empty->tables;
    }
    if ((*recent)->bare) {
        tlb_inherit(mmu->shared, *recent);
    }
    return &(*recent)->tables;
}

static inline u32 system_mode(u32 mode)
{
    return mode & ~(u32)(MODE_USER | MODE_AC | MODE_UNCACHED);
}

void mmu_set_context(struct mmu *mmu, const struct mmu_context *context)
{
    mmu->context = *context;
    mmu->mode = context_mode(context) | (mmu->watching ? MODE_WATCH : 0);
    mmu->system_tables = NULL;
    mmu->tables = find_tables(mmu, mmu->mode);
}

static struct tlb_tables *system_tables(struct mmu *mmu)
{
    if (!mmu->system_tables) {
        u32 mode = system_mode(mmu->mode);
        mmu->system_tables = mode == mmu->mode ? mmu->tables : find_tables(mmu, mode);
    }
    return mmu->system_tables;
}

static struct tlb_tables *tables_for(struct mmu *mmu, u32 mode)
{
    if (mode == mmu->mode) {
        return mmu->tables;
    }
    return mode == system_mode(mmu->mode) ? system_tables(mmu) : find_tables(mmu, mode);
}

void mmu_set_watches(struct mmu *mmu, const struct mmu_watch watches[4],
                     void (*on_watch)(void *ctx, unsigned hit))
{
    memcpy(mmu->watch, watches, sizeof(mmu->watch));
    mmu->watching = false;
    for (unsigned i = 0; i < 4; i++) {
        mmu->watching |= watches[i].size != 0;
    }
    mmu->on_watch = on_watch;
    struct mmu_context context = mmu->context;
    mmu_set_context(mmu, &context);
}

static void check_watches(struct mmu *mmu, u64 linear, unsigned size, bool is_write)
{
    unsigned hit = 0;
    for (unsigned i = 0; i < 4; i++) {
        const struct mmu_watch *w = &mmu->watch[i];
        bool overlaps = linear < w->linear + w->size && w->linear < linear + size;
        if (w->size && overlaps && (is_write || !w->write_only)) {
            hit |= 1u << i;
        }
    }
    if (hit) {
        mmu->on_watch(mmu->before_device_ctx, hit);
    }
}

static bool observed_part(const struct mmu_shared *shared, u64 first, u64 size, bool is_write)
{
    for (unsigned i = 0; i < shared->observed_count; i++) {
        const struct mmu_observed *o = &shared->observed[i];
        if ((is_write ? o->writes : o->reads) && o->first <= first + size - 1 && first <= o->last) {
            return true;
        }
    }
    return false;
}

// Tells of an access that has passed its checks. first: bytes in its lower page.
static void observe(struct mmu *mmu, u64 linear, unsigned first, unsigned size, const void *bytes,
                    bool is_write)
{
    const struct mmu_shared *shared = mmu->shared;
    u64 second = linear + first;
    if (!(mmu->context.efer & EFER_LMA)) {
        second &= 0xFFFFFFFFu;
    }
    if (observed_part(shared, linear, first, is_write) ||
        (first < size && observed_part(shared, second, size - first, is_write))) {
        mmu->before_device(mmu->before_device_ctx);
        shared->on_access(shared->on_access_ctx, mmu->cpu_index, linear, bytes, size, is_write);
    }
}

static enum tlb_column_kind column_kind(enum mmu_access access)
{
    return access == ACCESS_READ    ? COLUMN_READ
           : access == ACCESS_WRITE ? COLUMN_WRITE
                                    : COLUMN_FETCH;
}

// Caches what a successful walk found, if it may be cached.
static void cache_walk(struct mmu *mmu, u32 mode, u64 linear, enum mmu_access access,
                       const struct walk *walk)
{
    struct mmu_shared *shared = mmu->shared;
    struct tlb_tables *tables = tables_for(mmu, mode);
    if (!walk->cacheable || tables == &shared->empty->tables) {
        return;
    }
    track_walk(shared, walk, mode, ((struct tlb_set *)tables)->key.root, linear);
    if (access != ACCESS_WRITE) {
        tlb_fill(shared, tables, column_kind(access), linear, walk->rpn);
        return;
    }
    tlb_fill(shared, tables, COLUMN_READ, linear, walk->rpn);
    if (!shared->mem->page_flags[walk->rpn]) {
        tlb_fill(shared, tables, COLUMN_WRITE, linear, walk->rpn);
    }
}

static bool translate(struct mmu *mmu, u32 mode, u64 linear, enum mmu_access access, u64 *gpa,
                      u32 *rpn, struct fault *fault)
{
    struct tlb_column *column = tlb_column_of(tables_for(mmu, mode), column_kind(access));
    const u8 *host = tlb_lookup(column, linear, 1);
    if (host) {
        *rpn = (u32)((u64)(host - mmu->mem->ram) >> PAGE_SHIFT);
        *gpa = physmem_gpa(mmu->mem, *rpn) | (linear & PAGE_MASK);
        return true;
    }
    struct walk walk;
    if (!mmu_walk(mmu, mode, linear, access, &walk, fault)) {
        return false;
    }
    cache_walk(mmu, mode, linear, access, &walk);
    *gpa = walk.gpa;
    *rpn = walk.rpn;
    return true;
}

static bool check_address(const struct mmu *mmu, u32 mode, u64 linear, unsigned size,
                          struct fault *fault)
{
    if (!mmu_canonical(mmu, linear) || !mmu_canonical(mmu, linear + size - 1)) {
        *fault = (struct fault){EXC_GP, true, 0, 0};
        return false;
    }
    if ((mode & MODE_ALIGN) && (size == 2 || size == 4 || size == 8) && (linear & (size - 1))) {
        *fault = (struct fault){EXC_AC, true, 0, 0};
        return false;
    }
    return true;
}

static bool translate_span(struct mmu *mmu, u32 mode, u64 linear, unsigned size,
                           enum mmu_access access, struct span *span, struct fault *fault)
{
    CHECK(size && size <= PAGE_SIZE);
    if (!check_address(mmu, mode, linear, size, fault)) {
        return false;
    }
    u64 room = PAGE_SIZE - (linear & PAGE_MASK);
    span->first = size < room ? size : (unsigned)room;
    span->pages = size > room ? 2 : 1;
    if (!translate(mmu, mode, linear, access, &span->gpa[0], &span->rpn[0], fault)) {
        return false;
    }
    if (span->pages == 1) {
        return true;
    }
    u64 second = linear + room;
    if (!(mmu->context.efer & EFER_LMA)) {
        second &= 0xFFFFFFFFu;
    }
    return translate(mmu, mode, second, access, &span->gpa[1], &span->rpn[1], fault);
}

// Largest naturally aligned piece of a device access.
static unsigned mmio_piece(u64 gpa, unsigned size)
{
    unsigned piece = 8;
    while (piece > size || (gpa & (piece - 1))) {
        piece /= 2;
    }
    return piece;
}

static void mmio_read(struct mmu *mmu, u64 gpa, u8 *out, unsigned size)
{
    for (unsigned piece; size; gpa += piece, out += piece, size -= piece) {
        piece = size == 2 || size == 4 || size == 8 ? size : mmio_piece(gpa, size);
        mmu->before_device(mmu->before_device_ctx);
        u64 value = io_space_read(mmu->mmio, gpa, piece);
        memcpy(out, &value, piece);
        if (mmu->on_mmio) {
            mmu->on_mmio(mmu->before_device_ctx, gpa, value, piece, false);
        }
    }
}

static void mmio_write(struct mmu *mmu, u64 gpa, const u8 *in, unsigned size)
{
    for (unsigned piece; size; gpa += piece, in += piece, size -= piece) {
        piece = size == 2 || size == 4 || size == 8 ? size : mmio_piece(gpa, size);
        u64 value = 0;
        memcpy(&value, in, piece);
        mmu->before_device(mmu->before_device_ctx);
        io_space_write(mmu->mmio, gpa, value, piece);
        if (mmu->on_mmio) {
            mmu->on_mmio(mmu->before_device_ctx, gpa, value, piece, true);
        }
    }
}

static void read_part(struct mmu *mmu, u64 gpa, u32 rpn, u8 *out, unsigned size)
{
    if (rpn != PHYSMEM_NO_RPN) {
        memcpy(out, physmem_page(mmu->mem, rpn) + (gpa & PAGE_MASK), size);
    } else {
        mmio_read(mmu, gpa, out, size);
    }
}

static void write_part(struct mmu *mmu, u64 gpa, u32 rpn, const u8 *in, unsigned size)
{
    if (rpn != PHYSMEM_NO_RPN) {
        mmu->mem->writer = PHYSMEM_BY_CPU;
        physmem_write_page(mmu->mem, rpn, (u32)(gpa & PAGE_MASK), in, size);
        mmu->mem->writer = PHYSMEM_BY_DEVICE;
    } else {
        mmio_write(mmu, gpa, in, size);
    }
}

static bool read_in_mode(struct mmu *mmu, u32 mode, u64 linear, void *out, unsigned size,
                         struct fault *fault)
{
    struct span span;
    if (!translate_span(mmu, mode, linear, size, ACCESS_READ, &span, fault)) {
        return false;
    }
    if (UNLIKELY(mode & MODE_WATCH)) {
        check_watches(mmu, linear, size, false);
    }
    read_part(mmu, span.gpa[0], span.rpn[0], out, span.first);
    if (span.pages == 2) {
        read_part(mmu, span.gpa[1], span.rpn[1], (u8 *)out + span.first, size - span.first);
    }
    if (UNLIKELY(mmu->shared->observed_count)) {
        observe(mmu, linear, span.first, size, out, false);
    }
    return true;
}

static bool write_in_mode(struct mmu *mmu, u32 mode, u64 linear, const void *in, unsigned size,
                          struct fault *fault)
{
    struct span span;
    if (!translate_span(mmu, mode, linear, size, ACCESS_WRITE, &span, fault)) {
        return false;
    }
    if (UNLIKELY(mode & MODE_WATCH)) {
        check_watches(mmu, linear, size, true);
    }
    if (UNLIKELY(mmu->shared->observed_count)) {
        observe(mmu, linear, span.first, size, in, true);
    }
    write_part(mmu, span.gpa[0], span.rpn[0], in, span.first);
    if (span.pages == 2) {
        write_part(mmu, span.gpa[1], span.rpn[1], (const u8 *)in + span.first, size - span.first);
    }
    return true;
}

bool mmu_read_slow(struct mmu *mmu, u64 linear, void *out, unsigned size, struct fault *fault)
{
    return read_in_mode(mmu, mmu->mode, linear, out, size, fault);
}

bool mmu_write_slow(struct mmu *mmu, u64 linear, const void *in, unsigned size, struct fault *fault)
{
    return write_in_mode(mmu, mmu->mode, linear, in, size, fault);
}

bool mmu_system_read(struct mmu *mmu, u64 linear, void *out, unsigned size, struct fault *fault)
{
    const u8 *host = tlb_lookup(&system_tables(mmu)->read, linear, size);
    if (LIKELY(host != NULL)) {
        memcpy(out, host, size);
        return true;
    }
    return read_in_mode(mmu, system_mode(mmu->mode), linear, out, size, fault);
}

bool mmu_system_write(struct mmu *mmu, u64 linear, const void *in, unsigned size,
                      struct fault *fault)
{
    u8 *host = tlb_lookup(&system_tables(mmu)->write, linear, size);
    if (LIKELY(host != NULL)) {
        memcpy(host, in, size);
        return true;
    }
    return write_in_mode(mmu, system_mode(mmu->mode), linear, in, size, fault);
}

bool mmu_system_probe_write(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault)
{
    struct span span;
    return translate_span(mmu, system_mode(mmu->mode), linear, size, ACCESS_WRITE, &span, fault);
}

static u32 mode_as(const struct mmu *mmu, u8 cpl)
{
    if (cpl == mmu->context.cpl) {
        return mmu->mode;
    }
    struct mmu_context context = mmu->context;
    context.cpl = cpl;
    return context_mode(&context) | (mmu->mode & MODE_WATCH);
}

bool mmu_read_as(struct mmu *mmu, u8 cpl, u64 linear, void *out, unsigned size, struct fault *fault)
{
    return read_in_mode(mmu, mode_as(mmu, cpl), linear, out, size, fault);
}

bool mmu_write_as(struct mmu *mmu, u8 cpl, u64 linear, const void *in, unsigned size,
                  struct fault *fault)
{
    return write_in_mode(mmu, mode_as(mmu, cpl), linear, in, size, fault);
}

bool mmu_probe_write(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault)
{
    struct span span;
    return tlb_lookup(&mmu->tables->write, linear, size) ||
           translate_span(mmu, mmu->mode, linear, size, ACCESS_WRITE, &span, fault);
}

bool mmu_probe_read(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault)
{
    struct span span;
    return tlb_lookup(&mmu->tables->read, linear, size) ||
           translate_span(mmu, mmu->mode, linear, size, ACCESS_READ, &span, fault);
}

bool mmu_rmw_begin(struct mmu *mmu, u64 linear, unsigned size, void *old, struct mmu_rmw *rmw,
                   struct fault *fault)
{
    rmw->linear = linear;
    rmw->size = size;
    rmw->host = tlb_lookup(&mmu->tables->write, linear, size);
    if (LIKELY(rmw->host != NULL)) {
        memcpy(old, rmw->host, size);
        return true;
    }
    struct span span;
    if (!translate_span(mmu, mmu->mode, linear, size, ACCESS_WRITE, &span, fault)) {
        return false;
    }
    if (UNLIKELY(mmu->mode & MODE_WATCH)) {
        check_watches(mmu, linear, size, true);
    }
    rmw->first = span.first;
    read_part(mmu, span.gpa[0], span.rpn[0], old, span.first);
    rmw->gpa[0] = span.gpa[0];
    if (span.pages == 2) {
        rmw->gpa[1] = span.gpa[1];
        read_part(mmu, span.gpa[1], span.rpn[1], (u8 *)old + span.first, size - span.first);
    }
    if (UNLIKELY(mmu->shared->observed_count)) {
        observe(mmu, linear, span.first, size, old, false);
    }
    return true;
}

void mmu_rmw_commit(struct mmu *mmu, const struct mmu_rmw *rmw, const void *new_value)
{
    if (LIKELY(rmw->host != NULL)) {
        memcpy(rmw->host, new_value, rmw->size);
        return;
    }
    if (UNLIKELY(mmu->shared->observed_count)) {
        observe(mmu, rmw->linear, rmw->first, rmw->size, new_value, true);
    }
    write_part(mmu, rmw->gpa[0], mmu_rpn(mmu, rmw->gpa[0]), new_value, rmw->first);
    if (rmw->first < rmw->size) {
        write_part(mmu, rmw->gpa[1], mmu_rpn(mmu, rmw->gpa[1]), (const u8 *)new_value + rmw->first,
                   rmw->size - rmw->first);
    }
}

bool mmu_fetch_page(struct mmu *mmu, u64 linear, u32 *rpn, struct fault *fault)
{
    const u8 *host = tlb_lookup(&mmu->tables->fetch, linear, 1);
    if (LIKELY(host != NULL)) {
        *rpn = (u32)((u64)(host - mmu->mem->ram) >> PAGE_SHIFT);
        return true;
    }
    // A mode that only watches data fetches like any other.
    u32 mode = mmu->mode & ~(u32)MODE_UNCACHED;
    struct walk walk;
    if (!check_address(mmu, mode, linear, 1, fault) ||
        !mmu_walk(mmu, mode, linear, ACCESS_FETCH, &walk, fault)) {
        return false;
    }
    if (mmu->tables == &mmu->shared->empty->tables || !walk.cacheable) {
        mmu->translations_dropped = true;
    } else {
        cache_walk(mmu, mode, linear, ACCESS_FETCH, &walk);
    }
    *rpn = walk.rpn;
    return true;
}

bool mmu_fetch_bytes(struct mmu *mmu, u64 linear, u8 *out, unsigned size, struct fault *fault)
{
    CHECK((linear & PAGE_MASK) + size <= PAGE_SIZE);
    u64 gpa;
    u32 rpn;
    if (!check_address(mmu, mmu->mode & ~(u32)MODE_ALIGN, linear, size, fault) ||
        !translate(mmu, mmu->mode, linear, ACCESS_FETCH, &gpa, &rpn, fault)) {
        return false;
    }
    read_part(mmu, gpa, rpn, out, size);
    return true;
}
