// SPDX-License-Identifier: MIT
// The futex call itself: value mismatch, timeouts, wake counts, bitsets, requeue, shared against private keys, errors.
#include "t.h"
#include <sys/mman.h>
#include <sys/syscall.h>

// musl has no <linux/futex.h>.
enum { FUTEX_WAIT, FUTEX_WAKE, FUTEX_CMP_REQUEUE = 4, FUTEX_WAKE_OP, FUTEX_WAIT_BITSET = 9, FUTEX_WAKE_BITSET };
enum { FUTEX_PRIVATE_FLAG = 128, FUTEX_CLOCK_REALTIME = 256 };
#define FUTEX_OP(op, arg, cmp, cmp_arg) (((op) << 28) | ((cmp) << 24) | ((arg) << 12) | (cmp_arg))
enum { FUTEX_OP_ADD = 1, FUTEX_OP_CMP_EQ = 0 };

static long futex(int *word, int op, int value, const struct timespec *timeout, int *second, int third)
{
    return syscall(SYS_futex, word, op, value, timeout, second, third);
}

static int *words;

static pid_t waiter(int index, int op, int bits)
{
    pid_t pid = fork();
    if (pid == 0) {
        long r = futex(&words[index], op, 0, NULL, NULL, bits);
        _exit(r < 0 ? errno : 77);
    }
    await_state(pid, 'S');
    return pid;
}

static void reap(const char *what, pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    show_status(what, status);
}

int main(void)
{
    words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timespec little = {0, 20000000}, bad = {0, 2000000000}, past = {1, 0};
    show("wrong value", futex(words, FUTEX_WAIT, 5, NULL, NULL, 0));
    show("timeout", futex(words, FUTEX_WAIT, 0, &little, NULL, 0));
    show("bad timeout", futex(words, FUTEX_WAIT, 0, &bad, NULL, 0));
    show("absolute past", futex(words, FUTEX_WAIT_BITSET, 0, &past, NULL, -1));
    show("absolute realtime past", futex(words, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &past, NULL, -1));
    show("bitset 0", futex(words, FUTEX_WAIT_BITSET, 0, &past, NULL, 0));
    show("wake nobody", futex(words, FUTEX_WAKE, 10, NULL, NULL, 0));
    show("unaligned", futex((int *)((char *)words + 1), FUTEX_WAIT, 0, &little, NULL, 0));
    show("unmapped", futex((int *)64, FUTEX_WAIT, 0, &little, NULL, 0));
    show("bad operation", futex(words, 99, 0, &little, NULL, 0));
    pid_t a = waiter(0, FUTEX_WAIT, 0), b = waiter(0, FUTEX_WAIT, 0), c = waiter(0, FUTEX_WAIT, 0);
    show("wake one", futex(words, FUTEX_WAKE, 1, NULL, NULL, 0));
    show("private does not match shared", futex(words, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0));
    show("wake the rest", futex(words, FUTEX_WAKE, 9, NULL, NULL, 0));
    reap("a", a);
    reap("b", b);
    reap("c", c);
    a = waiter(0, FUTEX_WAIT_BITSET, 1);
    b = waiter(0, FUTEX_WAIT_BITSET, 2);
    show("wake bit 4", futex(words, FUTEX_WAKE_BITSET, 9, NULL, NULL, 4));
    show("wake bit 2", futex(words, FUTEX_WAKE_BITSET, 9, NULL, NULL, 2));
    reap("b", b);
    show("wake bit 1", futex(words, FUTEX_WAKE_BITSET, 9, NULL, NULL, 1));
    reap("a", a);
    a = waiter(0, FUTEX_WAIT, 0);
    b = waiter(0, FUTEX_WAIT, 0);
    show("requeue mismatch", futex(words, FUTEX_CMP_REQUEUE, 0, (void *)5, &words[1], 7));
    show("requeue", futex(words, FUTEX_CMP_REQUEUE, 0, (void *)5, &words[1], 0));
    show("first is empty", futex(words, FUTEX_WAKE, 9, NULL, NULL, 0));
    show("second has them", futex(&words[1], FUTEX_WAKE, 9, NULL, NULL, 0));
    reap("a", a);
    reap("b", b);
    a = waiter(2, FUTEX_WAIT, 0);
    // words[3] += 1; wake one on words[0]; and one on ... only if the old value was 0
    show("wake op", futex(words, FUTEX_WAKE_OP, 1, (void *)1, &words[2], FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)));
    say("value %d\n", words[2]);
    reap("a", a);
    return 0;
}
