// SPDX-License-Identifier: MIT
// C-like expressions of 64-bit numbers over registers, memory and symbols:
//   $rax + 8   *(u32 *)$rsp   [addr]   u16[addr]   sys_execve+0x10   $cpl == 3 && $pid == 7
// Precedence as in C. A number is unsigned 64 bits; comparison, division and shift to the right are
// signed after a cast to s8 ... s64. A symbol is its address.
#ifndef VIV_DEBUGGER_EXPR_H
#define VIV_DEBUGGER_EXPR_H

#include "base/status.h"
#include "base/types.h"

// Where names and memory come from. Any function may be NULL: then there are none.
struct expr_env {
    // A register or other quantity, name without '$'.
    bool (*variable)(void *ctx, const char *name, u64 *value);
    // A symbol or "file.c:120".
    bool (*symbol)(void *ctx, const char *name, u64 *value);
    bool (*read)(void *ctx, u64 linear, void *out, u64 size); // all or nothing
    void *ctx;
};

struct expr_value {
    u64 value;
    u8 size; // bytes of the type: 1, 2, 4, 8
    bool is_signed;
    u8 pointee_size; // a pointer's: what it points to; 0: no pointer
    bool pointee_signed;
    bool is_memory; // it was read from address
    u64 address;
};

// Evaluates all of text. STATUS_USAGE names what is wrong and where; unreadable memory included.
struct status expr_evaluate(const char *text, const struct expr_env *env, struct expr_value *out);
// The same for the longest expression at the start of text; *end gets what follows.
struct status expr_evaluate_prefix(const char *text, const struct expr_env *env,
                                   struct expr_value *out, const char **end);
// Whether text is a well-formed expression whose names exist, whatever memory holds.
struct status expr_check(const char *text, const struct expr_env *env);

#endif
