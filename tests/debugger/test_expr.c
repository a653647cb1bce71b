// SPDX-License-Identifier: MIT
// Expressions: values against C's own, mistakes, and random text.
#include "debugger/expr.h"

#include "base/bits.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <string.h>

static bool variable(void *ctx, const char *name, u64 *value)
{
    static const struct {
        const char *name;
        u64 value;
    } variables[] = {{"rax", 0x1122334455667788}, {"rsp", 16}, {"cpl", 3}, {"step", 1000000}};
    for (size_t i = 0; i < ARRAY_LEN(variables); i++) {
        if (strcmp(variables[i].name, name) == 0) {
            *value = variables[i].value;
            return true;
        }
    }
    return false;
}

static bool symbol(void *ctx, const char *name, u64 *value)
{
    *value = strcmp(name, "main") == 0 ? 0x401000 : 0x402000;
    return strcmp(name, "main") == 0 || strcmp(name, "proc/exec.c:120") == 0 ||
           strcmp(name, "u16_table") == 0;
}

// Memory of 64 bytes: byte i holds 0xF0 + i.
static bool read_bytes(void *ctx, u64 linear, void *out, u64 size)
{
    unsigned *reads = ctx;
    ++*reads;
    for (u64 i = 0; i < size; i++) {
        if (linear + i >= 64) {
            return false;
        }
        ((u8 *)out)[i] = (u8)(0xF0 + linear + i);
    }
    return true;
}

static u64 value_of(const char *text)
{
    unsigned reads = 0;
    struct expr_env env = {variable, symbol, read_bytes, &reads};
    struct expr_value value;
    struct status s = expr_evaluate(text, &env, &value);
    if (!status_ok(&s)) {
        fail_msg("%s: %s", text, s.text);
    }
    return value.value;
}

static void test_values(void **state)
{
#define SAME(expression) assert_int_equal(value_of(#expression), (u64)(expression))
    SAME(1 + 2 * 3 - 4 / 2 % 3);
    SAME((1 + 2) * 3);
    SAME(~5 & 0xFF);
    SAME(-8 / 2);
    SAME(-7 % 3);
    SAME(-1 < 1);
    SAME(-16 >> 2);
    SAME('A' + '\n');
    SAME(0x7fffffffffffffff + 1ul);
    SAME(1 - 2 - 3);
    SAME(100 / 10 / 5);
#undef SAME
    assert_int_equal(value_of("1 << 4 | 1 << 2 ^ 7 & 3"), 23);
    assert_int_equal(value_of("10 > 9 && 3 <= 3 || 0"), 1);
    assert_int_equal(value_of("1 == 1 != 0"), 1);
    assert_int_equal(value_of("!0 + !5"), 1);
    assert_int_equal(value_of("5 > 3 ? 10 : 20"), 10);
    assert_int_equal(value_of("0 ? 1 : 2 ? 3 : 4"), 3);
    assert_int_equal(value_of("1 ? 0 ? 5 : 6 : 7"), 6);
    assert_int_equal(value_of("0xffffffffffffffff > 1"), 1);
    assert_int_equal(value_of("(s64)0xffffffffffffffff > 1"), 0);
    assert_int_equal(value_of("(u8)0x1ff"), 0xff);
    assert_int_equal(value_of("(s8)0x80"), 0xffffffffffffff80);
    assert_int_equal(value_of("(int)0xffffffff"), UINT64_MAX);
}

