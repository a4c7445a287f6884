# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of the workers: who may connect, what happens without descriptors, and how long peers
that say nothing, or read nothing, are waited for."""

import contextlib
import os
import socket
import time

import pytest

from lab import network
from lab.appliance import AZURE
from lab.process import wait_for

LISTEN_BASE = 15100


@pytest.fixture
def gate(appliance):
    return appliance()


def counted(gate, name):
    """How much the counter has grown, as a function."""
    before = gate.counters()[name]
    return lambda: gate.counters()[name] - before


# --- who may connect ---


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_who_connects_to_a_listener_itself_is_closed_at_once(gate, client, prompt, address):
    refused, spliced = counted(gate, "client.not_steered"), counted(gate, "client.accepted")
    for worker in range(2):
        with gate.namespace.inside():
            stream = socket.create_connection((address, LISTEN_BASE + worker), timeout=60)
        with stream, contextlib.suppress(ConnectionError):
            stream.sendall(b"x")
            assert stream.recv(1) == b""
    assert refused() == 2
    assert spliced() == 0
    assert client.chat(AZURE, prompt).status == 200


# --- no descriptors ---


DESCRIPTORS = 150  # enough for every process to start


def test_without_descriptors_a_worker_waits(lab, appliance, prompt):
    gate = appliance(start=False)
    path = os.path.join(gate.directory, "sallyportd")
    with open(path, "w", encoding="ascii") as script:
        script.write(f'#!/bin/sh\nulimit -n {DESCRIPTORS}\nexec {gate.daemon_path} "$@"\n')
    os.chmod(path, 0o755)
    gate.daemon_path = path
    gate.start()
    client = lab.client(gate)
    refused = counted(gate, "client.not_accepted")
    with contextlib.ExitStack() as stack:
        for _ in range(DESCRIPTORS):
            stack.enter_context(client.tcp(network.REGION_A))
        wait_for(lambda: refused() >= 2, "second attempt to accept")
        # Ten attempts a second, and a line each ten seconds, however busy the machine is.
        started, before = time.monotonic(), refused()
        wait_for(lambda: refused() >= before + 5, "further attempts")
        assert refused() - before < 20 * (time.monotonic() - started) + 20
        assert gate.daemon.log().count("cannot accept") <= 3
    assert client.chat(AZURE, prompt).status == 200
