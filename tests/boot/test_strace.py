#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""--trace and --strace of a program that does more: rings and outcomes in order, and strace's own output for the same binary on
the host's Linux."""
import pathlib
import re
import subprocess
import tempfile

import vivtest as t

PROGRAM = r"""
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void on_usr1(int s) { (void)s; }
int main(int argc, char **argv)
{
    char *p = mmap((void *)0x30000000, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    char buffer[64];
    struct stat st;
    struct sigaction act = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    p[0] = 1;                          // map
    write(1, "begin\n\t\"x\"\n", 11);
    if (fork() == 0) {
        p[0] = 2;                      // copy-on-write
        _exit(3);
    }
    wait(&(int){0});
    for (int i = 0; i < 2; i++) {      // a child that dies in a call, without a word
        int died = fork();
        if (died == 0) {
            for (;;) {
                pause();
            }
        }
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, 0);
        kill(died, i ? SIGKILL : SIGTERM);
        waitpid(died, &(int){0}, 0);
    }
    p[0] = 3;                          // write-enable: the child is gone
    sigaction(SIGUSR1, &act, 0);
    kill(getpid(), SIGUSR1);
    int fd = open("/tmp/strace-test", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    write(fd, p, 5000);
    lseek(fd, -10, SEEK_END);
    read(fd, buffer, sizeof buffer);
    fstat(fd, &st);
    ftruncate(fd, 0);
    close(fd);
    close(fd);
    unlink("/tmp/strace-test");
    access("/nonexistent/name", R_OK | W_OK);
    chdir("/");
    getcwd(buffer, sizeof buffer);
    mprotect(p, 4096, PROT_READ);
    munmap(p, 8192);
    umask(022);
    return 5;
}
"""


class Program:
    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        source = pathlib.Path(self.folder.name) / "prog.c"
        self.binary = pathlib.Path(self.folder.name) / "prog"
        source.write_text(PROGRAM)
        subprocess.run(["musl-gcc", "-static", "-O1", "-w", "-o", str(self.binary), str(source)], check=True)
        self.image = t.Image(f"{self.binary}:/bin/prog")
        return self

    def __exit__(self, *_):
        self.image.__exit__()
        self.folder.cleanup()

    def run(self, *options):
        out = pathlib.Path(self.folder.name) / "trace"
        r = t.viv("run", "--disk", f"{self.image.path},snapshot", *[o.replace("OUT", str(out)) for o in options],
                  "--exec", "exec prog")
        t.expect_equal(r.returncode, 5, r.stderr.decode())
        return out.read_text()


def test_trace_shows_calls_and_faults_in_order():
    with Program() as p:
        text = p.run("--trace", "transitions,faults,syscalls=OUT")
        lines = text.splitlines()
        steps = [int(line.split()[0]) for line in lines]
        t.expect_equal(steps, sorted(steps), "the lines' order")
        t.expect(": pending" not in text, "a fault without an outcome")
        wanted = [r"3->0 \[pid \d+\] mmap\(0x30000000", r"0->3 \[pid \d+\] mmap\(.*\) = 0x30000000",
                  r"3    fault write 0x30000000 error=0x6 .*: map$", r"3->0 #PF error=0x6", r"0->3 iret",
                  r"3->0 \[pid \d+\] write\(1, .*, 11\)$",
                  r'0->3 \[pid \d+\] write\(1, "begin\\n\\t\\"x\\"\\n", 11\) = 11',
                  r"3->0 \[pid \d+\] fork\(\)", r"3    fault write 0x30000000 error=0x7 .*: copy-on-write$",
                  r"3->0 \[pid \d+\] exit_group\(3\)", r"3    fault write 0x30000000 error=0x7 .*: write-enable$",
                  r"3->0 \[pid \d+\] munmap\(0x30000000", r"3->0 \[pid \d+\] exit_group\(5\)"]
        at = 0
        for pattern in wanted:
            while at < len(lines) and not re.search(pattern, lines[at]):
                at += 1
            t.expect(at < len(lines), f"{pattern} is missing, or out of order")


def processes(text):
    """strace's output by process, in order of appearance; interrupted lines are joined."""
    result, open_lines = {}, {}
    for line in text.splitlines():
        match = re.match(r"(?:\[pid +(\d+)\] |(\d+) +)?(.*)", line)
        pid, line = match.group(1) or match.group(2) or "1", match.group(3)
        if line.endswith("<unfinished ...>"):
            open_lines[pid] = line[:-len("<unfinished ...>")].rstrip(" ") + " "
            continue
        resumed = re.match(r"<\.\.\. \w+ resumed>(.*)", line)
        if resumed:
            line = open_lines.pop(pid).rstrip(" ") + (" " if resumed.group(1)[0] not in "),"  else "") + resumed.group(1)
        result.setdefault(pid, []).append(line)
    return result


def masked(lines):
    """What is the same everywhere: no pids, addresses or alignment."""
    result = []
    for line in lines:
        line = re.sub(r"0x[0-9a-f]{5,}", "ADDRESS", line)
        line = re.sub(r"\s+= ", " = ", line)
        line = re.sub(r"(si_pid|si_uid|si_[us]time)=\d+", r"\1=N", line)
        line = re.sub(r"^((fork|getpid|gettid|set_tid_address|wait4)\(.*\)) = \d+$", r"\1 = N", line)
        result.append(re.sub(r"(kill|wait4)\(\d+", r"\1(N", line))
    return result


def program_and_children(text, path):
    """The calls of the process that executes path, from there on, and those of each of its children."""
    streams = processes(text)
    for pid, lines in streams.items():
        start = next((i for i, line in enumerate(lines) if line.startswith(f'execve("{path}"') and line.endswith("= 0")),
                     None)
        if start is not None:
            own = lines[start + 1:]
            children = [re.search(r"= (\d+)$", line).group(1) for line in own if line.startswith("fork(")]
            return masked(own), [masked(streams[child]) for child in children]
    raise t.Failure(f"{path} is not executed: {text[:2000]}")


def chld_last(lines):
    """SIGCHLD for a child arrives on entering wait4() or within it: which is the scheduler's matter, of the host too."""
    late = [line for line in lines if line.startswith("--- SIGCHLD")]
    return [line for line in lines if line not in late] + late


def test_strace_is_the_hosts():
    with Program() as p:
        host_file = pathlib.Path(p.folder.name) / "host"
        subprocess.run(["strace", "-f", "-o", str(host_file), str(p.binary)], stdout=subprocess.DEVNULL)
        guest = program_and_children(p.run("--strace=OUT"), "/bin/prog")
        host = program_and_children(host_file.read_text(), str(p.binary))
        t.expect_equal(chld_last(guest[0]), chld_last(host[0]), "the program")
        t.expect_equal(guest[1], host[1], "its children")
        t.expect_equal([child[-1] for child in guest[1]],
                       ["+++ exited with 3 +++", "+++ killed by SIGTERM +++", "+++ killed by SIGKILL +++"], "their ends")


if __name__ == "__main__":
    t.main(globals())
