// SPDX-License-Identifier: MIT
// test_linux_layout PLAIN HOT NOWHERE: where Linux keeps the current task, by its version.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "debugger/guest.h"
#include "debugger/symbols.h"

static const char *const *kernels;

static struct status check(const char *path)
{
    struct symbols *s = symbols_create();
    struct status added = symbols_add(s, path, 0, true);
    assert_true(status_ok(&added));
    assert_true(symbols_kernel_is_linux(s));
    struct status status = guest_check(s);
    symbols_destroy(s);
    return status;
}

static void test_known(void **state)
{
    for (unsigned i = 0; i < 2; i++) {
        struct status status = check(kernels[i]);
        assert_true(status_ok(&status));
    }
}

static void test_unknown(void **state)
{
    struct status status = check(kernels[2]);
    assert_false(status_ok(&status));
    assert_non_null(strstr(status.text, "current_task"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known),
                                       cmocka_unit_test(test_unknown)};
    kernels = (const char *const *)argv + 1;
    return argc == 4 ? cmocka_run_group_tests(tests, NULL, NULL) : 64;
}
