# SPDX-License-Identifier: MIT
"""Reading pictures of fern's console: which characters, in which colours, from the font's own texts."""
import functools
import importlib.util
import pathlib

import vivtest as t

FONT = t.TOP / "guest" / "kernel" / "tty" / "font"


@functools.cache
def glyphs():
    """{rows of a glyph: its character}, of what looks alike the first."""
    spec = importlib.util.spec_from_file_location("make_font", FONT / "make_font.py")
    make_font = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_font)
    font = make_font.whole_font(map(str, sorted(FONT.glob("*.txt"))))
    table = {}
    for code in sorted(font.glyphs):
        table.setdefault(tuple(font.rows(code)), chr(code))
    return table


@functools.cache
def decode(cell):
    """(character, foreground, background) of 16 rows of 8 dots; the character is None if it is no glyph's."""
    dots = [[int.from_bytes(cell[at:at + 3], "big") for at in range(row, row + 24, 3)] for row in range(0, 384, 24)]
    colours = sorted({d for row in dots for d in row})
    if len(colours) == 1:
        return " ", None, colours[0]
    for background, foreground in ((colours[0], colours[1]), (colours[1], colours[0])):
        shape = tuple(sum((d == foreground) << (7 - i) for i, d in enumerate(row)) for row in dots)
        if shape in glyphs() and len(colours) == 2:
            return glyphs()[shape], foreground, background
    return None, None, None


def cell_at(picture, x, y):
    return decode(b"".join(row[24 * x:24 * x + 24] for row in picture[2][16 * y:16 * y + 16]))


def text_of(picture, rows=None):
    """The lines of the screen without blanks at their ends; the cursor counts as part of its cell ('?')."""
    width, height, _ = picture
    lines = []
    for y in range(rows or height // 16):
        lines.append("".join(cell_at(picture, x, y)[0] or "?" for x in range(width // 8)).rstrip())
    while lines and not lines[-1]:
        lines.pop()
    return lines
