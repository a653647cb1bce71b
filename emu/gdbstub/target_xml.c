// SPDX-License-Identifier: MIT
// target.xml from the register table and the types it names.
#include "gdbstub/target_xml.h"

#include "base/bits.h"
#include "base/check.h"
#include "gdbstub/registers.h"

#include <stdio.h>

struct flag {
    const char *name;
    unsigned bit;
};

struct flags_type {
    const char *id;
    unsigned bytes;
    struct flag flags[24];
};

static const struct flags_type eflags = {
    "i386_eflags",
    4,
    {{"CF", 0},
     {"", 1},
     {"PF", 2},
     {"AF", 4},
     {"ZF", 6},
     {"SF", 7},
     {"TF", 8},
     {"IF", 9},
     {"DF", 10},
     {"OF", 11},
     {"NT", 14},
     {"RF", 16},
     {"VM", 17},
     {"AC", 18},
     {"VIF", 19},
     {"VIP", 20},
     {"ID", 21}},
};

static const struct flags_type mxcsr = {
    "i386_mxcsr",
    4,
    {{"IE", 0},
     {"DE", 1},
     {"ZE", 2},
     {"OE", 3},
     {"UE", 4},
     {"PE", 5},
     {"DAZ", 6},
     {"IM", 7},
     {"DM", 8},
     {"ZM", 9},
     {"OM", 10},
     {"UM", 11},
     {"PM", 12},
     {"FZ", 15}},
};

// SDM 3A 2.5 and 2.2.1.
static const struct flags_type cr0 = {
    "x86_cr0",
    8,
    {{"PE", 0},
     {"MP", 1},
     {"EM", 2},
     {"TS", 3},
     {"ET", 4},
     {"NE", 5},
     {"WP", 16},
     {"AM", 18},
     {"NW", 29},
     {"CD", 30},
     {"PG", 31}},
};

static const struct flags_type cr4 = {
    "x86_cr4",
    8,
    {{"VME", 0},
     {"PVI", 1},
     {"TSD", 2},
     {"DE", 3},
     {"PSE", 4},
     {"PAE", 5},
     {"MCE", 6},
     {"PGE", 7},
     {"PCE", 8},
     {"OSFXSR", 9},
     {"OSXMMEXCPT", 10},
     {"UMIP", 11},
     {"FSGSBASE", 16},
     {"PCIDE", 17},
     {"OSXSAVE", 18},
     {"SMEP", 20},
     {"SMAP", 21},
     {"PKE", 22}},
};

static const struct flags_type efer = {
    "x86_efer", 8, {{"SCE", 0}, {"LME", 8}, {"LMA", 10}, {"NXE", 11}}};

static void print_flags(FILE *out, const struct flags_type *type)
{
    fprintf(out, "<flags id=\"%s\" size=\"%u\">", type->id, type->bytes);
    for (unsigned i = 0; i < ARRAY_LEN(type->flags) && type->flags[i].name; i++) {
        const struct flag *flag = &type->flags[i];
        fprintf(out, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>", flag->name, flag->bit,
                flag->bit);
    }
    fputs("</flags>\n", out);
}

static void print_vector_types(FILE *out)
{
    static const struct {
        const char *id, *type;
        unsigned count;
    } views[] = {{"v4_float", "ieee_single", 4}, {"v2_double", "ieee_double", 2},
                 {"v16_int8", "int8", 16},       {"v8_int16", "int16", 8},
                 {"v4_int32", "int32", 4},       {"v2_int64", "int64", 2}};
    for (unsigned i = 0; i < ARRAY_LEN(views); i++) {
        fprintf(out, "<vector id=\"%s\" type=\"%s\" count=\"%u\"/>", views[i].id, views[i].type,
                views[i].count);
    }
    fputs("\n<union id=\"vec128\">", out);
    for (unsigned i = 0; i < ARRAY_LEN(views); i++) {
        fprintf(out, "<field name=\"%s\" type=\"%s\"/>", views[i].id, views[i].id);
    }
    fputs("<field name=\"uint128\" type=\"uint128\"/></union>\n", out);
}

static void print_types(FILE *out, enum register_feature feature)
{
    if (feature == REGISTERS_CORE) {
        print_flags(out, &eflags);
    } else if (feature == REGISTERS_SSE) {
        print_vector_types(out);
        print_flags(out, &mxcsr);
    } else if (feature == REGISTERS_VIV) {
        print_flags(out, &cr0);
        print_flags(out, &cr4);
        print_flags(out, &efer);
    }
}

static void print_feature(FILE *out, enum register_feature feature)
{
    static const char *const names[] = {
        [REGISTERS_CORE] = "org.gnu.gdb.i386.core",
        [REGISTERS_SSE] = "org.gnu.gdb.i386.sse",
        [REGISTERS_LINUX] = "org.gnu.gdb.i386.linux",
        [REGISTERS_SEGMENTS] = "org.gnu.gdb.i386.segments",
        [REGISTERS_VIV] = "viv.x86.system",
        [REGISTERS_AVX] = "org.gnu.gdb.i386.avx",
    };
    fprintf(out, "<feature name=\"%s\">\n", names[feature]);
    print_types(out, feature);
    for (unsigned i = 0; i < registers_count(); i++) {
        const struct register_row *row = registers_row(i);
        if (row->feature == feature) {
            bool system = feature == REGISTERS_VIV || feature == REGISTERS_LINUX;
            fprintf(out, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"%s/>\n",
                    row->name, row->bits, row->type, i, system ? " group=\"system\"" : "");
        }
    }
    fputs("</feature>\n", out);
}

char *target_xml(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out);
    fputs("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
          "<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n"
          "<osabi>GNU/Linux</osabi>\n",
          out);
    for (unsigned i = 0; i < REGISTERS_FEATURE_COUNT; i++) {
        print_feature(out, (enum register_feature)i);
    }
    fputs("</target>\n", out);
    CHECK(fclose(out) == 0);
    return text;
}
