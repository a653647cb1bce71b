// SPDX-License-Identifier: MIT
// CPUID as data: models, features, caches, frequencies (SDM 2A, CPUID).
#include "cpu/state.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

enum { EAX, EBX, ECX, EDX };

struct cpu_model {
    const char *name;
    unsigned level;
    u8 family, model, stepping;
    const char *brand;     // 48 bytes at most
    const char *undefined; // interp/undefined.def
};

// The identity is that of a server whose erratum lists are short; what it can do is in
// x86_features.def.
static const struct cpu_model models[] = {
    {"v2", 2, 6, 0x8F, 8, "viv x86-64-v2 processor", "intel-1"},
    {"v3", 3, 6, 0x8F, 8, "viv x86-64-v3 processor", "intel-1"},
};

struct feature_row {
    const char *name;
    u32 leaf, subleaf;
    u8 reg, bit, level;
};

static const struct feature_row features[] = {
#define FEATURE(name, leaf, subleaf, reg, bit, level) {#name, leaf, subleaf, reg, bit, level},
#include "isa/x86_features.def"
#undef FEATURE
};

#define MAX_LEAF 0x16
#define MAX_EXTENDED_LEAF 0x80000008

static const struct cpu_model *find_model(const char *name, size_t length)
{
    for (size_t i = 0; i < ARRAY_LEN(models); i++) {
        if (strlen(models[i].name) == length && !memcmp(models[i].name, name, length)) {
            return &models[i];
        }
    }
    return NULL;
}

static int find_feature(const char *name, size_t length)
{
    for (int i = 0; i < CPU_FEATURE_COUNT; i++) {
        if (strlen(features[i].name) == length && !memcmp(features[i].name, name, length)) {
            return i;
        }
    }
    return -1;
}

// Features that mean nothing without another one go with it.
static cpu_feature_set without_dependents(cpu_feature_set set)
{
    static const struct {
        u8 feature, needs;
    } rows[] = {
        {FEATURE_xsaveopt, FEATURE_xsave}, {FEATURE_xsavec, FEATURE_xsave},
        {FEATURE_xgetbv1, FEATURE_xsave},  {FEATURE_xsaves, FEATURE_xsavec},
        {FEATURE_avx, FEATURE_xsave},      {FEATURE_avx2, FEATURE_avx},
        {FEATURE_fma, FEATURE_avx},        {FEATURE_f16c, FEATURE_avx},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!(set & CPU_FEATURE_BIT(rows[i].needs))) {
            set &= ~CPU_FEATURE_BIT(rows[i].feature);
        }
    }
    return set;
}

bool cpu_model_find(const char *text, const struct cpu_model **model, cpu_feature_set *set,
                    char bad[32])
{
    size_t length = strcspn(text, ",");
    *model = find_model(text, length);
    *set = 0;
    for (size_t i = 0; *model && i < ARRAY_LEN(features); i++) {
        *set |= features[i].level <= (*model)->level ? CPU_FEATURE_BIT(i) : 0;
    }
    bool good = *model;
    while (good && text[length]) {
        text += length + 1;
        length = strcspn(text, ",");
        int n = length ? find_feature(text + 1, length - 1) : -1;
        good = n >= 0 && (*text == '+' || *text == '-');
        if (good) {
            *set = *text == '+' ? *set | CPU_FEATURE_BIT(n) : *set & ~CPU_FEATURE_BIT(n);
        }
    }
    *set = without_dependents(*set);
    snprintf(bad, 32, "%.*s", (int)(length < 31 ? length : 31), text);
    return good;
}

const char *cpu_undefined_profile_name(const struct cpu *cpu)
{
    return cpu->model->undefined;
}

u32 cpu_model_signature(const struct cpu_model *m)
{
    return m->stepping | (m->model & 0xFu) << 4 | (u32)m->family << 8 |
           (m->model >> 4 & 0xFu) << 16;
}

static void feature_bits(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 out[4])
{
    for (size_t i = 0; i < ARRAY_LEN(features); i++) {
        const struct feature_row *f = &features[i];
        if (f->leaf == leaf && f->subleaf == subleaf && (cpu->features & CPU_FEATURE_BIT(i))) {
            out[f->reg] |= (u32)BIT(f->bit);
        }
    }
}

