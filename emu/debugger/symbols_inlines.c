// SPDX-License-Identifier: MIT
// Which inlined functions an address lies in (DWARF 5, 3.3.8).
#include "debugger/symbols_internal.h"

#include <dwarf.h>
#include <stdlib.h>

static u64 number(Dwarf_Die *die, unsigned name)
{
    Dwarf_Attribute attribute;
    Dwarf_Word value = 0;
    if (dwarf_attr(die, name, &attribute)) {
        dwarf_formudata(&attribute, &value);
    }
    return value;
}

// Where an inlined function was called.
static void call_place(struct symbols *s, Dwarf_Die *unit, Dwarf_Die *inlined,
                       struct symbol_inline *out)
{
    Dwarf_Files *files;
    size_t count;
    u64 index = number(inlined, DW_AT_call_file);
    if (dwarf_getsrcfiles(unit, &files, &count) == 0 && index < count) {
        const char *path = dwarf_filesrc(files, index, NULL, NULL);
        out->file = path ? symbols_path(s, unit, path)->brief : NULL;
    }
    out->line = (unsigned)number(inlined, DW_AT_call_line);
}

// The entries that enclose the address, from the innermost out, as they are nested in the file:
// dwarf_getscopes() leaves at an inlined function for the place of its definition.
static int nesting(Dwarf_Die *unit, u64 address, Dwarf_Die **out)
{
    Dwarf_Die *scopes = NULL;
    *out = NULL;
    int depth = dwarf_getscopes(unit, address, &scopes);
    depth = depth > 0 ? dwarf_getscopes_die(&scopes[0], out) : 0;
    free(scopes);
    return depth;
}

unsigned symbols_inlines(struct symbols *s, u64 address, struct symbol_inline *out, unsigned room)
{
    struct symbol_place place;
    struct symbol_object *o = symbols_object(s, address);
    Dwarf_Die *unit = o ? symbols_unit(o, address - o->bias) : NULL, *scopes = NULL;
    int depth = unit ? nesting(unit, address - o->bias, &scopes) : 0;
    unsigned count = 0;
    if (depth <= 0 || !room || !symbols_place(s, address, &place)) {
        free(scopes);
        return 0;
    }
    struct symbol_inline here = {NULL, place.file, place.line};
    for (int i = 0; i < depth; i++) {
        int tag = dwarf_tag(&scopes[i]);
        if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) {
            continue;
        }
        here.name = dwarf_diename(&scopes[i]); // of its abstract origin
        if (count < room) {
            out[count++] = here;
        }
        if (tag == DW_TAG_subprogram) {
            break;
        }
        call_place(s, unit, &scopes[i], &here);
    }
    free(scopes);
    return count > 1 ? count : 0;
}
