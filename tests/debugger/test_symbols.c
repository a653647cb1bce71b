// SPDX-License-Identifier: MIT
// test_symbols FERN PROGRAM PROGRAM.C PIE: names, lines, types and errors of the symbol reader. The
// lines of a thousand addresses of each file are compared with addr2line's.
#include "boot.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLES 1000

static const char *fern, *program, *source;

static struct symbols *open_symbols(const char *path, bool kernel)
{
    struct symbols *s = symbols_create();
    struct status status = symbols_add(s, path, 0, kernel);
    if (!status_ok(&status)) {
        printf("not ok - %s\n", status.text);
        exit(1);
    }
    return s;
}

static double milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

// --- against addr2line

// What addr2line prints for the addresses: "function\nfile:line\n" each.
static FILE *start_addr2line(const char *options, const char *path, const u64 *addresses,
                             unsigned count)
{
    char name[] = "/tmp/test_symbols_XXXXXX", *command;
    int fd = mkstemp(name);
    FILE *list = fd < 0 ? NULL : fdopen(fd, "w");
    if (!list) {
        return NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        fprintf(list, "%#llx\n", (unsigned long long)addresses[i]);
    }
    fclose(list);
    if (asprintf(&command, "addr2line %s -f -e '%s' < %s; rm %s", options, path, name, name) < 0) {
        return NULL;
    }
    FILE *out = popen(command, "r");
    free(command);
    return out;
}

// "…/a/../b.c:12 (discriminator 3)" → the base name and the line.
static unsigned split_place(char *text, char **file)
{
    char *colon = strrchr(text, ':');
    unsigned line = colon ? (unsigned)atoi(colon + 1) : 0;
    if (colon) {
        *colon = '\0';
    }
    *file = strrchr(text, '/') ? strrchr(text, '/') + 1 : text;
    return line;
}

static const char *base_name(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL;
    return slash ? slash + 1 : path;
}

// Of a kernel all over its code, of the program in its own functions (the C library has no lines).
static void pick_addresses(struct symbols *s, bool kernel, u64 *addresses)
{
    static const char *const functions[] = {"lines_leaf", "lines_middle", "main"};
    u64 begin = 0, end = 0;
    srand(7);
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct symbol_place place = {0};
        if (kernel) {
            symbols_address(s, "text_start", &begin);
            symbols_address(s, "text_end", &end);
        } else {
            symbols_address(s, functions[i % 3], &begin);
            symbols_name(s, begin, &place);
            end = begin + place.size;
        }
        addresses[i] = begin + (u64)(rand() % (int)(end - begin));
    }
}

static void compare_lines(const char *path, bool kernel)
{
    struct symbols *s = open_symbols(path, kernel);
    u64 addresses[SAMPLES];
    unsigned differ = 0, with_line = 0;
    pick_addresses(s, kernel, addresses);
    FILE *theirs = start_addr2line("", path, addresses, SAMPLES);
    char function[256], text[1024], *file;
    for (unsigned i = 0; i < SAMPLES; i++) {
        if (!theirs || !fgets(function, sizeof(function), theirs) ||
            !fgets(text, sizeof(text), theirs)) {
            tap(false, "addr2line answered %u times only", i);
            break;
        }
        struct symbol_place place;
        unsigned line = split_place(text, &file);
        symbols_place(s, addresses[i], &place);
        with_line += place.line != 0;
        if (line != place.line || (line && strcmp(file, base_name(place.path)))) {
            if (differ++ < 5) {
                printf("# %#llx: %s:%u, addr2line %s:%u\n", (unsigned long long)addresses[i],
                       place.path, place.line, file, line);
            }
        }
    }
    if (theirs) {
        pclose(theirs);
    }
    tap(differ == 0 && with_line > SAMPLES / 2,
        "%s: %u of %u lines differ from addr2line's, %u known", base_name(path), differ, SAMPLES,
        with_line);
    symbols_destroy(s);
}

