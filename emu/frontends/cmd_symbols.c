// SPDX-License-Identifier: MIT
// "viv symbols": the names that a stripped kernel carries for itself, as an ELF file that gdb and
// other tools read. It has no code: that is in the guest.
#include "frontends/cmd_symbols.h"

#include "base/memory.h"
#include "debugger/symbols.h"
#include "frontends/outcome.h"
#include "replay/bytes.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KERNEL_HALF (UINT64_C(1) << 63)

enum { SECTION_NONE, SECTION_TEXT, SECTION_SYMTAB, SECTION_STRTAB, SECTION_COUNT };

static const char section_names[] = "\0.text\0.symtab\0.strtab"; // at the string table's begin
enum { NAME_TEXT = 1, NAME_SYMTAB = 7, NAME_STRTAB = 15 };

struct names_file {
    struct bytes symbols, strings;
    u64 begin, end; // of what is named
};

static void add(void *ctx, const struct symbol_row *row)
{
    struct names_file *f = ctx;
    if (row->address < KERNEL_HALF) {
        return; // a per-CPU variable's offset is no address
    }
    Elf64_Sym sym = {
        .st_name = (Elf64_Word)f->strings.size,
        .st_info = ELF64_ST_INFO(STB_GLOBAL, row->function ? STT_FUNC : STT_OBJECT),
        .st_shndx = SECTION_TEXT,
        .st_value = row->address,
        .st_size = row->size,
    };
    bytes_put(&f->symbols, &sym, sizeof(sym));
    bytes_put(&f->strings, row->name, strlen(row->name) + 1);
    f->begin = row->address < f->begin ? row->address : f->begin;
    u64 end = row->address + (row->size ? row->size : 1);
    f->end = end > f->end ? end : f->end;
}

static bool write_elf(FILE *out, const struct names_file *f)
{
    Elf64_Ehdr header = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = f->begin,
        .e_shoff = sizeof(header),
        .e_ehsize = sizeof(header),
        .e_shentsize = sizeof(Elf64_Shdr),
        .e_shnum = SECTION_COUNT,
        .e_shstrndx = SECTION_STRTAB,
    };
    u64 begin = sizeof(header) + SECTION_COUNT * sizeof(Elf64_Shdr);
    Elf64_Shdr sections[SECTION_COUNT] = {
        [SECTION_TEXT] = {.sh_name = NAME_TEXT,
                          .sh_type = SHT_NOBITS,
                          .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                          .sh_addr = f->begin,
                          .sh_offset = begin,
                          .sh_size = f->end - f->begin,
                          .sh_addralign = 16},
        [SECTION_SYMTAB] = {.sh_name = NAME_SYMTAB,
                            .sh_type = SHT_SYMTAB,
                            .sh_offset = begin,
                            .sh_size = f->symbols.size,
                            .sh_link = SECTION_STRTAB,
                            .sh_info = 1, // the first that is global
                            .sh_addralign = 8,
                            .sh_entsize = sizeof(Elf64_Sym)},
        [SECTION_STRTAB] = {.sh_name = NAME_STRTAB,
                            .sh_type = SHT_STRTAB,
                            .sh_offset = begin + f->symbols.size,
                            .sh_size = f->strings.size,
                            .sh_addralign = 1},
    };
    return fwrite(&header, sizeof(header), 1, out) == 1 &&
           fwrite(sections, sizeof(sections), 1, out) == 1 &&
           fwrite(f->symbols.data, f->symbols.size, 1, out) == 1 &&
           fwrite(f->strings.data, f->strings.size, 1, out) == 1;
}

static struct status write_names(struct symbols *s, const char *in, const char *path)
{
    struct names_file f = {.begin = UINT64_MAX};
    const Elf64_Sym none = {0};
    bytes_put(&f.symbols, &none, sizeof(none));
    bytes_put(&f.strings, section_names, sizeof(section_names));
    symbols_each(s, add, &f);
    struct status result = status_success();
    if (!f.end) {
        result = status_error(STATUS_BAD_INPUT, "%s: no names of a kernel are in it", in);
    } else {
        FILE *out = fopen(path, "we");
        bool written = out && write_elf(out, &f);
        if ((out && fclose(out)) || !written) {
            result = status_error(STATUS_BAD_INPUT, "cannot write %s: %s", path, strerror(errno));
        }
    }
    bytes_free(&f.symbols);
    bytes_free(&f.strings);
    return result;
}

int cmd_symbols(int argc, char **argv)
{
    if (argc != 2 || argv[0][0] == '-') {
        bool help = argc == 1 && strcmp(argv[0], "--help") == 0;
        fputs("usage: viv symbols bzImage|vmlinux|System.map OUT\n"
              "Writes an ELF file with the names alone, for gdb's symbol-file.\n",
              help ? stdout : stderr);
        return help ? 0 : STATUS_USAGE;
    }
    struct symbols *symbols = symbols_create();
    struct status s = symbols_add(symbols, argv[0], 0, true);
    if (status_ok(&s)) {
        s = write_names(symbols, argv[0], argv[1]);
    }
    symbols_destroy(symbols);
    return status_ok(&s) ? 0 : outcome_fail(&s);
}
