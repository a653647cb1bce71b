// SPDX-License-Identifier: MIT
// The tracer fed with made-up events: a machine whose registers and memory the test sets by hand.
#include "base/memory.h"
#include "machine/machine.h"
#include "machine/tree.h"
#include "trace/fault_watch.h"
#include "trace/line_queue.h"
#include "trace/sink_text.h"
#include "trace/strace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TSS 0x1000
#define DATA 0x100000
#define CODE 0x400000
#define STACK_1 0x700000
#define STACK_2 0x710000

struct fixture {
    struct machine *m;
    struct tasks *tasks;
    struct strace *strace;
    FILE *file;
    char *text;
    size_t size;
    u64 step;
};

static void open_fixture(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    void *tree;
    struct tree_changes changes = {.mem_bytes = 8 << 20};
    struct status s = tree_prepare(&tree, tree_builtin, tree_builtin_size, "built-in", &changes);
    assert_true(status_ok(&s));
    struct host host = {0};
    struct machine_config config = {.tree = tree, .host = &host, .cpu_model = "v2"};
    s = machine_create(&f->m, &config);
    assert_true(status_ok(&s));
    free(tree);
    f->tasks = tasks_create(f->m);
    f->file = open_memstream(&f->text, &f->size);
    f->strace = strace_create(f->tasks, NULL, f->file);
}

// Ends strace and compares what it wrote.
static void expect_text(struct fixture *f, const char *wanted)
{
    strace_destroy(f->strace);
    fclose(f->file);
    assert_string_equal(f->text, wanted);
    free(f->text);
    tasks_destroy(f->tasks);
    machine_destroy(f->m);
}

static void poke(struct fixture *f, u64 address, const void *bytes, u64 size)
{
    assert_true(physmem_write(machine_memory(f->m), address, bytes, size));
}

static void poke_u64(struct fixture *f, u64 address, u64 value)
{
    poke(f, address, &value, sizeof(value));
}

// Registers of the task on this kernel stack.
static void become(struct fixture *f, u64 stack, u64 rip, u64 rsp, struct cpu_regs *regs)
{
    poke_u64(f, TSS + 4, stack);
    cpu_get_regs(machine_cpu(f->m, 0), regs);
    regs->tr.base = TSS;
    regs->cr0 = 0x11; // flat, no paging: the default segments' bases do not matter here
    regs->rip = rip;
    regs->gpr[CPU_RSP] = rsp;
}

static void event(struct fixture *f, u8 cause, u8 from, u8 to, u64 rip)
{
    struct probe_event e = {.step = ++f->step,
                            .rip = rip,
                            .kind = PROBE_transition,
                            .cause = cause,
                            .from_cpl = from,
                            .to_cpl = to};
    tasks_transition(f->tasks, &e);
}

static void enter(struct fixture *f, u64 stack, u64 rsp, u64 number, u64 a, u64 b, u64 c, u64 d)
{
    struct cpu_regs regs;
    become(f, stack, 0x600000, rsp, &regs);
    regs.gpr[CPU_RAX] = number;
    regs.gpr[CPU_RCX] = CODE + 2;
    regs.gpr[CPU_RDI] = a;
    regs.gpr[CPU_RSI] = b;
    regs.gpr[CPU_RDX] = c;
    regs.gpr[10] = d;
    cpu_set_regs(machine_cpu(f->m, 0), &regs);
    event(f, TRANSITION_SYSCALL, 3, 0, CODE);
}

static void leave_to(struct fixture *f, u64 stack, u64 rsp, u64 rip, s64 result)
{
    struct cpu_regs regs;
    become(f, stack, rip, rsp, &regs);
    regs.gpr[CPU_RAX] = (u64)result;
    cpu_set_regs(machine_cpu(f->m, 0), &regs);
    event(f, TRANSITION_SYSRET, 0, 3, 0x600100);
}

static void leave(struct fixture *f, u64 stack, u64 rsp, s64 result)
{
    leave_to(f, stack, rsp, CODE + 2, result);
}

