// SPDX-License-Identifier: MIT
// Source lines of addresses and addresses of source lines (DWARF line tables, through libdw, which
// reads a unit's table at its first use).
#include "debugger/symbols_internal.h"

#include <dwarf.h>
#include <stdlib.h>
#include <string.h>

static int compare_units(const void *a, const void *b)
{
    const struct unit_range *x = a, *y = b;
    return x->begin < y->begin ? -1 : x->begin > y->begin;
}

static void add_range(struct symbol_object *o, size_t *room, u64 begin, u64 end,
                      const Dwarf_Die *unit)
{
    if (begin >= end) {
        return;
    }
    if (o->unit_count == *room) {
        *room = *room ? *room * 2 : 64;
        o->units = xrealloc(o->units, *room * sizeof(*o->units));
    }
    o->units[o->unit_count++] = (struct unit_range){begin, end, *unit};
}

void symbols_read_units(struct symbol_object *o)
{
    if (o->units_known || !o->dwarf) {
        return;
    }
    o->units_known = true;
    size_t room = 0;
    Dwarf_CU *cu = NULL;
    Dwarf_Die unit;
    // Not .debug_aranges: clang leaves it out.
    while (dwarf_get_units(o->dwarf, cu, &cu, NULL, NULL, &unit, NULL) == 0) {
        Dwarf_Addr base, begin, end;
        ptrdiff_t at = 0;
        while ((at = dwarf_ranges(&unit, at, &base, &begin, &end)) > 0) {
            add_range(o, &room, begin, end, &unit);
        }
    }
    if (o->unit_count) {
        qsort(o->units, o->unit_count, sizeof(*o->units), compare_units);
    }
}

