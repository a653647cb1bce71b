// SPDX-License-Identifier: MIT
// Allocation flags: what an allocation may do to get its memory.
#pragma once

#include "lib/types.h"

#define __GFP_WAIT 0x1u // may sleep and reclaim
#define __GFP_IO 0x2u   // reclaim may start I/O
#define __GFP_FS 0x4u   // reclaim may call into file systems
#define __GFP_ZERO 0x8u
#define __GFP_NOFAIL 0x10u // waits until there is memory
#define __GFP_NOWARN 0x20u
#define __GFP_MEMALLOC 0x40u // may use the reserves
#define __GFP_ATOMIC 0x80u   // may use part of the reserves
#define __GFP_NOOOM 0x100u   // fails rather than call the OOM killer
#define __GFP_DMA32 0x200u   // below 4 GiB
#define GFP_ATOMIC (__GFP_ATOMIC)
#define GFP_NOWAIT 0u
#define GFP_NOIO (__GFP_WAIT)
#define GFP_NOFS (__GFP_WAIT | __GFP_IO)
#define GFP_KERNEL (__GFP_WAIT | __GFP_IO | __GFP_FS)
#define GFP_USER GFP_KERNEL
