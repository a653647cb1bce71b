// SPDX-License-Identifier: MIT
// What a CPU model does not advertise is #UD. Every encoding there is (prefixes, opcode maps,
// opcodes, ModRM) is decoded with all features and without each: it needs at most one, and an
// operation of the table is never left out by all of them.
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cpu/cpu.h"
#include "isa/decode.h"
#include "isa/x86_features.h"

static const char *const names[] = {
#define FEATURE(name, ...) #name,
#include "isa/x86_features.def"
#undef FEATURE
};

// From the SDM's instruction pages, column "CPUID feature flag"; NULL: none.
static const struct {
    const char *bytes;
    unsigned size;
    enum insn_code_size code;
    const char *feature;
} known[] = {
    {"\x90", 1, CODE_64, NULL},
    {"\x0F\xC7\x0F", 3, CODE_64, "cx8"},
    {"\x48\x0F\xC7\x0F", 4, CODE_64, "cx16"},
    {"\x0F\x44\xC1", 3, CODE_64, "cmov"},
    {"\xDA\xC1", 2, CODE_64, "cmov"},
    {"\xDB\xF1", 2, CODE_64, "cmov"},
    {"\xD8\xC1", 2, CODE_64, "fpu"},
    {"\x0F\x31", 2, CODE_64, "tsc"},
    {"\x0F\x01\xF9", 3, CODE_64, "rdtscp"},
    {"\x0F\x32", 2, CODE_64, "msr"},
    {"\x0F\x30", 2, CODE_64, "msr"},
    {"\x0F\x34", 2, CODE_64, "sep"},
    {"\x0F\x35", 2, CODE_64, "sep"},
    {"\x0F\x05", 2, CODE_64, "syscall"},
    {"\x0F\xAE\x3F", 3, CODE_64, "clflush"},
    {"\x0F\xAE\x07", 3, CODE_64, "fxsr"},
    {"\x48\x0F\xAE\x0F", 4, CODE_64, "fxsr"},
    {"\x0F\xAE\x17", 3, CODE_64, "sse"},
    {"\x0F\x77", 2, CODE_64, "mmx"},
    {"\x0F\xFC\xC1", 3, CODE_64, "mmx"},
    {"\x66\x0F\xFC\xC1", 4, CODE_64, "sse2"},
    {"\x0F\xD4\xC1", 3, CODE_64, "sse2"},
    {"\x0F\x58\xC1", 3, CODE_64, "sse"},
    {"\xF2\x0F\x58\xC1", 4, CODE_64, "sse2"},
    {"\x0F\xC3\x07", 3, CODE_64, "sse2"},
    {"\x0F\xAE\xF8", 3, CODE_64, "sse"},
    {"\x0F\xAE\xE8", 3, CODE_64, "sse2"},
    {"\x66\x0F\x3A\x15\xC1\x01", 6, CODE_64, "sse4_1"},
    {"\x66\x0F\xC5\xC1\x01", 5, CODE_64, "sse2"},
    {"\xF2\x0F\x38\xF1\xC1", 5, CODE_64, "sse4_2"},
    {"\xF3\x0F\xB8\xC1", 4, CODE_64, "popcnt"},
    {"\xF3\x0F\xBC\xC1", 4, CODE_64, "bmi1"},
    {"\xF3\x0F\xBD\xC1", 4, CODE_64, "lzcnt"},
    {"\xF3\x0F\xAE\xC1", 4, CODE_64, "fsgsbase"},
    {"\xC4\xE2\x78\xF2\xC1", 5, CODE_64, "bmi1"},
    {"\xC4\xE2\x78\xF3\xD9", 5, CODE_64, "bmi1"},
    {"\xC4\xE2\x78\xF5\xC1", 5, CODE_64, "bmi2"},
    {"\xC4\xE3\x7B\xF0\xC1\x01", 6, CODE_64, "bmi2"},
    {"\x66\x0F\x38\xF6\xC1", 5, CODE_64, "adx"},
    {"\xF3\x0F\x38\xF6\xC1", 5, CODE_64, "adx"},
    {"\x0F\x38\xF0\x07", 4, CODE_64, "movbe"},
    {"\x0F\xC7\xF1", 3, CODE_64, "rdrand"},
    {"\x0F\xC7\xF9", 3, CODE_64, "rdseed"},
    {"\xF3\x0F\xC7\xF9", 4, CODE_64, "rdpid"},
    {"\x66\x0F\xAE\x3F", 4, CODE_64, "clflushopt"},
    {"\x66\x0F\xAE\x37", 4, CODE_64, "clwb"},
    {"\x0F\x01\xE8", 3, CODE_64, "serialize"},
    {"\x0F\x01\xC9", 3, CODE_64, NULL}, // MWAIT
    {"\x66\x0F\x38\x82\x07", 5, CODE_64, "invpcid"},
    {"\x0F\x01\xCA", 3, CODE_64, "smap"},
    {"\x9F", 1, CODE_64, "lahf"},
    {"\x9F", 1, CODE_32, NULL},
    {"\x0F\x0D\x0F", 3, CODE_64, NULL},
    {"\x0F\x18\x0F", 3, CODE_64, NULL},
    {"\xF3\x0F\x1E\xFA", 4, CODE_64, NULL},
    {"\xF3\x90", 2, CODE_64, NULL},
    {"\xF2\x0F\x7C\xC1", 4, CODE_64, "sse3"},
    {"\xDD\x0F", 2, CODE_64, "sse3"},
    {"\x66\x0F\x38\x00\xC1", 5, CODE_64, "ssse3"},
    {"\x0F\x38\x00\xC1", 4, CODE_64, "ssse3"},
    {"\x66\x0F\x38\x17\xC1", 5, CODE_64, "sse4_1"},
    {"\x66\x0F\x3A\x63\xC1\x00", 6, CODE_64, "sse4_2"},
    {"\x66\x0F\x38\xDC\xC1", 5, CODE_64, "aes"},
    {"\x66\x0F\x3A\x44\xC1\x00", 6, CODE_64, "pclmulqdq"},
    {"\x0F\x38\xCB\xC1", 4, CODE_64, "sha"},
    {"\xC5\xF8\x58\xC1", 4, CODE_64, "avx"},
    {"\xC5\xF8\x77", 3, CODE_64, "avx"},
    {"\xC5\xFD\xFE\xC1", 4, CODE_64, "avx2"},
    {"\xC4\xE2\x71\xDC\xC2", 5, CODE_64, "aes"},
    {"\xC4\xE3\x71\x44\xC2\x00", 6, CODE_64, "pclmulqdq"},
    {"\xC4\xE2\x71\x98\xC2", 5, CODE_64, "fma"},
    {"\xC4\xE2\x79\x13\xC1", 5, CODE_64, "f16c"},
    {"\xC4\xE2\x69\x90\x0C\x00", 6, CODE_64, "avx2"},
    {"\x0F\x01\xD0", 3, CODE_64, "xsave"},
    {"\x0F\x01\xD1", 3, CODE_64, "xsave"},
    {"\x0F\xAE\x27", 3, CODE_64, "xsave"},
    {"\x0F\xAE\x2F", 3, CODE_64, "xsave"},
    {"\x0F\xAE\x37", 3, CODE_64, "xsaveopt"},
    {"\x0F\xC7\x27", 3, CODE_64, "xsavec"},
    {"\x48\x0F\xC7\x2F", 4, CODE_64, "xsaves"},
    {"\x0F\xC7\x1F", 3, CODE_64, "xsaves"},
};

