#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Pictures of the display: at a step, at the end, frame by frame, the same live and in a replay, whatever engine and caches."""
import functools
import os
import pathlib
import subprocess
import tempfile

import pictures
import vivtest as t

WIDTH, HEIGHT, FRAMES, FRAME_STEPS = 640, 480, 4, 35_000_000
ENGINES = [[], ["--cpu-engine", "interp"], ["--tlb", "tiny"]] + ([["--tlb", "off"]] if os.environ.get("VIV_TEST_LEVEL") == "all" else [])
MACHINE = t.TOP / "tests" / "machine"


@functools.cache
def painter():
    folder = tempfile.TemporaryDirectory()
    kernel = pathlib.Path(folder.name) / "painter.elf"
    subprocess.run(["gcc", "-nostdlib", "-static", "-no-pie", "-Wl,--build-id=none", "-Wl,-T," + str(MACHINE / "ticker.ld"),
                    str(MACHINE / "painter.S"), "-o", str(kernel)], check=True)
    return folder, kernel


def paint(*options, status=7):
    r = t.viv("run", "--kernel", painter()[1], "--mem", "16M", "--stats", *options, timeout=120)
    t.expect_equal(r.returncode, status, r.stderr.decode(errors="replace"))
    return t.stats(r)["state_hash"]


def drawn(frame):
    """What painter.S draws."""
    rows = []
    for y in range(HEIGHT):
        values = (((x ^ y) * 0x10203 + frame * 0x301000) & 0xFFFFFF for x in range(WIDTH))
        rows.append(b"".join(v.to_bytes(3, "big") for v in values))
    return WIDTH, HEIGHT, rows


def test_the_picture_is_what_was_drawn():
    with t.Folder() as folder:
        shots = [item for name in ("first.png@30000000", "black.png@1", "last.png")
                 for item in ("--screenshot", f"{folder}/{name}")]
        paint(*shots)
        t.expect(pictures.read_png(folder / "first.png") == drawn(0), "the first frame")
        t.expect(pictures.read_png(folder / "last.png") == drawn(FRAMES - 1), "the last frame")
        width, height, rows = pictures.read_png(folder / "black.png")
        t.expect_equal((width, height), (1024, 768))
        t.expect(not any(any(row) for row in rows), "nothing is shown before there is a mode")


def test_engines_and_caches_draw_alike():
    with t.Folder() as folder:
        seen = set()
        for i, options in enumerate(ENGINES):
            name = folder / f"{i}.png"
            seen.add((paint(*options, "--screenshot", name), name.read_bytes()))
        t.expect_equal(len(seen), 1, "pictures and hashes")
    r = t.viv("run", "--kernel", painter()[1], "--mem", "16M", "--cpu-engine", "lockstep", timeout=120)
    t.expect(r.returncode in (7, 64), r.stderr)  # 64: a host without the translator


def test_a_replay_shows_the_same():
    with t.Folder() as folder:
        recording = folder / "painter.viv"
        paint("--record", recording, "--checkpoints=67108864", "--screenshot", f"{folder}/live.png@100000000")
        r = t.viv("replay", recording, "--frames", folder / "frames", "--screenshot", f"{folder}/replay.png@100000000", timeout=120)
        t.expect_equal(r.returncode, 7, r.stderr)
        live = (folder / "live.png").read_bytes()
        t.expect(live == (folder / "replay.png").read_bytes(), "the replay's picture")
        # Entered at a checkpoint before the step.
        r = t.viv("run", "--from", f"{recording}@90000000", "--until", "100000000", "--screenshot", folder / "from.png", timeout=120)
        t.expect_equal(r.returncode, 0, r.stderr)
        t.expect(live == (folder / "from.png").read_bytes(), "the picture after a jump")
        files = sorted((folder / "frames").glob("*.png"))
        pictured = [pictures.read_png(file) for file in files]
        # At 0 ms nothing is shown; frames are looked at every 33 ms, and drawn within 2.
        t.expect(drawn(0) in pictured and drawn(FRAMES - 1) == pictured[-1], "the frames drawn")
        t.expect(all(a != b for a, b in zip(pictured, pictured[1:])), "a file for each change only")
        listed = (folder / "frames" / "frames.ffconcat").read_text().splitlines()
        t.expect_equal([line.split("'")[1] for line in listed if line.startswith("file")], [file.name for file in files])


def refused(status, *arguments, mention):
    r = t.viv(*arguments, timeout=60)
    text = r.stderr.decode(errors="replace")
    t.expect_equal(r.returncode, status, text)
    t.expect_equal(text.count("\n"), 1, text)
    t.expect(mention in text, f"{mention!r} not in {text!r}")


def test_what_cannot_be():
    with t.Folder() as folder:
        run = ["run", "--kernel", painter()[1], "--mem", "16M"]
        for value in ("x.jpg", ".png", "x.png@1k"):
            refused(64, *run, "--screenshot", value, mention="--screenshot")
        refused(64, *run, "--frames", folder / "f", mention="viv replay")
        refused(64, *run, "--display", "vnc", mention="--display vnc")
        refused(65, *run, "--screenshot", folder / "no" / "x.png", mention="cannot write")
        late = folder / "late.png"
        refused(65, *run, "--until", "1000", "--screenshot", f"{late}@2000", mention="not through 2000")
        t.expect(not late.exists(), "no file without a picture")
        tree = folder / "pc.dtb"
        tree.write_bytes((t.BUILD / "emu" / "machine" / "pc.dtb").read_bytes())
        subprocess.run(["fdtput", "-t", "s", str(tree), "/isa/pci@cf8/display@18", "status", "disabled"], check=True)
        refused(65, *run, "--machine", tree, "--screenshot", late, mention="no display")
        recording = folder / "r.viv"
        t.viv(*run, "--until", "1000", "--record", recording, timeout=60)
        (folder / "full").mkdir()
        (folder / "full" / "file").touch()
        refused(65, "replay", recording, "--frames", folder / "full", mention="not empty")


if __name__ == "__main__":
    t.main(globals())
