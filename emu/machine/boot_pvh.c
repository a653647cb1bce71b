// SPDX-License-Identifier: MIT
// Booting an ELF kernel by PVH (Xen's docs/misc/pvh.pandoc; hvm_start_info of version 1 from
// include/public/arch-x86/hvm/start_info.h): 32-bit protected mode, EBX = hvm_start_info.
#include "machine/boot_internal.h"

#include "base/bits.h"

#include <elf.h>
#include <string.h>

#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define START_MAGIC 0x336ec578u
#define START_INFO BOOT_DATA_START
#define MEMORY_MAP (START_INFO + 0x100)
#define MODULE_LIST (START_INFO + 0x400)
#define COMMAND_LINE (START_INFO + 0x1000)

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
    u32 type, reserved;
};

// Looks for the Xen note with the 32-bit entry point.
static bool find_note(const struct boot *b, const struct boot_segment *segment, u32 *entry)
{
    if (!boot_in_file(b, segment->offset, segment->file_bytes)) {
        return false;
    }
    const u8 *p = b->params->kernel.bytes + segment->offset;
    u64 left = segment->file_bytes;
    while (left >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note; // the same in both classes
        memcpy(&note, p, sizeof(note));
        u64 name_size = align_up(note.n_namesz, 4);
        u64 desc_size = align_up(note.n_descsz, 4);
        u64 size = sizeof(note) + name_size + desc_size;
        if (size > left) {
            return false;
        }
        const u8 *name = p + sizeof(note);
        if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_namesz == 4 &&
            !memcmp(name, "Xen", 4) && note.n_descsz >= 4) {
            memcpy(entry, name + name_size, sizeof(*entry));
            return true;
        }
        p += size;
        left -= size;
    }
    return false;
}

static bool find_entry(const struct boot *b, const struct boot_image *image, u32 *entry)
{
    for (unsigned i = 0; i < image->count; i++) {
        if (image->segments[i].type == PT_NOTE && find_note(b, &image->segments[i], entry)) {
            return true;
        }
    }
    return false;
}

bool boot_pvh_is(const struct boot *b, const struct boot_image *image)
{
    u32 entry;
    return find_entry(b, image, &entry);
}

static void write_map(struct boot *b, struct start_info *info)
{
    struct boot_map_entry map[BOOT_MAP_MAX];
    info->memmap_entries = boot_memory_map(b->m, map);
    info->memmap_paddr = MEMORY_MAP;
    for (unsigned i = 0; i < info->memmap_entries; i++) {
        struct memmap_entry entry = {map[i].start, map[i].size, map[i].type, 0};
        physmem_write(machine_memory(b->m), MEMORY_MAP + i * sizeof(entry), &entry, sizeof(entry));
    }
}

static struct status write_module(struct boot *b, const struct boot_file *file,
                                  struct start_info *info)
{
    struct modlist_entry entry = {.size = file->size};
    struct physmem *mem = machine_memory(b->m);
    struct status s = status_success();
    if (file->bytes) {
        s = boot_place_file(b, file, mem->low_bytes, &entry.paddr);
        physmem_write(mem, MODULE_LIST + info->nr_modules++ * sizeof(entry), &entry,
                      sizeof(entry));
        info->modlist_paddr = MODULE_LIST;
    }
    return s;
}

static struct status write_start_info(struct boot *b)
{
    struct physmem *mem = machine_memory(b->m);
    const char *command_line = b->params->command_line;
    size_t length = strlen(command_line) + 1;
    if (length > BOOT_DATA_END - COMMAND_LINE) {
        return status_error(STATUS_BAD_INPUT, "the kernel command line has %zu bytes; %u fit",
                            length, BOOT_DATA_END - COMMAND_LINE);
    }
    struct start_info info = {
        .magic = START_MAGIC,
        .version = 1,
        .cmdline_paddr = COMMAND_LINE,
        .rsdp_paddr = boot_rsdp(b),
    };
    // The initramfs comes first: Linux takes module 0 for it. fern tells the two apart by their
    // magic.
    struct status s = write_module(b, &b->params->initrd, &info);
    if (status_ok(&s)) {
        s = write_module(b, &b->params->tree, &info);
    }
    write_map(b, &info);
    physmem_write(mem, COMMAND_LINE, command_line, length);
    physmem_write(mem, START_INFO, &info, sizeof(info));
    return s;
}

struct status boot_pvh(struct boot *b, const struct boot_image *image)
{
    u32 entry = 0;
    find_entry(b, image, &entry);
    struct status s = boot_elf_place(b, image);
    if (status_ok(&s) && boot_is_free(b, entry, (u64)entry + 1)) {
        return boot_bad(b, "its PVH entry point lies outside its segments");
    }
    if (status_ok(&s)) {
        s = write_start_info(b);
    }
    if (status_ok(&s)) {
        struct cpu_regs regs;
        cpu_get_regs(machine_cpu(b->m, 0), &regs);
        boot_flat_state(&regs, entry);
        regs.gpr[CPU_RBX] = START_INFO;
        cpu_set_regs(machine_cpu(b->m, 0), &regs);
    }
    return s;
}
