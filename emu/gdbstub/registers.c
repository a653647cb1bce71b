// SPDX-License-Identifier: MIT
// gdb's registers from the CPU's.
#include "gdbstub/registers.h"

#include "base/bits.h"
#include "base/check.h"

#include <stddef.h>
#include <string.h>

enum register_kind {
    KIND_GPR,         // place: number in the instruction set
    KIND_CPU,         // place: offset in struct cpu_regs
    KIND_SEGMENT,     // selector; place: CPU_ES...
    KIND_BASE,        // segment base; place: CPU_ES...
    KIND_FXSAVE,      // place: offset in the FXSAVE image
    KIND_FXSAVE_WORD, // 16 bits there, 32 for gdb
    KIND_TAGS,        // the full x87 tag word from the abridged one; place: its offset
    KIND_ORIG_RAX,
    KIND_CPL,
    KIND_STEP,
};

static const struct register_row rows[] = {
#define REGISTER(name, bits, type, feature, kind, place)                                           \
    {name, type, bits, REGISTERS_##feature, KIND_##kind, place},
#include "gdbstub/registers.def"
#undef REGISTER
};

unsigned registers_count(void)
{
    return ARRAY_LEN(rows);
}

const struct register_row *registers_row(unsigned number)
{
    CHECK(number < ARRAY_LEN(rows));
    return &rows[number];
}

bool registers_known(const struct register_file *file, unsigned number)
{
    const struct register_row *row = registers_row(number);
    if (!file->saved_only) {
        return true;
    }
    if (row->kind == KIND_GPR) {
        return row->place == CPU_RBX || row->place == CPU_RSP || row->place == CPU_RBP ||
               row->place >= 12;
    }
    return row->kind == KIND_STEP ||
           (row->kind == KIND_CPU && row->place == offsetof(struct cpu_regs, rip));
}

// SDM 1 8.1.7: two bits a register. An 80-bit value is valid (0), zero (1) or special (2).
static unsigned tag_of(const u8 *value)
{
    u64 fraction;
    u16 exponent;
    memcpy(&fraction, value, 8);
    memcpy(&exponent, value + 8, 2);
    exponent &= 0x7FFF;
    if (exponent == 0x7FFF) {
        return 2;
    }
    if (!exponent && !fraction) {
        return 1;
    }
    return exponent && fraction >> 63 ? 0 : 2;
}

// FXSAVE keeps one bit a physical register (SDM 1 10.5.1.1), and the values from ST(0) on.
static u32 full_tags(const u8 *fxsave)
{
    unsigned top = fxsave[3] >> 3 & 7;
    u32 tags = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned tag = 3;
        if (fxsave[4] & BIT(i)) {
            tag = tag_of(fxsave + 32 + 16 * ((i - top) & 7));
        }
        tags |= tag << (2 * i);
    }
    return tags;
}

static void set_tags(u8 *fxsave, u32 tags)
{
    fxsave[4] = 0;
    for (unsigned i = 0; i < 8; i++) {
        if ((tags >> (2 * i) & 3) != 3) {
            fxsave[4] |= (u8)BIT(i);
        }
    }
}

unsigned registers_get(const struct register_file *file, unsigned number,
                       u8 out[REGISTER_BYTES_MAX])
{
    const struct register_row *row = registers_row(number);
    unsigned size = row->bits / 8;
    u64 value = 0;
    const void *from = &value;
    switch ((enum register_kind)row->kind) {
    case KIND_GPR:
        from = &file->regs.gpr[row->place];
        break;
    case KIND_CPU:
        from = (const u8 *)&file->regs + row->place;
        break;
    case KIND_SEGMENT:
        value = file->regs.seg[row->place].selector;
        break;
    case KIND_BASE:
        value = file->regs.seg[row->place].base;
        break;
    case KIND_FXSAVE:
        from = file->fxsave + row->place;
        break;
    case KIND_FXSAVE_WORD:
        memcpy(&value, file->fxsave + row->place, 2);
        break;
    case KIND_TAGS:
        value = full_tags(file->fxsave);
        break;
    case KIND_ORIG_RAX:
        value = file->orig_rax;
        break;
    case KIND_CPL:
        value = file->regs.cpl;
        break;
    case KIND_STEP:
        value = file->step;
        break;
    }
    memcpy(out, from, size);
    return size;
}

bool registers_set(struct register_file *file, unsigned number, const u8 *in)
{
    const struct register_row *row = registers_row(number);
    unsigned size = row->bits / 8;
    u32 tags = 0;
    u64 step = 0;
    switch ((enum register_kind)row->kind) {
    case KIND_GPR:
        memcpy(&file->regs.gpr[row->place], in, size);
        return true;
    case KIND_CPU:
        memcpy((u8 *)&file->regs + row->place, in, size);
        return true;
    case KIND_BASE:
        memcpy(&file->regs.seg[row->place].base, in, size);
        return true;
    case KIND_FXSAVE:
        memcpy(file->fxsave + row->place, in, size);
        return true;
    case KIND_FXSAVE_WORD:
        memcpy(file->fxsave + row->place, in, 2);
        return true;
    case KIND_TAGS:
        memcpy(&tags, in, sizeof(tags));
        set_tags(file->fxsave, tags);
        return true;
    case KIND_ORIG_RAX:
        return true;
    case KIND_STEP:
        memcpy(&step, in, sizeof(step));
        return step <= file->step;
    case KIND_SEGMENT: // a selector alone would leave the hidden part behind
    case KIND_CPL:
        break; // gdb may write back what it read
    }
    u8 now[REGISTER_BYTES_MAX];
    registers_get(file, number, now);
    return memcmp(now, in, size) == 0;
}
