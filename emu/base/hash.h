// SPDX-License-Identifier: MIT
// The state hash: 64 bits, stable across builds and hosts (XXH3 with seed 0, through libxxhash).
#ifndef VIV_BASE_HASH_H
#define VIV_BASE_HASH_H

#include "base/types.h"

struct hash; // a running hash

struct hash *hash_create(void);
void hash_destroy(struct hash *h);
void hash_restart(struct hash *h);
void hash_bytes(struct hash *h, const void *bytes, size_t size);
void hash_u64(struct hash *h, u64 value);
u64 hash_value(const struct hash *h);

// One-shot.
u64 hash_of(const void *bytes, size_t size);

#endif
