// SPDX-License-Identifier: MIT
// From guest bytes to struct insn, by Zydis. The handler (fn) is bound by the CPU.
#ifndef VIV_ISA_DECODE_H
#define VIV_ISA_DECODE_H

#include "isa/insn.h"
#include "isa/x86_features.h"

struct decoder;

// Encodings whose meaning depends on the CPU model.
struct decoder_options {
    bool tzcnt, lzcnt; // else F3 0F BC/BD are BSF/BSR
    cpu_feature_set missing; // what needs one of these is OP_INVALID
};

struct decoder *decoder_create(const struct decoder_options *options);
void decoder_destroy(struct decoder *decoder);

enum decode_result {
    DECODE_OK,
    DECODE_SHORT,    // more than available bytes are needed
    DECODE_TOO_LONG, // over 15 bytes: #GP(0)
};

// Decodes one instruction at page offset insn_offset. fn and remaining are left 0. What is not an
// instruction (of the table, and of the features) is OP_INVALID with imm = its Zydis mnemonic;
// length is then that of the bytes looked at.
enum decode_result insn_decode(const struct decoder *decoder, enum insn_code_size code,
                               const u8 *bytes, size_t available, unsigned insn_offset,
                               struct insn *out);

// Name of an OP_INVALID's mnemonic, "(bad)" if it is none.
const char *decode_mnemonic_name(u64 mnemonic);

#endif
