# SPDX-License-Identifier: MIT
"""Reading PNG files as viv writes them: 8 bits a colour, no alpha, not interlaced (PNG, third edition)."""
import pathlib
import struct
import zlib


def read_png(path):
    """(width, height, rows): rows of bytes, red, green, blue."""
    data = pathlib.Path(path).read_bytes()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError(f"{path} is no PNG file")
    at, packed, header = 8, b"", None
    while at < len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            header = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            packed += body
        at += 12 + length
    width, height, depth, colour, _, _, interlaced = header
    if (depth, colour, interlaced) != (8, 2, 0):
        raise ValueError(f"{path}: not 8 bits of red, green and blue")
    return width, height, _unfilter(zlib.decompress(packed), 3 * width, height)


def _unfilter(raw, line, height):
    rows, above = [], bytearray(line)
    for y in range(height):
        kind, row = raw[y * (line + 1)], bytearray(raw[y * (line + 1) + 1:(y + 1) * (line + 1)])
        for i in range(line if kind else 0):
            left, up, corner = row[i - 3] if i > 2 else 0, above[i], above[i - 3] if i > 2 else 0
            if kind == 4:
                guess = left + up - corner
                near = min((abs(guess - left), 0, left), (abs(guess - up), 1, up), (abs(guess - corner), 2, corner))[2]
            else:
                near = (0, left, up, (left + up) // 2)[kind]
            row[i] = row[i] + near & 0xFF
        rows.append(bytes(row))
        above = row
    return rows
