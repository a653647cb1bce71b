// SPDX-License-Identifier: MIT
// Segment registers, far transfers, software interrupts, SYSCALL, protection queries.
#include "cpu/flags.h"
#include "cpu/interp/operand.h"
#include "cpu/segment.h"

static bool load_segment(struct cpu *cpu, unsigned seg, u16 selector)
{
    if (seg == CPU_CS) {
        return raise_ud(cpu);
    }
    if (!cpu_load_segment(cpu, seg, selector)) {
        return false;
    }
    if (seg == CPU_SS) {
        cpu->shadow = SHADOW_MOV_SS;
        cpu->boundary = true;
    }
    return true;
}

static bool mov_to_seg(struct cpu *cpu, const struct insn *insn)
{
    u16 selector;
    if (insn->reg == CPU_CS) {
        return raise_ud(cpu);
    }
    if (insn->form == FORM_RR) {
        selector = (u16)cpu->gpr[insn->rm];
    } else if (!operand_load(cpu, insn, &selector, 2)) {
        return false;
    }
    return load_segment(cpu, insn->reg, selector);
}
BIND_ONE(mov_to_seg, mov_to_seg)

// To a register of 32 or 64 bits the selector is zero-extended; memory gets 16 bits.
static bool mov_from_seg(struct cpu *cpu, const struct insn *insn)
{
    if (insn->form == FORM_RR) {
        reg_write(cpu, insn->reg, insn->width, cpu->seg[insn->rm].selector);
        return true;
    }
    return operand_store(cpu, insn, &cpu->seg[insn->reg].selector, 2);
}
BIND_ONE(mov_from_seg, mov_from_seg)

static unsigned stack_operand_width(const struct insn *insn)
{
    return insn->code == CODE_64 && insn->width == 2 ? 3 : insn->width;
}

static bool push_seg(struct cpu *cpu, const struct insn *insn)
{
    return stack_push(cpu, insn, stack_operand_width(insn), cpu->seg[insn->reg].selector);
}
BIND_ONE(push_seg, push_seg)

static bool pop_seg(struct cpu *cpu, const struct insn *insn)
{
    u64 value, rsp = cpu->gpr[CPU_RSP];
    if (!stack_pop(cpu, insn, stack_operand_width(insn), &value)) {
        return false;
    }
    if (!load_segment(cpu, insn->reg, (u16)value)) {
        cpu->gpr[CPU_RSP] = rsp;
        return false;
    }
    return true;
}
BIND_ONE(pop_seg, pop_seg)

// LDS LES LFS LGS LSS: offset first, selector behind it.
static bool load_far_pointer(struct cpu *cpu, const struct insn *insn)
{
    unsigned seg = insn->op == OP_LDS   ? CPU_DS
                   : insn->op == OP_LES ? CPU_ES
                   : insn->op == OP_LSS ? CPU_SS
                   : insn->op == OP_LFS ? CPU_FS
                                        : CPU_GS;
    unsigned size = insn_width_bytes(insn);
    u8 bytes[10] = {0};
    u64 offset = 0;
    u16 selector;
    if (!operand_load(cpu, insn, bytes, size + 2)) {
        return false;
    }
    __builtin_memcpy(&offset, bytes, size);
    __builtin_memcpy(&selector, bytes + size, 2);
    if (!load_segment(cpu, seg, selector)) {
        return false;
    }
    reg_write(cpu, insn->reg, insn->width, offset);
    return true;
}
BIND_ONE(load_far_pointer, load_far_pointer)

// The far pointer of JMP or CALL: immediate or memory.
static bool far_pointer(struct cpu *cpu, const struct insn *insn, u16 *selector, u64 *offset)
{
    if (insn->form != FORM_M) {
        *selector = (u16)(insn->imm >> 32);
        *offset = (u32)insn->imm;
        return true;
    }
    unsigned size = insn_width_bytes(insn);
    u8 bytes[10] = {0};
    if (!operand_load(cpu, insn, bytes, size + 2)) {
        return false;
    }
    *offset = 0;
    __builtin_memcpy(offset, bytes, size);
    __builtin_memcpy(selector, bytes + size, 2);
    return true;
}

static bool jmp_far(struct cpu *cpu, const struct insn *insn)
{
    u16 selector;
    u64 offset;
    return far_pointer(cpu, insn, &selector, &offset) &&
           cpu_far_jump(cpu, selector, offset, insn_width_bytes(insn));
}
BIND_ONE(jmp_far, jmp_far)

static bool call_far(struct cpu *cpu, const struct insn *insn)
{
    u16 selector;
    u64 offset;
    return far_pointer(cpu, insn, &selector, &offset) &&
           cpu_far_call(cpu, selector, offset, insn_width_bytes(insn), insn_next_rip(cpu, insn));
}
BIND_ONE(call_far, call_far)

static bool ret_far(struct cpu *cpu, const struct insn *insn)
{
    u16 pop = insn->form == FORM_I ? (u16)insn->imm : 0;
    return cpu_far_return(cpu, insn_width_bytes(insn), pop);
}
BIND_ONE(ret_far, ret_far)

static bool iret(struct cpu *cpu, const struct insn *insn)
{
    return cpu_iret(cpu, insn->op == OP_IRET ? 2 : insn->op == OP_IRETD ? 4 : 8);
}
BIND_ONE(iret, iret)

static bool int_n(struct cpu *cpu, const struct insn *insn)
{
    return cpu_soft_interrupt(cpu, (u8)insn->imm, DELIVER_SOFT_INT, insn_next_rip(cpu, insn));
}
BIND_ONE(int_n, int_n)

static bool int3(struct cpu *cpu, const struct insn *insn)
{
    return cpu_soft_interrupt(cpu, EXC_BP, DELIVER_INT3, insn_next_rip(cpu, insn));
}
BIND_ONE(int3, int3)