static void text_registers(const char *text, size_t at, u32 *out, size_t registers)
{
    char padded[48] = {0};
    memcpy(padded, text, strlen(text) < sizeof(padded) ? strlen(text) : sizeof(padded) - 1);
    memcpy(out, padded + at, registers * 4);
}

static bool apic_enabled(const struct cpu *cpu)
{
    const struct cpu_apic *apic = cpu->config.apic;
    u64 base;
    return apic && apic->ops && apic->ops->read_msr(apic->apic, 0x1B, &base) && (base & BIT(11));
}

// All CPUs are the cores of one package, without hyper-threading. The bits of an APIC ID that tell
// them apart.
static unsigned core_bits(const struct cpu *cpu)
{
    unsigned bits = 0;
    while (1u << bits < cpu->config.cpu_count) {
        bits++;
    }
    return bits;
}

static void leaf_1(const struct cpu *cpu, u32 out[4])
{
    out[EAX] = cpu_model_signature(cpu->model);
    // APIC ID, APIC IDs of the package, CLFLUSH of 64 bytes.
    out[EBX] = cpu->config.index << 24 | 1u << (16 + core_bits(cpu)) | 8u << 8;
    if (cpu->config.cpu_count > 1) {
        out[EDX] |= (u32)BIT(28); // HTT: that number counts
    }
    if (!apic_enabled(cpu)) {
        out[EDX] &= ~(u32)BIT(9);
    }
    if (cpu->cr4 & CR4_OSXSAVE) {
        out[ECX] |= (u32)BIT(27);
    }
}

// Deterministic cache parameters: 32 KiB L1 data and code, 1 MiB L2, 16 MiB L3 for all cores.
static void leaf_4(const struct cpu *cpu, u32 subleaf, u32 out[4])
{
    static const struct {
        u8 type, level;
        u16 ways, sets;
    } caches[] = {{1, 1, 8, 64}, {2, 1, 8, 64}, {3, 2, 16, 1024}, {3, 3, 16, 16384}};
    if (subleaf >= ARRAY_LEN(caches)) {
        return;
    }
    u32 others = (1u << core_bits(cpu)) - 1;
    out[EAX] = caches[subleaf].type | (u32)caches[subleaf].level << 5 | BIT(8) | others << 26;
    out[EAX] |= caches[subleaf].level == 3 ? others << 14 : 0;
    out[EBX] = (u32)(caches[subleaf].ways - 1) << 22 | (64 - 1);
    out[ECX] = caches[subleaf].sets - 1u;
}

// Extended topology: one thread a core, one package.
static void leaf_b(const struct cpu *cpu, u32 subleaf, u32 out[4])
{
    out[ECX] = subleaf & 0xFF;
    if (subleaf < 2) {
        out[EAX] = subleaf ? core_bits(cpu) : 0;
        out[EBX] = subleaf ? cpu->config.cpu_count : 1;
        out[ECX] |= (subleaf + 1) << 8;
    }
    out[EDX] = cpu->config.index;
}

// SDM 1 13.2. Subleaf 1's EAX are features.
static void leaf_d(const struct cpu *cpu, u32 subleaf, u32 out[4])
{
    u64 supported = cpu_xcr0_supported(cpu);
    if (!cpu_has(cpu, FEATURE_xsave)) {
        return;
    }
    switch (subleaf) {
    case 0:
        out[EAX] = (u32)supported;
        out[EBX] = cpu_xsave_bytes(cpu->xcr0);
        out[ECX] = cpu_xsave_bytes(supported);
        break;
    case 1:
        out[EBX] = cpu_has(cpu, FEATURE_xsavec) ? cpu_xsave_bytes(cpu->xcr0) : 0;
        break;
    case 2:
        if (supported & XCR0_AVX) {
            out[EAX] = 256; // bytes
            out[EBX] = 576; // offset
        }
        break;
    default:
        break;
    }
}

