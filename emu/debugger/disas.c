// SPDX-License-Identifier: MIT
// Disassembly by Capstone.
#include "debugger/disas.h"
#include "base/check.h"
#include "base/memory.h"

#include "isa/decode.h"

#include <capstone/capstone.h>
#include <stdlib.h>
#include <string.h>

#define INSN_MAX 15
#define BACK_BYTES_MAX 4096 // how far back a function's start is looked for

struct disas {
    struct symbols *symbols;
    csh handles[3]; // 16, 32, 64 bits
    cs_insn *insn;
    struct decoder *decoder; // knows of some encodings that Capstone does not
};

struct disas *disas_create(struct symbols *symbols)
{
    static const cs_mode modes[3] = {CS_MODE_16, CS_MODE_32, CS_MODE_64};
    struct disas *d = xcalloc(1, sizeof(*d));
    d->symbols = symbols;
    for (unsigned i = 0; i < 3; i++) {
        CHECK(cs_open(CS_ARCH_X86, modes[i], &d->handles[i]) == CS_ERR_OK);
        cs_option(d->handles[i], CS_OPT_DETAIL, CS_OPT_ON);
    }
    d->insn = cs_malloc(d->handles[2]);
    CHECK(d->insn);
    struct decoder_options options = {.tzcnt = true, .lzcnt = true};
    d->decoder = decoder_create(&options);
    return d;
}

void disas_destroy(struct disas *d)
{
    if (!d) {
        return;
    }
    cs_free(d->insn, 1);
    decoder_destroy(d->decoder);
    for (unsigned i = 0; i < 3; i++) {
        cs_close(&d->handles[i]);
    }
    free(d);
}

static enum disas_kind kind_of(csh handle, const cs_insn *insn)
{
    switch (insn->id) {
    case X86_INS_SYSCALL:
    case X86_INS_SYSENTER:
        return DISAS_SYSCALL;
    case X86_INS_IRET:
    case X86_INS_IRETD:
    case X86_INS_IRETQ:
    case X86_INS_SYSRET:
    case X86_INS_SYSEXIT:
        return DISAS_INTERRUPT_RETURN;
    case X86_INS_JMP:
    case X86_INS_LJMP:
        return DISAS_JUMP;
    default:
        break;
    }
    if (cs_insn_group(handle, insn, X86_GRP_CALL)) {
        return DISAS_CALL;
    }
    if (cs_insn_group(handle, insn, X86_GRP_RET)) {
        return DISAS_RETURN;
    }
    return cs_insn_group(handle, insn, X86_GRP_JUMP) ? DISAS_BRANCH : DISAS_OTHER;
}

// The address that an operand names: a branch target, memory relative to RIP, an absolute or
// immediate one. 0: none.
static u64 operand_address(const cs_insn *insn, bool *is_target)
{
    const cs_x86 *x86 = &insn->detail->x86;
    *is_target = false;
    for (unsigned i = 0; i < x86->op_count; i++) {
        const cs_x86_op *op = &x86->operands[i];
        if (op->type == X86_OP_IMM) {
            *is_target = true;
            return (u64)op->imm;
        }
        if (op->type == X86_OP_MEM && op->mem.base == X86_REG_RIP) {
            return insn->address + insn->size + (u64)op->mem.disp;
        }
        if (op->type == X86_OP_MEM && op->mem.segment == X86_REG_INVALID &&
            (op->mem.base == X86_REG_INVALID || op->mem.disp < INT32_MIN / 2)) {
            return (u64)op->mem.disp; // a table or per-CPU area indexed by registers
        }
    }
    return 0;
}

static void add_comment(struct disas *d, const cs_insn *insn, struct disas_insn *out)
{
    bool is_target;
    u64 address = operand_address(insn, &is_target);
    bool is_branch =
        out->kind == DISAS_CALL || out->kind == DISAS_JUMP || out->kind == DISAS_BRANCH;
    struct symbol_place place;
    if (is_branch && is_target) {
        out->target = address;
    }
    if (address && d->symbols && symbols_name(d->symbols, address, &place) && place.name) {
        char name[80];
        symbols_format(d->symbols, address, name, sizeof(name));
        snprintf(out->comment, sizeof(out->comment), "<%s>", name);
    }
}

// What Capstone does not know (parts of AVX-512, shadow stacks): at least its name and length, so
// that the list goes on at the next instruction.
static void name_unknown(struct disas *d, unsigned bits, const u8 *bytes, u64 size,
                         struct disas_insn *out)
{
    enum insn_code_size code = bits == 64 ? CODE_64 : bits == 32 ? CODE_32 : CODE_16;
    struct insn insn;
    out->length = 1;
    snprintf(out->text, sizeof(out->text), "(bad)");
    if (insn_decode(d->decoder, code, bytes, size, 0, &insn) == DECODE_OK && insn.length) {
        const char *name =
            insn.op == OP_INVALID ? decode_mnemonic_name(insn.imm) : x86_op_info[insn.op].name;
        if (strcmp(name, "(bad)") != 0) {
            out->length = insn.length;
            snprintf(out->text, sizeof(out->text), "%s ...", name);
        }
    }
    memcpy(out->bytes, bytes, out->length);
}