#ifndef __clang__
// Reads what addr2line -a -i prints for one address: functions from the innermost out.
static unsigned read_inlines(FILE *theirs, bool *more, char names[][64], char files[][64],
                             unsigned *lines, unsigned room)
{
    char function[256], text[1024], *file;
    unsigned count = 0;
    while (count < room) {
        *more = fgets(function, sizeof(function), theirs) != NULL;
        if (!*more || !strncmp(function, "0x", 2) || !fgets(text, sizeof(text), theirs)) {
            break;
        }
        lines[count] = split_place(text, &file);
        snprintf(names[count], 64, "%.*s", (int)strcspn(function, "\n"), function);
        snprintf(files[count], 64, "%.63s", file);
        count++;
    }
    return count;
}

static void compare_inlines(void)
{
    struct symbols *s = open_symbols(fern, true);
    u64 addresses[SAMPLES];
    unsigned differ = 0, inlined = 0, deepest = 0;
    pick_addresses(s, true, addresses);
    FILE *theirs = start_addr2line("-a -i", fern, addresses, SAMPLES);
    char first[64], names[16][64], files[16][64];
    bool more = theirs && fgets(first, sizeof(first), theirs);
    for (unsigned i = 0; more && i < SAMPLES; i++) {
        struct symbol_inline ours[16];
        unsigned lines[16], count = symbols_inlines(s, addresses[i], ours, 16);
        unsigned their_count = read_inlines(theirs, &more, names, files, lines, 16);
        bool same = count == (their_count > 1 ? their_count : 0);
        for (unsigned k = 0; same && k < count; k++) {
            same = ours[k].name && !strcmp(ours[k].name, names[k]) && ours[k].line == lines[k] &&
                   (!lines[k] || !strcmp(base_name(ours[k].file), files[k]));
        }
        inlined += count > 0;
        deepest = count > deepest ? count : deepest;
        if (!same && differ++ < 3) {
            printf("# %#llx: %u functions, addr2line has %u\n", (unsigned long long)addresses[i],
                   count, their_count);
        }
    }
    if (theirs) {
        pclose(theirs);
    }
    tap(!differ && inlined > SAMPLES / 10,
        "%u of %u addresses in inlined code (up to %u deep), %u differ", inlined, SAMPLES, deepest,
        differ);
    symbols_destroy(s);
}

#endif

// --- names and lines

static void names_of_fern(void)
{
    double start = milliseconds();
    struct symbols *s = open_symbols(fern, true);
    struct symbol_place place;
    u64 address = 0, again = 0;
    bool known = symbols_address(s, "syscall_dispatch", &address) &&
                 symbols_name(s, address + 5, &place) && !strcmp(place.name, "syscall_dispatch") &&
                 place.offset == 5 && place.start == address;
    double opened = milliseconds() - start;
    tap(known, "a function by name and back");
    known = symbols_place(s, address + 5, &place) && place.file;
    tap(known && !strcmp(place.file, "syscall/dispatch.c"), "its source file is %s",
        place.file ? place.file : "unknown");
    double lined = milliseconds() - start;
    tap(opened < 50 && lined < 100, "fern opens in %.1f ms, with a first line in %.1f ms", opened,
        lined);
    tap(symbols_address(s, "syscall_dispatch+0x10", &again) && again == address + 16,
        "name+offset");
    tap(symbols_address(s, "0xffffffff80200000", &again) && again == 0xffffffff80200000,
        "a number");
    tap(!symbols_address(s, "no_such_function", &again) && !symbols_address(s, "", &again) &&
            !symbols_address(s, "nofile.c:3", &again) && !symbols_address(s, "12garbage", &again) &&
            !symbols_address(s, "dispatch.c:4000000", &again),
        "what is unknown has no address");
    symbols_address(s, "entry_common", &address);
    tap(symbols_name(s, address + 3, &place) && !strcmp(place.name, "entry_common"),
        "a label of assembly");
    tap(!symbols_place(s, 0x400000, &place) && !place.name && !symbols_place(s, 0, &place) &&
            !symbols_place(s, ~UINT64_C(0), &place),
        "addresses outside have no name");
    symbols_destroy(s);
}

