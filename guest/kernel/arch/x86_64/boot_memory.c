// SPDX-License-Identifier: MIT
// What the PVH loader hands over (hvm_start_info version 1), and early allocation from its memory
// map.
#include "arch/x86_64/arch.h"
#include "arch/x86_64/paging.h"
#include "init/init.h"
#include "lib/printk.h"
#include "lib/string.h"

#define PVH_MAGIC 0x336ec578
#define FDT_MAGIC_BE 0xedfe0dd0 // as a little-endian load of d0 0d fe ed
#define MAX_RESERVED 16
#define LOW_LIMIT 0x100000 // below: firmware data, the SMP trampoline
#define LOW_PAGES 0x8000 // above what firmware keeps at the bottom
#define LOW_PAGES_END 0x90000
#define BOOT_MAPPED (4UL << 30)

struct pvh_start_info {
    u32 magic, version, flags, nr_modules;
    u64 modlist, cmdline, rsdp, memmap;
    u32 memmap_entries, reserved;
};
struct pvh_module {
    u64 start, size, cmdline, reserved;
};
struct pvh_memory {
    u64 start, size;
    u32 type, reserved;
};

struct boot_info boot_info;
static struct {
    u64 start, end;
} reserved[MAX_RESERVED];
static unsigned nr_reserved;

void boot_reserve(u64 start, u64 size)
{
    if (!size)
        return;
    BUG_ON(nr_reserved == MAX_RESERVED);
    reserved[nr_reserved].start = ALIGN_DOWN(start, PAGE_SIZE);
    reserved[nr_reserved++].end = PAGE_ALIGN(start + size);
}

u64 boot_max_ram(void)
{
    u64 top = 0;
    for (unsigned i = 0; i < boot_info.map_count; i++)
        if (boot_info.map[i].type == 1)
            top = max(top, boot_info.map[i].start + boot_info.map[i].size);
    return ALIGN_DOWN(top, PAGE_SIZE);
}

// First reserved range that overlaps [start, end), or -1.
static int overlap(u64 start, u64 end)
{
    int found = -1;
    for (unsigned i = 0; i < nr_reserved; i++)
        if (reserved[i].start < end && reserved[i].end > start &&
            (found < 0 || reserved[i].start < reserved[found].start))
            found = (int)i;
    return found;
}

u64 boot_alloc(u64 size, u64 align)
{
    size = PAGE_ALIGN(size);
    for (unsigned i = 0; i < boot_info.map_count; i++) {
        const struct boot_range *r = &boot_info.map[i];
        if (r->type != 1)
            continue;
        u64 at = ALIGN_UP(max(r->start, (u64)LOW_LIMIT), align),
            end = min(r->start + r->size, BOOT_MAPPED);
        int hit;
        while (at + size <= end && (hit = overlap(at, at + size)) >= 0)
            at = ALIGN_UP(reserved[hit].end, align);
        if (at + size > end)
            continue;
        // Grow the last reservation where possible, so that the table stays small.
        unsigned last = nr_reserved - 1;
        if (nr_reserved && reserved[last].end == at)
            reserved[last].end = at + size;
        else
            boot_reserve(at, size);
        memset(__va(at), 0, size);
        return at;
    }
    panic("no memory for the boot tables (%lu bytes)", size);
}

u64 boot_low_page(void)
{
    for (unsigned i = 0; i < boot_info.map_count; i++) {
        const struct boot_range *r = &boot_info.map[i];
        if (r->type != 1)
            continue;
        u64 at = PAGE_ALIGN(max(r->start, (u64)LOW_PAGES)),
            end = min(r->start + r->size, (u64)LOW_PAGES_END);
        for (; at + PAGE_SIZE <= end; at += PAGE_SIZE)
            if (overlap(at, at + PAGE_SIZE) < 0)
                return at;
    }
    return 0;
}

void boot_for_each_free(void (*fn)(u64 start, u64 end))
{
    for (unsigned i = 0; i < boot_info.map_count; i++) {
        const struct boot_range *r = &boot_info.map[i];
        if (r->type != 1)
            continue;
        u64 at = PAGE_ALIGN(max(r->start, (u64)LOW_LIMIT)),
            end = ALIGN_DOWN(r->start + r->size, PAGE_SIZE);
        while (at < end) {
            int hit = overlap(at, end);
            u64 stop = hit >= 0 ? max(reserved[hit].start, at) : end;
            if (stop > at)
                fn(at, stop);
            at = hit >= 0 ? reserved[hit].end : end;
        }
    }
}

static void module_note(const struct pvh_module *m)
{
    u32 magic = 0;
    if (m->size >= 4 && m->start + m->size <= BOOT_MAPPED)
        memcpy(&magic, __va(m->start), 4);
    if (magic == FDT_MAGIC_BE) {
        boot_info.dtb_start = m->start;
        boot_info.dtb_size = m->size;
    } else {
        boot_info.initrd_start = m->start;
        boot_info.initrd_size = m->size;
    }
    boot_reserve(m->start, m->size);
}

// Sorted by address, so that early allocations come from low memory.
static void map_add(const struct pvh_memory *m)
{
    unsigned i = boot_info.map_count;
    if (i == ARRAY_SIZE(boot_info.map) || !m->size || m->start + m->size < m->start)
        return;
    for (; i && boot_info.map[i - 1].start > m->start; i--)
        boot_info.map[i] = boot_info.map[i - 1];
    boot_info.map[i] = (struct boot_range){m->start, m->size, m->type};
    boot_info.map_count++;
}

void boot_memory_init(u32 start_info_phys)
{
    extern char image_start[], image_end[];
    const struct pvh_start_info *si = __va(start_info_phys);
    if (si->magic != PVH_MAGIC || si->version < 1)
        panic("not started by a PVH loader with a memory map (magic %#x, version %u)", si->magic,
              si->version);
    if (si->cmdline && si->cmdline < BOOT_MAPPED)
        kstrlcpy(boot_info.cmdline, __va(si->cmdline), sizeof(boot_info.cmdline));
    boot_info.rsdp = si->rsdp;
    const struct pvh_memory *map = __va(si->memmap);
    for (u32 i = 0; i < si->memmap_entries; i++)
        map_add(&map[i]);
    boot_reserve(virt_to_phys(image_start), (u64)(image_end - image_start));
    const struct pvh_module *mods = __va(si->modlist);
    for (u32 i = 0; i < si->nr_modules && i < 4; i++)
        module_note(&mods[i]);
}
