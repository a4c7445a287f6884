# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal: a pseudo-terminal, and of a VT100 what terminfo makes use of."""

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time

from . import system
from .process import wait_for

SEQUENCE = re.compile(
    rb"\x1b\[(?P<words>\??[0-9;]*)(?P<end>[A-Za-z])|\x1b[()][0-9A-Za-z]|\x1b[=>78DEHM]"
)


class Terminal:
    """Runs argv in a namespace on a terminal of that size. What it draws is in lines()."""

    LEFT, RIGHT = b"\x1bOD", b"\x1bOC"

    def __init__(self, namespace, argv, rows=24, columns=80):
        self.rows, self.columns = rows, columns
        self.pending, self.unknown = b"", []
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.slave)
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                system.die_with_parent()
                fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
                namespace.enter()
                for fd in range(3):
                    os.dup2(self.slave, fd)
                os.closerange(3, 1024)
                os.execve(argv[0], [os.fspath(a) for a in argv], {**os.environ, "TERM": "vt100"})
            finally:
                os._exit(127)

    def resize(self, rows, columns):
        """Also blanks what is kept of the screen, as a terminal may."""
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.y = self.x = 0
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys):
        os.write(self.master, keys)

    # --- what is drawn ---

    def _scroll(self):
        self.cells = self.cells[1:] + [[" "] * self.columns]

    def _put(self, byte):
        if byte == 0x0D:
            self.x = 0
        elif byte == 0x0A:
            self.y += 1
            if self.y == self.rows:
                self.y -= 1
                self._scroll()
        elif byte == 0x08:
            self.x = max(0, self.x - 1)
        elif byte == 0x09:
            self.x = min(self.columns - 1, (self.x // 8 + 1) * 8)
        elif byte in (0x00, 0x07, 0x0E, 0x0F):
            pass
        else:
            assert 0x20 <= byte < 0x7F, f"a byte that no terminal should be sent: {byte:#x}"
            if self.x == self.columns:
                self.x = 0
                self.y = min(self.y + 1, self.rows - 1)
            self.cells[self.y][self.x] = chr(byte)
            self.x += 1

    def _erase(self, y, start, end):
        if y < self.rows:
            self.cells[y][start:end] = [" "] * (min(end, self.columns) - start)

    def _control(self, words, end):
        numbers = [int(word or 0) for word in words.lstrip("?").split(";")]
        by = max(1, numbers[0])
        x = min(self.x, self.columns - 1)
        if end == "H":
            self.y = min(max(1, numbers[0]), self.rows) - 1
            self.x = min(max(1, (numbers + [1])[1]), self.columns) - 1
        elif end == "A":
            self.y = max(0, self.y - by)
        elif end == "B":
            self.y = min(self.rows - 1, self.y + by)
        elif end == "C":
            self.x = min(self.columns - 1, x + by)
        elif end == "D":
            self.x = max(0, x - by)
        elif end == "K":
            spans = {0: (x, self.columns), 1: (0, x + 1), 2: (0, self.columns)}
            self._erase(self.y, *spans[numbers[0]])
        elif end == "J":
            if numbers[0] == 0:
                self._erase(self.y, x, self.columns)
            else:
                assert numbers[0] == 2, numbers
            for y in range(self.y + 1 if numbers[0] == 0 else 0, self.rows):
                self._erase(y, 0, self.columns)
        elif end not in "mhlr":
            self.unknown.append(words + end)

    def read(self, seconds=0.0):
        """Draws what has come. false: the program has closed the terminal."""
        deadline = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                self.pending += os.read(self.master, 65536)
            except OSError:
                return False
            self._draw()
        return True

    def _draw(self):
        at = 0
        while at < len(self.pending):
            if self.pending[at] != 0x1B:
                self._put(self.pending[at])
                at += 1
                continue
            found = SEQUENCE.match(self.pending, at)
            if not found:
                assert len(self.pending) - at < 32, self.pending[at : at + 32]
                break
            at = found.end()
            if found["end"]:
                self._control(found["words"].decode(), found["end"].decode())
        self.pending = self.pending[at:]

    def lines(self):
        self.read()
        return ["".join(row).rstrip() for row in self.cells]

    def wait_for(self, condition, what, seconds=20.0):
        """Waits until condition(lines) is true, and returns its value."""
        def shown():
            return condition(self.lines())

        return wait_for(shown, lambda: f"{what} on the terminal:\n" + "\n".join(self.lines()), seconds)

    # --- its end ---

    def wait(self, seconds=20.0):
        """The exit code of the program."""
        status = []

        def ended():
            self.read()
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                status.append(os.waitstatus_to_exitcode(code))
                self.pid = 0
            return bool(pid)

        wait_for(ended, "end of the program", seconds)
        return status[0]

    def restored(self):
        """Whether the terminal is as it was before the program."""
        return termios.tcgetattr(self.slave) == self.before

    def close(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
        os.close(self.master)
        os.close(self.slave)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
