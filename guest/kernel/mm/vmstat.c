// SPDX-License-Identifier: MIT
// /proc/meminfo, /proc/vmstat, /proc/buddyinfo.
#include "mm/vmstat.h"

#include "mm/mm_internal.h"
#include "mm/proc_mm.h"
#include "mm/writeback.h"

static void meminfo_line(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%-16s%8lu kB\n", name, (unsigned long)(pages << (PAGE_SHIFT - 10)));
}

// What could be had without pushing anybody out: free pages above the reserve and most of the clean
// cache.
static u64 available_pages(const struct mem_stats *s)
{
    u64 cache = nr_active_file() + nr_inactive_file(), low = watermark_low();
    u64 keep = min(cache / 2, low), avail = s->free > low ? s->free - low : 0;

    return avail + cache - keep;
}

int proc_show_meminfo(struct seq_file *m, void *v)
{
    struct mem_stats s;
    u64 cached = nr_file_pages(), buffers = page_state(NR_BUFFERS);

    (void)v;
    mem_stats_get(&s);
    meminfo_line(m, "MemTotal:", s.total);
    meminfo_line(m, "MemFree:", s.free);
    meminfo_line(m, "MemAvailable:", available_pages(&s));
    meminfo_line(m, "Buffers:", buffers);
    meminfo_line(m, "Cached:", cached > buffers ? cached - buffers : 0);
    meminfo_line(m, "SwapCached:", 0);
    meminfo_line(m, "Active:", nr_active_anon() + nr_active_file());
    meminfo_line(m, "Inactive:", nr_inactive_anon() + nr_inactive_file());
    meminfo_line(m, "Active(anon):", nr_active_anon());
    meminfo_line(m, "Inactive(anon):", nr_inactive_anon());
    meminfo_line(m, "Active(file):", nr_active_file());
    meminfo_line(m, "Inactive(file):", nr_inactive_file());
    meminfo_line(m, "Unevictable:", lru.size[LRU_UNEVICTABLE]);
    meminfo_line(m, "Mlocked:", page_state(NR_MLOCK));
    meminfo_line(m, "SwapTotal:", 0);
    meminfo_line(m, "SwapFree:", 0);
    meminfo_line(m, "Dirty:", nr_dirty_pages());
    meminfo_line(m, "Writeback:", nr_writeback_pages());
    meminfo_line(m, "AnonPages:", nr_anon_pages());
    meminfo_line(m, "Mapped:", nr_mapped_pages());
    meminfo_line(m, "Shmem:", nr_shmem_pages());
    meminfo_line(m, "Slab:", s.slab);
    meminfo_line(m, "KernelStack:", s.kernel_stacks);
    meminfo_line(m, "PageTables:", s.page_tables);
    meminfo_line(m, "CommitLimit:", vm_commit_limit());
    meminfo_line(m, "Committed_AS:", vm_committed_as());
    seq_printf(m, "%-16s%8lu kB\n",
               "VmallocTotal:", (unsigned long)((VMALLOC_END - VMALLOC_START) >> 10));
    meminfo_line(m, "VmallocUsed:", s.vmalloc);
    return 0;
}

static void vmstat_line(struct seq_file *m, const char *name, u64 n)
{
    seq_printf(m, "%s %lu\n", name, (unsigned long)n);
}

int proc_show_vmstat(struct seq_file *m, void *v)
{
    static const char *const events[NR_VM_EVENTS] = {
        [PGPGIN] = "pgpgin",
        [PGPGOUT] = "pgpgout",
        [PGFAULT] = "pgfault",
        [PGMAJFAULT] = "pgmajfault",
        [PGACTIVATE] = "pgactivate",
        [PGDEACTIVATE] = "pgdeactivate",
        [PGSCAN_KSWAPD] = "pgscan_kswapd",
        [PGSCAN_DIRECT] = "pgscan_direct",
        [PGSTEAL_KSWAPD] = "pgsteal_kswapd",
        [PGSTEAL_DIRECT] = "pgsteal_direct",
        [PAGEOUTRUN] = "pageoutrun",
        [ALLOCSTALL] = "allocstall_normal",
        [PGLAZYFREE] = "pglazyfree",
        [PGLAZYFREED] = "pglazyfreed",
        [DROP_PAGECACHE] = "drop_pagecache",
        [OOM_KILL] = "oom_kill",
    };

    (void)v;
    vmstat_line(m, "nr_free_pages", nr_free_pages());
    vmstat_line(m, "nr_inactive_anon", nr_inactive_anon());
    vmstat_line(m, "nr_active_anon", nr_active_anon());
    vmstat_line(m, "nr_inactive_file", nr_inactive_file());
    vmstat_line(m, "nr_active_file", nr_active_file());
    vmstat_line(m, "nr_unevictable", lru.size[LRU_UNEVICTABLE]);
    vmstat_line(m, "nr_mlock", page_state(NR_MLOCK));
    vmstat_line(m, "nr_anon_pages", nr_anon_pages());
    vmstat_line(m, "nr_mapped", nr_mapped_pages());
    vmstat_line(m, "nr_file_pages", nr_file_pages());
    vmstat_line(m, "nr_dirty", nr_dirty_pages());
    vmstat_line(m, "nr_writeback", nr_writeback_pages());
    vmstat_line(m, "nr_shmem", nr_shmem_pages());
    vmstat_line(m, "nr_dirtied", page_state(NR_DIRTIED));
    vmstat_line(m, "nr_written", page_state(NR_WRITTEN));
    vmstat_line(m, "nr_page_table_pages", (u64)atomic64_read(&mem_pagetable_pages));
    for (int i = 0; i < NR_VM_EVENTS; i++)
        vmstat_line(m, events[i], (u64)__atomic_load_n(&vm_events[i], __ATOMIC_RELAXED));
    return 0;
}
