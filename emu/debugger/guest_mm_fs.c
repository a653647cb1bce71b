// SPDX-License-Identifier: MIT
// The guest kernel's address spaces and open files, read from its memory: what /proc/PID/maps and
// /proc/PID/fd would say.
#include "debugger/guest_internal.h"

#include "base/bits.h"

#include <string.h>

#define PATH_DEPTH_MAX 64
#define NAME_MAX_BYTES 255
#define AREAS_FOLLOWED 64u

// Bits of vm_area_struct.vm_flags (guest/kernel/mm/mm.h, as Linux's include/linux/mm.h), macros
// there.
enum { AREA_READ = 1, AREA_WRITE = 2, AREA_EXEC = 4, AREA_MAYSHARE = 0x80 };
// Kinds of Linux's maple tree nodes (include/linux/maple_tree.h).
enum { MAPLE_LEAF_64 = 1, MAPLE_RANGE_64 = 2, MAPLE_ARANGE_64 = 3 };
enum { MAPLE_DEPTH_MAX = 16, MAPLE_SLOTS_MAX = 64 };
enum { FDS_MAX = 1 << 20, FDS_AT_ONCE = 256 };

// --- paths

// A path is put together from its end.
struct path_text {
    char text[512];
    unsigned begin;
};

static bool prepend(struct path_text *p, const char *text, u64 length)
{
    if (length > p->begin) {
        return false;
    }
    p->begin -= (unsigned)length;
    memcpy(p->text + p->begin, text, length);
    return true;
}

static bool read_name(struct guest *g, u64 dentry, char *out, u64 *length)
{
    *length = guest_member(g, dentry, DENTRY_LENGTH);
    if (*length > NAME_MAX_BYTES ||
        walk_read(&g->kernel, guest_member(g, dentry, DENTRY_NAME), out, *length) != *length) {
        return false;
    }
    for (u64 i = 0; i < *length; i++) {
        out[i] = out[i] >= 0 && (out[i] < ' ' || out[i] == 127) ? '?' : out[i];
    }
    return true;
}

static bool prepend_names(struct guest *g, u64 mount, u64 dentry, struct path_text *p)
{
    for (unsigned depth = 0; depth < PATH_DEPTH_MAX; depth++) {
        u64 parent = guest_member(g, dentry, DENTRY_PARENT);
        bool is_root = dentry == guest_member(g, mount, MOUNT_ROOT);
        if (is_root || parent == dentry) {
            u64 above = guest_member(g, mount, MOUNT_PARENT);
            if (above == mount || !above || !is_root) {
                return true;
            }
            dentry = guest_member(g, mount, MOUNT_POINT);
            mount = above;
            continue;
        }
        char name[NAME_MAX_BYTES];
        u64 length;
        if (!parent || !read_name(g, dentry, name, &length) || !prepend(p, name, length) ||
            !prepend(p, "/", 1)) {
            return false;
        }
        dentry = parent;
    }
    return false;
}

// Pipes and the like have a name of their own: its form is told by the function that makes it.
// Linux's: fs/pipe.c, net/socket.c, fs/anon_inodes.c.
static bool special_name(struct guest *g, u64 dentry, char *out, u64 size)
{
    static const struct {
        const char *function, *prefix;
        bool named, numbered;
    } forms[] = {{"pipe_dname", "", true, true},
                 {"pipefs_dname", "pipe", false, true},
                 {"sockfs_dname", "socket", false, true},
                 {"anon_inodefs_dname", "anon_inode:", true, false}};
    u64 operations = guest_member(g, dentry, DENTRY_OP);
    u64 function = guest_member(g, operations, DENTRY_DNAME);
    struct symbol_place place;
    char name[NAME_MAX_BYTES], number[32] = "";
    u64 length;
    if (!function || !read_name(g, dentry, name, &length)) {
        return false;
    }
    bool known = symbols_name(g->symbols, function, &place) && place.name;
    const char *prefix = "";
    for (size_t i = 0; known && i < ARRAY_LEN(forms); i++) {
        if (!strcmp(place.name, forms[i].function)) {
            prefix = forms[i].prefix;
            length = forms[i].named ? length : 0;
            if (forms[i].numbered) {
                u64 inode = guest_member(g, dentry, DENTRY_INODE);
                snprintf(number, sizeof(number), ":[%llu]",
                         (unsigned long long)guest_member(g, inode, INODE_INO));
            }
        }
    }
    snprintf(out, size, "%s%.*s%s", prefix, (int)length, name, number);
    return true;
}

