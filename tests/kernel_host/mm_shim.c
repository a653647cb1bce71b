// SPDX-License-Identifier: MIT
// Bodies of mm_shim.h and of the kernel functions that mm/ calls.
#include "mm_shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <string.h>

#include "lib/printk.h"
#include "fs/file.h"
#include "arch/x86_64/uaccess.h"
#include "mm/mm_internal.h"
#include "mm/shmem.h"
#include "mm/slab.h"
#include "mm/writeback.h"
#include "proc/cred.h"
#include "proc/signal.h"

#define ARENA_PAGES 8192UL

struct cpu host_cpu;
struct task_struct *host_current;
char *host_arena;
struct page *host_frames;
u64 max_pfn = ARENA_PAGES, nx_mask = PTE_NX;
struct page *zero_page;
atomic64_t mem_slab_pages, mem_stack_pages, mem_pagetable_pages, mem_vmalloc_pages;
struct mm_struct init_mm;
long shim_fail_nth;
bool shim_failed;
static struct task_struct task;
static struct signal_struct task_signal;
u64 shim_rlimit[16];
static unsigned long pages_used, objects_used, free_top;
static struct page *free_stack[ARENA_PAGES];

static bool should_fail(gfp_t gfp)
{
    (void)gfp;
    if (shim_fail_nth > 0 && --shim_fail_nth == 0) {
        shim_failed = true;
        return true;
    }
    return false;
}

void shim_init(void)
{
    host_arena = aligned_alloc(PAGE_SIZE, ARENA_PAGES * PAGE_SIZE);
    host_frames = calloc(ARENA_PAGES, sizeof(struct page));
    free_top = 0;
    for (u64 i = ARENA_PAGES - 1; i > 0; i--)
        free_stack[free_top++] = pfn_to_page(i);
    task = (struct task_struct){.signal = &task_signal};
    host_current = &task;
    for (int i = 0; i < RLIM_NLIMITS; i++)
        task_signal.rlim[i].rlim_cur = RLIM_INFINITY;
    task_signal.rlim[RLIMIT_STACK].rlim_cur = 8UL << 20;
    reclaim_init();
    page_cache_init();
    zero_page = alloc_page(__GFP_ZERO);
    SetPageReserved(zero_page);
    init_mm.pgd = (pte_t *)get_free_page(__GFP_ZERO);
    host_cpu.active_mm = &init_mm;
    task.active_mm = &init_mm;
    static bool caches;
    if (!caches)
        mm_init();
    caches = true;
    pages_used = objects_used = 0;
}

void shim_exit(void)
{
    free(host_arena);
    free(host_frames);
}

unsigned long shim_pages(void)
{
    return pages_used;
}

unsigned long shim_objects(void)
{
    return objects_used;
}

// --- frames and objects

struct page *alloc_pages(gfp_t gfp, unsigned order)
{
    if (order || should_fail(gfp) || !free_top)
        return NULL;
    struct page *p = free_stack[--free_top];

    *p = (struct page){0};
    atomic_set(&p->refcount, 1);
    pages_used++;
    memset(page_address(p), gfp & __GFP_ZERO ? 0 : 0x5a, PAGE_SIZE);
    return p;
}

void free_pages_block(struct page *p, unsigned order)
{
    BUG_ON(order || page_mapcount(p) || PageReserved(p) || PageLRU(p) || PageLocked(p));
    BUG_ON(p->mapping);
    memset(page_address(p), 0xe5, PAGE_SIZE);
    pages_used--;
    free_stack[free_top++] = p;
}

void put_page(struct page *p)
{
    if (PageReserved(p))
        return;
    BUG_ON(page_count(p) <= 0);
    if (!atomic_dec_and_test(&p->refcount))
        return;
    if (PageLRU(p))
        page_release_hook(p);
    p->flags = 0;
    p->mapping = NULL;
    free_pages_block(p, 0);
}

void *get_free_page(gfp_t gfp)
{
    struct page *p = alloc_page(gfp);

    return p ? page_address(p) : NULL;
}

phys_addr_t virt_to_phys(const volatile void *va)
{
    return (u64)va - (u64)host_arena;
}

