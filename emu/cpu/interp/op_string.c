// SPDX-License-Identifier: MIT
// MOVS STOS LODS CMPS SCAS with REP (SDM 2). A REP instruction costs one step per iteration, stops
// at a boundary or at the end of the budget with its registers telling the rest, and starts again
// from there.
#include "cpu/interp/alu.h"
#include "cpu/interp/operand.h"

static unsigned address_width(const struct insn *insn)
{
    return insn->flags & INSN_ADDR32 ? 2 : insn->flags & INSN_ADDR16 ? 1 : 3;
}

static bool source_address(struct cpu *cpu, const struct insn *insn, u64 *linear)
{
    u64 offset = reg_read(cpu, CPU_RSI, address_width(insn));
    return operand_segment(cpu, insn->seg, offset, insn_width_bytes(insn), false, linear);
}

static bool destination_address(struct cpu *cpu, const struct insn *insn, bool write, u64 *linear)
{
    u64 offset = reg_read(cpu, CPU_RDI, address_width(insn));
    return operand_segment(cpu, CPU_ES, offset, insn_width_bytes(insn), write, linear);
}

static void advance(struct cpu *cpu, const struct insn *insn, u8 reg)
{
    u64 step = insn_width_bytes(insn);
    reg_write(cpu, reg, address_width(insn),
              cpu->gpr[reg] + ((cpu->rflags & RFLAGS_DF) ? 0 - step : step));
}

// One iteration each.
static bool movs_once(struct cpu *cpu, const struct insn *insn)
{
    u64 from, to, value;
    unsigned size = insn_width_bytes(insn);
    if (!source_address(cpu, insn, &from) || !operand_read(cpu, insn, from, &value, size) ||
        !destination_address(cpu, insn, true, &to) || !operand_write(cpu, insn, to, &value, size)) {
        return false;
    }
    advance(cpu, insn, CPU_RSI);
    advance(cpu, insn, CPU_RDI);
    return true;
}

static bool stos_once(struct cpu *cpu, const struct insn *insn)
{
    u64 to;
    if (!destination_address(cpu, insn, true, &to) ||
        !operand_write(cpu, insn, to, &cpu->gpr[CPU_RAX], insn_width_bytes(insn))) {
        return false;
    }
    advance(cpu, insn, CPU_RDI);
    return true;
}

static bool lods_once(struct cpu *cpu, const struct insn *insn)
{
    u64 from, value = 0;
    if (!source_address(cpu, insn, &from) ||
        !operand_read(cpu, insn, from, &value, insn_width_bytes(insn))) {
        return false;
    }
    reg_write(cpu, insn->width ? CPU_RAX : 0, insn->width, value);
    advance(cpu, insn, CPU_RSI);
    return true;
}

static void compare(struct cpu *cpu, unsigned width, u64 a, u64 b)
{
    switch (width) {
    case 0:
        alu_cmp8(cpu, (u8)a, (u8)b);
        break;
    case 1:
        alu_cmp16(cpu, (u16)a, (u16)b);
        break;
    case 2:
        alu_cmp32(cpu, (u32)a, (u32)b);
        break;
    default:
        alu_cmp64(cpu, a, b);
        break;
    }
}

static bool cmps_once(struct cpu *cpu, const struct insn *insn)
{
    u64 from, to, a = 0, b = 0;
    unsigned size = insn_width_bytes(insn);
    if (!source_address(cpu, insn, &from) || !operand_read(cpu, insn, from, &a, size) ||
        !destination_address(cpu, insn, false, &to) || !operand_read(cpu, insn, to, &b, size)) {
        return false;
    }
    compare(cpu, insn->width, a, b);
    advance(cpu, insn, CPU_RSI);
    advance(cpu, insn, CPU_RDI);
    return true;
}

static bool scas_once(struct cpu *cpu, const struct insn *insn)
{
    u64 to, b = 0;
    if (!destination_address(cpu, insn, false, &to) ||
        !operand_read(cpu, insn, to, &b, insn_width_bytes(insn))) {
        return false;
    }
    compare(cpu, insn->width, cpu->gpr[CPU_RAX], b);
    advance(cpu, insn, CPU_RDI);
    return true;
}

// Elements that lie in one page from linear on, upwards.
static u64 elements_in_page(u64 linear, unsigned width)
{
    return (PAGE_SIZE - (linear & PAGE_MASK)) >> width;
}

// C libraries copy more than this with REP MOVSB, which some hosts do ten times slower where the
// addresses are nearly the same modulo 4096.
#define PIECE 2048

