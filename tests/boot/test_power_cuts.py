#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""ext2 against power cuts: QEMU logs every write and flush of a disk; at 200 points the disk is rebuilt from the writes
before the last completed flush and a seeded subset of the later ones. After e2fsck -fy everything whose sync had returned,
and which nobody touched since, must be there with its contents."""
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

import vivtest as t

CUTS = 200
SIZE = 16 << 20
FLUSH = 1
KERNEL = os.environ.get("FERN", str(t.FERN))


def record(work):
    """Runs the guest program; returns (start image, log entries, console text)."""
    program, image, root, log = (os.path.join(work, n) for n in ("power_cuts", "disk.img", "root.img", "disk.log"))
    subprocess.run(["musl-gcc", "-static", "-O1", "-o", program, str(t.TOP / "tests/boot/power_cuts.c")], check=True)
    subprocess.run([str(t.TOP / "tools/mkrootfs"), root, "--add", f"{program}:/power_cuts"], check=True,
                   stdout=subprocess.DEVNULL)
    with open(image, "wb") as f:
        f.truncate(SIZE)
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-b", "1024", "-F", image], check=True)
    with open(image, "rb") as f:
        start = f.read()
    with open(log, "wb") as f:
        f.truncate(0)
    console = os.path.join(work, "console")
    subprocess.run(
        ["timeout", "120", "qemu-system-x86_64", "-machine", "q35", "-m", "128", "-smp", t.SMP or "1", "-display", "none", "-no-reboot",
         "-serial", f"file:{console}", "-monitor", "none", "-kernel", KERNEL, "-append", "console=ttyS0 quiet init=/power_cuts",
         "-drive", f"file={root},format=raw,if=none,id=d,snapshot=on", "-device", "ide-hd,drive=d,bus=ide.0",
         "-blockdev", f"driver=file,filename={image},node-name=image", "-blockdev", f"driver=file,filename={log},node-name=log",
         "-blockdev", "driver=blklogwrites,node-name=e,file=image,log=log,log-sector-size=512",
         "-device", "ide-hd,drive=e,bus=ide.1"], check=False)
    with open(console, "rb") as f:
        text = f.read().replace(b"\r", b"").decode(errors="replace")
    with open(log, "rb") as f:
        return start, parse_log(f.read()), text


def parse_log(raw):
    """The dm-log-writes format: a super block, then per entry a header sector and the data."""
    _, _, count, sector_size = struct.unpack_from("<QQQI", raw)
    entries, at = [], sector_size
    for _ in range(count):
        sector, sectors, flags, _ = struct.unpack_from("<QQQQ", raw, at)
        at += sector_size
        data = raw[at:at + sectors * sector_size]
        at += len(data)
        entries.append((flags, sector * sector_size, data))
    return entries


def parse_console(text):
    """[(writes completed, {file: contents}, touched by the next step)] per acknowledged step."""
    acks, files = [], {}
    for line in text.splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "ack":
            acks.append([int(words[2]), None, set()])
            acks[-1][1] = files = dict(files)
        elif words[0] == "file":
            files[int(words[1])] = words[2:]
        elif words[0] == "step" and acks:
            acks[-1][2] = {int(w) for w in words[2:]}
    return acks


def checksum(data):
    value = 14695981039346656037
    for byte in data:
        value = ((value ^ byte) * 1099511628211) & (2 ** 64 - 1)
    return f"{value:016x}"


def rebuild(start, entries, cut, seed):
    image = bytearray(start)
    last_flush = max((i for i in range(cut) if entries[i][0] & FLUSH), default=-1)
    chooser = random.Random(seed)
    for i in range(cut):
        _, offset, data = entries[i]
        if data and (i < last_flush or chooser.random() < 0.5):
            image[offset:offset + len(data)] = data
    return image


def expected_at(acks, cut):
    known = None
    for ack in acks:
        if ack[0] <= cut:
            known = ack
    return known


def check_cut(work, image, known, cut):
    path, out = os.path.join(work, "cut.img"), os.path.join(work, "cut")
    with open(path, "wb") as f:
        f.write(image)
    fixed = subprocess.run(["e2fsck", "-fy", path], capture_output=True, text=True)
    t.expect(fixed.returncode in (0, 1), f"cut {cut}: e2fsck -fy ended with {fixed.returncode}: {fixed.stdout[-500:]}")
    for n, want in sorted(known[1].items()):
        if n in known[2]:
            continue
        subprocess.run(["debugfs", "-R", f"dump /d{n % 3}/f{n} {out}", path], capture_output=True)
        if want == ["absent"]:
            t.expect(not os.path.exists(out), f"cut {cut}: file {n} is back")
            continue
        t.expect(os.path.exists(out), f"cut {cut}: file {n} is lost\n{fixed.stdout}")
        with open(out, "rb") as f:
            data = f.read()
        os.unlink(out)
        t.expect_equal([str(len(data)), checksum_cached(data)], want, f"cut {cut}: file {n}")


cache = {}


def checksum_cached(data):
    if data not in cache:
        cache[data] = checksum(data)
    return cache[data]


def test_power_cuts():
    with tempfile.TemporaryDirectory() as work:
        start, entries, text = record(work)
        t.expect("\nend\n" in text, f"the guest did not finish: {text[-1000:]}")
        acks = parse_console(text)
        t.expect(len(acks) > 50 and len(entries) > 300, f"{len(acks)} steps, {len(entries)} log entries")
        t.expect(acks[-1][0] <= len(entries), "more writes than the log has")
        chooser = random.Random(1)
        cuts = sorted(chooser.sample(range(acks[0][0] + 1, len(entries)), min(CUTS, len(entries) - acks[0][0] - 1)))
        for cut in cuts:
            check_cut(work, rebuild(start, entries, cut, cut), expected_at(acks, cut), cut)
        print(f"# {len(cuts)} cuts of {len(entries)} log entries, {len(acks)} steps")


if __name__ == "__main__":
    t.main(globals())