bool disas_insn(struct disas *d, unsigned bits, u64 address, const u8 *bytes, u64 size,
                struct disas_insn *out)
{
    memset(out, 0, sizeof(*out));
    out->address = address;
    if (!size) {
        return false;
    }
    csh handle = d->handles[bits == 64 ? 2 : bits == 32 ? 1 : 0];
    const u8 *at = bytes;
    size_t left = size < INSN_MAX ? size : INSN_MAX;
    u64 next = address;
    if (!cs_disasm_iter(handle, &at, &left, &next, d->insn) || d->insn->size > INSN_MAX) {
        name_unknown(d, bits, bytes, size, out);
        return true;
    }
    const cs_insn *insn = d->insn;
    out->length = (u8)insn->size;
    memcpy(out->bytes, insn->bytes, insn->size);
    out->kind = kind_of(handle, insn);
    out->rep = insn->detail->x86.prefix[0] == X86_PREFIX_REP ||
               insn->detail->x86.prefix[0] == X86_PREFIX_REPNE;
    snprintf(out->text, sizeof(out->text), "%s%s%.80s", insn->mnemonic, insn->op_str[0] ? " " : "",
             insn->op_str);
    add_comment(d, insn, out);
    return true;
}

// --- lists

static void print_heading(FILE *out, struct disas *d, u64 address, unsigned flags,
                          struct symbol_place *last)
{
    struct symbol_place place;
    if (!d->symbols) {
        return;
    }
    bool found = flags & DISAS_SOURCE ? symbols_place(d->symbols, address, &place)
                                      : symbols_name(d->symbols, address, &place);
    if (!found) {
        return;
    }
    if (place.name && place.start != last->start) {
        fprintf(out, "%s:\n", place.name);
    }
    if (place.file && (place.line != last->line || place.path != last->path)) {
        fprintf(out, "%s:%u", place.file, place.line);
        source_print(out, place.path, place.line, place.line, 0);
    }
    *last = place;
}

static void print_insn(FILE *out, const struct disas_insn *insn, u64 mark, unsigned flags)
{
    fprintf(out, "%s 0x%016llx  ", insn->address == mark ? "=>" : "  ",
            (unsigned long long)insn->address);
    if (flags & DISAS_BYTES) {
        for (unsigned i = 0; i < 8; i++) {
            if (i < insn->length) {
                fprintf(out, "%02x", insn->bytes[i]);
            } else {
                fputs("  ", out);
            }
        }
        fputs(insn->length > 8 ? "+ " : "  ", out);
    }
    fprintf(out, "%s%s%s\n", insn->text, insn->comment[0] ? "  " : "", insn->comment);
}

u64 disas_print(FILE *out, struct disas *d, unsigned bits, symbols_read_fn read, void *ctx,
                u64 address, unsigned count, u64 mark, unsigned flags)
{
    struct symbol_place last = {0};
    for (; count > 0; count--) {
        u8 bytes[INSN_MAX];
        u64 size = INSN_MAX;
        while (size && !read(ctx, address, bytes, size)) {
            size--; // the last bytes of what is mapped
        }
        struct disas_insn insn;
        if (!disas_insn(d, bits, address, bytes, size, &insn)) {
            fprintf(out, "   0x%016llx  not mapped\n", (unsigned long long)address);
            break;
        }
        print_heading(out, d, address, flags, &last);
        print_insn(out, &insn, mark, flags);
        address += insn.length;
    }
    return address;
}

// Decodes from start; true if an instruction begins at address. The last starts are kept in ring.
static bool decode_up_to(struct disas *d, unsigned bits, symbols_read_fn read, void *ctx, u64 start,
                         u64 address, u64 *ring, unsigned room, u64 *seen)
{
    *seen = 0;
    while (start < address) {
        u8 bytes[INSN_MAX];
        struct disas_insn insn;
        u64 size = INSN_MAX;
        while (size && !read(ctx, start, bytes, size)) {
            size--;
        }
        if (!disas_insn(d, bits, start, bytes, size, &insn)) {
            return false;
        }
        ring[(*seen)++ % room] = start;
        start += insn.length;
    }
    return start == address;
}

u64 disas_back(struct disas *d, unsigned bits, symbols_read_fn read, void *ctx, u64 address,
               unsigned count)
{
    u64 ring[64], seen;
    struct symbol_place place;
    count = count < 64 ? count : 64;
    if (!count) {
        return address;
    }
    if (d->symbols && symbols_name(d->symbols, address, &place) && place.name &&
        place.offset < BACK_BYTES_MAX && place.offset &&
        decode_up_to(d, bits, read, ctx, place.start, address, ring, count, &seen)) {
        return seen < count ? place.start : ring[seen % count];
    }
    // Without a start to hold on to: the farthest one from which the decoding meets the address.
    for (u64 back = 8 * (u64)count; back > 0; back--) {
        if (back <= address &&
            decode_up_to(d, bits, read, ctx, address - back, address, ring, count, &seen)) {
            return seen < count ? address - back : ring[seen % count];
        }
    }
    return address;
}

bool source_print(FILE *out, const char *path, unsigned first, unsigned last, unsigned mark)
{
    FILE *in = path ? fopen(path, "re") : NULL;
    char line[256];
    unsigned number = 1;
    bool line_begins = true, single = first == last && !mark;
    if (!in) {
        fputs(single ? "\n" : "", out);
        return false;
    }
    while (number <= last && fgets(line, sizeof(line), in)) {
        size_t length = strcspn(line, "\n");
        bool ends = line[length] == '\n';
        line[length] = '\0';
        if (number >= first && line_begins) {
            if (single) {
                fprintf(out, "  %s\n", line + strspn(line, " \t"));
            } else {
                fprintf(out, "%s %5u  %s\n", number == mark ? "=>" : "  ", number, line);
            }
        }
        number += ends;
        line_begins = ends;
    }
    if (single && number <= first) {
        fputc('\n', out);
    }
    fclose(in);
    return true;
}
