# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU time and memory of process trees."""

import contextlib
import ctypes
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


class KernelPrograms:
    """CPU time of kernel programs: it is charged to whoever sent the packet, never to their owner.
    The kernel counts it as long as this object lives."""

    def __init__(self):
        try:
            self.fd = ctypes.CDLL("libbpf.so.1").bpf_enable_stats(0)  # BPF_STATS_RUN_TIME
        except OSError:
            self.fd = -1

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    @staticmethod
    def cpu_us(pid):
        """Microseconds that the programs this process holds open have run."""
        spent = {}
        with contextlib.suppress(*GONE):
            for fd in os.listdir(f"/proc/{pid}/fdinfo"):
                with contextlib.suppress(*GONE), open(f"/proc/{pid}/fdinfo/{fd}") as file:
                    facts = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
                    if "run_time_ns" in facts:
                        spent[facts["prog_id"]] = int(facts["run_time_ns"])
        return sum(spent.values()) / 1000
