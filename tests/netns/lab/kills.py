# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills at random points, by a seed: workers, the shipper, the collector and its index."""

import contextlib
import os
import random
import re
import signal

from .process import children_of, wait_for


def index_of(gate):
    """The pids of the process that keeps the index."""
    found = []
    for pid in children_of(gate.collector.pid):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"--index" in file.read():
                found.append(pid)
    return found


class Kills:
    """One kill after the other; what is killed is back before the next of its kind."""

    def __init__(self, gate, seed):
        self.gate = gate
        self.chance = random.Random(seed)
        self.done = []

    def children(self, role):
        before = wait_for(lambda: self.gate.children(role), role)
        for pid in self.chance.sample(before, self.chance.randint(1, len(before))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: len(self.gate.children(role)) == len(before), f"new {role}")

    def worker(self):
        self.children("worker")

    def shipper(self):
        self.children("shipper")

    def index(self):
        for pid in index_of(self.gate):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def collector(self):
        self.gate.collector.kill()
        self.gate.start_collector()

    def one(self):
        what = self.chance.choice([self.worker, self.shipper, self.index, self.collector, self.collector])
        self.done.append(what.__name__)
        what()


def assert_whole(gate):
    """Nothing in the store is damaged, missing, there twice or out of its chain."""
    done = gate.cli("audit", "verify", "--store", gate.store_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r" 0 events are missing and 0 numbers are there twice", done.stdout), done.stdout
