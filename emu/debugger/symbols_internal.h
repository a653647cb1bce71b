// SPDX-License-Identifier: MIT
// What the files of the symbol reader share.
#ifndef VIV_DEBUGGER_SYMBOLS_INTERNAL_H
#define VIV_DEBUGGER_SYMBOLS_INTERNAL_H

#include "base/memory.h"
#include "debugger/btf.h"
#include "debugger/orc.h"
#include "debugger/symbols.h"

#include <elfutils/libdw.h>
#include <gelf.h>

struct name_row {
    u64 start, size, limit; // as linked; limit: end of its section
    union {
        const char *name;
        u64 text_at; // while it is read
    };
    u8 rank; // of several at one address the highest is shown: functions, objects, labels
};

struct address_range {
    u64 begin, end;
};

// Code of one compilation unit.
struct unit_range {
    u64 begin, end;
    Dwarf_Die unit;
};

// A type or enumerator by name: types.c fills these in unit by unit, as far as was needed.
struct type_row {
    const char *name; // NULL: free
    Dwarf_Off die;
    bool is_enumerator;
};

struct symbol_object {
    char *path, *name; // as given; its base name
    u64 bias;
    bool kernel;
    bool relocatable; // loaded where the kernel likes (a shared object or PIE)
    bool mapped;      // by the program that runs now
    int fd;           // -1: the file is wholly in memory
    Elf *elf;  // NULL: a list of names
    u8 *image; // the ELF file, where it was unpacked; else NULL
    char *text; // the names, where no ELF file holds them
    struct btf *btf;
    struct orc orc;
    struct address_range *segments;
    unsigned segment_count;
    struct name_row *names; // by start, then rank
    size_t name_count;

    Dwarf *dwarf;             // NULL: none
    struct unit_range *units; // by begin
    size_t unit_count;
    bool units_known;

    struct type_row *types; // open hash table
    size_t type_room, type_count;
    Dwarf_CU *type_unit; // the last one that is in the table
    bool types_complete;

    Dwarf_CFI *cfi_eh, *cfi_debug; // NULL: none
    bool cfi_known;
};

// A source path as the compiler wrote it and as people see it.
struct path_row {
    const char *written;   // by the debug information; the key
    const char *directory; // the unit's
    char *absolute;
    const char *brief; // the last two components, in absolute
};

struct symbols {
    struct symbol_object **objects;
    unsigned object_count;
    char *program; // base name of the one that runs, NULL: all programs count
    struct path_row *paths;
    size_t path_count;
    u64 located_by; // LSTAR by which the kernel was found last
};

// The address, as linked, of a name in one object.
bool symbols_own_address(const struct symbol_object *o, const char *name, u64 *out);

// symbols_linux.c: a bzImage's kernel (free() it), the names of a System.map (false: it is none) or
// of a kernel's kallsyms.
bool symbols_is_bzimage(const u8 *bytes, u64 size);
struct status symbols_unpack_bzimage(const char *path, const u8 *bytes, u64 size, u8 **out,
                                     u64 *out_size);
bool symbols_read_map(struct symbol_object *o, const char *text, u64 size);
void symbols_read_kallsyms(struct symbol_object *o, const u8 *rodata, u64 size);

// The object that covers the address, NULL if none.
struct symbol_object *symbols_object(struct symbols *s, u64 address);
// Reads which unit has which code.
void symbols_read_units(struct symbol_object *o);
// Fills in file, path and line of a place.
void symbols_add_line(struct symbols *s, struct symbol_object *o, u64 address,
                      struct symbol_place *out);
// The unit whose code holds an address as linked, NULL if none.
Dwarf_Die *symbols_unit(struct symbol_object *o, u64 address);
// A path as a unit's debug information writes it, made absolute and brief.
const struct path_row *symbols_path(struct symbols *s, Dwarf_Die *unit, const char *written);
// Address of "file:line" in one object; false if it has none there.
bool symbols_line_address(struct symbol_object *o, const char *file, u64 file_length, unsigned line,
                          u64 *out);

#endif
