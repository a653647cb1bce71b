// SPDX-License-Identifier: MIT
// test_guest FERN ROOTFS: what the debugger reads of tasks, maps, files and run queues is what ps,
// /proc/PID/maps and /proc/PID/fd print inside at that moment; over damaged memory it ends.
#include "boot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STRIDE 3001
#define STEPS_MAX 60000000
#define ROOM 256
#ifdef __SANITIZE_ADDRESS__ // gcc; a tenth as fast
#define ROUNDS 1000u
#else
#define ROUNDS 4000u
#endif

// The command's output between "NAME{" and "}", NULL before it is complete.
static char *section(const struct boot *b, const char *name)
{
    char mark[32];
    snprintf(mark, sizeof(mark), "%s{\n", name);
    char *begin = b->output ? strstr(b->output, mark) : NULL;
    char *end = begin ? strstr(begin, "\n}") : NULL;
    return end ? strndup(begin + strlen(mark), (size_t)(end + 1 - begin) - strlen(mark)) : NULL;
}

// --- texts as the guest's own programs print them

static char *ps_text(struct guest *g)
{
    struct guest_task tasks[ROOM];
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    unsigned count = guest_tasks(g, tasks, ROOM);
    for (unsigned i = 0; i < count && i < ROOM; i++) {
        const struct guest_task *t = &tasks[i];
        if (t->pid == t->tgid) {
            fprintf(out, "%d %d %c %s\n", t->pid, t->ppid, t->state, t->comm);
        }
    }
    fclose(out);
    return text;
}

static bool task_named(struct guest *g, const char *comm, struct guest_task *out)
{
    struct guest_task tasks[ROOM];
    unsigned count = guest_tasks(g, tasks, ROOM);
    for (unsigned i = 0; i < count && i < ROOM; i++) {
        if (!strcmp(tasks[i].comm, comm)) {
            *out = tasks[i];
            return true;
        }
    }
    return false;
}

static char *maps_text(struct guest *g)
{
    struct guest_area areas[ROOM];
    struct guest_task task;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    unsigned count = task_named(g, "cat", &task) ? guest_areas(g, &task, areas, ROOM) : 0;
    for (unsigned i = 0; i < count && i < ROOM; i++) {
        const struct guest_area *a = &areas[i];
        fprintf(out, "%08llx-%08llx %s %08llx %s\n", (unsigned long long)a->begin,
                (unsigned long long)a->end, a->rights, (unsigned long long)a->offset, a->name);
    }
    fclose(out);
    return text;
}

static char *files_text(struct guest *g)
{
    struct guest_file files[ROOM];
    struct guest_task task;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    unsigned count = task_named(g, "ls", &task) ? guest_files(g, &task, files, ROOM) : 0;
    for (unsigned i = 0; i < count && i < ROOM; i++) {
        fprintf(out, "%d %s\n", files[i].fd, files[i].path);
    }
    fclose(out);
    return text;
}

// --- run queues

static unsigned queues_seen, queues_wrong, longest, real_time_seen;

static bool in_queue(const struct guest_queued *queue, unsigned count, int pid)
{
    for (unsigned i = 0; i < count; i++) {
        if (queue[i].task.pid == pid) {
            return true;
        }
    }
    return false;
}

// Between the kernel's own changes: real-time tasks first by priority, then by vruntime, nobody
// twice, and all that are runnable are there.
static bool queue_is_right(struct guest *g, const struct guest_queued *queue, unsigned count)
{
    struct guest_task tasks[ROOM];
    for (unsigned i = 2; i < count; i++) {
        const struct guest_task *a = &queue[i - 1].task, *b = &queue[i].task;
        bool ordered = a->rt_priority || b->rt_priority
                           ? a->rt_priority >= b->rt_priority
                           : queue[i - 1].vruntime_ns <= queue[i].vruntime_ns;
        if (!ordered || queue[i].running || in_queue(queue, i, b->pid)) {
            return false;
        }
    }
    unsigned all = guest_tasks(g, tasks, ROOM);
    for (unsigned i = 0; i < all && i < ROOM; i++) {
        if (tasks[i].state == 'R' && !in_queue(queue, count, tasks[i].pid)) {
            return false;
        }
    }
    return true;
}

static void look_at_queue(struct boot *b, struct guest *g)
{
    struct guest_queued queue[ROOM];
    struct cpu_regs regs;
    cpu_get_regs(machine_cpu(b->m, 0), &regs);
    if (regs.cpl != 3) {
        return; // the kernel may be in the middle of a change
    }
    unsigned count = guest_run_queue(g, 0, queue, ROOM);
    struct guest_task current;
    queues_seen++;
    longest = count > longest ? count : longest;
    for (unsigned i = 0; i < count; i++) {
        real_time_seen += queue[i].task.rt_priority != 0;
    }
    bool right = count && queue[0].running && guest_current(g, 0, &current) &&
                 current.pid == queue[0].task.pid && current.cpu == 0 &&
                 queue_is_right(g, queue, count);
    if (!right && queues_wrong++ < 3) {
        printf("# step %llu\n", (unsigned long long)boot_step(b));
        fflush(stdout);
        guest_print_run_queue(stdout, g, 0);
    }
}