void free_page(void *va)
{
    put_page(virt_to_page(va));
}

void clear_page(void *va)
{
    memset(va, 0, PAGE_SIZE);
}

void copy_page(void *dst, const void *src)
{
    memcpy(dst, src, PAGE_SIZE);
}

u64 nr_free_pages(void)
{
    return free_top;
}

u64 totalram_pages(void)
{
    return ARENA_PAGES;
}

u64 watermark_min(void)
{
    return 0;
}

u64 watermark_low(void)
{
    return 0;
}

u64 watermark_high(void)
{
    return 0;
}

pte_t *pgd_alloc(void)
{
    return get_free_page(__GFP_ZERO);
}

void pgd_free(pte_t *pgd)
{
    for (int i = 0; i < 256; i++)
        BUG_ON(pgd[i]);
    free_page(pgd);
}

void tlb_flush_page(struct mm_struct *mm, u64 addr)
{
    (void)mm, (void)addr;
}

void tlb_flush_page_here(struct mm_struct *mm, u64 addr)
{
    (void)mm, (void)addr;
}

void tlb_flush_range(struct mm_struct *mm, u64 start, u64 end)
{
    (void)mm, (void)start, (void)end;
}

void tlb_flush_mm(struct mm_struct *mm)
{
    (void)mm;
}

void mm_switch(struct mm_struct *next)
{
    host_cpu.active_mm = next;
}

struct kmem_cache {
    size_t size;
};

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align, unsigned flags)
{
    static struct kmem_cache caches[24];
    static int n;

    (void)name, (void)align, (void)flags;
    caches[n].size = size;
    return &caches[n++];
}

void *kmem_cache_alloc(struct kmem_cache *c, gfp_t gfp)
{
    return kmalloc(c->size, gfp);
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
    (void)c;
    kfree(obj);
}

void *kmalloc(size_t size, gfp_t gfp)
{
    if (should_fail(gfp))
        return NULL;
    objects_used++;
    return gfp & __GFP_ZERO ? calloc(1, size) : malloc(size);
}

void kfree(const void *p)
{
    objects_used -= p != NULL;
    free((void *)p);
}

// --- locks: nothing sleeps here, so an lock that is held is a mistake

void spin_lock_slow(spinlock_t *l)
{
    panic("spinlock %p taken twice", (void *)l);
}

void preempt_schedule(void)
{
}

void init_rwsem_rank(struct rw_semaphore *s, int rank)
{
    *s = (struct rw_semaphore){.rank = rank};
    INIT_LIST_HEAD(&s->waiters);
}

void init_rwsem(struct rw_semaphore *s)
{
    init_rwsem_rank(s, 0);
}

void down_read(struct rw_semaphore *s)
{
    BUG_ON(s->count < 0);
    s->count++;
}

int down_read_killable(struct rw_semaphore *s)
{
    down_read(s);
    return 0;
}

bool down_read_trylock(struct rw_semaphore *s)
{
    if (s->count < 0)
        return false;
    s->count++;
    return true;
}

void up_read(struct rw_semaphore *s)
{
    BUG_ON(s->count <= 0);
    s->count--;
}

void down_write(struct rw_semaphore *s)
{
    BUG_ON(s->count != 0);
    s->count = -1;
}

int down_write_killable(struct rw_semaphore *s)
{
    down_write(s);
    return 0;
}

void up_write(struct rw_semaphore *s)
{
    BUG_ON(s->count != -1);
    s->count = 0;
}

bool mutex_trylock(struct mutex *m)
{
    (void)m;
    return true;
}

void mutex_lock(struct mutex *m)
{
    (void)m;
}

void mutex_unlock(struct mutex *m)
{
    (void)m;
}

void init_waitqueue_head(wait_queue_head_t *q)
{
    INIT_LIST_HEAD(&q->head);
}

void __wake_up(wait_queue_head_t *q, unsigned mode, int nr, void *key)
{
    (void)q, (void)mode, (void)nr, (void)key;
}

int autoremove_wake_function(struct wait_queue_entry *e, unsigned mode, void *key)
{
    (void)e, (void)mode, (void)key;
    return 0;
}

