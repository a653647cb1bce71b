// SPDX-License-Identifier: MIT
// The table of strace -c, column for column.
#include "trace/strace_summary.h"

#include "base/memory.h"
#include "trace/syscall_set.h"

#include <stdlib.h>
#include <string.h>

struct row {
    const char *name;
    u64 number, calls, errors, time_ns;
};

struct strace_summary {
    struct row rows[SYSCALL_SET_NUMBERS + 1]; // the last one: numbers that have no name
};

struct strace_summary *strace_summary_create(void)
{
    return xcalloc(1, sizeof(struct strace_summary));
}

void strace_summary_destroy(struct strace_summary *s)
{
    free(s);
}

void strace_summary_add(struct strace_summary *s, u64 number, const char *name, u64 time_ns,
                        bool error)
{
    u64 index = name && number < SYSCALL_SET_NUMBERS ? number : SYSCALL_SET_NUMBERS;
    struct row *row = &s->rows[index];
    row->name = name ? name : "(unknown)";
    row->number = index;
    row->calls++;
    row->errors += error;
    row->time_ns += time_ns;
}

static int by_number(const struct row *a, const struct row *b)
{
    return (a->number > b->number) - (a->number < b->number);
}

static int descending(u64 a, u64 b)
{
    return (a < b) - (a > b);
}

// The rows in strace's order; ties by number.
static int compare(const void *left, const void *right, void *sort)
{
    const struct row *a = left, *b = right;
    int order = 0;
    switch (*(const char *)sort) {
    case 't':
        order = descending(a->time_ns, b->time_ns);
        break;
    case 'c':
        order = descending(a->calls, b->calls);
        break;
    case 'e':
        order = descending(a->errors, b->errors);
        break;
    case 'n':
        order = strcmp(a->name, b->name);
        break;
    default:
        break;
    }
    return order ? order : by_number(a, b);
}

static void print_row(FILE *out, const struct row *row, double percent)
{
    char errors[24] = "";
    if (row->errors) {
        snprintf(errors, sizeof(errors), "%llu", (unsigned long long)row->errors);
    }
    fprintf(out, "%6.2f %11.6f %11llu %9llu %9s %s\n", percent, (double)row->time_ns / 1e9,
            (unsigned long long)(row->calls ? row->time_ns / 1000 / row->calls : 0),
            (unsigned long long)row->calls, errors, row->name);
}

void strace_summary_print(struct strace_summary *s, char sort, FILE *out)
{
    struct row *rows = xcalloc(SYSCALL_SET_NUMBERS + 1, sizeof(*rows));
    struct row total = {.name = "total"};
    size_t count = 0;
    for (size_t i = 0; i <= SYSCALL_SET_NUMBERS; i++) {
        if (s->rows[i].calls) {
            rows[count++] = s->rows[i];
            total.calls += s->rows[i].calls;
            total.errors += s->rows[i].errors;
            total.time_ns += s->rows[i].time_ns;
        }
    }
    qsort_r(rows, count, sizeof(*rows), compare, &sort);
    static const char rule[] =
        "------ ----------- ----------- --------- --------- ----------------";
    fprintf(out, "%% time     seconds  usecs/call     calls    errors syscall\n%s\n", rule);
    for (size_t i = 0; i < count; i++) {
        print_row(out, &rows[i],
                  total.time_ns ? 100.0 * (double)rows[i].time_ns / (double)total.time_ns : 0);
    }
    fprintf(out, "%s\n", rule);
    print_row(out, &total, 100.0);
    free(rows);
}
