// SPDX-License-Identifier: MIT
// test_disassembly FERN ROOTFS ELF...: two independent decoders agree. Our decoder (Zydis) and the
// disassembly that people see (Capstone) give the same lengths and, through a table of other
// spellings, the same mnemonics: over all code of fern, over that of the given programs, and over
// every instruction that a boot of fern executes.
#include "../debugger/boot.h"

#include "debugger/disas.h"
#include "debugger/walk.h"
#include "isa/decode.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_STEPS 20000000
#define COMPLAINTS 12

// Zydis' name and Capstone's, where they differ.
static const char *const spellings[][2] = {
    {"jnb", "jae"},        {"jz", "je"},         {"jnz", "jne"},       {"jnbe", "ja"},
    {"jnl", "jge"},        {"jnle", "jg"},       {"cmovnb", "cmovae"}, {"cmovz", "cmove"},
    {"cmovnz", "cmovne"},  {"cmovnbe", "cmova"}, {"cmovnl", "cmovge"}, {"cmovnle", "cmovg"},
    {"setnb", "setae"},    {"setz", "sete"},     {"setnz", "setne"},   {"setnbe", "seta"},
    {"setnl", "setge"},    {"setnle", "setg"},   {"mov", "movabs"},    {"ret", "retf"},
    {"ret", "retfq"},      {"jmp", "ljmp"},      {"call", "lcall"},    {"xlat", "xlatb"},
    {"sysret", "sysretq"}, {"nop", "endbr64"},   {"fwait", "wait"},
};

static const char *const mnemonics[X86_OP_COUNT] = {
    "(bad)",
#define OP(id, mnemonic, ...) #mnemonic,
#include "isa/x86_ops.def"
#undef OP
};

struct decoders {
    struct decoder *ours;
    struct disas *disas;
};

static u64 compared, length_differs, name_differs, bad_seen, unknown;

static bool same_name(const char *zydis, const char *capstone)
{
    char lower[40];
    size_t i = 0;
    for (; zydis[i] && i + 1 < sizeof(lower); i++) {
        lower[i] = (char)(zydis[i] >= 'A' && zydis[i] <= 'Z' ? zydis[i] + 32 : zydis[i]);
    }
    lower[i] = '\0';
    if (!strcmp(lower, capstone)) {
        return true;
    }
    const char *cmp = strstr(lower, "cmp"); // Capstone writes the predicate into the name
    if (cmp && cmp <= lower + 2 && strlen(capstone) > strlen(lower)) {
        size_t head = (size_t)(cmp + 3 - lower), tail = strlen(cmp + 3);
        if (!strncmp(capstone, lower, head) &&
            !strcmp(capstone + strlen(capstone) - tail, cmp + 3)) {
            return true;
        }
    }
    for (i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        if (!strcmp(lower, spellings[i][0]) && !strcmp(capstone, spellings[i][1])) {
            return true;
        }
    }
    return false;
}

// The mnemonic in Capstone's text: behind the prefixes, which are words of their own.
static void mnemonic_of(const char *text, char *out, size_t size)
{
    static const char *const prefixes[] = {"lock",    "rep",    "repe",     "repne",   "bnd",
                                           "notrack", "data16", "xacquire", "xrelease"};
    for (;;) {
        size_t length = strcspn(text, " ");
        bool is_prefix = false;
        for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
            is_prefix |= strlen(prefixes[i]) == length && !strncmp(text, prefixes[i], length);
        }
        if (!is_prefix || !text[length]) {
            snprintf(out, size, "%.*s", (int)length, text);
            return;
        }
        text += length + 1;
    }
}

static void complain(u64 address, const u8 *bytes, const char *zydis, unsigned length,
                     const struct disas_insn *theirs)
{
    printf("# %#llx:", (unsigned long long)address);
    for (unsigned i = 0; i < 15; i++) {
        printf(" %02x", bytes[i]);
    }
    printf(": %s (%u), Capstone %s (%u)\n", zydis, length, theirs->text, theirs->length);
}

// Capstone 4 lacks parts of AVX-512 and the shadow-stack instructions, which glibc's code has.
static bool unknown_to_capstone(const u8 *bytes, bool is_bad)
{
    if (bytes[0] == 0xF3 && (bytes[1] & 0xF8) == 0x48 && bytes[2] == 0x0F) {
        return bytes[3] == 0x1E || bytes[3] == 0xAE;
    }
    return is_bad && (bytes[0] == 0x62 || bytes[0] == 0xC4 || bytes[0] == 0xC5);
}