// Every line with code leads to an address whose line it is.
static void lines_and_back(void)
{
    struct symbols *s = open_symbols(program, false);
    char text[64];
    unsigned tried = 0, wrong = 0;
    const char *file = base_name(source);
    u64 leaf, end;
    struct symbol_place place;
    symbols_address(s, "lines_leaf", &leaf);
    for (unsigned line = 27; line <= 47; line++) {
        u64 address;
        snprintf(text, sizeof(text), "%s:%u", file, line);
        if (!symbols_address(s, text, &address)) {
            continue;
        }
        tried++;
        bool right =
            symbols_place(s, address, &place) && place.line + 2 >= line && place.line <= line + 4;
        if (!right) {
            printf("# line %u leads to %#llx, line %u\n", line, (unsigned long long)address,
                   place.line);
        }
        wrong += !right;
    }
    tap(tried > 15 && !wrong, "%u lines have addresses, %u lead elsewhere", tried, wrong);
    u64 begin = 0, after = symbols_after_prologue(s, leaf);
    tap(after == leaf, "a function without prologue begins with its body");
    symbols_address(s, "lines_plain", &leaf);
    after = symbols_after_prologue(s, leaf);
    tap(after > leaf && after < leaf + 20 && symbols_place(s, after, &place) && place.line == 45,
        "a prologue ends %llu bytes in", (unsigned long long)(after - leaf));
    tap(symbols_line_range(s, after, &begin, &end) && begin <= after && end > after,
        "a line's code is a range around it");
    symbols_address(s, "lines_leaf", &leaf);
    symbols_set_program(s, "/bin/other");
    tap(!symbols_name(s, leaf, &place), "another program's addresses have other names");
    symbols_set_program(s, "/bin/lines");
    tap(symbols_name(s, leaf, &place) && !strcmp(place.name, "lines_leaf"),
        "the program's own count");
    symbols_destroy(s);
}

// A PIE counts where the current program has it mapped, and moves with it.
static void mappings(const char *pie)
{
    struct symbols *s = open_symbols(pie, false);
    const u64 places[2] = {UINT64_C(0x555555554000), UINT64_C(0x7f0000000000)};
    struct symbol_place place;
    u64 linked = 0, address = 0;
    bool moves = symbols_need_maps(s) && symbols_address(s, "lines_leaf", &linked);
    for (unsigned i = 0; i < 2; i++) {
        symbols_set_program(s, "/bin/other");
        moves &= !symbols_name(s, address, &place) && !symbols_map(s, "/lib/other.so", places[i]);
        moves &= symbols_map(s, pie, places[i]) && symbols_address(s, "lines_leaf", &address);
        moves &= address == linked + places[i] && symbols_place(s, address + 1, &place) &&
                 place.line && !strcmp(place.name, "lines_leaf");
    }
    tap(moves, "a program that is loaded anywhere moves with its mapping");
    symbols_destroy(s);
}

// --- types

static void check_member(struct symbols *s, const char *member, u64 offset, u64 size,
                         bool is_signed, bool is_pointer)
{
    struct symbol_member m = {0};
    bool ok = symbols_member(s, "outer", member, &m) && m.offset == offset && m.size == size &&
              m.is_signed == is_signed && m.is_pointer == is_pointer;
    tap(ok, "outer.%s at %llu, %llu bytes", member, (unsigned long long)m.offset,
        (unsigned long long)m.size);
}

static void types(void)
{
    struct symbols *s = open_symbols(program, false);
    struct symbol_member m;
    u64 size = 0;
    s64 value = 0;
    check_member(s, "pad", 0, 5, false, false);
    check_member(s, "in", 8, 48, false, false);
    check_member(s, "in[2]", 40, 16, false, false);
    check_member(s, "in[1].small", 24, 2, true, false);
    check_member(s, "in[0].either", 16, 8, true, false);
    check_member(s, "in[0].second", 17, 1, true, false);
    check_member(s, "pointer", 56, 8, false, true);
    check_member(s, "tail", 72, 1, true, false);
    bool sized = symbols_struct_size(s, "outer", &size);
    tap(sized && size == 80, "the structure's size is %llu", (unsigned long long)size);
    tap(!symbols_member(s, "outer", "nothing", &m) && !symbols_member(s, "nothing", "pad", &m) &&
            !symbols_member(s, "outer", "pad.x", &m) && !symbols_member(s, "outer", "in[", &m) &&
            !symbols_member(s, "outer", "..", &m),
        "what does not exist is not found");
    tap(symbols_enumerator(s, "COLOUR_RED", &value) && value == 3, "an enumerator");
    tap(symbols_enumerator(s, "COLOUR_GREEN", &value) && value == -7, "a negative enumerator");
    tap(symbols_enumerator(s, "COLOUR_BLUE", &value) && value == 4000000000, "a large enumerator");
    symbols_destroy(s);
}

