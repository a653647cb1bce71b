// SPDX-License-Identifier: MIT
// /sys/devices/system/cpu agrees with itself and with what system calls say, however many CPUs there are.
#include "t.h"
#include <sched.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#define CPU_DIR "/sys/devices/system/cpu/"

static bool read_file(const char *name, char *text, size_t size)
{
    char path[128];
    snprintf(path, sizeof(path), CPU_DIR "%s", name);
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0 && text[n - 1] == '\n';
}

// "0-2,5" as bits; all ones if it is no such list.
static unsigned long list_of(const char *name)
{
    char text[256], *at = text;
    unsigned long bits = 0;
    if (!read_file(name, text, sizeof(text))) {
        return ~0ul;
    }
    while (*at != '\n') {
        unsigned long first = strtoul(at, &at, 10), last = first;
        if (*at == '-') {
            last = strtoul(at + 1, &at, 10);
        }
        for (; first <= last && first < 64; first++) {
            bits |= 1ul << first;
        }
        if (*at == ',') {
            at++;
        } else if (*at != '\n') {
            return ~0ul;
        }
    }
    return bits;
}

static unsigned long topology(unsigned cpu, const char *name, bool list)
{
    char path[64], text[64] = "";
    snprintf(path, sizeof(path), "cpu%u/topology/%s", cpu, name);
    if (list) {
        return list_of(path);
    }
    return read_file(path, text, sizeof(text)) ? strtoul(text, NULL, 16) : ~0ul;
}

static bool topology_right(unsigned cpu, unsigned long online)
{
    unsigned long threads = topology(cpu, "thread_siblings", false), cores = topology(cpu, "core_siblings", false);
    return threads == topology(cpu, "thread_siblings_list", true) && cores == topology(cpu, "core_siblings_list", true) &&
           threads == topology(cpu, "core_cpus", false) && cores == topology(cpu, "package_cpus", false) &&
           (threads >> cpu & 1) && (threads & ~cores) == 0 && (cores & ~online) == 0 &&
           topology(cpu, "core_id", false) != ~0ul && topology(cpu, "physical_package_id", false) != ~0ul;
}

// On each CPU that we may run on: we run there, and /sys knows it.
static void go_everywhere(unsigned long allowed, unsigned long online)
{
    int moved = 0, there = 0, known = 0, wanted = 0;
    for (unsigned cpu = 0; cpu < 64; cpu++) {
        unsigned long one = 1ul << cpu;
        if (!(allowed & one)) {
            continue;
        }
        unsigned now = 99;
        wanted++;
        moved += syscall(SYS_sched_setaffinity, 0, sizeof(one), &one) == 0;
        syscall(SYS_getcpu, &now, NULL, NULL);
        there += now == cpu;
        known += topology_right(cpu, online);
    }
    say("moved %d there %d known %d\n", moved == wanted, there == wanted, known == wanted);
}

// A host may be a container whose sysfs is mounted read-only.
static int open_to_write(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd < 0 && errno == EROFS) {
        errno = EACCES;
    }
    return fd;
}

int main(void)
{
    unsigned long online = list_of("online"), possible = list_of("possible"), present = list_of("present"), allowed = 0;
    char text[64];
    struct statfs fs;
    struct stat st;
    syscall(SYS_sched_getaffinity, 0, sizeof(allowed), &allowed);
    say("one at least %d, all known %d\n", (int)(online & 1), online != ~0ul && possible != ~0ul && present != ~0ul);
    say("online present %d, present possible %d\n", (online & ~present) == 0, (present & ~possible) == 0);
    say("allowed online %d\n", allowed && (allowed & ~online) == 0);
    say("counted %d\n", sysconf(_SC_NPROCESSORS_ONLN) == __builtin_popcountl(allowed) ||
                            sysconf(_SC_NPROCESSORS_ONLN) == __builtin_popcountl(online));
    say("kernel_max %d\n", read_file("kernel_max", text, sizeof(text)) && possible >> 1 >> atoi(text) == 0);
    say("offline %d isolated %d\n", list_of("offline") == (present & ~online), list_of("isolated") == 0);
    go_everywhere(allowed, online);
    statfs(CPU_DIR, &fs);
    stat(CPU_DIR "online", &st);
    say("type %lx size %ld mode %o\n", (unsigned long)fs.f_type, (long)st.st_size, st.st_mode);
    show("write", open_to_write(CPU_DIR "online", O_WRONLY));
    show("create", open_to_write(CPU_DIR "new", O_WRONLY | O_CREAT));
    show("directory", open(CPU_DIR "cpu0/topology", O_WRONLY));
    show("read it", open(CPU_DIR "nothing", O_RDONLY));
    return 0;
}
