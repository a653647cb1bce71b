// SPDX-License-Identifier: MIT
// Address spaces: mm_struct, vm_area_struct, faults, mmap and friends. K-mm owns the bodies.
#pragma once

#include "abi/mman.h"
#include "lib/rbtree.h"
#include "mm/page.h"
#include "sched/lock.h"

#define VM_READ 0x1UL
#define VM_WRITE 0x2UL
#define VM_EXEC 0x4UL
#define VM_SHARED 0x8UL
#define VM_MAYREAD 0x10UL
#define VM_MAYWRITE 0x20UL
#define VM_MAYEXEC 0x40UL
#define VM_MAYSHARE 0x80UL
#define VM_GROWSDOWN 0x100UL
#define VM_PFNMAP 0x400UL   // frames without struct-page counting (device memory)
#define VM_LOCKED 0x2000UL
#define VM_IO 0x4000UL
#define VM_SEQ_READ 0x8000UL
#define VM_RAND_READ 0x10000UL
#define VM_DONTCOPY 0x20000UL
#define VM_DONTEXPAND 0x40000UL
#define VM_ACCOUNT 0x100000UL // charged to committed_as
#define VM_NORESERVE 0x200000UL
#define VM_WIPEONFORK 0x2000000UL
#define VM_DONTDUMP 0x4000000UL
#define VM_STACK VM_GROWSDOWN
#define VM_ACCESS_FLAGS (VM_READ | VM_WRITE | VM_EXEC)

struct file;
struct task_struct;
struct vm_area_struct;

typedef unsigned vm_fault_t;
#define VM_FAULT_OOM 0x1u
#define VM_FAULT_SIGBUS 0x2u
#define VM_FAULT_MAJOR 0x4u
#define VM_FAULT_SIGSEGV 0x8u
#define VM_FAULT_NOPAGE 0x10u // the handler installed the entry itself
#define VM_FAULT_LOCKED 0x20u // vmf->page comes locked
#define VM_FAULT_RETRY 0x40u  // mmap lock was dropped: start over
#define VM_FAULT_ERROR (VM_FAULT_OOM | VM_FAULT_SIGBUS | VM_FAULT_SIGSEGV)

#define FAULT_FLAG_WRITE 0x1u
#define FAULT_FLAG_USER 0x2u
#define FAULT_FLAG_EXEC 0x4u
#define FAULT_FLAG_KILLABLE 0x8u

struct vm_fault {
    struct vm_area_struct *vma;
    unsigned flags;      // FAULT_FLAG_*
    u64 address;         // page-aligned
    unsigned long pgoff; // in the file, pages
    struct page *page;   // out: a reference for the caller
    pte_t *pte;
    pte_t orig_pte;
};

struct vm_operations_struct {
    void (*open)(struct vm_area_struct *vma);  // after a split or fork; mmap lock held for writing
    void (*close)(struct vm_area_struct *vma);
    vm_fault_t (*fault)(struct vm_fault *vmf); // mmap lock held for reading; sets vmf->page
    vm_fault_t (*page_mkwrite)(
        struct vm_fault *vmf); // before a shared page becomes writable: page locked on return
};

struct vm_area_struct {
    u64 vm_start, vm_end;        // [start, end), page-aligned
    struct rb_node vm_rb;        // in mm->mm_rb
    struct list_head vm_list;    // in mm->mmap_list, by address
    struct mm_struct *vm_mm;
    u64 vm_flags;
    u64 vm_page_prot;            // PTE bits for a fresh entry
    unsigned long vm_pgoff; // file offset in pages; anonymous: vm_start >> PAGE_SHIFT at creation
    struct file *vm_file;        // counted; NULL = anonymous
    void *vm_private_data;
    const struct vm_operations_struct *vm_ops;
    bool has_anon; // may map anonymous pages: fork must copy its entries, rmap must look here
    struct list_head i_mmap_list; // in address_space->i_mmap (lock: i_mmap_rwsem)
};

// Bounds and the links in mm_rb and mmap_list change with the mmap lock held for writing AND the
// page-table lock (file areas: also i_mmap_rwsem, taken before); so either lock is enough for a
// reader.

// One per fork family: all mms that may share an anonymous page. rmap walks mms, then looks the
// page's index up.
struct anon_root {
    atomic_t refcount;     // mms + pages
    struct rw_semaphore rwsem; // rank LOCK_RMAP
    struct list_head mms;  // mm->anon_root_link
};

enum mm_counter { MM_FILEPAGES, MM_ANONPAGES, MM_SWAPENTS, MM_SHMEMPAGES, NR_MM_COUNTERS };

struct mm_struct {
    atomic_t mm_users; // tasks (mmget/mmput): the last one unmaps all
    atomic_t mm_count; // mm_users counts 1; lazy users (mmgrab/mmdrop): the last one frees the root
    pte_t *pgd;
    struct rw_semaphore mmap_lock;  // rank LOCK_MMAP
    spinlock_t page_table_lock;     // rank LOCK_PAGE_TABLE
    struct rb_root mm_rb;
    struct list_head mmap_list;
    int map_count;
    u64 mmap_base;    // top-down search starts here
    u64 task_size;
    u64 start_code, end_code, start_data, end_data;
    u64 start_brk, brk, start_stack;
    u64 arg_start, arg_end, env_start, env_end;
    u64 total_vm, locked_vm, data_vm, exec_vm, stack_vm; // pages
    atomic64_t counters[NR_MM_COUNTERS];
    u64 hiwater_rss, hiwater_vm;
    u64 nr_page_tables;
    u64 cpu_bitmap;   // CPUs on which it is loaded
    struct anon_root *anon_root;
    struct list_head anon_root_link;
    struct file *exe_file;
    u64 saved_auxv[50];
    u64 def_flags;
    short oom_score_adj; // shared by all processes of this mm
    atomic_t oom_reaped;
    spinlock_t arg_lock;
    struct list_head mmlist;
    int dumpable;
};