void prepare_to_wait(wait_queue_head_t *q, struct wait_queue_entry *e, unsigned state)
{
    (void)q, (void)e, (void)state;
    panic("a test would sleep");
}

void finish_wait(wait_queue_head_t *q, struct wait_queue_entry *e)
{
    (void)q, (void)e;
}

bool wait_interrupted(unsigned state)
{
    (void)state;
    return false;
}

void schedule(void)
{
    panic("a test would sleep");
}

void cond_resched(void)
{
}

void msleep(unsigned ms)
{
    (void)ms;
}

bool schedule_deadline(ktime_t deadline)
{
    (void)deadline;
    return false;
}

ktime_t ktime_get(void)
{
    static ktime_t t;

    return ++t;
}

struct task_struct *kthread_run(int (*fn)(void *), void *arg, const char *name_fmt, ...)
{
    (void)fn, (void)arg, (void)name_fmt;
    return ERR_PTR(-EAGAIN);
}

// --- the rest

__weak bool capable(int cap)
{
    return cap == CAP_SYS_RAWIO;
}

bool fatal_signal_pending(const struct task_struct *t)
{
    (void)t;
    return false;
}

int send_sig(int sig, struct task_struct *t, int priv)
{
    (void)sig, (void)t, (void)priv;
    return 0;
}

