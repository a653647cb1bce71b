// SPDX-License-Identifier: MIT
// The same system calls for two eyes: "make N" makes every call with the N-th set of arguments, under a filter that lets
// none of them happen (for strace to watch); "print N" prints how viv writes them.
#include "trace/decode.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AREA UINT64_C(0x30000000) // what pointers point to; the same in both modes
#define AREA_BYTES 0x8000u
#define TEXT (AREA + 0x1000)
#define VECTOR (AREA + 0x2000)    // of strings
#define IOV (AREA + 0x3000)       // two struct iovec
#define STRUCTURE (AREA + 0x4000) // anything else
#define NOWHERE UINT64_C(0x10)    // not mapped

struct set {
    u64 value;   // of plain numbers and flags
    bool mapped; // pointers point to something
    u32 content; // of structures, as 32-bit words
    int error;   // what the calls return, 0: success with result 0
};

static const struct set sets[] = {
    {0, false, 0, 38},        {1, true, 0, 0},          {2, true, 1, 0},  {3, true, 2, 1},
    {0x7fffffff, true, 3, 2}, {UINT64_MAX, false, 0, 4}, {8, true, 16, 0}, {0x82, true, 0x80, 22},
};

static void fill(const struct set *s)
{
    void *area = mmap((void *)AREA, AREA_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (area == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }
    memcpy((void *)TEXT, "some/name", 10);
    u64 strings[] = {TEXT, TEXT + 5, 0};
    memcpy((void *)VECTOR, strings, sizeof(strings));
    u64 iov[] = {TEXT, 4, TEXT + 5, 4};
    memcpy((void *)IOV, iov, sizeof(iov));
    for (u32 *p = (u32 *)STRUCTURE; (u64)p < AREA + AREA_BYTES; p++) {
        *p = s->content;
    }
}

static u64 argument(const struct set *s, const struct syscall_row *row, unsigned i)
{
    enum syscall_kind kind = (enum syscall_kind)row->args[i];
    bool pointer = syscall_direction(kind) != SYSCALL_VALUE && kind != KIND_FCNTL_ARG;
    bool after_iov = i && (row->args[i - 1] == KIND_IOV_IN || row->args[i - 1] == KIND_IOV_OUT);
    if (pointer && !s->mapped) {
        return s->value ? NOWHERE : 0;
    }
    switch (kind) {
    case KIND_PATH:
    case KIND_STR:
    case KIND_STR_OUT:
    case KIND_BUF_IN:
    case KIND_BUF_OUT:
        return TEXT;
    case KIND_STRV:
    case KIND_ENVV:
        return VECTOR;
    case KIND_IOV_IN:
    case KIND_IOV_OUT:
        return IOV;
    default:
        return after_iov ? 2 : pointer ? STRUCTURE : s->value;
    }
}

static bool is_made(u64 number)
{
    return syscall_row(number) && number != SYS_exit && number != SYS_exit_group &&
           number != SYS_rt_sigreturn && number <= 450; // 450: the last that strace 6.1 knows
}

static void make_calls(const struct set *s)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (u32)s->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program)) {
        perror("prctl");
        exit(1);
    }
    for (u64 n = 0; n < 512; n++) {
        u64 a[6], result;
        for (unsigned i = 0; is_made(n) && i < 6; i++) {
            a[i] = argument(s, syscall_row(n), i);
        }
        if (is_made(n)) {
            register u64 r10 __asm__("r10") = a[3];
            register u64 r8 __asm__("r8") = a[4];
            register u64 r9 __asm__("r9") = a[5];
            __asm__ volatile("syscall"
                             : "=a"(result)
                             : "a"(n), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9)
                             : "rcx", "r11", "memory");
        }
    }
    syscall(SYS_exit_group, 0);
}

static bool read_here(void *ctx, u64 address, void *out, u64 size)
{
    if (address < AREA || size > AREA_BYTES || address + size > AREA + AREA_BYTES) {
        return false;
    }
    memcpy(out, (const void *)address, size);
    return true;
}

static void print_calls(const struct set *s)
{
    for (u64 n = 0; n < 512; n++) {
        if (!is_made(n)) {
            continue;
        }
        struct syscall_view v = {
            .row = syscall_row(n), .number = n, .read = read_here};
        struct text line = {0}, args[6] = {{0}};
        u8 order[6];
        bool shown[6];
        for (unsigned i = 0; i < 6; i++) {
            v.arg[i] = argument(s, v.row, i);
        }
        unsigned count = syscall_shown(&v, order);
        for (unsigned i = 0; i < count; i++) {
            shown[i] = syscall_show_arg(&v, order[i], false, &args[i]);
        }
        v.done = true;
        v.result = -s->error;
        text_add(&line, "%s(", v.row->name);
        for (unsigned i = 0; i < count; i++) {
            if (!shown[i]) {
                syscall_show_arg(&v, order[i], true, &args[i]);
            }
            text_add(&line, "%s%s", i ? ", " : "", text_get(&args[i]));
            text_free(&args[i]);
        }
        text_add(&line, ") = ");
        syscall_show_result(&v, &line);
        syscall_show_extra(&v, &line);
        puts(text_get(&line));
        text_free(&line);
    }
}

int main(int argc, char **argv)
{
    unsigned long n = argc == 3 ? strtoul(argv[2], NULL, 10) : ARRAY_LEN(sets);
    if (n >= ARRAY_LEN(sets)) {
        printf("%zu\n", ARRAY_LEN(sets));
        return 0;
    }
    fill(&sets[n]);
    if (strcmp(argv[1], "make") == 0) {
        make_calls(&sets[n]);
    } else {
        print_calls(&sets[n]);
    }
    return 0;
}
