#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Recordings as files: golden ones of every version, bad ones of every kind, images that are not what they were."""
import os
import random
import shutil
import stat
import struct

import recordings as r
import vivtest as t

GOLDEN = t.TOP / "tests" / "golden"
# What the last states were when those of the present semantics were made: written by tests/golden/make.
GOLDEN_STATES = dict(line.split() for line in (GOLDEN / "states").read_text().splitlines())
GOLDEN_OUTPUT = {"echo": (4, b"ready\ngolden input\n"), "worker": (7, b"")}
ECHO, WORKER = (GOLDEN / name for name in sorted(GOLDEN_STATES))
HEADER_FIXED = 32


def chunks(data):
    """(offset, type, length) of each chunk."""
    at = HEADER_FIXED + struct.unpack_from("<I", data, 24)[0]
    while at + 48 <= len(data):
        kind, _, length = struct.unpack_from("<IIQ", data, at)
        yield at, kind, length
        at += 48 + length


def refused(path, *words, status=65):
    result = r.replay(path, timeout=60)
    t.expect_equal(result.returncode, status, f"{path}: {result.stderr}")
    line = r.error_line(result)
    for word in words:
        t.expect(word in line, f"{word!r} is not in {line!r}")


def small(folder, name="a"):
    path = folder / name
    t.viv("run", "--kernel", t.TOP / "build" / "tests" / "machine" / "echo.elf", "--mem", "16M", "--record", path,
          stdin=b"some input\n")
    return path


def test_golden():
    for path in GOLDEN.glob("*.viv"):
        if path.name not in GOLDEN_STATES:
            refused(path, "older", "semantics")
    for name, state_hash in GOLDEN_STATES.items():
        status, output = GOLDEN_OUTPUT[name.split("-")[1].split(".")[0]]
        result = r.expect_replays(GOLDEN / name)
        t.expect_equal((result.returncode, result.stdout, t.stats(result)["state_hash"]), (status, output, state_hash), name)
        checked = r.replay(GOLDEN / name, "--verify")
        t.expect_equal(checked.returncode, 0, checked.stderr.decode())


def test_cut_off_anywhere():
    data = WORKER.read_bytes()
    whole = [at for at, _, _ in chunks(data)]
    with r.Folder() as f:
        for size in sorted({0, 1, 7, 8, 31, 32, 100, *whole, *(at + 20 for at in whole[:3]), whole[-1] + 60, len(data) - 1}):
            (f / "cut").write_bytes(data[:size])
            result = r.replay(f / "cut")
            if result.returncode == 7 and size >= whole[-1]:
                continue  # all but the end itself: the machine comes to it alone
            line = r.error_line(result)
            if size < whole[0]:
                t.expect_equal(result.returncode, 65, f"{size}: {line}")
                t.expect("cut off" in line or "no recording" in line, line)
            else:
                t.expect(result.returncode in (0, 65) and ("cut off" in line or "embedded" in line), f"{size}: {line}")


def test_every_flipped_byte_is_noticed():
    data = bytearray(ECHO.read_bytes())
    step = 1 if t.LEVEL == "all" else 41
    with r.Folder() as f:
        for at in range(0, len(data), step):
            data[at] ^= 0x10
            (f / "bad").write_bytes(data)
            data[at] ^= 0x10
            result = r.replay(f / "bad", timeout=60)
            line = r.error_line(result)
            cut = result.returncode == 0 and "cut off" in line  # a length: the rest cannot be found
            t.expect(cut or result.returncode == 65, f"byte {at}: {result.returncode}, {line}")


def test_foreign_older_newer():
    data = bytearray(ECHO.read_bytes())
    with r.Folder() as f:
        path = f / "bad"
        path.write_bytes(b"\x7fELF" + bytes(1000))
        refused(path, "no recording of viv")
        refused("/etc/passwd", "no recording of viv")
        refused(f, "regular file")
        refused(f / "nothing", "No such file")
        os.mkfifo(f / "fifo")
        refused(f / "fifo", "regular file")
        present = struct.unpack_from("<I", data, 12)[0]
        for format_version, semantics, features, word in (
                (2, present, 0, "newer"), (1, present + 1, 0, "newer"), (1, present - 1, 0, "older"),
                (0, present, 0, "older"), (1, present, 1 << 40, "newer")):
            changed = bytearray(data)
            struct.pack_into("<IIQ", changed, 8, format_version, semantics, features)
            path.write_bytes(changed)
            refused(path, word)
        path.write_bytes(data + b"more")
        refused(path, "goes on behind its end")


