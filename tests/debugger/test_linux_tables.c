// SPDX-License-Identifier: MIT
// The readers of what Linux kernels carry themselves, BTF, kallsyms and ORC, on tables made here:
// what they say, and that no change of their bytes makes the readers leave them.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "debugger/btf.h"
#include "debugger/kallsyms.h"
#include "debugger/orc.h"

#include "base/memory.h"

#define MUTATIONS 600
#define TEXT_BASE UINT64_C(0xFFFFFFFF81000000)

static u64 next_random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

// --- a growing table ---
struct table {
    u8 bytes[65536];
    u64 size;
};

static void put(struct table *t, const void *bytes, u64 size)
{
    assert_true(t->size + size <= sizeof(t->bytes));
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

static void put32(struct table *t, u32 value)
{
    put(t, &value, sizeof(value));
}

static void put16(struct table *t, u16 value)
{
    put(t, &value, sizeof(value));
}

static void align8(struct table *t)
{
    while (t->size % 8) {
        put(t, "", 1);
    }
}

// The bytes alone on the heap, so that a sanitizer sees every step beyond them.
static u8 *alone(const struct table *t, u64 size)
{
    u8 *copy = malloc(size ? size : 1);
    memcpy(copy, t->bytes, size);
    return copy;
}

// --- BTF ---
static u32 string_of(struct table *strings, const char *text)
{
    u32 at = (u32)strings->size;
    put(strings, text, strlen(text) + 1);
    return at;
}

static void put_type(struct table *t, u32 name, unsigned kind, unsigned elements, u32 size_or_type)
{
    put32(t, name);
    put32(t, kind << 24 | elements);
    put32(t, size_or_type);
}

static void put_member(struct table *t, u32 name, u32 type, u32 offset_bits)
{
    put32(t, name);
    put32(t, type);
    put32(t, offset_bits);
}

// struct outer { long x; struct inner { int a, b; } i; union { void *p; long q; }; const struct
// inner many[4]; }; enum { LOW = -2, HIGH = 7 };
static struct table btf_table(void)
{
    static struct table types, strings, all;
    types.size = strings.size = all.size = 0;
    string_of(&strings, "");
    put_type(&types, string_of(&strings, "int"), 1, 0, 4); // 1
    put32(&types, 1u << 24 | 32);
    put_type(&types, string_of(&strings, "long"), 1, 0, 8); // 2
    put32(&types, 64);
    put_type(&types, string_of(&strings, "inner"), 4, 2, 8); // 3
    put_member(&types, string_of(&strings, "a"), 1, 0);
    put_member(&types, string_of(&strings, "b"), 1, 32);
    put_type(&types, 0, 2, 0, 0);                 // 4: void *
    put_type(&types, 0, 5, 2, 8);                 // 5: the union
    put_member(&types, string_of(&strings, "p"), 4, 0);
    put_member(&types, string_of(&strings, "q"), 2, 0);
    put_type(&types, 0, 10, 0, 3);                // 6: const struct inner
    put_type(&types, 0, 3, 0, 0);                 // 7: [4]
    put32(&types, 6);
    put32(&types, 1);
    put32(&types, 4);
    put_type(&types, string_of(&strings, "outer"), 4, 4, 56); // 8
    put_member(&types, string_of(&strings, "x"), 2, 0);
    put_member(&types, string_of(&strings, "i"), 3, 64);
    put_member(&types, 0, 5, 128);
    put_member(&types, string_of(&strings, "many"), 7, 192);
    put_type(&types, 0, 6, 2, 4); // 9
    put32(&types, string_of(&strings, "LOW"));
    put32(&types, (u32)-2);
    put32(&types, string_of(&strings, "HIGH"));
    put32(&types, 7);
    put_type(&types, string_of(&strings, "again"), 4, 2, 8); // 10: holds itself twice
    put_member(&types, 0, 10, 0);
    put_member(&types, 0, 10, 0);
    put16(&all, 0xEB9F);
    put16(&all, 1);
    put32(&all, 24);
    put32(&all, 0);
    put32(&all, (u32)types.size);
    put32(&all, (u32)types.size);
    put32(&all, (u32)strings.size);
    put(&all, types.bytes, types.size);
    put(&all, strings.bytes, strings.size);
    return all;
}

static void ask_btf(const struct btf *b)
{
    static const char *const paths[] = {"x",          "i.b", "p", "q",      "many[3].b",
                                        "many[99].a", "i.",  "[", "nothing"};
    static const char *const names[] = {"outer", "inner", "again", "int", "nothing"};
    struct symbol_member m;
    u64 size;
    s64 value;
    for (unsigned n = 0; n < 5; n++) {
        for (unsigned p = 0; p < 9; p++) {
            btf_member(b, names[n], paths[p], &m);
        }
        btf_struct_size(b, names[n], &size);
        btf_enumerator(b, names[n], &value);
    }
    btf_enumerator(b, "HIGH", &value);
}

static void test_btf(void **state)
{
    struct table t = btf_table();
    struct btf *b = btf_open(t.bytes, t.size);
    struct symbol_member m;
    u64 size;
    s64 value;
    assert_non_null(b);
    assert_true(btf_member(b, "outer", "x", &m));
    assert_true(m.offset == 0 && m.size == 8 && !m.is_signed && !m.is_pointer);
    assert_true(btf_member(b, "outer", "i.b", &m));
    assert_true(m.offset == 12 && m.size == 4 && m.is_signed);
    assert_true(btf_member(b, "outer", "p", &m));
    assert_true(m.offset == 16 && m.size == 8 && m.is_pointer);
    assert_true(btf_member(b, "outer", "many", &m));
    assert_true(m.offset == 24 && m.size == 32);
    assert_true(btf_member(b, "outer", "many[3].b", &m));
    assert_int_equal(m.offset, 24 + 3 * 8 + 4);
    assert_false(btf_member(b, "outer", "y", &m));
    assert_false(btf_member(b, "outer", "x.y", &m));
    assert_true(btf_struct_size(b, "outer", &size));
    assert_int_equal(size, 56);
    assert_true(btf_enumerator(b, "LOW", &value));
    assert_int_equal(value, -2);
    assert_true(btf_enumerator(b, "HIGH", &value));
    assert_int_equal(value, 7);
    assert_false(btf_enumerator(b, "outer", &value));
    assert_false(btf_member(b, "again", "x", &m)); // and comes to an end
    btf_close(b);
}

static void test_malformed_btf(void **state)
{
    struct table t = btf_table();
    u64 random = 1;
    for (u64 i = 0; i < t.size + MUTATIONS; i++) {
        struct table changed = t;
        for (unsigned n = 0; i >= t.size && n < 1 + i % 3; n++) {
            changed.bytes[next_random(&random) % t.size] = (u8)next_random(&random);
        }
        u64 size = i < t.size ? i : t.size;
        u8 *bytes = alone(&changed, size);
        struct btf *b = btf_open(bytes, size);
        if (b) {
            ask_btf(b);
        }
        btf_close(b);
        free(bytes);
    }
}

// --- kallsyms ---
#define NAMES 700u

// Digits and letters are their own tokens; two others stand for longer text.
static void put_tokens(struct table *t)
{
    u16 index[256];
    u64 begin = t->size;
    for (unsigned i = 0; i < 256; i++) {
        char text[8] = {(char)i, 0};
        index[i] = (u16)(t->size - begin);
        if (i < 33 || i > 126) {
            snprintf(text, sizeof(text), "q%u", i);
        }
        if (i == 1) {
            snprintf(text, sizeof(text), "Tsys_");
        }
        put(t, text, strlen(text) + 1);
    }
    align8(t);
    put(t, index, sizeof(index));
    align8(t);
}

static void put_offsets(struct table *t)
{
    for (u32 i = 0; i < NAMES; i++) { // the first ten are per-CPU offsets
        put32(t, i < 10 ? i * 8 : (u32)(-1 - (s32)(i * 16)));
    }
    align8(t);
    u64 base = TEXT_BASE;
    put(t, &base, sizeof(base));
}

static struct table kallsyms_table(bool late)
{
    static struct table t;
    u32 markers[NAMES / 256 + 1];
    t.size = 0;
    put(&t, "something before", 16);
    if (!late) {
        put_offsets(&t);
    }
    put32(&t, NAMES);
    align8(&t);
    u64 names = t.size;
    for (u32 i = 0; i < NAMES; i++) {
        char digits[16];
        snprintf(digits, sizeof(digits), "%u", i);
        if (i % 256 == 0) {
            markers[i / 256] = (u32)(t.size - names);
        }
        u8 head[2] = {(u8)(1 + strlen(digits)), 1};
        put(&t, head, 2);
        put(&t, digits, strlen(digits));
    }
    align8(&t);
    put(&t, markers, sizeof(markers));
    align8(&t);
    put_tokens(&t);
    if (late) {
        put_offsets(&t);
    }
    put(&t, "something behind", 16);
    return t;
}

struct seen {
    u32 count, wrong;
};

static void see(void *ctx, u64 address, char type, const char *name)
{
    struct seen *s = ctx;
    char wanted[32];
    u32 i = s->count++;
    snprintf(wanted, sizeof(wanted), "sys_%u", i);
    u64 place = i < 10 ? i * 8 : TEXT_BASE + i * 16;
    s->wrong += type != 'T' || strcmp(name, wanted) || address != place;
}

static void test_kallsyms(void **state)
{
    for (unsigned late = 0; late < 2; late++) {
        struct table t = kallsyms_table(late);
        struct seen s = {0};
        assert_int_equal(kallsyms_read(t.bytes, t.size, see, &s), NAMES);
        assert_int_equal(s.count, NAMES);
        assert_int_equal(s.wrong, 0);
    }
}

static void ignore(void *ctx, u64 address, char type, const char *name)
{
    *(u64 *)ctx += address + (u8)type + strlen(name);
}

static void test_malformed_kallsyms(void **state)
{
    struct table t = kallsyms_table(true);
    u64 random = 7, sum = 0;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        struct table changed = t;
        for (unsigned n = 0; n < 1 + i % 3; n++) {
            changed.bytes[next_random(&random) % t.size] = (u8)next_random(&random);
        }
        u64 size = i % 2 ? t.size : next_random(&random) % t.size;
        u8 *bytes = alone(&changed, size);
        kallsyms_read(bytes, size, ignore, &sum);
        free(bytes);
    }
    assert_int_equal(kallsyms_read(t.bytes, 0, ignore, &sum), 0);
}

