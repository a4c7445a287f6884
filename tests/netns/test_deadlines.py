# SPDX-License-Identifier: GPL-2.0-or-later
"""Patience: with clients, with origins, and with streams that nobody reads any more."""

import contextlib
import socket
import threading
import time

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import Connection, Ended, azure_path, chat_body
from lab.process import wait_for
from lab.rogue import rogue_origin

ROGUE = "rogue-deadlines.openai.azure.com"


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


def call_slowly_read(client, prompt, bytes, pause, **headers):
    """A call whose client stops reading in the middle of the answer for a while."""
    with client.tls(AZURE) as connection:
        headers = {"api-key": "k", "x-test-bytes": str(bytes), "x-test-framing": "chunked",
                   "x-test-chunk": "65536", **headers}
        connection.request("POST", azure_path(), AZURE, headers, chat_body(prompt))
        connection.head()
        time.sleep(pause)  # longer than the deadline of the origin, which does not run meanwhile
        return connection.chunks()


def test_an_origin_is_not_blamed_for_a_client_that_pauses(lab, hasty, prompt):
    body = call_slowly_read(lab.client(hasty), prompt, 30_000_000, 3)
    assert len(body) > 30_000_000
    assert hasty.event(prompt)["event.outcome"] == "success"


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}], ids=["kept", "closed"])
def test_who_reads_the_end_of_an_answer_late_gets_it(lab, hasty, prompt, headers):
    """The origin has said all of it, and the rest waits in the appliance."""
    with lab.network.appliance.small_buffers():
        body = call_slowly_read(lab.client(hasty), prompt, 230_000, 3, **headers)
    assert len(body) > 230_000


def test_a_client_that_stops_after_an_early_answer_is_blamed(lab, appliance, prompt):
    """The origin's head came before the request was whole: it waits for the rest of it."""
    gate = appliance({"http": {"body_timeout": "1s"}, "origin": {"idle_timeout": "3s"}})
    done = threading.Event()

    def respond(head, body):
        yield b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        done.wait(60)

    body = b'{"input": "' + b"x" * 100_000
    with rogue_origin(lab, ROGUE, respond, early=True), lab.client(gate).tls(ROGUE) as connection:
        connection.send(f"POST {azure_path(operation='embeddings')} HTTP/1.1\r\nHost: {ROGUE}\r\napi-key: k\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body))
        connection.send(body)
        assert connection.head()[0] == 200
        connection.rest()
        done.set()
    event = gate.wait_events(1, lambda event: event.get("http.response.status_code") == 200)[0]
    assert event["error.type"] == "body_timeout"


def test_a_client_is_not_blamed_for_an_origin_that_reads_late(lab, appliance, origin, prompt):
    """The client's deadline is shorter than the origin's pause, and its body is longer than every
    buffer on the way."""
    gate = appliance({"http": {"body_timeout": "1s"}})
    body = chat_body(prompt + "x" * 30_000_000)
    headers = {"x-test-read-pause-ms": "3000", "x-test-id": "late"}
    got = lab.client(gate).call(AZURE, azure_path(), body, headers=headers)
    assert got.status == 200
    assert origin.request("late").body_bytes == len(body)


def test_an_origin_that_takes_nothing_more_is_blamed(lab, hasty, prompt):
    body = chat_body(prompt + "x" * 30_000_000)
    headers = {"x-test-read-pause-ms": "60000"}
    with lab.client(hasty).tls(AZURE) as connection:
        with contextlib.suppress(OSError):  # the answer comes before the body is sent
            connection.request("POST", azure_path(), AZURE, {"api-key": "k", **headers}, body)
        assert connection.response().status == 504
    event = hasty.event(prompt)
    assert (event["error.type"], event["event.action"]) == ("origin_timeout", "allow")


def test_a_generation_may_take_longer_than_a_body(lab, appliance, prompt):
    gate = appliance({"http": {"body_timeout": "1s"}})
    assert lab.client(gate).chat(AZURE, prompt, headers={"x-test-delay-ms": "2500"}).status == 200


def test_what_a_shutdown_cuts_is_not_the_clients_doing(lab, appliance, origin, prompt):
    gate = appliance({"processes": {"drain_timeout": "1s"}})
    with lab.client(gate).tls(AZURE) as connection:
        headers = {"api-key": "k", "x-test-delay-ms": "60000", "x-test-id": "cut"}
        connection.request("POST", azure_path(), AZURE, headers, chat_body(prompt))
        origin.request("cut")
        assert gate.daemon.stop(seconds=60) == 0
        connection.closed()
    event = gate.event(prompt)
    assert event["error.type"] == "shutdown"
    assert event["event.action"] == "allow"


@pytest.fixture
def draining(appliance):
    return appliance({"origin": {"on_client_close": "drain", "drain_time": "2s"}})


@pytest.mark.parametrize("reset", [False, True])
def test_usage_of_a_client_that_left_can_be_drained(lab, draining, origin, prompt, reset):
    headers = {"x-test-events": "40", "x-test-pace-ms": "20", "x-test-id": "left"}
    lab.client(draining).leave_stream(AZURE, prompt, headers, reset)
    event = draining.event(prompt)
    assert event["gen_ai.usage.source"] == "drained"
    assert event["gen_ai.usage.output_tokens"] == 40
    assert event["error.type"] == "client_closed"
    assert origin.reply("left")["outcome"] == "complete"


def test_draining_has_a_cap(lab, draining, origin, prompt):
    headers = {"x-test-events": "40", "x-test-stall-after": "10", "x-test-id": "capped"}
    lab.client(draining).leave_stream(AZURE, prompt, headers, reset=True)
    event = draining.event(prompt)
    assert event["gen_ai.usage.source"] == "estimated"
    assert event["gen_ai.usage.output_tokens"] > 0
    assert event["error.type"] == "client_closed"
    assert origin.reply("capped")["outcome"] == "aborted"


@contextlib.contextmanager
def small_sockets(namespace):
    """What is sent from there waits in the program, not in the kernel."""
    path = "/proc/sys/net/ipv4/tcp_wmem"
    with namespace.inside(), open(path, encoding="ascii") as file:
        before = file.read()

    def write(text):
        with namespace.inside(), open(path, "w", encoding="ascii") as file:
            file.write(text)

    write("4096 16384 16384")
    try:
        yield
    finally:
        write(before)


@pytest.mark.parametrize("bytes", [150_000, 5_000_000], ids=["its end", "the middle"])
def test_a_client_that_never_reads_its_answer(lab, appliance, prompt, bytes):
    """The end waits when all of the answer is composed, and nothing is asked of the origin any more."""
    gate = appliance({"http": {"unread_timeout": "1s", "window": "128KiB"}})
    with small_sockets(lab.network.appliance):
        plain = lab.client(gate).tcp(network.REGION_A)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        context = lab.client(gate).context()
        with context.wrap_socket(plain, server_hostname=AZURE) as stream:
            connection = Connection(stream)
            connection.request("POST", azure_path(), AZURE, {"api-key": "k", "x-test-bytes": str(bytes)},
                               chat_body(prompt))
            wait_for(lambda: gate.counters()["client.stalled"] == 1, "the client to be cut off")
            with pytest.raises(Ended):
                connection.response()
    event = gate.event(prompt)
    assert event.get("error.type") == (None if bytes < 1_000_000 else "client_stalled")
