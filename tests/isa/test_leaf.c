// SPDX-License-Identifier: MIT
// A and D of the leaf entries, on the host's silicon and here: which pages an instruction marks that reads, writes, writes back
// what it read, or faults in the second of two pages. On the host, MADV_FREE clears D, /proc/self/clear_refs A, and
// /proc/self/smaps shows them (Private_Dirty, Referenced) of each mapping.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/check.h"
#include "tests/isa/bare.h"
#include "tests/isa/generate.h"

enum { PTE_A = 0x20, PTE_D = 0x40 };
enum second { SECOND_WRITABLE, SECOND_READ_ONLY, SECOND_ABSENT, SECOND_COUNT };

// Instructions on (%rbx) or as said; RCX = 1, RAX = 0, RDX = 0; RSI = RBX, RDI = the other writable page; flags clear.
static const struct {
    const char *name, *code;
    unsigned size;  // of the code
    unsigned bytes; // of the operand
    bool vendors_differ;
} cases[] = {
    {"mov load", "\x48\x8B\x03", 3, 8, false},
    {"mov store", "\x48\x89\x03", 3, 8, false},
    {"add", "\x48\x01\x0B", 3, 8, false},
    {"lock add", "\xF0\x48\x01\x0B", 4, 8, false},
    {"cmp", "\x48\x39\x0B", 3, 8, false},
    {"test", "\x48\x85\x0B", 3, 8, false},
    {"or 0", "\x48\x09\x03", 3, 8, false},
    {"not", "\x48\xF7\x13", 3, 8, false},
    {"xchg", "\x48\x87\x03", 3, 8, false},
    {"xadd", "\x48\x0F\xC1\x0B", 4, 8, false},
    {"cmpxchg, unequal", "\x48\x0F\xB1\x0B", 4, 8, false},
    {"cmpxchg8b, unequal", "\x0F\xC7\x0B", 3, 8, false},
    {"bt", "\x48\x0F\xBA\x23\x00", 5, 8, false},
    {"bts, set already", "\x48\x0F\xBA\x2B\x00", 5, 8, false},
    {"shl by 1", "\x48\xD1\x23", 3, 8, false},
    {"shl by cl = 1", "\x48\xD3\x23", 3, 8, false},
    {"shl by 0", "\x48\xC1\x23\x00", 4, 8, true},
    {"cmovz, not taken", "\x48\x0F\x44\x03", 4, 8, false},
    {"setz", "\x0F\x94\x03", 3, 1, false},
    {"lea", "\x48\x8D\x03", 3, 8, false},
    {"push", "\xFF\x33", 2, 8, false},
    {"movs from", "\x48\xA5", 2, 8, false},
    {"lods", "\x48\xAD", 2, 8, false},
    {"movups store", "\x0F\x11\x03", 3, 16, false},
    {"movups load", "\x0F\x10\x03", 3, 16, false},
    {"movbe store", "\x48\x0F\x38\xF1\x03", 5, 8, false},
    {"clflush", "\x0F\xAE\x3B", 3, 1, true},
    {"fninit, fld", "\xDB\xE3\xDD\x03", 4, 8, false},
    {"fnstcw", "\xD9\x3B", 2, 2, false},
    {"fnstenv", "\xD9\x33", 2, 28, true},
};

struct marks {
    u8 page[2]; // PTE_A, PTE_D of the operand's pages
    int vector;
};

static char *read_smaps(void)
{
    static char text[1 << 20];
    int fd = open("/proc/self/smaps", O_RDONLY);
    size_t size = 0;
    ssize_t got;
    while (fd >= 0 && (got = read(fd, text + size, sizeof(text) - 1 - size)) > 0) {
        size += (size_t)got;
    }
    text[size] = 0;
    close(fd);
    return text;
}

// The mapping's field in KiB; -1: there is none.
static long smaps_field(const char *text, u64 start, const char *field)
{
    char head[32];
    snprintf(head, sizeof(head), "%08lx-", start);
    const char *at = strstr(text, head);
    at = at ? strstr(at, field) : NULL;
    return at ? strtol(at + strlen(field), NULL, 10) : -1;
}

static u8 host_marks(const char *text, u64 page)
{
    return (u8)((smaps_field(text, page, "Referenced:") > 0 ? PTE_A : 0) |
                (smaps_field(text, page, "Private_Dirty:") > 0 ? PTE_D : 0));
}

static void clear_host(void)
{
    for (unsigned i = 0; i < 3; i++) {
        void *page = host_data() + i * 0x1000;
        CHECK(mprotect(page, 0x1000, PROT_READ | PROT_WRITE) == 0);
        *(volatile u8 *)page = 1;
        CHECK(madvise(page, 0x1000, MADV_FREE) == 0);
    }
    int fd = open("/proc/self/clear_refs", O_WRONLY);
    CHECK(fd >= 0 && write(fd, "1", 1) == 1);
    close(fd);
}

