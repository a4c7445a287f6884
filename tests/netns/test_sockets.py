# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of the workers: who may connect, what happens without descriptors, and how long peers
that say nothing, or read nothing, are waited for."""

import contextlib
import os
import re
import socket
import ssl
import time

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B, UNLISTED
from lab.client import azure_path, chat_body
from lab.process import children_of, wait_for

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


def needed(gate):
    """The most descriptors that a process of the appliance has without any connection."""
    return max(len(os.listdir(f"/proc/{pid}/fd")) for pid in [gate.daemon.pid, *children_of(gate.daemon.pid)])


def test_without_descriptors_a_worker_waits(lab, appliance, prompt):
    gate = appliance()
    descriptors = needed(gate) + 100  # enough for every process to start
    gate.stop()
    path = os.path.join(gate.directory, "sallyportd")
    with open(path, "w", encoding="ascii") as script:
        script.write(f'#!/bin/sh\nulimit -n {descriptors}\nexec {gate.daemon_path} "$@"\n')
    os.chmod(path, 0o755)
    gate.daemon_path = path
    gate.start()
    client = lab.client(gate)
    refused = counted(gate, "client.not_accepted")
    with contextlib.ExitStack() as stack:
        for _ in range(descriptors):
            stack.enter_context(client.tcp(network.REGION_A))
        wait_for(lambda: refused() >= 2, "second attempt to accept")
        # Ten attempts a second, and a line each ten seconds, however busy the machine is.
        started, before = time.monotonic(), refused()
        wait_for(lambda: refused() >= before + 5, "further attempts")
        assert refused() - before < 20 * (time.monotonic() - started) + 20
        assert gate.daemon.log().count("cannot accept") <= 3
    assert client.chat(AZURE, prompt).status == 200


# --- what comes in pieces ---


def test_a_hello_in_two_segments_of_a_spliced_connection(lab, gate):
    """What the worker set on the socket to look at the hello is not left there: what the client says
    next is shorter."""
    client = lab.client()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.context().wrap_bio(incoming, outgoing, server_hostname=UNLISTED)
    with client.tcp(network.REGION_A) as stream:
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        hello = outgoing.read()
        stream.sendall(hello[:-1])
        time.sleep(0.3)  # nothing is asserted about it: the worker most likely looks meanwhile
        stream.sendall(hello[-1:])
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                stream.sendall(outgoing.read())
                incoming.write(stream.recv(65536))
        stream.sendall(outgoing.read())
        tls.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        stream.sendall(outgoing.read())
        while True:
            try:
                assert tls.read(5) == b"HTTP/"
                break
            except ssl.SSLWantReadError:
                incoming.write(stream.recv(65536))


# --- silence and slowness ---


def keepalives(gate):
    """Seconds until the next keepalive probe, of each connection of the workers with the origin's
    address on either side; None for one that has another timer or none."""
    found = []
    for line in gate.namespace.run("ss", "-tnHo", "state", "established").stdout.splitlines():
        if f"{network.REGION_A}:443" in line:
            timer = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:([\d.]+)sec)?", line)
            found.append(timer and int(timer[1] or 0) * 60 + float(timer[2] or 0))
    return found


@pytest.mark.parametrize("configured, seconds", [(None, 60), ("30s", 30)])
def test_silent_connections_are_kept_alive(lab, appliance, prompt, configured, seconds):
    gate = appliance({"tcp": {"keepalive_idle": configured}} if configured else None)
    client = lab.client(gate)
    with client.tls(AZURE) as inspected, lab.client().tls(UNLISTED):
        assert client.chat(AZURE, prompt, connection=inspected).status == 200

        def all_four():
            found = keepalives(gate)
            return len(found) == 4 and None not in found and max(found) <= seconds

        wait_for(all_four, lambda: f"keepalive on four sockets: {keepalives(gate)}")


def test_an_origin_that_pauses_with_reading_is_not_lost(lab, appliance, origin, prompt):
    """Its window is shut for longer than connecting may ever take, and it acknowledges each probe."""
    gate = appliance({"origin": {"connect_timeout": "500ms"}})
    body = chat_body(prompt + "x" * 12_000_000)
    got = lab.client(gate).call(AZURE, azure_path(), body, headers={"x-test-read-pause-ms": "7000"})
    assert got.status == 200


# --- what is kept ---


def kept(gate):
    """The origins' addresses of the workers' connections to them."""
    lines = gate.namespace.run("ss", "-tnH", "state", "established", "dport = :443").stdout.splitlines()
    peers = [line.split()[3] for line in lines if network.OUTSIDE in line.split()[2]]
    return sorted(peer.rsplit(":", 1)[0] for peer in peers)


@pytest.mark.parametrize("total, left", [(0, []), (1, [network.REGION_B]), (2, [network.REGION_A, network.REGION_B])])
def test_kept_connections_are_bounded_over_all_origins(lab, appliance, prompt, total, left):
    gate = appliance({"origin": {"pool_total": total}})
    client = lab.client(gate)
    for host in (AZURE_B, AZURE, AZURE_B):
        assert client.chat(host, prompt).status == 200
    wait_for(lambda: kept(gate) == left, lambda: f"kept connections: {kept(gate)}")
