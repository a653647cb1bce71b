// SPDX-License-Identifier: MIT
// A recursive-descent evaluator: text in, value out, no tree in between.
#include "debugger/expr.h"

#include "base/bits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LENGTH 128
#define DEPTH_MAX 64

struct parser {
    const char *start, *at;
    const struct expr_env *env;
    unsigned depth;
    bool quiet; // the value does not count: no memory is read, nothing is divided
    struct status error;
};

static struct expr_value parse_conditional(struct parser *p);
static struct expr_value parse_unary(struct parser *p);

static const struct type {
    const char *name;
    u8 size;
    bool is_signed;
} types[] = {
    {"u8", 1, false},       {"u16", 2, false},  {"u32", 4, false}, {"u64", 8, false},
    {"s8", 1, true},        {"s16", 2, true},   {"s32", 4, true},  {"s64", 8, true},
    {"char", 1, true},      {"short", 2, true}, {"int", 4, true},  {"long", 8, true},
    {"unsigned", 4, false},
};

static struct expr_value number(u64 value)
{
    return (struct expr_value){.value = value, .size = 8};
}

static struct expr_value fail(struct parser *p, const char *what)
{
    if (status_ok(&p->error)) {
        p->error = *p->at
                       ? status_error(STATUS_USAGE, "%s at \"%.40s\"", what, p->at)
                       : status_error(STATUS_USAGE, "%s at the end of \"%.60s\"", what, p->start);
    }
    p->at = p->at + strlen(p->at); // nothing more is read
    return number(0);
}

static void skip_space(struct parser *p)
{
    while (isspace((unsigned char)*p->at)) {
        p->at++;
    }
}

static bool accept(struct parser *p, const char *token)
{
    skip_space(p);
    size_t length = strlen(token);
    if (strncmp(p->at, token, length) != 0) {
        return false;
    }
    p->at += length;
    return true;
}

static void expect(struct parser *p, const char *token)
{
    if (!accept(p, token)) {
        char what[32];
        strcpy(what, "no ");
        strcat(what, token);
        fail(p, what);
    }
}

// Cuts a value to its type, sign-extended where it is signed.
static struct expr_value to_type(u64 value, u8 size, bool is_signed)
{
    unsigned unused = 64 - 8u * size;
    u64 cut = is_signed ? (u64)((s64)(value << unused) >> unused) : value << unused >> unused;
    return (struct expr_value){.value = cut, .size = size, .is_signed = is_signed};
}

static struct expr_value load(struct parser *p, u64 address, u8 size, bool is_signed)
{
    u64 value = 0;
    if (!p->quiet && status_ok(&p->error) &&
        (!p->env->read || !p->env->read(p->env->ctx, address, &value, size))) {
        p->error = status_error(STATUS_USAGE, "no memory at 0x%llx", (unsigned long long)address);
    }
    struct expr_value result = to_type(value, size, is_signed);
    result.is_memory = true;
    result.address = address;
    return result;
}

static const struct type *peek_type(struct parser *p, const char **after)
{
    skip_space(p);
    size_t length = strspn(p->at, "abcdefghijklmnopqrstuvwxyz0123456789_");
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        if (strlen(types[i].name) == length && strncmp(types[i].name, p->at, length) == 0) {
            *after = p->at + length;
            return &types[i];
        }
    }
    return NULL;
}

static int escape_character(char c)
{
    static const char from[] = "ntr0\\'\"", to[] = "\n\t\r\0\\'\"";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? (unsigned char)to[found - from] : -1;
}

static struct expr_value parse_character(struct parser *p)
{
    int value = (unsigned char)*p->at;
    if (value == '\\') {
        value = escape_character(*++p->at);
    }
    if (value <= 0 && *p->at != '0') {
        return fail(p, "bad character");
    }
    p->at++;
    if (*p->at != '\'') {
        return fail(p, "no '");
    }
    p->at++;
    return number((u64)value);
}

static struct expr_value parse_number(struct parser *p)
{
    char *end;
    u64 value = strtoull(p->at, &end, 0);
    while (*end == 'u' || *end == 'U' || *end == 'l' || *end == 'L') {
        end++;
    }
    if (isalnum((unsigned char)*end) || *end == '_') {
        return fail(p, "bad number");
    }
    p->at = end;
    return number(value);
}

static bool name_character(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '@';
}

// A name, of a source line with its path and number: "exec.c:120", "fs/exec.c:120".
static size_t name_length(const char *at)
{
    size_t n = 0;
    while (name_character(at[n])) {
        n++;
    }
    size_t path = n;
    while (at[path] && (name_character(at[path]) || strchr("/-", at[path]))) {
        path++;
    }
    if (at[path] == ':' && isdigit((unsigned char)at[path + 1])) {
        path++;
        while (isdigit((unsigned char)at[path])) {
            path++;
        }
        return path;
    }
    return n;
}