// Of what a struct path refers to, given its two members.
static void path_text(struct guest *g, u64 mnt, u64 dentry, char *out, u64 size)
{
    u64 mount = guest_container(g, mnt, MOUNT_VFS);
    struct path_text p = {.begin = sizeof(p.text)};
    if (!dentry || !mnt) {
        snprintf(out, size, "?");
        return;
    }
    if (special_name(g, dentry, out, size)) {
        return;
    }
    bool deleted =
        !guest_member(g, dentry, DENTRY_HASHED) && guest_member(g, dentry, DENTRY_PARENT) != dentry;
    bool whole = prepend_names(g, mount, dentry, &p);
    if (whole && p.begin == sizeof(p.text)) {
        prepend(&p, "/", 1);
    }
    snprintf(out, size, "%s%.*s%s", whole ? "" : "...", (int)(sizeof(p.text) - p.begin),
             p.text + p.begin, deleted ? " (deleted)" : "");
}

void guest_file_path(struct guest *g, u64 file, char *out, u64 size)
{
    path_text(g, guest_member(g, file, FILE_MNT), guest_member(g, file, FILE_DENTRY), out, size);
}

void guest_directory(struct guest *g, const struct guest_task *task, char *path, u64 size)
{
    u64 fs = guest_begin(g) ? guest_member(g, task->address, TASK_FS) : 0;
    path[0] = '\0';
    if (fs) {
        path_text(g, guest_member(g, fs, FS_PWD_MNT), guest_member(g, fs, FS_PWD_DENTRY), path,
                  size);
    }
}

void guest_program(struct guest *g, const struct guest_task *task, char *path, u64 size)
{
    u64 file = 0;
    path[0] = '\0';
    if (guest_begin(g)) {
        file = guest_member(g, guest_member(g, task->address, TASK_MM), MM_EXE_FILE);
    }
    if (file) {
        guest_file_path(g, file, path, size);
    }
}

// --- areas

static void name_area(struct guest *g, u64 mm, u64 area, struct guest_area *out)
{
    u64 file = guest_member(g, area, AREA_FILE);
    u64 stack = guest_member(g, mm, MM_START_STACK), vdso = guest_member(g, mm, MM_VDSO);
    if (file) {
        out->offset = guest_member(g, area, AREA_PGOFF) << PAGE_SHIFT;
        guest_file_path(g, file, out->name, sizeof(out->name));
    } else if (out->begin < guest_member(g, mm, MM_BRK) &&
               out->end > guest_member(g, mm, MM_START_BRK)) {
        snprintf(out->name, sizeof(out->name), "[heap]");
    } else if (out->begin <= stack && out->end >= stack) {
        snprintf(out->name, sizeof(out->name), "[stack]");
    } else if (vdso && (out->begin == vdso || out->end == vdso)) { // its data lies before it
        snprintf(out->name, sizeof(out->name), "%s", out->begin == vdso ? "[vdso]" : "[vvar]");
    }
}

struct area_collection {
    struct guest *g;
    u64 mm, last_end; // areas stand in order
    struct guest_area *out;
    unsigned room, count;
};

static void collect_area(struct area_collection *c, u64 area)
{
    struct guest *g = c->g;
    u64 flags = guest_member(g, area, AREA_FLAGS);
    if (c->count < c->room) {
        struct guest_area *a = &c->out[c->count];
        *a = (struct guest_area){.begin = guest_member(g, area, AREA_START),
                                 .end = guest_member(g, area, AREA_END)};
        snprintf(a->rights, sizeof(a->rights), "%c%c%c%c", flags & AREA_READ ? 'r' : '-',
                 flags & AREA_WRITE ? 'w' : '-', flags & AREA_EXEC ? 'x' : '-',
                 flags & AREA_MAYSHARE ? 's' : 'p');
        name_area(g, c->mm, area, a);
    }
    c->count++;
}

// A slot of Linux's maple tree (lib/maple_tree.c): an area, or a node with its kind in bits 3-6.
// What lies behind a node's end may be anything: an area must follow the one before.
static void collect_slot(struct area_collection *c, u64 slot, unsigned depth);