// --- the moments

struct moments {
    const char *name;
    char *(*text)(struct guest *g);
    char *(*reduce)(const char *line); // a line of the guest's output to one of text()
    char **seen;                       // texts of the moments so far, without repetitions
    unsigned count;
};

static void remember(struct moments *m, struct guest *g)
{
    char *text = m->text(g);
    for (unsigned i = 0; i < m->count; i++) {
        if (!strcmp(m->seen[i], text)) {
            free(text);
            return;
        }
    }
    m->seen = realloc(m->seen, (m->count + 1) * sizeof(char *));
    m->seen[m->count++] = text;
}

// "  PID  PPID STAT COMMAND" → "pid ppid S comm"; the heading is dropped.
static char *reduce_ps(const char *line)
{
    int pid, ppid;
    char state[8], comm[32], *out = NULL;
    if (sscanf(line, "%d %d %7s %31s", &pid, &ppid, state, comm) == 4 &&
        asprintf(&out, "%d %d %c %s\n", pid, ppid, state[0], comm) < 0) {
        return NULL;
    }
    return out;
}

static char *reduce_maps(const char *line)
{
    char range[40], rights[8], offset[16], path[128] = "", *out;
    if (sscanf(line, "%39s %7s %15s %*s %*s %127s", range, rights, offset, path) < 3 ||
        asprintf(&out, "%s %s %s %s\n", range, rights, offset, path) < 0) {
        return NULL;
    }
    return out;
}

// "lrwx------ 1 root root 64 Jan 1 00:00 0 -> /dev/ttyS0"
static char *reduce_files(const char *line)
{
    const char *arrow = strstr(line, " -> "), *fd = arrow;
    char *out = NULL;
    while (arrow && fd > line && fd[-1] != ' ') {
        fd--;
    }
    if (arrow && asprintf(&out, "%.*s %.*s\n", (int)(arrow - fd), fd, (int)strcspn(arrow + 4, "\n"),
                          arrow + 4) < 0) {
        return NULL;
    }
    return out;
}

static char *reduce(const struct moments *m, char *text)
{
    char *out, *rest = text, *line;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    while ((line = strsep(&rest, "\n")) != NULL) {
        char *reduced = m->reduce(line);
        fputs(reduced ? reduced : "", f);
        free(reduced);
    }
    fclose(f);
    return out;
}

static void compare(const struct boot *b, const struct moments *m)
{
    char *printed = section(b, m->name);
    char *wanted = printed ? reduce(m, printed) : strdup("");
    bool found = false;
    unsigned lines = 0;
    for (unsigned i = 0; i < m->count; i++) {
        found |= !strcmp(m->seen[i], wanted);
    }
    for (const char *c = wanted; *c; c++) {
        lines += *c == '\n';
    }
    bool ok = found && lines > 2;
    if (!ok) {
        printf("# the guest says:\n%s# seen last:\n%s", wanted,
               m->count ? m->seen[m->count - 1] : "");
    }
    tap(ok, "%s: the guest's %u lines are what was read at one of %u different moments", m->name,
        lines, m->count);
    for (unsigned i = 0; i < m->count; i++) {
        free(m->seen[i]);
    }
    free(m->seen);
    free(wanted);
    free(printed);
}

// --- damage

static u64 random_state = 88172645463325252u;
static u64 random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

// Returns a sum over the answers, to see that damage changes them.
static u64 ask_everything(struct guest *g)
{
    static struct guest_task tasks[ROOM];
    static struct guest_area areas[ROOM];
    static struct guest_file files[ROOM];
    static struct guest_queued queue[ROOM];
    unsigned count = guest_tasks(g, tasks, ROOM);
    guest_run_queue(g, 0, queue, ROOM);
    guest_current(g, 0, &tasks[0]);
    guest_task_by_pid(g, 5, &tasks[1]);
    u64 sum = count;
    for (unsigned i = 0; i < count && i < ROOM; i++) {
        char path[64];
        sum = sum * 31 + (u64)tasks[i].pid + (u64)tasks[i].state;
        sum = sum * 31 + guest_areas(g, &tasks[i], areas, ROOM) + areas[0].begin;
        sum = sum * 31 + guest_files(g, &tasks[i], files, ROOM) + (u64)files[0].path[5];
        guest_program(g, &tasks[i], path, sizeof(path));
        sum = sum * 31 + (u64)path[1];
    }
    return sum;
}

