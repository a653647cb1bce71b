// SPDX-License-Identifier: MIT
// Scenarios of failing allocations: address spaces and page faults.
#include "fail_nth.h"

static char *area;
static size_t area_size;

static char *map(size_t pages, int flags, int fd)
{
    char *p = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED) {
        give_up("mmap");
    }
    area_size = pages * PAGE;
    return p;
}

static void touch_all(void)
{
    for (size_t at = 0; at < area_size; at += PAGE) {
        area[at]++;
    }
}

static void private_area(void)
{
    area = map(8, MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static void touched_area(void)
{
    private_area();
    touch_all();
}

static void file_area(int flags)
{
    NEED(pwrite(data_fd, buffer, 8 * PAGE, 0));
    area = map(8, flags, data_fd);
}

static void private_file_area(void)
{
    file_area(MAP_PRIVATE);
}

static void shared_file_area(void)
{
    file_area(MAP_SHARED);
}

static void hole_area(void)
{
    NEED(ftruncate(data_fd, 8 * PAGE));
    area = map(8, MAP_SHARED, data_fd);
}

static void unmap_area(long result)
{
    (void)result;
    NEED(munmap(area, area_size));
}

static void unmap_file_area(long result)
{
    unmap_area(result);
    NEED(ftruncate(data_fd, 0));
}

static long call_mmap(int flags, int fd)
{
    void *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    if (p == MAP_FAILED) {
        return -1;
    }
    area = p;
    area_size = 16 * PAGE;
    return 0;
}

static long mmap_private(void)
{
    return call_mmap(MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

static long mmap_shared(void)
{
    return call_mmap(MAP_SHARED | MAP_ANONYMOUS, -1);
}

static long mmap_populate(void)
{
    return call_mmap(MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1);
}

static long mmap_file(void)
{
    return call_mmap(MAP_SHARED, data_fd);
}

static void unmap_if_mapped(long result)
{
    if (result != -1) {
        unmap_area(result);
    }
}

static long touch(void)
{
    touch_all();
    return 0;
}

static volatile char sink;
static long look(void)
{
    for (size_t at = 0; at < area_size; at += PAGE) {
        sink = area[at];
    }
    return 0;
}

static long call_mprotect(void)
{
    return mprotect(area + PAGE, PAGE, PROT_READ);
}

static long call_munmap(void)
{
    return munmap(area + PAGE, PAGE);
}

static long advise_split(void)
{
    return madvise(area + PAGE, PAGE, MADV_DONTFORK);
}

static long advise_away(void)
{
    return madvise(area, area_size, MADV_DONTNEED);
}

static long advise_soon(void)
{
    return madvise(area, area_size, MADV_WILLNEED);
}

static long remap(size_t pages)
{
    void *p = mremap(area, area_size, pages * PAGE, MREMAP_MAYMOVE);
    if (p == MAP_FAILED) {
        return -1;
    }
    area = p;
    area_size = pages * PAGE;
    return 0;
}

static long remap_grow(void)
{
    return remap(600);
}

static long remap_shrink(void)
{
    return remap(2);
}

static char *heap_end;
// A last page with other rights than the heap's: what comes after needs an area of its own.
static void find_heap(void)
{
    char *end = (char *)syscall(SYS_brk, 0);
    end = (char *)(((uintptr_t)end + PAGE - 1) & ~(uintptr_t)(PAGE - 1));
    heap_end = (char *)syscall(SYS_brk, end + PAGE);
    NEED(mprotect(end, PAGE, PROT_READ));
}

static long grow_heap(void)
{
    char *wanted = heap_end + 64 * PAGE;
    if ((char *)syscall(SYS_brk, wanted) != wanted) {
        errno = ENOMEM; // brk(2) answers with the end it has
        return -1;
    }
    return 0;
}

static __attribute__((noinline)) long deep(int levels)
{
    volatile char frame[PAGE];
    frame[0] = (char)levels;
    return levels ? deep(levels - 1) + frame[0] - frame[0] : 0;
}

static long grow_stack(void)
{
    return deep(40);
}

const struct scenario memory_scenarios[] = {
    {.calls = "mmap", .call = mmap_private, .after = unmap_if_mapped},
    {.calls = "mmap", .detail = "shared", .call = mmap_shared, .after = unmap_if_mapped},
    {.calls = "mmap", .detail = "populate", .call = mmap_populate, .after = unmap_if_mapped},
    {.calls = "mmap", .detail = "file", .call = mmap_file, .after = unmap_if_mapped},
    {.calls = "fault", .before = private_area, .call = touch, .after = unmap_area},
    {.calls = "fault", .detail = "stack", .child = true, .call = grow_stack},
    {.calls = "fault",
     .detail = "file read",
     .disk = true,
     .cold = true,
     .before = private_file_area,
     .call = look,
     .after = unmap_file_area},
    {.calls = "fault",
     .detail = "file copied",
     .before = private_file_area,
     .call = touch,
     .after = unmap_file_area},
    {.calls = "fault",
     .detail = "shared file written",
     .disk = true,
     .cold = true,
     .before = shared_file_area,
     .call = touch,
     .after = unmap_file_area},
    {.calls = "fault",
     .detail = "hole written",
     .before = hole_area,
     .call = touch,
     .after = unmap_file_area},
    {.calls = "mprotect", .before = private_area, .call = call_mprotect, .after = unmap_area},
    {.calls = "munmap", .before = private_area, .call = call_munmap, .after = unmap_area},
    {.calls = "madvise",
     .detail = "flags",
     .tolerated = EAGAIN,
     .before = private_area,
     .call = advise_split,
     .after = unmap_area},
    {.calls = "madvise",
     .detail = "DONTNEED",
     .none = true,
     .before = touched_area,
     .call = advise_away,
     .after = unmap_area},
    {.calls = "madvise",
     .detail = "WILLNEED",
     .disk = true,
     .cold = true,
     .before = private_file_area,
     .call = advise_soon,
     .after = unmap_file_area},
    {.calls = "mremap",
     .detail = "grow",
     .before = touched_area,
     .call = remap_grow,
     .after = unmap_area},
    {.calls = "mremap",
     .detail = "shrink",
     .before = touched_area,
     .call = remap_shrink,
     .after = unmap_area},
    {.calls = "brk", .child = true, .before = find_heap, .call = grow_heap},
    {.calls = NULL},
};
