// SPDX-License-Identifier: MIT
// prctl(2) and arch_prctl(2) operations beside those of abi/sched.h; personality(2); syslog(2);
// getrandom(2).
#pragma once

#define PR_GET_KEEPCAPS 7
#define PR_SET_KEEPCAPS 8
#define PR_GET_SECCOMP 21
#define PR_CAPBSET_DROP 24
#define PR_GET_TSC 25
#define PR_GET_SECUREBITS 27
#define PR_GET_TID_ADDRESS 40
#define PR_SET_MM 35
#define PR_CAP_AMBIENT 47
#define PR_SET_VMA 0x53564d41
#define PR_TSC_ENABLE 1
#define PER_QUERY 0xffffffffU
#define SYSLOG_ACTION_CLOSE 0
#define SYSLOG_ACTION_OPEN 1
#define SYSLOG_ACTION_READ 2
#define SYSLOG_ACTION_READ_ALL 3
#define SYSLOG_ACTION_READ_CLEAR 4
#define SYSLOG_ACTION_CLEAR 5
#define SYSLOG_ACTION_CONSOLE_OFF 6
#define SYSLOG_ACTION_CONSOLE_ON 7
#define SYSLOG_ACTION_CONSOLE_LEVEL 8
#define SYSLOG_ACTION_SIZE_UNREAD 9
#define SYSLOG_ACTION_SIZE_BUFFER 10
#define GRND_NONBLOCK 1
#define GRND_RANDOM 2
#define GRND_INSECURE 4
