// SPDX-License-Identifier: MIT
// The page walk: one description per paging mode serves translating, reading and the verdict.
#include "debugger/walk.h"

#include <string.h>

#define CR0_WP (UINT64_C(1) << 16)
#define CR0_PG (UINT64_C(1) << 31)
#define CR4_PSE (UINT64_C(1) << 4)
#define CR4_PAE (UINT64_C(1) << 5)
#define CR4_SMEP (UINT64_C(1) << 20)
#define CR4_SMAP (UINT64_C(1) << 21)
#define EFER_LMA (UINT64_C(1) << 10)
#define EFER_NXE (UINT64_C(1) << 11)
#define RFLAGS_AC (UINT64_C(1) << 18)

#define ENTRY_P 1u
#define ENTRY_W 2u
#define ENTRY_U 4u
#define ENTRY_PS 0x80u
#define ENTRY_NX (UINT64_C(1) << 63)
#define ADDRESS_MASK UINT64_C(0x000FFFFFFFFFF000)

// A paging mode (SDM 3A 4.1.1).
struct paging_mode {
    const char *name;
    unsigned levels, index_bits, entry_bytes;
    const char *entry_names[4];
    bool large[4]; // an entry of this level may map a page
};

static const struct paging_mode mode_4level = {
    "4-level paging", 4, 9, 8, {"PML4E", "PDPTE", "PDE", "PTE"}, {false, true, true, true}};
static const struct paging_mode mode_pae = {"PAE paging",       3, 9, 8, {"PDPTE", "PDE", "PTE"},
                                            {false, true, true}};
static const struct paging_mode mode_32bit = {"32-bit paging", 2,           10, 4,
                                              {"PDE", "PTE"},  {true, true}};

static const struct paging_mode *mode_of(const struct walk_space *space)
{
    if (!(space->cr0 & CR0_PG)) {
        return NULL;
    }
    if (space->efer & EFER_LMA) {
        return &mode_4level;
    }
    return space->cr4 & CR4_PAE ? &mode_pae : &mode_32bit;
}

struct walk_space walk_space_of_cpu(const struct machine *m, unsigned cpu)
{
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(m, cpu), &regs);
    return (struct walk_space){machine_memory(m), regs.cr0,  regs.cr3,
                               regs.cr4,          regs.efer, regs.rflags};
}

static unsigned shift_of(const struct paging_mode *mode, unsigned level)
{
    return 12 + mode->index_bits * (mode->levels - 1 - level);
}

static u64 root_of(const struct walk_space *space, const struct paging_mode *mode)
{
    return mode == &mode_pae ? space->cr3 & 0xFFFFFFE0 : space->cr3 & ADDRESS_MASK;
}

// The page's address in an entry that maps one.
static u64 page_of(const struct paging_mode *mode, u64 entry, u64 size)
{
    if (mode == &mode_32bit && size > 0x1000) { // PSE-36: bits 13-20 are address bits 32-39
        return (entry & 0xFFC00000) | (entry >> 13 & 0xFF) << 32;
    }
    return entry & ADDRESS_MASK & ~(size - 1);
}

// The bits that must be clear in a present entry (SDM 3A tables 4-5 to 4-19).
static u64 reserved_bits(const struct walk_space *space, const struct paging_mode *mode,
                         unsigned level, bool large)
{
    if (mode == &mode_32bit) {
        return large ? UINT64_C(1) << 21 : 0;
    }
    if (mode == &mode_pae && !level) {
        return 0; // checked when CR3 is loaded
    }
    u64 top = mode == &mode_pae ? ENTRY_NX : UINT64_C(1) << 52;
    u64 reserved = top - (UINT64_C(1) << MMU_PHYS_BITS);
    if (!(space->efer & EFER_NXE)) {
        reserved |= ENTRY_NX;
    }
    if (mode == &mode_4level && !level) {
        reserved |= ENTRY_PS;
    }
    if (large) {
        reserved |= (UINT64_C(1) << shift_of(mode, level)) - (UINT64_C(1) << 13);
    }
    return reserved;
}

static void take_entry(const struct walk_space *space, const struct paging_mode *mode,
                       unsigned level, u64 table, u64 linear, struct walk_step *step)
{
    u64 in_page = linear >> shift_of(mode, level);
    step->name = mode->entry_names[level];
    step->index =
        in_page & ((UINT64_C(1) << (mode == &mode_pae && !level ? 2 : mode->index_bits)) - 1);
    step->entry_gpa = table + step->index * mode->entry_bytes;
    step->in_ram = physmem_read(space->mem, step->entry_gpa, &step->entry, mode->entry_bytes);
    step->present = step->in_ram && (step->entry & ENTRY_P);
    bool large_allowed = mode->large[level] && (mode != &mode_32bit || space->cr4 & CR4_PSE);
    step->leaf =
        step->present && (level + 1 == mode->levels || (large_allowed && (step->entry & ENTRY_PS)));
    bool large = step->leaf && level + 1 < mode->levels;
    step->reserved = step->present && (step->entry & reserved_bits(space, mode, level, large)) != 0;
}

void walk_linear(const struct walk_space *space, u64 linear, struct walk *out)
{
    const struct paging_mode *mode = mode_of(space);
    memset(out, 0, sizeof(*out));
    out->writable = out->user = out->executable = true;
    out->canonical = mode != &mode_4level || (u64)((s64)(linear << 16) >> 16) == linear;
    if (!mode) {
        out->mapped = true;
        out->gpa = linear & UINT32_MAX;
        out->page_size = UINT64_C(1) << 32;
        return;
    }
    u64 table = root_of(space, mode);
    for (unsigned level = 0; level < mode->levels && out->canonical; level++) {
        struct walk_step *step = &out->steps[out->depth++];
        take_entry(space, mode, level, table, linear, step);
        out->reserved = step->reserved;
        if (!step->present || step->reserved) {
            return;
        }
        if (mode != &mode_pae || level > 0) { // PDPTEs of PAE paging carry no rights
            out->writable &= (step->entry & ENTRY_W) != 0;
            out->user &= (step->entry & ENTRY_U) != 0;
            out->executable &= !(space->efer & EFER_NXE) || !(step->entry & ENTRY_NX);
        }
        if (step->leaf) {
            out->mapped = true;
            out->page_size = UINT64_C(1) << shift_of(mode, level);
            out->gpa = page_of(mode, step->entry, out->page_size) | (linear & (out->page_size - 1));
            return;
        }
        table = step->entry & ADDRESS_MASK;
    }
}

unsigned walk_verdict(const struct walk_space *space, const struct walk *walk, unsigned access,
                      u32 *error_code)
{
    *error_code = 0;
    if (!walk->canonical) {
        return 13;
    }
    if (!(space->cr0 & CR0_PG)) {
        return 0;
    }
    bool user = access & WALK_USER, write = access & WALK_WRITE, fetch = access & WALK_FETCH;
    bool refused;
    if (user) {
        refused = !walk->user || (write && !walk->writable) || (fetch && !walk->executable);
    } else if (fetch) {
        refused = !walk->executable || (walk->user && (space->cr4 & CR4_SMEP));
    } else {
        refused = (write && !walk->writable && (space->cr0 & CR0_WP)) ||
                  (walk->user && (space->cr4 & CR4_SMAP) && !(space->rflags & RFLAGS_AC));
    }
    if (walk->mapped && !refused) {
        return 0;
    }
    bool tells_fetch = space->cr4 & CR4_SMEP || (space->efer & EFER_NXE && space->cr4 & CR4_PAE);
    *error_code = (access & (WALK_WRITE | WALK_USER)) | (walk->mapped ? PF_PRESENT : 0) |
                  (walk->reserved ? PF_PRESENT | PF_RESERVED : 0) |
                  (tells_fetch ? access & WALK_FETCH : 0);
    return 14;
}

u64 walk_read(const struct walk_space *space, u64 linear, void *out, u64 size)
{
    u64 done = 0;
    while (done < size) {
        struct walk walk;
        walk_linear(space, linear + done, &walk);
        if (!walk.mapped) {
            break;
        }
        u64 room = PAGE_SIZE - ((linear + done) & PAGE_MASK);
        u64 part = size - done < room ? size - done : room;
        if (!physmem_read(space->mem, walk.gpa, (u8 *)out + done, part)) {
            break;
        }
        done += part;
    }
    return done;
}

bool walk_read_all(void *ctx, u64 linear, void *out, u64 size)
{
    return walk_read(ctx, linear, out, size) == size;
}

