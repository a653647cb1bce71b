# SPDX-License-Identifier: MIT
"""Runs a ring-0 kernel on Bochs, which knows no PVH: from a disk image that boot_sector.S begins. Bochs wants a terminal for its
display (bochs-term): it gets one that nobody looks at."""
import os
import pty
import select
import shutil
import signal
import struct
import tempfile
import time

SECTOR = 512
PIECE = 64 * SECTOR
NUMBERS_AT = 488  # in the boot sector: pieces, load address, image bytes, .bss bytes, entry
ROOM = 0x70000  # below the BIOS' data, above 64 KiB
ROM, VGA_ROM = "/usr/share/bochs/BIOS-bochs-latest", "/usr/share/vgabios/vgabios.bin"

CONFIGURATION = """
display_library: term
megs: 64
romimage: file={rom}
vgaromimage: file={vga}
cpu: model={model}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
clock: sync=none
ata0-master: type=disk, mode=flat, path={disk}, cylinders={cylinders}, heads=16, spt=63
boot: disk
speaker: enabled=0
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
"""


def installed():
    return shutil.which("bochs") and os.path.exists(ROM) and os.path.exists(VGA_ROM)


def make_disk(kernel, boot_sector, path):
    """kernel: an ELF64 file with one PT_LOAD. Returns the disk's cylinders."""
    with open(kernel, "rb") as f:
        elf = f.read()
    with open(boot_sector, "rb") as f:
        sector = bytearray(f.read())
    assert len(sector) == SECTOR and sector[510:] == b"\x55\xAA"
    entry, offset = struct.unpack_from("<QQ", elf, 24)
    size, count = struct.unpack_from("<HH", elf, 54)
    headers = [struct.unpack_from("<IIQQQQQQ", elf, offset + i * size) for i in range(count)]
    (load,) = [h for h in headers if h[0] == 1]
    _, _, at, _, address, file_bytes, memory_bytes, _ = load
    assert file_bytes <= ROOM
    pieces = -(-file_bytes // PIECE)
    struct.pack_into("<IIIII", sector, NUMBERS_AT, pieces, address, file_bytes, memory_bytes - file_bytes, entry)
    cylinder = 16 * 63 * SECTOR
    image = bytes(sector) + elf[at:at + file_bytes].ljust(pieces * PIECE, b"\0")
    cylinders = -(-len(image) // cylinder)
    with open(path, "wb") as f:
        f.write(image.ljust(cylinders * cylinder, b"\0"))
    return cylinders


def run(kernel, boot_sector, serial, model="corei7_skylake_x", timeout=60):
    """Serial output goes to the file serial. Returns Bochs' log, for when something is wrong. The kernel ends Bochs by its
    shutdown port, or is stopped at its line "end"."""
    with tempfile.TemporaryDirectory() as folder:
        disk, log = os.path.join(folder, "disk.img"), os.path.join(folder, "log")
        configuration = os.path.join(folder, "bochsrc")
        cylinders = make_disk(kernel, boot_sector, disk)
        with open(configuration, "w", encoding="ascii") as f:
            f.write(CONFIGURATION.format(rom=ROM, vga=VGA_ROM, model=model, disk=disk, cylinders=cylinders, serial=serial,
                                         log=log))
        commands = os.path.join(folder, "commands") # for Debian's Bochs, which stops in its debugger
        with open(commands, "w", encoding="ascii") as f:
            f.write("c\n")
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "linux"
            os.environ.pop("MALLOC_PERTURB_", None)  # "meson test" sets it; Bochs 2.7 reads what it never wrote
            os.execvp("bochs", ["bochs", "-q", "-f", configuration, "-rc", commands])
        shown = wait_for_end(pid, terminal, serial, timeout)
        with open(log, "a+", encoding="latin-1") as f:
            f.seek(0)
            return f.read() + shown


def wait_for_end(pid, terminal, serial, timeout):
    deadline, shown, status = time.monotonic() + timeout, b"", 0
    while not status and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                shown += os.read(terminal, 65536)
            except OSError:
                time.sleep(0.05)
        status = os.waitpid(pid, os.WNOHANG)[0]
        if os.path.exists(serial):
            with open(serial, "rb") as f:
                if f.read().endswith((b"\nend\n", b"\nend\r\n")):
                    break
    if not status:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(terminal)
    return shown[-400:].decode("latin-1")
