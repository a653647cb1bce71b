// SPDX-License-Identifier: MIT
// The little language of --check:
//   assertion = ("never" | "always") "(" event ["where" or] ")"
//             | "count" "(" event ["where" or] ")" compare NUMBER | "final-hash" compare HASH
//   or = and {"or" and}   and = not {"and" not}   not = "not" not | "(" or ")" | test
//   test = field [compare (NUMBER | WORD | "text")]
#include "base/bits.h"
#include "trace/check_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_TEXT, TOKEN_NUMBER, TOKEN_SIGN, TOKEN_BAD };

struct parser {
    struct check *c;
    const char *at; // behind the token at hand
    const char *begin;
    enum token_kind kind;
    char word[CHECK_WORD];
    __int128 number;
    unsigned depth;
    struct status s;
};

static const char *const event_names[CHECK_EVENT_KINDS] = {"fault", "transition", "syscall", "irq",
                                                           "switch"};

static void fail(struct parser *p, const char *wanted)
{
    if (status_ok(&p->s)) {
        p->s = status_error(STATUS_USAGE, "--check '%s': %s expected at '%.20s'", p->c->expression,
                            wanted, *p->begin ? p->begin : "the end");
    }
}

static bool is_word_char(char ch)
{
    return isalnum((unsigned char)ch) || (ch && strchr("_-#/.?", ch));
}

static void take_chars(struct parser *p, const char *from, size_t length)
{
    if (length >= CHECK_WORD) {
        p->kind = TOKEN_BAD;
        length = CHECK_WORD - 1;
    }
    memcpy(p->word, from, length);
    p->word[length] = '\0';
}

static void take_number(struct parser *p)
{
    char *end;
    bool negative = *p->at == '-';
    errno = 0;
    unsigned long long n = strtoull(p->at + negative, &end, 0);
    p->kind = errno || is_word_char(*end) ? TOKEN_BAD : TOKEN_NUMBER;
    p->number = negative ? -(__int128)n : (__int128)n;
    p->at = end;
}

// Reads the next token.
static void next(struct parser *p)
{
    p->at += strspn(p->at, " \t\n");
    p->begin = p->at;
    if (!*p->at) {
        p->kind = TOKEN_END;
    } else if (isdigit((unsigned char)*p->at) ||
               (*p->at == '-' && isdigit((unsigned char)p->at[1]))) {
        take_number(p);
    } else if (is_word_char(*p->at)) {
        size_t length = 1;
        while (p->at[length] && is_word_char(p->at[length])) {
            length++;
        }
        p->kind = TOKEN_WORD;
        take_chars(p, p->at, length);
        p->at += length;
    } else if (*p->at == '"') {
        size_t length = strcspn(p->at + 1, "\"");
        p->kind = p->at[length + 1] ? TOKEN_TEXT : TOKEN_BAD;
        take_chars(p, p->at + 1, length);
        p->at += length + 1 + (p->at[length + 1] == '"');
    } else {
        p->kind = TOKEN_SIGN;
        bool two = strchr("=!<>", *p->at) && p->at[1] == '=';
        take_chars(p, p->at, two ? 2 : 1);
        p->at += two ? 2 : 1;
    }
}

static bool is(const struct parser *p, enum token_kind kind, const char *word)
{
    return p->kind == kind && strcmp(p->word, word) == 0;
}

// Skips the token if it is this one.
static bool accept(struct parser *p, enum token_kind kind, const char *word)
{
    bool same = is(p, kind, word);
    if (same) {
        next(p);
    }
    return same;
}

static void expect_sign(struct parser *p, const char *sign)
{
    char wanted[8];
    snprintf(wanted, sizeof(wanted), "'%s'", sign);
    if (!accept(p, TOKEN_SIGN, sign)) {
        fail(p, wanted);
    }
}

static bool comparison(struct parser *p, enum check_op *op)
{
    static const struct {
        const char *sign;
        enum check_op op;
    } signs[] = {{"==", OP_EQ}, {"=", OP_EQ}, {"!=", OP_NE}, {"<", OP_LT},
                 {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}};
    for (size_t i = 0; i < ARRAY_LEN(signs); i++) {
        if (accept(p, TOKEN_SIGN, signs[i].sign)) {
            *op = signs[i].op;
            return true;
        }
    }
    return false;
}

static int add_node(struct parser *p, const struct check_node *node)
{
    if (p->c->node_count == CHECK_NODES_MAX) {
        fail(p, "a shorter expression");
        return 0;
    }
    p->c->nodes[p->c->node_count] = *node;
    return (int)p->c->node_count++;
}

