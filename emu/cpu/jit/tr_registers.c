// SPDX-License-Identifier: MIT
// General registers in translated code: pinned ones, those in memory, and bytes of both. Nothing
// here touches a flag.
#include "cpu/jit/translator.h"

static void emit_rorx(struct emitter *e, bool wide, unsigned to, unsigned from, unsigned count)
{
    emit_op(e, 0xF0 | ENC_VEX | ENC_0F3A | ENC_F2 | (wide ? ENC_W : 0), to, host_reg_operand(from));
    emit_imm(e, count, 1);
}

static bool is_high(u8 n)
{
    return n & 1;
}

static struct host_operand byte_slot(u8 n)
{
    return host_at(HOST_STATE, (s32)offsetof(struct cpu, gpr) + n);
}

struct host_operand reg_operand(const struct translator *t, unsigned guest)
{
    unsigned host = host_of(t, guest);
    return host != HOST_NONE ? host_reg_operand(host) : gpr_slot(guest);
}

unsigned use_reg(struct translator *t, unsigned guest, unsigned scratch)
{
    unsigned host = host_of(t, guest);
    if (host != HOST_NONE) {
        return host;
    }
    emit_load(&t->e, 3, scratch, gpr_slot(guest));
    return scratch;
}

unsigned use_reg8(struct translator *t, u8 n, unsigned scratch)
{
    unsigned host = host_of(t, n >> 3);
    if (host == HOST_NONE) {
        emit_op(&t->e, 0xB6 | ENC_0F, scratch, byte_slot(n)); // movzx
        return scratch;
    }
    if (is_high(n)) {
        emit_rorx(&t->e, false, scratch, host, 8);
        return scratch;
    }
    return host;
}

unsigned use_width(struct translator *t, u8 n, unsigned width, unsigned scratch)
{
    return width == 0 ? use_reg8(t, n, scratch) : use_reg(t, n, scratch);
}

static void put8(struct translator *t, u8 n, unsigned from)
{
    unsigned host = host_of(t, n >> 3);
    if (host == HOST_NONE) {
        emit_store(&t->e, 0, from, byte_slot(n));
    } else if (!is_high(n)) {
        emit_mov(&t->e, 0, host, from);
    } else {
        if (from == host) { // BH from BL, which is about to move
            emit_mov(&t->e, 2, HOST_R11, from);
            from = HOST_R11;
        }
        emit_rorx(&t->e, true, host, host, 8);
        emit_mov(&t->e, 0, host, from);
        emit_rorx(&t->e, true, host, host, 56);
    }
}

void put_width(struct translator *t, u8 n, unsigned width, unsigned from)
{
    if (width == 0) {
        put8(t, n, from);
        return;
    }
    // 32 bits: the upper half becomes 0, in a slot too.
    unsigned host = host_of(t, n);
    if (host == HOST_NONE) {
        emit_store(&t->e, width == 2 ? 3 : width, from, gpr_slot(n));
    } else {
        emit_mov(&t->e, width, host, from);
    }
}

bool in_place(const struct translator *t, u8 n, unsigned width)
{
    return width == 0 ? host_of(t, n >> 3) != HOST_NONE && !is_high(n) : host_of(t, n) != HOST_NONE;
}

unsigned host_of_width(const struct translator *t, u8 n, unsigned width)
{
    return host_of(t, width == 0 ? n >> 3 : n);
}
