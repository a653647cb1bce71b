// SPDX-License-Identifier: MIT
// BTF, the compact type information of Linux kernels (Documentation/bpf/btf.rst): structures,
// members and enumerators by name. The bytes are untrusted: whatever they say, nothing outside them
// is read.
#ifndef VIV_DEBUGGER_BTF_H
#define VIV_DEBUGGER_BTF_H

#include "debugger/symbols.h"

struct btf;

// The contents of a .BTF section, which must stay; NULL: not BTF of version 1.
struct btf *btf_open(const u8 *data, u64 size);
void btf_close(struct btf *b);

// As symbols_member() and its like (symbols.h); bit-fields have no size.
bool btf_member(const struct btf *b, const char *structure, const char *path,
                struct symbol_member *out);
bool btf_struct_size(const struct btf *b, const char *structure, u64 *size);
bool btf_enumerator(const struct btf *b, const char *name, s64 *value);

#endif
