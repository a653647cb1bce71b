// SPDX-License-Identifier: MIT
// Reading /proc: fern/cfs, stat, vmstat, fern/syscalls, kpageflags, kpagecount, PID/maps,
// PID/pagemap.
#include "scope_data.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 65536
#define CHUNK 512 // words of pagemap at a time
#define PAGE_BITS 12

// Bits of kpageflags and pagemap (Linux: Documentation/admin-guide/mm/pagemap.rst).
#define KPF_LRU (1ull << 5)
#define KPF_SLAB (1ull << 7)
#define KPF_BUDDY (1ull << 10)
#define KPF_MMAP (1ull << 11)
#define KPF_ANON (1ull << 12)
#define PM_FRAME ((1ull << 55) - 1)
#define PM_PRESENT (1ull << 63)

unsigned scope_hue(int pid)
{
    return (unsigned)pid * 475u % 768u; // neighbours get different colours
}

static char *read_text(const char *path)
{
    static char text[TEXT_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t size = 0;
    for (ssize_t n; fd >= 0 && (n = read(fd, text + size, TEXT_MAX - 1 - size)) > 0;) {
        size += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    text[size] = '\0';
    return text;
}

// --- trees

static void parse_node(struct scope_tree *t, const char *line, const char *end)
{
    struct scope_node n;
    int text_at = 0;
    if (sscanf(line, "%*s %d %c %u %lu %lu %n", &n.pid, &n.side, &n.depth, &n.vruntime, &n.weight,
               &text_at) < 5) {
        return;
    }
    size_t length = (size_t)(end - line) - (size_t)text_at;
    length = length < sizeof(n.comm) ? length : sizeof(n.comm) - 1;
    memcpy(n.comm, line + text_at, length);
    n.comm[length] = '\0';
    if (line[0] == 'c') {
        t->current = n;
        t->has_current = true;
    } else if (t->count < SCOPE_NODES) {
        t->nodes[t->count++] = n;
    }
}

void scope_read_trees(struct scope *s)
{
    s->nr_trees = 0;
    for (const char *line = read_text("/proc/fern/cfs"), *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        if (!end) {
            return;
        }
        if (!strncmp(line, "cpu ", 4) && s->nr_trees < SCOPE_CPUS) {
            struct scope_tree *t = &s->trees[s->nr_trees++];
            t->count = 0;
            t->has_current = false;
            sscanf(line, "cpu %*u min_vruntime %lu load %*u running %u", &t->min_vruntime,
                   &t->running);
        } else if (s->nr_trees) {
            parse_node(&s->trees[s->nr_trees - 1], line, end);
        }
    }
}

// --- counters

static uint64_t value_of(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (!strncmp(line, name, length) && line[length] == ' ') {
            return strtoull(line + length, NULL, 10);
        }
    }
    return 0;
}

static uint64_t read_calls(struct scope *s)
{
    uint64_t sum = 0, calls;
    unsigned number;
    char name[24];
    if (!s->table) {
        s->nr_table = 512;
        s->table = calloc(s->nr_table, sizeof(*s->table));
    }
    for (const char *line = read_text("/proc/fern/syscalls"); line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "%u %23s %lu", &number, name, &calls) == 3 && number < s->nr_table) {
            struct scope_call *c = &s->table[number];
            memcpy(c->name, name, sizeof(name));
            c->delta = c->before ? calls - c->before : 0;
            c->before = c->calls = calls;
            sum += calls;
        }
    }
    return sum;
}

void scope_read_counters(struct scope *s)
{
    const char *text = read_text("/proc/stat");
    s->counters.switches = value_of(text, "ctxt");
    s->counters.interrupts = value_of(text, "intr");
    s->counters.forks = value_of(text, "processes");
    s->counters.faults = value_of(read_text("/proc/vmstat"), "pgfault");
    s->counters.calls = read_calls(s);
}

unsigned scope_busiest(const struct scope *s, const struct scope_call *out[SCOPE_CALLS])
{
    unsigned n = 0;
    for (unsigned i = 0; i < s->nr_table; i++) {
        const struct scope_call *c = &s->table[i];
        unsigned at = n;
        while (at && out[at - 1]->delta < c->delta) {
            at--;
        }
        if (!c->delta || at == SCOPE_CALLS) {
            continue;
        }
        n += n < SCOPE_CALLS;
        for (unsigned k = n - 1; k > at; k--) {
            out[k] = out[k - 1];
        }
        out[at] = c;
    }
    return n;
}

// --- frames

