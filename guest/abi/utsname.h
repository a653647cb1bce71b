// SPDX-License-Identifier: MIT
// struct utsname of uname(2), struct sysinfo of sysinfo(2).
#pragma once

#include <stdint.h>

struct linux_new_utsname {
    char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
struct linux_sysinfo {
    int64_t uptime;
    uint64_t loads[3], totalram, freeram, sharedram, bufferram, totalswap, freeswap;
    uint16_t procs, pad;
    uint64_t totalhigh, freehigh;
    uint32_t mem_unit;
    char f[4];
};
