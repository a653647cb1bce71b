#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The ACPI tables as Intel's compiler sees them: they disassemble, and what comes out compiles again without a word."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = pathlib.Path(os.environ.get("VIV_BUILD", TOP / "build")) / "tests" / "machine" / "test_boot"
DEVICES = {"PNP0A03": 1, "PNP0501": 4, "PNP0303": 1, "PNP0F13": 1, "PNP0103": 1, "PNP0B00": 1}
# How often resources stand in the DSDT; what is not understood would be shown as a buffer.
RESOURCES = {"WordBusNumber (": 1, "WordIO (": 2, "DWordMemory (": 1, "Memory32Fixed (": 1, "IRQNoFlags (": 7, "Buffer (": 0}


def iasl(folder, *arguments):
    result = subprocess.run(["iasl", *arguments], cwd=folder, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


def main():
    if not shutil.which("iasl"):
        print("not ok - acpi: iasl is not installed (acpica-tools, tools/deps)")
        return 1
    folder = pathlib.Path(tempfile.mkdtemp())
    bad = []
    try:
        subprocess.run([str(PROGRAM), str(folder)], check=True)
        for table in sorted(folder.glob("*.aml")):
            status, text = iasl(folder, "-d", table.name)
            if status or re.search(r"error|warning|invalid|checksum", text, re.I):
                bad.append(f"{table.name}: {text[-800:]}")
        source = (folder / "DSDT.dsl").read_text()
        for name, count in DEVICES.items():
            if source.count(f'EisaId ("{name}")') != count:
                bad.append(f"DSDT has {source.count(name)} {name}, wanted {count}")
        for words, count in RESOURCES.items():
            if source.count(words) != count:
                bad.append(f"DSDT has {source.count(words)} {words}...), wanted {count}")
        status, text = iasl(folder, "-p", "again", "DSDT.dsl")
        if status or "0 Errors, 0 Warnings" not in text:
            bad.append(f"DSDT.dsl does not compile cleanly: {text[-1500:]}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n".join(f"not ok - acpi {line}" for line in bad) or "ok - acpi tables")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