Dwarf_Die *symbols_unit(struct symbol_object *o, u64 address)
{
    symbols_read_units(o);
    size_t low = 0, high = o->unit_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (o->units[middle].begin <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low && address < o->units[low - 1].end ? &o->units[low - 1].unit : NULL;
}

// --- paths

// Removes "." and "name/.." from an absolute path, in place.
static void normalise(char *path)
{
    char *out = path;
    const char *in = path;
    while (*in) {
        while (*in == '/') {
            in++;
        }
        size_t length = strcspn(in, "/");
        if (length == 2 && in[0] == '.' && in[1] == '.') {
            while (out > path && *--out != '/') {
            }
        } else if (length && !(length == 1 && in[0] == '.')) {
            *out++ = '/';
            memmove(out, in, length);
            out += length;
        }
        in += length;
    }
    *out = '\0';
}

static const char *brief_of(const char *path)
{
    const char *brief = path + strlen(path);
    for (int slashes = 0; brief > path; brief--) {
        if (brief[-1] == '/' && ++slashes == 2) {
            break;
        }
    }
    return brief;
}

const struct path_row *symbols_path(struct symbols *s, Dwarf_Die *unit, const char *written)
{
    Dwarf_Attribute attribute;
    const char *directory = dwarf_formstring(dwarf_attr(unit, DW_AT_comp_dir, &attribute));
    for (size_t i = 0; i < s->path_count; i++) {
        if (s->paths[i].written == written && s->paths[i].directory == directory) {
            return &s->paths[i];
        }
    }
    s->paths = xrealloc(s->paths, (s->path_count + 1) * sizeof(*s->paths));
    struct path_row *row = &s->paths[s->path_count++];
    row->written = written;
    row->directory = directory;
    row->absolute = written[0] == '/' ? xstrdup(written)
                                      : xasprintf("%s/%s", directory ? directory : "", written);
    normalise(row->absolute);
    row->brief = brief_of(row->absolute);
    return row;
}

// --- lines of addresses

void symbols_add_line(struct symbols *s, struct symbol_object *o, u64 address,
                      struct symbol_place *out)
{
    Dwarf_Die *unit = symbols_unit(o, address - o->bias);
    Dwarf_Line *line = unit ? dwarf_getsrc_die(unit, address - o->bias) : NULL;
    const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
    int number = 0;
    if (!file || dwarf_lineno(line, &number) || number <= 0) {
        return;
    }
    const struct path_row *path = symbols_path(s, unit, file);
    out->path = path->absolute;
    out->file = path->brief;
    out->line = (unsigned)number;
}

// Row i of a unit's line table.
struct line_row {
    u64 address;
    int line;
    const char *file;
    bool end, statement;
};

static bool line_row(Dwarf_Lines *lines, size_t i, struct line_row *out)
{
    Dwarf_Line *line = dwarf_onesrcline(lines, i);
    Dwarf_Addr address;
    if (!line || dwarf_lineaddr(line, &address) || dwarf_lineno(line, &out->line) ||
        dwarf_lineendsequence(line, &out->end) || dwarf_linebeginstatement(line, &out->statement)) {
        return false;
    }
    out->address = address;
    out->file = dwarf_linesrc(line, NULL, NULL);
    return out->file != NULL;
}

// The last row at or before the address: libdw keeps rows sorted by address.
static bool row_at(Dwarf_Lines *lines, size_t count, u64 address, size_t *index)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        Dwarf_Addr at;
        if (dwarf_lineaddr(dwarf_onesrcline(lines, middle), &at)) {
            return false;
        }
        if (at <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *index = low - 1;
    return low > 0;
}

bool symbols_line_range(struct symbols *s, u64 address, u64 *begin, u64 *end)
{
    struct symbol_object *o = symbols_object(s, address);
    Dwarf_Die *unit = o ? symbols_unit(o, address - o->bias) : NULL;
    Dwarf_Lines *lines;
    size_t count, at;
    struct line_row here, row;
    if (!unit || dwarf_getsrclines(unit, &lines, &count) ||
        !row_at(lines, count, address - o->bias, &at) || !line_row(lines, at, &here) || here.end) {
        return false;
    }
    *begin = here.address;
    for (size_t i = at; i > 0 && line_row(lines, i - 1, &row) && !row.end; i--) {
        if (row.line != here.line || strcmp(row.file, here.file)) {
            break;
        }
        *begin = row.address;
    }
    *end = here.address;
    for (size_t i = at + 1; i < count && line_row(lines, i, &row); i++) {
        *end = row.address;
        if (row.end || row.line != here.line || strcmp(row.file, here.file)) {
            break;
        }
    }
    *begin += o->bias;
    *end += o->bias;
    return *end > address;
}

// Whether the rows of a function's first address, the last of which is at, are of two lines: then
// its body begins there (compilers that optimise need no prologue to find arguments).
static bool begins_with_body(Dwarf_Lines *lines, size_t at)
{
    struct line_row first, row;
    if (!line_row(lines, at, &first)) {
        return false;
    }
    for (size_t i = at; i > 0 && line_row(lines, i - 1, &row); i--) {
        if (row.end || row.address != first.address) {
            break;
        }
        if (row.line != first.line) {
            return true;
        }
    }
    return false;
}

u64 symbols_after_prologue(struct symbols *s, u64 function)
{
    struct symbol_object *o = symbols_object(s, function);
    Dwarf_Die *unit = o ? symbols_unit(o, function - o->bias) : NULL;
    Dwarf_Lines *lines;
    size_t count, at;
    struct line_row row;
    struct symbol_place place;
    if (!unit || !symbols_name(s, function, &place) || !place.name ||
        dwarf_getsrclines(unit, &lines, &count) || !row_at(lines, count, function - o->bias, &at)) {
        return function;
    }
    if (begins_with_body(lines, at)) {
        return function;
    }
    u64 limit = place.start + place.size - o->bias;
    for (size_t i = at + 1; i < count && line_row(lines, i, &row); i++) {
        if (row.end || row.address >= limit) {
            break;
        }
        if (row.address > function - o->bias && row.statement && row.line > 0) {
            return row.address + o->bias;
        }
    }
    return function;
}

// --- addresses of lines

// Whether path ends in the given name, at a component.
static bool path_matches(const char *path, const char *name, u64 length)
{
    u64 n = strlen(path);
    return n >= length && !memcmp(path + n - length, name, length) &&
           (n == length || path[n - length - 1] == '/');
}

// The best row for line among a unit's: exact, else the smallest line behind it; of equals the
// lowest address.
static void best_line(Dwarf_Lines *lines, size_t count, const char *file, u64 file_length,
                      unsigned line, struct line_row *best)
{
    const char *seen = NULL; // the last file compared: rows of one file come in runs
    bool matches = false;
    for (size_t i = 0; i < count; i++) {
        struct line_row row;
        if (!line_row(lines, i, &row) || row.end || !row.statement || row.line < (int)line) {
            continue;
        }
        if (row.file != seen) {
            seen = row.file;
            matches = path_matches(row.file, file, file_length);
        }
        if (matches && (!best->file || row.line < best->line ||
                        (row.line == best->line && row.address < best->address))) {
            *best = row;
        }
    }
}

bool symbols_line_address(struct symbol_object *o, const char *file, u64 file_length, unsigned line,
                          u64 *out)
{
    struct line_row best = {0};
    Dwarf_CU *cu = NULL;
    Dwarf_Die unit;
    while (o->dwarf && file_length &&
           dwarf_get_units(o->dwarf, cu, &cu, NULL, NULL, &unit, NULL) == 0) {
        Dwarf_Lines *lines;
        size_t count;
        if (dwarf_getsrclines(&unit, &lines, &count) == 0) {
            best_line(lines, count, file, file_length, line, &best);
        }
    }
    *out = best.address + o->bias;
    return best.file != NULL;
}
