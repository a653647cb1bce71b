# SPDX-License-Identifier: MIT
"""Debian's kernels and an initramfs for them. Kernels come from the configured mirror by apt-get download and are kept in
${XDG_CACHE_HOME:-~/.cache}/viv/kernels; nothing of them is in the repository. As a program: debian_kernels.py [FLAVOUR]... fetches."""
import lzma
import gzip
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "viv" / "kernels"
FLAVOURS = ("cloud-amd64", "amd64")
BUSYBOX = pathlib.Path("/bin/busybox")
S_IFDIR, S_IFREG, S_IFCHR = 0o040000, 0o100000, 0o020000


class Kernel:
    def __init__(self, folder):
        self.folder = folder
        self.image = next(folder.glob("boot/vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")

    def modules(self, *names):
        """Paths of the modules and of what they depend on, in the order of loading."""
        paths = {path.stem.replace("-", "_"): path for path in self.folder.glob("lib/modules/**/*.ko")}
        order = []

        def add(name):
            if name not in paths:
                raise FileNotFoundError(f"{self.release} has no module {name}")
            depends = re.search(rb"\0depends=([^\0]*)\0", paths[name].read_bytes())
            for other in (depends.group(1).decode().split(",") if depends and depends.group(1) else []):
                add(other.replace("-", "_"))
            if paths[name] not in order:
                order.append(paths[name])

        for name in names:
            add(name)
        return order


def package_name(flavour):
    return versioned(f"linux-image-{flavour}", r"linux-image-\d\S*")


def versioned(meta, pattern):
    """What a package without a version in its name depends on."""
    text = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True, check=True).stdout
    return re.search(rf"Depends: ({pattern})", text).group(1)


def download(package, into):
    subprocess.run(["apt-get", "download", "-q", package], cwd=into, check=True, stdout=subprocess.DEVNULL)
    return next(pathlib.Path(into).glob("*.deb"))


def fetch(flavour):
    """The kernel of a flavour, from the cache if it is there."""
    package = package_name(flavour)
    folder = CACHE / package
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            os.chmod(work, 0o755)
            unpack(download(package, work), pathlib.Path(work) / "tree")
            (pathlib.Path(work) / "tree").rename(folder)
    return Kernel(folder)


def fetch_xen():
    """Debian's Xen hypervisor, an ELF file of 32 bits with a multiboot header."""
    package = versioned("xen-system-amd64", r"xen-hypervisor-\d\S*amd64")
    path = CACHE / package
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as work:
            os.chmod(work, 0o755)
            subprocess.run(["dpkg-deb", "-x", str(download(package, work)), work], check=True)
            image = next(pathlib.Path(work).glob("boot/xen-*.gz"))
            (pathlib.Path(work) / "xen").write_bytes(gzip.decompress(image.read_bytes()))
            (pathlib.Path(work) / "xen").rename(path)
    return path


def unpack(deb, folder):
    """The image, and those modules that the tests load: all of them are 400 MB."""
    wanted = ["./boot", *(f"./lib/modules/*/kernel/{part}" for part in
                          ("drivers/ata", "drivers/scsi/*.ko", "fs/ext4", "fs/jbd2", "fs/mbcache.ko", "lib", "crypto",
                           "drivers/input", "arch/x86/crypto", "block", "drivers/net/ethernet/intel/e1000*"))]
    folder.mkdir()
    tar = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(folder), "--wildcards", *wanted], stdin=tar.stdout, check=False,
                   stderr=subprocess.DEVNULL)  # a pattern without a match is no failure
    tar.stdout.close()
    tar.wait()
    if not list(folder.glob("boot/vmlinuz-*")):
        raise FileNotFoundError(f"{deb.name} has no kernel image")


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


def unpack_payload(data):
    """The kernel in a bzImage's payload: xz, or LZ4's legacy frame of blocks with their sizes before them."""
    if data[:4] != b"\x02\x21\x4c\x18":
        return lzma.LZMADecompressor().decompress(data)
    out, at = b"", 4
    while at + 8 < len(data):
        size, = struct.unpack_from("<I", data, at)
        out += _lz4_block(data[at + 4:at + 4 + size])
        at += 4 + size
    return out


def vmlinux(flavour):
    """The ELF file in the bzImage, which boots by PVH; unpacked once."""
    kernel = fetch(flavour)
    path = CACHE / f"{package_name(flavour)}.vmlinux"
    if not path.exists():
        data = kernel.image.read_bytes()
        offset, length = struct.unpack_from("<II", data, 0x248)
        begin = (data[0x1F1] + 1) * 512 + offset
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_bytes(unpack_payload(data[begin:begin + length]))
        partial.rename(path)
    return path


def cpio(entries):
    """An archive in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst) of
    (name, mode, bytes or (major, minor))."""
    out = bytearray()
    for number, (name, mode, content) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        device = content if isinstance(content, tuple) else (0, 0)
        data = b"" if isinstance(content, tuple) else content
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out) + bytes(-len(out) % 512)


def initramfs(path, script, modules=(), files=None):
    """Writes one whose /init is busybox running the script; the modules are loaded before. files: programs of the host's, by
    the names that they get there."""
    load = "".join(f"insmod /modules/{module.name}\n" for module in modules)
    init = f"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
{load}{script}
poweroff -f
"""
    entries = [(name, S_IFDIR | 0o755, b"") for name in ("bin", "dev", "proc", "sys", "mnt", "tmp", "modules")]
    entries += [("dev/console", S_IFCHR | 0o600, (5, 1)), ("dev/ttyS0", S_IFCHR | 0o600, (4, 64)),
                ("bin/busybox", S_IFREG | 0o755, BUSYBOX.read_bytes()), ("init", S_IFREG | 0o755, init.encode())]
    entries += [(f"modules/{module.name}", S_IFREG | 0o644, module.read_bytes()) for module in modules]
    entries += [(name, S_IFREG | 0o755, pathlib.Path(file).read_bytes()) for name, file in (files or {}).items()]
    pathlib.Path(path).write_bytes(cpio(entries))


if __name__ == "__main__":
    for flavour in sys.argv[1:] or FLAVOURS:
        print(fetch(flavour).image)
