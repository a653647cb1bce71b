// SPDX-License-Identifier: MIT
// Host stand-in: frames live in an arena of the test, the frame array next to it.
#pragma once

#include_next "arch/x86_64/paging.h"

extern char *host_arena;
extern struct page *host_frames;
#undef DIRECT_MAP_BASE
#define DIRECT_MAP_BASE ((u64)host_arena)
#undef FRAME_ARRAY_BASE
#define FRAME_ARRAY_BASE host_frames
