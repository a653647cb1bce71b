// SPDX-License-Identifier: MIT
// status: the outcome of something the host may refuse. Its text is one line for the user: what,
// where, what to do.
#ifndef VIV_BASE_STATUS_H
#define VIV_BASE_STATUS_H

#include "base/types.h"

enum status_code {
    STATUS_OK = 0,
    STATUS_USAGE = 64,    // bad command line
    STATUS_BAD_INPUT = 65, // bad, missing or busy file; host resource that cannot be had
};

struct status {
    enum status_code code; // also viv's exit status
    char text[300];
};

static inline bool status_ok(const struct status *s)
{
    return s->code == STATUS_OK;
}

struct status status_success(void);

// printf-like; the text is cut to fit.
struct status status_error(enum status_code code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