static void copy_elements(u8 *to, const u8 *from, u64 bytes, unsigned size)
{
    if (to <= from || to >= from + bytes) {
        for (; bytes > PIECE; bytes -= PIECE, to += PIECE, from += PIECE) {
            __builtin_memmove(to, from, PIECE);
        }
        __builtin_memmove(to, from, bytes);
        return;
    }
    for (u64 i = 0; i < bytes;
         i += size) { // overlapping forwards: elements are read after earlier ones were written
        u64 value;
        __builtin_memcpy(&value, from + i, size);
        __builtin_memcpy(to + i, &value, size);
    }
}

static void fill_elements(u8 *to, u64 value, u64 count, unsigned width)
{
    static const u64 repeated[] = {UINT64_C(0x0101010101010101), UINT64_C(0x0001000100010001),
                                   UINT64_C(0x0000000100000001), 1};
    u64 pattern = bits_truncate(value, 1u << width) * repeated[width], bytes = count << width;
    if (pattern == (u8)pattern * repeated[0]) {
        __builtin_memset(to, (u8)pattern, bytes);
        return;
    }
    for (; bytes >= 8; bytes -= 8, to += 8) {
        __builtin_memcpy(to, &pattern, 8);
    }
    __builtin_memcpy(to, &pattern, bytes);
}

// Up to limit iterations at once while both sides stay in cached pages: upwards in 64-bit code
// only. Returns how many; registers but RCX are done.
static u64 bulk(struct cpu *cpu, const struct insn *insn, bool copy, u64 limit)
{
    bool flat = !(insn->flags & (INSN_ADDR32 | INSN_ADDR16)) && !(copy && insn->seg >= CPU_FS);
    if (!cpu->long_mode || !flat || (cpu->rflags & RFLAGS_DF)) {
        return 0;
    }
    u64 from = cpu->gpr[CPU_RSI], to = cpu->gpr[CPU_RDI], n = elements_in_page(to, insn->width);
    n = n < limit ? n : limit;
    if (copy) {
        u64 m = elements_in_page(from, insn->width);
        n = n < m ? n : m;
    }
    u64 bytes = n << insn->width;
    if (n < 2) {
        return 0;
    }
    u8 *host_to = tlb_lookup(&cpu->tables->write, to, (unsigned)bytes);
    u8 *host_from = copy ? tlb_lookup(&cpu->tables->read, from, (unsigned)bytes) : NULL;
    if (!host_to || (copy && !host_from)) {
        return 0;
    }
    if (copy) {
        copy_elements(host_to, host_from, bytes, insn_width_bytes(insn));
        cpu->gpr[CPU_RSI] += bytes;
    } else {
        fill_elements(host_to, cpu->gpr[CPU_RAX], n, insn->width);
    }
    cpu->gpr[CPU_RDI] += bytes;
    return n;
}

enum string_kind { PLAIN, COMPARING, COPYING, FILLING };

// The REP loop. COMPARING ones also end on ZF (REPE: clear, REPNE: set).
static inline bool repeat(struct cpu *cpu, const struct insn *insn, insn_fn once,
                          enum string_kind kind)
{
    if (!(insn->flags & (INSN_REP | INSN_REPNE))) {
        return once(cpu, insn);
    }
    unsigned width = address_width(insn);
    insn_fn self = insn->fn; // changes if the instruction overwrites itself
    u64 count = reg_read(cpu, CPU_RCX, width), available = loop_steps_available(cpu, insn);
    u64 done = 0, charged = 0;
    while (count) {
        u64 limit = count < available - done ? count : available - done;
        // No page: a boundary is to be looked at after each iteration (single steps, --tlb off).
        bool many = (kind == COPYING || kind == FILLING) && cpu->page;
        u64 n = many ? bulk(cpu, insn, kind == COPYING, limit) : 0;
        if (n == 0) {
            cpu->current = insn;
            loop_charge(cpu, insn, done - charged); // a device, or a watcher, sees the clock
            charged = done;
            if (!once(cpu, insn)) {
                return false;
            }
            n = 1;
        }
        done += n;
        count -= n;
        reg_write(cpu, CPU_RCX, width, count);
        if (kind == COMPARING && !(cpu->flags & FLAGS_Z) == !(insn->flags & INSN_REPNE)) {
            break;
        }
        if (count && (done == available || cpu->boundary || !cpu->page || insn->fn != self)) {
            loop_charge(cpu, insn, done - charged);
            return rep_unfinished(cpu);
        }
    }
    if (done > charged + 1) {
        loop_charge(cpu, insn, done - 1 - charged);
    }
    return true;
}

#define STRING(name, kind)                                                                         \
    static bool name(struct cpu *cpu, const struct insn *insn)                                     \
    {                                                                                              \
        return repeat(cpu, insn, name##_once, kind);                                               \
    }                                                                                              \
    BIND_ONE(name, name)
STRING(movs, COPYING)
STRING(stos, FILLING)
STRING(lods, PLAIN)
STRING(cmps, COMPARING)
STRING(scas, COMPARING)
