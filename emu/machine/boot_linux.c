// SPDX-License-Identifier: MIT
// Booting a Linux bzImage by its 64-bit entry (Linux, Documentation/arch/x86/boot.rst, "64-bit Boot
// Protocol"): long mode, identity-mapped, RSI = boot_params (the zero page, zero-page.rst).
#include "machine/boot_internal.h"

#include "base/bits.h"

#include <string.h>

enum { // offsets in the file and in the zero page
    ZP_RSDP = 0x070, ZP_E820_COUNT = 0x1E8, ZP_HEADER = 0x1F1, ZP_E820 = 0x2D0,
    H_SETUP_SECTS = 0x1F1, H_SYSSIZE = 0x1F4, H_VID_MODE = 0x1FA, H_BOOT_FLAG = 0x1FE,
    H_JUMP = 0x201, H_MAGIC = 0x202, H_VERSION = 0x206, H_TYPE_OF_LOADER = 0x210,
    H_LOADFLAGS = 0x211,
    H_CODE32_START = 0x214, H_RAMDISK_IMAGE = 0x218, H_RAMDISK_SIZE = 0x21C, H_CMD_LINE_PTR = 0x228,
    H_INITRD_ADDR_MAX = 0x22C, H_KERNEL_ALIGNMENT = 0x230, H_RELOCATABLE = 0x234,
    H_XLOADFLAGS = 0x236, H_CMDLINE_SIZE = 0x238, H_PREF_ADDRESS = 0x258, H_INIT_SIZE = 0x260,
    HEADER_END = 0x290, // as far as ZP_E820 leaves room
};

enum { // struct screen_info, at the zero page's start
    SI_VIDEO_TYPE = 0x0F, SI_WIDTH = 0x12, SI_HEIGHT = 0x14, SI_DEPTH = 0x16, SI_BASE = 0x18,
    SI_SIZE = 0x1C, SI_LINE_BYTES = 0x24, SI_RED = 0x26, SI_GREEN = 0x28, SI_BLUE = 0x2A,
    SI_RESERVED = 0x2C, VIDEO_TYPE_EFI = 0x70,
};

enum {
    BOOT_FLAG = 0xAA55, VERSION_MIN = 0x020C, LOADED_HIGH = 1, XLF_KERNEL_64 = 1,
    LOADER_UNKNOWN = 0xFF, VID_MODE_NORMAL = 0xFFFF, SECTOR = 512, ENTRY_64 = 0x200,
};

enum { // where the loader's own things go
    ZERO_PAGE = BOOT_DATA_START, GDT = ZERO_PAGE + 0x1000, PAGE_TABLES = ZERO_PAGE + 0x2000,
    COMMAND_LINE = ZERO_PAGE + 0x8000, COMMAND_LINE_END = ZERO_PAGE + 0x18000, IDENTITY_GIB = 4,
    SELECTOR_CODE = 0x10, SELECTOR_DATA = 0x18, // __BOOT_CS, __BOOT_DS
};

#define CR0_BOOT 0x80000011 // PG, ET, PE
#define CR4_PAE 0x20
#define EFER_LONG 0x500     // LMA, LME
#define LOW_LOAD_MIN UINT64_C(0x100000)

struct header {
    u64 setup_bytes, kernel_bytes; // in the file: real-mode part, then the rest
    u64 preferred, alignment, init_size, initrd_max;
    u32 command_line_max;
    bool relocatable;
};

static u64 field(const struct boot *b, unsigned offset, unsigned size)
{
    u64 value = 0;
    memcpy(&value, b->params->kernel.bytes + offset, size);
    return value;
}

bool boot_linux_is(const struct boot_file *file)
{
    return file->size >= H_VERSION && memcmp(file->bytes + H_MAGIC, "HdrS", 4) == 0;
}

static struct status check_header(const struct boot *b)
{
    if (b->params->kernel.size < HEADER_END || field(b, H_BOOT_FLAG, 2) != BOOT_FLAG) {
        return boot_bad(b, "a Linux kernel whose setup header is damaged or cut off");
    }
    unsigned version = (unsigned)field(b, H_VERSION, 2);
    if (version < VERSION_MIN) {
        return boot_bad(b, "its boot protocol is %u.%02u; 2.12 (Linux 3.8) or later is needed",
                        version >> 8, version & 0xFF);
    }
    if (!(field(b, H_LOADFLAGS, 1) & LOADED_HIGH)) {
        return boot_bad(b, "a zImage; a bzImage is needed");
    }
    if (!(field(b, H_XLOADFLAGS, 2) & XLF_KERNEL_64)) {
        return boot_bad(b, "a 32-bit Linux kernel (no 64-bit entry); an x86-64 one is needed");
    }
    return status_success();
}