// A word of the kernel's structures: near a task, its memory, its files, or anywhere.
static u64 victim(struct guest *g, const struct physmem *mem)
{
    struct guest_task tasks[ROOM];
    unsigned count = guest_tasks(g, tasks, ROOM);
    struct walk_space space = guest_space(g, &(struct guest_task){0});
    struct walk walk;
    count = count < ROOM ? count : ROOM;
    if (!count || random_number() % 4 == 0) {
        return random_number() % mem->ram_bytes & ~7ull;
    }
    const struct guest_task *t = &tasks[random_number() % count];
    u64 pointer = t->address;
    for (u64 hops = random_number() % 4; hops > 0; hops--) {
        u64 next = 0;
        walk_read(&space, pointer + (random_number() % 128) * 8, &next, 8);
        pointer = (s64)next < 0 ? next : pointer;
    }
    walk_linear(&space, pointer + (random_number() % 128) * 8, &walk);
    return walk.mapped ? walk.gpa & ~7ull : 0;
}

static void damage(struct boot *b, struct guest *g)
{
    while (!b->output && boot_run(b, STRIDE)) {
    }
    struct physmem *mem = machine_memory(b->m);
    u64 previous[3] = {0, 0, 0};
    struct timespec begin, end;
    double worst = 0;
    unsigned changed = 0;
    u64 before = ask_everything(g);
    for (unsigned round = 0; round < ROUNDS; round++) {
        u64 at = victim(g, mem), old,
            fresh[4] = {random_number(), previous[random_number() % 3], 0,
                        at | UINT64_C(0xffff888000000000)};
        if (!physmem_read(mem, at, &old, 8)) {
            continue;
        }
        previous[round % 3] = old;
        physmem_write(mem, at, &fresh[random_number() % 4], 8);
        clock_gettime(CLOCK_MONOTONIC, &begin);
        u64 answer = ask_everything(g);
        clock_gettime(CLOCK_MONOTONIC, &end);
        changed += answer != before;
        before = answer;
        double took =
            (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
        worst = took > worst ? took : worst;
        if (random_number() % 4) { // a quarter of the damage stays
            physmem_write(mem, at, &old, 8);
        }
    }
    tap(worst < 2 && changed > ROUNDS / 100,
        "%u damaged words: %u changed answers, the slowest took %.0f ms", ROUNDS, changed,
        worst * 1e3);
}

int main(int argc, char **argv)
{
    struct boot b;
    struct moments all[] = {{"ps", ps_text, reduce_ps, NULL, 0},
                            {"maps", maps_text, reduce_maps, NULL, 0},
                            {"files", files_text, reduce_files, NULL, 0}};
    if (argc != 3) {
        return 2;
    }
    boot_open(&b, argv[1], argv[2],
              "sleep 100 & (exit 3) & echo ps{; ps -o pid,ppid,stat,comm; echo }; echo maps{; "
              "cat /proc/self/maps; echo }; echo files{; ls -l /proc/self/fd 4</dev/null "
              "5>/tmp/x 6</etc | cat; echo }; "
              "for n in 0 5 10; do nice -n $n sh -c 'while :; do :; done' & done; "
              "chrt -f 5 sh -c 'for i in 1 2 3 4 5 6 7 8 9; do :; done' & "
              "sleep 0.01");
    struct status status = guest_check(b.symbols);
    struct guest *g = guest_create(b.m, b.symbols);
    struct guest_task task;
    tap(g != NULL, "fern's layout is known %s", status.text);
    tap(g && !guest_current(g, 0, &task) && guest_tasks(g, &task, 1) == 0,
        "before the kernel runs there are no tasks");
    while (g && boot_step(&b) < STEPS_MAX && boot_run(&b, STRIDE)) {
        for (unsigned i = 0; i < 3; i++) {
            char mark[16];
            snprintf(mark, sizeof(mark), "%s{", all[i].name);
            char *done = section(&b, all[i].name);
            if (b.output && strstr(b.output, mark) && !done) {
                remember(&all[i], g);
            }
            free(done);
        }
        look_at_queue(&b, g);
    }
    for (unsigned i = 0; i < 3; i++) {
        compare(&b, &all[i]);
    }
    tap(queues_seen > 100 && !queues_wrong && longest > 3,
        "%u run queues in order, the longest has %u tasks; %u wrong", queues_seen, longest,
        queues_wrong);
    tap(real_time_seen > 0, "real-time tasks were seen %u times", real_time_seen);
    guest_destroy(g);
    boot_close(&b);
    boot_open(&b, argv[1], argv[2], "sleep 50 & cat /etc/passwd; sleep 60");
    g = guest_create(b.m, b.symbols);
    damage(&b, g);
    guest_destroy(g);
    boot_close(&b);
    return tap_end();
}
