// SPDX-License-Identifier: MIT
// Booting a multiboot image (Multiboot Specification version 0.6.96): an ELF executable, or any
// file whose header has the addresses ("a.out kludge"). 32-bit protected mode, EBX = the
// information.
#include "machine/boot_internal.h"

#include "base/bits.h"

#include <elf.h>
#include <string.h>

#define HEADER_MAGIC 0x1BADB002u
#define ENTRY_MAGIC 0x2BADB002u
#define HEADER_SEARCH 8192

enum { // 3.1.2: the header's flags; 3.3: the information's
    HEADER_ALIGN = 1 << 0, HEADER_MEMORY = 1 << 1, HEADER_VIDEO = 1 << 2,
    HEADER_KNOWN = HEADER_ALIGN | HEADER_MEMORY | HEADER_VIDEO, HEADER_ADDRESSES = 1 << 16,
    INFO_MEMORY = 1 << 0, INFO_COMMAND_LINE = 1 << 2, INFO_MODULES = 1 << 3, INFO_MAP = 1 << 6,
    INFO_LOADER_NAME = 1 << 9,
};

enum { // offsets below BOOT_DATA_END
    INFO = BOOT_DATA_START, MODULE = INFO + 0x100, LOADER_NAME = INFO + 0x200,
    MAP = INFO + 0x300, STRINGS = INFO + 0x1000,
};

struct header {
    u32 magic, flags, checksum;
    u32 header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr; // HEADER_ADDRESSES
};

struct info {
    u32 flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
    u32 mmap_length, mmap_addr, drives_length, drives_addr, config_table, boot_loader_name;
    u32 apm_table, vbe[4], framebuffer[7];
};

struct module {
    u32 start, end, string, reserved;
};

struct map_entry {
    u32 size; // of what follows
    u64 start, length;
    u32 type;
} __attribute__((packed));

// The offset of the header, or a negative number.
static long find_header(const struct boot_file *file, struct header *h)
{
    memset(h, 0, sizeof(*h));
    size_t end = file->size < HEADER_SEARCH ? file->size : HEADER_SEARCH;
    for (size_t at = 0; at + 12 <= end; at += 4) {
        memset(h, 0, sizeof(*h)); // the addresses may be cut off
        size_t room = file->size - at;
        memcpy(h, file->bytes + at, room < sizeof(*h) ? room : sizeof(*h));
        if (h->magic == HEADER_MAGIC && h->magic + h->flags + h->checksum == 0) {
            return (long)at;
        }
    }
    return -1;
}

bool boot_multiboot_is(const struct boot_file *file)
{
    struct header h;
    return find_header(file, &h) >= 0;
}

// 3.1.3: the file is one piece, of which the header says where it belongs.
static struct status place_by_header(struct boot *b, const struct header *h, u64 header_offset)
{
    u64 all = b->params->kernel.size;
    u64 before = (u64)h->header_addr - h->load_addr; // of the header in what is loaded
    if (h->header_addr < h->load_addr || before > header_offset) {
        return boot_bad(b, "the addresses of its multiboot header are damaged");
    }
    u64 offset = header_offset - before;
    u64 load_end = h->load_end_addr ? h->load_end_addr : h->load_addr + (all - offset);
    u64 end = h->bss_end_addr ? h->bss_end_addr : load_end;
    if (load_end < h->load_addr || end < load_end ||
        !boot_in_file(b, offset, load_end - h->load_addr)) {
        return boot_bad(b, "the addresses of its multiboot header are damaged, or it is cut off");
    }
    return boot_place_kernel(b, h->load_addr, end - h->load_addr,
                             b->params->kernel.bytes + offset, load_end - h->load_addr);
}

// An entry point is a physical address; linkers that know only virtual ones mean the segment that
// has it there.
static u64 physical_entry(const struct boot_image *image)
{
    for (unsigned i = 0; i < image->count; i++) {
        const struct boot_segment *s = &image->segments[i];
        if (s->type == PT_LOAD && image->entry >= s->virtual &&
            image->entry - s->virtual < s->memory_bytes) {
            return s->physical + (image->entry - s->virtual);
        }
    }
    return image->entry;
}

