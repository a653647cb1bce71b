// SPDX-License-Identifier: MIT
// Robust lists: the list's length check, a dead owner's word marked and one waiter woken, the
// pending entry.
#include "t.h"
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define FUTEX_WAIT 0
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu

struct entry {
    struct entry *next;
    uint32_t word;
};
struct head {
    struct entry *list;
    long offset;
    struct entry *pending;
};

static struct shared {
    struct head head;
    struct entry entry[4];
} *s;

static uint32_t word(int i)
{
    return __atomic_load_n(&s->entry[i].word, __ATOMIC_SEQ_CST);
}

static void child_holds(void)
{
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    s->head.list = &s->entry[0];
    s->head.offset = offsetof(struct entry, word);
    s->head.pending = &s->entry[3];
    s->entry[0] = (struct entry){&s->entry[1], tid};
    s->entry[1] = (struct entry){&s->entry[2], tid | FUTEX_WAITERS};
    s->entry[2] = (struct entry){(struct entry *)&s->head, 12345};
    s->entry[3] = (struct entry){NULL, tid | FUTEX_WAITERS};
    show("set", syscall(SYS_set_robust_list, &s->head, sizeof(s->head)));
    void *head = NULL;
    size_t len = 0;
    show("get", syscall(SYS_get_robust_list, 0, &head, &len));
    say("same %d len %zu\n", head == &s->head, len);
}

int main(void)
{
    s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    show("short", syscall(SYS_set_robust_list, &s->head, 23));
    show("long", syscall(SYS_set_robust_list, &s->head, 32));
    show("get of nobody", syscall(SYS_get_robust_list, 99999999, &s->head, &s->head));
    int ready[2], go[2];
    pipe(ready);
    pipe(go);
    pid_t pid = fork();
    if (pid == 0) {
        child_holds();
        char c;
        write(ready[1], "x", 1);
        read(go[0], &c, 1);
        _exit(3);
    }
    char c;
    read(ready[0], &c, 1);
    pid_t waiter = fork();
    if (waiter == 0) {
        uint32_t v = word(1);
        say("waits %d\n", (v & FUTEX_WAITERS) != 0);
        long r = syscall(SYS_futex, &s->entry[1].word, FUTEX_WAIT, v, NULL, NULL, 0);
        say("woken %ld died %d\n", r, (word(1) & FUTEX_OWNER_DIED) != 0);
        _exit(0);
    }
    int status;
    await_state(waiter, 'S');
    write(go[1], "x", 1);
    waitpid(waiter, &status, 0);
    waitpid(pid, &status, 0);
    show_status("owner", status);
    for (int i = 0; i < 4; i++) {
        uint32_t v = word(i);
        say("%d: died %d waiters %d tid %s\n", i, (v & FUTEX_OWNER_DIED) != 0,
            (v & FUTEX_WAITERS) != 0,
            i == 2                 ? "other"
            : (v & FUTEX_TID_MASK) ? "left"
                                   : "cleared");
    }
    say("other's word %u\n", word(2));
    return 0;
}
