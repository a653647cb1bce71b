#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Makes the console's font (8x16) a C file: make_font.py OUT.c FILE.txt...

The files show each glyph as text, '#' for a lit dot:

    U+0041 2          a character and the row (0..15) of the first line
    ..##..            one line a row: 8 columns, or 6 that start at column 1
    part grave        a named shape, used below
    U+00C0 = U+0041 grave    a letter with an accent above it, or a cedilla below

U+2500..U+257F (lines) and U+2580..U+259F (blocks) are computed from what their Unicode names say.
--sheet prints all glyphs instead, to look at them."""
import re
import sys
import unicodedata

WIDTH, HEIGHT = 8, 16
X, Y = 3, 7  # where thin lines run
PC_SIGNS = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼"  # what a PC showed for 0 to 31


def pad(line, where):
    if len(line) == 6:
        line = f".{line}."
    if len(line) != WIDTH or set(line) - set(".#"):
        sys.exit(f"{where}: a row has 6 or 8 of '.' and '#': {line}")
    return int(line.replace(".", "0").replace("#", "1"), 2)


class Font:
    def __init__(self):
        self.glyphs, self.parts, self.composed = {}, {}, []

    def read(self, path):
        target = None
        for number, line in enumerate(open(path, encoding="ascii"), 1):
            line, where = line.rstrip("\n"), f"{path}:{number}"
            if not line or line.startswith("# "):
                continue
            if m := re.fullmatch(r"part (\w+)", line):
                target = self.parts.setdefault(m[1], [])
            elif m := re.fullmatch(r"U\+([0-9A-F]{4}) (\d+)", line):
                target = self.glyphs[int(m[1], 16)] = [0] * int(m[2])
            elif m := re.fullmatch(r"U\+([0-9A-F]{4}) = (?:U\+([0-9A-F]{4})|(\w+)) (\w+)", line):
                self.composed.append(m.groups())
            else:
                target.append(pad(line, where))
                if len(target) > HEIGHT:
                    sys.exit(f"{where}: more than {HEIGHT} rows")

    def compose_all(self):
        for code, letter, part, accent in self.composed:
            base = self.glyphs[int(letter, 16)] if letter else [0] * 5 + self.parts[part]
            self.glyphs[int(code, 16)] = compose(base, accent, self.parts[accent])

    def rows(self, code):
        rows = self.glyphs[code]
        return rows + [0] * (HEIGHT - len(rows))


def compose(base, name, accent):
    rows = base + [0] * (HEIGHT - len(base))
    if name == "cedilla":
        return [a | b for a, b in zip(rows, [0] * 12 + accent + [0])]
    top = next(y for y, row in enumerate(rows) if row)
    if top < 5:  # a capital gives up one of two equal rows, so that a gap stays below the accent
        same = next(y for y in range(top, HEIGHT - 1) if rows[y] == rows[y + 1])
        rows = rows[:top] + [0] + rows[top:same] + rows[same + 1:]
        top += 1
    if name == "ring":
        top += 1
    for y, row in enumerate(accent):
        rows[max(top - 1 - len(accent), 0) + y] |= row
    return rows


# --- lines

DIRECTIONS = {"LEFT": ["L"], "RIGHT": ["R"], "UP": ["U"], "DOWN": ["D"], "HORIZONTAL": ["L", "R"], "VERTICAL": ["U", "D"]}
WEIGHTS = {"LIGHT": 1, "SINGLE": 1, "HEAVY": 2, "DOUBLE": 3}


def arms_of(name):
    """{'L': weight...} of "BOX DRAWINGS ...". A part without a weight has its neighbour's."""
    arms, waiting, weight = {}, [], None
    for part in name.split(" AND "):
        words = part.split()
        given = [WEIGHTS[w] for w in words if w in WEIGHTS]
        weight = given[0] if given else weight
        waiting += [d for w in words for d in DIRECTIONS.get(w, [])]
        if weight:
            arms.update({d: weight for d in waiting})
            waiting = []
    return arms


class Canvas:
    def __init__(self):
        self.rows = [0] * HEIGHT

    def box(self, x0, y0, x1, y1, lit=True):  # ends included
        for y in range(max(y0, 0), min(y1, HEIGHT - 1) + 1):
            for x in range(max(x0, 0), min(x1, WIDTH - 1) + 1):
                bit = 0x80 >> x
                self.rows[y] = self.rows[y] | bit if lit else self.rows[y] & ~bit

    def arm(self, direction, x0, y0, x1, y1, lit=True):
        """A bar between offsets (along, across) from the centre, `along` growing towards the edge."""
        bars = {"R": (X + x0, Y + y0, WIDTH, Y + y1), "L": (0, Y + y0, X - x0, Y + y1),
                "D": (X + y0, Y + x0, X + y1, HEIGHT), "U": (X + y0, 0, X + y1, Y - x0)}
        self.box(*bars[direction], lit=lit)


def line_glyph(name):
    c, arms = Canvas(), arms_of(name)
    across = {"L": "UD", "R": "UD", "U": "LR", "D": "LR"}
    for d, weight in arms.items():  # how far over the centre it reaches: to the far edge of what crosses it
        crossing = max([arms.get(o, 0) for o in across[d]])
        if weight == 3:
            c.arm(d, -1 if crossing == 3 else 0, -1, 0, 1)
    for d, weight in arms.items():
        if weight == 3:
            crossing = max([arms.get(o, 0) for o in across[d]])
            c.arm(d, 1 if crossing in (1, 2) else 0, 0, 0, 0, lit=False)
    for d, weight in arms.items():
        crossing = [arms.get(o, 0) for o in across[d]]
        if weight != 3:
            through = arms.get({"L": "R", "R": "L", "U": "D", "D": "U"}[d], 0)
            start = 1 if crossing == [3, 3] and not through else -1 if 3 in crossing else 0
            c.arm(d, start, 0, 0, weight - 1)
    return c.rows


