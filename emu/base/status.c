// SPDX-License-Identifier: MIT
// Construction of status values.
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

struct status status_success(void)
{
    return (struct status){.code = STATUS_OK};
}

struct status status_error(enum status_code code, const char *format, ...)
{
    struct status s = {.code = code};
    va_list args;
    va_start(args, format);
    vsnprintf(s.text, sizeof(s.text), format, args);
    va_end(args);
    return s;
}