extern struct mm_struct init_mm;

struct mm_struct *mm_alloc(void); // mm_users 1, empty; NULL without memory
// A copy for fork (copy-on-write); takes src's mmap lock for writing. ERR_PTR(-ENOMEM...).
struct mm_struct *mm_dup(struct mm_struct *src);
static inline void mmget(struct mm_struct *mm)
{
    atomic_inc(&mm->mm_users);
}
static inline bool mmget_not_zero(struct mm_struct *mm)
{
    return atomic_inc_not_zero(&mm->mm_users);
}
void mmput(struct mm_struct *mm); // may sleep
static inline void mmgrab(struct mm_struct *mm)
{
    atomic_inc(&mm->mm_count);
}
void mmdrop(struct mm_struct *mm); // any context with preemption on
struct mm_struct *get_task_mm(struct task_struct *t); // reference or NULL
// Gives current another address space for a while (exec builds the new program there) and returns
// the one before, NULL in a kernel thread. References stay with the caller.
struct mm_struct *mm_swap_current(struct mm_struct *mm);
// exec: installs a fresh mm as current's and drops the old one.
void exec_mmap(struct mm_struct *mm);
void exit_mm(void); // do_exit
// The program file: counted, and write access denied while it is there (each mm of the program does
// both). NULL clears.
void set_mm_exe_file(struct mm_struct *mm, struct file *file);

// mmap lock held (read is enough). First VMA with vm_end > addr.
struct vm_area_struct *find_vma(struct mm_struct *mm, u64 addr);
struct vm_area_struct *find_vma_intersection(struct mm_struct *mm, u64 start, u64 end);
// Serves a fault; mmap lock held for reading (dropped when VM_FAULT_RETRY).
vm_fault_t handle_mm_fault(struct vm_area_struct *vma, u64 address, unsigned flags);

// The trap handler's entry for a user address: takes the mmap lock, finds or grows the VMA,
// handles, retries. 0, or the signal number (SIGSEGV/SIGBUS/SIGKILL on OOM) with *si_code. May
// sleep; interrupts on.
int mm_user_fault(u64 address, unsigned flags, int *si_code);

// mmap lock held for writing. Address or -errno. prot PROT_*, flags MAP_*.
long do_mmap(struct mm_struct *mm, struct file *file, u64 addr, u64 len, u64 prot, u64 flags,
             unsigned long pgoff);
int do_munmap(struct mm_struct *mm, u64 addr, u64 len);
long do_brk(struct mm_struct *mm, u64 addr, u64 len,
            u64 vm_flags); // anonymous area for ELF bss; 0 or -errno
// Takes the lock itself; for exec and the shm code.
long vm_mmap(struct file *file, u64 addr, u64 len, u64 prot, u64 flags, u64 offset_bytes);
int vm_munmap(u64 addr, u64 len);
// Stack of a new program: [top - size, top), VM_GROWSDOWN. 0 or -errno.
int mm_setup_stack(struct mm_struct *mm, u64 top, u64 vm_flags);
void mm_pick_layout(struct mm_struct *mm); // mmap_base from RLIMIT_STACK; mm_alloc calls it
// Faults in [start, start+len) as MAP_POPULATE does; mmap lock not held. 0 or -errno.
int mm_populate(struct mm_struct *mm, u64 start, u64 len, bool ignore_errors);
// Charges are for vm_flags as mprotect and mmap see them: is this mapping counted in Committed_AS?
bool mm_accountable(u64 vm_flags, const struct file *file);
int expand_stack(struct vm_area_struct *vma, u64 address);
// Copies between the kernel and another address space (exec arguments, /proc/PID/mem, ptrace).
// Bytes done, or -errno.
ssize_t access_process_vm(struct mm_struct *mm, u64 addr, void *buf, size_t len, bool write);
// Pins one page of mm (faulting it in); takes the mmap lock itself. ERR_PTR(-EFAULT...) or a
// referenced page.
struct page *get_user_page(struct mm_struct *mm, u64 addr, bool write);
// For the fault handler of a VM_PFNMAP area whose offset 0 is frame first_pfn: maps device memory
// around the fault (what the same page table holds of the area).
vm_fault_t vm_map_device(struct vm_fault *vmf, u64 first_pfn);
u64 mm_prot(u64 vm_flags); // VM_* -> PTE bits for vm_page_prot

// Overcommit (Documentation of /proc/sys/vm/overcommit_memory): pages charged; 0 or -ENOMEM.
int vm_acct_memory(u64 pages);
void vm_unacct_memory(u64 pages);
u64 vm_committed_as(void), vm_commit_limit(void);
extern int sysctl_overcommit_memory, sysctl_overcommit_ratio, sysctl_max_map_count;
extern u64 sysctl_admin_reserve_kbytes, sysctl_user_reserve_kbytes;
extern u64 sysctl_stack_guard_gap; // bytes kept free below a stack

static inline void mm_add(struct mm_struct *mm, enum mm_counter c, long n)
{
    atomic64_add(n, &mm->counters[c]);
}
static inline u64 mm_rss(const struct mm_struct *mm)
{
    return (u64)(atomic64_read(&mm->counters[MM_FILEPAGES]) +
                 atomic64_read(&mm->counters[MM_ANONPAGES]) +
                 atomic64_read(&mm->counters[MM_SHMEMPAGES]));
}
void mm_init(void); // caches; before the first user task