// --- as text

static void print_flags(FILE *out, const struct walk_step *step)
{
    static const struct {
        unsigned bit;
        const char *set;
    } flags[] = {{1, "W"}, {2, "U"}, {3, "PWT"}, {4, "PCD"}, {5, "A"}};
    u64 e = step->entry;
    fputs(e & ENTRY_P ? "P" : "-", out);
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (e >> flags[i].bit & 1) {
            fprintf(out, " %s", flags[i].set);
        }
    }
    if (step->leaf) {
        fprintf(out, "%s%s%s", e & 0x40 ? " D" : "",
                e & ENTRY_PS && strcmp(step->name, "PTE") ? " PS" : "", e & 0x100 ? " G" : "");
    }
    fputs(e & ENTRY_NX ? " NX" : "", out);
    fputs(step->reserved ? " RESERVED" : "", out);
}

static void print_step(FILE *out, const struct walk_step *step)
{
    fprintf(out, "  %-5s [%3llu] at 0x%09llx", step->name, (unsigned long long)step->index,
            (unsigned long long)step->entry_gpa);
    if (!step->in_ram) {
        fputs(": outside RAM\n", out);
        return;
    }
    fprintf(out, " = 0x%016llx  ", (unsigned long long)step->entry);
    if (!step->present && step->entry) {
        fputs("not present, not empty", out); // what it means is the kernel's affair
    } else if (!step->present) {
        fputs("empty", out);
    } else {
        print_flags(out, step);
    }
    fputc('\n', out);
}

static void print_indices(FILE *out, const struct paging_mode *mode, const struct walk *walk,
                          u64 linear)
{
    fprintf(out, "%#llx, %s: ", (unsigned long long)linear, mode->name);
    for (unsigned level = 0; level < mode->levels; level++) {
        u64 index = linear >> shift_of(mode, level) & ((1u << mode->index_bits) - 1);
        fprintf(out, "%llu ", (unsigned long long)index);
    }
    u64 size = walk->mapped ? walk->page_size : PAGE_SIZE;
    fprintf(out, "offset %#llx\n", (unsigned long long)(linear & (size - 1)));
}

static void print_verdict(FILE *out, const struct walk_space *space, const struct walk *walk,
                          unsigned access)
{
    u32 error_code;
    unsigned vector = walk_verdict(space, walk, access, &error_code);
    fprintf(out, "  %s %s: ", access & WALK_USER ? "user" : "supervisor",
            access & WALK_FETCH   ? "fetch"
            : access & WALK_WRITE ? "write"
                                  : "read");
    if (!vector) {
        fprintf(out, "allowed\n");
    } else if (vector == 13) {
        fprintf(out, "#GP(0), not canonical\n");
    } else {
        fprintf(out, "#PF, error code %#x (%s)\n", error_code,
                error_code & PF_RESERVED  ? "reserved bit"
                : error_code & PF_PRESENT ? "protection"
                                          : "not present");
    }
}

void walk_print(FILE *out, const struct walk_space *space, u64 linear, unsigned access)
{
    const struct paging_mode *mode = mode_of(space);
    struct walk walk;
    walk_linear(space, linear, &walk);
    if (!mode) {
        fprintf(out, "%#llx: paging is off, physical %#llx\n", (unsigned long long)linear,
                (unsigned long long)walk.gpa);
        return;
    }
    print_indices(out, mode, &walk, linear);
    fprintf(out, "  CR3 %#llx\n", (unsigned long long)space->cr3);
    for (unsigned i = 0; i < walk.depth; i++) {
        print_step(out, &walk.steps[i]);
    }
    if (walk.mapped) {
        fprintf(out, "  physical %#llx, page of %s, %s%s%s\n", (unsigned long long)walk.gpa,
                walk.page_size >> 30   ? "1 GiB"
                : walk.page_size >> 22 ? "4 MiB"
                : walk.page_size >> 21 ? "2 MiB"
                                       : "4 KiB",
                walk.user ? "user " : "supervisor ", walk.writable ? "writable" : "read-only",
                walk.executable ? ", executable" : "");
    } else {
        fprintf(out, "  %s\n", walk.canonical ? "not mapped" : "not canonical");
    }
    print_verdict(out, space, &walk, access);
}