static void test_simple_calls(void **state)
{
    struct fixture f;
    open_fixture(&f);
    poke(&f, DATA, "/etc/passwd", 12);
    poke(&f, DATA + 64,
         "a\n\t\"\\\x01"
         "7\xff and more than thirty-two characters",
         45);
    leave(&f, STACK_1, 0x5000, 0); // the first task comes to life
    enter(&f, STACK_1, 0x5000, 257, (u64)-100, DATA, 0x80000, 0);
    leave(&f, STACK_1, 0x5000, 3);
    enter(&f, STACK_1, 0x5000, 1, 1, DATA + 64, 45, 0);
    leave(&f, STACK_1, 0x5000, 45);
    enter(&f, STACK_1, 0x5000, 0, 3, DATA + 64, 5, 0);
    leave(&f, STACK_1, 0x5000, 2);
    enter(&f, STACK_1, 0x5000, 2, 0x7ffff0, 0x42, 0644, 0); // no NUL before the end of memory
    leave(&f, STACK_1, 0x5000, -2);
    enter(&f, STACK_1, 0x5000, 9, 0, 8192, 3, 0x22);
    leave(&f, STACK_1, 0x5000, 0x7f0000001000);
    enter(&f, STACK_1, 0x5000, 5000, 1, 2, 3, 4);
    leave(&f, STACK_1, 0x5000, -38);
    enter(&f, STACK_1, 0x5000, 72, 1, 3, 0, 0);
    leave(&f, STACK_1, 0x5000, 0x8002);
    enter(&f, STACK_1, 0x5000, 231, 7, 0, 0, 0);
    expect_text(
        &f,
        "openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3\n"
        "write(1, \"a\\n\\t\\\"\\\\\\0017\\377 and more than thirty-tw\"..., 45) = 45\n"
        "read(3, \"a\\n\", 5)                       = 2\n"
        "open(\"\", O_RDWR|O_CREAT, 0644)          = -1 ENOENT (No such file or directory)\n"
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, 0, 0) = 0x7f0000001000\n"
        "syscall_0x1388(0x1, 0x2, 0x3, 0x4, 0, 0) = -1 ENOSYS (Function not implemented)\n"
        "fcntl(1, F_GETFL)                       = 0x8002 (flags O_RDWR|O_LARGEFILE)\n"
        "exit_group(7)                           = ?\n"
        "+++ exited with 7 +++\n");
}

// A child that runs before its parent's fork returns: its lines wait for the pid.
static void test_fork(void **state)
{
    struct fixture f;
    open_fixture(&f);
    leave(&f, STACK_1, 0x5000, 0);
    enter(&f, STACK_1, 0x5000, 57, 0, 0, 0, 0);
    leave(&f, STACK_2, 0x5000, 0); // the child
    enter(&f, STACK_2, 0x5000, 3, 9, 0, 0, 0);
    leave(&f, STACK_2, 0x5000, -9);
    leave(&f, STACK_1, 0x5000, 17);
    enter(&f, STACK_1, 0x5000, 61, (u64)-1, DATA, 0, 0);
    enter(&f, STACK_2, 0x5000, 231, 3, 0, 0, 0);
    u32 status = 3 << 8;
    poke(&f, DATA, &status, 4);
    leave(&f, STACK_1, 0x5000, 17);
    expect_text(
        &f,
        "[pid     1] fork( <unfinished ...>\n"
        "[pid    17] close(9)                    = -1 EBADF (Bad file descriptor)\n"
        "[pid     1] <... fork resumed>)         = 17\n"
        "[pid     1] wait4(-1,  <unfinished ...>\n"
        "[pid    17] exit_group(3)               = ?\n"
        "[pid    17] +++ exited with 3 +++\n"
        "[pid     1] <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 17\n"
        "[pid     1] --- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=17, si_uid=0, "
        "si_status=3, si_utime=0, si_stime=0} ---\n");
}

