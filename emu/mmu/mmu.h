// SPDX-License-Identifier: MIT
// The memory management unit of one CPU: page walk, transparent TLB (ENGINE.md), accesses.
#ifndef VIV_MMU_MMU_H
#define VIV_MMU_MMU_H

#include "base/bits.h"
#include "base/types.h"
#include "bus/io_space.h"
#include "mem/physmem.h"
#include "mmu/fault.h"

#define MMU_PHYS_BITS 40  // MAXPHYADDR, CPUID 80000008H
#define TLB_INDEX_BITS 16 // direct-mapped by bits 12..27: SHRX and MOVZX in translated code
#define TLB_ENTRIES (UINT64_C(1) << TLB_INDEX_BITS)

enum tlb_geometry { TLB_FULL, TLB_TINY, TLB_OFF }; // tiny: 4 entries in use; off: nothing is cached

// Hit: linear + size-1 + neg[i] < PAGE_SIZE in unsigned arithmetic on both ends of the access; host
// = linear + add[i].
struct tlb_column {
    u64 neg[TLB_ENTRIES]; // minus the page's linear address; empty: 0, which only index 0 could hit
    u64 add[TLB_ENTRIES]; // host address minus linear address
};

#define TLB_JUMP_BITS 13
#define TLB_JUMP_ENTRIES (1u << TLB_JUMP_BITS)

// Where translated code for a linear address is (cpu/jit), for as long as a fetch there is
// translated as it was. Hit: linear + neg == 0; neg is 0 where it is empty.
struct tlb_jump {
    u64 neg;
    u64 code;
};

// Where the jump to a linear address is: bits of its CRC-32C, an instruction that leaves the flags
// alone. Only address 0 could hit what is empty, at index 0.
static inline u32 tlb_jump_index(u64 linear)
{
    u64 crc = 0;
    __asm__("crc32q %1, %0" : "+r"(crc) : "r"(linear));
    return (u32)crc & (TLB_JUMP_ENTRIES - 1);
}

// The translations of one key: root frame, paging format, CR0.WP, CR4.PSE/SMEP/SMAP, EFER.NXE, ring
// class and AC.
struct tlb_tables {
    struct tlb_column read, write, fetch;
    struct tlb_jump jumps[TLB_JUMP_ENTRIES];
};

// What decides a translation. The CPU calls mmu_set_context() whenever one of these may have
// changed.
struct mmu_context {
    u64 cr0, cr3, cr4, efer;
    u64 pdpte[4]; // PAE paging only: the registers of SDM 3A 4.4.1
    u8 cpl;
    bool ac; // RFLAGS.AC
};

// Data breakpoints (SDM 3B 17.2): explicit accesses that overlap one call on_watch with the bits of
// those hit. While there is any, data accesses are not cached.
struct mmu_watch {
    u64 linear;
    u8 size; // 0: unused
    bool write_only;
};

// A linear range of which somebody wants to know (machine/watch.h), and how he is told: of reads
// after they were done, of writes before. It changes nothing: such pages are just not cached.
struct mmu_observed {
    u64 first, last;
    bool reads, writes;
};
typedef void (*mmu_access_fn)(void *ctx, unsigned cpu, u64 linear, const void *bytes, unsigned size,
                              bool is_write);

struct mmu_shared; // per machine: physmem, MMIO space, page-table tracking, all CPUs' tables
struct mmu;

// mmio may be accessed from within any access; sync_clock is called before a device is touched, so
// that vclock is exact.
struct mmu_shared *mmu_shared_create(struct physmem *mem, struct io_space *mmio,
                                     enum tlb_geometry geometry);
void mmu_shared_destroy(struct mmu_shared *shared);