static struct host_state registers(u64 operand)
{
    struct host_state s = {.gpr = {[1] = 1, [3] = operand, [4] = HOST_CODE + 0x2F00, [6] = operand,
                                   [7] = operand - HOST_DATA < 0x1000 ? HOST_DATA + 0x1800 : HOST_DATA + 0x100},
                           .rflags = 2};
    return s;
}

static struct marks on_host(unsigned n, u64 operand, enum second second)
{
    struct marks m;
    clear_host();
    int rights[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE};
    CHECK(mprotect(host_data() + 0x2000, 0x1000, rights[second]) == 0);
    struct host_state s = registers(operand);
    host_run((const u8 *)cases[n].code, cases[n].size, HOST_INSN, false, &s);
    const char *text = read_smaps();
    u64 first = operand & ~UINT64_C(0xFFF);
    m.page[0] = host_marks(text, first);
    m.page[1] = second == SECOND_ABSENT ? 0 : host_marks(text, first + 0x1000);
    m.vector = s.vector;
    return m;
}

static u8 guest_marks(const struct bare *b, u64 page)
{
    u64 entry;
    memcpy(&entry, b->mem->ram + BARE_TABLES + 0x3000 + (page >> PAGE_SHIFT) * 8, 8);
    return entry & (PTE_A | PTE_D);
}

static struct marks on_viv(struct bare *b, unsigned n, u64 operand, enum second second)
{
    static const u8 stop[2] = {0xEB, 0xFE};
    static const u64 bits[] = {BARE_PAGE_WRITE, BARE_PAGE_READ, BARE_PAGE_ABSENT};
    struct marks m;
    for (unsigned i = 0; i < 3; i++) {
        bare_set_page(b, HOST_DATA + i * 0x1000, i < 2 ? BARE_PAGE_WRITE : bits[second]);
        memset(b->mem->ram + HOST_DATA + i * 0x1000, 1, 0x1000);
    }
    physmem_write(b->mem, HOST_INSN, cases[n].code, cases[n].size);
    physmem_write(b->mem, HOST_INSN + cases[n].size, stop, 2);
    struct cpu_regs r = bare_user_regs(b, HOST_INSN);
    struct host_state s = registers(operand);
    memcpy(r.gpr, s.gpr, sizeof(s.gpr));
    cpu_set_regs(b->cpu, &r);
    cpu_run(b->cpu, 2);
    u64 first = operand & ~UINT64_C(0xFFF);
    m.page[0] = guest_marks(b, first);
    m.page[1] = guest_marks(b, first + 0x1000);
    m.vector = bare_exception(b).vector;
    return m;
}

static const char *marks_text(u8 marks)
{
    return marks == (PTE_A | PTE_D) ? "AD" : marks == PTE_A ? "A-" : marks == PTE_D ? "-D" : "--";
}

static bool try_case(struct bare *b, unsigned n, u64 operand, enum second second)
{
    struct marks want = {0}, got = on_viv(b, n, operand, second);
    for (unsigned i = 0; i < 3; i++) { // Linux may clear A by itself, to find out what is in use
        want = on_host(n, operand, second);
        if (memcmp(&want.page, &got.page, 2) == 0 && want.vector == got.vector) {
            return true;
        }
    }
    static const char *const names[] = {"writable", "read-only", "absent"};
    printf("%s%s, operand at +%lx, then %s: host %s %s vector %d, viv %s %s vector %d\n",
           cases[n].vendors_differ ? "# " : "", cases[n].name, operand - HOST_DATA, names[second], marks_text(want.page[0]),
           marks_text(want.page[1]), want.vector, marks_text(got.page[0]), marks_text(got.page[1]), got.vector);
    return cases[n].vendors_differ;
}

int main(void)
{
    unsigned failed = 0, tried = 0;
    if (!host_init() || madvise(host_data() + 0x1000, 0x1000, MADV_DONTFORK) != 0 ||
        madvise(host_data(), 0x1000, MADV_DONTDUMP) != 0) { // mappings of one page each
        printf("skipped: the test's addresses are taken in this process\n");
        return 77;
    }
    clear_host();
    const char *text = read_smaps();
    if (smaps_field(text, HOST_DATA, "Referenced:") != 0 || smaps_field(text, HOST_DATA + 0x1000, "Private_Dirty:") != 0) {
        printf("skipped: this kernel does not show A and D\n");
        return 77;
    }
    struct bare *b = bare_create(TLB_FULL);
    for (unsigned n = 0; n < ARRAY_LEN(cases); n++) {
        failed += !try_case(b, n, HOST_DATA + 0x200, SECOND_WRITABLE);
        tried++;
        for (unsigned second = 0; second < SECOND_COUNT && cases[n].bytes > 1; second++) {
            failed += !try_case(b, n, HOST_DATA + 0x2000 - cases[n].bytes / 2, (enum second)second);
            tried++;
        }
    }
    printf("%u cases of accessed and dirty, %u differ\n", tried, failed);
    bare_destroy(b);
    return failed ? 1 : 0;
}
