// SPDX-License-Identifier: MIT
// Segment registers, descriptors, stacks (SDM 3A chapters 3 and 5).
#include "cpu/segment.h"

#include "cpu/interp/operand.h"

#include <string.h>

#define ATTRIBUTES_VM86 0xF3 // present, DPL 3, writable data, accessed

u64 descriptor_base(const struct descriptor *d)
{
    u64 base = bits_get(d->low, 16, 24) | bits_get(d->low, 56, 8) << 24;
    return base | (u64)(u32)d->high << 32;
}

u32 descriptor_limit(const struct descriptor *d)
{
    u32 limit = (u32)(bits_get(d->low, 0, 16) | bits_get(d->low, 48, 4) << 16);
    return d->attributes & SEGMENT_G ? limit << 12 | 0xFFF : limit;
}

bool descriptor_read(struct cpu *cpu, u16 selector, bool wide, u8 vector, u32 ext,
                     struct descriptor *d)
{
    u64 base = cpu->gdtr_base;
    u64 limit = cpu->gdtr_limit;
    if (selector & 4) {
        base = cpu->ldtr.base;
        limit = cpu->ldtr.limit;
        if (!(cpu->ldtr.attributes & SEGMENT_P)) {
            return raise_fault_code(cpu, vector, selector_error(selector) | ext);
        }
    }
    u32 offset = selector & 0xFFF8u;
    unsigned size = wide ? 16 : 8;
    if (offset + size - 1 > limit) {
        return raise_fault_code(cpu, vector, selector_error(selector) | ext);
    }
    u64 words[2] = {0, 0};
    d->linear = base + offset;
    if (!cpu_in_lma(cpu)) {
        d->linear = (u32)d->linear;
    }
    if (!mmu_system_read(cpu->mmu, d->linear, words, size, &cpu->fault)) {
        return false;
    }
    d->low = words[0];
    d->high = words[1];
    d->selector = selector;
    d->attributes = (u16)(bits_get(d->low, 40, 16) & 0xF0FF);
    return true;
}

bool descriptor_set_type(struct cpu *cpu, struct descriptor *d, u8 bits)
{
    if ((d->attributes & bits) == bits) {
        return true;
    }
    u8 type = (u8)(d->low >> 40) | bits;
    if (!mmu_system_write(cpu->mmu, d->linear + 5, &type, 1, &cpu->fault)) {
        return false;
    }
    d->attributes |= bits;
    d->low |= (u64)bits << 40;
    return true;
}

void segment_set(struct cpu_segment *s, u16 selector, const struct descriptor *d)
{
    *s = (struct cpu_segment){selector, d->attributes, descriptor_limit(d), descriptor_base(d)};
}

void segment_set_null(struct cpu_segment *s, u16 selector)
{
    *s = (struct cpu_segment){selector, 0, 0, 0};
}

static u8 stack_width(const struct cpu_segment *ss)
{
    return ss->attributes & SEGMENT_DB ? 4 : 2;
}

struct stack stack_current(const struct cpu *cpu)
{
    const struct cpu_segment *ss = &cpu->seg[CPU_SS];
    u8 width = cpu->long_mode ? 8 : stack_width(ss);
    return (struct stack){*ss, bits_truncate(cpu->gpr[CPU_RSP], width), cpu->cpl, width, 0};
}

u64 stack_offset(const struct stack *stack, s64 delta)
{
    return bits_truncate(stack->pointer + (u64)delta, stack->width);
}

// Linear address of size bytes at an offset of the stack segment; false: #SS.
static bool stack_linear(struct cpu *cpu, const struct stack *stack, u64 offset, unsigned size,
                         u64 *linear)
{
    if (stack->width == 8) {
        *linear = offset;
        if (is_canonical(offset) && is_canonical(offset + size - 1)) {
            return true;
        }
        return raise_fault_code(cpu, EXC_SS, stack->error);
    }
    u64 last = offset + size - 1, limit = stack->segment.limit;
    bool inside = last <= limit;
    if (stack->segment.attributes & SEGMENT_EXPAND_DOWN) {
        u64 top = stack->segment.attributes & SEGMENT_DB ? 0xFFFFFFFFu : 0xFFFF;
        inside = offset > limit && last <= top;
    }
    if (!inside) {
        return raise_fault_code(cpu, EXC_SS, stack->error);
    }
    *linear = (u32)(stack->segment.base + offset);
    return true;
}

bool stack_write(struct cpu *cpu, struct stack *stack, const void *bytes, unsigned size)
{
    u64 offset = stack_offset(stack, -(s64)size), linear;
    if (!stack_linear(cpu, stack, offset, size, &linear) ||
        !mmu_write_as(cpu->mmu, stack->cpl, linear, bytes, size, &cpu->fault)) {
        return false;
    }
    stack->pointer = offset;
    return true;
}

bool stack_read(struct cpu *cpu, const struct stack *stack, u64 offset, void *bytes, unsigned size)
{
    u64 linear;
    return stack_linear(cpu, stack, stack_offset(stack, (s64)offset), size, &linear) &&
           mmu_read_as(cpu->mmu, stack->cpl, linear, bytes, size, &cpu->fault);
}

