// SPDX-License-Identifier: MIT
// Two mappings of one memfd.
#include "cpu/code_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"

struct code_memory code_memory_create(const char *name, size_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);
    CHECK(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
    struct code_memory memory = {.size = size};
    memory.write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memory.run = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    CHECK(memory.write != MAP_FAILED && memory.run != MAP_FAILED);
    close(fd);
    return memory;
}

void code_memory_destroy(const struct code_memory *memory)
{
    munmap(memory->write, memory->size);
    munmap((void *)(uintptr_t)memory->run, memory->size);
}
