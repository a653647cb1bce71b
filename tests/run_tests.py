#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs every test and prints "N passed, N failed".

A test is a program that meson knows (of build/ and, under the sanitizers, of build-asan/), or a tests/**/test_*.py that meson
does not run. Its TAP lines, "ok ..." and "not ok ...", are counted; a program that ends badly without a "not ok" counts as one
failure. Without any such line a program of meson's counts as one by its exit status; a script counts as failed. The level is in
VIV_TEST_LEVEL. Level "default" is all of meson's and every script without a "# levels:" line or with "default" in it; "all" runs
the long ones too; "gate" only the scripts with "gate" in that line: whole systems, that is Debian boots, fern on QEMU, a session.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build"
ASAN = TOP / "build-asan"
TIMEOUT_SECONDS = {"gate": 1500, "default": 900, "all": 5400}


def meson_tests(build, prefix):
    text = subprocess.run(["meson", "introspect", "--tests", str(build)], capture_output=True, text=True, check=True)
    for test in json.loads(text.stdout):
        yield prefix + test["name"], test["cmd"], dict(test["env"]), test["workdir"] or build


def script_tests(level, known):
    for path in sorted(TOP.glob("tests/**/test_*.py")):
        if str(path) in known:
            continue
        text = path.read_text()
        levels = re.search(r"^# levels: (.*)$", text, re.M)
        if level not in (levels.group(1).split() if levels else ["default", "all"]):
            continue
        exclusive = "# exclusive: yes" in text
        yield str(path.relative_to(TOP / "tests")), ["/usr/bin/python3", str(path)], {}, TOP, exclusive


def run(name, command, env, folder, level):
    started = time.monotonic()
    full_env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", UBSAN_OPTIONS="halt_on_error=1:print_stacktrace=1",
                    VIV_TEST_LEVEL=level, VIV_TOP=str(TOP), **env)
    try:
        result = subprocess.run(command, env=full_env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, cwd=folder, timeout=TIMEOUT_SECONDS[level])
        output, status = result.stdout.decode(errors="replace"), result.returncode
    except subprocess.TimeoutExpired as expired:
        output, status = (expired.stdout or b"").decode(errors="replace") + "\n[timed out]", -1
    passed = len(re.findall(r"^ok\b", output, re.M))
    failed = len(re.findall(r"^not ok\b", output, re.M))
    if passed == failed == 0 and status == 0 and not command[-1].endswith(".py"):
        passed = 1
    if failed == 0 and (status != 0 or passed == 0):
        failed = 1
    return name, passed, failed, output, time.monotonic() - started


def report(outcome, totals):
    name, passed, failed, output, seconds = outcome
    totals[0] += passed
    totals[1] += failed
    print(f"{'FAIL' if failed else 'ok  '} {name}: {passed} passed, {failed} failed ({seconds:.1f} s)", flush=True)
    if failed:
        lines = output.splitlines()
        bad = [line for line in lines if line.startswith("not ok")][:40]
        print("\n".join("     | " + line for line in (bad + ["..."] + lines[-60:])), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--level", choices=list(TIMEOUT_SECONDS), default="default")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    shared, alone = [], []
    if options.level != "gate":
        shared.extend([*meson_tests(BUILD, ""), *meson_tests(ASAN, "asan:")])
    known = {os.path.realpath(word) for test in shared for word in test[1] if word.endswith(".py")}
    for *test, exclusive in script_tests(options.level, known):
        (alone if exclusive else shared).append(tuple(test))
    shared = [t for t in shared if options.only in t[0]]
    alone = [t for t in alone if options.only in t[0]]
    totals = [0, 0]
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() or 2) as pool:
        jobs = [pool.submit(run, *test, options.level) for test in shared]
        for job in concurrent.futures.as_completed(jobs):
            report(job.result(), totals)
    for test in alone:
        report(run(*test, options.level), totals)
    print(f"{totals[0]} passed, {totals[1]} failed")
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    sys.exit(main())