// --- ORC ---
struct stack {
    u64 begin;
    u64 words[64];
};

static bool read_stack(void *ctx, u64 linear, void *out, u64 size)
{
    const struct stack *s = ctx;
    u64 at = linear - s->begin;
    if (at > sizeof(s->words) || size > sizeof(s->words) - at) {
        return false;
    }
    memcpy(out, (const u8 *)s->words + at, size);
    return true;
}

// Entries of four places, 0x100 apart: SP+16 with RBP saved below it; an entry without an end; an
// interrupt's registers at SP; the end.
static struct orc orc_table(struct table *places, struct table *entries)
{
    static const struct {
        s16 sp, bp;
        u8 from, kind;
    } rows[] = {{16, -16, 5 | 1 << 4, 0}, {8, 0, 9, 0}, {0, 0, 5, 1}, {0, 0, 0, 4}};
    places->size = entries->size = 0;
    for (unsigned i = 0; i < 4; i++) {
        put32(places, (u32)(TEXT_BASE + 0x100 * i - (TEXT_BASE + 0x10000 + 4 * i)));
        put16(entries, (u16)rows[i].sp);
        put16(entries, (u16)rows[i].bp);
        put(entries, &rows[i].from, 1);
        put(entries, &rows[i].kind, 1);
    }
    return (struct orc){.places = places->bytes,
                        .entries = entries->bytes,
                        .places_address = TEXT_BASE + 0x10000,
                        .count = 4,
                        .has_end_bit = true};
}

