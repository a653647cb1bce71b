# SPDX-License-Identifier: MIT
"""A stock Debian kernel and a busybox initramfs for the debugger's tests: downloaded once into the cache, nothing of it
is committed."""
import lzma
import os
import pathlib
import stat
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "viv" / "kernels"
BUSYBOX = "/bin/busybox"
APPEND = "console=ttyS0 nokaslr"


def package(flavour):
    """Name of the newest kernel package, as linux-image-FLAVOUR depends on it."""
    text = subprocess.run(["apt-cache", "depends", f"linux-image-{flavour}"], capture_output=True, text=True,
                          check=True).stdout
    return next(line.split()[-1] for line in text.splitlines() if "Depends: linux-image-" in line)


def kernel(flavour="cloud-amd64"):
    """Path of the unpacked package's vmlinuz."""
    name = package(flavour)
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if not list(CACHE.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", name], cwd=CACHE, check=True, capture_output=True)
        deb = sorted(CACHE.glob(f"{name}_*.deb"))[-1]
        partial = CACHE / f"{name}.{os.getpid()}"
        subprocess.run(["dpkg-deb", "-x", deb, partial], check=True)
        partial.rename(folder)
    return next((folder / "boot").glob("vmlinuz-*"))


def _lz4_block(data):
    """One block of LZ4 (lz4_Block_format.md)."""
    out, at = bytearray(), 0
    while True:
        token = data[at]
        at += 1
        literals = token >> 4
        if literals == 15:
            while True:
                literals += data[at]
                at += 1
                if data[at - 1] != 255:
                    break
        out += data[at:at + literals]
        at += literals
        if at >= len(data):
            return out
        distance = data[at] | data[at + 1] << 8
        at += 2
        length = (token & 15) + 4
        if length == 19:
            while True:
                length += data[at]
                at += 1
                if data[at - 1] != 255:
                    break
        begin = len(out) - distance
        while length > 0:
            part = out[begin:begin + length]
            out += part
            length -= len(part)


def unpack(data):
    """The kernel in a bzImage's payload: xz, or LZ4's legacy frame of blocks with their sizes before them."""
    if data[:4] != b"\x02\x21\x4c\x18":
        return lzma.LZMADecompressor().decompress(data)
    out, at = b"", 4
    while at + 8 < len(data):
        size, = struct.unpack_from("<I", data, at)
        out += _lz4_block(data[at + 4:at + 4 + size])
        at += 4 + size
    return out


def vmlinux(flavour="cloud-amd64"):
    """The ELF file in the bzImage, which boots by PVH."""
    image = kernel(flavour)
    path = CACHE / f"{package(flavour)}.vmlinux"
    if not path.exists():
        data = image.read_bytes()
        offset, length = struct.unpack_from("<II", data, 0x248)
        begin = (data[0x1F1] + 1) * 512 + offset
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(unpack(data[begin:begin + length]))
        partial.rename(path)
    return path


def _entry(number, name, mode, data=b"", device=(0, 0)):
    """One file of a newc cpio archive (cpio(5))."""
    name = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name
    return head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)


NAMES = ("sh", "cat", "echo", "ls", "mount", "poweroff", "uname", "true", "ps", "sleep", "wc", "mkdir")


def _rows(init, files):
    rows = [(name, stat.S_IFDIR | 0o755, b"", (0, 0)) for name in ("bin", "dev", "proc", "sys", "root", "tmp")]
    rows.append(("dev/console", stat.S_IFCHR | 0o600, b"", (5, 1)))
    rows.append(("dev/null", stat.S_IFCHR | 0o666, b"", (1, 3)))
    rows.append(("bin/busybox", stat.S_IFREG | 0o755, pathlib.Path(BUSYBOX).read_bytes(), (0, 0)))
    rows.append(("init", stat.S_IFREG | 0o755, init.encode(), (0, 0)))
    rows += [(name, stat.S_IFREG | 0o755, pathlib.Path(local).read_bytes(), (0, 0)) for name, local in files]
    return rows + [(f"bin/{name}", stat.S_IFLNK | 0o777, b"busybox", (0, 0)) for name in NAMES]


def initramfs(path, init, files=()):
    """busybox with its usual names, /init with this text, more files as (name, local path)."""
    archive = b"".join(_entry(i + 1, *row) for i, row in enumerate(_rows(init, files)))
    pathlib.Path(path).write_bytes(archive + _entry(0, "TRAILER!!!", 0))
    return path


def folder(path, init, files=()):
    """The same files as a folder, for root's chroot."""
    for name, mode, data, device in _rows(init, files):
        target = pathlib.Path(path) / name
        if stat.S_ISDIR(mode):
            target.mkdir(parents=True)
        elif stat.S_ISLNK(mode):
            target.symlink_to(data.decode())
        elif stat.S_ISCHR(mode):
            os.mknod(target, mode, os.makedev(*device))
        else:
            target.write_bytes(data)
            target.chmod(mode & 0o777)
    return path


def machine(kernel_path, initrd, append=APPEND):
    return ["--kernel", kernel_path, "--initrd", initrd, "--append", append]
