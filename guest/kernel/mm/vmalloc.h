// SPDX-License-Identifier: MIT
// Virtually contiguous kernel memory with a guard page after (and, for stacks, before) each area.
// Task context.
#pragma once

#include "lib/types.h"

void *vmalloc(size_t size);
void *vzalloc(size_t size);
void vfree(const void *p);
bool is_vmalloc_addr(const void *p);
void *kernel_stack_alloc(void); // KERNEL_STACK_SIZE bytes, cached
void kernel_stack_free(void *stack);
// Is addr in a guard page of a kernel stack? For the double-fault report.
bool is_stack_guard(u64 addr);
// Reserves address space only (ioremap); 0 without space.
u64 vmalloc_reserve(size_t size);
void vmalloc_release(u64 va);
void vmalloc_init(void);
void vmalloc_late_init(void); // cached stacks are given back when memory is short
