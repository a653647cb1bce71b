// SPDX-License-Identifier: MIT
// Private to check.c and check_parse.c: the expression as a tree.
#ifndef VIV_TRACE_CHECK_INTERNAL_H
#define VIV_TRACE_CHECK_INTERNAL_H

#include "trace/check.h"

#define CHECK_NODES_MAX 256
#define CHECK_WORD 64

enum check_op {
    OP_OR,
    OP_AND,
    OP_NOT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_FIELD, // alone: whether it is not zero
    OP_NUMBER,
    OP_WORD
};

struct check_node {
    enum check_op op;
    int left, right; // nodes
    unsigned field;  // of check_fields
    __int128 number;
    char word[CHECK_WORD];
};

struct check_value {
    bool known, is_word; // unknown: every comparison with it is false
    __int128 number;
    const char *word;
};

// A field: its name, the kinds of events that have it, and how it is read.
struct check_field {
    const char *name;
    unsigned kinds; // BIT(enum check_event_kind)
    struct check_value (*read)(const struct check_event *e);
};

extern const struct check_field check_fields[];
extern const unsigned check_field_count;

enum check_quantifier { CHECK_NEVER, CHECK_ALWAYS, CHECK_COUNT, CHECK_FINAL_HASH };

struct check {
    char *expression;
    enum check_quantifier quantifier;
    enum check_event_kind kind;
    struct check_node nodes[CHECK_NODES_MAX];
    unsigned node_count;
    int where;        // root node, -1: every event
    enum check_op op; // of count and final-hash
    u64 wanted;       // count, hash
    u64 seen;         // events that the condition holds for
    u64 broken_step;  // of the first event that breaks the assertion
    bool broken;
    char reason[200];
};

// check_parse.c
struct status check_parse(struct check *c);

#endif
