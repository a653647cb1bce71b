#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: gate all
"""A system nobody here wrote, Debian's own kernel with busybox: recorded and replayed, entered in the middle, killed; looked into
with the kernel's own names and types, wherever it has put itself; gdb back from a page fault to its cause; its init's system calls are strace's."""
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile
import time

import linux_boot
import test_strace_host as host
import test_tui
import vivtest as t

INIT = """#!/bin/sh
mount -t proc proc /proc
uname -a
ls / | wc -l
for i in 1 2 3; do echo $i | cat > /tmp/f$i; done
cat /tmp/f?
poweroff -f
"""
# Enough of the shell's own calls; what is behind runs in the guest only.
CALLS_INIT = """#!/bin/sh
for i in 1 2 3 4 5 6 7 8 9 10; do
    echo line $i >> /tmp/list
    test -s /tmp/list || echo empty
    cd /root
    cd /tmp
    : < /tmp/list
done
mkdir -p /tmp/a/b
ls /bin > /tmp/names
wc -l < /tmp/names > /tmp/count
read count < /tmp/count
echo a | cat > /tmp/a/b/c
cat /tmp/nothing 2> /tmp/errors || echo no file > /tmp/a/d
uname -s > /tmp/uname
umask 022
test -e /host || exec poweroff -f
"""
CALLS = 200


class Boot:
    """The kernel with an initramfs, in a folder of its own."""

    def __init__(self, init=INIT):
        self.init = init

    def __enter__(self):
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.temporary.name)
        linux_boot.initramfs(self.folder / "initramfs", self.init)
        self.machine = linux_boot.machine(self.folder / "initramfs")
        return self

    def __exit__(self, *_):
        self.temporary.cleanup()

    def script(self, *lines, options=()):
        text = "\n".join(lines) + "\n"
        result = t.viv("debug", *self.machine, *options, "--script", "-", stdin=text.encode(), timeout=300)
        output = result.stdout.decode(errors="replace").replace("\r", "")
        t.expect_equal(result.returncode, 0, f"{output[-1500:]}\n{result.stderr.decode()}")
        # What each command said, by its place.
        return [part.split("\n", 1)[1] if "\n" in part else "" for part in output.split("(viv) ")[1:]]


def test_recorded_boot_replays():
    with Boot() as b:
        recording = b.folder / "boot"
        plain = t.viv("run", *b.machine, "--stats", timeout=300)
        recorded = t.viv("run", *b.machine, "--stats", "--record", recording, f"--checkpoints={1 << 28}", timeout=300)
        t.expect_equal(recorded.stdout, plain.stdout, "recording changes what is seen")
        for name in ("steps", "state_hash", "vtime_seconds"):
            t.expect_equal(t.stats(recorded)[name], t.stats(plain)[name], name)
        checked = t.viv("replay", recording, "--verify", timeout=600)
        text = checked.stderr.decode()
        t.expect_equal(checked.returncode, 0, text)
        count = int(re.search(r": (\d+) hashes are right", text)[1])
        steps = int(t.stats(plain)["steps"])
        t.expect(count > 3 * (steps >> 23), f"only {count} hashes in {steps} steps from all checkpoints")
        # Its kernel touches what is a program's only where it has a fixup.
        checked = t.viv("trace", recording, "--check", "count(fault where ring==0 and extable) > 10", "--check",
                        "never(fault where ring==0 and address<0x800000000000 and rip>=0xffffffff80000000 and not extable)",
                        timeout=300)
        t.expect_equal(checked.returncode, 0, checked.stdout.decode())
        # Going on live from the middle gives the same end: there is no input.
        live = t.viv("run", "--from", f"{recording}@{steps // 2}", "--stats", timeout=300)
        t.expect_equal(t.stats(live)["state_hash"], t.stats(plain)["state_hash"], "live from the middle")
        t.expect(plain.stdout.endswith(live.stdout) and live.stdout, "what it shows from there")


