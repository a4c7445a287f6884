# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS peers that want to keep a worker for themselves. A client's calls all come to the same worker:
it is the one that has to be there for the others."""

import contextlib
import os
import socket
import ssl
import threading

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.hostile import HostilePeer
from lab.process import wait_for

HOSTILE = "hostile.openai.azure.com"
ENDLESS = 400_000  # KeyUpdates: a worker that handles them all is gone for about ten seconds


@pytest.fixture
def client(lab, standing):
    return lab.client(standing)


@pytest.fixture
def unharmed(standing, client, prompt):
    """During the test, and after it, others are served, and no worker died."""
    died = standing.counters()["process.died"]

    def serves(what):
        assert client.chat(AZURE, f"{prompt} {what}").status == 200

    yield serves
    serves("afterwards")
    assert standing.counters()["process.died"] == died


@contextlib.contextmanager
def in_background(call):
    result = []
    thread = threading.Thread(target=lambda: result.append(call()))
    thread.start()
    try:
        yield result
    finally:
        thread.join()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_request_behind_the_last_message_of_the_handshake(client, prompt, version):
    """All of it in one segment: what OpenSSL has taken from the socket is not forgotten when keys change."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.context(version).wrap_bio(incoming, outgoing, server_hostname=AZURE)
    body = chat_body(prompt).encode()
    with client.tcp(network.REGION_A) as stream:
        def until(step):
            while True:
                try:
                    return step()
                except ssl.SSLWantReadError:
                    stream.sendall(outgoing.read())
                    incoming.write(stream.recv(65536))

        until(tls.do_handshake)
        # (Of TLS 1.3 it is the client's; of 1.2 the server's, and this is an ordinary request.)
        tls.write(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nContent-Type: application/json\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        stream.sendall(outgoing.read())
        assert until(lambda: tls.read(65536)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("kind", [0, 1], ids=["unanswered", "answered"])
def test_a_client_that_floods_with_key_updates(standing, client, unharmed, kind):
    flooded = standing.counters()["client.flooded"]
    with HostilePeer(client.tcp(network.REGION_A), AZURE) as peer:
        with in_background(lambda: peer.flood(ENDLESS, kind)) as cut:
            unharmed("meanwhile")
        assert cut == [True]
    assert standing.counters()["client.flooded"] == flooded + 1


def test_many_clients_that_flood_with_key_updates(client, unharmed):
    with contextlib.ExitStack() as stack:
        cuts = []
        for _ in range(10):
            peer = stack.enter_context(HostilePeer(client.tcp(network.REGION_A), AZURE))
            cuts.append(stack.enter_context(in_background(lambda peer=peer: peer.flood(ENDLESS))))
        unharmed("meanwhile")
    assert cuts == [[True]] * 10


@contextlib.contextmanager
def hostile_origin(lab, serve):
    """An origin at an address of its own; serve(peer) has each connection."""
    lab.certificates.good(HOSTILE)
    lab.names.set(HOSTILE, network.PLAIN)
    pem = os.path.join(lab.certificates.directory, HOSTILE + ".pem")
    with lab.network.origin.inside():
        listener = socket.create_server((network.PLAIN, 443))
    results = []

    def accept():
        with contextlib.suppress(OSError):
            stream, _ = listener.accept()
            with HostilePeer(stream, pem=pem) as peer:
                results.append(serve(peer))

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield results
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def test_an_origin_that_floods_instead_of_answering(lab, standing, client, unharmed, prompt):
    def serve(peer):
        peer.read()
        return peer.flood(ENDLESS)

    flooded = standing.counters()["origin.flooded"]
    with hostile_origin(lab, serve) as cut:
        got = client.chat(HOSTILE, f"{prompt} hostile")
        unharmed("meanwhile")
    assert got.status == 502
    assert cut == [True]
    assert standing.counters()["origin.flooded"] == flooded + 1
    assert standing.event(f"{prompt} hostile")["error.type"] == "origin_lost"


def test_an_origin_that_floods_a_kept_connection(lab, standing, client, unharmed, prompt):
    kept = threading.Event()

    def serve(peer):
        peer.read()
        peer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        kept.wait()
        return peer.flood(ENDLESS)

    flooded = standing.counters()["origin.flooded"]
    with hostile_origin(lab, serve) as cut:
        try:
            assert client.chat(HOSTILE, f"{prompt} hostile").status == 200
        finally:
            kept.set()
        unharmed("meanwhile")
        wait_for(lambda: cut, "end of the flood", seconds=60)
    assert cut == [True]
    assert standing.counters()["origin.flooded"] == flooded + 1


class HalfRecords:
    """A client that sends its records in two halves, the second when it is told to."""

    def __init__(self, client):
        self.stream = client.tcp(network.REGION_A)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.context().wrap_bio(self.incoming, self.outgoing, server_hostname=AZURE)
        while True:
            try:
                self.tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                self.stream.sendall(self.outgoing.read())
                self.incoming.write(self.stream.recv(65536))
        self.stream.sendall(self.outgoing.read())

    def begin(self, data):
        self.tls.write(data)
        record = self.outgoing.read()
        self.stream.sendall(record[: len(record) // 2])
        self.rest = record[len(record) // 2 :]

    def finish(self):
        self.stream.sendall(self.rest)

    def read(self):
        while True:
            try:
                return self.tls.read(65536)
            except ssl.SSLWantReadError:
                self.incoming.write(self.stream.recv(65536))


def test_half_a_record_keeps_nobody_waiting(client, unharmed, prompt):
    halves = HalfRecords(client)
    with halves.stream:
        body = chat_body(f"{prompt} in halves")
        halves.begin(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
                     f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
        unharmed("meanwhile")
        halves.finish()
        assert halves.read().startswith(b"HTTP/1.1 200 ")
