# SPDX-License-Identifier: GPL-2.0-or-later
"""The Forward protocol with peers that nobody here wrote, in both directions: @fluent-org/logger, its
server as well, fluent-logger, and python3-fluent-logger."""

import json
import os

import pytest

from lab.appliance import AZURE
from lab.process import Process, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
PORT, SERVER = "24224", "24225"
KEY = "a-key-of-both"
MODES = ["Message", "Forward", "PackedForward", "CompressedPackedForward"]
N = 25

# Without acknowledgement nothing tells a repetition from another event but the id of its own.
PYTHON = """
from fluent import sender
logger = sender.FluentSender("other", host="127.0.0.1", port=%s, nanosecond_precision=True)
for i in range(%d):
    assert logger.emit("call", {"event.id": "python-%%d" %% i, "event.kind": "exchange", "number": i})
logger.close()
"""


@pytest.fixture(scope="module")
def gate(lab):
    """A collector alone: over TCP, for who has the key."""
    gate = lab.appliance()
    gate.collector_options = ["--listen", f"127.0.0.1:{PORT}", "--key-file", gate.secret("key", KEY + "\n")]
    gate.start_collector()
    try:
        yield gate
    finally:
        gate.close()


def node(gate, *arguments, check=True):
    return gate.namespace.run("node", os.path.join(HERE, "forward.mjs"), *arguments, check=check)


def numbers(gate, mode):
    return sorted(event["number"] for event in gate.events() if event.get("mode") == mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_logger_sends_in_every_mode(gate, mode):
    node(gate, "send", PORT, KEY, mode, str(N))
    assert numbers(gate, mode) == list(range(N))  # acknowledged is stored, once


def test_an_older_logger_sends(gate):
    node(gate, "old", PORT, KEY, str(N))
    assert numbers(gate, "old") == list(range(N))


def test_a_logger_with_another_key_is_refused(gate):
    assert node(gate, "send", PORT, "another", "Message", "1", check=False).returncode != 0
    assert not [event for event in gate.events() if event.get("number") is None]


def test_a_logger_that_knows_no_acknowledgement(lab):
    """Over TCP one must prove who one is, and it cannot: it sends through a socket of this machine."""
    gate = lab.appliance()
    gate.collector_options = ["--user", "0"]
    gate.start_collector()
    try:
        script = PYTHON.replace('host="127.0.0.1", port=%s', 'host="unix://%s"') % (gate.socket_path, N)
        gate.namespace.run("/usr/bin/python3", "-c", script)
        wait_for(lambda: len(gate.events()) >= N, "the events")
        assert sorted(event["number"] for event in gate.events()) == list(range(N))
    finally:
        gate.close()


def test_a_server_receives_from_the_appliance(lab, prompt):
    """It restarts in between: what it acknowledged does not come again, what it did not does."""
    gate = lab.appliance()
    gate.write_config({"audit": {"collector": f"127.0.0.1:{SERVER}",
                                 "collector_key_file": gate.secret("collector.key", KEY + "\n")},
                       "accounting": {"summary_interval": "1d"}})
    gate.make_ca()
    server = None

    def start(name):
        made = Process(name, ["node", os.path.join(HERE, "forward.mjs"), "serve", SERVER, KEY],
                       gate.directory, gate.namespace)
        made.wait_for_log("ready")
        return made

    def received(process):
        return [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]

    try:
        server = start("node-1")
        gate.start_daemon()
        client = lab.client(gate)
        for i in range(10):
            assert client.chat(AZURE, f"{prompt} {i:02}").status == 200
        wait_for(lambda: len(received(server)) >= 10, "the first events")
        first = received(server)
        server.stop()
        for i in range(10, 20):
            assert client.chat(AZURE, f"{prompt} {i:02}").status == 200
        server = start("node-2")
        wait_for(lambda: len(received(server)) >= 10, "the events that waited")
        both = first + received(server)
        assert len({event["id"] for event in both}) == len(both) == 20
        assert {event["tag"] for event in both} == {"sallyport.exchange"}
        for i in range(20):
            assert sum(f"{prompt} {i:02}" in event["input"] for event in both) == 1
        gate.stop()
    finally:
        if server:
            server.kill()
        gate.close()
