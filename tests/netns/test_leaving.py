# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that leave: they are heard in every phase, and what they asked for ends with them."""

import contextlib
import time

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.hostile import HostilePeer
from lab.process import wait_for

LONG = "600000"  # ms; longer than any test waits


@pytest.fixture(scope="module")
def gate(standing):
    return standing


def leave(connection, reset):
    if reset:
        connection.reset()
    else:
        connection.close()


def origin_is_left(origin, id):
    """Waits until the origin's connection of that request is closed."""
    number = origin.request(id).connection
    wait_for(lambda: [r for r in origin.records("close") if r["connection"] == number],
             "the end of the origin's call")


def assert_left(event):
    assert event["error.type"] == "client_closed"
    assert event["event.outcome"] == "failure"
    assert event["event.action"] == "allow"
    assert event["gen_ai.usage.source"] == "estimated"
    assert event["gen_ai.usage.input_tokens"] > 0


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("streamed", [False, True])
def test_before_the_first_byte(gate, client, origin, prompt, streamed, reset):
    connection = client.tls(AZURE)
    headers = {"api-key": "k", "x-test-delay-ms": LONG, "x-test-id": "thinks"}
    connection.request("POST", azure_path(), AZURE, headers, chat_body(prompt, stream=streamed))
    origin.request("thinks")
    leave(connection, reset)
    origin_is_left(origin, "thinks")
    event = gate.event(prompt)
    assert_left(event)
    assert event["gen_ai.usage.output_tokens"] == 0


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_in_the_middle_of_a_stream(gate, client, origin, prompt, reset):
    headers = {"x-test-events": "40", "x-test-stall-after": "10", "x-test-id": "middle"}
    client.leave_stream(AZURE, prompt, headers, reset)
    origin_is_left(origin, "middle")
    event = gate.event(prompt)
    assert_left(event)
    assert 0 < event["gen_ai.usage.output_tokens"] < 40


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("size", [100, 250_000])
def test_while_there_is_no_connection_yet(lab, gate, client, prompt, size, reset):
    """Nobody answers at this address. A long body is not read meanwhile: what lies unread must not
    hide that its client has left."""
    host = f"nobody-{size}-{reset}.openai.azure.com".lower()
    lab.names.set(host, "10.202.0.99")
    connection = client.tls(host, address=network.REGION_A)
    body = chat_body(prompt, padding="x" * size)
    connection.stream.settimeout(1)
    with contextlib.suppress(OSError):  # as much of it as the sockets take
        connection.request("POST", azure_path(), host, {"api-key": "k"}, body)
    wait_for(lambda: lab.names.asked(host), "the appliance to look for the origin")
    leave(connection, reset)
    event = gate.event(prompt)
    assert event["error.type"] == "client_closed"
    assert event["attempts"] == 0


PROMPTLY = 30  # seconds: of a machine with much else to do; the figure that is printed is what counts


PHASES = {  # what the origin is told to do with the call, its fields, and whether bytes came before
    "thinking": ({"x-test-delay-ms": LONG}, {}, False),
    "thinking, streamed": ({"x-test-delay-ms": LONG}, {"stream": True}, False),
    "in a stream": ({"x-test-events": "40", "x-test-stall-after": "10"}, {"stream": True}, True),
    "between slow events": ({"x-test-events": "4000", "x-test-interval-ms": "20"}, {"stream": True}, True),
    "sending": ({}, {"padding": "x" * 2_000_000}, False),
}


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
@pytest.mark.parametrize("phase", PHASES)
def test_the_origins_call_ends_at_once(lab, gate, client, origin, prompt, phase, reset):
    """100 ms are what is promised; here the order is asserted, and that nothing waits for a timer."""
    headers, fields, answers = PHASES[phase]
    host = f"promptly-{phase.split()[0].strip(',')}-{int(reset)}.openai.azure.com"
    lab.add_host(host, network.REGION_A)  # of its own: no connection to it is kept from before
    connection = client.tls(host)
    headers = {"api-key": "k", "x-test-id": "promptly", **headers}
    body = chat_body(prompt, **fields)
    if phase == "sending":
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        connection.stream.sendall((f"POST {azure_path()} HTTP/1.1\r\nHost: {host}\r\n{lines}"
                                   f"Content-Length: {len(body)}\r\n\r\n{body[:-1000]}").encode())
        number = wait_for(lambda: origin.records("connection"), "the origin's connection")[0]["connection"]
    else:
        connection.request("POST", azure_path(), host, headers, body)
        number = origin.request("promptly").connection
    if answers:
        connection.head()
        connection.until(b"Answer to: ")
    left = time.time()
    leave(connection, reset)
    closed = wait_for(lambda: [r for r in origin.records("close") if r["connection"] == number], "the end")[0]
    print(f"{phase}, {'reset' if reset else 'close'}: {(closed['time'] - left) * 1000:.1f} ms")
    assert 0 <= closed["time"] - left < PROMPTLY
    assert gate.event(prompt)["error.type"] == "client_closed"


def asked(client, *requests):
    """A client that has sent these requests at once, and that nothing more will come."""
    peer = HostilePeer(client.tcp(client.address_of(AZURE)), AZURE)
    sent = b""
    for prompt, headers in requests:
        body = chat_body(prompt).encode()
        lines = [f"POST {azure_path()} HTTP/1.1", f"Host: {AZURE}", "api-key: k", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        sent += "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    peer.write(sent)
    peer.end()
    return peer


def test_who_sends_no_more_gets_the_answers(gate, client, prompt):
    with asked(client, (f"{prompt} 1", {"x-test-delay-ms": "300"}), (f"{prompt} 2", {})) as peer:
        got = peer.read_until(f"{prompt} 2".encode())
        assert got.count(b"HTTP/1.1 200") == 2
        while peer.read():
            pass  # … and then the connection ends
    for i in (1, 2):
        assert gate.event(f"{prompt} {i}")["event.outcome"] == "success"


def test_nor_is_an_answer_cut_that_is_read_late(gate, client, prompt):
    """All of it is handed over when the client has not begun to read."""
    size = 5_000_000
    with asked(client, (prompt, {"x-test-bytes": str(size)})) as peer:
        time.sleep(1)  # nothing is asserted about it: it only lets every buffer fill
        got = 0
        while piece := peer.read():
            got += len(piece)
    assert got > size
    assert gate.event(prompt)["event.outcome"] == "success"


def test_who_sends_no_more_and_closes_has_left(gate, client, origin, prompt):
    peer = asked(client, (prompt, {"x-test-delay-ms": LONG, "x-test-id": "closes"}))
    origin.request("closes")
    peer.close()
    origin_is_left(origin, "closes")
    assert_left(gate.event(prompt))


def test_half_a_request_is_none(client):
    peer = HostilePeer(client.tcp(client.address_of(AZURE)), AZURE)
    with peer:
        peer.write(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\nContent-Length: 9\r\n\r\n{{".encode())
        peer.end()
        assert peer.read() == b""
