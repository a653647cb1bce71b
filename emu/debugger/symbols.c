// SPDX-License-Identifier: MIT
// Files with symbols: opening, names of addresses, addresses of names.
#include "debugger/symbols_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_WHOLE_BYTES (64l << 20) // larger files are read as needed
#define USER_END (UINT64_C(1) << 47)
#define KERNEL_HALF (UINT64_C(1) << 63)
#define FILE_MAX_BYTES (INT64_C(512) << 20)

struct symbols *symbols_create(void)
{
    elf_version(EV_CURRENT);
    return xcalloc(1, sizeof(struct symbols));
}

static void object_free(struct symbol_object *o)
{
    if (o->cfi_eh) {
        dwarf_cfi_end(o->cfi_eh);
    }
    if (o->dwarf) {
        dwarf_end(o->dwarf); // its CFI with it
    }
    elf_end(o->elf);
    if (o->fd >= 0) {
        close(o->fd);
    }
    btf_close(o->btf);
    free(o->image);
    free(o->text);
    free(o->types);
    free(o->units);
    free(o->names);
    free(o->segments);
    free(o->path);
    free(o);
}

void symbols_destroy(struct symbols *s)
{
    if (!s) {
        return;
    }
    for (unsigned i = 0; i < s->object_count; i++) {
        object_free(s->objects[i]);
    }
    for (size_t i = 0; i < s->path_count; i++) {
        free(s->paths[i].absolute);
    }
    free(s->paths);
    free(s->objects);
    free(s->program);
    free(s);
}

// --- opening

static void read_segments(struct symbol_object *o)
{
    size_t count = 0;
    elf_getphdrnum(o->elf, &count);
    o->segments = xcalloc(count + 1, sizeof(*o->segments));
    for (size_t i = 0; i < count; i++) {
        GElf_Phdr p;
        if (gelf_getphdr(o->elf, (int)i, &p) && p.p_type == PT_LOAD && p.p_memsz) {
            o->segments[o->segment_count++] =
                (struct address_range){p.p_vaddr, p.p_vaddr + p.p_memsz};
            o->kernel |= p.p_vaddr >= KERNEL_HALF;
        }
    }
    // A kernel's per-CPU variables are linked for address 0, where programs are.
    for (unsigned i = 0; o->kernel && i < o->segment_count; i++) {
        if (o->segments[i].begin < KERNEL_HALF) {
            o->segments[i] = (struct address_range){0, 0};
        }
    }
}

#define RANK_FUNCTION 4

