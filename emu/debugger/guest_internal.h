// SPDX-License-Identifier: MIT
// What the readers of fern's structures share: where the members are, and bounded reading.
#ifndef VIV_DEBUGGER_GUEST_INTERNAL_H
#define VIV_DEBUGGER_GUEST_INTERNAL_H

#include "debugger/guest.h"

// The kernels whose structures are known.
enum guest_kind { GUEST_FERN, GUEST_LINUX, GUEST_KIND_COUNT };

// Every structure and member that is read: M(id, fern's structure and member, Linux's), NULL where
// that kernel has none. Offsets and sizes come from the kernel's debug information (DWARF or BTF).
// A kernel that lacks one of the first part is refused with its name; without the others the
// answers that need them are empty. Linux's names: include/linux/sched.h, mm_types.h, fs.h,
// dcache.h, fdtable.h, maple_tree.h, fs/mount.h, kernel/sched/sched.h of 6.1; 6.12 has them too.
#define SAME(M, id, structure, member) M(id, structure, member, structure, member)
#define GUEST_TASK_MEMBERS(M)                                                                      \
    M(TASK_STATE, "task_struct", "state", "task_struct", "__state")                                \
    SAME(M, TASK_EXIT_STATE, "task_struct", "exit_state")                                          \
    SAME(M, TASK_STACK, "task_struct", "stack")                                                    \
    SAME(M, TASK_KERNEL_SP, "task_struct", "thread.sp")                                            \
    SAME(M, TASK_POLICY, "task_struct", "policy")                                                  \
    SAME(M, TASK_STATIC_PRIO, "task_struct", "static_prio")                                        \
    SAME(M, TASK_RT_PRIORITY, "task_struct", "rt_priority")                                        \
    SAME(M, TASK_VRUNTIME, "task_struct", "se.vruntime")                                           \
    SAME(M, TASK_PID, "task_struct", "pid")                                                        \
    SAME(M, TASK_TGID, "task_struct", "tgid")                                                      \
    SAME(M, TASK_TASKS, "task_struct", "tasks")                                                    \
    SAME(M, TASK_THREAD_NODE, "task_struct", "thread_node")                                        \
    SAME(M, TASK_REAL_PARENT, "task_struct", "real_parent")                                        \
    SAME(M, TASK_COMM, "task_struct", "comm")                                                      \
    SAME(M, TASK_MM, "task_struct", "mm")                                                          \
    SAME(M, TASK_FILES, "task_struct", "files")                                                    \
    SAME(M, TASK_SIGNAL, "task_struct", "signal")                                                  \
    SAME(M, SIGNAL_THREAD_HEAD, "signal_struct", "thread_head")                                    \
    M(CPU_TASK, "cpu", "task", NULL, NULL)                                                         \
    SAME(M, MM_PGD, "mm_struct", "pgd")                                                            \
    SAME(M, LIST_NEXT, "list_head", "next")

#define GUEST_OTHER_MEMBERS(M)                                                                     \
    M(TASK_SE_NODE, "task_struct", "se.node", "task_struct", "se.run_node")                        \
    M(TASK_RT_NODE, "task_struct", "rt.node", "task_struct", "rt.run_list")                        \
    M(TASK_SE, NULL, NULL, "task_struct", "se")                                                    \
    M(SE_NODE, NULL, NULL, "sched_entity", "run_node")                                             \
    M(SE_GROUP, NULL, NULL, "sched_entity", "my_q")                                                \
    M(CFS_TREE, NULL, NULL, "cfs_rq", "tasks_timeline.rb_root.rb_node")                            \
    M(MM_AREAS, "mm_struct", "mmap_list", NULL, NULL)                                              \
    M(MM_TREE_ROOT, NULL, NULL, "mm_struct", "mm_mt.ma_root")                                      \
    M(RANGE_PIVOT, NULL, NULL, "maple_range_64", "pivot")                                          \
    M(RANGE_SLOT, NULL, NULL, "maple_range_64", "slot")                                            \
    M(ARANGE_PIVOT, NULL, NULL, "maple_arange_64", "pivot")                                        \
    M(ARANGE_SLOT, NULL, NULL, "maple_arange_64", "slot")                                          \
    M(MM_VDSO, NULL, NULL, "mm_struct", "context.vdso")                                            \
    SAME(M, MM_START_BRK, "mm_struct", "start_brk")                                                \
    SAME(M, MM_BRK, "mm_struct", "brk")                                                            \
    SAME(M, MM_START_STACK, "mm_struct", "start_stack")                                            \
    SAME(M, MM_EXE_FILE, "mm_struct", "exe_file")                                                  \
    SAME(M, AREA_START, "vm_area_struct", "vm_start")                                              \
    SAME(M, AREA_END, "vm_area_struct", "vm_end")                                                  \
    M(AREA_LIST, "vm_area_struct", "vm_list", NULL, NULL)                                          \
    SAME(M, AREA_FLAGS, "vm_area_struct", "vm_flags")                                              \
    SAME(M, AREA_PGOFF, "vm_area_struct", "vm_pgoff")                                              \
    SAME(M, AREA_FILE, "vm_area_struct", "vm_file")                                                \
    M(FILES_TABLE, NULL, NULL, "files_struct", "fdt")                                              \
    M(FILES_MAX, "files_struct", "max_fds", "fdtable", "max_fds")                                  \
    M(FILES_FD, "files_struct", "fd", "fdtable", "fd")                                             \
    SAME(M, TASK_FS, "task_struct", "fs")                                                          \
    SAME(M, FS_PWD_MNT, "fs_struct", "pwd.mnt")                                                    \
    SAME(M, FS_PWD_DENTRY, "fs_struct", "pwd.dentry")                                              \
    SAME(M, FILE_MNT, "file", "f_path.mnt")                                                        \
    SAME(M, FILE_DENTRY, "file", "f_path.dentry")                                                  \
    SAME(M, FILE_FLAGS, "file", "f_flags")                                                         \
    SAME(M, FILE_POS, "file", "f_pos")                                                             \
    SAME(M, DENTRY_PARENT, "dentry", "d_parent")                                                   \
    SAME(M, DENTRY_NAME, "dentry", "d_name.name")                                                  \
    SAME(M, DENTRY_LENGTH, "dentry", "d_name.len")                                                 \
    SAME(M, DENTRY_INODE, "dentry", "d_inode")                                                     \
    SAME(M, DENTRY_HASHED, "dentry", "d_hash.pprev")                                               \
    SAME(M, DENTRY_OP, "dentry", "d_op")                                                           \
    SAME(M, DENTRY_DNAME, "dentry_operations", "d_dname")                                          \
    SAME(M, INODE_INO, "inode", "i_ino")                                                           \
    M(MOUNT_VFS, NULL, NULL, "mount", "mnt")                                                       \
    SAME(M, MOUNT_PARENT, "mount", "mnt_parent")                                                   \
    SAME(M, MOUNT_POINT, "mount", "mnt_mountpoint")                                                \
    M(MOUNT_ROOT, "mount", "mnt_root", "mount", "mnt.mnt_root")                                    \
    M(RQ_CURR, "run_queue", "curr", "rq", "curr")                                                  \
    M(RQ_TREE, "run_queue", "cfs.tasks.root.node", "rq", "cfs.tasks_timeline.rb_root.rb_node")     \
    M(RQ_RT_QUEUES, "run_queue", "rt.queue", "rq", "rt.active.queue")                              \
    M(RB_PARENT, "rb_node", "parent", "rb_node", "__rb_parent_color")                              \
    M(RB_LEFT, "rb_node", "left", "rb_node", "rb_left")                                            \
    M(RB_RIGHT, "rb_node", "right", "rb_node", "rb_right")