static struct status read_header(const struct boot *b, struct header *h)
{
    struct status s = check_header(b);
    if (!status_ok(&s)) {
        return s;
    }
    u64 sectors = field(b, H_SETUP_SECTS, 1);
    *h = (struct header){
        .setup_bytes = (1 + (sectors ? sectors : 4)) * SECTOR,
        .kernel_bytes = field(b, H_SYSSIZE, 4) * 16,
        .preferred = field(b, H_PREF_ADDRESS, 8),
        .alignment = field(b, H_KERNEL_ALIGNMENT, 4),
        .init_size = field(b, H_INIT_SIZE, 4),
        .initrd_max = field(b, H_INITRD_ADDR_MAX, 4),
        .command_line_max = (u32)field(b, H_CMDLINE_SIZE, 4),
        .relocatable = field(b, H_RELOCATABLE, 1),
    };
    // Its size is rounded up to paragraphs; not every file is.
    u64 size = b->params->kernel.size;
    u64 there = size > h->setup_bytes ? size - h->setup_bytes : 0;
    if (there < h->kernel_bytes && h->kernel_bytes - there < 16) {
        h->kernel_bytes = there;
    }
    if (!h->kernel_bytes || !boot_in_file(b, h->setup_bytes, h->kernel_bytes)) {
        return boot_bad(b, "it is cut off: its header speaks of %llu bytes, the file has %llu",
                        (unsigned long long)(h->setup_bytes + h->kernel_bytes),
                        (unsigned long long)b->params->kernel.size);
    }
    if (h->init_size < h->kernel_bytes || h->kernel_bytes <= ENTRY_64 || !h->alignment ||
        (h->alignment & (h->alignment - 1))) {
        return boot_bad(b, "its setup header is damaged (init_size, syssize or kernel_alignment)");
    }
    return s;
}

// At its preferred address; a relocatable kernel that does not fit there as low as it goes.
static struct status place_kernel(struct boot *b, const struct header *h, u64 *start)
{
    u64 top = machine_memory(b->m)->low_bytes;
    bool fits = h->preferred < top && h->init_size <= top - h->preferred;
    *start = fits || !h->relocatable ? h->preferred : align_up(LOW_LOAD_MIN, h->alignment);
    return boot_place_kernel(b, *start, h->init_size, b->params->kernel.bytes + h->setup_bytes,
                             h->kernel_bytes);
}

static void put(struct boot *b, u64 at, u64 value, unsigned size)
{
    physmem_write(machine_memory(b->m), at, &value, size);
}

static void write_map(struct boot *b)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    unsigned count = boot_memory_map(b->m, map);
    for (unsigned i = 0; i < count; i++) {
        u64 at = ZERO_PAGE + ZP_E820 + i * 20;
        put(b, at, map[i].start, 8);
        put(b, at + 8, map[i].size, 8);
        put(b, at + 16, map[i].type, 4);
    }
    put(b, ZERO_PAGE + ZP_E820_COUNT, count, 1);
}

static struct status write_command_line(struct boot *b, const struct header *h)
{
    size_t length = strlen(b->params->command_line);
    size_t room = COMMAND_LINE_END - COMMAND_LINE - 1;
    room = h->command_line_max < room ? h->command_line_max : room;
    if (length > room) {
        return status_error(STATUS_BAD_INPUT,
                            "the kernel command line has %zu bytes; this kernel takes %zu", length,
                            room);
    }
    physmem_write(machine_memory(b->m), COMMAND_LINE, b->params->command_line, length + 1);
    put(b, ZERO_PAGE + H_CMD_LINE_PTR, COMMAND_LINE, 4);
    return status_success();
}

static struct status write_initrd(struct boot *b, const struct header *h)
{
    const struct boot_file *initrd = &b->params->initrd;
    if (!initrd->bytes) {
        return status_success();
    }
    u64 limit = machine_memory(b->m)->low_bytes;
    limit = h->initrd_max + 1 < limit ? h->initrd_max + 1 : limit;
    u64 start = 0;
    struct status s = boot_place_file(b, initrd, limit, &start);
    put(b, ZERO_PAGE + H_RAMDISK_IMAGE, start, 4);
    put(b, ZERO_PAGE + H_RAMDISK_SIZE, initrd->size, 4);
    return s;
}