static void test_orc(void **state)
{
    static struct table places, entries;
    struct orc orc = orc_table(&places, &entries);
    struct stack s = {.begin = UINT64_C(0xFFFFC90000000000)};
    for (unsigned i = 0; i < 64; i++) {
        s.words[i] = 1000 + i;
    }
    struct symbol_frame f = {.rip = TEXT_BASE + 0x10, .gpr = {[4] = s.begin}, .exact = true};
    assert_int_equal(orc_unwind(&orc, f.rip, &f, read_stack, &s), ORC_UP);
    assert_true(f.rip == 1001 && f.gpr[4] == s.begin + 16 && f.gpr[5] == 1000 && !f.exact);
    s.words[0] = s.begin + 80; // the stack before, kept on this one
    f = (struct symbol_frame){.gpr = {[4] = s.begin}};
    assert_int_equal(orc_unwind(&orc, TEXT_BASE + 0x150, &f, read_stack, &s), ORC_UP);
    assert_true(f.gpr[4] == s.begin + 88 && f.rip == 1010);
    f = (struct symbol_frame){.gpr = {[4] = s.begin}};
    assert_int_equal(orc_unwind(&orc, TEXT_BASE + 0x200, &f, read_stack, &s), ORC_UP);
    assert_true(f.exact && f.rip == 1016 && f.gpr[4] == 1019 && f.gpr[12] == 1003);
    f = (struct symbol_frame){.gpr = {[4] = s.begin, [1] = 4096}, .exact = true};
    assert_int_equal(orc_unwind(&orc, TEXT_BASE + 0x300, &f, read_stack, &s), ORC_OUTERMOST);
    f.gpr[4] = 8192; // SYSCALL's first instruction
    assert_int_equal(orc_unwind(&orc, TEXT_BASE + 0x300, &f, read_stack, &s), ORC_UP);
    assert_int_equal(f.rip, 4096);
    assert_int_equal(orc_unwind(&orc, TEXT_BASE - 1, &f, read_stack, &s), ORC_UNKNOWN);
    f = (struct symbol_frame){.gpr = {[4] = 64}};
    assert_int_equal(orc_unwind(&orc, TEXT_BASE, &f, read_stack, &s), ORC_OUTERMOST);
}

