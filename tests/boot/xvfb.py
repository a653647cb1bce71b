# SPDX-License-Identifier: MIT
"""A display without a screen (Xvfb) and a person's hands on it (xdotool), for tests of windows."""
import ctypes
import os
import pathlib
import shutil
import struct
import subprocess
import time


def missing():
    """What a test of windows needs and this host has not, or None."""
    return next((name for name in ("Xvfb", "xdotool") if not shutil.which(name)), None)


class Display:
    """A server of its own; env is for who is to show something on it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        read, write = os.pipe()
        # It goes with the test, however that ends. -noreset: else it throws out who is connecting when xdotool, until then
        # its only client, leaves.
        self.server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "Xvfb", "-displayfd", str(write), "-screen", "0",
                                        "1280x1024x24", "-nolisten", "tcp", "-noreset", "-fbdir", str(folder)], pass_fds=[write],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as number:
            self.name = ":" + number.readline().strip()
        self.env = {**os.environ, "DISPLAY": self.name}
        self.env.pop("WAYLAND_DISPLAY", None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.kill()
        self.server.wait()

    def _xdotool(self, *words):
        return subprocess.run(["xdotool", *map(str, words)], env=self.env, capture_output=True, text=True, timeout=30)

    def window(self, title, seconds=20):
        """The number of the window with that in its title, focused."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self._xdotool("search", "--name", title).stdout.split()
            if found:
                self._xdotool("windowfocus", "--sync", found[-1])
                time.sleep(0.5)  # the focus arrives; a key that is down as it does is taken for two
                return int(found[-1])
            time.sleep(0.1)
        raise AssertionError(f"no window {title!r} after {seconds} s")

    def title(self, window):
        return self._xdotool("getwindowname", window).stdout.strip()

    def width(self, window):
        words = self._xdotool("getwindowgeometry", "--shell", window).stdout.split()
        return int(next(word.split("=")[1] for word in words if word.startswith("WIDTH=")))

    def type(self, text):
        self._xdotool("type", "--delay", 40, text)

    def key(self, *names):
        self._xdotool("key", "--delay", 60, *names)

    def move(self, dx, dy):
        self._xdotool("mousemove_relative", "--", dx, dy)

    def click(self, window):
        self._xdotool("mousemove", "--window", window, 50, 50, "click", 1)

    def close(self, window):
        """What the close button of a window manager does (ICCCM 4.2.8.1)."""
        x11 = ctypes.CDLL("libX11.so.6")
        pointer, number = ctypes.c_void_p, ctypes.c_ulong
        for name, result, arguments in (("XOpenDisplay", pointer, [ctypes.c_char_p]), ("XCloseDisplay", None, [pointer]),
                                        ("XInternAtom", number, [pointer, ctypes.c_char_p, ctypes.c_int]),
                                        ("XSendEvent", ctypes.c_int, [pointer, number, ctypes.c_int, ctypes.c_long, pointer])):
            getattr(x11, name).restype, getattr(x11, name).argtypes = result, arguments
        display = x11.XOpenDisplay(self.name.encode())
        words = (ctypes.c_long * 24)(33, 0, 0, 0, window, x11.XInternAtom(display, b"WM_PROTOCOLS", 0), 32,
                                     x11.XInternAtom(display, b"WM_DELETE_WINDOW", 0))
        x11.XSendEvent(display, window, 0, 0, ctypes.byref(words))
        x11.XCloseDisplay(display)

    def screen(self):
        """What is on the display: (width, height, rows), red, green, blue (X11's XWDFile.h)."""
        data = (self.folder / "Xvfb_screen0").read_bytes()
        header = struct.unpack_from(">25I", data)
        width, height, line, at = header[4], header[5], header[12], header[0] + 12 * header[19]
        rows = []
        for y in range(height):
            row = data[at + y * line:at + y * line + 4 * width]
            rgb = bytearray(3 * width)
            rgb[0::3], rgb[1::3], rgb[2::3] = row[2::4], row[1::4], row[0::4]
            rows.append(bytes(rgb))
        return width, height, rows
