// SPDX-License-Identifier: MIT
// ELF64 headers, elf(5), as far as loading a program needs them.
#pragma once

#include <stdint.h>

#define ELF_MAGIC "\177ELF"
#define ELF_CLASS64 2
#define ELF_DATA_LSB 1
#define ELF_TYPE_EXEC 2
#define ELF_TYPE_DYN 3
#define ELF_MACHINE_X86_64 62
#define ELF_PT_LOAD 1
#define ELF_PT_INTERP 3
#define ELF_PT_GNU_STACK 0x6474e551U
#define ELF_PF_X 1U
#define ELF_PF_W 2U
#define ELF_PF_R 4U

struct elf64_header {
    uint8_t ident[16]; // magic, class, data, version...
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};
struct elf64_phdr {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};
_Static_assert(sizeof(struct elf64_header) == 64, "Elf64_Ehdr");
_Static_assert(sizeof(struct elf64_phdr) == 56, "Elf64_Phdr");
