# SPDX-License-Identifier: MIT
"""The machines that tools/bench compares, and how a run's times are taken: on the host, when the marker lines arrive."""
import dataclasses
import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("VIV_BUILD", TOP / "build"))
VIV, FERN, ROOTFS = BUILD / "viv", BUILD / "fern", BUILD / "rootfs.img"
sys.path.insert(0, str(TOP / "tests" / "boot"))
import debian_kernels  # noqa: E402

FLAGS = ["-static", "-O2", "-march=x86-64", "-fno-math-errno", "-Wall", "-Wextra", "-Werror"]
FLAVOUR = "amd64"
# no_timer_check: on a busy host QEMU's timer may seem not to work.
APPEND = "console=ttyS0 quiet no_timer_check"
MEMORY = 512
# Four levels of page tables and no protection keys or MPX, as viv's model; both kernels choose the same mitigations.
QEMU = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-cpu", "max,la57=off,pku=off,mpx=off", "-m", str(MEMORY),
        "-smp", "1", "-display", "none", "-no-reboot", "-nodefaults", "-serial", "stdio"]
SCRIPT = """echo BENCH shell
for one in $(echo $work | tr , ' '); do /bin/workloads ${one%:*} ${one#*:}; done
echo BENCH over
"""
RUN_TIMEOUT_SECONDS = 900


class BenchError(Exception):
    pass


@dataclasses.dataclass
class Sample:
    """Seconds of one row on one machine. CPU time is that of the process, the emulator's or natively the program's."""
    wall: float
    cpu: float
    units: int = 1
    checksum: str = ""

    def per_unit(self, clock):
        seconds = self.cpu if clock == "cpu" and self.cpu is not None else self.wall
        return seconds / self.units


class Run:
    """A process, its lines with their times of arrival."""

    def __init__(self, command, terminal=False):
        self.started = time.monotonic()
        self.master, slave = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen([str(word) for word in command], stdin=slave if terminal else subprocess.DEVNULL,
                                        stdout=slave, stderr=subprocess.PIPE)
        os.close(slave)
        self.text = b""

    def clocks(self):
        """(wall, CPU) seconds since the start. The CPU clock of another process: clock_getcpuclockid(3), all its threads."""
        wall = time.monotonic() - self.started
        try:
            return wall, time.clock_gettime((~self.process.pid << 3) | 2)
        except OSError:
            return wall, None

    def parts(self):
        """Yields (wall, CPU) whenever more text has come."""
        while True:
            left = self.started + RUN_TIMEOUT_SECONDS - time.monotonic()
            if left <= 0 or not select.select([self.master], [], [], left)[0]:
                raise BenchError(f"no end after {RUN_TIMEOUT_SECONDS} s")
            try:
                part = os.read(self.master, 65536)
            except OSError:  # a pseudo-terminal whose other side is gone
                part = b""
            clocks = self.clocks()
            if not part:
                return
            self.text += part
            yield clocks

    def lines(self):
        """Yields (line, wall, CPU); an unfinished line waits."""
        for clocks in self.parts():
            *whole, self.text = self.text.split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").strip("\r"), *clocks

    def close(self):
        """Ends the process if it lives; what it said on stderr."""
        if self.process.poll() is None:
            self.process.kill()
        _, messages = self.process.communicate()
        os.close(self.master)
        return messages.decode(errors="replace")


def take_workloads(run, names, samples):
    """Fills in a sample for each END line, and boot-pvh from the shell's line if that is wanted."""
    begun = {}
    for line, wall, cpu in run.lines():
        words = line.split()
        if words[:2] == ["BENCH", "shell"] and "boot-pvh" in names:
            samples["boot-pvh"] = Sample(wall, cpu)
        elif words[:1] == ["BEGIN"] and len(words) == 2:
            begun[words[1]] = (wall, cpu)
        elif words[:1] == ["END"] and len(words) == 4 and words[1] in begun:
            wall_begun, cpu_begun = begun[words[1]]
            samples[words[1]] = Sample(wall - wall_begun, cpu - cpu_begun if cpu is not None else None, int(words[2]), words[3])
        elif words[:1] == ["FAILED"] or "Kernel panic" in line:
            raise BenchError(line)
        if words[:2] == ["BENCH", "over"]:
            return


