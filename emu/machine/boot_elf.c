// SPDX-License-Identifier: MIT
// ELF files of both classes as segments in guest memory (System V gABI, chapters 4 and 5).
#include "machine/boot_internal.h"

#include <elf.h>
#include <string.h>

bool boot_elf_is(const struct boot_file *file)
{
    return file->size >= SELFMAG && memcmp(file->bytes, ELFMAG, SELFMAG) == 0;
}

bool boot_in_file(const struct boot *b, u64 offset, u64 size)
{
    u64 all = b->params->kernel.size;
    return offset <= all && size <= all - offset;
}

static void get_segment(const u8 *bytes, bool is_64, struct boot_segment *s)
{
    if (is_64) {
        Elf64_Phdr p;
        memcpy(&p, bytes, sizeof(p));
        *s = (struct boot_segment){p.p_type,  p.p_offset, p.p_filesz,
                                   p.p_paddr, p.p_vaddr,  p.p_memsz};
    } else {
        Elf32_Phdr p;
        memcpy(&p, bytes, sizeof(p));
        *s = (struct boot_segment){p.p_type,  p.p_offset, p.p_filesz,
                                   p.p_paddr, p.p_vaddr,  p.p_memsz};
    }
}

static struct status read_headers(const struct boot *b, struct boot_image *image, u64 offset,
                                  unsigned count, unsigned size)
{
    unsigned wanted = image->is_64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (size != wanted || !count || count > BOOT_SEGMENTS_MAX ||
        !boot_in_file(b, offset, (u64)count * size)) {
        return boot_bad(b, "its program headers are damaged or cut off");
    }
    image->count = count;
    for (unsigned i = 0; i < count; i++) {
        get_segment(b->params->kernel.bytes + offset + i * size, image->is_64,
                    &image->segments[i]);
    }
    return status_success();
}

struct status boot_elf_read(const struct boot *b, struct boot_image *image)
{
    const struct boot_file *file = &b->params->kernel;
    Elf64_Ehdr e64;
    Elf32_Ehdr e32; // the two agree up to e_version
    if (file->size < sizeof(e64)) {
        return boot_bad(b, "an ELF file that is cut off");
    }
    memcpy(&e64, file->bytes, sizeof(e64));
    memcpy(&e32, file->bytes, sizeof(e32));
    image->is_64 = e64.e_ident[EI_CLASS] == ELFCLASS64;
    bool known = image->is_64 ? e64.e_machine == EM_X86_64
                              : e32.e_ident[EI_CLASS] == ELFCLASS32 && e32.e_machine == EM_386;
    if (e64.e_ident[EI_DATA] != ELFDATA2LSB || !known) {
        return boot_bad(b, "an ELF file for another machine (e_machine %u); viv is an x86-64 PC",
                        e64.e_machine);
    }
    if (e64.e_type != ET_EXEC) {
        return boot_bad(b, "an ELF file, but no executable at fixed addresses");
    }
    image->entry = image->is_64 ? e64.e_entry : e32.e_entry;
    return image->is_64 ? read_headers(b, image, e64.e_phoff, e64.e_phnum, e64.e_phentsize)
                        : read_headers(b, image, e32.e_phoff, e32.e_phnum, e32.e_phentsize);
}

struct status boot_elf_place(struct boot *b, const struct boot_image *image)
{
    struct status s = status_success();
    for (unsigned i = 0; i < image->count && status_ok(&s); i++) {
        const struct boot_segment *seg = &image->segments[i];
        if (seg->type != PT_LOAD) {
            continue;
        }
        if (!boot_in_file(b, seg->offset, seg->file_bytes) ||
            seg->file_bytes > seg->memory_bytes) {
            return boot_bad(b, "a segment is cut off");
        }
        if (seg->memory_bytes) {
            s = boot_place_kernel(b, seg->physical, seg->memory_bytes,
                                  b->params->kernel.bytes + seg->offset, seg->file_bytes);
        }
    }
    return s;
}
