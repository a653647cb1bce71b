// SPDX-License-Identifier: MIT
// Reverse mapping: from a frame to the page-table entries that map it. K-mm owns the bodies.
#pragma once

#include "mm/page_cache.h"

// Anonymous frame enters its first VMA: joins mm's anon_root. Page-table lock held.
void page_add_anon_rmap(struct page *p, struct vm_area_struct *vma, u64 addr);
void page_add_file_rmap(struct page *p);
void page_dup_rmap(struct page *p); // one more entry (fork)
void page_remove_rmap(struct page *p);
// Page locked. Unmaps everywhere (true if no entry is left); dirty bits go to the page.
bool try_to_unmap(struct page *p);
// Write-protects all shared mappings; returns how many were dirty.
int page_mkclean(struct page *p);
// Tests and clears accessed bits; how many were set.
int page_referenced(struct page *p);
struct anon_root *anon_root_alloc(void);
void anon_root_put(struct anon_root *r);

// LRU.
void lru_cache_add(struct page *p);
void mark_page_accessed(struct page *p);
void lru_del(struct page *p);