def until_mark(command, mark, terminal=False):
    """A boot: a sample of the time from the start of the process to the mark."""
    run = Run(command, terminal)
    try:
        for wall, cpu in run.parts():
            if mark in run.text:
                return Sample(wall, cpu)
        raise BenchError(f"ended without {mark!r}: {run.text[-500:]!r}")
    finally:
        messages = run.close()
        if mark not in run.text:
            print(messages[-1000:], file=sys.stderr)


class Native:
    name = "native"

    def __init__(self, files):
        self.program = files.program

    def work(self, rows, units, samples):
        for row in rows:
            if row.group != "boot":
                run = Run([self.program, row.name, units(row)])
                try:
                    take_workloads(run, {row.name}, samples)
                finally:
                    run.close()
                if row.group == "kernel":
                    samples[row.name].cpu = None  # that of its children is not in its clock


class Emulator:
    def __init__(self, files):
        self.files = files

    def work(self, rows, units, samples):
        names = {row.name for row in rows}
        wanted = [f"{row.name}:{units(row)}" for row in rows if row.group != "boot"]
        if wanted or "boot-pvh" in names:
            run = Run(self.debian(self.files.vmlinux, f"{APPEND} work={','.join(wanted)}"))
            try:
                take_workloads(run, names, samples)
            finally:
                messages = run.close()
            missing = [name.split(":")[0] for name in wanted if name.split(":")[0] not in samples]
            if missing:
                raise BenchError(f"no end of {', '.join(missing)}: {messages[-500:]}")
        if "boot-debian" in names:
            samples["boot-debian"] = until_mark(self.debian(self.files.bzimage, APPEND), b"BENCH shell")
        if "boot-fern" in names:
            samples["boot-fern"] = until_mark(self.fern(), b"# ", terminal=True)


class Qemu(Emulator):
    name = "qemu"

    def debian(self, kernel, append):
        return [*QEMU, "-kernel", kernel, "-initrd", self.files.initramfs, "-append", append]

    def fern(self):
        return [*QEMU, "-kernel", FERN, "-append", "root=/dev/sda quiet", "-snapshot", "-drive",
                f"file={ROOTFS},format=raw,if=none,id=d", "-device", "ide-hd,drive=d,bus=ide.0"]


class Viv(Emulator):
    def __init__(self, files, engine, options):
        super().__init__(files)
        self.name, self.options = f"viv-{engine}", [*options, "--cpu-engine", engine]

    def debian(self, kernel, append):
        return [VIV, "run", *self.options, "--kernel", kernel, "--initrd", self.files.initramfs, "--append", append,
                "--mem", f"{MEMORY}M"]

    def fern(self):
        return [VIV, "run", *self.options, "--mem", f"{MEMORY}M"]


class Files:
    """The program, the initramfs that holds it, the kernel as bzImage and as the ELF file in it."""

    def __init__(self, folder):
        self.program = folder / "workloads"
        sources = sorted((TOP / "bench" / "workloads").glob("*.c"))
        subprocess.run(["musl-gcc", *FLAGS, "-o", self.program, *sources], check=True)
        self.initramfs = folder / "initramfs.cpio"
        debian_kernels.initramfs(self.initramfs, SCRIPT, files={"bin/workloads": self.program})
        self.bzimage = debian_kernels.fetch(FLAVOUR).image
        self.vmlinux = debian_kernels.vmlinux(FLAVOUR)


def has_translator():
    """viv refuses an engine that it does not have as it refuses any wrong option."""
    return subprocess.run([VIV, "run", "--cpu-engine", "jit", "--exec", "true"], capture_output=True).returncode not in (64, 65)


def available(files, viv_options=()):
    """By name: every machine that there is here."""
    engines = ("jit", "interp") if has_translator() else ("interp",)
    machines = [*(Viv(files, engine, viv_options) for engine in engines), Qemu(files), Native(files)]
    return {machine.name: machine for machine in machines}


def description():
    version = subprocess.run([QEMU[0], "--version"], capture_output=True, text=True).stdout
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "host": f"{model.group(1) if model else '?'}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}",
        "kernel": f"{debian_kernels.package_name(FLAVOUR)}, {APPEND}, {MEMORY} MiB, 1 CPU; workloads: by PVH, boot-debian: bzImage",
        "qemu": f"{version.splitlines()[0] if version else '?'}; {' '.join(QEMU[1:7])}",
        "program": f"musl-gcc {' '.join(FLAGS[:4])}, the same file everywhere",
    }
