// SPDX-License-Identifier: MIT
// Caches that give memory back when asked (dentries, inodes, buffers).
#pragma once

#include "lib/list.h"
#include "mm/gfp.h"

struct shrinker {
    struct list_head entry;
    const char *name;
    u64 (*count)(void);                 // objects that could go
    u64 (*scan)(u64 nr, gfp_t gfp);     // frees up to nr; returns how many
};
void shrinker_register(struct shrinker *s);
u64 shrink_all(gfp_t gfp, u64 nr); // K-mm