void klog(enum log_level level, const char *fmt, ...)
{
    va_list ap;

    if (level == LOG_DEBUG)
        return;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

void panic(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}

__weak void fput(struct file *f)
{
    BUG_ON(atomic_read(&f->f_count) <= 1); // the test keeps one
    atomic_dec(&f->f_count);
}

__weak int deny_write_access(struct file *f)
{
    (void)f;
    return 0;
}

__weak void allow_write_access(struct file *f)
{
    (void)f;
}

__weak void touch_atime(const struct path *path)
{
    (void)path;
}

__weak void file_update_time(struct file *f)
{
    (void)f;
}

__weak int file_remove_privs(struct file *f)
{
    (void)f;
    return 0;
}

__weak void mark_inode_dirty_flags(struct inode *i, unsigned flags)
{
    i->i_state |= flags;
}

__weak void wakeup_flusher(void)
{
}

__weak void iterate_supers(void (*fn)(struct super_block *sb, void *arg), void *arg)
{
    (void)fn, (void)arg;
}

__weak struct inode *inode_sb_next(struct super_block *sb, struct inode *prev,
                                   bool (*want)(const struct inode *i))
{
    (void)sb, (void)prev, (void)want;
    return NULL;
}

__weak void iput(struct inode *i)
{
    (void)i;
}

void writeback_init(void)
{
}

void oom_start(void)
{
}

__weak struct file *shmem_file_setup(const char *name, loff_t size, u64 vm_flags)
{
    (void)name, (void)vm_flags;
    if (should_fail(GFP_KERNEL))
        return ERR_PTR(-ENOMEM);
    (void)size;
    return ERR_PTR(-ENOSYS);
}

__weak void iov_iter_init_kernel(struct iov_iter *i, bool to_iter, void *buf, size_t len)
{
    *i = (struct iov_iter){.type = ITER_KERNEL, .to_iter = to_iter, .count = len, .nr_segs = 1};
    i->single = (struct linux_iovec){(u64)buf, len};
    i->iov = &i->single;
}

__weak size_t copy_to_iter(const void *from, size_t n, struct iov_iter *i)
{
    memcpy((char *)(uintptr_t)i->iov->iov_base + i->offset, from, n);
    i->offset += n;
    i->count -= n;
    return n;
}

__weak size_t iov_iter_zero(size_t n, struct iov_iter *i)
{
    memset((char *)(uintptr_t)i->iov->iov_base + i->offset, 0, n);
    i->offset += n;
    i->count -= n;
    return n;
}

__weak size_t copy_page_from_iter_atomic(struct page *p, size_t offset, size_t n,
                                         struct iov_iter *i)
{
    memcpy((char *)page_address(p) + offset, (char *)(uintptr_t)i->iov->iov_base + i->offset, n);
    i->offset += n;
    i->count -= n;
    return n;
}

__weak int iov_iter_fault_in(struct iov_iter *i, size_t n)
{
    (void)i, (void)n;
    return 0;
}

__weak void iov_iter_revert(struct iov_iter *i, size_t n)
{
    i->offset -= n;
    i->count += n;
}

unsigned long copy_to_user(void __user *to, const void *from, unsigned long n)
{
    memcpy(to, from, n);
    return 0;
}

// --- a file

struct shim_inode {
    struct inode inode;
    struct file file;
    struct file_operations fops;
    u64 disk[256]; // the word that each page is filled with
};

static struct shim_inode *shim_of(struct address_space *m)
{
    return container_of(m->host, struct shim_inode, inode);
}

static int shim_readpage(struct file *file, struct page *p)
{
    u64 *w = page_address(p);

    (void)file;
    if (should_fail(GFP_KERNEL)) {
        unlock_page(p);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < PAGE_SIZE / 8; i++)
        w[i] = shim_of(p->mapping)->disk[p->index % 256];
    SetPageUptodate(p);
    unlock_page(p);
    return 0;
}

static int shim_writepage(struct page *p, struct writeback_control *wbc)
{
    (void)wbc;
    shim_of(p->mapping)->disk[p->index % 256] = *(u64 *)page_address(p);
    set_page_writeback(p);
    unlock_page(p);
    end_page_writeback(p);
    return 0;
}

static int shim_write_begin(struct file *file, struct address_space *m, loff_t pos, unsigned len,
                            struct page **page)
{
    struct page *p = find_or_create_page(m, (unsigned long)pos >> PAGE_SHIFT, GFP_KERNEL);

    (void)file, (void)len;
    if (!p)
        return -ENOMEM;
    if (!PageUptodate(p)) {
        int err = shim_readpage(NULL, p);

        if (err) {
            put_page(p);
            return err;
        }
        lock_page(p);
    }
    *page = p;
    return 0;
}

static int shim_write_end(struct file *file, struct address_space *m, loff_t pos, unsigned len,
                          unsigned copied, struct page *p)
{
    (void)file, (void)len;
    if (pos + (loff_t)copied > m->host->i_size)
        i_size_write(m->host, pos + (loff_t)copied);
    set_page_dirty(p);
    unlock_page(p);
    put_page(p);
    return (int)copied;
}

static const struct address_space_operations shim_aops = {
    .readpage = shim_readpage,
    .writepage = shim_writepage,
    .write_begin = shim_write_begin,
    .write_end = shim_write_end,
};

struct file *shim_file(loff_t size)
{
    struct shim_inode *s = calloc(1, sizeof(*s));
    static struct super_block sb = {.s_maxbytes = (loff_t)(~0UL >> 1)};

    s->inode.i_sb = &sb;
    s->inode.i_mode = S_IFREG | 0644;
    s->inode.i_size = size;
    s->inode.i_mapping = &s->inode.i_data;
    address_space_init(&s->inode.i_data, &s->inode, &shim_aops);
    init_rwsem(&s->inode.i_rwsem);
    s->fops.mmap = generic_file_mmap;
    s->file.f_inode = &s->inode;
    s->file.f_mapping = &s->inode.i_data;
    s->file.f_op = &s->fops;
    s->file.f_mode = FMODE_READ | FMODE_WRITE;
    atomic_set(&s->file.f_count, 1);
    for (unsigned i = 0; i < 256; i++)
        s->disk[i] = 1000 + i;
    return &s->file;
}

u64 shim_file_disk(struct file *f, unsigned page)
{
    return container_of(f, struct shim_inode, file)->disk[page];
}

void shim_file_cut(struct file *f, unsigned pages)
{
    for (unsigned i = pages; i < 256; i++)
        container_of(f, struct shim_inode, file)->disk[i] = 0;
}

void shim_file_free(struct file *f)
{
    struct shim_inode *s = container_of(f, struct shim_inode, file);

    BUG_ON(atomic_read(&f->f_count) != 1 || !list_empty(&s->inode.i_data.i_mmap));
    truncate_inode_pages(&s->inode.i_data, 0);
    BUG_ON(s->inode.i_data.nrpages);
    free(s);
}

__weak struct file *fget(unsigned fd)
{
    (void)fd;
    return NULL;
}
