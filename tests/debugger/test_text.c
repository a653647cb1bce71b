// SPDX-License-Identifier: MIT
// test_text FERN ROOTFS: page walks say what the MMU does, and the listings of code, descriptor
// tables, registers and devices say what is there.
#include "boot.h"

#include "cpu/state.h"
#include "debugger/backtrace.h"
#include "debugger/disas.h"
#include "debugger/tables.h"

#include <stdlib.h>
#include <string.h>

static u64 random_state = 88172645463325252u;
static u64 random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// --- walks

struct area {
    u64 begin, size;
};

static u64 random_address(const struct area *areas, unsigned count)
{
    const struct area *a = &areas[random_number() % count];
    switch (random_number() % 8) {
    case 0:
        return random_number(); // mostly not canonical
    case 1:
        return a->begin ^ (UINT64_C(1) << (random_number() % 48));
    default:
        return a->begin + random_number() % a->size;
    }
}

// One access by the MMU itself; a write stores the byte that is there. The vector, 0 if it may.
static unsigned mmu_says(struct mmu *mmu, u64 linear, unsigned access, u8 byte, u32 *error_code)
{
    struct fault fault = {0};
    u8 cpl = access & WALK_USER ? 3 : 0;
    bool done = access & WALK_WRITE ? mmu_write_as(mmu, cpl, linear, &byte, 1, &fault)
                                    : mmu_read_as(mmu, cpl, linear, &byte, 1, &fault);
    *error_code = done ? 0 : fault.error_code;
    return done ? 0 : fault.vector;
}

static void walks(struct boot *b, struct guest *g)
{
    struct guest_task task;
    struct guest_area list[32];
    struct area areas[64] = {{UINT64_C(0xffffffff80200000), 0x100000}};
    struct walk_space space = walk_space_of_cpu(b->m, 0);
    struct cpu *cpu = machine_cpu(b->m, 0);
    unsigned count = 1, wrong = 0, refused = 0, allowed = 0;
    guest_current(g, 0, &task);
    areas[count++] = (struct area){task.kernel_stack - 4096, 6 * 4096};
    areas[count++] = (struct area){task.address, 4096};
    unsigned all = guest_areas(g, &task, list, 32);
    for (unsigned i = 0; i < all && i < 32; i++) {
        areas[count++] = (struct area){list[i].begin, list[i].end - list[i].begin + 4096};
    }
    for (unsigned i = 0; i < 100000; i++) {
        u64 linear = random_address(areas, count);
        struct walk walk;
        u8 ours = 0, theirs = 0;
        unsigned access =
            (random_number() & 1 ? WALK_WRITE : 0) | (random_number() & 1 ? WALK_USER : 0);
        u32 our_code, their_code;
        walk_linear(&space, linear, &walk);
        bool read = walk_read(&space, linear, &ours, 1) == 1;
        bool same = read == cpu_debug_read(cpu, linear, &theirs, 1) && (!read || ours == theirs);
        if (walk.mapped && !read) {
            continue; // a device: not to be touched here
        }
        unsigned vector = walk_verdict(&space, &walk, access, &our_code);
        same &= vector == mmu_says(cpu->mmu, linear, access, ours, &their_code) &&
                our_code == their_code;
        refused += vector != 0;
        allowed += vector == 0;
        if (!same && wrong++ < 3) {
            printf("# step %llu, MMU: error code %#x\n", (unsigned long long)boot_step(b),
                   their_code);
            fflush(stdout);
            walk_print(stdout, &space, linear, access);
        }
    }
    tap(!wrong && refused > 10000 && allowed > 10000,
        "%u walks allow and %u refuse what the MMU does, %u differ", allowed, refused, wrong);
}

