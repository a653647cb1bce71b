// SPDX-License-Identifier: MIT
// Which loader it is, and what all of them need. Every number in a file is a stranger's: nothing is
// added before it is compared.
#include "machine/boot_internal.h"

#include "base/bits.h"
#include "machine/acpi_tables.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAP_RAM = 1, MAP_RESERVED = 2 };

enum { // IBM PS/2 and PC BIOS Interface Technical Reference, BIOS data area
    BDA_EBDA_SEGMENT = 0x40E, BDA_BASE_MEMORY_KIB = 0x413, EBDA = 0x9FC00,
};

struct status boot_bad(const struct boot *b, const char *format, ...)
{
    char text[200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return status_error(STATUS_BAD_INPUT, "kernel %s: %s", b->params->kernel.name, text);
}

bool boot_is_free(const struct boot *b, u64 start, u64 end)
{
    for (unsigned i = 0; i < b->used_count; i++) {
        if (start < b->used[i].end && end > b->used[i].start) {
            return false;
        }
    }
    return true;
}

struct status boot_place_kernel(struct boot *b, u64 start, u64 size, const u8 *bytes,
                                u64 file_bytes)
{
    u64 top = machine_memory(b->m)->low_bytes;
    if (start >= top || size > top - start) {
        return boot_bad(b, "it does not fit into guest memory; try a larger --mem");
    }
    if (start < PAGE_SIZE || (start < ACPI_TABLES_END && start + size > BOOT_DATA_START)) {
        return boot_bad(b, "it belongs to 0x%llx; the first page and 0x%x to 0x%x are taken",
                        (unsigned long long)start, BOOT_DATA_START, ACPI_TABLES_END);
    }
    if (!boot_is_free(b, start, start + size) || b->used_count == BOOT_RANGES_MAX) {
        return boot_bad(b, "its segments overlap");
    }
    // RAM is zero before the boot, so what the file does not have needs no store.
    physmem_write(machine_memory(b->m), start, bytes, file_bytes);
    b->used[b->used_count++] = (struct boot_range){start, start + size};
    return status_success();
}

struct status boot_place_file(struct boot *b, const struct boot_file *file, u64 limit, u64 *start)
{
    u64 size = align_up(file->size, PAGE_SIZE);
    u64 end = align_down(limit, PAGE_SIZE);
    // Below whatever is in the way: each range can push it down once.
    for (unsigned i = 0; i <= b->used_count && size <= end && !boot_is_free(b, end - size, end);
         i++) {
        for (unsigned k = 0; k < b->used_count; k++) {
            if (end - size < b->used[k].end && end > b->used[k].start) {
                end = align_down(b->used[k].start, PAGE_SIZE);
                break;
            }
        }
    }
    if (size > end || end - size < ACPI_TABLES_END || !boot_is_free(b, end - size, end) ||
        b->used_count == BOOT_RANGES_MAX) {
        return status_error(STATUS_BAD_INPUT,
                            "%s does not fit into guest memory; try a larger --mem", file->name);
    }
    *start = end - size;
    physmem_write(machine_memory(b->m), *start, file->bytes, file->size);
    b->used[b->used_count++] = (struct boot_range){*start, end};
    return status_success();
}

unsigned boot_memory_map(const struct machine *m, struct boot_map_entry map[BOOT_MAP_MAX])
{
    const struct physmem *mem = machine_memory(m);
    unsigned n = 0;
    u64 low = mem->low_bytes;
    map[n++] = (struct boot_map_entry){0, EBDA, MAP_RAM};
    map[n++] = (struct boot_map_entry){EBDA, 0x400, MAP_RESERVED};
    map[n++] = (struct boot_map_entry){ACPI_TABLES_START, 0x10000, MAP_RESERVED};
    if (low > 0x100000) {
        map[n++] = (struct boot_map_entry){0x100000, low - 0x100000, MAP_RAM};
    }
    map[n++] = (struct boot_map_entry){0xFEB00000, 0x100000, MAP_RESERVED}; // PCI configuration
    map[n++] = (struct boot_map_entry){0xFEC00000, 0x1000, MAP_RESERVED};   // IOAPIC
    map[n++] = (struct boot_map_entry){0xFEE00000, 0x1000, MAP_RESERVED};   // local APIC
    if (mem->main_bytes > low) {
        map[n++] = (struct boot_map_entry){UINT64_C(1) << 32, mem->main_bytes - low, MAP_RAM};
    }
    return n;
}

u64 boot_rsdp(const struct boot *b)
{
    return b->params->tree.bytes ? ACPI_TABLES_START : 0;
}

void boot_flat_state(struct cpu_regs *regs, u32 entry)
{
    const struct cpu_segment data = {.attributes = 0xC093, .limit = UINT32_MAX};
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        regs->seg[i] = data;
    }
    regs->seg[CPU_CS].attributes = 0xC09B;
    regs->tr = (struct cpu_segment){.attributes = 0x008B, .limit = 0x67};
    memset(regs->gpr, 0, sizeof(regs->gpr));
    regs->rip = entry;
    regs->rflags = 2;
    regs->cr0 = 0x11; // PE, ET
    regs->cr3 = regs->cr4 = regs->efer = 0;
    regs->cpl = 0;
}