static struct status place_elf(struct boot *b, u64 *entry)
{
    struct boot_image image;
    struct status s = boot_elf_read(b, &image);
    if (status_ok(&s)) {
        s = boot_elf_place(b, &image);
        *entry = physical_entry(&image);
    }
    return s;
}

static struct status place_kernel(struct boot *b, u64 *entry)
{
    struct header h;
    long at = find_header(&b->params->kernel, &h);
    if (h.flags & 0xFFFF & ~HEADER_KNOWN) {
        return boot_bad(b, "its multiboot header asks for what viv does not know (flags 0x%x)",
                        h.flags);
    }
    struct status s;
    if (h.flags & HEADER_ADDRESSES) {
        *entry = h.entry_addr;
        s = place_by_header(b, &h, (u64)at);
    } else if (boot_elf_is(&b->params->kernel)) {
        s = place_elf(b, entry);
    } else {
        return boot_bad(b, "its multiboot header has no addresses, and it is no ELF file");
    }
    if (status_ok(&s) && (*entry > UINT32_MAX || boot_is_free(b, *entry, *entry + 1))) {
        s = boot_bad(b, "its entry point lies outside what is loaded");
    }
    return s;
}

static void write_map(struct boot *b, struct info *info)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    unsigned count = boot_memory_map(b->m, map);
    for (unsigned i = 0; i < count; i++) {
        struct map_entry entry = {20, map[i].start, map[i].size, map[i].type};
        physmem_write(machine_memory(b->m), MAP + i * sizeof(entry), &entry, sizeof(entry));
    }
    info->mmap_addr = MAP;
    info->mmap_length = (u32)(count * sizeof(struct map_entry));
    info->mem_lower = 639;
    info->mem_upper = (u32)((machine_memory(b->m)->low_bytes - 0x100000) >> 10);
    info->flags |= INFO_MEMORY | INFO_MAP;
}

// Command lines begin with a file's name, as other loaders have it; here not the host's, which
// would make the run depend on where the files lie.
static struct status write_strings(struct boot *b, struct info *info, u32 *module_string)
{
    struct physmem *mem = machine_memory(b->m);
    const char *text = b->params->command_line;
    char name[] = "kernel ";
    size_t length = strlen(text);
    if (length + sizeof(name) + sizeof("initrd") > BOOT_DATA_END - STRINGS) {
        return status_error(STATUS_BAD_INPUT, "the kernel command line is too long");
    }
    name[sizeof(name) - 2] = length ? ' ' : '\0';
    physmem_write(mem, STRINGS, name, sizeof(name) - 1);
    physmem_write(mem, STRINGS + sizeof(name) - 1, text, length + 1);
    *module_string = (u32)(STRINGS + sizeof(name) + length);
    physmem_write(mem, *module_string, "initrd", sizeof("initrd"));
    physmem_write(mem, LOADER_NAME, "viv", 4);
    info->cmdline = STRINGS;
    info->boot_loader_name = LOADER_NAME;
    info->flags |= INFO_COMMAND_LINE | INFO_LOADER_NAME;
    return status_success();
}

static struct status write_info(struct boot *b)
{
    struct physmem *mem = machine_memory(b->m);
    struct info info = {0};
    struct module module = {0};
    write_map(b, &info);
    struct status s = write_strings(b, &info, &module.string);
    if (status_ok(&s) && b->params->initrd.bytes) {
        u64 start = 0;
        s = boot_place_file(b, &b->params->initrd, mem->low_bytes, &start);
        module.start = (u32)start;
        module.end = (u32)(start + b->params->initrd.size);
        physmem_write(mem, MODULE, &module, sizeof(module));
        info.mods_addr = MODULE;
        info.mods_count = 1;
    }
    info.flags |= INFO_MODULES;
    physmem_write(mem, INFO, &info, sizeof(info));
    return s;
}

struct status boot_multiboot(struct boot *b)
{
    u64 entry = 0;
    struct status s = place_kernel(b, &entry);
    if (status_ok(&s)) {
        s = write_info(b);
    }
    if (status_ok(&s)) {
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(b->m, 0), &regs);
        boot_flat_state(&regs, (u32)entry);
        regs.gpr[CPU_RAX] = ENTRY_MAGIC;
        regs.gpr[CPU_RBX] = INFO;
        cpu_set_regs(machine_cpu(b->m, 0), &regs);
    }
    return s;
}
