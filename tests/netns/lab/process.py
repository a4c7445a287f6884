# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs under test: started in a namespace, watched, always ended."""

import os
import signal
import subprocess
import time

from . import system


class Timeout(AssertionError):
    pass


def wait_for(condition, what, seconds=20.0, every=0.02):
    """Returns the first true value of condition(); raises Timeout after the (generous) deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"after {seconds} s: no {what() if callable(what) else what}")
        time.sleep(every)


# A sanitized program keeps what it frees for a while: less of it, so that memory stays comparable.
SANITIZED = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}


class Process:
    """A program with its output in a file. `namespace` None: the namespace of this process."""

    def __init__(self, name, argv, directory, namespace=None, environment=None, death=signal.SIGKILL):
        self.name = name
        self.log_path = os.path.join(directory, name + ".log")
        self.log_start = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0

        def before_exec():
            os.setsid()
            system.die_with_parent(death)
            if namespace is not None:
                namespace.enter()

        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [os.fspath(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **SANITIZED, **(environment or {})},
                preexec_fn=before_exec,
            )

    @property
    def pid(self):
        return self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def log(self):
        """What this start of the program has printed so far."""
        with open(self.log_path, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def wait_for_log(self, text, seconds=20.0):
        def seen():
            if text in self.log():
                return True
            if not self.running:
                raise AssertionError(f"{self.name} ended ({self.popen.returncode}):\n{self.log()}")
            return False

        wait_for(seen, lambda: f"{text!r} from {self.name}:\n{self.log()}", seconds)

    def send(self, number):
        if self.running:
            self.popen.send_signal(number)

    def wait(self, seconds=30.0):
        return self.popen.wait(seconds)

    def stop(self, number=signal.SIGTERM, seconds=30.0):
        """Ends the program and what it started; returns its exit code."""
        self.send(number)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still runs {seconds} s after signal {number}:\n{self.log()}")
        finally:
            self.kill()

    def kill(self):
        """Ends the program's whole session at once."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()


def children_of(pid):
    """The direct children of a process."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(child) for child in file.read().split()]
    except FileNotFoundError:
        return []


def descendants_of(pid):
    found = []
    for child in children_of(pid):
        found += [child, *descendants_of(child)]
    return found