static void test_exec_and_restart(void **state)
{
    struct fixture f;
    open_fixture(&f);
    poke(&f, DATA, "/bin/ls", 8);
    poke(&f, DATA + 16, "-l", 3);
    u64 argv[] = {DATA, DATA + 16, 0};
    u64 envp[] = {DATA, 0};
    poke(&f, DATA + 32, argv, sizeof(argv));
    poke(&f, DATA + 64, envp, sizeof(envp));
    leave(&f, STACK_1, 0x5000, 0);
    enter(&f, STACK_1, 0x5000, 59, DATA, DATA + 32, DATA + 64, 0);
    leave_to(&f, STACK_1, 0x6000, 0x401000, 0x1234); // a new image
    enter(&f, STACK_1, 0x5000, 0, 0, DATA, 1, 0);
    leave_to(&f, STACK_1, 0x5000, CODE, 0); // back at the SYSCALL instruction
    expect_text(&f, "execve(\"/bin/ls\", [\"/bin/ls\", \"-l\"], 0x100040 /* 1 var */) = 0\n"
                    "read(0, 0x100000, 1)                    = ? ERESTARTSYS (To be restarted if "
                    "SA_RESTART is set)\n");
}

static void test_line_queue(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *file = open_memstream(&text, &size);
    struct line_queue *q = line_queue_create(file);
    line_queue_add(q, "1");
    u64 two = line_queue_reserve(q, "2?");
    line_queue_add(q, "3");
    u64 four = line_queue_reserve(q, "4?");
    line_queue_finish(q, four, "4");
    line_queue_add(q, "5");
    line_queue_finish(q, two, "2");
    line_queue_finish(q, two, "too late");
    line_queue_reserve(q, "6?");
    for (int i = 0; i < 10000; i++) { // more than may wait
        line_queue_add(q, "x");
    }
    line_queue_destroy(q);
    fclose(file);
    assert_memory_equal(text, "1\n2\n3\n4\n5\n6?\nx\nx\n", 17);
    assert_int_equal(size, 13 + 20000);
    free(text);
}

struct outcomes {
    enum fault_outcome seen[8];
};

static void on_ended(void *ctx, u64 number, enum fault_outcome outcome)
{
    struct outcomes *o = ctx;
    o->seen[number] = outcome;
}

// One page table path for address 0: PML4 at 2 MiB, then one page each; the leaf entry is what the
// test changes.
#define ROOT 0x200000
#define LEAF (ROOT + 0x3000)

static void fault(struct fixture *f, struct fault_watch *w, u64 number, u32 error, u64 before,
                  u64 after, u64 return_rip)
{
    struct cpu_regs regs;
    poke_u64(f, LEAF, before);
    become(f, STACK_1, CODE, 0x5000, &regs);
    cpu_set_regs(machine_cpu(f->m, 0), &regs);
    struct probe_event e = {.rip = CODE,
                            .cr3 = ROOT,
                            .address = 0x10,
                            .error_code = error,
                            .kind = PROBE_page_fault,
                            .from_cpl = 3,
                            .to_cpl = 3};
    fault_watch_begin(w, &e, number);
    poke_u64(f, LEAF, after);
    struct probe_event other = {
        .cause = TRANSITION_IRET, .from_cpl = 0, .to_cpl = 3, .address = CODE, .cr3 = ROOT};
    become(f, STACK_2, CODE, 0x5000, &regs); // another task at the same place is not it
    cpu_set_regs(machine_cpu(f->m, 0), &regs);
    fault_watch_transition(w, &other);
    become(f, STACK_1, return_rip, 0x5000, &regs);
    regs.gpr[CPU_RDX] = DATA; // a struct ucontext, if this is a handler
    cpu_set_regs(machine_cpu(f->m, 0), &regs);
    other.address = return_rip;
    fault_watch_transition(w, &other);
}