// A framebuffer without a driver for its device: Linux's efifb takes it, with or without EFI.
static void write_screen(struct boot *b)
{
    struct boot_screen screen;
    if (!boot_display(b, &screen)) {
        return;
    }
    put(b, ZERO_PAGE + SI_VIDEO_TYPE, VIDEO_TYPE_EFI, 1);
    put(b, ZERO_PAGE + SI_WIDTH, screen.width, 2);
    put(b, ZERO_PAGE + SI_HEIGHT, screen.height, 2);
    put(b, ZERO_PAGE + SI_DEPTH, 32, 2);
    put(b, ZERO_PAGE + SI_BASE, screen.base, 4);
    put(b, ZERO_PAGE + SI_SIZE, screen.size_bytes, 4);
    put(b, ZERO_PAGE + SI_LINE_BYTES, screen.stride_bytes, 2);
    // Each colour's bits and lowest bit.
    put(b, ZERO_PAGE + SI_RED, 16 << 8 | 8, 2);
    put(b, ZERO_PAGE + SI_GREEN, 8 << 8 | 8, 2);
    put(b, ZERO_PAGE + SI_BLUE, 0 << 8 | 8, 2);
    put(b, ZERO_PAGE + SI_RESERVED, 24 << 8 | 8, 2);
}

static struct status write_zero_page(struct boot *b, const struct header *h, u64 start)
{
    // The header ends where its first instruction jumps to.
    u64 end = H_MAGIC + field(b, H_JUMP, 1);
    end = end < HEADER_END ? end : HEADER_END;
    physmem_write(machine_memory(b->m), ZERO_PAGE + ZP_HEADER, b->params->kernel.bytes + ZP_HEADER,
                  end - ZP_HEADER);
    put(b, ZERO_PAGE + H_VID_MODE, VID_MODE_NORMAL, 2);
    put(b, ZERO_PAGE + H_TYPE_OF_LOADER, LOADER_UNKNOWN, 1);
    put(b, ZERO_PAGE + H_CODE32_START, start, 4);
    put(b, ZERO_PAGE + ZP_RSDP, boot_rsdp(b), 8);
    write_map(b);
    write_screen(b);
    struct status s = write_command_line(b, h);
    return status_ok(&s) ? write_initrd(b, h) : s;
}

// The first 4 GiB in pages of 2 MiB: kernel, zero page and command line are in it.
static void write_page_tables(struct boot *b)
{
    enum { PRESENT_WRITABLE = 3, LARGE = 0x80 };
    u64 directories = PAGE_TABLES + 2 * PAGE_SIZE;
    put(b, PAGE_TABLES, (PAGE_TABLES + PAGE_SIZE) | PRESENT_WRITABLE, 8);
    for (u64 gib = 0; gib < IDENTITY_GIB; gib++) {
        u64 directory = directories + gib * PAGE_SIZE;
        put(b, PAGE_TABLES + PAGE_SIZE + gib * 8, directory | PRESENT_WRITABLE, 8);
        for (u64 i = 0; i < 512; i++) {
            put(b, directory + i * 8, (gib << 30 | i << 21) | PRESENT_WRITABLE | LARGE, 8);
        }
    }
}

static void set_entry_state(struct boot *b, u64 start)
{
    put(b, GDT + SELECTOR_CODE, UINT64_C(0x00AF9B000000FFFF), 8);
    put(b, GDT + SELECTOR_DATA, UINT64_C(0x00CF93000000FFFF), 8);
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(b->m, 0), &regs);
    boot_flat_state(&regs, 0);
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        regs.seg[i].selector = SELECTOR_DATA;
    }
    regs.seg[CPU_CS].selector = SELECTOR_CODE;
    regs.seg[CPU_CS].attributes = 0xA09B; // 64-bit code
    regs.gdtr_base = GDT;
    regs.gdtr_limit = SELECTOR_DATA + 7;
    regs.gpr[CPU_RSI] = ZERO_PAGE;
    regs.rip = start + ENTRY_64;
    regs.cr0 = CR0_BOOT;
    regs.cr3 = PAGE_TABLES;
    regs.cr4 = CR4_PAE;
    regs.efer = EFER_LONG;
    cpu_set_regs(machine_cpu(b->m, 0), &regs);
}

struct status boot_linux(struct boot *b)
{
    struct header h;
    u64 start = 0;
    struct status s = read_header(b, &h);
    if (status_ok(&s)) {
        s = place_kernel(b, &h, &start);
    }
    if (status_ok(&s)) {
        s = write_zero_page(b, &h, start);
    }
    if (status_ok(&s)) {
        write_page_tables(b);
        set_entry_state(b, start);
    }
    return s;
}
