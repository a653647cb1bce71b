// SPDX-License-Identifier: MIT
// What the loaders share: free memory, ELF segments, the memory map, the state at an entry point.
#ifndef VIV_MACHINE_BOOT_INTERNAL_H
#define VIV_MACHINE_BOOT_INTERNAL_H

#include "machine/boot.h"

// Guest physical addresses: what the loaders leave for the kernel lies between the two, where
// kernels do not put what they need below 1 MiB (Xen copies itself to 0x1000). Behind it is the
// BIOS's.
#define BOOT_DATA_START 0x80000
#define BOOT_DATA_END 0x9F000

#define BOOT_RANGES_MAX 80

struct boot_range {
    u64 start, end;
};

// A boot under way: what of guest memory is taken.
struct boot {
    struct machine *m;
    const struct boot_params *params;
    struct boot_range used[BOOT_RANGES_MAX];
    unsigned used_count;
};

// STATUS_BAD_INPUT with "kernel NAME: " before the text.
struct status boot_bad(const struct boot *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// Takes [start, start + size) for a part of the kernel of which the file has file_bytes, and copies
// those. It must lie in memory below 4 GiB, be free, and leave the first page and BOOT_DATA_START
// to 1 MiB alone.
struct status boot_place_kernel(struct boot *b, u64 start, u64 size, const u8 *bytes,
                                u64 file_bytes);
// Copies a file below limit as high as it goes, page-aligned, and takes the pages.
struct status boot_place_file(struct boot *b, const struct boot_file *file, u64 limit, u64 *start);
bool boot_is_free(const struct boot *b, u64 start, u64 end);

// Guest physical memory in the types of E820: 1 RAM, 2 reserved.
struct boot_map_entry {
    u64 start, size;
    u32 type;
};
#define BOOT_MAP_MAX 8
unsigned boot_memory_map(const struct machine *m, struct boot_map_entry map[BOOT_MAP_MAX]);

// A linear framebuffer in pixels of 32 bits, XRGB.
struct boot_screen {
    u32 base, size_bytes; // of its memory
    u32 width, height, stride_bytes;
};
// Gives the tree's display the places and the mode that its node names. False: there is none, or
// no place for it in the tree.
bool boot_display(struct boot *b, struct boot_screen *screen);

// Where the ACPI RSDP is, 0 if there is none.
u64 boot_rsdp(const struct boot *b);

// CPU 0 in 32-bit protected mode: flat segments, no paging, interrupts off, registers zero.
void boot_flat_state(struct cpu_regs *regs, u32 entry);

// ELF executables for this machine, of 32 or 64 bits.
#define BOOT_SEGMENTS_MAX 64
struct boot_segment {
    u32 type;
    u64 offset, file_bytes, physical, virtual, memory_bytes;
};
struct boot_image {
    bool is_64;
    u64 entry;
    unsigned count;
    struct boot_segment segments[BOOT_SEGMENTS_MAX];
};
bool boot_elf_is(const struct boot_file *file);
struct status boot_elf_read(const struct boot *b, struct boot_image *image);
// Places all PT_LOAD segments.
struct status boot_elf_place(struct boot *b, const struct boot_image *image);
// Whether the range lies in the kernel's file.
bool boot_in_file(const struct boot *b, u64 offset, u64 size);

// The loaders. _is: the file says that it is of this kind, though it may be damaged.
bool boot_linux_is(const struct boot_file *file);
struct status boot_linux(struct boot *b);
bool boot_pvh_is(const struct boot *b, const struct boot_image *image);
struct status boot_pvh(struct boot *b, const struct boot_image *image);
bool boot_multiboot_is(const struct boot_file *file);
struct status boot_multiboot(struct boot *b);

#endif
