// SPDX-License-Identifier: MIT
// CHECK: an impossible state is our bug; it stops the emulator, in release builds too.
#ifndef VIV_BASE_CHECK_H
#define VIV_BASE_CHECK_H

#include "base/bits.h"

_Noreturn void check_failed(const char *file, int line, const char *condition);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (UNLIKELY(!(condition))) {                                                              \
            check_failed(__FILE__, __LINE__, #condition);                                          \
        }                                                                                          \
    } while (0)

#endif
