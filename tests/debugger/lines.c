// SPDX-License-Identifier: MIT
// A static program with names, types and unwind tables for the debugger's tests to read.
#include <stdio.h>
#include <stdlib.h>

enum colour { COLOUR_RED = 3, COLOUR_GREEN = -7, COLOUR_BLUE = 4000000000u };

struct inner {
    short small;
    union {
        long either;
        struct {
            char first, second;
        };
    };
};
struct outer {
    char pad[5];
    struct inner in[3];
    unsigned char *pointer;
    enum colour colour;
    signed char tail;
};

extern struct outer lines_object;
struct outer lines_object = {.colour = COLOUR_BLUE, .tail = -1};

__attribute__((noinline)) int lines_leaf(int n)
{
    lines_object.in[n & 1].either += n;
    return n * 3;
}

__attribute__((noinline)) int lines_middle(int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        sum += lines_leaf(i);
    }
    return sum + 1;
}

__attribute__((noinline, optimize("O0"))) int lines_plain(int n)
{
    int twice = n * 2;
    return twice + 1;
}

int main(int argc, char **argv)
{
    printf("%d\n", lines_middle(argc + 4) + lines_plain(argc));
    return lines_object.in[0].small;
}