static u8 name_rank(const GElf_Sym *sym)
{
    u8 rank = GELF_ST_BIND(sym->st_info) == STB_LOCAL ? 0 : 1;
    switch (GELF_ST_TYPE(sym->st_info)) {
    case STT_FUNC:
    case STT_GNU_IFUNC:
        return rank + RANK_FUNCTION;
    case STT_OBJECT:
        return rank + 2;
    default:
        return rank;
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct name_row *x = a, *y = b;
    if (x->start != y->start) {
        return x->start < y->start ? -1 : 1;
    }
    if (x->rank != y->rank) {
        return x->rank < y->rank ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

// Adds the names of one symbol table section.
static void read_names(struct symbol_object *o, Elf_Scn *section, const GElf_Shdr *header)
{
    Elf_Data *data = elf_getdata(section, NULL);
    if (!data || !header->sh_entsize) {
        return;
    }
    size_t count = data->d_size / sizeof(Elf64_Sym);
    o->names = xrealloc(o->names, (o->name_count + count + 1) * sizeof(*o->names));
    for (size_t i = 1; i < count; i++) {
        GElf_Sym sym;
        GElf_Shdr home;
        if (!gelf_getsym(data, (int)i, &sym) || GELF_ST_TYPE(sym.st_info) > STT_FUNC ||
            GELF_ST_TYPE(sym.st_info) == STT_SECTION || sym.st_shndx == SHN_UNDEF ||
            sym.st_shndx >= SHN_LORESERVE) {
            continue;
        }
        const char *name = elf_strptr(o->elf, header->sh_link, sym.st_name);
        Elf_Scn *in = elf_getscn(o->elf, sym.st_shndx);
        if (!name || !*name || !in || !gelf_getshdr(in, &home) || !(home.sh_flags & SHF_ALLOC) ||
            (home.sh_flags & SHF_TLS)) {
            continue;
        }
        o->names[o->name_count++] = (struct name_row){.start = sym.st_value,
                                                      .size = sym.st_size,
                                                      .limit = home.sh_addr + home.sh_size,
                                                      .name = name,
                                                      .rank = name_rank(&sym)};
    }
}

static void read_symbol_tables(struct symbol_object *o)
{
    GElf_Word wanted[] = {SHT_SYMTAB, SHT_DYNSYM};
    for (unsigned i = 0; i < 2 && !o->name_count; i++) {
        for (Elf_Scn *section = NULL; (section = elf_nextscn(o->elf, section)) != NULL;) {
            GElf_Shdr header;
            if (gelf_getshdr(section, &header) && header.sh_type == wanted[i]) {
                read_names(o, section, &header);
            }
        }
    }
}

// --- what Linux kernels carry themselves

static const u8 *section_bytes(struct symbol_object *o, const char *name, u64 *address, u64 *size)
{
    size_t names;
    if (elf_getshdrstrndx(o->elf, &names)) {
        return NULL;
    }
    for (Elf_Scn *section = NULL; (section = elf_nextscn(o->elf, section)) != NULL;) {
        GElf_Shdr header;
        const char *own =
            gelf_getshdr(section, &header) ? elf_strptr(o->elf, names, header.sh_name) : NULL;
        Elf_Data *data = own && !strcmp(own, name) ? elf_rawdata(section, NULL) : NULL;
        if (data && data->d_buf) {
            *address = header.sh_addr;
            *size = data->d_size;
            return data->d_buf;
        }
    }
    return NULL;
}

static void read_own_tables(struct symbol_object *o)
{
    u64 address, size = 0, entries_size = 0;
    struct symbol_member end;
    const u8 *btf = section_bytes(o, ".BTF", &address, &size);
    o->btf = btf ? btf_open(btf, size) : NULL;
    const u8 *rodata = o->name_count ? NULL : section_bytes(o, ".rodata", &address, &size);
    if (rodata) {
        symbols_read_kallsyms(o, rodata, size);
    }
    o->orc.entries = section_bytes(o, ".orc_unwind", &address, &entries_size);
    o->orc.places = section_bytes(o, ".orc_unwind_ip", &o->orc.places_address, &size);
    if (o->orc.entries && o->orc.places && size / 4 == entries_size / 6) {
        o->orc.count = size / 4;
        o->orc.has_end_bit = o->btf && btf_member(o->btf, "orc_entry", "end", &end);
    }
}

static struct status not_usable(const char *path, const char *why)
{
    return status_error(STATUS_BAD_INPUT, "%s: %s", path, why);
}

// --- opening

static struct status check_elf(struct symbol_object *o, const char *path)
{
    GElf_Ehdr header;
    if (!o->elf || elf_kind(o->elf) != ELF_K_ELF || !gelf_getehdr(o->elf, &header)) {
        return not_usable(path, "not an ELF file, nor a bzImage or System.map");
    }
    if (header.e_machine != EM_X86_64 || gelf_getclass(o->elf) != ELFCLASS64) {
        return not_usable(path, "an ELF file, but not for x86-64");
    }
    return status_success();
}

// A file that is not ELF itself: a kernel in its wrapping, or a list of names.
static struct status open_other(struct symbol_object *o, const char *path, off_t size)
{
    u8 *bytes = xcalloc(1, (size_t)size + 1);
    struct status status = status_success();
    u64 image_size;
    if (pread(o->fd, bytes, (size_t)size, 0) != (ssize_t)size) {
        status = not_usable(path, strerror(errno));
    } else if (symbols_is_bzimage(bytes, (u64)size)) {
        status = symbols_unpack_bzimage(path, bytes, (u64)size, &o->image, &image_size);
        if (status_ok(&status)) {
            o->elf = elf_memory((char *)o->image, image_size);
            status = check_elf(o, path);
        }
    } else if (!symbols_read_map(o, (const char *)bytes, (u64)size)) {
        status = check_elf(o, path);
    }
    free(bytes);
    close(o->fd);
    o->fd = -1;
    return status;
}

static struct status open_file(struct symbol_object *o, const char *path)
{
    char magic[SELFMAG] = "";
    o->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (o->fd < 0) {
        return not_usable(path, strerror(errno));
    }
    off_t size = lseek(o->fd, 0, SEEK_END);
    if (pread(o->fd, magic, sizeof(magic), 0) < 0) {
        return not_usable(path, strerror(errno));
    }
    if (memcmp(magic, ELFMAG, SELFMAG) && size > 0 && size < FILE_MAX_BYTES) {
        return open_other(o, path, size);
    }
    o->elf = elf_begin(o->fd, ELF_C_READ, NULL);
    struct status status = check_elf(o, path);
    // A file that is built anew meanwhile must not mix with what was read.
    if (status_ok(&status) && size < READ_WHOLE_BYTES && elf_cntl(o->elf, ELF_C_FDREAD) == 0) {
        close(o->fd);
        o->fd = -1;
    }
    return status;
}

// Names without a file around them: they cover what lies between the first and the last.
static void cover_names(struct symbol_object *o)
{
    u64 begin = UINT64_MAX, end = 0;
    for (size_t i = 0; i < o->name_count; i++) {
        u64 start = o->names[i].start;
        o->kernel |= start >= KERNEL_HALF;
        begin = start >= KERNEL_HALF && start < begin ? start : begin;
        end = start > end ? start : end;
    }
    o->segments = xcalloc(1, sizeof(*o->segments));
    o->segments[0] = (struct address_range){o->kernel ? begin : 0, end + 1};
    o->segment_count = 1;
}

struct status symbols_add(struct symbols *s, const char *path, u64 bias, bool kernel)
{
    struct symbol_object *o = xcalloc(1, sizeof(*o));
    o->path = xstrdup(path);
    o->name = strrchr(o->path, '/') ? strrchr(o->path, '/') + 1 : o->path;
    o->bias = bias;
    o->kernel = kernel;
    struct status status = open_file(o, path);
    if (!status_ok(&status)) {
        object_free(o);
        return status;
    }
    GElf_Ehdr header;
    if (o->elf) {
        o->relocatable =
            gelf_getehdr(o->elf, &header) && header.e_type == ET_DYN && !bias && !kernel;
        read_segments(o);
        read_symbol_tables(o);
        if (o->kernel) {
            read_own_tables(o);
        }
        o->dwarf = dwarf_begin_elf(o->elf, DWARF_C_READ, NULL);
    } else {
        cover_names(o);
    }
    if (o->name_count) {
        qsort(o->names, o->name_count, sizeof(*o->names), compare_names);
    }
    s->objects = xrealloc(s->objects, (s->object_count + 1) * sizeof(struct symbol_object *));
    s->objects[s->object_count++] = o;
    return status;
}

void symbols_set_program(struct symbols *s, const char *path)
{
    const char *base = path ? strrchr(path, '/') : NULL;
    base = base ? base + 1 : path;
    if (!base || !s->program || strcmp(base, s->program)) {
        free(s->program);
        s->program = base ? xstrdup(base) : NULL;
    }
    for (unsigned i = 0; i < s->object_count; i++) {
        s->objects[i]->mapped = base && !strcmp(base, s->objects[i]->name);
    }
}

bool symbols_map(struct symbols *s, const char *path, u64 begin)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    for (unsigned i = 0; i < s->object_count; i++) {
        struct symbol_object *o = s->objects[i];
        if (!o->kernel && o->relocatable && !strcmp(base, o->name)) {
            o->mapped = true;
            o->bias = o->segment_count ? begin - (o->segments[0].begin & ~UINT64_C(0xFFF)) : 0;
            return true;
        }
    }
    return false;
}

bool symbols_need_maps(const struct symbols *s)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        if (!s->objects[i]->kernel && s->objects[i]->relocatable) {
            return true;
        }
    }
    return false;
}

