#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A power cut at any moment: everything whose sync had returned is there after e2fsck -fy.

A guest creates, rewrites, renames and removes files, with a sync (or fsync) and a line on stdout after each; the shim logs
the disk's writes and flushes. At each of the cut points the image keeps all writes before the last completed flush and a
seeded subset of the later ones (a disk may have written any of those), is repaired, and is held against what was promised.
"""
import pathlib
import random
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "boot"))
import vivtest as t

CUTS = {"gate": 10, "default": 200, "all": 1000}[t.LEVEL]
ROUNDS = 40
SCRIPT = r"""
cd /root; i=0
while [ $i -lt %d ]; do
  i=$((i+1))
  case $((i %% 4)) in
  0) mkdir -p d$i/e; echo "content $i" > d$i/e/f; seq 1 $((i*97)) >> d$i/e/f;;
  1) seq 1 $((i*50)) > new; mv new f$i;;
  2) echo "content $i" > f$i; dd if=/bin/busybox of=big$i bs=4k count=$((i*3)) 2>/dev/null;;
  3) rm -rf d$((i-3)) big$((i-5)); seq $i $((i*20)) > f$i; ln f$i hard$i;;
  esac
  sync
  echo "synced $i"
done
""" % ROUNDS


def expected_files(i):
    """What round i leaves on the disk for good (later rounds remove only d* and big*)."""
    seq = lambda a, b: "".join(f"{n}\n" for n in range(a, b + 1))
    if i % 4 == 1:
        return {f"/root/f{i}": seq(1, i * 50)}
    if i % 4 == 2:
        return {f"/root/f{i}": f"content {i}\n"}
    if i % 4 == 3:
        return {f"/root/f{i}": seq(i, i * 20), f"/root/hard{i}": seq(i, i * 20)}
    return {}


def read_log(path):
    data, at, records = path.read_bytes(), 0, []
    while at + 17 <= len(data):
        kind, offset, size = chr(data[at]), *struct.unpack_from("<QQ", data, at + 1)
        records.append((kind, offset, data[at + 17:at + 17 + size]))
        at += 17 + size
    return records


def record_run(image):
    shim, log = image.folder / "shim.so", image.folder / "log"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(shim), str(pathlib.Path(__file__).parent / "shim.c")], check=True)
    original = image.path.read_bytes()
    env = dict(t.os.environ, LD_PRELOAD=str(shim), CRASH_LOG=str(log), CRASH_IMAGE=str(image.path))
    r = t.run_exec(SCRIPT, "--disk", image.path, env=env, timeout=300)
    t.expect_equal(r.returncode, 0, r.stderr.decode())
    t.expect(r.stdout.endswith(f"synced {ROUNDS}\n".encode()), r.stdout[-200:])
    return original, read_log(log)


def cut(original, records, at, chance):
    """The image of a cut after records[:at], and the rounds whose sync had returned."""
    durable = max((i for i in range(at) if records[i][0] == "F"), default=-1)
    image, said = bytearray(original), b""
    for i, (kind, offset, data) in enumerate(records[:at]):
        if kind == "W" and (i < durable or chance.random() < 0.5):
            image[offset:offset + len(data)] = data
        elif kind == "O":
            said += data
    return image, said.count(b"\n")


def read_files(image_path, names, folder):
    script = folder / "dump.cmd"
    script.write_text("".join(f'dump "{name}" {folder}/dump-{i}\n' for i, name in enumerate(names)))
    subprocess.run(["debugfs", "-f", str(script), str(image_path)], capture_output=True)
    for i, name in enumerate(names):
        path = folder / f"dump-{i}"
        yield name, path.read_text(errors="replace") if path.exists() else None
        path.unlink(missing_ok=True)


def test_power_cuts():
    chance = random.Random(7)
    with t.Image() as image:
        original, records = record_run(image)
        t.expect(sum(r[0] == "F" for r in records) >= ROUNDS, "a sync did not flush the disk")
        cut_path = image.folder / "cut.img"
        for number in range(CUTS):
            at = chance.randrange(1, len(records) + 1)
            content, synced = cut(original, records, at, chance)
            cut_path.write_bytes(content)
            fix = subprocess.run(["e2fsck", "-fy", str(cut_path)], capture_output=True, text=True)
            t.expect(fix.returncode in (0, 1, 2), f"cut {number} at {at}: e2fsck {fix.returncode}: {fix.stdout[-600:]}")
            wanted = {}
            for i in range(1, synced + 1):
                wanted.update(expected_files(i))
            for name, text in read_files(cut_path, list(wanted), image.folder):
                t.expect(text == wanted[name], f"cut {number} at {at}, {synced} synced: {name} is {'missing' if text is None else 'damaged'}")


if __name__ == "__main__":
    t.main(globals())
