// SPDX-License-Identifier: MIT
// Structures, members and enumerators by name. Units are indexed one after another until the name
// is found, so that a kernel's layout costs a few units' reading.
#include "debugger/symbols_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 8 // of anonymous members and type qualifiers: a malformed file may be circular

static u64 name_hash(const char *name)
{
    u64 h = 0xcbf29ce484222325; // FNV-1a
    for (; *name; name++) {
        h = (h ^ (u8)*name) * 0x100000001b3;
    }
    return h;
}

static struct type_row *type_slot(struct symbol_object *o, const char *name, bool is_enumerator)
{
    for (u64 i = name_hash(name);; i++) {
        struct type_row *row = &o->types[i & (o->type_room - 1)];
        if (!row->name || (row->is_enumerator == is_enumerator && !strcmp(row->name, name))) {
            return row;
        }
    }
}

static void type_insert(struct symbol_object *o, const struct type_row *row)
{
    if (o->type_count * 2 >= o->type_room) {
        struct type_row *old = o->types;
        size_t old_room = o->type_room;
        o->type_room = old_room ? old_room * 2 : 1024;
        o->types = xcalloc(o->type_room, sizeof(*o->types));
        for (size_t i = 0; i < old_room; i++) {
            if (old[i].name) {
                *type_slot(o, old[i].name, old[i].is_enumerator) = old[i];
            }
        }
        free(old);
    }
    struct type_row *slot = type_slot(o, row->name, row->is_enumerator);
    if (!slot->name) { // the first definition stands
        *slot = *row;
        o->type_count++;
    }
}

