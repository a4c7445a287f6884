# SPDX-License-Identifier: GPL-2.0-or-later
"""Patience: with clients, with origins, and with streams that nobody reads any more."""

import socket

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import azure_path


@pytest.fixture
def hasty(lab, appliance):
    """An appliance that waits for nobody longer than a second."""
    return appliance({
        "http": {"head_timeout": "1s", "idle_timeout": "1s", "body_timeout": "1s"},
        "tls": {"handshake_timeout": "1s"},
        "origin": {"first_byte_timeout": "1s", "idle_timeout": "1s", "connect_timeout": "1s"},
    })


def test_deadlines_of_a_client(lab, hasty):
    client = lab.client(hasty)
    with client.tcp(network.REGION_A) as half:
        half.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a ClientHello
        with pytest.raises(ConnectionResetError):
            half.recv(1)
    idle = client.tls(AZURE)
    assert idle.closed()
    slow = client.tls(AZURE)
    slow.send("POST /")
    assert slow.response().status == 408
    assert slow.closed()
    stuck = client.tls(AZURE)
    stuck.send(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nContent-Length: 9\r\n\r\n{{")
    assert stuck.response().status == 408
    assert stuck.closed()


def test_a_protocol_in_which_the_server_speaks_first(lab, hasty):
    with lab.network.origin.inside():
        server = socket.create_server((network.PLAIN, 443))
    with server, lab.client(hasty).tcp(network.PLAIN) as stream:
        accepted, _ = server.accept()
        with accepted:
            accepted.sendall(b"220 ready\r\n")
            assert stream.recv(100) == b"220 ready\r\n"


def test_deadlines_of_an_origin(lab, hasty, prompt):
    client = lab.client(hasty)
    got = client.chat(AZURE, prompt, headers={"x-test-delay-ms": "20000"})
    assert got.status == 504
    # It may be at work still: the client's library must not ask for the same again.
    assert got.header("x-should-retry") == "false"
    assert hasty.event(prompt)["error.type"] == "origin_timeout"


def test_an_origin_that_takes_no_connection(lab, hasty, prompt):
    lab.names.set("void.openai.azure.com", "10.202.0.99")  # nobody has this address
    got = lab.client(hasty).chat("void.openai.azure.com", prompt, address=network.REGION_A)
    assert got.status in (502, 504)


def test_draining_has_a_cap(lab, appliance, origin, prompt):
    gate = appliance({"origin": {"drain_time": "1s"}})
    client = lab.client(gate)
    headers = {"x-test-events": "40", "x-test-stall-after": "10", "x-test-id": "capped"}
    client.leave_stream(AZURE, prompt, headers, reset=True)
    event = gate.event(prompt)
    assert event["gen_ai.usage.source"] == "estimated"
    assert event["gen_ai.usage.output_tokens"] > 0
    assert origin.reply("capped")["outcome"] == "aborted"