// --- files ---
// A bzImage whose payload is an LZ4 frame of "hello, hello, hello" and random changes of it: never
// an ELF file, always a message.
static void test_bzimage(void **state)
{
    static const u8 frame[] = {0x02, 0x21, 0x4c, 0x18, 0x11, 0, 0, 0, 0x77, 'h', 'e', 'l',
                               'l',  'o',  ',',  ' ',  7,    0, 0x10, '!', 0, 0, 0, 0,
                               0,    20,   0,    0,    0};
    u64 random = 3;
    for (unsigned i = 0; i < 300; i++) {
        u8 image[2048] = {[0x1F1] = 1, [0x202] = 'H', 'd', 'r', 'S', [0x24C] = sizeof(frame)};
        memcpy(image + 1024, frame, sizeof(frame));
        for (unsigned n = 0; n < i % 4; n++) {
            image[1024 + next_random(&random) % sizeof(frame)] = (u8)next_random(&random);
        }
        char path[] = "/tmp/viv-bzimage-XXXXXX";
        int fd = mkstemp(path);
        assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
        close(fd);
        struct symbols *s = symbols_create();
        struct status added = symbols_add(s, path, 0, true);
        unlink(path);
        assert_false(status_ok(&added));
        assert_non_null(strstr(added.text, path));
        symbols_destroy(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_btf),          cmocka_unit_test(test_malformed_btf),
        cmocka_unit_test(test_kallsyms),     cmocka_unit_test(test_malformed_kallsyms),
        cmocka_unit_test(test_orc),          cmocka_unit_test(test_bzimage),
    };
    return cmocka_run_group_tests_name("linux tables", tests, NULL, NULL);
}
