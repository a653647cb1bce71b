// SPDX-License-Identifier: MIT
// Text of /proc/PID/maps, smaps, statm and the Vm lines of status (proc(5)).
#include "mm/proc_mm.h"

#include "fs/mount.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "mm/mm_internal.h"
#include "mm/slab.h"

static const char *area_name(const struct vm_area_struct *vma)
{
    const struct mm_struct *mm = vma->vm_mm;

    if (vma->vm_start < mm->brk && vma->vm_end > mm->start_brk)
        return "[heap]";
    if (vma->vm_start <= mm->start_stack && vma->vm_end >= mm->start_stack)
        return "[stack]";
    return NULL;
}

// The line of one area. buf: PATH_MAX bytes for the path.
static void show_area(struct seq_file *m, const struct vm_area_struct *vma, char *buf)
{
    u64 f = vma->vm_flags;
    const struct file *file = vma->vm_file;
    const struct inode *inode = file ? file->f_inode : NULL;
    dev_t dev = inode ? inode->i_sb->s_dev : 0;
    const char *name = NULL;
    char line[80];
    int n;

    n = snprintf(line, sizeof(line), "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ",
                 (unsigned long)vma->vm_start, (unsigned long)vma->vm_end, f & VM_READ ? 'r' : '-',
                 f & VM_WRITE ? 'w' : '-', f & VM_EXEC ? 'x' : '-', f & VM_MAYSHARE ? 's' : 'p',
                 inode ? (unsigned long)vma->vm_pgoff << PAGE_SHIFT : 0UL, MAJOR(dev), MINOR(dev),
                 inode ? (unsigned long)inode->i_ino : 0UL);
    seq_write(m, line, (size_t)n);
    if (file) {
        name = d_path(&file->f_path, NULL, buf, PATH_MAX);
        if (IS_ERR(name))
            name = "(unreachable)";
    } else {
        name = area_name(vma);
    }
    if (name) {
        for (; n < 73; n++)
            seq_putc(m, ' ');
        for (; *name; name++) { // a newline in a name must not look like another line
            if (*name == '\n')
                seq_puts(m, "\\012");
            else
                seq_putc(m, *name);
        }
    }
    seq_putc(m, '\n');
}

int proc_show_maps(struct seq_file *m, struct mm_struct *mm)
{
    char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
    struct vm_area_struct *vma;

    if (!buf)
        return -ENOMEM;
    down_read(&mm->mmap_lock);
    list_for_each_entry(vma, &mm->mmap_list, vm_list) show_area(m, vma, buf);
    up_read(&mm->mmap_lock);
    kfree(buf);
    return 0;
}

// --- smaps

struct area_usage { // pages; pss in 1/4096 pages
    u64 rss, pss, shared_clean, shared_dirty, private_clean, private_dirty, referenced, anonymous,
        lazyfree, swap;
};

static void count_entry(struct area_usage *u, pte_t e)
{
    struct page *p = pfn_to_page(pte_pfn(e));
    int maps = page_mapcount(p);
    bool dirty = pte_dirty(e) || PageDirty(p);

    if (p == zero_page || maps <= 0)
        return;
    u->rss++;
    u->pss += PAGE_SIZE / (u64)maps;
    u->referenced += pte_young(e) || PageReferenced(p);
    if (PageAnon(p)) {
        u->anonymous++;
        if (!PageSwapBacked(p) && !dirty)
            u->lazyfree++;
    }
    if (maps > 1)
        *(dirty ? &u->shared_dirty : &u->shared_clean) += 1;
    else
        *(dirty ? &u->private_dirty : &u->private_clean) += 1;
}

static void area_usage(struct vm_area_struct *vma, struct area_usage *u)
{
    if (vma->vm_flags & VM_PFNMAP)
        return;
    for (u64 addr = vma->vm_start; addr < vma->vm_end;) {
        u64 table_end, end;
        pte_t *pte = pte_lookup(vma->vm_mm, addr, &table_end);

        end = min(vma->vm_end, table_end);
        if (pte) {
            spin_lock(&vma->vm_mm->page_table_lock);
            for (; addr < end; addr += PAGE_SIZE, pte++) {
                pte_t e = pte_read(pte);

                if (pte_present(e))
                    count_entry(u, e);
                else if (!pte_none(e))
                    u->swap++;
            }
            spin_unlock(&vma->vm_mm->page_table_lock);
        }
        addr = end;
    }
}

static void show_kb(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%-16s%8lu kB\n", name, (unsigned long)(pages << (PAGE_SHIFT - 10)));
}

static void show_usage(struct seq_file *m, const struct area_usage *u, u64 locked_pages)
{
    show_kb(m, "Rss:", u->rss);
    seq_printf(m, "%-16s%8lu kB\n", "Pss:", (unsigned long)(u->pss >> 10));
    show_kb(m, "Shared_Clean:", u->shared_clean);
    show_kb(m, "Shared_Dirty:", u->shared_dirty);
    show_kb(m, "Private_Clean:", u->private_clean);
    show_kb(m, "Private_Dirty:", u->private_dirty);
    show_kb(m, "Referenced:", u->referenced);
    show_kb(m, "Anonymous:", u->anonymous);
    show_kb(m, "LazyFree:", u->lazyfree);
    show_kb(m, "Swap:", u->swap);
    show_kb(m, "Locked:", locked_pages);
}

