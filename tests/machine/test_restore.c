// SPDX-License-Identifier: MIT
// test_restore KERNEL DISK|- [INITRD|- [APPEND [CPUS]]]: record = restore over a boot of a real kernel. At
// several points a snapshot is taken, the run goes on, and is repeated from the snapshot, in the
// same machine and in a second one: the state hashes and the output are the same.
#include "base/check.h"
#include "boot_guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define POINTS 12

static struct boot_files files;

struct point {
    struct snapshot *machine;
    struct overlay_copy *disk;
    u64 output_hash, hash;
};

static void save(struct point *p, struct guest *g)
{
    p->machine = machine_save(g->m);
    p->disk = g->disk ? overlay_save(g->disk) : NULL;
    p->output_hash = g->output_hash;
    p->hash = machine_hash(g->m);
}

static void load(struct guest *g, const struct point *p)
{
    machine_load(g->m, p->machine);
    if (g->disk) {
        overlay_restore(g->disk, p->disk);
    }
    g->output_hash = p->output_hash;
}

static void name_difference(void *ctx, const char *part, u64 hash)
{
    fprintf(stderr, "  %s %016llx\n", part, (unsigned long long)hash);
}

static int compare(const char *what, u64 step, struct guest *g, u64 hash, u64 output_hash)
{
    if (machine_hash(g->m) == hash && g->output_hash == output_hash) {
        return 0;
    }
    fprintf(stderr, "test_restore: %s differs after the restore at step %llu; its parts:\n", what,
            (unsigned long long)step);
    machine_hash_parts(g->m, name_difference, NULL);
    return 1;
}

// From the point on to its end, twice more: here and in a fresh machine with another TLB.
static int repeat(struct guest *a, struct point *p, u64 start, u64 end, u64 hash, u64 output_hash)
{
    int failed = 0;
    load(a, p);
    failed += compare("the restored state", start, a, p->hash, p->output_hash);
    machine_run(a->m, end);
    failed += compare("the repeated run", start, a, hash, output_hash);
    struct guest b;
    open_guest(&b, &files, TLB_TINY);
    machine_run(b.m, start / 3);
    load(&b, p);
    failed += compare("the state in another machine", start, &b, p->hash, p->output_hash);
    machine_run(b.m, end);
    failed += compare("the run in another machine", start, &b, hash, output_hash);
    close_guest(&b);
    return failed;
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    boot_files_read(&files, argv[1], argv[2], argc > 3 && strcmp(argv[3], "-") ? argv[3] : NULL);
    files.append = argc > 4 ? argv[4] : files.append;
    files.cpus = argc > 5 ? (unsigned)atoi(argv[5]) : 0;
    files.exec = files.cpus ? "for i in 1 2 3 4; do ls -l /bin | sort | wc -l & done; wait; sleep 1; ps"
                            : "ls -lR / | wc -l; sleep 1; ps; true | cat";
    struct guest whole;
    open_guest(&whole, &files, TLB_FULL);
    struct machine_result result = machine_run(whole.m, UINT64_MAX);
    u64 steps = machine_clock(whole.m)->step;
    u64 final = machine_hash(whole.m);
    printf("%llu steps, end %d, %llu bytes of output\n", (unsigned long long)steps,
           (int)result.exit, (unsigned long long)whole.output_bytes);
    struct guest a;
    open_guest(&a, &files, TLB_FULL);
    int failed = 0;
    for (u64 i = 1; i <= POINTS; i++) {
        u64 start = steps * i / (POINTS + 1) + i * 31;
        u64 end = start + steps / 20 < steps ? start + steps / 20 : steps;
        machine_run(a.m, start);
        struct point p;
        save(&p, &a);
        machine_run(a.m, end);
        failed += repeat(&a, &p, start, end, machine_hash(a.m), a.output_hash);
        snapshot_free(p.machine);
        overlay_copy_free(p.disk);
    }
    machine_run(a.m, UINT64_MAX);
    failed += compare("the end", steps, &a, final, whole.output_hash);
    close_guest(&a);
    close_guest(&whole);
    boot_files_free(&files);
    printf("%s\n", failed ? "FAILED" : "passed");
    return failed != 0;
}