void stack_commit(struct cpu *cpu, const struct stack *stack)
{
    cpu->seg[CPU_SS] = stack->segment;
    if (stack->width == 2) {
        cpu->gpr[CPU_RSP] = (cpu->gpr[CPU_RSP] & ~UINT64_C(0xFFFF)) | (u16)stack->pointer;
    } else {
        cpu->gpr[CPU_RSP] = stack->pointer;
    }
}

bool tss_read(struct cpu *cpu, u32 offset, void *bytes, unsigned size, u32 ext)
{
    if ((u64)offset + size - 1 > cpu->tr.limit || !(cpu->tr.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_TS, selector_error(cpu->tr.selector) | ext);
    }
    return mmu_system_read(cpu->mmu, cpu->tr.base + offset, bytes, size, &cpu->fault);
}

// SS:ESP of a 32- or 16-bit TSS, with all checks of SDM 3A 5.8.5 on the new stack segment.
static bool stack_from_tss32(struct cpu *cpu, unsigned cpl, u32 ext, struct stack *stack)
{
    struct descriptor d;
    u32 pointer = 0;
    u16 ss;
    bool is_16 = !(cpu->tr.attributes & 8);
    u32 at = is_16 ? 2 + 4 * cpl : 4 + 8 * cpl;
    unsigned width = is_16 ? 2 : 4;
    if (!tss_read(cpu, at, &pointer, width, ext) || !tss_read(cpu, at + width, &ss, 2, ext)) {
        return false;
    }
    if (!selector_error(ss)) {
        return raise_fault_code(cpu, EXC_TS, ext);
    }
    if (!descriptor_read(cpu, ss, false, EXC_TS, ext, &d)) {
        return false;
    }
    if ((ss & 3u) != cpl || descriptor_dpl(&d) != cpl || !descriptor_is_writable_data(&d)) {
        return raise_fault_code(cpu, EXC_TS, selector_error(ss) | ext);
    }
    if (!(d.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_SS, selector_error(ss) | ext);
    }
    if (!descriptor_set_type(cpu, &d, SEGMENT_ACCESSED)) {
        return false;
    }
    segment_set(&stack->segment, ss, &d);
    stack->pointer = pointer;
    stack->cpl = (u8)cpl;
    stack->width = stack_width(&stack->segment);
    stack->error = selector_error(ss) | ext;
    return true;
}

bool stack_from_tss(struct cpu *cpu, unsigned cpl, u32 ext, struct stack *stack)
{
    if (!cpu_in_lma(cpu)) {
        return stack_from_tss32(cpu, cpl, ext, stack);
    }
    segment_set_null(&stack->segment, (u16)cpl);
    stack->cpl = (u8)cpl;
    stack->width = 8;
    stack->error = ext;
    return tss_read(cpu, 4 + 8 * cpl, &stack->pointer, 8, ext);
}

bool code_target_valid(const struct cpu *cpu, const struct descriptor *code, u64 rip)
{
    if (cpu_in_lma(cpu) && (code->attributes & SEGMENT_L)) {
        return is_canonical(rip);
    }
    return rip <= descriptor_limit(code);
}

void code_commit(struct cpu *cpu, const struct descriptor *code, unsigned cpl, u64 rip)
{
    segment_set(&cpu->seg[CPU_CS], (u16)((code->selector & 0xFFFC) | cpl), code);
    cpu->rip = rip;
    cpu->cpl = (u8)cpl;
    cpu->boundary = true;
    cpu_context_changed(cpu);
}

void segments_drop_privileged(struct cpu *cpu)
{
    static const u8 which[] = {CPU_ES, CPU_DS, CPU_FS, CPU_GS};
    for (size_t i = 0; i < ARRAY_LEN(which); i++) {
        struct cpu_segment *s = &cpu->seg[which[i]];
        bool conforming_code = (s->attributes & (SEGMENT_CODE | SEGMENT_CONFORMING)) ==
                               (SEGMENT_CODE | SEGMENT_CONFORMING);
        if (selector_error(s->selector) && SEGMENT_DPL(s->attributes) < cpu->cpl &&
            !conforming_code) {
            s->selector = 0;
            s->attributes = 0;
        }
    }
}

void segments_set_vm86(struct cpu *cpu)
{
    for (unsigned i = 0; i < CPU_SEGMENT_COUNT; i++) {
        u16 selector = cpu->seg[i].selector;
        cpu->seg[i] = (struct cpu_segment){selector, ATTRIBUTES_VM86, 0xFFFF, (u64)selector << 4};
    }
}

static bool load_null(struct cpu *cpu, unsigned seg, u16 selector)
{
    if (seg == CPU_SS && !(cpu->long_mode && cpu->cpl != 3 && (selector & 3u) == cpu->cpl)) {
        return raise_gp(cpu, 0);
    }
    segment_set_null(&cpu->seg[seg], selector);
    return true;
}

