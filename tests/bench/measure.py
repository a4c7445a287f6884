# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU time and memory of process trees."""

import contextlib
import os
import time

from lab.process import descendants_of

GONE = (FileNotFoundError, ProcessLookupError)


def tree(processes):
    return [pid for process in processes for pid in (process.pid, *descendants_of(process.pid))]


def cpu_us(pids):
    """Microseconds on a CPU of these processes' threads, by the scheduler's own account."""
    total = 0
    for pid in pids:
        with contextlib.suppress(*GONE):
            for thread in os.listdir(f"/proc/{pid}/task"):
                with contextlib.suppress(*GONE), open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                    total += int(file.read().split()[0])
    return total / 1000


def memory_kib(pids):
    """Resident memory; pages that several processes share are divided among them."""
    total = 0
    for pid in pids:
        with contextlib.suppress(*GONE), open(f"/proc/{pid}/smaps_rollup") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    return total


def settle(pids, seconds=180):
    """Waits until the processes have nothing left to do."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = cpu_us(pids)
        time.sleep(0.3)
        if cpu_us(pids) - before < 3000:
            return True
    return False
