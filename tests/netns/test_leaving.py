# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that leave: they are heard in every phase, and what they asked for ends with them."""

import contextlib
import time

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import azure_path, chat_body
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
