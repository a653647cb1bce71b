// SPDX-License-Identifier: MIT
// Assertions over a run, strace's options, sets of system calls, and protocol buffers: texts in, meaning out.
#include "base/bits.h"
#include "trace/check.h"
#include "trace/proto_writer.h"
#include "trace/strace_options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void see_fault(struct check *c, u64 step, u8 ring, u32 error, enum fault_outcome outcome)
{
    struct probe_event e = {.step = step,
                            .rip = 0xffffffff80001000,
                            .address = 0x1000,
                            .error_code = error,
                            .kind = PROBE_page_fault,
                            .from_cpl = ring};
    struct check_event event = {.kind = CHECK_FAULT,
                                .step = step,
                                .event = &e,
                                .outcome = outcome,
                                .task = {.id = 1, .pid = 7, .name = "sh"}};
    check_see(c, &event);
}

static void see_call(struct check *c, u64 step, u64 number, s64 result)
{
    struct syscall_view v = {
        .row = syscall_row(number), .number = number, .done = true, .result = result, .arg = {3}};
    struct check_event event = {.kind = CHECK_SYSCALL, .step = step, .call = &v, .duration_ns = 100};
    check_see(c, &event);
}

// Whether the expression holds after three faults and three calls.
static bool verdict(const char *expression, const char *wanted_text)
{
    struct check *c;
    char text[400];
    struct status s = check_create(&c, expression);
    if (!status_ok(&s)) {
        fail_msg("%s", s.text);
    }
    see_fault(c, 10, 3, 4, FAULT_MAP);
    see_fault(c, 20, 0, 2, FAULT_FIXUP);
    see_fault(c, 30, 3, 7, FAULT_COW);
    see_call(c, 40, 257, -2);
    see_call(c, 50, 0, 12);
    see_call(c, 60, 9, 0x7f0000000000);
    bool holds = check_verdict(c, 0x123456789abcdef0, text, sizeof(text));
    if (wanted_text) {
        assert_non_null(strstr(text, wanted_text));
    }
    check_destroy(c);
    return holds;
}