static bool check_stack_segment(struct cpu *cpu, const struct descriptor *d)
{
    if ((d->selector & 3u) != cpu->cpl || descriptor_dpl(d) != cpu->cpl ||
        !descriptor_is_writable_data(d)) {
        return raise_gp(cpu, selector_error(d->selector));
    }
    if (!(d->attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_SS, selector_error(d->selector));
    }
    return true;
}

static bool check_data_segment(struct cpu *cpu, const struct descriptor *d)
{
    bool code = d->attributes & SEGMENT_CODE;
    bool readable = !code || (d->attributes & SEGMENT_READABLE);
    unsigned dpl = descriptor_dpl(d), rpl = d->selector & 3u;
    bool conforming = code && (d->attributes & SEGMENT_CONFORMING);
    if (!(d->attributes & SEGMENT_S) || !readable ||
        (!conforming && (rpl > dpl || cpu->cpl > dpl))) {
        return raise_gp(cpu, selector_error(d->selector));
    }
    if (!(d->attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_NP, selector_error(d->selector));
    }
    return true;
}

bool cpu_load_segment(struct cpu *cpu, unsigned seg, u16 selector)
{
    struct descriptor d;
    if (cpu_paragraphs(cpu)) {
        cpu->seg[seg].selector = selector;
        cpu->seg[seg].base = (u64)selector << 4;
        return true;
    }
    if (!selector_error(selector)) {
        return load_null(cpu, seg, selector);
    }
    if (!descriptor_read(cpu, selector, false, EXC_GP, 0, &d)) {
        return false;
    }
    if (!(seg == CPU_SS ? check_stack_segment(cpu, &d) : check_data_segment(cpu, &d)) ||
        !descriptor_set_type(cpu, &d, SEGMENT_ACCESSED)) {
        return false;
    }
    segment_set(&cpu->seg[seg], selector, &d);
    return true;
}

// A system descriptor from the GDT: 16 bytes in IA-32e mode, the upper type bits zero there.
static bool read_system(struct cpu *cpu, u16 selector, struct descriptor *d)
{
    if (selector & 4) {
        return raise_gp(cpu, selector_error(selector));
    }
    if (!descriptor_read(cpu, selector, cpu_in_lma(cpu), EXC_GP, 0, d)) {
        return false;
    }
    if ((d->attributes & SEGMENT_S) || (d->high >> 40 & 0x1F) ||
        !is_canonical(descriptor_base(d))) {
        return raise_gp(cpu, selector_error(selector));
    }
    return true;
}

bool cpu_load_ldtr(struct cpu *cpu, u16 selector)
{
    struct descriptor d;
    if (!selector_error(selector)) {
        segment_set_null(&cpu->ldtr, selector);
        return true;
    }
    if (!read_system(cpu, selector, &d)) {
        return false;
    }
    if ((d.attributes & SEGMENT_TYPE) != SYS_LDT) {
        return raise_gp(cpu, selector_error(selector));
    }
    if (!(d.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_NP, selector_error(selector));
    }
    segment_set(&cpu->ldtr, selector, &d);
    return true;
}

bool cpu_load_tr(struct cpu *cpu, u16 selector)
{
    struct descriptor d;
    if (!selector_error(selector)) {
        return raise_gp(cpu, 0);
    }
    if (!read_system(cpu, selector, &d)) {
        return false;
    }
    unsigned type = d.attributes & SEGMENT_TYPE;
    if (type != SYS_TSS && (type != SYS_TSS16 || cpu_in_lma(cpu))) {
        return raise_gp(cpu, selector_error(selector));
    }
    if (!(d.attributes & SEGMENT_P)) {
        return raise_fault_code(cpu, EXC_NP, selector_error(selector));
    }
    if (!descriptor_set_type(cpu, &d, 2)) {
        return false;
    }
    segment_set(&cpu->tr, selector, &d);
    return true;
}

bool cpu_port_allowed(struct cpu *cpu, u16 port, unsigned size)
{
    if (!(cpu->cr0 & CR0_PE) ||
        (cpu->cpl <= (cpu->rflags & RFLAGS_IOPL) >> 12 && !(cpu->rflags & RFLAGS_VM))) {
        return true;
    }
    u16 base, bits;
    u32 at;
    bool has_map =
        (cpu->tr.attributes & SEGMENT_P) && (cpu->tr.attributes & 8) && cpu->tr.limit >= 0x67;
    if (!has_map) {
        return raise_gp(cpu, 0);
    }
    if (!mmu_system_read(cpu->mmu, cpu->tr.base + 0x66, &base, 2, &cpu->fault)) {
        return false;
    }
    at = base + port / 8u;
    if (at + 1 > cpu->tr.limit) {
        return raise_gp(cpu, 0);
    }
    if (!mmu_system_read(cpu->mmu, cpu->tr.base + at, &bits, 2, &cpu->fault)) {
        return false;
    }
    return !(bits >> (port & 7) & ((1u << size) - 1)) || raise_gp(cpu, 0);
}
