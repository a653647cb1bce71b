// SPDX-License-Identifier: MIT
// Overcommit accounting (proc(5): /proc/sys/vm/overcommit_memory): 0 refuses only the obviously
// absurd, 1 grants all, 2 never promises more than the commit limit.
#include "fs/fs.h"
#include "mm/mm_internal.h"
#include "proc/cred.h"

int sysctl_overcommit_memory, sysctl_overcommit_ratio = 50;
u64 sysctl_admin_reserve_kbytes = 8192, sysctl_user_reserve_kbytes = 131072;
static atomic64_t committed_pages;

u64 vm_committed_as(void)
{
    s64 n = atomic64_read(&committed_pages);

    return n > 0 ? (u64)n : 0;
}

u64 vm_commit_limit(void)
{
    return totalram_pages() * (u64)sysctl_overcommit_ratio / 100; // no swap device yet
}

static bool commit_fits(u64 pages)
{
    u64 limit;

    if (sysctl_overcommit_memory == 1)
        return true;
    if (sysctl_overcommit_memory == 0)
        return pages <= totalram_pages();
    limit = vm_commit_limit();
    if (!capable(CAP_SYS_ADMIN))
        limit -= min(limit, sysctl_admin_reserve_kbytes >> (PAGE_SHIFT - 10));
    if (current->mm) {
        u64 reserve = sysctl_user_reserve_kbytes >> (PAGE_SHIFT - 10);

        limit -= min(limit, min(current->mm->total_vm / 32, reserve));
    }
    return vm_committed_as() < limit;
}

int vm_acct_memory(u64 pages)
{
    atomic64_add((s64)pages, &committed_pages);
    if (likely(commit_fits(pages)))
        return 0;
    atomic64_sub((s64)pages, &committed_pages);
    return -ENOMEM;
}

void vm_unacct_memory(u64 pages)
{
    atomic64_sub((s64)pages, &committed_pages);
}

bool mm_accountable(u64 vm_flags, const struct file *file)
{
    (void)file;
    return (vm_flags & (VM_NORESERVE | VM_SHARED | VM_WRITE)) == VM_WRITE;
}
