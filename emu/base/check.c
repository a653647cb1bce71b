// SPDX-License-Identifier: MIT
// Reports a failed CHECK and aborts.
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    fprintf(stderr, "viv: %s:%d: internal error: CHECK(%s) failed; please report this\n", file,
            line, condition);
    abort();
}