static void collect_node(struct area_collection *c, u64 slot, unsigned depth)
{
    struct guest *g = c->g;
    u64 node = slot & ~UINT64_C(255), kind = slot >> 3 & 15;
    bool arange = kind == MAPLE_ARANGE_64;
    enum guest_member_id pivot_id = arange ? ARANGE_PIVOT : RANGE_PIVOT;
    enum guest_member_id slot_id = arange ? ARANGE_SLOT : RANGE_SLOT;
    u64 slots = g->members[slot_id].size / 8, pivots = g->members[pivot_id].size / 8;
    for (u64 i = 0; i < slots && i < MAPLE_SLOTS_MAX && guest_step(g); i++) {
        u64 value = 0, pivot = 0;
        walk_read(&g->kernel, guest_member_address(g, node, slot_id) + i * 8, &value, 8);
        bool more = i < pivots && walk_read(&g->kernel,
                                            guest_member_address(g, node, pivot_id) + i * 8, &pivot,
                                            8) == 8;
        if (kind == MAPLE_LEAF_64) {
            u64 begin = value >> 63 ? guest_member(g, value, AREA_START) : 0;
            u64 end = value >> 63 ? guest_member(g, value, AREA_END) : 0;
            if (!(value & 3) && begin < end && begin >= c->last_end) {
                c->last_end = end;
                collect_area(c, value);
            }
        } else {
            collect_slot(c, value, depth + 1);
        }
        if (!more || (!pivot && i)) {
            break;
        }
    }
}

static void collect_slot(struct area_collection *c, u64 slot, unsigned depth)
{
    u64 kind = slot >> 3 & 15;
    if (depth < MAPLE_DEPTH_MAX && slot >> 63 && kind >= MAPLE_LEAF_64 && kind <= MAPLE_ARANGE_64) {
        collect_node(c, slot, depth);
    }
}

unsigned guest_areas(struct guest *g, const struct guest_task *task, struct guest_area *out,
                     unsigned room)
{
    u64 mm = guest_begin(g) ? guest_member(g, task->address, TASK_MM) : 0;
    struct area_collection c = {.g = g, .mm = mm, .out = out, .room = room};
    if (!mm) {
        return 0;
    }
    if (guest_has(g, MM_TREE_ROOT)) {
        collect_slot(&c, guest_member(g, mm, MM_TREE_ROOT), 0);
        return c.count;
    }
    struct guest_list list = guest_list_begin(guest_member_address(g, mm, MM_AREAS));
    u64 node;
    while (guest_has(g, MM_AREAS) && (node = guest_list_next(g, &list)) != 0) {
        collect_area(&c, guest_container(g, node, AREA_LIST));
    }
    return c.count;
}

void guest_follow(struct guest *g, const struct guest_task *task)
{
    char path[160];
    guest_program(g, task, path, sizeof(path));
    symbols_set_program(g->symbols, *path ? path : NULL);
    if (!*path || !symbols_need_maps(g->symbols)) {
        return;
    }
    struct guest_area areas[AREAS_FOLLOWED];
    unsigned count = guest_areas(g, task, areas, AREAS_FOLLOWED);
    for (unsigned i = 0; i < count && i < AREAS_FOLLOWED; i++) {
        if (areas[i].name[0] == '/' && !areas[i].offset) {
            symbols_map(g->symbols, areas[i].name, areas[i].begin);
        }
    }
}

// --- files

static void describe_file(struct guest *g, int fd, u64 file, struct guest_file *out)
{
    *out = (struct guest_file){.fd = fd,
                               .flags = (u32)guest_member(g, file, FILE_FLAGS),
                               .position = guest_member(g, file, FILE_POS)};
    guest_file_path(g, file, out->path, sizeof(out->path));
}

unsigned guest_files(struct guest *g, const struct guest_task *task, struct guest_file *out,
                     unsigned room)
{
    unsigned count = 0;
    u64 files = guest_begin(g) ? guest_member(g, task->address, TASK_FILES) : 0;
    files = guest_has(g, FILES_TABLE) ? guest_member(g, files, FILES_TABLE) : files;
    u64 table = guest_member(g, files, FILES_FD), slots = guest_member(g, files, FILES_MAX);
    u64 part[FDS_AT_ONCE];
    slots = slots < FDS_MAX ? slots : FDS_MAX;
    for (u64 fd = 0; table && fd < slots; fd++) {
        u64 in_part = fd % FDS_AT_ONCE;
        if (!in_part) {
            u64 left = slots - fd < FDS_AT_ONCE ? slots - fd : FDS_AT_ONCE;
            u64 size = left * sizeof(part[0]);
            if (walk_read(&g->kernel, table + fd * sizeof(part[0]), part, size) != size) {
                break;
            }
        }
        if (!part[in_part]) {
            continue;
        }
        if (!guest_step(g)) {
            break;
        }
        if (count < room) {
            describe_file(g, (int)fd, part[in_part], &out[count]);
        }
        count++;
    }
    return count;
}