def test_wrong_images():
    with t.Image() as image, r.Folder() as f:
        kernel = f / "kernel"
        shutil.copyfile(t.FERN, kernel)
        t.run_exec("true", "--kernel", kernel, "--disk", image.path, "--record", f / "a")
        r.expect_replays(f / "a")
        with open(image.path, "r+b") as disk:
            disk.seek(5000000)
            disk.write(b"changed")
        refused(f / "a", "disk.img is not the file", "recorded", "SHA-256")
        os.unlink(image.path)
        refused(f / "a", "disk.img", "No such file")
        with open(kernel, "ab") as binary:
            binary.write(b"x")
        refused(f / "a", "kernel is not the file", "recorded")


def test_usage():
    with r.Folder() as f:
        path = small(f)
        for arguments, words in ((("replay",), "usage"), (("replay", path, path), "usage"),
                                 (("replay", path, "--mem", "64M"), "--mem"), (("run", "--from", path), "FILE@STEP"),
                                 (("run", "--verify"), "viv replay"), (("run", "--from", f"{path}@5", "--exec", "x"), "--exec"),
                                 (("diff", path), "usage"), (("run", "--self-contained"), "--record"),
                                 (("run", "--record", f / "no" / "folder"), "cannot write")):
            result = t.viv(*arguments)
            t.expect_equal(result.returncode, 65 if "folder" in str(arguments[-1]) else 64, str(arguments))
            t.expect(words in result.stderr.decode(), f"{arguments}: {result.stderr}")


def test_only_files_are_replaced():
    """A recording takes its name's place at its end: a device, a pipe or a folder of that name stays what it is."""
    with r.Folder() as f:
        os.mkfifo(f / "fifo")
        (f / "folder").mkdir()
        os.symlink("/dev/null", f / "null")
        for name in ("fifo", "folder", "null"):
            before = os.lstat(f / name).st_ino
            result = t.run_exec("true", "--record", f / name)
            t.expect_equal((result.returncode, result.stdout), (65, b""), name)
            t.expect(f"{f / name} is not a regular file" in r.error_line(result), name)
            t.expect_equal(os.lstat(f / name).st_ino, before, name)
        t.expect_equal(sorted(os.listdir(f)), ["fifo", "folder", "null"])
        small(f)
        small(f)
        t.expect_equal(r.replay(f / "a").returncode, 4, "a second recording of the same name")


def test_a_full_disk_loses_only_the_end():
    if not stat.S_ISCHR(os.stat("/dev/full").st_mode):
        return
    with r.Folder() as f:
        os.symlink("/dev/full", f / "a.incomplete")
        result = t.run_exec("echo out", "--record", f / "a")
        t.expect_equal((result.returncode, result.stdout), (65, b"out\n"))
        t.expect("No space left" in r.error_line(result), "why")


def test_not_the_machine_it_says():
    """Another kernel under the recorded name and hash: the replay notices that it does something else."""
    data = bytearray(WORKER.read_bytes())
    with r.Folder() as f:
        # A hash in the middle is changed, with its chunk's checksum: the first bad interval is named.
        at, kind, length = next(c for c in chunks(data) if c[1] == 2)
        t.expect(length > 48, "a chunk of hashes")
        flags = struct.unpack_from("<I", data, at + 4)[0]
        t.expect_equal(flags & 1, 0, "not packed")
        position = at + 48 + 1
        steps = []
        while position < at + 48 + length:
            position += 1
            value = shift = 0
            while True:
                byte = data[position]
                position += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    break
            steps.append(((steps[-1][0] if steps else 0) + value, position))
            position += 8
        step, where = steps[2]
        data[where] ^= 1
        struct.pack_into("<I", data, at + 44, crc32c(crc32c(0, data[at:at + 44]), data[at + 48:at + 48 + length]))
        (f / "bad").write_bytes(data)
        refused(f / "bad", f"between steps {steps[1][0]} and {step}", "state hash")


def test_strange_inputs():
    """Inputs that no machine has had, with right checksums: the replay ends, by itself or in one line, never by a crash."""
    original = ECHO.read_bytes()
    at, _, length = next(c for c in chunks(original) if c[1] == 1 and c[2] > 20)
    source = random.Random(7)
    with r.Folder() as f:
        for number in range(1000 if t.LEVEL == "all" else 30):
            data = bytearray(original)
            for _ in range(source.randrange(1, 6)):
                data[at + 48 + source.randrange(length)] = source.choice((0, 1, 5, 6, 7, 127, source.randrange(256)))
            struct.pack_into("<I", data, at + 44, crc32c(crc32c(0, data[at:at + 44]), data[at + 48:at + 48 + length]))
            (f / "strange").write_bytes(data)
            result = r.replay(f / "strange", "--timeout", 5, timeout=60)
            t.expect(result.returncode in (0, 4, 65, 124, 125), f"round {number}: {result.returncode}, {result.stderr}")
            t.expect(result.returncode == 4 or r.error_line(result), "one line")


def crc32c(crc, data):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


if __name__ == "__main__":
    t.main(globals())