struct mmu {
    struct tlb_tables *tables;        // of the current key
    struct tlb_tables *system_tables; // supervisor, implicit access (descriptor tables, TSS); NULL
                                      // until first used
    struct physmem *mem;
    struct io_space *mmio;
    struct mmu_shared *shared;
    struct mmu_context context;
    u32 mode; // of the context, packed (mmu_internal.h)
    unsigned cpu_index;
    void (*before_device)(void *ctx); // make vclock exact, note that devices were touched
    void *before_device_ctx;
    void (*on_mmio)(void *ctx, u64 gpa, u64 value, unsigned size,
                    bool is_write); // probe; may be NULL; same ctx
    // Raised when cached translations of this CPU were dropped, so that a translated block can
    // leave. Also raised by mmu_fetch_page() when its answer must not outlive one instruction
    // (--tlb off, tables outside RAM). The CPU's loop clears it before it looks a page up, and
    // looks again before the next instruction whenever it is set.
    bool translations_dropped;
    struct mmu_watch watch[4];
    bool watching;
    u64 apic_page; // of this CPU's local APIC: no RAM, whatever lies there; see mmu_set_apic_page()
    void (*on_watch)(void *ctx, unsigned hit); // same ctx
    struct tlb_set *recent[8]; // sets by hash of the key: saves the search at ring and CR3 switches
};

struct mmu *mmu_create(struct mmu_shared *shared, unsigned cpu_index,
                       void (*before_device)(void *ctx), void *ctx);
void mmu_destroy(struct mmu *mmu);
void mmu_set_context(struct mmu *mmu, const struct mmu_context *context);

// This CPU's accesses to the page at gpa go to the MMIO space, also where there is RAM; ~0: there
// is no such page. Translations to a page that is any CPU's are never cached.
void mmu_set_apic_page(struct mmu *mmu, u64 gpa);

// Reads the four PAE pointers that cr3 names. False, pdpte unchanged: a reserved bit is set (#GP,
// SDM 3A 4.4.1).
bool mmu_load_pdptes(struct mmu *mmu, u64 cr3, u64 pdpte[4]);

// Linear addresses are canonical where 4-level paging is on (SDM 1 3.3.7.1). A hit of the TLB
// implies it.
static inline bool mmu_canonical(const struct mmu *mmu, u64 linear)
{
    return (u64)((s64)(linear << 16) >> 16) == linear || !(mmu->context.efer & 0x400);
}

// Slow paths. All return false with *fault filled and nothing committed but A/D bits as ENGINE.md
// says. size 1..64. A non-canonical byte anywhere gives #GP(0) before any walk; the caller makes it
// #SS(0) for stack-segment accesses. With CR0.AM, RFLAGS.AC and CPL 3, misaligned accesses of 2, 4
// and 8 bytes give #AC(0).
bool mmu_read_slow(struct mmu *mmu, u64 linear, void *out, unsigned size, struct fault *fault);
bool mmu_write_slow(struct mmu *mmu, u64 linear, const void *in, unsigned size,
                    struct fault *fault);
// Accesses by the CPU itself at supervisor privilege whatever CPL is (IDT, GDT, TSS, stack frames
// of a delivery).
bool mmu_system_read(struct mmu *mmu, u64 linear, void *out, unsigned size, struct fault *fault);
bool mmu_system_write(struct mmu *mmu, u64 linear, const void *in, unsigned size,
                      struct fault *fault);

// Checks a coming mmu_system_write(): A and D are set, nothing is written.
bool mmu_system_probe_write(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault);

// Like the above with the rights of another CPL than the current one (stack of a privilege change).
bool mmu_read_as(struct mmu *mmu, u8 cpl, u64 linear, void *out, unsigned size,
                 struct fault *fault);
bool mmu_write_as(struct mmu *mmu, u8 cpl, u64 linear, const void *in, unsigned size,
                  struct fault *fault);

void mmu_set_watches(struct mmu *mmu, const struct mmu_watch watches[4],
                     void (*on_watch)(void *ctx, unsigned hit));

// Checks (and sets A, D of) every page of a coming write of size bytes without writing: before
// multi-part commits.
bool mmu_probe_write(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault);
// The same for reading, without touching a device.
bool mmu_probe_read(struct mmu *mmu, u64 linear, unsigned size, struct fault *fault);

// Read-modify-write: one walk, for writing. begin reads the old value into old[]; commit stores.
// MMIO included.
struct mmu_rmw {
    u64 linear;
    u8 *host; // non-NULL: plain RAM on the fast path
    unsigned size;
    u64 gpa[2];     // slow: physical address of each page's part
    unsigned first; // bytes in the first page
};
bool mmu_rmw_begin(struct mmu *mmu, u64 linear, unsigned size, void *old, struct mmu_rmw *rmw,
                   struct fault *fault);
void mmu_rmw_commit(struct mmu *mmu, const struct mmu_rmw *rmw, const void *new_value);