// Compares walk and MMU for one access in tables that were changed. -1: differ, else the error
// code.
static int compare_once(const struct walk_space *space, struct mmu *mmu, u64 linear)
{
    struct walk walk;
    u8 byte = 0;
    u32 our_code, their_code;
    unsigned access = random_number() & (WALK_WRITE | WALK_USER);
    walk_linear(space, linear, &walk);
    if (walk.mapped && walk_read(space, linear, &byte, 1) != 1) {
        return 0; // a device: not to be touched here
    }
    unsigned vector = walk_verdict(space, &walk, access, &our_code);
    if (vector != mmu_says(mmu, linear, access, byte, &their_code) || our_code != their_code) {
        printf("# MMU: error code %#x\n", their_code);
        fflush(stdout);
        walk_print(stdout, space, linear, access);
        return -1;
    }
    return (int)our_code;
}

// Flips each bit but those of the address in entries of all levels.
static void damaged_tables(struct boot *b)
{
    struct walk_space space = walk_space_of_cpu(b->m, 0);
    struct physmem *mem = machine_memory(b->m);
    struct cpu *cpu = machine_cpu(b->m, 0);
    unsigned wrong = 0, reserved = 0, tried = 0;
    struct cpu_regs regs;
    cpu_get_regs(cpu, &regs);
    for (unsigned i = 0; i < 8000; i++) {
        // The program's code, and the kernel's direct map with its large pages.
        u64 linear = i & 1 ? regs.rip : UINT64_C(0xffff888000000000) + random_number() % (64 << 20);
        u64 bit = UINT64_C(1) << random_number() % 64;
        struct walk walk;
        walk_linear(&space, linear, &walk);
        const struct walk_step *step = &walk.steps[random_number() % walk.depth];
        u64 damaged = step->entry ^ bit;
        if ((bit & UINT64_C(0xFFFFFFF000)) &&
            !(step->leaf && walk.page_size > PAGE_SIZE && bit < 1 << 21)) {
            continue;
        }
        physmem_write(mem, step->entry_gpa, &damaged, 8);
        int code = compare_once(&space, cpu->mmu, linear);
        physmem_write(mem, step->entry_gpa, &step->entry, 8);
        tried++;
        wrong += code < 0;
        reserved += code > 0 && (code & PF_RESERVED);
    }
    tap(!wrong && reserved > 100, "%u walks of damaged tables, %u by reserved bits, %u differ",
        tried, reserved, wrong);
}

// --- listings

static char *captured;
static FILE *capture(void)
{
    static size_t size;
    return open_memstream(&captured, &size);
}

