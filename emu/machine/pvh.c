// SPDX-License-Identifier: MIT
// Writes hvm_start_info (Xen, include/public/arch-x86/hvm/start_info.h) into guest memory.
#include "machine/pvh.h"

#include "base/bits.h"

#include <string.h>

#define START_MAGIC 0x336ec578u
#define MEMORY_MAP (PVH_START_INFO + 0x100)
#define MODULE_LIST (PVH_START_INFO + 0x400)
#define COMMAND_LINE (PVH_START_INFO + 0x1000)

struct start_info {
    u32 magic, version, flags, nr_modules;
    u64 modlist_paddr, cmdline_paddr, rsdp_paddr, memmap_paddr;
    u32 memmap_entries, reserved;
};

struct modlist_entry {
    u64 paddr, size, cmdline_paddr, reserved;
};

struct memmap_entry {
    u64 addr, size;
    u32 type, reserved; // type as in E820: 1 RAM, 2 reserved
};

enum { MAP_RAM = 1, MAP_RESERVED = 2 };

static unsigned make_map(const struct physmem *mem, struct memmap_entry map[8])
{
    unsigned n = 0;
    u64 low = mem->low_bytes;
    map[n++] = (struct memmap_entry){0, 0x9FC00, MAP_RAM, 0};
    map[n++] = (struct memmap_entry){0x9FC00, 0x400, MAP_RESERVED, 0};
    map[n++] = (struct memmap_entry){0xF0000, 0x10000, MAP_RESERVED, 0};
    if (low > 0x100000) {
        map[n++] = (struct memmap_entry){0x100000, low - 0x100000, MAP_RAM, 0};
    }
    map[n++] = (struct memmap_entry){0xFEC00000, 0x1000, MAP_RESERVED, 0}; // IOAPIC
    map[n++] = (struct memmap_entry){0xFEE00000, 0x1000, MAP_RESERVED, 0}; // local APIC
    if (mem->ram_bytes > low) {
        map[n++] = (struct memmap_entry){UINT64_C(1) << 32, mem->ram_bytes - low, MAP_RAM, 0};
    }
    return n;
}

struct status pvh_write_start_info(struct machine *m, const char *command_line,
                                   const struct pvh_module *modules, unsigned count)
{
    struct physmem *mem = machine_memory(m);
    size_t length = strlen(command_line) + 1;
    if (length > PVH_LOW_END - COMMAND_LINE) {
        return status_error(STATUS_BAD_INPUT, "the kernel command line has %zu bytes; %u fit",
                            length, PVH_LOW_END - COMMAND_LINE);
    }
    struct memmap_entry map[8];
    unsigned entries = make_map(mem, map);
    struct start_info info = {
        .magic = START_MAGIC,
        .version = 1,
        .nr_modules = count,
        .modlist_paddr = count ? MODULE_LIST : 0,
        .cmdline_paddr = COMMAND_LINE,
        .memmap_paddr = MEMORY_MAP,
        .memmap_entries = entries,
    };
    for (unsigned i = 0; i < count; i++) {
        struct modlist_entry entry = {.paddr = modules[i].address, .size = modules[i].size};
        physmem_write(mem, MODULE_LIST + i * sizeof(entry), &entry, sizeof(entry));
    }
    physmem_write(mem, MEMORY_MAP, map, entries * sizeof(map[0]));
    physmem_write(mem, COMMAND_LINE, command_line, length);
    physmem_write(mem, PVH_START_INFO, &info, sizeof(info));
    return status_success();
}