static void index_enumerators(struct symbol_object *o, Dwarf_Die *enumeration)
{
    Dwarf_Die die;
    if (dwarf_child(enumeration, &die)) {
        return;
    }
    do {
        const char *name = dwarf_diename(&die);
        if (dwarf_tag(&die) == DW_TAG_enumerator && name) {
            type_insert(o, &(struct type_row){name, dwarf_dieoffset(&die), true});
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

static void index_unit(struct symbol_object *o, Dwarf_Die *unit)
{
    Dwarf_Die die;
    if (dwarf_child(unit, &die)) {
        return;
    }
    do {
        int tag = dwarf_tag(&die);
        if (tag == DW_TAG_enumeration_type) {
            index_enumerators(o, &die);
        }
        if (tag != DW_TAG_structure_type && tag != DW_TAG_union_type && tag != DW_TAG_typedef) {
            continue;
        }
        const char *name = dwarf_diename(&die);
        if (name && !dwarf_hasattr(&die, DW_AT_declaration)) {
            type_insert(o, &(struct type_row){name, dwarf_dieoffset(&die), false});
        }
    } while (dwarf_siblingof(&die, &die) == 0);
}

// Reads on, unit by unit, until the name turns up.
static bool find_in_object(struct symbol_object *o, const char *name, bool is_enumerator,
                           Dwarf_Die *out)
{
    while (o->dwarf) {
        struct type_row *row = o->type_room ? type_slot(o, name, is_enumerator) : NULL;
        if (row && row->name) {
            return dwarf_offdie(o->dwarf, row->die, out) != NULL;
        }
        Dwarf_Die unit;
        if (o->types_complete ||
            dwarf_get_units(o->dwarf, o->type_unit, &o->type_unit, NULL, NULL, &unit, NULL) != 0) {
            o->types_complete = true;
            return false;
        }
        index_unit(o, &unit);
    }
    return false;
}

static bool find_type(struct symbols *s, const char *name, bool is_enumerator, bool kernel,
                      Dwarf_Die *out)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        if (s->objects[i]->kernel == kernel &&
            find_in_object(s->objects[i], name, is_enumerator, out)) {
            return true;
        }
    }
    return false;
}

// --- members

// The type behind a member, names and qualifiers taken off.
static bool type_of(Dwarf_Die *die, Dwarf_Die *type)
{
    Dwarf_Attribute attribute;
    Dwarf_Die named;
    return dwarf_formref_die(dwarf_attr_integrate(die, DW_AT_type, &attribute), &named) &&
           dwarf_peel_type(&named, type) == 0;
}

static u64 member_offset(Dwarf_Die *member)
{
    Dwarf_Attribute attribute;
    Dwarf_Word offset = 0;
    if (dwarf_attr(member, DW_AT_data_member_location, &attribute)) {
        dwarf_formudata(&attribute, &offset);
    }
    return offset;
}

// Finds a member of a structure, inside anonymous members too; adds its offset to *offset.
static bool find_member(Dwarf_Die *type, const char *name, u64 length, unsigned nesting,
                        Dwarf_Die *out, u64 *offset)
{
    Dwarf_Die die;
    if (nesting > MAX_NESTING || dwarf_child(type, &die)) {
        return false;
    }
    do {
        if (dwarf_tag(&die) != DW_TAG_member) {
            continue;
        }
        const char *own = dwarf_diename(&die);
        Dwarf_Die inner;
        u64 inner_offset = *offset + member_offset(&die);
        if (own && !strncmp(own, name, length) && !own[length]) {
            *offset = inner_offset;
            *out = die;
            return true;
        }
        if (!own && type_of(&die, &inner) &&
            find_member(&inner, name, length, nesting + 1, out, &inner_offset)) {
            *offset = inner_offset;
            return true;
        }
    } while (dwarf_siblingof(&die, &die) == 0);
    return false;
}

// "[3]" behind an array's name: the type becomes the element's.
static bool step_into_array(const char **path, Dwarf_Die *type, u64 *offset)
{
    Dwarf_Die element;
    Dwarf_Word size;
    char *end;
    u64 index = strtoull(*path + 1, &end, 0);
    if (*end != ']' || dwarf_tag(type) != DW_TAG_array_type || !type_of(type, &element) ||
        dwarf_aggregate_size(&element, &size)) {
        return false;
    }
    *offset += index * size;
    *type = element;
    *path = end + 1;
    return true;
}

static void describe(Dwarf_Die *type, struct symbol_member *out)
{
    Dwarf_Attribute attribute;
    Dwarf_Word encoding = 0, size = 0;
    dwarf_aggregate_size(type, &size);
    out->size = size;
    out->is_pointer = dwarf_tag(type) == DW_TAG_pointer_type;
    if (dwarf_tag(type) == DW_TAG_base_type && dwarf_attr(type, DW_AT_encoding, &attribute)) {
        dwarf_formudata(&attribute, &encoding);
    }
    out->is_signed = encoding == DW_ATE_signed || encoding == DW_ATE_signed_char;
}

static const char *bare_name(const char *name)
{
    return strncmp(name, "struct ", 7) ? name : name + 7;
}

static bool find_struct(struct symbols *s, const char *name, bool kernel, Dwarf_Die *out)
{
    Dwarf_Die die;
    return find_type(s, bare_name(name), false, kernel, &die) && dwarf_peel_type(&die, out) == 0;
}

static bool dwarf_member(struct symbols *s, const char *struct_name, const char *member,
                         bool kernel, struct symbol_member *out)
{
    Dwarf_Die type;
    u64 offset = 0;
    if (!find_struct(s, struct_name, kernel, &type)) {
        return false;
    }
    for (const char *path = member; *path; path += *path == '.') {
        if (*path == '[') {
            if (!step_into_array(&path, &type, &offset)) {
                return false;
            }
            continue;
        }
        Dwarf_Die found, inner;
        u64 length = strcspn(path, ".[");
        if (!length || !find_member(&type, path, length, 0, &found, &offset) ||
            !type_of(&found, &inner)) {
            return false;
        }
        type = inner;
        path += length;
    }
    *out = (struct symbol_member){.offset = offset};
    describe(&type, out);
    return true;
}

static bool dwarf_struct_size(struct symbols *s, const char *struct_name, bool kernel, u64 *size)
{
    Dwarf_Die type;
    Dwarf_Word bytes;
    if (!find_struct(s, struct_name, kernel, &type) || dwarf_aggregate_size(&type, &bytes)) {
        return false;
    }
    *size = bytes;
    return true;
}

static bool dwarf_enumerator(struct symbols *s, const char *name, bool kernel, s64 *value)
{
    Dwarf_Die die;
    Dwarf_Attribute attribute;
    Dwarf_Sword number;
    Dwarf_Word positive;
    if (!find_type(s, name, true, kernel, &die) ||
        !dwarf_attr(&die, DW_AT_const_value, &attribute)) {
        return false;
    }
    // DW_FORM_data1..8 say nothing of the sign: compilers use them for what is not negative.
    bool is_signed = dwarf_whatform(&attribute) == DW_FORM_sdata ||
                     dwarf_whatform(&attribute) == DW_FORM_implicit_const;
    if (is_signed ? dwarf_formsdata(&attribute, &number) : dwarf_formudata(&attribute, &positive)) {
        return false;
    }
    *value = is_signed ? number : (s64)positive;
    return true;
}

// --- whoever knows: a kernel's DWARF, its BTF, a program's DWARF

static const struct btf *kernel_btf(const struct symbols *s)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        if (s->objects[i]->btf) {
            return s->objects[i]->btf;
        }
    }
    return NULL;
}

bool symbols_member(struct symbols *s, const char *struct_name, const char *member,
                    struct symbol_member *out)
{
    const struct btf *b = kernel_btf(s);
    return dwarf_member(s, struct_name, member, true, out) ||
           (b && btf_member(b, bare_name(struct_name), member, out)) ||
           dwarf_member(s, struct_name, member, false, out);
}

bool symbols_struct_size(struct symbols *s, const char *struct_name, u64 *size)
{
    const struct btf *b = kernel_btf(s);
    return dwarf_struct_size(s, struct_name, true, size) ||
           (b && btf_struct_size(b, bare_name(struct_name), size)) ||
           dwarf_struct_size(s, struct_name, false, size);
}

bool symbols_enumerator(struct symbols *s, const char *name, s64 *value)
{
    const struct btf *b = kernel_btf(s);
    return dwarf_enumerator(s, name, true, value) || (b && btf_enumerator(b, name, value)) ||
           dwarf_enumerator(s, name, false, value);
}
