# SPDX-License-Identifier: GPL-2.0-or-later
"""A worker without memory: every allocation of a call fails once, and the call ends once."""

import contextlib
import os
import re
import ssl
import struct
import subprocess

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B, about
from lab.client import Ended

NAME = "failing_allocation"
KEY = "service-0123456789abcdef0123456789abcdef"
MOST = 400  # allocations of one call: more are not let fail


class Worker:
    """The only worker of a daemon that was linked with tests/failing/allocate.c."""

    def __init__(self, gate):
        (self.pid,) = gate.children("worker")
        symbols = subprocess.run(["nm", gate.daemon_path], check=True, capture_output=True, text=True).stdout
        offset = int(re.search(rf"^([0-9a-f]+) \w {NAME}$", symbols, re.M)[1], 16)
        with open(f"/proc/{self.pid}/maps", encoding="ascii") as maps:
            # Not the first mapping of all: sanitizers have some below.
            own = next(line for line in maps if line.rstrip().endswith("/" + os.path.basename(gate.daemon_path)))
        self.at = int(own.split("-")[0], 16) + offset

    def fail(self, which):
        """The `which`-th allocation from now on fails; 0: none does."""
        with open(f"/proc/{self.pid}/mem", "r+b", buffering=0) as memory:
            memory.seek(self.at)
            memory.write(struct.pack("=I", which))

    def left(self):
        """How many allocations are to come before the one that fails; 0: it has failed."""
        with open(f"/proc/{self.pid}/mem", "rb", buffering=0) as memory:
            memory.seek(self.at)
            return struct.unpack("=I", memory.read(4))[0]


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance({"appliance": {"workers": 1}})
    gate.write_config({
        "hosts": [{"pattern": AZURE, "provider": "azure"}, {"pattern": AZURE_B, "provider": "azure", "pool": "both"}],
        "backends": [{"name": name, "host": AZURE_B, "addresses": [address], "key_file": gate.secret("key", KEY)}
                     for name, address in (("a", network.REGION_A), ("b", network.REGION_B))],
        "pools": [{"name": "both", "backends": ["a", "b"]}],
    })
    gate.daemon_path = lab.program("tests/failing/sallyportd")
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


CALLS = {
    "streamed": {"fields": {"stream": True}},
    "long": {"fields": {"padding": "x" * 90_000}},
    "cut": {"fields": {"stream": True}, "headers": {"x-test-cut-after": "2"}},
    "refused": {"headers": {"x-test-status": "400"}},
    # With a key of ours, which an error tells again.
    "keyed": {"host": AZURE_B, "headers": {"x-test-status": "400", "x-test-echo": "1"}},
    "pooled": {"host": AZURE_B, "fields": {"stream": True}},
}


@pytest.mark.parametrize("kind", CALLS)
def test_a_call_ends_once_whatever_allocation_fails(gate, client, prompt, kind):
    worker = Worker(gate)
    host, headers = CALLS[kind].get("host", AZURE), CALLS[kind].get("headers", {})
    # Behind the events of the test before, which may still be on their way.
    first = f"{prompt} first."
    assert client.chat(AZURE, first).status == 200
    gate.event(first)
    before = len(gate.events())
    prompts, answers = [], []
    for which in range(1, MOST):
        prompts.append(f"{prompt} {which}.")
        answers.append(None)
        worker.fail(which)
        with contextlib.suppress(Ended, ConnectionError, ssl.SSLError):
            answers[-1] = client.chat(host, prompts[-1], fields=CALLS[kind].get("fields"), headers=headers)
        if worker.left():
            break
    worker.fail(0)
    assert 20 < len(prompts) < MOST - 1
    # The worker lives, and serves on.
    last = f"{prompt} last."
    assert client.chat(AZURE, last).status == 200
    assert gate.children("worker") == [worker.pid]
    gate.event(last)
    events = gate.events()[before:-1]
    told = [text for text in prompts for event in events if about(event, text)]
    assert len(told) == len(set(told)) and len(events) <= len(prompts)
    assert not any(answer and KEY.encode() in answer.body for answer in answers)
    for text, answer in zip(prompts, answers):
        if answer and answer.status == 200:
            assert answer.text() == client.chat(AZURE, text).text()
    assert {answer.status for answer in answers if answer} <= {200, 400, 502, 503}
