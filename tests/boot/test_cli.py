#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Bad input: one clear line on stderr, nothing on stdout, and the documented exit status."""
import os
import random
import re
import struct
import subprocess

import vivtest as t


def refused(status, *arguments, mention=(), **more):
    r = t.viv(*arguments, timeout=60, **more)
    text = r.stderr.decode(errors="replace")
    t.expect_equal(r.returncode, status, f"{arguments}: {text}")
    t.expect_equal(r.stdout, b"", "stdout")
    t.expect_equal(text.count("\n"), 1, f"one line expected, saw {text!r}")
    for word in mention:
        t.expect(word in text, f"{word!r} not in {text!r}")


def test_usage():
    refused(64, "run", "--no-such-option", mention=["--no-such-option"])
    refused(64, "frobnicate", mention=["frobnicate"])
    refused(64, "run", "--mem", mention=["--mem"])
    refused(64, "run", "--mem", "lots", mention=["--mem", "lots"])
    refused(64, "run", "--until", "x", mention=["--until"])
    refused(64, "run", "--smp", "0", mention=["--smp"])
    refused(64, "run", "--tlb", "huge", mention=["--tlb"])
    refused(64, "run", "--cpu-engine", "fast", mention=["--cpu-engine", "jit, interp or lockstep"])
    refused(64, "run", "stray", mention=["stray"])


def test_engines():
    """A viv without a translator says so; one with it has all three."""
    if t.viv("run", "--cpu-engine", "jit", "--exec", "true", timeout=60).returncode == 64:
        for engine in ("jit", "lockstep"):
            refused(64, "run", "--cpu-engine", engine, mention=[engine, "no translator", "interp"])
        return
    for command in ("debug", "replay", "trace"):
        file = ["x.viv", "syscalls"] if command == "trace" else ["x.viv"] if command == "replay" else []
        refused(64, command, *file, "--cpu-engine", "lockstep", mention=["lockstep", "viv run"])


def test_help_is_asked_for():
    r = t.viv("run", "--help")
    t.expect_equal(r.returncode, 0)
    t.expect(b"--exec" in r.stdout and b"--disk" in r.stdout, r.stdout.decode())
    r = t.viv("--help")
    t.expect_equal((r.returncode, r.stderr), (0, b""))
    t.expect(b"--version" in r.stdout and b"viv trace --help" in r.stdout, r.stdout.decode())
    r = t.viv("--version")
    t.expect_equal((r.returncode, r.stderr), (0, b""))
    t.expect(re.fullmatch(rb"viv \d+\.\d+\.\d+, recordings of semantics version \d+\n", r.stdout), r.stdout.decode())


def test_kernels():
    with t.Image() as image:
        bad = image.folder / "kernel"
        refused(65, "run", "--kernel", bad, mention=[str(bad)])
        refused(65, "run", "--kernel", image.folder, mention=[str(image.folder)])
        for content in (b"", b"\x7fELF", b"garbage" * 1000, random.Random(3).randbytes(70000),
                        t.FERN.read_bytes()[:3000]):
            bad.write_bytes(content)
            refused(65, "run", "--kernel", bad, mention=[str(bad)])


def test_kernels_of_others():
    with t.Image() as image:
        kernel = image.folder / "kernel"
        linux = bytearray(8192)
        struct.pack_into("<B", linux, 0x1F1, 1)
        struct.pack_into("<H", linux, 0x1FE, 0xAA55)
        linux[0x202:0x206] = b"HdrS"
        struct.pack_into("<H", linux, 0x206, 0x0204)
        kernel.write_bytes(linux)
        refused(65, "run", "--kernel", kernel, mention=[str(kernel), "2.04"])
        elf = bytearray(t.FERN.read_bytes())
        elf[18:20] = b"\xb7\0"
        kernel.write_bytes(elf)
        refused(65, "run", "--kernel", kernel, mention=[str(kernel), "another machine"])
        kernel.write_bytes(b"\x1f\x8b" + bytes(100))
        refused(65, "run", "--kernel", kernel, mention=[str(kernel), "compressed"])


def test_an_initrd_larger_than_memory():
    with t.Image() as image:
        initrd = image.folder / "initrd"
        with open(initrd, "wb") as file:
            file.truncate(40 << 20)
        refused(65, "run", "--kernel", t.FERN, "--initrd", initrd, "--mem", "32M", mention=[str(initrd), "--mem"])