// --- names of addresses

static bool object_covers(const struct symbol_object *o, u64 address)
{
    for (unsigned i = 0; i < o->segment_count; i++) {
        if (address - o->bias >= o->segments[i].begin && address - o->bias < o->segments[i].end) {
            return true;
        }
    }
    return false;
}

// Whether the object's addresses mean it now: a program's only while it runs.
static bool object_counts(const struct symbols *s, const struct symbol_object *o, u64 address)
{
    return o->kernel || (address < USER_END && (!s->program || o->mapped));
}

struct symbol_object *symbols_object(struct symbols *s, u64 address)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        struct symbol_object *o = s->objects[i];
        if (object_counts(s, o, address) && object_covers(o, address)) {
            return o;
        }
    }
    return NULL;
}

// Index of the first row that starts above address.
static size_t names_above(const struct symbol_object *o, u64 address)
{
    size_t low = 0, high = o->name_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (o->names[middle].start <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

// The row that names address: one whose size covers it, else the nearest label of its section. Rows
// are few between a function's start and a label in it, so the look back is short.
static const struct name_row *name_of(const struct symbol_object *o, u64 address)
{
    const struct name_row *label = NULL;
    size_t above = names_above(o, address);
    for (size_t i = above; i > 0 && above - i < 64; i--) {
        const struct name_row *row = &o->names[i - 1];
        if (row->size && address - row->start < row->size) {
            return row;
        }
        if (row->size) {
            break; // ends before the address: only labels behind it may still name it
        }
        if (!label && address < row->limit) {
            label = row;
        }
    }
    return label;
}

bool symbols_name(struct symbols *s, u64 address, struct symbol_place *out)
{
    memset(out, 0, sizeof(*out));
    struct symbol_object *o = symbols_object(s, address);
    if (!o) {
        return false;
    }
    out->object = o->name;
    const struct name_row *row = name_of(o, address - o->bias);
    if (row) {
        out->name = row->name;
        out->start = row->start + o->bias;
        out->offset = address - out->start;
        out->size = row->size;
        size_t next = names_above(o, row->start);
        if (!out->size) { // a label goes up to the next name
            out->size =
                (next < o->name_count && o->names[next].start < row->limit ? o->names[next].start
                                                                           : row->limit) -
                row->start;
        }
    }
    return true;
}

bool symbols_place(struct symbols *s, u64 address, struct symbol_place *out)
{
    if (!symbols_name(s, address, out)) {
        return false;
    }
    symbols_add_line(s, symbols_object(s, address), address, out);
    return true;
}

void symbols_format(struct symbols *s, u64 address, char *text, u64 size)
{
    struct symbol_place place = {0};
    if (!s || !symbols_name(s, address, &place) || !place.name) {
        snprintf(text, size, "0x%llx", (unsigned long long)address);
    } else if (place.offset) {
        snprintf(text, size, "%s+0x%llx", place.name, (unsigned long long)place.offset);
    } else {
        snprintf(text, size, "%s", place.name);
    }
}

// --- addresses of names

// The best row of that name in one object.
static const struct name_row *find_name(const struct symbol_object *o, const char *name, u64 length)
{
    const struct name_row *best = NULL;
    for (size_t i = 0; i < o->name_count; i++) {
        const struct name_row *row = &o->names[i];
        if (!strncmp(row->name, name, length) && !row->name[length] &&
            (!best || row->rank > best->rank)) {
            best = row;
        }
    }
    return best;
}

// Looks in the kernel's files (want_kernel) or in programs, those that run now or the others.
static bool find_among(struct symbols *s, const char *name, u64 length, bool want_kernel,
                       bool want_current, u64 *out)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        const struct symbol_object *o = s->objects[i];
        if (o->kernel != want_kernel || (!want_kernel && o->mapped != want_current)) {
            continue;
        }
        const struct name_row *row = find_name(o, name, length);
        if (row) { // a kernel's per-CPU variables are offsets, wherever it lies
            bool moves = !o->kernel || row->start >= KERNEL_HALF;
            *out = row->start + (moves ? o->bias : 0);
            return true;
        }
    }
    return false;
}