// Whether the listing has all these words, in this order.
static bool has(FILE *out, unsigned count, const char *const *words)
{
    fclose(out);
    const char *at = captured;
    for (unsigned i = 0; i < count && at; i++) {
        at = strstr(at, words[i]);
        if (!at) {
            printf("# no \"%s\" in:\n%.3000s\n", words[i], captured);
        }
    }
    free(captured);
    return at != NULL;
}
#define HAS(out, ...)                                                                              \
    has(out, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void listings(struct boot *b)
{
    FILE *out = capture();
    tables_idt(out, b->m, 0, b->symbols);
    tap(HAS(out, "   9-17 0x09-11 interrupt DPL 0 IST 0  0010:", "vector_stubs+0x90, 0x10 apart",
            "19-255"),
        "IDT");
    out = capture();
    tables_gdt(out, b->m, 0);
    tap(HAS(out, "0010  code readable 64-bit DPL 0", "0018  data writable",
            "0030  code readable 64-bit DPL 3", "TSS busy"),
        "GDT");
    out = capture();
    tables_tss(out, b->m, 0);
    struct guest *g = guest_create(b->m, b->symbols);
    struct guest_task task;
    char rsp0[32];
    guest_current(g, 0, &task);
    snprintf(rsp0, sizeof(rsp0), "RSP0 %#018llx", (unsigned long long)task.kernel_stack + 16384);
    tap(HAS(out, "selector 0040", rsp0, "IST1 0xffff", "I/O map base"),
        "TSS with the task's stack");
    out = capture();
    tables_msrs(out, b->m, 0, b->symbols);
    tap(HAS(out, "EFER", "SCE LME LMA NXE", "SYSCALL CS 0010, SYSRET CS 0033", "syscall_entry",
            "KERNEL_GS_BASE", "PAT"),
        "MSRs");
    out = capture();
    tables_control(out, b->m, 0);
    tap(HAS(out, "CR0", "PE", "WP", "PG", "CR4", "PAE", "SMEP SMAP"), "control registers");
    out = capture();
    tables_cpu_fields(out, b->m, 0);
    tap(HAS(out, "gpr[0]", "rip", "mtrr_def_type", "halted"), "every field of the CPU");
    out = capture();
    tables_devices(out, b->m);
    tap(HAS(out, "uart16550", "/"), "devices");
    out = capture();
    bool found = tables_device(out, b->m, "uart16550");
    tap(HAS(out, "uart16550 /", "ier") && found && !tables_device(stderr, b->m, "no such"),
        "fields of a device");
    guest_destroy(g);
}

// --- code

static bool read_kernel(void *ctx, u64 linear, void *out, u64 size)
{
    return walk_read(ctx, linear, out, size) == size;
}

static void code(struct boot *b)
{
    struct walk_space space = walk_space_of_cpu(b->m, 0);
    struct disas *d = disas_create(b->symbols);
    u64 entry = 0, begin = 0, end = 0;
    symbols_address(b->symbols, "syscall_entry", &entry);
    FILE *out = capture();
    disas_print(out, d, 64, read_kernel, &space, entry, 40, entry, DISAS_SOURCE | DISAS_BYTES);
    tap(HAS(out, "syscall_entry:", "entry.S:", "=> 0xffffffff8", "0f01f8", "swapgs", "push", "call",
            "<syscall_dispatch>"),
        "the system call entry with its source");
    out = capture();
    u64 next = disas_print(out, d, 64, read_kernel, &space, 0x10, 3, 0, 0);
    tap(HAS(out, "not mapped") && next == 0x10, "code that is not there");
    symbols_address(b->symbols, "text_start", &begin);
    symbols_address(b->symbols, "text_end", &end);
    unsigned wrong = 0, tried = 0, calls = 0, returns = 0;
    for (u64 at = entry; at < end && tried < 20000;) {
        u8 bytes[15];
        struct disas_insn insn;
        read_kernel(&space, at, bytes, sizeof(bytes));
        disas_insn(d, 64, at, bytes, sizeof(bytes), &insn);
        calls += insn.kind == DISAS_CALL;
        returns += insn.kind == DISAS_RETURN;
        if (tried++ % 7 == 0) {
            u64 from = disas_back(d, 64, read_kernel, &space, at, 5), seen = 0;
            out = fopen("/dev/null", "w");
            for (unsigned n = 0; n < 5 && from < at; n++) {
                from = disas_print(out, d, 64, read_kernel, &space, from, 1, 0, 0);
                seen++;
            }
            fclose(out);
            wrong += from != at;
        }
        at += insn.length;
    }
    tap(!wrong && calls > 500 && returns > 200,
        "from %u instructions (%u calls, %u returns) five back lead to them", tried, calls,
        returns);
    disas_destroy(d);
}

int main(int argc, char **argv)
{
    struct boot b;
    if (argc != 3) {
        return 2;
    }
    boot_open(&b, argv[1], argv[2], "cat /proc/self/maps; ls -l / ; sleep 9");
    struct guest *g = guest_create(b.m, b.symbols);
    struct cpu_regs regs = {0};
    struct guest_task task = {0};
    while ((b.output_size < 600 || regs.cpl != 3 || !guest_current(g, 0, &task) || !task.cr3) &&
           boot_run(&b, 997)) {
        cpu_get_regs(machine_cpu(b.m, 0), &regs);
    }
    tap(task.cr3 && regs.cr3 == task.cr3, "in %s, whose page tables are loaded", task.comm);
    listings(&b);
    code(&b);
    walks(&b, g);
    damaged_tables(&b);
    guest_destroy(g);
    boot_close(&b);
    return tap_end();
}
