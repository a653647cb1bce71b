// SPDX-License-Identifier: MIT
// The past of guest RAM: per page, its contents at the checkpoints at which they had changed.
#ifndef VIV_REPLAY_PAGE_HISTORY_H
#define VIV_REPLAY_PAGE_HISTORY_H

#include "mem/physmem.h"

struct page_history;

// RAM page numbers, ascending, each once.
struct page_list {
    u32 *numbers; // free() it
    u32 count;
};

bool page_list_has(const struct page_list *list, u32 rpn);
// Adds what other has.
void page_list_merge(struct page_list *list, const struct page_list *other);

struct page_history *page_history_create(struct physmem *mem);
void page_history_destroy(struct page_history *h);

// Memory held, in bytes.
u64 page_history_bytes(const struct page_history *h);

// From now on page_history_written() counts.
void page_history_mark(struct page_history *h);
// The pages that were, or may have been, written since the mark.
struct page_list page_history_written(const struct page_history *h);
bool page_history_was_written(const struct page_history *h, u32 rpn);

// Keeps the page's present contents as those at step, unless they are what they were before.
// next_step: that of the following checkpoint, UINT64_MAX if there is none; what the page holds
// there and later stays.
void page_history_keep(struct page_history *h, u32 rpn, u64 step, u64 next_step);
// The checkpoint at step goes. next_step: of the following one, where all stays as it is;
// UINT64_MAX: there is none.
void page_history_forget(struct page_history *h, u32 rpn, u64 step, u64 next_step);

// Writes into RAM what the page held at the last checkpoint at or before step.
void page_history_load(struct page_history *h, u32 rpn, u64 step);

#endif