static void test_names_and_memory(void **state)
{
    assert_int_equal(value_of("$rax"), 0x1122334455667788);
    assert_int_equal(value_of("$cpl == 3 && $step >= 1000000"), 1);
    assert_int_equal(value_of("main+0x10"), 0x401010);
    assert_int_equal(value_of("proc/exec.c:120"), 0x402000);
    assert_int_equal(value_of("u16_table"), 0x402000);
    assert_int_equal(value_of("*(u8 *)3"), 0xF3);
    assert_int_equal(value_of("*(u16*)$rsp"), 0x0100);
    assert_int_equal(value_of("u16[$rsp]"), 0x0100);
    assert_int_equal(value_of("s8[1]"), 0xfffffffffffffff1);
    assert_int_equal(value_of("[0]"), 0xF7F6F5F4F3F2F1F0);
    assert_int_equal(value_of("*0"), 0xF7F6F5F4F3F2F1F0);
    assert_int_equal(value_of("*((u32 *)4 + 1)"), 0xFBFAF9F8);
    assert_int_equal(value_of("*(u32 *)4 + 1"), 0xF7F6F5F5);
    assert_int_equal(value_of("&u8[5]"), 5);
    assert_int_equal(value_of("u8[u8[0] - 0xEE]"), 0xF2);
}

static void test_mistakes(void **state)
{
    static const char *const bad[] = {
        "",     "1 +",  "(1",    "1)",  "$nothing", "nothing",   "0x",    "12abc", "1 2",
        "[64]", "[60]", "1/0",   "5%0", "'ab'",     "'",         "1 ? 2", "&&",    "*",
        "u8[1", "(u8)", "1 = 2", "@",   "$",        "main main", "''",
    };
    unsigned reads = 0;
    struct expr_env env = {variable, symbol, read_bytes, &reads};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct expr_value value;
        struct status s = expr_evaluate(bad[i], &env, &value);
        if (status_ok(&s)) {
            fail_msg("\"%s\" is taken, as %llx", bad[i], (unsigned long long)value.value);
        }
        assert_true(strlen(s.text) > 5);
    }
}

// What does not count is not evaluated, and a check reads nothing.
static void test_not_evaluated(void **state)
{
    unsigned reads = 0;
    struct expr_env env = {variable, symbol, read_bytes, &reads};
    assert_int_equal(value_of("0 && [1000]"), 0);
    assert_int_equal(value_of("1 || 1/0"), 1);
    assert_int_equal(value_of("1 ? 2 : [1000]"), 2);
    struct status s = expr_check("[1000] == 1/0 && $rax", &env);
    assert_true(status_ok(&s));
    assert_int_equal(reads, 0);
    s = expr_check("$nothing", &env);
    assert_false(status_ok(&s));
    struct expr_value value;
    const char *end;
    s = expr_evaluate_prefix("1 + 2 if $rax", &env, &value, &end);
    assert_true(status_ok(&s));
    assert_int_equal(value.value, 3);
    assert_string_equal(end, "if $rax");
}

static void test_random_text(void **state)
{
    static const char *const tokens[] = {
        "1", "0x10", "$rax", "main", "(",  ")",  "[", "]", "*",   "&", "&&", "||",    "?",
        ":", "-",    "~",    "!",    "u8", "<<", "/", "%", "'a'", " ", "==", "(u8 *)"};
    unsigned reads = 0, good = 0;
    struct expr_env env = {variable, symbol, read_bytes, &reads};
    u64 x = 1;
    for (unsigned i = 0; i < 200000; i++) {
        char text[200] = "";
        for (unsigned n = 0; n < 12; n++) {
            x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
            strcat(text, tokens[(x >> 40) % ARRAY_LEN(tokens)]);
            if ((x >> 33) % 4 == 0) {
                break;
            }
        }
        struct expr_value value;
        struct status s = expr_evaluate(text, &env, &value);
        good += status_ok(&s);
    }
    assert_in_range(good, 1000, 199000);
    char deep[3000];
    memset(deep, '(', sizeof(deep) - 1);
    deep[sizeof(deep) - 1] = '\0';
    struct expr_value value;
    struct status s = expr_evaluate(deep, &env, &value);
    assert_false(status_ok(&s));
    memset(deep, '-', sizeof(deep) - 1);
    s = expr_evaluate(deep, &env, &value);
    assert_false(status_ok(&s));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),      cmocka_unit_test(test_names_and_memory),
        cmocka_unit_test(test_mistakes),    cmocka_unit_test(test_not_evaluated),
        cmocka_unit_test(test_random_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