static struct expr_value parse_name(struct parser *p, bool is_variable)
{
    char name[NAME_MAX_LENGTH];
    size_t length = is_variable ? strspn(p->at, "abcdefghijklmnopqrstuvwxyz"
                                                "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
                                : name_length(p->at);
    if (!length || length >= sizeof(name)) {
        return fail(p, "no value");
    }
    memcpy(name, p->at, length);
    name[length] = '\0';
    u64 value = 0;
    const struct expr_env *env = p->env;
    bool known = is_variable ? env->variable && env->variable(env->ctx, name, &value)
                             : env->symbol && env->symbol(env->ctx, name, &value);
    if (!known) {
        return fail(p, is_variable ? "no such register or quantity" : "no such symbol");
    }
    p->at += length;
    return number(value);
}

static struct expr_value parse_bracket(struct parser *p, u8 size, bool is_signed)
{
    u64 address = parse_conditional(p).value;
    expect(p, "]");
    return load(p, address, size, is_signed);
}

static struct expr_value parse_primary(struct parser *p)
{
    skip_space(p);
    if (accept(p, "[")) {
        return parse_bracket(p, 8, false);
    }
    if (accept(p, "'")) {
        return parse_character(p);
    }
    if (isdigit((unsigned char)*p->at)) {
        return parse_number(p);
    }
    if (accept(p, "$")) {
        return parse_name(p, true);
    }
    const char *after;
    const struct type *type = peek_type(p, &after);
    if (type && *after == '[') {
        p->at = after + 1;
        return parse_bracket(p, type->size, type->is_signed);
    }
    return parse_name(p, false);
}

// Behind "(": a cast, else an expression.
static struct expr_value parse_parenthesis(struct parser *p)
{
    const char *after;
    const struct type *type = peek_type(p, &after);
    if (!type) {
        struct expr_value inner = parse_conditional(p);
        expect(p, ")");
        return inner;
    }
    p->at = after;
    bool pointer = accept(p, "*");
    expect(p, ")");
    struct expr_value value = parse_unary(p);
    if (pointer) {
        struct expr_value cast = number(value.value);
        cast.pointee_size = type->size;
        cast.pointee_signed = type->is_signed;
        return cast;
    }
    return to_type(value.value, type->size, type->is_signed);
}

static struct expr_value parse_dereference(struct parser *p)
{
    struct expr_value pointer = parse_unary(p);
    u8 size = pointer.pointee_size ? pointer.pointee_size : 8;
    return load(p, pointer.value, size, pointer.pointee_signed);
}

static struct expr_value parse_unary(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        return fail(p, "too deeply nested");
    }
    struct expr_value v;
    if (accept(p, "-")) {
        v = parse_unary(p);
        v = number(-v.value);
        v.is_signed = true;
    } else if (accept(p, "+")) {
        v = parse_unary(p);
    } else if (accept(p, "~")) {
        v = number(~parse_unary(p).value);
    } else if (accept(p, "!")) {
        v = number(!parse_unary(p).value);
    } else if (accept(p, "*")) {
        v = parse_dereference(p);
    } else if (accept(p, "&")) {
        v = parse_unary(p);
        v = number(v.is_memory ? v.address : v.value);
    } else if (accept(p, "(")) {
        v = parse_parenthesis(p);
    } else {
        v = parse_primary(p);
    }
    p->depth--;
    return v;
}

// Binary operators, loosest first; longer spellings before their prefixes.
enum operation {
    OR_ELSE,
    AND_THEN,
    OR,
    XOR,
    AND,
    EQUAL,
    UNEQUAL,
    LESS_EQUAL,
    GREATER_EQUAL,
    LESS,
    GREATER,
    LEFT,
    RIGHT,
    ADD,
    SUBTRACT,
    MULTIPLY,
    DIVIDE,
    REMAINDER
};
static const struct binary {
    const char *token;
    const char *not_before; // the token does not count if one of these follows
    u8 level;
    enum operation operation;
} operators[] = {
    {"||", "", 0, OR_ELSE}, {"&&", "", 1, AND_THEN},   {"|", "|", 2, OR},
    {"^", "", 3, XOR},      {"&", "&", 4, AND},        {"==", "", 5, EQUAL},
    {"!=", "", 5, UNEQUAL}, {"<=", "", 6, LESS_EQUAL}, {">=", "", 6, GREATER_EQUAL},
    {"<", "<", 6, LESS},    {">", ">", 6, GREATER},    {"<<", "", 7, LEFT},
    {">>", "", 7, RIGHT},   {"+", "", 8, ADD},         {"-", "", 8, SUBTRACT},
    {"*", "", 9, MULTIPLY}, {"/", "", 9, DIVIDE},      {"%", "", 9, REMAINDER},
};
#define LEVELS 10