static void test_truth(void **state)
{
    static const struct {
        const char *expression;
        bool holds;
        const char *text;
    } rows[] = {
        {"never(fault where ring==0)", false, "step 20: page fault at 0x1000, error 0x2, ring 0"},
        {"never(fault where ring==0 and outcome!=fixup)", true, NULL},
        {"never(fault where ring == 0 and not (outcome == fixup))", true, NULL},
        {"never(fault where outcome == \"copy-on-write\")", false, "step 30"},
        {"never(fault)", false, "step 10"},
        {"always(fault where write or ring==3)", true, NULL},
        {"always(fault where present)", false, "step 10"},
        {"always(fault where pid==7 and comm==sh)", true, NULL},
        {"always(fault where comm<sz)", true, NULL},
        {"count(fault) == 3", true, NULL},
        {"count(fault where ring==3) > 2", false, "the count is 2"},
        {"count(fault where ring==3)<=2", true, NULL},
        {"count(fault where rip >= 0xffffffff80000000) != 3", false, NULL},
        {"count(syscall where failed) == 1", true, NULL},
        {"count(syscall where result < 0) == 1", true, NULL},
        {"count(syscall where errno == 2 and name == openat) == 1", true, NULL},
        {"count(syscall where result == -2) = 1", true, NULL},
        {"count(syscall where result > 0x6fffffffffff) == 1", true, NULL},
        {"count(syscall where arg0 == 3 and duration == 100 and returned) == 3", true, NULL},
        {"count(syscall where name == 3) == 0", true, NULL}, // a word is never a number
        {"count(syscall where pid == 0) == 0", true, NULL},  // not known: equals nothing
        {"count(syscall where pid != 0) == 3", true, NULL},
        {"count(irq) == 0", true, NULL},
        {"never(syscall where name==read or name==mmap and failed)", false, "step 50"},
        {"never(syscall where (name==read or name==mmap) and failed)", true, NULL},
        {"final-hash == 123456789abcdef0", true, NULL},
        {"final-hash == 0x123456789ABCDEF0", true, NULL},
        {"final-hash != 123456789abcdef0", false, "123456789abcdef0"},
        {"final-hash==1", false, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (verdict(rows[i].expression, rows[i].text) != rows[i].holds) {
            fail_msg("%s", rows[i].expression);
        }
    }
}

static void test_bad_expressions(void **state)
{
    static const char *const rows[] = {
        "", "fault", "never", "never(", "never()", "never(fault", "never(fault where)",
        "never(fault where ring==)", "never(fault where ring==0", "never(fault where ring==0) x",
        "never(fault where colour==0)", "never(fault where result==0)", "never(frost)",
        "count(fault)", "count(fault) >", "count(fault) > x", "count(fault) == -1", "final-hash",
        "final-hash 12", "final-hash < 12", "final-hash == 12345678901234567", "final-hash == xyz",
        "never(fault where (ring==0)", "never(fault where ring==0))", "never(fault where not)",
        "never(fault where ring==0 and)", "never(fault where ring==99999999999999999999)",
        "never(fault where ring==0x)", "never(fault where outcome==\"cow)", "never(fault wher ring)",
        "never(fault where ring=>0)",
        "never(fault where ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((ring==0)",
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct check *c;
        struct status s = check_create(&c, rows[i]);
        assert_int_equal(s.code, STATUS_USAGE);
        assert_null(c);
        assert_null(strchr(s.text, '\n'));
    }
}

static struct status take(struct strace_options *o, const char *a, const char *b, int *used)
{
    char first[64], second[64];
    strcpy(first, a);
    strcpy(second, b ? b : "");
    char *argv[] = {first, b ? second : NULL, NULL};
    struct status s;
    *used = 0;
    strace_options_init(o);
    assert_true(strace_options_take(o, b ? 2 : 1, argv, used, &s));
    return s;
}

static void test_letters(void **state)
{
    struct strace_options o;
    struct status s;
    int used;
    s = take(&o, "-fttTry", NULL, &used);
    assert_true(status_ok(&s) && o.time_of_day == 2 && o.duration && o.relative && o.paths);
    s = take(&o, "-ts100", NULL, &used);
    assert_true(status_ok(&s) && o.time_of_day == 1 && o.string_max == 100 && used == 0);
    s = take(&o, "-s", "7", &used);
    assert_true(status_ok(&s) && o.string_max == 7 && used == 1);
    s = take(&o, "-p", "12,13 14", &used);
    assert_true(status_ok(&s) && o.pid_count == 3 && o.pids[2] == 14);
    s = take(&o, "-c", NULL, &used);
    assert_true(status_ok(&s) && o.summary && !o.lines);
    s = take(&o, "-C", NULL, &used);
    assert_true(status_ok(&s) && o.summary && o.lines);
    s = take(&o, "-e", "signal=!SIGCHLD,int", &used);
    assert_true(status_ok(&s) && o.signals == ~(UINT64_C(1) << 16 | UINT64_C(1) << 1));
    s = take(&o, "-e", "status=failed", &used);
    assert_true(status_ok(&s) && o.failed && !o.succeeded);
    s = take(&o, "-e", "viv=steps,faults", &used);
    assert_true(status_ok(&s) && o.steps && o.faults);
    static const char *const bad[][2] = {
        {"-s", NULL}, {"-s", "x"}, {"-s", "-1"}, {"-p", "0"}, {"-p", "x"}, {"-p", ""}, {"-fk", NULL},
        {"-e", "trace=frob"}, {"-e", "trace=open,"}, {"-e", "signal=SIGFOO"}, {"-e", "status=maybe"},
        {"-e", "inject=all:error=EIO"}, {"-e", "viv=x"}, {"-e", "trace=/("}, {"-S", "size"},
        {"-o", ""}, {"-s", "99999999999999999999"}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        s = take(&o, bad[i][0], bad[i][1], &used);
        assert_int_equal(s.code, STATUS_USAGE);
    }
    char word[] = "--strace";
    char *argv[] = {word, NULL};
    used = 0;
    assert_false(strace_options_take(&o, 1, argv, &used, &s));
}

static void test_sets(void **state)
{
    static const struct {
        const char *text;
        u64 has, lacks;
    } rows[] = {
        {"open", 2, 0},        {"trace", 0, 0},         {"%file", 257, 0},  {"file", 59, 1},
        {"%desc", 0, 39},      {"%process", 56, 0},     {"%network", 41, 0}, {"%memory", 9, 0},
        {"%signal", 62, 0},    {"%%stat", 262, 0},      {"%stat", 4, 262},  {"/^open", 257, 0},
        {"!read", 1, 0},       {"!%file", 0, 257},      {"all", 0, 1000},   {"59,60", 60, 61},
        {"?frob,read", 0, 1},  {"!none", 0, 1000},      {"%pure", 39, 0},   {"%creds", 105, 39}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct syscall_set set;
        struct status s = syscall_set_parse(&set, rows[i].text);
        if (strcmp(rows[i].text, "trace") == 0) {
            assert_int_equal(s.code, STATUS_USAGE);
            continue;
        }
        assert_true(status_ok(&s));
        assert_true(syscall_set_has(&set, rows[i].has));
        assert_true(rows[i].lacks == 1000 ? syscall_set_has(&set, 1000)
                                          : !syscall_set_has(&set, rows[i].lacks));
    }
}

static void test_wire_format(void **state)
{
    struct proto outer = {0}, inner = {0};
    proto_varint(&inner, 1, 150); // the example of the format's own description
    proto_text(&inner, 2, "testing");
    proto_message(&outer, 3, &inner);
    proto_fixed64(&outer, 47, 0x0102030405060708);
    proto_varint(&outer, 4, UINT64_MAX);
    static const u8 wanted[] = {0x1a, 12,   0x08, 0x96, 0x01, 0x12, 7,    't',  'e',  's',  't',
                                'i',  'n',  'g',  0xf9, 0x02, 8,    7,    6,    5,    4,    3,
                                2,    1,    0x20, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                0xff, 0x01};
    assert_int_equal(outer.used, sizeof(wanted));
    assert_memory_equal(outer.bytes, wanted, sizeof(wanted));
    proto_clear(&outer);
    assert_int_equal(outer.used, 0);
    proto_free(&outer);
    proto_free(&inner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truth), cmocka_unit_test(test_bad_expressions),
        cmocka_unit_test(test_letters), cmocka_unit_test(test_sets),
        cmocka_unit_test(test_wire_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