static int parse_value(struct parser *p)
{
    struct check_node node = {.op = OP_WORD};
    if (p->kind == TOKEN_NUMBER) {
        node = (struct check_node){.op = OP_NUMBER, .number = p->number};
    } else if (p->kind == TOKEN_WORD || p->kind == TOKEN_TEXT) {
        snprintf(node.word, sizeof(node.word), "%s", p->word);
    } else {
        fail(p, "a number or a word");
        return 0;
    }
    next(p);
    return add_node(p, &node);
}

static int parse_test(struct parser *p)
{
    unsigned i = 0;
    while (i < check_field_count && strcmp(check_fields[i].name, p->word) != 0) {
        i++;
    }
    if (p->kind != TOKEN_WORD || i == check_field_count) {
        fail(p, "a field");
        return 0;
    }
    if (!(check_fields[i].kinds & BIT(p->c->kind))) {
        char wanted[80];
        snprintf(wanted, sizeof(wanted), "a field that a %s has", event_names[p->c->kind]);
        fail(p, wanted);
        return 0;
    }
    next(p);
    int field = add_node(p, &(struct check_node){.op = OP_FIELD, .field = i});
    enum check_op op;
    if (!comparison(p, &op)) {
        return field;
    }
    int value = parse_value(p);
    return add_node(p, &(struct check_node){.op = op, .left = field, .right = value});
}

static int parse_or(struct parser *p);

static int parse_not(struct parser *p)
{
    int node = 0;
    if (++p->depth > 64) {
        fail(p, "fewer parentheses");
    } else if (accept(p, TOKEN_WORD, "not") || accept(p, TOKEN_SIGN, "!")) {
        int inner = parse_not(p);
        node = add_node(p, &(struct check_node){.op = OP_NOT, .left = inner});
    } else if (accept(p, TOKEN_SIGN, "(")) {
        node = parse_or(p);
        expect_sign(p, ")");
    } else {
        node = parse_test(p);
    }
    p->depth--;
    return node;
}

static int parse_chain(struct parser *p, enum check_op op, const char *word,
                       int (*parse)(struct parser *p))
{
    int left = parse(p);
    while (status_ok(&p->s) && accept(p, TOKEN_WORD, word)) {
        int right = parse(p);
        left = add_node(p, &(struct check_node){.op = op, .left = left, .right = right});
    }
    return left;
}

static int parse_and(struct parser *p)
{
    return parse_chain(p, OP_AND, "and", parse_not);
}

static int parse_or(struct parser *p)
{
    return parse_chain(p, OP_OR, "or", parse_and);
}

static void parse_events(struct parser *p)
{
    expect_sign(p, "(");
    unsigned kind = 0;
    while (kind < CHECK_EVENT_KINDS && !is(p, TOKEN_WORD, event_names[kind])) {
        kind++;
    }
    if (kind == CHECK_EVENT_KINDS) {
        fail(p, "fault, transition, syscall, irq or switch");
        return;
    }
    p->c->kind = (enum check_event_kind)kind;
    next(p);
    if (accept(p, TOKEN_WORD, "where")) {
        p->c->where = parse_or(p);
    }
    expect_sign(p, ")");
}

static void parse_hash(struct parser *p)
{
    const char *text = p->begin;
    char *end;
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    bool prefix = strncmp(text, "0x", 2) == 0;
    digits = prefix ? strspn(text + 2, "0123456789abcdefABCDEF") : digits;
    if (!digits || digits > 16) {
        fail(p, "a hash of up to 16 hexadecimal digits");
        return;
    }
    p->c->wanted = strtoull(text, &end, 16);
    p->at = end;
    next(p);
}

static void parse_quantity(struct parser *p)
{
    bool hash = p->c->quantifier == CHECK_FINAL_HASH;
    if (!hash) {
        parse_events(p);
    }
    if (!comparison(p, &p->c->op) || (hash && p->c->op != OP_EQ && p->c->op != OP_NE)) {
        fail(p, hash ? "== or !=" : "a comparison");
    }
    if (hash) {
        parse_hash(p);
    } else if (p->kind == TOKEN_NUMBER && p->number >= 0) {
        p->c->wanted = (u64)p->number;
        next(p);
    } else {
        fail(p, "a number");
    }
}

struct status check_parse(struct check *c)
{
    static const char *const names[] = {"never", "always", "count", "final-hash"};
    struct parser p = {.c = c, .at = c->expression, .begin = c->expression};
    unsigned which = 0;
    c->where = -1;
    next(&p);
    while (which < ARRAY_LEN(names) && !is(&p, TOKEN_WORD, names[which])) {
        which++;
    }
    c->quantifier = (enum check_quantifier)which;
    if (which == ARRAY_LEN(names)) {
        fail(&p, "never, always, count or final-hash");
    } else {
        next(&p);
        if (c->quantifier < CHECK_COUNT) {
            parse_events(&p);
        } else {
            parse_quantity(&p);
        }
    }
    if (status_ok(&p.s) && p.kind != TOKEN_END) {
        fail(&p, "the end");
    }
    return p.s;
}
