// SPDX-License-Identifier: MIT
// Workloads of integer code: a register loop, a sieve, sorting, hashing (SHA-256), LZ compression,
// a bytecode interpreter.
#include <string.h>

#include "workloads.h"

static volatile uint64_t seed =
    0x853c49e6748fea9b; // volatile: nothing of this may be computed by the compiler

static uint64_t unit_integer(void)
{
    uint64_t a = seed, b = a * 3, c = a ^ 5;
    for (uint64_t i = 0; i < 4000000; i++) {
        a += b ^ i;
        b = (b << 7 | b >> 57) + a;
        c -= (a & 0xff) + (b >> 60);
    }
    return a + b + c;
}

enum { SIEVE_LIMIT = 1000000 };
static char composite[SIEVE_LIMIT];

static uint64_t unit_sieve(void)
{
    uint64_t primes = 0;
    memset(composite, 0, sizeof(composite));
    for (uint64_t i = 2; i < SIEVE_LIMIT; i++) {
        if (!composite[i]) {
            primes++;
            for (uint64_t j = i * i; j < SIEVE_LIMIT; j += i) {
                composite[j] = 1;
            }
        }
    }
    return primes;
}

enum { SORT_COUNT = 50000 };
static uint32_t unsorted[SORT_COUNT], sorted[SORT_COUNT];

static void prepare_sort(void)
{
    uint64_t state = seed;
    for (int i = 0; i < SORT_COUNT; i++) {
        unsorted[i] = (uint32_t)next_random(&state);
    }
}

static int compare(const uint32_t *a, const uint32_t *b)
{
    return (*a > *b) - (*a < *b);
}

// As C libraries have it: it compares by calling. Quicksort around the middle one of three,
// insertion for what is short.
typedef int (*compare_function)(const uint32_t *, const uint32_t *);

static void swap(uint32_t *a, uint32_t *b)
{
    uint32_t kept = *a;
    *a = *b;
    *b = kept;
}

static void insertion_sort(uint32_t *v, long count, compare_function how)
{
    for (long i = 1; i < count; i++) {
        for (long j = i; j > 0 && how(&v[j - 1], &v[j]) > 0; j--) {
            swap(&v[j - 1], &v[j]);
        }
    }
}

static void sort(uint32_t *v, long count, compare_function how)
{
    while (count > 12) {
        uint32_t *middle = &v[count / 2], *end = &v[count - 1];
        how(v, middle) > 0 ? swap(v, middle) : (void)0;
        how(middle, end) > 0 ? swap(middle, end) : (void)0;
        how(v, middle) > 0 ? swap(v, middle) : (void)0;
        uint32_t pivot = *middle;
        long low = 0, high = count - 1;
        while (low <= high) {
            while (how(&v[low], &pivot) < 0) {
                low++;
            }
            while (how(&v[high], &pivot) > 0) {
                high--;
            }
            if (low <= high) {
                swap(&v[low++], &v[high--]);
            }
        }
        sort(v, high + 1, how);
        v += low;
        count -= low;
    }
    insertion_sort(v, count, how);
}

static uint64_t unit_sort(void)
{
    static compare_function volatile how = compare; // volatile: called, not inlined
    uint64_t sum = 0;
    memcpy(sorted, unsorted, sizeof(sorted));
    sort(sorted, SORT_COUNT, how);
    for (int i = 1; i < SORT_COUNT; i++) {
        need(sorted[i - 1] <= sorted[i], "sorted numbers");
    }
    for (int i = 0; i < SORT_COUNT; i += 100) {
        sum = fold(sum, sorted[i]);
    }
    return sum;
}

// SHA-256 (FIPS 180-4). Its constants are the first 32 bits of the fractions of the primes' square
// and cube roots.
enum { HASH_BYTES = 128 << 10 };
static uint32_t round_constants[64], first_state[8];
static unsigned char hashed[HASH_BYTES];

static int is_prime(unsigned n)
{
    for (unsigned i = 2; i * i <= n; i++) {
        if (n % i == 0) {
            return 0;
        }
    }
    return 1;
}

// floor(2^32 * n^(1/power)), whose low half is the fraction.
static uint32_t root_fraction(unsigned n, int power)
{
    uint64_t root = 0;
    for (int bit = 36; bit >= 0; bit--) {
        uint64_t tried = root | 1ull << bit;
        unsigned __int128 square = (unsigned __int128)tried * tried;
        int fits = power == 2 ? square <= (unsigned __int128)n << 64
                              : (square >> 32) * tried + ((square & 0xffffffff) * tried >> 32) <
                                    (unsigned __int128)n << 64;
        root = fits ? tried : root;
    }
    return (uint32_t)root;
}

