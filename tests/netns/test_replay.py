# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests whose connection is lost before there is an answer: nothing is done twice that may have
had an effect."""

import contextlib
import os
import signal

import pytest

from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.process import wait_for

BATCHES = "/openai/batches?api-version=2024-10-21"


@pytest.fixture(scope="module")
def gate(standing):
    return standing


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