static const struct binary *accept_binary(struct parser *p, unsigned level)
{
    skip_space(p);
    for (size_t i = 0; i < ARRAY_LEN(operators); i++) {
        const struct binary *o = &operators[i];
        size_t length = strlen(o->token);
        if (o->level == level && strncmp(p->at, o->token, length) == 0 &&
            !(p->at[length] && strchr(o->not_before, p->at[length]))) {
            p->at += length;
            return o;
        }
    }
    return NULL;
}

static u64 divide(struct parser *p, u64 a, u64 b, bool is_signed, bool remainder)
{
    if (p->quiet) {
        return 0;
    }
    if (!b) {
        fail(p, "division by zero");
        return 0;
    }
    if (is_signed && b == UINT64_MAX) { // the one quotient that may not fit
        return remainder ? 0 : -a;
    }
    if (is_signed) {
        return (u64)(remainder ? (s64)a % (s64)b : (s64)a / (s64)b);
    }
    return remainder ? a % b : a / b;
}

static struct expr_value apply(struct parser *p, enum operation operation, struct expr_value x,
                               struct expr_value y)
{
    u64 a = x.value, b = y.value;
    bool is_signed = x.is_signed || y.is_signed;
    bool less = is_signed ? (s64)a < (s64)b : a < b;
    struct expr_value r = number(0);
    r.is_signed = is_signed;
    if (x.pointee_size && (operation == ADD || operation == SUBTRACT)) {
        b *= x.pointee_size;
        r.pointee_size = x.pointee_size;
        r.pointee_signed = x.pointee_signed;
    }
    switch (operation) {
    case OR_ELSE:
        return number(a || b);
    case AND_THEN:
        return number(a && b);
    case EQUAL:
        return number(a == b);
    case UNEQUAL:
        return number(a != b);
    case LESS:
        return number(less);
    case GREATER_EQUAL:
        return number(!less);
    case GREATER:
        return number(!less && a != b);
    case LESS_EQUAL:
        return number(less || a == b);
    case OR:
        r.value = a | b;
        break;
    case XOR:
        r.value = a ^ b;
        break;
    case AND:
        r.value = a & b;
        break;
    case LEFT:
        r.value = b < 64 ? a << b : 0;
        break;
    case RIGHT:
        r.is_signed = x.is_signed;
        r.value = x.is_signed ? (u64)((s64)a >> (b < 64 ? b : 63)) : (b < 64 ? a >> b : 0);
        break;
    case ADD:
        r.value = a + b;
        break;
    case SUBTRACT:
        r.value = a - b;
        break;
    case MULTIPLY:
        r.value = a * b;
        break;
    case DIVIDE:
        r.value = divide(p, a, b, is_signed, false);
        break;
    case REMAINDER:
        r.value = divide(p, a, b, is_signed, true);
        break;
    }
    return r;
}

static struct expr_value parse_binary(struct parser *p, unsigned level)
{
    if (level == LEVELS) {
        return parse_unary(p);
    }
    struct expr_value left = parse_binary(p, level + 1);
    const struct binary *o;
    while ((o = accept_binary(p, level))) {
        bool quiet = p->quiet;
        p->quiet = quiet || (o->operation == OR_ELSE && left.value) ||
                   (o->operation == AND_THEN && !left.value);
        struct expr_value right = parse_binary(p, level + 1);
        p->quiet = quiet;
        left = apply(p, o->operation, left, right);
    }
    return left;
}

static struct expr_value parse_conditional(struct parser *p)
{
    if (++p->depth > DEPTH_MAX) {
        return fail(p, "too deeply nested");
    }
    struct expr_value value = parse_binary(p, 0);
    if (accept(p, "?")) {
        bool quiet = p->quiet, chosen = value.value != 0;
        p->quiet = quiet || !chosen;
        struct expr_value yes = parse_conditional(p);
        expect(p, ":");
        p->quiet = quiet || chosen;
        struct expr_value no = parse_conditional(p);
        p->quiet = quiet;
        value = chosen ? yes : no;
    }
    p->depth--;
    return value;
}

static struct status evaluate(const char *text, const struct expr_env *env, bool quiet,
                              struct expr_value *out, const char **end)
{
    struct parser p = {.start = text, .at = text, .env = env, .quiet = quiet};
    *out = parse_conditional(&p);
    skip_space(&p);
    if (end) {
        *end = p.at;
    } else if (status_ok(&p.error) && *p.at) {
        fail(&p, "unexpected text");
    }
    return p.error;
}

struct status expr_evaluate(const char *text, const struct expr_env *env, struct expr_value *out)
{
    return evaluate(text, env, false, out, NULL);
}

struct status expr_evaluate_prefix(const char *text, const struct expr_env *env,
                                   struct expr_value *out, const char **end)
{
    return evaluate(text, env, false, out, end);
}

struct status expr_check(const char *text, const struct expr_env *env)
{
    struct expr_value value;
    return evaluate(text, env, true, &value, NULL);
}
