#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: gate
"""The gate's share of fern: on a machine that nobody here wrote, and a session recorded, replayed and compared. The Debian
boots are in test_debian.py."""
import pathlib
import shutil
import sys

import vivtest as t
import test_qemu

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "replay"))
import recordings as r  # noqa: E402


def test_fern_on_qemu():
    t.expect(shutil.which("qemu-system-x86_64"), "qemu-system-x86_64 is not installed (tools/deps)")
    test_qemu.session()


def test_fern_on_qemu_with_four_processors():
    t.expect(shutil.which("qemu-system-x86_64"), "qemu-system-x86_64 is not installed (tools/deps)")
    test_qemu.session("-smp", "4")


def test_replayed_session():
    with r.Folder() as f:
        shown = r.typed_session(f / "a", 20, more=("--checkpoints",))
        t.expect(len(shown) > 1000, "the session showed something")
        for options in (["--verify"], ["--verify", "--tlb", "tiny"]):
            again = r.replay(f / "a", *options)
            t.expect_equal(again.returncode, 0, f"replay {' '.join(options)}: {again.stderr[-500:]!r}")


if __name__ == "__main__":
    t.main(globals())