static bool starts_with(const struct boot_file *file, size_t offset, const char *text, size_t size)
{
    return file->size >= offset + size && memcmp(file->bytes + offset, text, size) == 0;
}

// What people pass by mistake.
static struct status unknown(const struct boot *b)
{
    const struct boot_file *file = &b->params->kernel;
    if (starts_with(file, 0x38, "ARM\x64", 4) || starts_with(file, 0x30, "RISCV\0\0", 8)) {
        return boot_bad(b, "a Linux kernel for another architecture; viv is an x86-64 PC");
    }
    if (starts_with(file, 0, "\x1F\x8B", 2) || starts_with(file, 0, "\xFD" "7zXZ", 5) ||
        starts_with(file, 0, "\x28\xB5\x2F\xFD", 4)) {
        return boot_bad(b, "a compressed file; unpack it first");
    }
    return boot_bad(b, "no kernel that viv can boot (PVH ELF files, Linux bzImages and "
                       "multiboot 1 images)");
}

static struct status load_elf(struct boot *b)
{
    struct boot_image image;
    struct status s = boot_elf_read(b, &image);
    if (!status_ok(&s)) {
        return s;
    }
    // PVH first: it passes the device tree on, which multiboot cannot.
    if (boot_pvh_is(b, &image)) {
        return boot_pvh(b, &image);
    }
    return boot_multiboot_is(&b->params->kernel)
               ? boot_multiboot(b)
               : boot_bad(b, "no PVH entry point (Xen ELF note 18) and no multiboot 1 header");
}

// How much there is below 640 KiB is read here by whoever has no better map, or does not trust it.
static void write_bios_data(struct machine *m)
{
    u16 segment = EBDA >> 4, kib = EBDA >> 10;
    physmem_write(machine_memory(m), BDA_EBDA_SEGMENT, &segment, sizeof(segment));
    physmem_write(machine_memory(m), BDA_BASE_MEMORY_KIB, &kib, sizeof(kib));
}

struct status boot_load(struct machine *m, const struct boot_params *params)
{
    struct boot b = {.m = m, .params = params};
    const struct boot_file *file = &params->kernel;
    struct status s = status_success();
    write_bios_data(m);
    if (params->tree.bytes) {
        s = acpi_tables_write(m, params->tree.bytes);
    }
    if (!status_ok(&s)) {
        return s;
    }
    if (boot_elf_is(file)) {
        return load_elf(&b);
    }
    if (boot_linux_is(file)) {
        return boot_linux(&b);
    }
    return boot_multiboot_is(file) ? boot_multiboot(&b) : unknown(&b);
}