// --- bad files

static void bad_files(void)
{
    static const u8 junk[4096] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    struct symbols *s = symbols_create();
    char name[] = "/tmp/test_symbols_XXXXXX";
    int fd = mkstemp(name);
    struct status empty = symbols_add(s, name, 0, false);
    bool wrote = write(fd, junk, sizeof(junk)) == sizeof(junk);
    struct status bad = symbols_add(s, name, 0, false);
    struct status missing = symbols_add(s, "/nonexistent", 0, false);
    struct status text = symbols_add(s, source, 0, false);
    close(fd);
    unlink(name);
    tap(empty.code == STATUS_BAD_INPUT, "an empty file: %s", empty.text);
    tap(wrote && bad.code == STATUS_BAD_INPUT, "a bare header: %s", bad.text);
    tap(missing.code == STATUS_BAD_INPUT, "no file: %s", missing.text);
    tap(text.code == STATUS_BAD_INPUT, "a text: %s", text.text);
    symbols_destroy(s);
}

// Asks a damaged file everything; it may answer anything but crash or hang.
static void ask_everything(const char *path)
{
    struct symbols *s = symbols_create();
    struct symbol_place place;
    struct symbol_member m;
    struct status status = symbols_add(s, path, 0, true);
    if (status_ok(&status)) {
        u64 a, b, address = 0;
        symbols_address(s, "lines_middle", &address);
        symbols_address(s, "lines.c:30", &a);
        symbols_place(s, address + 4, &place);
        symbols_line_range(s, address + 4, &a, &b);
        symbols_member(s, "outer", "in[1].either", &m);
        symbols_member(s, "absent", "x", &m);
        symbols_after_prologue(s, address);
    }
    symbols_destroy(s);
}

static void damaged_files(void)
{
    FILE *f = fopen(program, "rb");
    fseek(f, 0, SEEK_END);
    size_t size = (size_t)ftell(f);
    u8 *whole = malloc(size);
    rewind(f);
    bool read = fread(whole, 1, size, f) == size;
    fclose(f);
    char name[] = "/tmp/test_symbols_XXXXXX";
    int fd = mkstemp(name);
    unsigned crashes = 0, rounds = 60;
    srand(11);
    for (unsigned i = 0; read && i < rounds; i++) {
        size_t length = i % 3 ? size : (size_t)rand() % size;
        u8 *copy = malloc(size);
        memcpy(copy, whole, size);
        for (unsigned k = 0; k < 2000; k++) { // the debug information is the greater part
            copy[64 + (size_t)rand() % (size - 64)] = (u8)rand();
        }
        read = ftruncate(fd, 0) == 0 && pwrite(fd, copy, length, 0) == (ssize_t)length;
        free(copy);
        pid_t child = fork();
        if (child == 0) {
            alarm(20);
            ask_everything(name);
            _exit(0);
        }
        int status;
        waitpid(child, &status, 0);
        crashes += status != 0;
    }
    close(fd);
    unlink(name);
    free(whole);
    tap(read && !crashes, "%u of %u damaged files crash or hang the reader", crashes, rounds);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        return 2;
    }
    fern = argv[1];
    program = argv[2];
    source = argv[3];
    compare_lines(fern, true);
    compare_lines(program, false);
#ifndef __clang__ // binutils 2.40 sees no inlined functions in what clang writes
    compare_inlines();
#endif
    names_of_fern();
    lines_and_back();
    mappings(argv[4]);
    types();
    bad_files();
    damaged_files();
    return tap_end();
}
