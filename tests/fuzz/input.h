// SPDX-License-Identifier: MIT
// Takes a fuzzer's input apart. Past its end everything reads as zero.
#ifndef VIV_TESTS_FUZZ_INPUT_H
#define VIV_TESTS_FUZZ_INPUT_H

#include "base/types.h"

#include <string.h>

struct input {
    const u8 *data;
    size_t size, at;
};

static inline bool input_more(const struct input *in)
{
    return in->at < in->size;
}

// bytes: 1 to 8, little-endian.
static inline u64 input_take(struct input *in, unsigned bytes)
{
    u64 value = 0;
    size_t left = in->size - in->at;
    size_t n = bytes < left ? bytes : left;
    memcpy(&value, in->data + in->at, n);
    in->at += n;
    return value;
}

static inline u8 input_u8(struct input *in)
{
    return (u8)input_take(in, 1);
}

#endif