static void test_fault_outcomes(void **state)
{
    struct fixture f;
    open_fixture(&f);
    struct outcomes o;
    memset(&o, 0, sizeof(o));
    struct fault_watch *w = fault_watch_create(f.m, on_ended, &o);
    for (int i = 0; i < 3; i++) {
        poke_u64(&f, ROOT + (u64)i * 0x1000, (ROOT + ((u64)i + 1) * 0x1000) | 7);
    }
    fault(&f, w, 0, PF_USER, 0, 0x5007, CODE);
    fault(&f, w, 1, PF_USER | PF_WRITE | PF_PRESENT, 0x5005, 0x6007, CODE);
    fault(&f, w, 2, PF_USER | PF_WRITE | PF_PRESENT, 0x5005, 0x5007, CODE);
    fault(&f, w, 3, PF_USER, 0x5007, 0x5007, CODE);
    fault(&f, w, 4, PF_USER, 0x1230, 0x5007, CODE);
    poke_u64(&f, DATA + 40 + 16 * 8, CODE);
    fault(&f, w, 5, PF_USER, 0, 0, CODE + 99);
    poke_u64(&f, DATA + 40 + 16 * 8, 0);
    fault(&f, w, 7, PF_USER, 0, 0, CODE + 99);
    struct probe_event last = {.rip = CODE, .cr3 = ROOT, .kind = PROBE_page_fault, .from_cpl = 3};
    fault_watch_begin(w, &last, 6);
    fault_watch_destroy(w);
    assert_int_equal(o.seen[0], FAULT_MAP);
    assert_int_equal(o.seen[1], FAULT_COW);
    assert_int_equal(o.seen[2], FAULT_WRITE_ENABLE);
    assert_int_equal(o.seen[3], FAULT_SPURIOUS);
    assert_int_equal(o.seen[4], FAULT_SWAP_IN);
    assert_int_equal(o.seen[5], FAULT_SIGNAL);
    assert_int_equal(o.seen[6], FAULT_FATAL);
    assert_int_equal(o.seen[7], FAULT_FATAL);
    expect_text(&f, "");
}

// Every row with hostile arguments and memory that is there, partly there, or not: text comes out,
// nothing else happens.
static bool hostile_read(void *ctx, u64 address, void *out, u64 size)
{
    if (address % 3 == 0) {
        return false;
    }
    memset(out, (int)(address * 37 + size), size);
    return true;
}

static void test_every_row(void **state)
{
    static const u64 values[] = {
        0, 1, 2, 7, 0x1000, 0x1001, 0xffffffff, UINT64_MAX, 0x7fffffffffff};
    struct text out = {0};
    for (u64 number = 0; number < 512; number++) {
        const struct syscall_row *row = syscall_row(number);
        for (u64 trial = 0; row && trial < 200; trial++) {
            struct syscall_view v = {.row = row,
                                     .number = number,
                                     .read = hostile_read,
                                     .done = trial & 1,
                                     .result = trial % 5 ? (s64)trial : -(s64)trial};
            for (u64 i = 0; i < 6; i++) {
                v.arg[i] = values[(trial * 7 + i * (trial + 3)) % ARRAY_LEN(values)] + trial % 2;
            }
            u8 order[6];
            unsigned count = syscall_shown(&v, order);
            for (unsigned i = 0; i < count; i++) {
                assert_true(syscall_show_arg(&v, order[i], true, &out));
            }
            syscall_show_result(&v, &out);
            syscall_show_extra(&v, &out);
            text_clear(&out);
        }
    }
    text_free(&out);
}

static void test_kinds(void **state)
{
    unsigned kinds;
    const char *file;
    struct status s = trace_kinds_parse("faults,syscalls=a=b", &kinds, &file);
    assert_true(status_ok(&s));
    assert_int_equal(kinds, TRACE_FAULTS | TRACE_SYSCALLS);
    assert_string_equal(file, "a=b");
    s = trace_kinds_parse("transitions", &kinds, &file);
    assert_true(status_ok(&s) && kinds == TRACE_TRANSITIONS && !file);
    static const char *const bad[] = {"",        "fault",   "faults,",
                                      "faults=", ",faults", "faultsyscalls"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        s = trace_kinds_parse(bad[i], &kinds, &file);
        assert_int_equal(s.code, STATUS_USAGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_simple_calls),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_exec_and_restart),
        cmocka_unit_test(test_line_queue),
        cmocka_unit_test(test_fault_outcomes),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
