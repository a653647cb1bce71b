// SPDX-License-Identifier: MIT
// Deterministic random bytes: the ChaCha20 block function (RFC 8439 section 2.3) over a key made of
// the machine's seed.
#include "init/init.h"
#include "lib/string.h"
#include "sched/lock.h"

static u32 key[8] = {0x6e726566, 0x72657473};
static u64 counter;
static DEFINE_SPINLOCK(lock);

static u32 rotl(u32 v, int n)
{
    return v << n | v >> (32 - n);
}

static void quarter(u32 *a, u32 *b, u32 *c, u32 *d)
{
    *a += *b, *d = rotl(*d ^ *a, 16);
    *c += *d, *b = rotl(*b ^ *c, 12);
    *a += *b, *d = rotl(*d ^ *a, 8);
    *c += *d, *b = rotl(*b ^ *c, 7);
}

static void block(u32 out[16])
{
    u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(in + 4, key, sizeof(key));
    in[12] = (u32)counter;
    in[13] = (u32)(counter >> 32);
    counter++;
    memcpy(out, in, sizeof(in));
    for (int i = 0; i < 10; i++) {
        for (int c = 0; c < 4; c++)
            quarter(&out[c], &out[4 + c], &out[8 + c], &out[12 + c]);
        for (int c = 0; c < 4; c++)
            quarter(&out[c], &out[4 + (c + 1) % 4], &out[8 + (c + 2) % 4], &out[12 + (c + 3) % 4]);
    }
    for (int i = 0; i < 16; i++)
        out[i] += in[i];
}

void random_bytes(void *buf, size_t n)
{
    u32 out[16];
    unsigned long flags;
    for (size_t done = 0; done < n; done += sizeof(out)) {
        spin_lock_irqsave(&lock, flags);
        block(out);
        spin_unlock_irqrestore(&lock, flags);
        memcpy((char *)buf + done, out, min(sizeof(out), n - done));
    }
}

void random_mix(const void *buf, size_t n)
{
    u32 out[16];
    unsigned long flags;
    spin_lock_irqsave(&lock, flags);
    for (size_t i = 0; i < n; i++) {
        key[i / 4 % 8] ^= (u32)((const u8 *)buf)[i] << (8 * (i % 4));
        if (i % 32 == 31 || i + 1 == n) {
            block(out);
            memcpy(key, out, sizeof(key));
        }
    }
    spin_unlock_irqrestore(&lock, flags);
}