static struct decoder *decoders[CPU_FEATURE_COUNT + 1]; // the last lacks nothing

static int create_decoders(void **state)
{
    for (unsigned i = 0; i <= CPU_FEATURE_COUNT; i++) {
        struct decoder_options options = {
            .tzcnt = true, .lzcnt = true, .missing = i < CPU_FEATURE_COUNT ? CPU_FEATURE_BIT(i) : 0};
        decoders[i] = decoder_create(&options);
    }
    return 0;
}

static int destroy_decoders(void **state)
{
    for (unsigned i = 0; i <= CPU_FEATURE_COUNT; i++) {
        decoder_destroy(decoders[i]);
    }
    return 0;
}

static unsigned op_of(unsigned lacking, enum insn_code_size code, const u8 *bytes, unsigned size)
{
    struct insn insn;
    return insn_decode(decoders[lacking], code, bytes, size, 0, &insn) == DECODE_OK ? insn.op : 0;
}

// The one feature without which the encoding is none, CPU_FEATURE_COUNT if there is no such.
static unsigned needed(enum insn_code_size code, const u8 *bytes, unsigned size)
{
    unsigned all = op_of(CPU_FEATURE_COUNT, code, bytes, size), feature = CPU_FEATURE_COUNT;
    for (unsigned i = 0; i < CPU_FEATURE_COUNT; i++) {
        unsigned op = op_of(i, code, bytes, size);
        if (op != all) {
            assert_int_equal(op, OP_INVALID);
            assert_int_equal(feature, CPU_FEATURE_COUNT);
            feature = i;
        }
    }
    return feature;
}