// Compares one instruction; returns its length by our decoder.
static unsigned compare(const struct decoders *d, u64 address, const u8 *bytes, size_t size)
{
    struct insn insn;
    struct disas_insn theirs;
    char mnemonic[40];
    if (insn_decode(d->ours, CODE_64, bytes, size, address & 0xFFF, &insn) != DECODE_OK) {
        return 1;
    }
    const char *zydis = insn.op == OP_INVALID ? decode_mnemonic_name(insn.imm) : mnemonics[insn.op];
    disas_insn(d->disas, 64, address, bytes, size, &theirs);
    mnemonic_of(theirs.text, mnemonic, sizeof(mnemonic));
    compared++;
    bool is_bad = !strcmp(theirs.text, "(bad)") || strstr(theirs.text, " ...");
    if (unknown_to_capstone(bytes, is_bad)) {
        unknown++;
        return insn.length ? insn.length : 1;
    }
    bad_seen += is_bad;
    if (is_bad && strstr(theirs.text, " ...")) {
        strcpy(mnemonic, "only ours"); // not a second opinion
    }
    bool same_length = insn.length == theirs.length || !strcmp(zydis, "(bad)");
    bool same = same_name(zydis, mnemonic);
    length_differs += !same_length;
    name_differs += !same;
    if ((!same_length || !same) && length_differs + name_differs <= COMPLAINTS) {
        complain(address, bytes, zydis, insn.length, &theirs);
    }
    return insn.length ? insn.length : 1;
}

static void report(const char *what, u64 least)
{
    tap(compared >= least && !length_differs && !name_differs,
        "%s: %llu instructions, %llu lengths and %llu mnemonics differ (%llu are none, %llu "
        "unknown "
        "to Capstone)",
        what, (unsigned long long)compared, (unsigned long long)length_differs,
        (unsigned long long)name_differs, (unsigned long long)bad_seen,
        (unsigned long long)unknown);
    compared = length_differs = name_differs = bad_seen = unknown = 0;
}

// --- files: the executable segments, from end to end

static void compare_file(const struct decoders *d, const char *path, u64 least)
{
    FILE *f = fopen(path, "rb");
    u8 *image = calloc(1, 64 << 20);
    size_t size = f ? fread(image, 1, (64 << 20) - 16, f) : 0;
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)image;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(image + header->e_shoff);
    for (unsigned i = 0; size && i < header->e_shnum; i++) {
        if (!(sections[i].sh_flags & SHF_EXECINSTR) || sections[i].sh_type != SHT_PROGBITS) {
            continue;
        }
        const u8 *code = image + sections[i].sh_offset;
        for (u64 at = 0; at < sections[i].sh_size;) {
            u64 left = sections[i].sh_size - at;
            at += compare(d, sections[i].sh_addr + at, code + at, left < 15 ? left : 15);
        }
    }
    if (f) {
        fclose(f);
    }
    free(image);
    report(strrchr(path, '/') ? strrchr(path, '/') + 1 : path, least);
}

// --- a boot, step by step

struct seen {
    u64 *keys;
    size_t mask;
};

// True the first time: by address and bytes, so that two programs at one address are two.
static bool first_time(struct seen *s, u64 address, const u8 *bytes)
{
    u64 key = address * 0x9E3779B97F4A7C15u, head;
    memcpy(&head, bytes, 8);
    key ^= head * 0xC2B2AE3D27D4EB4Fu;
    key |= 1;
    for (u64 i = key >> 20;; i++) {
        u64 *slot = &s->keys[i & s->mask];
        if (*slot == key) {
            return false;
        }
        if (!*slot) {
            *slot = key;
            return true;
        }
    }
}

static void compare_boot(const struct decoders *d, const char *fern, const char *rootfs)
{
    struct boot b;
    struct seen seen = {calloc(1 << 20, sizeof(u64)), (1 << 20) - 1};
    boot_open(&b, fern, rootfs, "ls -l /bin | head -3; uname -a; echo $((6*7)) | md5sum");
    struct cpu *cpu = machine_cpu(b.m, 0);
    for (u64 i = 0; i < BOOT_STEPS && boot_run(&b, 1); i++) {
        struct cpu_regs regs;
        u8 bytes[15];
        cpu_get_regs(cpu, &regs);
        if (!(regs.efer >> 10 & 1) || !cpu_debug_read(cpu, regs.rip, bytes, sizeof(bytes))) {
            continue; // not in 64-bit code yet, or at a page's end
        }
        if (first_time(&seen, regs.rip, bytes)) {
            compare(d, regs.rip, bytes, sizeof(bytes));
        }
    }
    printf("# %llu steps\n", (unsigned long long)boot_step(&b));
    free(seen.keys);
    boot_close(&b);
    report("a boot", 20000);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    struct decoder_options options = {.tzcnt = true, .lzcnt = true};
    struct decoders d = {decoder_create(&options), disas_create(NULL)};
    compare_file(&d, argv[1], 50000);
    for (int i = 3; i < argc; i++) {
        compare_file(&d, argv[i], 50000);
    }
    compare_boot(&d, argv[1], argv[2]);
    disas_destroy(d.disas);
    decoder_destroy(d.ours);
    return tap_end();
}