static void show_flags(struct seq_file *m, u64 f)
{
    static const struct {
        u64 flag;
        char name[3];
    } names[] = {
        {VM_READ, "rd"},      {VM_WRITE, "wr"},     {VM_EXEC, "ex"},       {VM_SHARED, "sh"},
        {VM_MAYREAD, "mr"},   {VM_MAYWRITE, "mw"},  {VM_MAYEXEC, "me"},    {VM_MAYSHARE, "ms"},
        {VM_GROWSDOWN, "gd"}, {VM_PFNMAP, "pf"},    {VM_LOCKED, "lo"},     {VM_IO, "io"},
        {VM_SEQ_READ, "sr"},  {VM_RAND_READ, "rr"}, {VM_DONTCOPY, "dc"},   {VM_DONTEXPAND, "de"},
        {VM_ACCOUNT, "ac"},   {VM_NORESERVE, "nr"}, {VM_WIPEONFORK, "wf"}, {VM_DONTDUMP, "dd"},
    };

    seq_puts(m, "VmFlags: ");
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (f & names[i].flag)
            seq_printf(m, "%s ", names[i].name);
    seq_putc(m, '\n');
}

int proc_show_smaps(struct seq_file *m, struct mm_struct *mm)
{
    char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
    struct vm_area_struct *vma;

    if (!buf)
        return -ENOMEM;
    down_read(&mm->mmap_lock);
    list_for_each_entry(vma, &mm->mmap_list, vm_list)
    {
        struct area_usage u = {0};

        area_usage(vma, &u);
        show_area(m, vma, buf);
        show_kb(m, "Size:", vma_pages(vma));
        show_kb(m, "KernelPageSize:", 1);
        show_kb(m, "MMUPageSize:", 1);
        show_usage(m, &u, vma->vm_flags & VM_LOCKED ? vma_pages(vma) : 0);
        show_flags(m, vma->vm_flags);
    }
    up_read(&mm->mmap_lock);
    kfree(buf);
    return 0;
}

int proc_show_smaps_rollup(struct seq_file *m, struct mm_struct *mm)
{
    struct area_usage u = {0};
    struct vm_area_struct *vma;
    u64 start = 0, end = 0;

    down_read(&mm->mmap_lock);
    list_for_each_entry(vma, &mm->mmap_list, vm_list)
    {
        start = start ? start : vma->vm_start;
        end = vma->vm_end;
        area_usage(vma, &u);
    }
    seq_printf(m, "%08lx-%08lx ---p 00000000 00:00 0%*s[rollup]\n", (unsigned long)start,
               (unsigned long)end, 26, "");
    show_usage(m, &u, mm->locked_vm);
    up_read(&mm->mmap_lock);
    return 0;
}

// --- numbers of one mm

static u64 counter(const struct mm_struct *mm, enum mm_counter c)
{
    s64 n = atomic64_read(&mm->counters[c]);

    return n > 0 ? (u64)n : 0;
}

static u64 text_pages(const struct mm_struct *mm)
{
    return (PAGE_ALIGN(mm->end_code) - (mm->start_code & PAGE_MASK)) >> PAGE_SHIFT;
}

int proc_show_statm(struct seq_file *m, struct mm_struct *mm)
{
    if (!mm) {
        seq_puts(m, "0 0 0 0 0 0 0\n");
        return 0;
    }
    seq_printf(m, "%lu %lu %lu %lu 0 %lu 0\n", (unsigned long)mm->total_vm,
               (unsigned long)mm_rss(mm),
               (unsigned long)(counter(mm, MM_FILEPAGES) + counter(mm, MM_SHMEMPAGES)),
               (unsigned long)text_pages(mm), (unsigned long)(mm->data_vm + mm->stack_vm));
    return 0;
}

static void status_line(struct seq_file *m, const char *name, u64 pages)
{
    seq_printf(m, "%s:\t%8lu kB\n", name, (unsigned long)(pages << (PAGE_SHIFT - 10)));
}

void proc_show_mm_status(struct seq_file *m, struct mm_struct *mm)
{
    u64 rss = mm_rss(mm), text = text_pages(mm);

    status_line(m, "VmPeak", max(mm->hiwater_vm, mm->total_vm));
    status_line(m, "VmSize", mm->total_vm);
    status_line(m, "VmLck", mm->locked_vm);
    status_line(m, "VmPin", 0);
    status_line(m, "VmHWM", max(mm->hiwater_rss, rss));
    status_line(m, "VmRSS", rss);
    status_line(m, "RssAnon", counter(mm, MM_ANONPAGES));
    status_line(m, "RssFile", counter(mm, MM_FILEPAGES));
    status_line(m, "RssShmem", counter(mm, MM_SHMEMPAGES));
    status_line(m, "VmData", mm->data_vm);
    status_line(m, "VmStk", mm->stack_vm);
    status_line(m, "VmExe", text);
    status_line(m, "VmLib", mm->exec_vm > text ? mm->exec_vm - text : 0);
    status_line(m, "VmPTE", mm->nr_page_tables);
    status_line(m, "VmSwap", counter(mm, MM_SWAPENTS));
}