def test_absurd_elf_headers():
    fern = t.FERN.read_bytes()
    phoff = struct.unpack_from("<Q", fern, 32)[0]
    patches = {
        "phnum": (56, struct.pack("<H", 0xffff)), "phoff": (32, struct.pack("<Q", 1 << 63)),
        "phentsize": (54, struct.pack("<H", 1)), "class": (4, b"\x01"), "machine": (18, b"\xb7\x00"),
        "filesz": (phoff + 32, struct.pack("<Q", 1 << 62)), "memsz": (phoff + 40, struct.pack("<Q", 1 << 62)),
        "paddr": (phoff + 24, struct.pack("<Q", 1 << 60)), "offset": (phoff + 8, struct.pack("<Q", (1 << 64) - 4096)),
    }
    with t.Image() as image:
        for name, (offset, value) in patches.items():
            kernel = bytearray(fern)
            kernel[offset:offset + len(value)] = value
            path = image.folder / name
            path.write_bytes(kernel)
            refused(65, "run", "--kernel", path, mention=[name])


def test_disks():
    with t.Image() as image:
        missing = image.folder / "none.img"
        refused(65, "run", "--disk", missing, mention=[str(missing)])
        empty = image.folder / "empty.img"
        empty.write_bytes(b"")
        refused(65, "run", "--disk", empty, mention=[str(empty)])
        odd = image.folder / "odd.img"
        odd.write_bytes(b"x" * 1000)
        refused(65, "run", "--disk", odd, mention=[str(odd)])
        qcow = image.folder / "q.qcow2"
        qcow.write_bytes(b"QFI\xfb" + b"\0" * 4092)
        refused(65, "run", "--disk", qcow, mention=["qemu-img convert"])
        refused(65, "run", "--disk", f"{image.folder}", mention=[str(image.folder)])
        refused(64, "run", "--disk", f"{image.path},what", mention=["what"])


def test_a_busy_disk():
    with t.Image() as image:
        first = subprocess.Popen([str(t.VIV), "run", "--disk", str(image.path), "--exec", "echo up; sleep 1000"],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        try:
            t.expect_equal(first.stdout.readline(), b"up\n")
            refused(65, "run", "--disk", image.path, "--exec", "true", mention=["in use"])
        finally:
            first.kill()
            first.wait()


def test_a_read_only_disk_file():
    if os.getuid() == 0:
        return  # root writes to it all the same
    with t.Image() as image:
        image.path.chmod(0o444)
        refused(65, "run", "--disk", image.path, mention=[str(image.path)])


def test_garbage_disk_boots_to_a_panic():
    with t.Image() as image:
        image.path.write_bytes(random.Random(4).randbytes(1 << 20))
        r = t.viv("run", "--disk", image.path, "--exec", "true")
        t.expect_equal(r.returncode, 125, r.stderr.decode())
        t.expect_equal(r.stderr.count(b"\n"), 1, r.stderr.decode())


def test_device_trees():
    with t.Image() as image:
        tree = image.folder / "m.dtb"
        refused(65, "run", "--machine", tree, mention=[str(tree)])
        for content in (b"", b"\xd0\x0d\xfe\xed", random.Random(5).randbytes(4096),
                        b"\xd0\x0d\xfe\xed" + random.Random(6).randbytes(4096)):
            tree.write_bytes(content)
            refused(65, "run", "--machine", tree, mention=[str(tree)])
        source = image.folder / "m.dts"
        source.write_text("/dts-v1/;\n/ { broken")
        r = t.viv("run", "--machine", source)
        t.expect_equal(r.returncode, 65)
        t.expect(b"m.dts" in r.stderr, r.stderr.decode())


def test_memory():
    refused(65, "run", "--mem", "1000T", mention=["--mem"])
    refused(64, "run", "--mem", "0", mention=["--mem"])
    r = t.viv("run", "--mem", "1M", "--exec", "true")
    t.expect(r.returncode in (65, 125) and r.stderr.count(b"\n") == 1, (r.returncode, r.stderr))


def test_no_input_possible():
    r = t.viv("run", "--serial", "null", timeout=60)
    t.expect(r.returncode in (0, 125), (r.returncode, r.stderr))
    r = t.viv("run", "--append", "console=tty0", timeout=60)  # shells on a display that nobody sits at
    t.expect_equal((r.returncode, r.stderr.count(b"\n")), (125, 1), r.stderr)
    t.expect(b"leave standard input open" in r.stderr and b"--display sdl" in r.stderr, r.stderr)


if __name__ == "__main__":
    t.main(globals())
