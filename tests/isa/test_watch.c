// SPDX-License-Identifier: MIT
// What a CPU tells of its accesses and executions, instruction by instruction, and that a stop
// before an instruction takes back what its boundary did.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash.h"
#include "tests/isa/bare.h"

#define SNIPPET(name, code)                                                                        \
    __asm__(".pushsection .rodata\n" #name ":\n" code "\n" #name "_end:\n.popsection\n");          \
    extern const u8 name[], name##_end[];

// Registers at the start: rdi = DATA, rsi = DATA + 0x100, rsp = STACK.
SNIPPET(code_store, "movl $0x11223344, (%rdi)")
SNIPPET(code_load, "movl (%rdi), %eax")
SNIPPET(code_add, "addl $1, (%rdi)")
SNIPPET(code_compare, "cmpxchgl %ebx, (%rdi)")
SNIPPET(code_crossing, "movq %rax, 0xffc(%rdi)")
SNIPPET(code_push, "pushq %rax")
SNIPPET(code_call, "call 1f\n1:")
SNIPPET(code_rep, "rep movsb")
SNIPPET(code_fxsave, "fxsave64 (%rdi)")
SNIPPET(code_vector, "movaps %xmm0, (%rdi)")
SNIPPET(code_trap, "int3")
SNIPPET(code_debug, "movq %rdi, %db0\nmovq %rbx, %db1\nmovq %rax, %db7\nmovl $1, (%rdi)\nnop")
SNIPPET(code_two, "nop\nincl %eax\nincl %eax\nincl %eax")

#define CODE (BARE_USER + 0x1000)
#define DATA (BARE_USER + 0x10000)
#define STACK (BARE_USER + 0x20000)

#define LOG_MAX 64

struct access {
    u64 linear, step, rip;
    unsigned size;
    bool is_write;
    u8 first;  // byte
    u8 source; // physical: enum physmem_writer
};

struct log {
    struct bare *b;
    struct access accesses[LOG_MAX];
    unsigned count;
    u64 executed[LOG_MAX], executed_at[LOG_MAX];
    bool restarted[LOG_MAX];
    unsigned executed_count, stop_at; // the n-th execution told stops; 0: none
};

static void on_access(void *ctx, unsigned cpu, u64 linear, const void *bytes, unsigned size,
                      bool is_write)
{
    struct log *log = ctx;
    assert_true(log->count < LOG_MAX);
    u64 rip = cpu_now(log->b->cpu);
    log->accesses[log->count++] = (struct access){.linear = linear,
                                                  .step = log->b->clock.step,
                                                  .rip = rip,
                                                  .size = size,
                                                  .is_write = is_write,
                                                  .first = *(const u8 *)bytes};
}

static void on_store(void *ctx, u32 rpn, u32 offset, const u8 *bytes, u32 size)
{
    struct log *log = ctx;
    on_access(ctx, 0, physmem_gpa(log->b->mem, rpn) + offset, bytes, size, true);
    log->accesses[log->count - 1].source = log->b->mem->writer;
}

static bool on_execution(void *ctx, unsigned cpu, u64 linear, bool restarted)
{
    struct log *log = ctx;
    assert_true(log->executed_count < LOG_MAX);
    log->executed_at[log->executed_count] = log->b->clock.step;
    log->restarted[log->executed_count] = restarted;
    log->executed[log->executed_count++] = linear;
    return log->executed_count == log->stop_at;
}

static struct bare *prepare(const u8 *code, const u8 *end)
{
    struct bare *b = bare_create(TLB_FULL);
    physmem_write(b->mem, CODE, code, (u64)(end - code));
    struct cpu_regs r = bare_user_regs(b, CODE);
    r.gpr[CPU_RDI] = DATA;
    r.gpr[CPU_RSI] = DATA + 0x100;
    r.gpr[CPU_RSP] = STACK;
    cpu_set_regs(b->cpu, &r);
    return b;
}

// Fills the TLB with what the snippet needs, then runs it once more with [first, last] observed.
static void observe(struct log *log, const u8 *code, const u8 *end, u64 first, u64 last, u64 steps)
{
    struct mmu_observed range = {first, last, true, true};
    struct cpu_regs r;
    struct bare *b = prepare(code, end);
    cpu_get_regs(b->cpu, &r);
    r.gpr[CPU_RCX] = steps;
    cpu_set_regs(b->cpu, &r);
    cpu_run(b->cpu, steps);
    cpu_set_regs(b->cpu, &r);
    *log = (struct log){.b = b};
    mmu_observe(b->mmu, &range, 1, on_access, log);
    u64 begin = b->clock.step;
    assert_int_equal(cpu_run(b->cpu, steps), CPU_EXIT_BUDGET);
    for (unsigned i = 0; i < log->count; i++) {
        log->accesses[i].step -= begin;
    }
    bare_destroy(b);
}

static void expect(const struct log *log, unsigned i, bool is_write, u64 linear, unsigned size)
{
    assert_true(i < log->count);
    assert_int_equal(log->accesses[i].is_write, is_write);
    assert_int_equal(log->accesses[i].linear, linear);
    assert_int_equal(log->accesses[i].size, size);
    assert_int_equal(log->accesses[i].rip, CODE);
}

static void test_plain(void **state)
{
    struct log log;
    observe(&log, code_store, code_store_end, DATA + 3, DATA + 3, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, true, DATA, 4);
    assert_int_equal(log.accesses[0].first, 0x44);
    observe(&log, code_store, code_store_end, DATA + 4, DATA + 100, 1);
    assert_int_equal(log.count, 0); // the same page, other bytes
    observe(&log, code_load, code_load_end, DATA, DATA, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, false, DATA, 4);
    observe(&log, code_vector, code_vector_end, DATA + 15, DATA + 15, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, true, DATA, 16);
    observe(&log, code_push, code_push_end, STACK - 1, STACK - 1, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, true, STACK - 8, 8);
    observe(&log, code_call, code_call_end, STACK - 8, STACK - 8, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, true, STACK - 8, 8);
}

static void test_read_modify_write(void **state)
{
    struct log log;
    observe(&log, code_add, code_add_end, DATA, DATA, 1);
    assert_int_equal(log.count, 2);
    expect(&log, 0, false, DATA, 4);
    expect(&log, 1, true, DATA, 4);
    assert_int_equal(log.accesses[1].first, log.accesses[0].first + 1);
    // rax is 0 and so is memory at first; then it is rbx: equal and not.
    observe(&log, code_compare, code_compare_end, DATA, DATA, 1);
    assert_int_equal(log.count, 2);
    expect(&log, 1, true, DATA, 4);
}

static void test_crossing(void **state)
{
    struct log log;
    for (u64 at = DATA + 0xFFC; at < DATA + 0x1004; at++) {
        observe(&log, code_crossing, code_crossing_end, at, at, 1);
        assert_int_equal(log.count, 1);
        expect(&log, 0, true, DATA + 0xFFC, 8);
    }
}

static void test_pieces(void **state)
{
    struct log log;
    observe(&log, code_fxsave, code_fxsave_end, DATA, DATA + 511, 1);
    assert_int_equal(log.count, 13); // 416 bytes
    for (unsigned i = 0; i < log.count; i++) {
        expect(&log, i, true, DATA + 32 * i, 32);
    }
    observe(&log, code_rep, code_rep_end, DATA, DATA + 0xFF, 10);
    assert_int_equal(log.count, 10);
    for (unsigned i = 0; i < log.count; i++) {
        expect(&log, i, true, DATA + i, 1);
        assert_int_equal(log.accesses[i].step, i); // each iteration has its own
    }
}

// A fault's frame is written at CPL 0, on another stack, and tells what it interrupted.
static void test_delivery(void **state)
{
    struct log log;
    observe(&log, code_trap, code_trap_end, BARE_KERNEL_STACK - 40, BARE_KERNEL_STACK - 1, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, true, BARE_KERNEL_STACK - 40, 40);
    observe(&log, code_trap, code_trap_end, BARE_IDT + 48, BARE_IDT + 48, 1);
    assert_int_equal(log.count, 1);
    expect(&log, 0, false, BARE_IDT + 48, 16);
}

static void test_faults_are_not_told(void **state)
{
    struct mmu_observed range = {DATA, DATA + 8, true, true};
    struct bare *b = prepare(code_store, code_store_end);
    struct log log = {.b = b};
    bare_set_page(b, DATA, BARE_PAGE_READ);
    mmu_observe(b->mmu, &range, 1, on_access, &log);
    cpu_run(b->cpu, 1);
    assert_int_equal(bare_exception(b).vector, 14);
    assert_int_equal(log.count, 0);
    bare_destroy(b);
}

// Stores by an alias, the walker's A and D, and a device's writes.
static void test_physical(void **state)
{
    struct bare *b = prepare(code_store, code_store_end);
    struct log log = {.b = b};
    u64 entry_page = BARE_TABLES + 0x3000 + (DATA >> 12) * 8, entry, byte = 1;
    entry_page &= ~PAGE_MASK;
    b->mem->on_store.watch = on_store;
    b->mem->on_store.watch_ctx = &log;
    b->mem->page_flags[DATA >> PAGE_SHIFT] |= PHYSMEM_PAGE_WATCH;
    b->mem->page_flags[entry_page >> PAGE_SHIFT] |= PHYSMEM_PAGE_WATCH;
    mmu_drop_page_writes(b->mmu, DATA >> PAGE_SHIFT);
    mmu_drop_page_writes(b->mmu, (u32)(entry_page >> PAGE_SHIFT));
    cpu_run(b->cpu, 1);
    // The code page's A, the data page's A and D, the data.
    assert_int_equal(log.count, 3);
    assert_int_equal(log.accesses[0].linear, BARE_TABLES + 0x3000 + (CODE >> 12) * 8);
    assert_int_equal(log.accesses[0].source, PHYSMEM_BY_WALK);
    assert_int_equal(log.accesses[0].first & 0x60, 0x20);
    assert_int_equal(log.accesses[1].linear, BARE_TABLES + 0x3000 + (DATA >> 12) * 8);
    assert_int_equal(log.accesses[1].source, PHYSMEM_BY_WALK);
    assert_int_equal(log.accesses[1].first & 0x60, 0x60);
    assert_int_equal(log.accesses[2].linear, DATA);
    assert_int_equal(log.accesses[2].source, PHYSMEM_BY_CPU);
    physmem_write(b->mem, DATA + 5, &byte, 1);
    assert_int_equal(log.accesses[3].linear, DATA + 5);
    assert_int_equal(log.accesses[3].source, PHYSMEM_BY_DEVICE);
    physmem_read(b->mem, log.accesses[1].linear, &entry, 8);
    assert_int_equal(entry & 0x60, 0x60);
    bare_destroy(b);
}

static void watch(struct bare *b, struct log *log, const u64 *linear, unsigned count)
{
    struct cpu_execute_watch w = {linear, count, on_execution, log};
    cpu_watch_execution(b->cpu, &w);
    cpu_watch_begin(b->cpu, true);
}

static u64 state_hash(struct bare *b)
{
    struct hash *h = hash_create();
    cpu_hash(b->cpu, h);
    hash_bytes(h, b->mem->ram, BARE_RAM_BYTES);
    u64 value = hash_value(h);
    hash_destroy(h);
    return value;
}

// A stop before the first instruction leaves the state it began in: no A bit for its fetch, shadow,
// RF and an armed single step as they were.
static void test_stop_changes_nothing(void **state)
{
    static const u64 flags[] = {0, 0x10000, 0x100, 0x10100}; // RF, TF
    const u64 at[] = {CODE, CODE + 1};
    for (unsigned i = 0; i < 4; i++) {
        struct bare *b = prepare(code_two, code_two_end), *plain = prepare(code_two, code_two_end);
        struct log log = {.b = b, .stop_at = 1};
        struct cpu_regs r;
        cpu_get_regs(b->cpu, &r);
        r.rflags |= flags[i];
        cpu_set_regs(b->cpu, &r);
        cpu_set_regs(plain->cpu, &r);
        watch(b, &log, at, 2);
        assert_int_equal(state_hash(b), state_hash(plain));
        assert_int_equal(cpu_run(b->cpu, 100), CPU_EXIT_STOPPED);
        assert_int_equal(b->clock.step, 0);
        assert_int_equal(log.restarted[0], i & 1);
        assert_int_equal(state_hash(b), state_hash(plain));
        cpu_watch_begin(b->cpu, false);
        log.stop_at = 2;
        bool traps = flags[i] & 0x100; // then the second instruction never begins
        assert_int_equal(cpu_run(b->cpu, 1), CPU_EXIT_BUDGET);
        cpu_run(plain->cpu, 1);
        assert_int_equal(state_hash(b), state_hash(plain));
        assert_int_equal(cpu_run(b->cpu, 2), traps ? CPU_EXIT_BUDGET : CPU_EXIT_STOPPED);
        assert_int_equal(log.executed_count, traps ? 1 : 2);
        assert_int_equal(b->clock.step, traps ? 3 : 1);
        cpu_run(plain->cpu, b->clock.step - 1);
        assert_int_equal(state_hash(b), state_hash(plain));
        bare_destroy(b);
        bare_destroy(plain);
    }
}

// With an armed trap the boundary has work to do: the delivery comes first, nothing is told twice.
static void test_repeat_is_told_once(void **state)
{
    const u64 at[] = {CODE};
    struct bare *b = prepare(code_rep, code_rep_end);
    struct log log = {.b = b};
    struct cpu_regs r;
    cpu_get_regs(b->cpu, &r);
    r.gpr[CPU_RCX] = 20;
    cpu_set_regs(b->cpu, &r);
    watch(b, &log, at, 1);
    for (unsigned i = 0; i < 7; i++) {
        cpu_run(b->cpu, 3); // in the middle of it
    }
    assert_int_equal(log.executed_count, 1);
    bare_destroy(b);
}

// Watching and not watching decoded instructions, in the middle of runs of them.
static void test_decoded(void **state)
{
    const u64 at[] = {CODE + 1, CODE + 5};
    struct bare *b = prepare(code_two, code_two_end);
    struct log log = {.b = b};
    struct cpu_regs r;
    cpu_get_regs(b->cpu, &r);
    for (unsigned round = 0; round < 3; round++) {
        log.executed_count = 0;
        cpu_set_regs(b->cpu, &r);
        watch(b, &log, at, round == 1 ? 2 : 0);
        cpu_run(b->cpu, 4);
        assert_int_equal(log.executed_count, round == 1 ? 2 : 0);
        struct cpu_regs now;
        cpu_get_regs(b->cpu, &now);
        assert_int_equal(now.gpr[CPU_RAX], 3);
    }
    assert_int_equal(log.executed[0], CODE + 1);
    assert_int_equal(log.executed[1], CODE + 5);
    assert_int_equal(log.executed_at[1] - log.executed_at[0], 2);
    bare_destroy(b);
}

// The guest's own breakpoints, on the very bytes and instruction that are watched.
static void test_debug_registers(void **state)
{
    struct mmu_observed range = {DATA, DATA + 3, true, true};
    const u64 at[] = {CODE + 9};
    u64 hashes[2];
    for (unsigned watched = 0; watched < 2; watched++) {
        struct bare *b = prepare(code_debug, code_debug_end);
        struct log log = {.b = b};
        struct cpu_regs r;
        cpu_get_regs(b->cpu, &r);
        r.seg[CPU_CS] = (struct cpu_segment){0x08, 0xA09B, 0xFFFFFFFF, 0};
        r.seg[CPU_SS] = (struct cpu_segment){0x10, 0xC093, 0xFFFFFFFF, 0};
        r.cpl = 0;
        r.gpr[CPU_RAX] = 0xD0405; // DR0: writes of 4 bytes, DR1: execution
        r.gpr[CPU_RBX] = CODE + 9;
        cpu_set_regs(b->cpu, &r);
        if (watched) {
            mmu_observe(b->mmu, &range, 1, on_access, &log);
            watch(b, &log, at, 1);
        }
        cpu_run(b->cpu, 4); // the third DR, then the #DB before the store
        cpu_get_regs(b->cpu, &r);
        assert_int_equal(r.rip, BARE_HANDLERS + 16);
        assert_int_equal(log.executed_count, 0); // it has not begun
        r.rip = CODE + 9;                        // as the handler would: with RF
        r.rflags |= 0x10000;
        cpu_set_regs(b->cpu, &r);
        cpu_run(b->cpu, 2); // the store, the #DB after it
        cpu_get_regs(b->cpu, &r);
        assert_int_equal(r.rip, BARE_HANDLERS + 16);
        assert_int_equal(log.executed_count, watched);
        assert_int_equal(log.count, watched);
        hashes[watched] = state_hash(b);
        bare_destroy(b);
    }
    assert_int_equal(hashes[0], hashes[1]);
}

static void test_inspect(void **state)
{
    struct bare *b = prepare(code_two, code_two_end);
    u8 image[CPU_FPU_BYTES], again[CPU_FPU_BYTES], bytes[16];
    cpu_get_fpu(b->cpu, image);
    for (unsigned i = 0; i < 16; i++) {
        memset(image + 160 + 16 * i, (int)(0x10 + i), 16);
    }
    memset(image + 32 + 16, 0x77, 10); // st(1)
    image[24] = 0x80, image[25] = 0x1F;
    cpu_set_fpu(b->cpu, image);
    cpu_get_fpu(b->cpu, again);
    assert_memory_equal(image, again, sizeof(image));
    // A write over two pages, the second of which is then taken away: nothing is written.
    memset(bytes, 0xAB, sizeof(bytes));
    assert_true(cpu_debug_write(b->cpu, DATA + 0xFF8, bytes, 16));
    assert_memory_equal(b->mem->ram + DATA + 0xFF8, bytes, 16);
    bare_set_page(b, DATA + 0x1000, BARE_PAGE_ABSENT);
    memset(bytes, 0xCD, sizeof(bytes));
    assert_false(cpu_debug_write(b->cpu, DATA + 0xFF8, bytes, 16));
    assert_int_equal(b->mem->ram[DATA + 0xFF8], 0xAB);
    // Code that was decoded is decoded anew.
    cpu_run(b->cpu, 2);
    u8 jump[2] = {0xEB, 0xFE};
    assert_true(cpu_debug_write(b->cpu, CODE + 3, jump, 2));
    cpu_run(b->cpu, 10);
    struct cpu_regs r;
    cpu_get_regs(b->cpu, &r);
    assert_int_equal(r.rip, CODE + 3);
    bare_destroy(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_read_modify_write),
        cmocka_unit_test(test_crossing),
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_delivery),
        cmocka_unit_test(test_faults_are_not_told),
        cmocka_unit_test(test_physical),
        cmocka_unit_test(test_stop_changes_nothing),
        cmocka_unit_test(test_repeat_is_told_once),
        cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_debug_registers),
        cmocka_unit_test(test_inspect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