bool symbols_own_address(const struct symbol_object *o, const char *name, u64 *out)
{
    const struct name_row *row = find_name(o, name, strlen(name));
    *out = row ? row->start : 0;
    return row != NULL;
}

bool symbols_kernel_address(struct symbols *s, const char *name, u64 *out)
{
    return find_among(s, name, strlen(name), true, false, out);
}

// The program that runs goes before the kernel, both before programs that do not run now.
static bool find_by_name(struct symbols *s, const char *name, u64 length, u64 *out)
{
    return find_among(s, name, length, false, true, out) ||
           find_among(s, name, length, true, false, out) ||
           find_among(s, name, length, false, false, out);
}

static bool parse_number(const char *text, u64 *out)
{
    char *end;
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    *out = strtoull(text, &end, 0);
    return !*end && !errno;
}

bool symbols_address(struct symbols *s, const char *text, u64 *out)
{
    if (parse_number(text, out)) {
        return true;
    }
    const char *colon = strrchr(text, ':'), *plus = strrchr(text, '+');
    u64 number = 0;
    if (colon && parse_number(colon + 1, &number) && number && number <= UINT32_MAX) {
        for (unsigned i = 0; i < s->object_count; i++) {
            if (symbols_line_address(s->objects[i], text, (u64)(colon - text), (unsigned)number,
                                     out)) {
                return true;
            }
        }
        return false;
    }
    u64 length = plus && parse_number(plus + 1, &number) ? (u64)(plus - text) : strlen(text);
    if (!length || !find_by_name(s, text, length, out)) {
        return false;
    }
    *out += number;
    return true;
}

void symbols_each_name(struct symbols *s, const char *prefix,
                       void (*fn)(void *ctx, const char *name), void *ctx)
{
    size_t length = strlen(prefix);
    for (unsigned i = 0; i < s->object_count; i++) {
        const struct symbol_object *o = s->objects[i];
        for (size_t k = 0; k < o->name_count; k++) {
            if (!strncmp(o->names[k].name, prefix, length)) {
                fn(ctx, o->names[k].name);
            }
        }
    }
}

void symbols_each(struct symbols *s, void (*fn)(void *ctx, const struct symbol_row *row), void *ctx)
{
    for (unsigned i = 0; i < s->object_count; i++) {
        const struct symbol_object *o = s->objects[i];
        size_t above = 0; // the first name at a higher address
        for (size_t k = 0; k < o->name_count; k++) {
            const struct name_row *row = &o->names[k];
            while (above < o->name_count && o->names[above].start <= row->start) {
                above++;
            }
            struct symbol_row out = {.name = row->name,
                                     .address = row->start + o->bias,
                                     .size = row->size,
                                     .function = row->rank >= RANK_FUNCTION};
            if (!out.size && above < o->name_count) {
                out.size = o->names[above].start - row->start;
            }
            fn(ctx, &out);
        }
    }
}