static bool int1(struct cpu *cpu, const struct insn *insn)
{
    return cpu_soft_interrupt(cpu, EXC_DB, DELIVER_INT1, insn_next_rip(cpu, insn));
}
BIND_ONE(int1, int1)

static bool syscall_insn(struct cpu *cpu, const struct insn *insn)
{
    return cpu_syscall(cpu, insn_next_rip(cpu, insn));
}
BIND_ONE(syscall, syscall_insn)

static bool sysret_insn(struct cpu *cpu, const struct insn *insn)
{
    return cpu_sysret(cpu, insn->width == 3 ? 8 : 4);
}
BIND_ONE(sysret, sysret_insn)

static bool sysenter_insn(struct cpu *cpu, const struct insn *insn)
{
    return cpu_sysenter(cpu);
}
BIND_ONE(sysenter, sysenter_insn)

static bool sysexit_insn(struct cpu *cpu, const struct insn *insn)
{
    return cpu_sysexit(cpu, insn->width == 3 ? 8 : 4);
}
BIND_ONE(sysexit, sysexit_insn)

// The 16-bit selector of LAR, LSL (second operand) or VERR, VERW (the only one).
static bool query_selector(struct cpu *cpu, const struct insn *insn, u16 *selector)
{
    if (cpu_paragraphs(cpu)) {
        return raise_ud(cpu);
    }
    if (insn->form == FORM_RR || insn->form == FORM_R) {
        *selector = (u16)cpu->gpr[insn->form == FORM_RR ? insn->rm : insn->reg];
        return true;
    }
    return operand_load(cpu, insn, selector, 2);
}

enum query { QUERY_NO, QUERY_YES, QUERY_FAULT };

// Whether the selector names a descriptor that the caller may see; conforming code is open to all.
static enum query query_descriptor(struct cpu *cpu, u16 selector, struct descriptor *d)
{
    if (!selector_error(selector)) {
        return QUERY_NO;
    }
    if (!descriptor_read(cpu, selector, false, EXC_GP, 0, d)) {
        return cpu->fault.vector == EXC_PF ? QUERY_FAULT : QUERY_NO;
    }
    unsigned dpl = descriptor_dpl(d);
    bool open = descriptor_is_code(d) && (d->attributes & SEGMENT_CONFORMING);
    return open || (dpl >= cpu->cpl && dpl >= (selector & 3u)) ? QUERY_YES : QUERY_NO;
}

static void set_zf(struct cpu *cpu, bool set)
{
    flags_update(cpu, FLAGS_Z, set ? FLAGS_Z : 0);
}

static bool system_type_in(const struct cpu *cpu, const struct descriptor *d, u32 legacy_types,
                           u32 lma_types)
{
    u32 types = cpu_in_lma(cpu) ? lma_types : legacy_types;
    return (d->attributes & SEGMENT_S) || (types >> (d->attributes & SEGMENT_TYPE) & 1);
}

static bool lar_lsl(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    u16 selector;
    if (!query_selector(cpu, insn, &selector)) {
        return false;
    }
    enum query answer = query_descriptor(cpu, selector, &d);
    if (answer == QUERY_FAULT) {
        return false;
    }
    bool is_lar = insn->op == OP_LAR;
    u32 limits =
        1u << SYS_TSS16 | 1u << SYS_LDT | 1u << SYS_TSS16_BUSY | 1u << SYS_TSS | 1u << SYS_TSS_BUSY;
    u32 gates = 1u << SYS_CALL_GATE16 | 1u << SYS_TASK_GATE | 1u << SYS_CALL_GATE;
    u32 lma =
        1u << SYS_LDT | 1u << SYS_TSS | 1u << SYS_TSS_BUSY | (is_lar ? 1u << SYS_CALL_GATE : 0);
    bool valid = answer == QUERY_YES && system_type_in(cpu, &d, limits | (is_lar ? gates : 0), lma);
    if (valid) {
        u32 value = is_lar ? (u32)(d.low >> 32) & 0x00FFFF00 : descriptor_limit(&d);
        reg_write(cpu, insn->reg, insn->width, value);
    }
    set_zf(cpu, valid);
    return true;
}
BIND_ONE(lar_lsl, lar_lsl)

static bool verr_verw(struct cpu *cpu, const struct insn *insn)
{
    struct descriptor d;
    u16 selector;
    if (!query_selector(cpu, insn, &selector)) {
        return false;
    }
    enum query answer = query_descriptor(cpu, selector, &d);
    if (answer == QUERY_FAULT) {
        return false;
    }
    bool valid = answer == QUERY_YES && (d.attributes & SEGMENT_S);
    bool code = valid && (d.attributes & SEGMENT_CODE);
    if (insn->op == OP_VERR) {
        valid = valid && (!code || (d.attributes & SEGMENT_READABLE));
    } else {
        valid = valid && !code && (d.attributes & SEGMENT_WRITABLE);
    }
    set_zf(cpu, valid);
    return true;
}
BIND_ONE(verr_verw, verr_verw)

// ARPL: raises the destination's RPL to the source's.
static bool arpl(struct cpu *cpu, const struct insn *insn)
{
    u64 old;
    if (cpu_paragraphs(cpu)) {
        return raise_ud(cpu);
    }
    if (!operand_get(cpu, insn, true, &old)) {
        return false;
    }
    u64 source = cpu->gpr[insn->form == FORM_RR ? insn->rm : insn->reg] & 3;
    bool raise = (old & 3) < source;
    if (raise && !operand_put(cpu, insn, (old & ~UINT64_C(3)) | source)) {
        return false;
    }
    set_zf(cpu, raise);
    return true;
}
BIND_ONE(arpl, arpl)
