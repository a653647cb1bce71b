// SPDX-License-Identifier: MIT
// The host's clocks. Nothing but the posix host files and the front ends' reports may include this.
#ifndef VIV_HOST_POSIX_CLOCK_H
#define VIV_HOST_POSIX_CLOCK_H

#include "base/types.h"

// Nanoseconds of CLOCK_MONOTONIC.
u64 posix_monotonic_ns(void);

// Unix time in seconds (for --rtc now).
u64 posix_wall_seconds(void);

#endif