def arc_glyph(name):
    c, arms = Canvas(), arms_of(name)
    for d in arms:
        c.arm(d, 2, 0, 0, 0)
    x = X + 1 if "R" in arms else X - 1
    y = Y + 1 if "D" in arms else Y - 1
    c.box(x, y, x, y)
    return c.rows


def dash_glyph(name):
    weight, how_many, _, direction = name.split()  # "LIGHT TRIPLE DASH HORIZONTAL"
    c, arms = Canvas(), arms_of(f"{weight} {direction}")
    count = {"DOUBLE": 2, "TRIPLE": 3, "QUADRUPLE": 4}[how_many]
    thick = WEIGHTS[weight] - 1
    length = WIDTH if "L" in arms else HEIGHT
    for i in range(length):
        if i * count % length < length * 5 // 8:
            c.box(*((i, Y, i, Y + thick) if "L" in arms else (X, i, X + thick, i)))
    return c.rows


def diagonal_glyph(name):
    c = Canvas()
    for y in range(HEIGHT):
        if "UPPER RIGHT" in name or "CROSS" in name:
            c.box(7 - y // 2, y, 7 - y // 2, y)
        if "UPPER LEFT" in name or "CROSS" in name:
            c.box(y // 2, y, y // 2, y)
    return c.rows


def box_drawing(code):
    name = unicodedata.name(chr(code)).removeprefix("BOX DRAWINGS ")
    if "DIAGONAL" in name:
        return diagonal_glyph(name)
    if "DASH" in name:
        return dash_glyph(name)
    return arc_glyph(name) if "ARC" in name else line_glyph(name)


# --- blocks

EIGHTHS = {"ONE EIGHTH": 1, "ONE QUARTER": 2, "THREE EIGHTHS": 3, "HALF": 4, "FIVE EIGHTHS": 5, "THREE QUARTERS": 6,
           "SEVEN EIGHTHS": 7}


def block_element(code):
    c, name = Canvas(), unicodedata.name(chr(code))
    shades = {"LIGHT SHADE": (0x88, 0, 0x22, 0), "MEDIUM SHADE": (0xaa, 0x55, 0xaa, 0x55), "DARK SHADE": (0x77, 0xff, 0xdd, 0xff)}
    if name in shades:
        return [shades[name][y % 4] for y in range(HEIGHT)]
    if name == "FULL BLOCK":
        c.box(0, 0, 7, 15)
    elif name.startswith("QUADRANT"):
        for corner in re.findall(r"(UPPER|LOWER) (LEFT|RIGHT)", name):
            x, y = 4 * (corner[1] == "RIGHT"), 8 * (corner[0] == "LOWER")
            c.box(x, y, x + 3, y + 7)
    else:
        side, part = re.fullmatch(r"(LOWER|LEFT|UPPER|RIGHT) (.*) BLOCK", name).groups()
        n = EIGHTHS[part]
        c.box(*{"LOWER": (0, 16 - 2 * n, 7, 15), "UPPER": (0, 0, 7, 2 * n - 1), "LEFT": (0, 0, n - 1, 15),
                "RIGHT": (8 - n, 0, 7, 15)}[side])
    return c.rows


# --- output

def write_c(font, path):
    codes = sorted(font.glyphs)
    with open(path, "w", encoding="ascii") as out:
        out.write("// Made by guest/kernel/tty/font/make_font.py.\n#include \"tty/font/font.h\"\n\n")
        out.write(f"const unsigned font_count = {len(codes)};\n")
        out.write(f"const u16 font_codes[{len(codes)}] = {{\n")
        for i in range(0, len(codes), 12):
            out.write("    " + " ".join(f"{c:#06x}," for c in codes[i:i + 12]) + "\n")
        out.write(f"}};\nconst u8 font_rows[{len(codes)}][FONT_HEIGHT] = {{\n")
        for c in codes:
            out.write("    {" + ", ".join(f"{row:#04x}" for row in font.rows(c)) + "},\n")
        out.write("};\nconst u16 font_cp437[256] = {\n")
        table = [ord(c) for c in PC_SIGNS] + list(range(32, 127)) + [0x2302]
        table += [ord(bytes([b]).decode("cp437")) for b in range(128, 256)]
        for i in range(0, 256, 12):
            out.write("    " + " ".join(f"{c:#06x}," for c in table[i:i + 12]) + "\n")
        out.write("};\n")


def print_sheet(font):
    codes = sorted(font.glyphs)
    for i in range(0, len(codes), 16):
        band = codes[i:i + 16]
        print(" ".join(f"{c:04X}    " for c in band))
        for y in range(HEIGHT):
            print(" ".join(f"{font.rows(c)[y]:08b}".replace("0", ".").replace("1", "#") for c in band))


def whole_font(paths):
    font = Font()
    for path in paths:
        font.read(path)
    font.compose_all()
    for code in range(0x2500, 0x2580):
        font.glyphs[code] = box_drawing(code)
    for code in range(0x2580, 0x25a0):
        font.glyphs[code] = block_element(code)
    return font


def main():
    font = whole_font(sys.argv[2:])
    missing = [c for c in [*range(0x20, 0x7f), *range(0xa0, 0x100), 0xfffd] if c not in font.glyphs]
    if missing:
        sys.exit("no glyph for " + " ".join(f"U+{c:04X}" for c in missing))
    if sys.argv[1] == "--sheet":
        print_sheet(font)
    else:
        write_c(font, sys.argv[1])


if __name__ == "__main__":
    main()
