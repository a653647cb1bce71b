// SPDX-License-Identifier: MIT
// What the readers of fern's structures share: where the members are, and bounded reading.
#ifndef VIV_DEBUGGER_GUEST_INTERNAL_H
#define VIV_DEBUGGER_GUEST_INTERNAL_H

#include "debugger/guest.h"

// Every structure and member that is read, M(id, structure, member). Offsets and sizes come from
// the kernel's debug information; a kernel that lacks one is refused with its name.
#define GUEST_MEMBERS(M)                                                                           \
    M(TASK_STATE, "task_struct", "state")                                                          \
    M(TASK_EXIT_STATE, "task_struct", "exit_state")                                                \
    M(TASK_STACK, "task_struct", "stack")                                                          \
    M(TASK_KERNEL_SP, "task_struct", "thread.sp")                                                  \
    M(TASK_POLICY, "task_struct", "policy")                                                        \
    M(TASK_STATIC_PRIO, "task_struct", "static_prio")                                              \
    M(TASK_RT_PRIORITY, "task_struct", "rt_priority")                                              \
    M(TASK_SE_NODE, "task_struct", "se.node")                                                      \
    M(TASK_VRUNTIME, "task_struct", "se.vruntime")                                                 \
    M(TASK_RT_NODE, "task_struct", "rt.node")                                                      \
    M(TASK_PID, "task_struct", "pid")                                                              \
    M(TASK_TGID, "task_struct", "tgid")                                                            \
    M(TASK_TASKS, "task_struct", "tasks")                                                          \
    M(TASK_THREAD_NODE, "task_struct", "thread_node")                                              \
    M(TASK_REAL_PARENT, "task_struct", "real_parent")                                              \
    M(TASK_COMM, "task_struct", "comm")                                                            \
    M(TASK_MM, "task_struct", "mm")                                                                \
    M(TASK_FILES, "task_struct", "files")                                                          \
    M(TASK_SIGNAL, "task_struct", "signal")                                                        \
    M(SIGNAL_THREAD_HEAD, "signal_struct", "thread_head")                                          \
    M(CPU_TASK, "cpu", "task")                                                                     \
    M(MM_PGD, "mm_struct", "pgd")                                                                  \
    M(MM_AREAS, "mm_struct", "mmap_list")                                                          \
    M(MM_START_BRK, "mm_struct", "start_brk")                                                      \
    M(MM_BRK, "mm_struct", "brk")                                                                  \
    M(MM_START_STACK, "mm_struct", "start_stack")                                                  \
    M(MM_EXE_FILE, "mm_struct", "exe_file")                                                        \
    M(AREA_START, "vm_area_struct", "vm_start")                                                    \
    M(AREA_END, "vm_area_struct", "vm_end")                                                        \
    M(AREA_LIST, "vm_area_struct", "vm_list")                                                      \
    M(AREA_FLAGS, "vm_area_struct", "vm_flags")                                                    \
    M(AREA_PGOFF, "vm_area_struct", "vm_pgoff")                                                    \
    M(AREA_FILE, "vm_area_struct", "vm_file")                                                      \
    M(FILES_MAX, "files_struct", "max_fds")                                                        \
    M(FILES_FD, "files_struct", "fd")                                                              \
    M(FILE_MNT, "file", "f_path.mnt")                                                              \
    M(FILE_DENTRY, "file", "f_path.dentry")                                                        \
    M(FILE_FLAGS, "file", "f_flags")                                                               \
    M(FILE_POS, "file", "f_pos")                                                                   \
    M(DENTRY_PARENT, "dentry", "d_parent")                                                         \
    M(DENTRY_NAME, "dentry", "d_name.name")                                                        \
    M(DENTRY_LENGTH, "dentry", "d_name.len")                                                       \
    M(DENTRY_INODE, "dentry", "d_inode")                                                           \
    M(DENTRY_HASHED, "dentry", "d_hash.pprev")                                                     \
    M(DENTRY_OP, "dentry", "d_op")                                                                 \
    M(DENTRY_DNAME, "dentry_operations", "d_dname")                                                \
    M(INODE_INO, "inode", "i_ino")                                                                 \
    M(MOUNT_PARENT, "mount", "mnt_parent")                                                         \
    M(MOUNT_POINT, "mount", "mnt_mountpoint")                                                      \
    M(MOUNT_ROOT, "mount", "mnt_root")                                                             \
    M(RQ_CURR, "run_queue", "curr")                                                                \
    M(RQ_TREE, "run_queue", "cfs.tasks.root.node")                                                 \
    M(RQ_RT_QUEUES, "run_queue", "rt.queue")                                                       \
    M(LIST_NEXT, "list_head", "next")                                                              \
    M(RB_PARENT, "rb_node", "parent")                                                              \
    M(RB_LEFT, "rb_node", "left")                                                                  \
    M(RB_RIGHT, "rb_node", "right")

#define GUEST_SYMBOLS(S)                                                                           \
    S(INIT_TASK, "init_task")                                                                      \
    S(CPUS, "cpus")                                                                                \
    S(RUNQUEUES, "runqueues")

#define GUEST_STRUCTS(S)                                                                           \
    S(SIZE_CPU, "cpu")                                                                             \
    S(SIZE_RUN_QUEUE, "run_queue")                                                                 \
    S(SIZE_LIST_HEAD, "list_head")

#define AS_ID(id, ...) id,
enum guest_member_id { GUEST_MEMBERS(AS_ID) GUEST_MEMBER_COUNT };
enum guest_symbol_id { GUEST_SYMBOLS(AS_ID) GUEST_SYMBOL_COUNT };
enum guest_struct_id { GUEST_STRUCTS(AS_ID) GUEST_STRUCT_COUNT };
#undef AS_ID

struct guest {
    struct machine *machine;
    struct symbols *symbols;
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

// A number or pointer; 0 where nothing is mapped.
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