#define GUEST_MEMBERS(M) GUEST_TASK_MEMBERS(M) GUEST_OTHER_MEMBERS(M)

// Of Linux, current_task and runqueues are per-CPU variables: offsets from __per_cpu_offset[cpu].
// Where there is no current_task, see find_hot_current().
#define GUEST_SYMBOLS(S)                                                                           \
    S(INIT_TASK, "init_task", "init_task")                                                         \
    S(CPUS, "cpus", "__per_cpu_offset")                                                            \
    S(CURRENT, NULL, "current_task")                                                               \
    S(RUNQUEUES, "runqueues", "runqueues")

#define GUEST_STRUCTS(S)                                                                           \
    S(SIZE_CPU, "cpu", NULL)                                                                       \
    S(SIZE_RUN_QUEUE, "run_queue", NULL)                                                           \
    S(SIZE_LIST_HEAD, "list_head", "list_head")

#define AS_ID(id, ...) id,
enum guest_member_id {
    GUEST_TASK_MEMBERS(AS_ID) GUEST_MEMBERS_NEEDED,
    GUEST_MEMBERS_BEFORE_OTHER = GUEST_MEMBERS_NEEDED - 1,
    GUEST_OTHER_MEMBERS(AS_ID) GUEST_MEMBER_COUNT
};
enum guest_symbol_id { GUEST_SYMBOLS(AS_ID) GUEST_SYMBOL_COUNT };
enum guest_struct_id { GUEST_STRUCTS(AS_ID) GUEST_STRUCT_COUNT };
#undef AS_ID

struct guest {
    struct machine *machine;
    struct symbols *symbols;
    enum guest_kind kind;
    struct symbol_member members[GUEST_MEMBER_COUNT];
    u64 symbol[GUEST_SYMBOL_COUNT];
    u64 size[GUEST_STRUCT_COUNT];
    struct walk_space kernel; // for the reads of one call
    unsigned steps_left;      // of list walks in one call: a broken list ends
};

// Begins a call: finds the kernel's address space. False: paging is not on yet.
bool guest_begin(struct guest *g);
// One more element of a list may be looked at.
bool guest_step(struct guest *g);

// Whether this kernel has such a member at all.
static inline bool guest_has(const struct guest *g, enum guest_member_id id)
{
    return g->members[id].size != 0;
}
// A number or pointer; 0 where nothing is mapped, or the kernel has no such member.
u64 guest_member(struct guest *g, u64 object, enum guest_member_id id);
static inline u64 guest_member_address(const struct guest *g, u64 object, enum guest_member_id id)
{
    return object + g->members[id].offset;
}
static inline u64 guest_container(const struct guest *g, u64 member, enum guest_member_id id)
{
    return member - g->members[id].offset;
}

// A walk along a circular list (struct list_head). Each call of guest_list_next gives the next
// element's link, 0 at the end: back at the head, in a loop that misses it (a damaged list), or out
// of memory.
struct guest_list {
    u64 head, node, mark; // mark: a node passed before, moved up at powers of two (Brent)
    u32 count;
};
struct guest_list guest_list_begin(u64 head);
u64 guest_list_next(struct guest *g, struct guest_list *list);

// The task at an address. False: no task can stand there.
bool guest_read_task(struct guest *g, u64 address, struct guest_task *out);
// Path of a struct file as /proc shows it; "?" where memory makes no sense.
void guest_file_path(struct guest *g, u64 file, char *out, u64 size);

#endif
