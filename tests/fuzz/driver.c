// SPDX-License-Identifier: MIT
// Runs a fuzzer's function over saved inputs and mutations of them, without a fuzzing engine: for
// the test suite. Usage: driver MUTATIONS FILE... (libFuzzer searches: tests/fuzz/run)
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t random_state = 88172645463325252u;

static uint64_t random_number(void) // xorshift64
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static size_t read_input(const char *path, uint8_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    size_t size = fread(bytes, 1, INPUT_MAX / 2, f);
    fclose(f);
    return size;
}

// A few bytes changed, removed, doubled or cut off.
static size_t mutate(uint8_t *bytes, size_t size)
{
    for (unsigned n = 1 + random_number() % 8; n && size; n--) {
        size_t at = random_number() % size;
        size_t length = 1 + random_number() % 16;
        length = length < size - at ? length : size - at;
        switch (random_number() % 4) {
        case 0:
            bytes[at] = (uint8_t)random_number();
            break;
        case 1:
            bytes[at] ^= (uint8_t)(1u << random_number() % 8);
            break;
        case 2:
            memmove(bytes + at, bytes + at + length, size - at - length);
            size -= length;
            break;
        default:
            memmove(bytes + at + length, bytes + at, size - at);
            size += length;
            break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s MUTATIONS FILE...\n", argv[0]);
        return 64;
    }
    unsigned long mutations = strtoul(argv[1], NULL, 10), runs = 0;
    uint8_t *input = malloc(INPUT_MAX), *changed = malloc(INPUT_MAX);
    for (int i = 2; input && changed && i < argc; i++) {
        size_t size = read_input(argv[i], input);
        LLVMFuzzerTestOneInput(input, size);
        for (unsigned long m = 0; m < mutations; m++, runs++) {
            memcpy(changed, input, size);
            size_t used = mutate(changed, size);
            uint8_t *exact = malloc(used + 1); // so that a sanitizer sees reads beyond the end
            if (!exact) {
                return 1;
            }
            memcpy(exact, changed, used);
            LLVMFuzzerTestOneInput(exact, used);
            free(exact);
        }
    }
    free(input);
    free(changed);
    printf("ok - %d saved inputs, %lu mutations\n", argc - 2, runs);
    return 0;
}