static u64 gcd(u64 a, u64 b)
{
    while (b) {
        u64 rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void basic_leaf(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 out[4])
{
    const struct cpu_config *c = &cpu->config;
    u64 common;
    switch (leaf) {
    case 0:
        out[EAX] = MAX_LEAF;
        memcpy(&out[EBX], "Genu", 4);
        memcpy(&out[EDX], "ineI", 4);
        memcpy(&out[ECX], "ntel", 4);
        break;
    case 1:
        leaf_1(cpu, out);
        break;
    case 2:
        out[EAX] = 0x00FEFF01; // no descriptors: see leaf 4; TLBs: leaf 18H
        break;
    case 4:
        leaf_4(cpu, subleaf, out);
        break;
    case 0xB:
        leaf_b(cpu, subleaf, out);
        break;
    case 0xD:
        leaf_d(cpu, subleaf, out);
        break;
    case 0x15: // TSC = crystal * EBX / EAX
        common = gcd(c->tsc_hz, c->crystal_hz);
        out[EAX] = (u32)(c->crystal_hz / common);
        out[EBX] = (u32)(c->tsc_hz / common);
        out[ECX] = (u32)c->crystal_hz;
        break;
    case 0x16:
        out[EAX] = out[EBX] = (u32)(c->tsc_hz / 1000000);
        out[ECX] = 100;
        break;
    default:
        break;
    }
}

static void extended_leaf(const struct cpu *cpu, u32 leaf, u32 out[4])
{
    switch (leaf) {
    case 0x80000000:
        out[EAX] = MAX_EXTENDED_LEAF;
        break;
    case 0x80000001:
        // Intel: SYSCALL shows in 64-bit mode only.
        if (!cpu->long_mode) {
            out[EDX] &= ~(u32)BIT(11);
        }
        break;
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        text_registers(cpu->model->brand, (leaf - 0x80000002) * 16, out, 4);
        break;
    case 0x80000006:
        out[ECX] = 64 | 8u << 12 | 1024u << 16; // L2: line, associativity code, KiB
        break;
    case 0x80000008:
        out[EAX] = MMU_PHYS_BITS | 48u << 8;
        break;
    default:
        break;
    }
}

// All other leaves ignore ECX (SDM 2A, CPUID).
static bool has_subleaves(u32 leaf)
{
    return leaf == 4 || leaf == 7 || leaf == 0xB || leaf == 0xD;
}

void cpu_cpuid(const struct cpu *cpu, u32 leaf, u32 subleaf, u32 out[4])
{
    memset(out, 0, 4 * sizeof(out[0]));
    if (leaf >= 0x80000000 ? leaf > MAX_EXTENDED_LEAF : leaf > MAX_LEAF) {
        // Intel: beyond the maximum, the highest basic leaf answers.
        leaf = MAX_LEAF;
    }
    feature_bits(cpu, leaf, has_subleaves(leaf) ? subleaf : 0, out);
    if (leaf >= 0x80000000) {
        extended_leaf(cpu, leaf, out);
    } else {
        basic_leaf(cpu, leaf, subleaf, out);
    }
}

// What the trampolines of vector_unit.c execute on the host.
const char *cpu_host_lacks(cpu_feature_set set)
{
    static const u8 used[] = {FEATURE_sse3,  FEATURE_ssse3, FEATURE_sse4_1,    FEATURE_sse4_2,
                              FEATURE_avx,   FEATURE_avx2,  FEATURE_fma,       FEATURE_f16c,
                              FEATURE_aes,   FEATURE_sha,   FEATURE_pclmulqdq};
    for (size_t i = 0; i < ARRAY_LEN(used); i++) {
        const struct feature_row *f = &features[used[i]];
        u32 out[4] = {0};
        __get_cpuid_count(f->leaf, f->subleaf, &out[EAX], &out[EBX], &out[ECX], &out[EDX]);
        bool present = out[f->reg] >> f->bit & 1;
        if (used[i] == FEATURE_avx) {
            present = present && __builtin_cpu_supports("avx"); // the host's kernel saves it
        }
        if ((set & CPU_FEATURE_BIT(used[i])) && !present) {
            return f->name;
        }
    }
    return NULL;
}
