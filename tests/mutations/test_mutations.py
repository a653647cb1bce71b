#!/usr/bin/python3
# SPDX-License-Identifier: MIT
# levels: all
# exclusive: yes
"""Each named mutation must turn a test red. usage: test_mutations.py [WORD...] (only those whose name has a WORD)"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from mutations import MUTATIONS

TOP = pathlib.Path(__file__).resolve().parent.parent.parent


def run(command, tree, timeout=600):
    try:
        return subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", "timed out")


def build(tree):
    result = run(["ninja", "-C", "build"], tree, timeout=1200)
    return None if result.returncode == 0 else result.stdout[-800:]


def caught_by(detectors, tree):
    for command in detectors:
        if run(command, tree).returncode != 0:
            return " ".join(command)
    return None


def try_mutation(name, file, old, new, detectors, tree):
    path = tree / file
    original = path.read_text()
    if original.count(old) != 1:
        return f"the text of '{name}' stands {original.count(old)} times in {file}"
    path.write_text(original.replace(old, new))
    try:
        problem = build(tree)
        if problem:
            return f"'{name}' does not build: {problem}"
        return None if caught_by(detectors, tree) else f"nothing noticed '{name}'"
    finally:
        path.write_text(original)


def main():
    chosen = [m for m in MUTATIONS if len(sys.argv) < 2 or any(word in m[0] for word in sys.argv[1:])]
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        tree = pathlib.Path(folder) / "tree"
        shutil.copytree(TOP, tree, symlinks=True, ignore=shutil.ignore_patterns("build*", ".git"))
        run(["meson", "setup", "build", "-Dwerror=false"], tree)
        problem = build(tree)
        if problem:
            print(f"not ok - mutations: the unchanged tree does not build: {problem}")
            return 1
        for command in {tuple(d) for m in chosen for d in m[4]}:
            if run(list(command), tree).returncode != 0:
                print(f"not ok - mutations: fails in the unchanged tree: {' '.join(command)}", flush=True)
                bad += 1
        for mutation in chosen:
            problem = try_mutation(*mutation, tree)
            bad += problem is not None
            print(f"not ok - mutation: {problem}" if problem else f"ok - mutation: {mutation[0]}", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    sys.exit(main())
