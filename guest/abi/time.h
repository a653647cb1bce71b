// SPDX-License-Identifier: MIT
// struct timespec, timeval, itimerval and clocks: clock_gettime(2), setitimer(2), times(2).
#pragma once

#include <stdint.h>

struct linux_timespec {
    int64_t tv_sec, tv_nsec;
};
struct linux_timeval {
    int64_t tv_sec, tv_usec;
};
struct linux_timezone {
    int32_t tz_minuteswest, tz_dsttime;
};
struct linux_itimerval {
    struct linux_timeval it_interval, it_value;
};
struct linux_itimerspec {
    struct linux_timespec it_interval, it_value;
};
struct linux_tms {
    int64_t tms_utime, tms_stime, tms_cutime, tms_cstime;
};
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_PROCESS_CPUTIME_ID 2
#define CLOCK_THREAD_CPUTIME_ID 3
#define CLOCK_MONOTONIC_RAW 4
#define CLOCK_REALTIME_COARSE 5
#define CLOCK_MONOTONIC_COARSE 6
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9
#define CLOCK_TAI 11
#define TIMER_ABSTIME 1
#define ITIMER_REAL 0
#define ITIMER_VIRTUAL 1
#define ITIMER_PROF 2
#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe
