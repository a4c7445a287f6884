# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests whose connection is lost before there is an answer: nothing is done twice that may have
had an effect."""

import contextlib
import hashlib
import os
import signal
import threading

import pytest

from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.process import wait_for

BATCHES = "/openai/batches?api-version=2024-10-21"


@pytest.fixture(scope="module")
def gate(lab):
    """A body that is not edited goes on in the turn in which its beginning has come; all bodies
    together are held up to 2 MiB."""
    gate = lab.appliance({"http": {"request_window": "4KiB", "held_max": "2MiB"},
                          "appliance": {"workers": 1}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def kept(client, origin, prompt, **headers):
    """A client whose next request goes over a connection that its origin knows."""
    connection = client.tls(AZURE)
    got = client.chat(AZURE, f"{prompt} first", connection=connection,
                      headers={"x-test-id": "first", **headers})
    assert got.status == 200
    return connection


@pytest.mark.parametrize("method, target, times", [
    ("POST", BATCHES, 1), ("POST", azure_path(), 1), ("DELETE", "/openai/files/f?api-version=2024-10-21", 2),
    ("GET", "/openai/models?api-version=2024-10-21", 2),
], ids=["batches", "chat", "delete", "models"])
def test_what_the_origin_has_read_is_done_again_only_where_that_is_harmless(
        gate, client, origin, prompt, method, target, times):
    """The origin reads all of the request, works on it, and closes without an answer."""
    with kept(client, origin, prompt) as connection:
        headers = {"x-test-answer": "none", "x-test-delay-ms": "300", "x-test-id": "taken"}
        body = chat_body(prompt) if method == "POST" else None
        got = client.call(AZURE, target, body, method=method, headers=headers, connection=connection)
    assert got.status == 502
    assert len(origin.requests("taken")) == times


@contextlib.contextmanager
def frozen(gate):
    """The workers stand still, and find afterwards what has come meanwhile."""
    workers = gate.children("worker")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("target", [BATCHES, azure_path()], ids=["batches", "chat"])
def test_a_connection_that_was_closed_already_is_replaced(gate, client, origin, prompt, target):
    before = gate.counters()["origin.stale"]
    with kept(client, origin, prompt, **{"x-test-idle-close-ms": "300"}) as connection:
        number = origin.request("first").connection
        with frozen(gate):
            wait_for(lambda: [r for r in origin.records("close") if r["connection"] == number],
                     "the origin to close")
            connection.request("POST", target, AZURE, {"api-key": "k", "x-test-id": "second"},
                               chat_body(prompt))
        assert connection.response().status in (200, 404)
    assert len(origin.requests("second")) == 1
    assert gate.counters()["origin.stale"] == before + 1


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [70_000, 1_000_000, 3_000_000])
def test_so_is_one_that_a_long_body_was_to_go_over(gate, client, origin, prompt, size, chunked):
    """The body begins to go before it is whole: whether it can be sent again is decided before."""
    body = chat_body(prompt, padding="x" * size).encode()
    target = azure_path("text-embedding-3-small", "embeddings")
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    head = f"POST {target} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nx-test-id: second\r\n{framing}\r\n\r\n"
    data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    with kept(client, origin, prompt, **{"x-test-idle-close-ms": "300"}) as connection:
        number = origin.request("first").connection
        sending = threading.Thread(target=connection.send, args=(head.encode() + data,))
        with frozen(gate):
            wait_for(lambda: [r for r in origin.records("close") if r["connection"] == number],
                     "the origin to close")
            sending.start()
        sending.join()
        assert connection.response().status == 200
    assert [r.body_sha256 for r in origin.requests("second")] == [hashlib.sha256(body).hexdigest()]


def test_what_bodies_take_together_is_bounded(client, origin, prompt):
    """Each may yet be edited and would be held to its end: the first do, the others go on."""
    body = chat_body(prompt, stream=True, padding="x" * 900_000).encode()
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(client.tls(AZURE)) for _ in range(6)]
        for i, connection in enumerate(connections):
            connection.send(f"POST {azure_path('gpt-held')} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
                            f"x-test-id: held\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        wait_for(lambda: len(origin.records("connection")) >= 3, "bodies to go on before they are whole")
        for connection in connections:
            connection.send(body[-1:])
            assert connection.response().status == 200
    seen = [(r.body_sha256, r.include_usage) for r in origin.requests("held")]
    whole = [usage for _, usage in seen]
    assert len(seen) == 6 and 1 <= sum(whole) <= 3  # held to the end: edited
    assert {sha for sha, usage in seen if not usage} == {hashlib.sha256(body).hexdigest()}