// The RAM page that holds the instruction byte at linear (fetch rights checked, A set), as rpn;
// PHYSMEM_NO_RPN in *rpn if the code lies outside RAM (then mmu_fetch_bytes reads it uncached).
bool mmu_fetch_page(struct mmu *mmu, u64 linear, u32 *rpn, struct fault *fault);
// size bytes of code, all in one page.
bool mmu_fetch_bytes(struct mmu *mmu, u64 linear, u8 *out, unsigned size, struct fault *fault);

// Debugger's view: no side effects, no A/D, supervisor rights. False if not mapped.
bool mmu_debug_translate(const struct mmu *mmu, u64 linear, u64 *gpa);
// Whether a fetch would succeed, and where: the same walk with the current rights. False too where
// page tables lie outside RAM.
bool mmu_would_fetch(const struct mmu *mmu, u64 linear, u64 *gpa);

// Replaces what is observed; the ranges are copied. Every data access that overlaps one is told: of
// any privilege, the CPU's own, read-modify-writes (a read and a write), crossing a page, at
// devices. Accesses that fault are not.
void mmu_observe(struct mmu_shared *shared, const struct mmu_observed *ranges, unsigned count,
                 mmu_access_fn fn, void *ctx);

// What was remembered for linear, NULL: nothing.
static inline const u8 *mmu_find_jump(const struct mmu *mmu, u64 linear)
{
    const struct tlb_jump *jump = &mmu->tables->jumps[tlb_jump_index(linear)];
    return linear + jump->neg == 0 ? (const u8 *)(uintptr_t)jump->code : NULL;
}

// The translated code of linear is at code, while the fetch column says what it says of it now.
// Only where that holds an entry.
void mmu_remember_jump(struct mmu *mmu, u64 linear, const void *code);
// Forgets all of them: translated code is about to go.
void mmu_drop_jumps(struct mmu_shared *shared);

// Drops the write translations of one RAM page: whoever sets a flag in physmem.page_flags calls it
// right after.
void mmu_drop_page_writes(struct mmu_shared *shared, u32 rpn);

// Empties every table of every CPU (A20, memory map, APIC base). Entry-wise flushes are never
// needed: the TLB is transparent.
void mmu_flush_all(struct mmu_shared *shared);

// Address line 20 of all CPUs: passes is how it comes out of reset; else bit 20 of every physical
// address that they put out is 0 (SDM 3A 9.7.13.4, A20M#). DMA is not concerned. Empties the
// tables.
void mmu_set_a20(struct mmu_shared *shared, bool passes);

// Inline fast paths. Little-endian host and guest; memcpy makes unaligned access defined.
static inline u8 *tlb_lookup(const struct tlb_column *column, u64 linear, unsigned size)
{
    u64 i = (linear >> PAGE_SHIFT) & (TLB_ENTRIES - 1);
    u64 distance = linear + column->neg[i];
    if (LIKELY(distance <= PAGE_SIZE - size)) {
        return (u8 *)(linear + column->add[i]);
    }
    return NULL;
}

#define MMU_ACCESSORS(bits)                                                                        \
    static inline bool mmu_read##bits(struct mmu *mmu, u64 linear, u##bits *out,                   \
                                      struct fault *fault)                                         \
    {                                                                                              \
        u8 *host = tlb_lookup(&mmu->tables->read, linear, bits / 8);                               \
        if (LIKELY(host != NULL)) {                                                                \
            __builtin_memcpy(out, host, bits / 8);                                                 \
            return true;                                                                           \
        }                                                                                          \
        return mmu_read_slow(mmu, linear, out, bits / 8, fault);                                   \
    }                                                                                              \
    static inline bool mmu_write##bits(struct mmu *mmu, u64 linear, u##bits value,                 \
                                       struct fault *fault)                                        \
    {                                                                                              \
        u8 *host = tlb_lookup(&mmu->tables->write, linear, bits / 8);                              \
        if (LIKELY(host != NULL)) {                                                                \
            __builtin_memcpy(host, &value, bits / 8);                                              \
            return true;                                                                           \
        }                                                                                          \
        return mmu_write_slow(mmu, linear, &value, bits / 8, fault);                               \
    }
MMU_ACCESSORS(8)
MMU_ACCESSORS(16)
MMU_ACCESSORS(32)
MMU_ACCESSORS(64)
#undef MMU_ACCESSORS

#endif
