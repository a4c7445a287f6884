# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing that the service might read passes unread: a body that cannot be read is refused, or passes
where the configuration says so, and the event says why."""

import gzip
import json

import pytest

from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.process import wait_for


@pytest.fixture(scope="module", params=["deny", "pass"])
def gate(lab, request):
    gate = lab.appliance({"http": {"unreadable": request.param}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def deny(gate):
    return gate.config["http"]["unreadable"] == "deny"


def plain(prompt):
    return chat_body(prompt).encode()


def large(prompt, key):
    """The key comes when the beginning has gone already, as the body's last."""
    return plain(prompt + "x" * 300_000)[:-1] + b',"%s":1}' % key


def deep(prompt):
    return b'{"x":' + b"[" * 2000 + b"]" * 2000 + b"," + plain(prompt)[1:]


# name: (Content-Encoding lines, body of a prompt, status, problem)
BODIES = {
    "br": (["br"], plain, 400, "damaged content coding"),
    "gzip-identity": (["gzip, identity"], plain, 400, "damaged content coding"),
    "foo": (["foo"], plain, 415, "unknown content coding"),
    "three": (["gzip, gzip, gzip"], plain, 415, "unknown content coding"),
    "second-line": (["identity", "gzip"], plain, 400, "damaged content coding"),
    "once-of-two": (["gzip", "gzip"], lambda p: gzip.compress(plain(p)), 400, "damaged content coding"),
    "cut": (["gzip"], lambda p: gzip.compress(plain(p))[:-4], 400, "content coding cut short"),
    "expands": (["gzip"], lambda p: gzip.compress(b" " * 4_000_000 + plain(p)), 413, "expands too much"),
    "deep": ([], deep, 400, "nested too deep"),
    "no-json": ([], lambda p: plain(p)[:-1] + b",oops", 400, "invalid JSON"),
    "unfinished": ([], lambda p: plain(p)[:-1], 400, "unfinished JSON"),
    "array": ([], lambda p: b"[" + plain(p) + b"]", 400, "not a JSON object"),
    "case": ([], lambda p: plain(p).replace(b"messages", b"Messages"), 400, "ambiguous key"),
    "case-inside": ([], lambda p: plain(p).replace(b"content", b"Content"), 400, "ambiguous key"),
    "twice": ([], lambda p: b'{"messages":[],' + plain(p)[1:], 400, "duplicate key"),
    "large-case": ([], lambda p: large(p, b"MESSAGES"), 400, "ambiguous key"),
    "large-twice": ([], lambda p: large(p, b"messages"), 400, "duplicate key"),
}


def call(client, id, codings, body):
    with client.tls(AZURE) as connection:
        lines = [f"POST {azure_path()} HTTP/1.1", f"Host: {AZURE}", "api-key: k", f"x-test-id: {id}",
                 f"Content-Length: {len(body)}", *(f"Content-Encoding: {coding}" for coding in codings)]
        connection.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return connection.response()


@pytest.mark.parametrize("name", BODIES)
def test_unreadable(gate, client, origin, prompt, name):
    codings, make, status, problem = BODIES[name]
    body = make(prompt)
    recorded = len(gate.events())
    before = gate.counters()["request.unreadable"]
    got = call(client, name, codings, body)
    event = gate.wait_for_events(lambda events: len(events) > recorded)[-1]
    assert event["body.readable"] is False and event["body.problem"] == problem
    assert gate.counters()["request.unreadable"] == before + 1
    if deny(gate):
        assert got.status == status
        assert problem in json.loads(got.body)["error"]["message"]
        assert event["event.action"] == "deny" and event["error.type"] == "body_unreadable"
        assert [r for r in origin.requests(name) if r.body == body] == []
    else:
        assert event["event.action"] == "allow"
        wait_for(lambda: origin.requests(name), "the request at the origin")
        assert origin.request(name).body_sha256


def test_a_field_of_the_body_cannot_be_taken_off(gate, client, origin, prompt):
    """The reader would undo a coding that the origin never hears of."""
    with client.tls(AZURE) as connection:
        body = plain(prompt)
        connection.request("POST", azure_path(), AZURE,
                           {"Connection": "content-encoding", "Content-Encoding": "gzip"}, body)
        assert connection.response().status == 400
    assert origin.requests() == []


@pytest.mark.parametrize("codings, make", [
    ([], plain), (["identity"], plain), ([""], plain), (["gzip"], lambda p: gzip.compress(plain(p))),
    (["gzip", "gzip"], lambda p: gzip.compress(gzip.compress(plain(p)))),
    (["identity, gzip", "gzip"], lambda p: gzip.compress(gzip.compress(plain(p)))),
], ids=["none", "identity", "empty", "gzip", "two", "three"])
def test_readable(gate, client, prompt, codings, make):
    call(client, "readable", codings, make(prompt))
    assert gate.event(prompt)["body.readable"]