def test_killed_while_recording():
    with Boot() as b:
        recording = b.folder / "boot"
        process = subprocess.Popen([str(t.VIV), "run", *map(str, b.machine), "--record", str(recording)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        partial = b.folder / "boot.incomplete"
        begun = time.monotonic()
        sizes = set()  # its header, then what is added twice a second
        while len(sizes) < random.randrange(4, 7) and time.monotonic() < begun + 60:
            time.sleep(0.05)
            sizes |= {partial.stat().st_size} if partial.exists() else set()
        process.send_signal(signal.SIGKILL)
        process.wait()
        checked = t.viv("replay", partial, "--verify", timeout=300)
        text = checked.stderr.decode()
        t.expect_equal(checked.returncode, 0, text)
        t.expect(int(re.search(r": (\d+) hashes", text)[1]) > 4 and "was cut off" in text, text)


def test_kernel_is_known():
    """Its own names, types and unwind tables: tasks, areas, files, callers, system calls."""
    with Boot() as b:
        tasks, caught, number, callers, areas, files, idle, returned, value = b.script(
            "continue", "tasks", "back syscall 20", "p $syscall", "bt", "maps", "files", "bt 2",
            "catch syscall return", "continue", "p $syscall")[1:10]
        for name in ("init", "kthreadd", "ksoftirqd/0", "kswapd0"):
            t.expect(re.search(rf"^ *\d+ .* {name}$", tasks, re.M), f"no task {name} in {tasks}")
        init = re.search(r"^ *1 +1 +0 (\S)", tasks, re.M)
        t.expect(init and init[1] in "SR", f"init in {tasks}")
        t.expect("entry_SYSCALL_64" in caught, caught)
        t.expect(re.search(r"\((\d+)\)", number), number)
        t.expect("--- user mode ---" in callers and "entry_SYSCALL_64" in callers, callers)
        t.expect("/bin/busybox" in areas and "[stack]" in areas and re.search(r"r-xp 00000000 \[vdso\]", areas), areas)
        t.expect(re.search(r"^ +0 rw .*/dev/console$", files, re.M), files)
        t.expect("schedule" in idle and "kthreadd" in idle and "ret_from_fork" in idle, idle)
        t.expect("return" in returned or "entry" in returned, returned)
        t.expect(value.strip() != "", value)


def test_moves():
    """Over system calls, to user mode and back, through one call: as on fern."""
    with Boot() as b:
        out = b.script("continue", "back syscall 6", "back user", "forward user", "p $syscall", "syscall", "stepi 500", "reverse-stepi 500",
                       "p $cpl")
        t.expect("system call at entry_SYSCALL_64" in out[1] and "ring 0" in out[1], out[1])
        t.expect("ring 3" in out[2] and re.search(r"=> 0x[0-9a-f]+  syscall", out[2]), out[2])
        t.expect("ring 3" in out[3], out[3])
        t.expect("the system call returned" in out[5] and re.search(r"^\w+\(.*\) += ", out[5]), out[5])
        where = [re.search(r"^=> (0x[0-9a-f]+)", text, re.M)[1] for text in (out[5], out[7])]
        t.expect_equal(where[1], where[0], "steps forward and back")
        t.expect("0x3" in out[8], out[8])


def test_names_from_a_system_map():
    """The same from a System.map, which wins nothing but its name: nm's format, some entries."""
    with Boot() as b:
        system_map = b.folder / "System.map"
        names = b.script("symbol do_sys_openat2", "symbol schedule", "p do_sys_openat2", "p schedule")
        addresses = [int(re.search(r"0x([0-9a-f]+)", text)[1], 16) for text in names[2:]]
        system_map.write_text("".join(f"{a:016x} T {n}\n" for a, n in sorted(zip(addresses, ("my_open", "my_schedule")))))
        seen, = b.script("p my_open", options=["--symbols", system_map])
        t.expect(f"0x{addresses[0]:x}" in seen, f"{seen} is not {addresses[0]:#x}")
        biased, = b.script("p my_open", options=["--symbols", f"{system_map}@0x200000"])
        t.expect(f"0x{addresses[0] + 0x200000:x}" in biased, biased)
        system_map.write_text("this is no map\n")
        r = t.viv("debug", *b.machine, "--symbols", system_map, "--script", "-", stdin=b"p 1\n")
        t.expect(b"not an ELF file" in r.stderr, r.stderr)


def test_back_from_a_fault():
    """From the handler of a page fault of user space back to the instruction that caused it, in viv's language."""
    with Boot() as b:
        out = b.script("continue", "back fault", "p $cr2", "p $cpl", "reverse-stepi", "p $cpl", "bt", "stepi", "p $cr2", "p $cpl")
        value = [re.search(r"0x([0-9a-f]+)", text) for text in out]
        t.expect("asm_exc_page_fault" in out[1], out[1])
        t.expect_equal((int(value[3][1], 16), int(value[5][1], 16), int(value[9][1], 16)), (0, 3, 0), "rings")
        t.expect_equal(value[8][1], value[2][1], "the same address again")


def gdb(b, *commands, symbols=()):
    """Stock gdb on the machine, with no file but what symbols names; returns what it says."""
    socket = b.folder / "gdb"
    viv = subprocess.Popen([str(t.VIV), "debug", *map(str, b.machine), "--gdb", f"unix:{socket}"],
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        begun = time.monotonic()
        while not socket.exists() and time.monotonic() < begun + 60:
            time.sleep(0.05)
        lines = ["set pagination off", "set confirm off", "set height 0", "set width 0", "set architecture i386:x86-64",
                 *symbols, f"target extended-remote {socket}", *commands, "kill"]
        argv = ["gdb", "-nx", "-batch"] + [x for line in lines for x in ("-ex", line)]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=400).stdout
    finally:
        viv.terminate()
        try:
            viv.wait(10)
        except subprocess.TimeoutExpired:
            viv.kill()
            viv.wait()


def test_gdb_back_from_a_fault():
    with Boot() as b:
        subprocess.run([str(t.VIV), "symbols", linux_boot.kernel(), b.folder / "names"], check=True)
        text = gdb(b, "monitor catch fault if ([$rsp] & 0x14) == 4 && $pid > 1", "continue",
                   f"kernel-names {b.folder / 'names'}", "info symbol $rip", "printf \"fault %lx ring %d\\n\", $cr2, $cpl",
                   "reverse-stepi", "printf \"cause %lx ring %d\\n\", $rip, $cpl",
                   "x/i $rip", "info threads", "stepi", "printf \"again %lx ring %d\\n\", $cr2, $cpl",
                   "monitor delete", "catch syscall openat", "continue", "printf \"call %d\\n\", $orig_rax", "monitor bt",
                   "continue", "printf \"gives %d\\n\", $rax", "delete", "tbreak do_sys_openat2", "continue", "info symbol $rip",
                   symbols=[f"source {t.TOP / 'tools' / 'gdb' / 'viv.gdb'}"])
        fault = re.search(r"fault ([0-9a-f]+) ring 0", text)
        t.expect(fault, text)
        t.expect(re.search(r"cause [0-9a-f]{1,12} ring 3", text), text)
        t.expect(re.search(r"=> 0x[0-9a-f]+:\t.*\(", text), text)  # an access to memory
        t.expect(f"again {fault[1]} ring 0" in text, text)
        t.expect(re.search(r"Thread .*\(.*kthreadd \(kernel\)", text), text)
        t.expect("(call to syscall openat)" in text and "call 257" in text, text)
        t.expect("(returned from syscall openat)" in text and re.search(r"gives \d+", text), text)
        t.expect(re.search(r"entry_SYSCALL_64.*user mode", text, re.S), text)
        t.expect(re.search(r"^asm_exc_page_fault in section", text, re.M) and re.search(r"^do_sys_openat2( \+ \d+)? in section", text, re.M),
                 text)


def host_calls(folder):
    """strace of the same init on the host, in namespaces of its own."""
    root, out = folder / "root", folder / "strace"
    root.mkdir()
    linux_boot.folder(root, CALLS_INIT)
    (root / "host").write_text("")
    inner = ('exec env -i HOME=/ TERM=linux "$(command -v strace)" -f -o "$2" "$(command -v chroot)" "$1" /init '
             '< /dev/null > /dev/null 2>&1')
    subprocess.run(["unshare", "--pid", "--fork", "--mount", "bash", "-c", inner, "bash", str(root), str(out)], timeout=60)
    return out.read_text()


def mask(line):
    line = host.mask(line)
    line = re.sub(r"^getrandom\(.*", "getrandom", line)  # early in a boot there are none
    line = re.sub(r"sa_(handler|restorer)=ADDRESS", r"sa_\1=ADDRESS", line)
    return line


def check_strace(b, wanted, *options):
    out = b.folder / "guest"
    t.viv("run", *options, *b.machine, "-f", "-o", out, timeout=300)
    lines = next(iter(host.streams(out.read_text()).values()))
    init = [mask(line) for line in lines if not re.match(r"(time|gettimeofday|clock_gettime)\(", line)]
    for i, (a, w) in enumerate(zip(init, wanted)):
        t.expect(a == w, f"{options} line {i}:\n guest {a}\n host  {w}")
    t.expect(len(init) >= CALLS, f"only {len(init)} calls")


def test_strace_of_init():
    """The first calls are those that the host's strace shows for the same script, with one CPU and with four."""
    if os.geteuid() != 0:
        print("# needs root for a chroot")
        return
    with Boot(CALLS_INIT) as b:
        theirs = host.family(host_calls(b.folder), r'execve\("/init", ')
        wanted = [mask(line) for line in theirs[0]][:CALLS]
        t.expect(len(wanted) == CALLS, f"only {len(wanted)} calls")
        check_strace(b, wanted)
        check_strace(b, wanted, "--smp", "4")


def test_terminal():
    """The terminal debugger's panels know the system, too."""
    with Boot() as b:
        options = " ".join(f"'{word}'" for word in b.machine)
        with test_tui.Session(options, 140, 40) as s:
            s.wait("at the beginning")
            s.keys("c")
            t.expect(s.wait("switched itself off", 90), s.screen())
            s.command("back syscall")
            t.expect(s.wait("back: system call at entry_SYSCALL_64", 60), s.screen())
            s.keys("1")  # closes the command's output
            t.expect(re.search(r"ring 0 kernel +\d+ poweroff", s.screen()) and s.wait("3→0  syscall reboot"), s.screen())
            s.keys("9")
            t.expect(s.wait(r" 16 +16 +2 S +- +0 fifo "), s.screen())


if __name__ == "__main__":
    t.main(globals())
