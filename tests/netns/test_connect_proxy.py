# SPDX-License-Identifier: GPL-2.0-or-later
"""Origins behind a proxy of the enterprise's, which is asked to CONNECT."""

import contextlib
import json
import socket
import threading

import pytest

from lab import network
from lab.regions import POOL, Regions

PROXY = (network.OTHER, 3128)


class Proxy:
    """Connects to the region of the name, or answers otherwise."""

    def __init__(self, lab, regions):
        self.lab, self.regions, self.asked, self.answer = lab, regions, [], None
        with lab.network.origin.inside():
            self.server = socket.create_server(PROXY)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._connect, args=(connection,), daemon=True).start()

    def _connect(self, connection):
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(4096)
        line = head.split(b"\r\n")[0].decode()
        self.asked.append(line)
        if self.answer is not None:
            connection.sendall(self.answer)
            connection.close()
            return
        name = line.split()[1].split(".")[0]
        with self.lab.network.origin.inside():
            there = socket.create_connection((network.REGIONS[name], 443))
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._copy, args=(connection, there), daemon=True).start()
        self._copy(there, connection)

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture(scope="module")
def regions(lab):
    with Regions(lab, "proxied-") as made:
        yield made


@pytest.fixture(scope="module")
def proxy(lab, regions):
    made = Proxy(lab, regions)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gate(lab, regions):
    """east is to be called by the proxy, and nobody resolves its name; west has an address."""
    gate = lab.appliance()
    config = regions.config(gate, of=("east", "west"), west={"priority": 2}, east={"addresses": None},
                            pool={"failures": 1000, "failure_rate": 0})
    gate.write_config({**config, "origin": {"proxy": f"{PROXY[0]}:{PROXY[1]}", "pool_max": 0}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_by_a_proxy(lab, regions, gate, client, proxy, prompt, stream):
    asked = lab.names.asked(regions.east.host)
    got = client.chat(POOL, prompt, fields={"stream": stream})
    assert got.status == 200 and got.header("x-ms-region") == "east"
    assert set(proxy.asked) <= {f"CONNECT {regions.east.host}:443 HTTP/1.1"}
    assert lab.names.asked(regions.east.host) == asked
    event = gate.event(prompt)
    assert event["backend.name"] == "east" and event["backend.address"] == f"{PROXY[0]}:{PROXY[1]}"


@pytest.mark.parametrize("answer", [
    b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2000 + b"\r\n",
    b"\x16\x03\x03",
    b"",
], ids=["407", "two answers", "endless", "no HTTP", "closed"])
def test_a_proxy_that_refuses(gate, client, proxy, prompt, answer):
    """Another backend is asked, past the proxy."""
    proxy.answer = answer
    try:
        assert client.chat(POOL, prompt).header("x-ms-region") == "west"
    finally:
        proxy.answer = None
    made = json.loads(gate.event(prompt)["attempts.made"])
    assert made[0]["error"] == "proxy_refused" and made[0]["left"] == "unreached"
    assert not made[0]["connected"]