static void prepare_hash(void)
{
    uint64_t state = seed;
    for (unsigned n = 2, found = 0; found < 64; n++) {
        if (is_prime(n)) {
            if (found < 8) {
                first_state[found] = root_fraction(n, 2);
            }
            round_constants[found++] = root_fraction(n, 3);
        }
    }
    need(first_state[0] == 0x6a09e667 && round_constants[63] == 0xc67178f2,
         "the constants of SHA-256");
    for (int i = 0; i < HASH_BYTES; i++) {
        hashed[i] = (unsigned char)next_random(&state);
    }
}

static uint32_t rotated(uint32_t x, int by)
{
    return x >> by | x << (32 - by);
}

static void hash_block(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4],
                    f = state[5], g = state[6], h = state[7];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    }
    for (int i = 16; i < 64; i++) {
        uint32_t low = rotated(w[i - 15], 7) ^ rotated(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t high = rotated(w[i - 2], 17) ^ rotated(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + low + w[i - 7] + high;
    }
    for (int i = 0; i < 64; i++) {
        uint32_t first = h + (rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)) +
                         ((e & f) ^ (~e & g)) + round_constants[i] + w[i];
        uint32_t second =
            (rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        h = g;
        g = f;
        f = e;
        e = d + first;
        d = c;
        c = b;
        b = a;
        a = first + second;
    }
    const uint32_t added[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++) {
        state[i] += added[i];
    }
}

static uint64_t unit_hash(void)
{
    uint32_t state[8];
    memcpy(state, first_state, sizeof(state));
    for (int i = 0; i < HASH_BYTES; i += 64) {
        hash_block(state, hashed + i);
    }
    return (uint64_t)state[0] << 32 | state[7];
}

// A byte-oriented LZ77: a literal run's length and bytes, then a match's length and distance, until
// the input ends.
enum { LZ_BYTES = 128 << 10, LZ_HASH_BITS = 13, LZ_SHORTEST = 4, LZ_LONGEST = 255 };
static unsigned char text[LZ_BYTES], packed[LZ_BYTES * 2], unpacked[LZ_BYTES];

// Words of a made-up language, so that there is something to find.
static void prepare_lz(void)
{
    uint64_t state = seed;
    char words[256][12];
    for (int i = 0; i < 256; i++) {
        size_t length = 2 + next_random(&state) % 9;
        for (size_t j = 0; j < length; j++) {
            words[i][j] = (char)('a' + next_random(&state) % 26);
        }
        words[i][length] = 0;
    }
    for (size_t at = 0; at < LZ_BYTES;) {
        uint64_t r = next_random(&state);
        for (const char *c = words[(r & 255) * (r >> 8 & 255) >> 8]; *c && at < LZ_BYTES; c++) {
            text[at++] = (unsigned char)*c;
        }
        if (at < LZ_BYTES) {
            text[at++] = ' ';
        }
    }
}

static size_t put_run(unsigned char *out, size_t to, const unsigned char *from, size_t length)
{
    out[to++] = (unsigned char)length;
    for (size_t i = 0; i < length; i++) {
        out[to++] = from[i];
    }
    return to;
}

static size_t lz_pack(const unsigned char *in, size_t size, unsigned char *out)
{
    static uint32_t last[1 << LZ_HASH_BITS];
    size_t at = 0, begin = 0, to = 0;
    memset(last, 0, sizeof(last));
    while (at + LZ_SHORTEST <= size) {
        uint32_t four, slot;
        memcpy(&four, in + at, 4);
        slot = four * 2654435761u >> (32 - LZ_HASH_BITS);
        size_t before = last[slot], length = 0; // a position + 1, so that 0 is none
        last[slot] = (uint32_t)at + 1;
        if (before && at - (before - 1) < 65536) {
            while (length < LZ_LONGEST && at + length < size &&
                   in[before - 1 + length] == in[at + length]) {
                length++;
            }
        }
        if (length < LZ_SHORTEST && at - begin < 255) {
            at++;
            continue;
        }
        to = put_run(out, to, in + begin, at - begin);
        size_t distance = length < LZ_SHORTEST ? 0 : at - (before - 1);
        length = distance ? length : 0;
        out[to++] = (unsigned char)length;
        out[to++] = (unsigned char)distance;
        out[to++] = (unsigned char)(distance >> 8);
        begin = at += length;
    }
    for (; size - begin > 255; begin += 255) {
        to = put_run(out, to, in + begin, 255);
        to = put_run(out, to, (const unsigned char[]){0, 0}, 2);
    }
    return put_run(out, to, in + begin, size - begin);
}

static size_t lz_unpack(const unsigned char *in, size_t size, unsigned char *out)
{
    size_t to = 0;
    for (size_t at = 0; at < size;) {
        for (size_t run = in [at++]; run > 0; run--) {
            out[to++] = in[at++];
        }
        if (at < size) {
            size_t length = in[at], distance = in[at + 1] | (size_t)in[at + 2] << 8;
            for (at += 3; length > 0; length--, to++) {
                out[to] = out[to - distance];
            }
        }
    }
    return to;
}

static uint64_t unit_lz(void)
{
    uint64_t sum = 0;
    size_t size = lz_pack(text, LZ_BYTES, packed);
    need(lz_unpack(packed, size, unpacked) == LZ_BYTES && memcmp(text, unpacked, LZ_BYTES) == 0,
         "LZ: text that comes back");
    for (size_t i = 0; i < size; i += 64) {
        sum = fold(sum, packed[i]);
    }
    return fold(sum, size);
}

// A bytecode interpreter: an indirect branch for each operation. Its program counts Collatz steps.
enum op {
    OP_CONST,
    OP_MOVE,
    OP_ADD,
    OP_ADDI,
    OP_MULI,
    OP_SHR,
    OP_ODD,
    OP_JZ,
    OP_JNEQ,
    OP_JLESS,
    OP_JUMP,
    OP_HALT
};
struct code {
    uint8_t op, a, b, c;
    int32_t value;
};
static const struct code program[] = {
    {OP_CONST, 0, 0, 0, 1},                           // r0: the number tried
    {OP_CONST, 1, 0, 0, 0},                           // r1: steps of all
    {OP_CONST, 3, 0, 0, 1},                           // r3: one
    {OP_CONST, 5, 0, 0, 2000}, {OP_MOVE, 2, 0, 0, 0}, // 4: r2 = r0
    {OP_ODD, 4, 2, 0, 0},                             // 5:
    {OP_JZ, 4, 0, 0, 10},      {OP_MULI, 2, 2, 0, 3}, {OP_ADDI, 2, 2, 0, 1},
    {OP_JUMP, 0, 0, 0, 11},    {OP_SHR, 2, 2, 0, 1}, // 10:
    {OP_ADD, 1, 1, 3, 0},                            // 11:
    {OP_JNEQ, 2, 3, 0, 5},     {OP_ADDI, 0, 0, 0, 1}, {OP_JLESS, 0, 5, 0, 4},
    {OP_HALT, 1, 0, 0, 0},
};

static uint64_t interpret(const struct code *code)
{
    uint64_t r[8] = {0};
    for (const struct code *c = code;; c++) {
        switch (c->op) {
        case OP_CONST:
            r[c->a] = (uint64_t)c->value;
            break;
        case OP_MOVE:
            r[c->a] = r[c->b];
            break;
        case OP_ADD:
            r[c->a] = r[c->b] + r[c->c];
            break;
        case OP_ADDI:
            r[c->a] = r[c->b] + (uint64_t)c->value;
            break;
        case OP_MULI:
            r[c->a] = r[c->b] * (uint64_t)c->value;
            break;
        case OP_SHR:
            r[c->a] = r[c->b] >> c->value;
            break;
        case OP_ODD:
            r[c->a] = r[c->b] & 1;
            break;
        case OP_JZ:
            c = r[c->a] == 0 ? code + c->value - 1 : c;
            break;
        case OP_JNEQ:
            c = r[c->a] != r[c->b] ? code + c->value - 1 : c;
            break;
        case OP_JLESS:
            c = r[c->a] < r[c->b] ? code + c->value - 1 : c;
            break;
        case OP_JUMP:
            c = code + c->value - 1;
            break;
        case OP_HALT:
            return r[c->a];
        }
    }
}

static struct code loaded[sizeof(program) / sizeof(program[0])];

static void prepare_indirect(void)
{
    memcpy(loaded, program, sizeof(program));
    loaded[2].value = (int32_t)(seed & 1); // the compiler must not know the program
}

static uint64_t unit_indirect(void)
{
    return interpret(loaded);
}

const struct workload integer_workloads[] = {
    {"integer", NULL, unit_integer},
    {"sieve", NULL, unit_sieve},
    {"sort", prepare_sort, unit_sort},
    {"hash", prepare_hash, unit_hash},
    {"lz", prepare_lz, unit_lz},
    {"indirect", prepare_indirect, unit_indirect},
    {NULL, NULL, NULL},
};
