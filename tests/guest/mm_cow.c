// SPDX-License-Identifier: MIT
// Copy-on-write among three generations of processes, in private memory, private file pages, the
// stack and the heap.
#include "t.h"
#include <sys/mman.h>

#define PAGE 4096
#define PAGES 16

static int data_word = 1;
static int *heap, *anon, *file;
static int to_parent[2];

static void report(const char *who, int *stack)
{
    int sum = 0;
    for (int i = 0; i < PAGES; i++) {
        sum += anon[i * PAGE / 4];
    }
    say("%s: data %d heap %d stack %d file %d anon %d\n", who, data_word, *heap, *stack, file[0],
        sum);
}

static void change(int n, int *stack)
{
    data_word = *heap = *stack = file[0] = n;
    for (int i = 0; i < PAGES; i += 2) {
        anon[i * PAGE / 4] = n;
    }
}

static void wait_token(void)
{
    char c;
    if (read(to_parent[0], &c, 1) != 1) {
        _exit(1);
    }
}

static void give_token(void)
{
    if (write(to_parent[1], "x", 1) != 1) {
        _exit(1);
    }
}

int main(void)
{
    int stack = 1;
    heap = malloc(sizeof(int));
    *heap = 1;
    anon = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < PAGES; i++) {
        anon[i * PAGE / 4] = 1;
    }
    int fd = open("f", O_RDWR | O_CREAT, 0600), one = 1;
    if (write(fd, &one, sizeof(one)) != sizeof(one) || pipe(to_parent) < 0) {
        return 1;
    }
    file = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    report("parent before", &stack);
    pid_t child = fork();
    if (child == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            report("grandchild before", &stack);
            change(100, &stack);
            report("grandchild after", &stack);
            _exit(0);
        }
        waitpid(grandchild, NULL, 0);
        report("child before", &stack);
        change(10, &stack);
        report("child after", &stack);
        give_token();
        sleep(10); // killed by the parent
        _exit(1);
    }
    wait_token();
    report("parent still", &stack);
    change(5, &stack);
    report("parent after", &stack);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    change(6, &stack);
    report("parent alone", &stack);
    int in_file = 0;
    show("file", pread(fd, &in_file, sizeof(in_file), 0));
    say("in the file %d\n", in_file);
    // A pipe takes the bytes as they were when they were written, whatever happens to the page
    // later.
    int fds[2], got = 0;
    if (pipe(fds) < 0 || write(fds[1], anon, sizeof(int)) != sizeof(int)) {
        return 1;
    }
    anon[0] = 9;
    show("pipe", read(fds[0], &got, sizeof(got)));
    say("got %d\n", got);
    for (int i = 0; i < 50; i++) { // many short lives
        pid_t p = fork();
        if (p == 0) {
            change(i, &stack);
            _exit(anon[0] == i && anon[PAGE / 4] == 1 ? 0 : 1);
        }
        int status;
        waitpid(p, &status, 0);
        if (status) {
            say("child %d saw something else\n", i);
        }
    }
    report("parent at the end", &stack);
    return 0;
}