static size_t read_all(const char *path, void *to, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t done = 0;
    for (ssize_t n; fd >= 0 && done < size && (n = read(fd, (char *)to + done, size - done)) > 0;) {
        done += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    return done;
}

static uint8_t kind_of(uint64_t flags, uint64_t count)
{
    if (flags & KPF_BUDDY) {
        return PAGE_FREE;
    }
    if (flags & KPF_SLAB) {
        return PAGE_SLAB;
    }
    if (flags & KPF_ANON) {
        return count > 1 ? PAGE_COW : PAGE_OWNED;
    }
    if (flags & KPF_LRU) {
        return flags & KPF_MMAP ? PAGE_CACHE_MAPPED : PAGE_CACHE;
    }
    return PAGE_KERNEL;
}

static unsigned count_frames(void)
{
    uint64_t words[CHUNK];
    unsigned n = 0;
    int fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
    for (ssize_t got; fd >= 0 && (got = read(fd, words, sizeof(words))) > 0;) {
        n += (unsigned)((size_t)got / sizeof(*words));
    }
    if (fd >= 0) {
        close(fd);
    }
    return n;
}

static void own_range(struct scope *s, int fd, uint64_t start, uint64_t end,
                      struct scope_process *p)
{
    uint64_t words[CHUNK];
    for (uint64_t page = start; page < end;) {
        uint64_t want = end - page < CHUNK ? end - page : CHUNK;
        ssize_t got = pread(fd, words, want * sizeof(*words), (off_t)(page * sizeof(*words)));
        if (got <= 0) {
            return;
        }
        for (unsigned i = 0; i < (size_t)got / sizeof(*words); i++) {
            uint64_t frame = words[i] & PM_FRAME;
            if ((words[i] & PM_PRESENT) && frame < s->nr_frames) {
                s->frames[frame].owner = (uint16_t)scope_hue(p->pid);
                p->own += s->frames[frame].kind == PAGE_OWNED;
                p->shared += s->frames[frame].kind == PAGE_COW;
            }
        }
        page += (size_t)got / sizeof(*words);
    }
}

static void keep_largest(struct scope *s, const struct scope_process *p)
{
    unsigned at = SCOPE_LARGEST;
    while (at && s->largest[at - 1].own + s->largest[at - 1].shared < p->own + p->shared) {
        at--;
    }
    if (at < SCOPE_LARGEST) {
        memmove(&s->largest[at + 1], &s->largest[at], (SCOPE_LARGEST - 1 - at) * sizeof(*p));
        s->largest[at] = *p;
    }
}

// Only areas that may hold pages of their own: writable and private.
static void own_pages(struct scope *s, int pid)
{
    struct scope_process p = {.pid = pid};
    char path[40], rights[5];
    uint64_t start, end;
    snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    for (const char *line = read_text(path); line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "%lx-%lx %4s", &start, &end, rights) == 3 && rights[1] == 'w' &&
            rights[3] == 'p') {
            own_range(s, fd, start >> PAGE_BITS, end >> PAGE_BITS, &p);
        }
    }
    close(fd);
    if (p.own + p.shared) {
        snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        sscanf(read_text(path), "%15[^\n]", p.comm);
        keep_largest(s, &p);
    }
}

static void find_owners(struct scope *s)
{
    DIR *proc = opendir("/proc");
    s->processes = 0;
    memset(s->largest, 0, sizeof(s->largest));
    for (struct dirent *d; proc && (d = readdir(proc)) != NULL;) {
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9') {
            s->processes++;
            own_pages(s, atoi(d->d_name));
        }
    }
    if (proc) {
        closedir(proc);
    }
}

void scope_read_frames(struct scope *s)
{
    static uint64_t *flags, *counts;
    if (!s->frames) {
        s->nr_frames = count_frames();
        s->frames = calloc(s->nr_frames + 1, sizeof(*s->frames));
        flags = calloc(s->nr_frames + 1, sizeof(*flags));
        counts = calloc(s->nr_frames + 1, sizeof(*counts));
    }
    size_t size = s->nr_frames * sizeof(*flags);
    if (!s->frames || !flags || !counts || read_all("/proc/kpageflags", flags, size) < size ||
        read_all("/proc/kpagecount", counts, size) < size) {
        return;
    }
    memset(s->of_kind, 0, sizeof(s->of_kind));
    for (unsigned i = 0; i < s->nr_frames; i++) {
        s->frames[i].kind = kind_of(flags[i], counts[i]);
        s->of_kind[s->frames[i].kind]++;
    }
    find_owners(s);
}