static void test_known(void **state)
{
    for (unsigned i = 0; i < ARRAY_LEN(known); i++) {
        const u8 *bytes = (const u8 *)known[i].bytes;
        assert_int_not_equal(op_of(CPU_FEATURE_COUNT, known[i].code, bytes, known[i].size), 0);
        unsigned feature = needed(known[i].code, bytes, known[i].size);
        const char *name = feature < CPU_FEATURE_COUNT ? names[feature] : NULL;
        const char *expected = known[i].feature;
        if (!name != !expected || (name && strcmp(name, expected) != 0)) {
            fail_msg("row %u needs %s, not %s", i, name ? name : "nothing", expected);
        }
    }
}

static bool seen[X86_OP_COUNT];

static void scan_encoding(enum insn_code_size code, const u8 *bytes)
{
    unsigned op = op_of(CPU_FEATURE_COUNT, code, bytes, 15);
    if (op && !seen[op]) {
        seen[op] = true;
        needed(code, bytes, 15); // at most one
    }
}

static void scan_opcode(enum insn_code_size code, u8 *bytes, unsigned at)
{
    for (unsigned modrm = 0; modrm < 256; modrm += modrm < 0xC0 ? 8 : 1) {
        bytes[at] = (u8)modrm;
        scan_encoding(code, bytes);
    }
}

// C4: maps 1 to 3, W, L and the implied prefix, VEX.vvvv register 0 (also "none"); memory operands
// by SIB as well, for gathers.
static void scan_vex(void)
{
    for (unsigned n = 0; n < 3 * 16 * 256; n++) {
        unsigned variant = n / 256 % 16, map = 1 + n / 256 / 16;
        u8 bytes[15] = {0xC4, (u8)(0xE0 | map), (u8)((variant & 8) << 4 | 0x78 | (variant & 7)),
                        (u8)n, 0x00, 0x10};
        scan_opcode(CODE_64, bytes, 4);
        scan_opcode(CODE_32, bytes, 4);
        for (unsigned modrm = 0x0C; modrm < 0x40; modrm += 8) {
            bytes[4] = (u8)modrm;
            scan_encoding(CODE_64, bytes);
        }
    }
}

// Every operation of the table is reached by some encoding, whose ISA set is known.
static void test_every_operation(void **state)
{
    static const char *const prefixes[] = {"", "\x66", "\xF2", "\xF3", "\x48", "\xF3\x48", "\x67", "\x66\x48"};
    static const char *const maps[] = {"", "\x0F", "\x0F\x38", "\x0F\x3A"};
    for (unsigned n = 0; n < ARRAY_LEN(prefixes) * ARRAY_LEN(maps) * 256; n++) {
        const char *prefix = prefixes[n / 256 / 4 % ARRAY_LEN(prefixes)];
        const char *map = maps[n / 256 % 4];
        u8 bytes[15] = {0};
        unsigned at = (unsigned)strlen(prefix);
        memcpy(bytes, prefix, at);
        memcpy(bytes + at, map, strlen(map));
        at += (unsigned)strlen(map);
        bytes[at++] = (u8)n;
        scan_opcode(CODE_64, bytes, at);
        scan_opcode(CODE_32, bytes, at);
    }
    scan_vex();
    for (unsigned op = 1; op < X86_OP_COUNT; op++) {
        if (!seen[op]) {
            fail_msg("no encoding of %s is available", x86_op_info[op].name);
        }
    }
}

static void test_models(void **state)
{
    struct cpu *cpu;
    static const char *const bad[] = {"v9", "v2,", "v2,popcnt", "v2,-", "v2,-popcn", "v2,-smap,x"};
    for (unsigned i = 0; i < ARRAY_LEN(bad); i++) {
        struct cpu_config config = {.model = bad[i]};
        struct status s = cpu_create(&cpu, &config);
        assert_false(status_ok(&s));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_every_operation),
        cmocka_unit_test(test_models),
    };
    return cmocka_run_group_tests(tests, create_decoders, destroy_decoders);
}
