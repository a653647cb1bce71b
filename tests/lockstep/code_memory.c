// SPDX-License-Identifier: MIT
// Runs in the guest: makes machine code, executes it, and makes other code. "distinct MIB KIND":
// that much code, each function of it executed by itself; "rewrite ROUNDS": the same few pages
// again and again. What the code computes is checked.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FUNCTION_BYTES 64
#define PAGE 4096
#define REWRITTEN_PAGES 8
#define CALLS 3 // of each function

// mov eax, number; what fills the function: NOPs, additions to memory or additions; ret.
static void put_function(unsigned char *at, unsigned number, char kind)
{
    static const unsigned char memory[] = {0x48, 0x83, 0x07, 0x01}, plain[] = {0x83, 0xC0, 0x01};
    unsigned char *p = at;
    *p++ = 0xB8;
    memcpy(p, &number, 4);
    p += 4;
    while (kind != 'n' && p + 5 <= at + FUNCTION_BYTES) {
        const unsigned char *bytes = kind == 'm' ? memory : plain;
        unsigned count = kind == 'm' ? sizeof(memory) : sizeof(plain);
        memcpy(p, bytes, count);
        p += count;
    }
    while (p < at + 47) {
        *p++ = 0x90;
    }
    *p++ = 0xC3;
}

static void check(unsigned char *at, unsigned number, char kind)
{
    unsigned (*call)(unsigned long *) = NULL;
    memcpy(&call, &at, sizeof(call));
    unsigned long counted = 0;
    unsigned added = kind == 'p' ? 19 : 0;
    for (unsigned i = 0; i < CALLS; i++) {
        unsigned got = call(&counted);
        if (got != number + added) {
            printf("function %u: %u\n", number, got);
            exit(1);
        }
    }
    if (kind == 'm' && counted != 14 * CALLS) {
        printf("function %u: counted %lu\n", number, counted);
        exit(1);
    }
}

static unsigned char *map(size_t bytes)
{
    unsigned char *code = mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC,
                               MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    return code;
}

// Functions in the first bytes of a page.
static void use(unsigned char *page, unsigned bytes, unsigned number, char kind)
{
    for (unsigned at = 0; at < bytes; at += FUNCTION_BYTES) {
        put_function(page + at, number + at, kind);
    }
    for (unsigned at = 0; at < bytes; at += FUNCTION_BYTES) {
        check(page + at, number + at, kind);
    }
}

static void distinct(size_t bytes, char kind)
{
    unsigned char *code = map(bytes);
    for (size_t page = 0; page < bytes; page += PAGE) {
        use(code + page, PAGE, (unsigned)page, kind);
    }
    printf("%zu MiB\n", bytes >> 20);
}

static void rewrite(unsigned rounds)
{
    unsigned char *code = map(REWRITTEN_PAGES * PAGE);
    for (unsigned round = 0; round < rounds; round++) {
        // Now all of the page, now one function of it.
        unsigned bytes = round % 16 < REWRITTEN_PAGES ? PAGE : FUNCTION_BYTES;
        use(code + round % REWRITTEN_PAGES * PAGE, bytes, round, 'n');
    }
    printf("%u rounds\n", rounds);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "distinct") == 0) {
        distinct(strtoul(argv[2], NULL, 10) << 20, argv[3][0]);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "rewrite") == 0) {
        rewrite((unsigned)strtoul(argv[2], NULL, 10));
        return 0;
    }
    return 2;
}
