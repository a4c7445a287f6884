# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 with clients: many calls on a connection, each of them as over HTTP/1."""

import time

import pytest

from lab.appliance import AZURE, OPENAI, status
from lab.client import azure_path, chat_body
from lab.http2 import http2
from lab.process import wait_for

LONG = "600000"  # ms; longer than any test waits
KEY = {"api-key": "client-key-0123456789", "authorization": "Bearer sk-client-key-0123456789",
       "content-type": "application/json"}


@pytest.fixture(scope="module")
def gate(standing):
    return standing


def chat(connection, prompt, host=AZURE, target=None, headers=(), end=True, **fields):
    return connection.request("POST", target or azure_path(), host, {**KEY, **dict(headers)},
                              chat_body(prompt, **fields), end)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("host, target", [(AZURE, azure_path()), (OPENAI, "/v1/chat/completions")])
def test_chat(gate, client, origin, prompt, host, target, streamed):
    with http2(client, host) as connection:
        got = connection.response(chat(connection, prompt, host, target, {"x-test-id": "chat"},
                                       model="gpt-4o", stream=streamed))
    assert got.status == 200
    assert got.text().startswith(f"Answer to: {prompt}"[:75])
    assert not [h for h in got.headers if h[0] in ("connection", "transfer-encoding")]
    seen = origin.request("chat")
    assert seen.sni == seen.header("host") == host
    event = gate.event(prompt)
    assert gate.counters()["client.http2"]
    assert event["event.action"] == "allow" and event["event.outcome"] == "success"
    assert event["gen_ai.usage.source"] == "provider"
    assert event["bytes.request"] == len(chat_body(prompt, model="gpt-4o", stream=streamed))


def test_many_at_a_time(gate, client, origin, prompt):
    """A call that waits keeps none of the others waiting."""
    with http2(client, AZURE) as connection:
        waits = chat(connection, f"{prompt} waits", headers={"x-test-delay-ms": LONG, "x-test-id": "w"})
        origin.request("w")
        ids = [chat(connection, f"{prompt} {i}", stream=i % 2 == 0) for i in range(40)]
        for i, id in enumerate(ids):
            assert connection.response(id).text().startswith(f"Answer to: {prompt} {i}"[:75])
        connection.reset(waits)
        event = gate.event(f"{prompt} waits")
    assert event["error.type"] == "client_closed"


def test_a_connection_that_rests_goes_on(client, prompt):
    """Its buffers have been given back meanwhile (userspace/io/warm.h)."""
    with http2(client, AZURE) as connection:
        assert connection.response(chat(connection, prompt)).status == 200
        time.sleep(0.5)
        assert connection.response(chat(connection, prompt)).status == 200


def origin_is_left(origin, id):
    number = origin.request(id).connection
    wait_for(lambda: [r for r in origin.records("close") if r["connection"] == number],
             "the end of the origin's call")


def test_curl(gate, client, prompt):
    got = client.curl(f"https://{AZURE}{azure_path()}", "--http2", headers=KEY, data=chat_body(prompt))
    assert got.text().startswith("Answer to: ")
    assert gate.event(prompt)["event.outcome"] == "success"


def test_trailers_of_both_sides(gate, client, origin, prompt):
    with http2(client, AZURE) as connection:
        id = connection.request("POST", azure_path(), AZURE, {**KEY, "x-test-id": "t",
                                "x-test-trailers": "1", "x-test-framing": "chunked"},
                                chat_body(prompt), end=False)
        connection.h2.send_headers(id, [("x-checksum", "7")], end_stream=True)
        connection.flush()
        got = connection.response(id)
    assert got.status == 200 and got.trailers
    assert origin.request("t").header("transfer-encoding") == "chunked"
    assert gate.event(prompt)["event.outcome"] == "success"


def test_what_is_no_request_is_answered_and_the_others_go_on(gate, client, origin, prompt):
    """Whatever could be another request to the origin than to us."""
    well = dict(method="POST", target=azure_path(), host=AZURE)
    cases = [
        ([("transfer-encoding", "chunked")], "connection_field"),
        ([("connection", "close")], "connection_field"),
        ([("Content-Type", "application/json")], "name_byte"),
        ([("x", "a\r\nb: c")], "value_byte"),
        ([("content-length", "1"), ("content-length", "2")], "length_duplicate"),
        ([("host", "other.openai.azure.com")], "host_differs"),
        ([(":path", "/")], "pseudo_field"),
    ]
    with http2(client, AZURE) as connection:
        waits = chat(connection, prompt, headers={"x-test-delay-ms": "1500"})
        for more, name in cases:
            got = connection.response(connection.send(connection.headers(**well) + more))
            assert got.status == 400, (name, got)
            wait_for(lambda: [e for e in gate.events() if e.get("error.type") == name], name)
        short = connection.request("POST", azure_path(), AZURE, {**KEY, "content-length": "9"},
                                   '{"a":1}')
        assert connection.response(short).status == 400
        other = connection.send(connection.headers("POST", azure_path(), "other.openai.azure.com"))
        assert connection.response(other).status == 421
        assert connection.response(waits).status == 200
    assert len(origin.requests()) == 1


def test_a_body_that_is_not_whole_is_never_whole_for_the_origin(gate, client, origin, prompt):
    """The last byte of a promised length goes on with the end, after the verdict on all of it."""
    body = chat_body(prompt, padding="x" * 100_000)
    with http2(client, AZURE) as connection:
        id = chat(connection, prompt, headers={"x-test-id": "held", "content-length": str(len(body))},
                  end=False, padding="x" * 100_000)
        connection.h2.ping(b"12345678")
        connection.flush()
        origin.request  # the head may be there, the request is not
        assert not origin.requests("held")
        connection.h2.end_stream(id)
        connection.flush()
        assert connection.response(id).status == 200
    assert origin.request("held")


@pytest.mark.parametrize("phase", ["before the head", "in the middle", "all of them"])
def test_a_client_takes_its_call_back(gate, client, origin, prompt, phase):
    headers = {"x-test-id": "gone", "x-test-events": "40"}
    headers["x-test-delay-ms" if phase == "before the head" else "x-test-stall-after"] = (
        LONG if phase == "before the head" else "10")
    with http2(client, AZURE) as connection:
        id = chat(connection, prompt, headers=headers, stream=True)
        origin.request("gone")
        if phase != "before the head":
            connection.begun(id, b"Answer to: ")
        if phase == "all of them":
            connection.close()
        else:
            connection.reset(id)
            other = chat(connection, "another call")
            assert connection.response(other).status == 200
        origin_is_left(origin, "gone")
        event = gate.event(prompt)
    assert event["error.type"] == "client_closed"
    assert event["event.outcome"] == "failure"


def test_a_slow_stream_slows_its_origin_and_nobody_else(gate, client, origin, prompt):
    """Who opens no window has no more of the answer waiting than windows and sockets hold."""
    size = 30_000_000
    with http2(client, AZURE) as connection:
        connection.reads = False
        id = chat(connection, prompt, headers={
            "x-test-bytes": str(size), "x-test-framing": "chunked", "x-test-chunk": "65536",
            "x-test-id": "slow"})
        connection.until(lambda: len(connection.responses.get(id, {}).get("body", b"")) >= 65535)
        memory = [status(pid) for pid in gate.children("worker")]
        other = chat(connection, "another call")
        # The connection's own window is used up as well: this client opens that one alone.
        connection.h2.increment_flow_control_window(1 << 20)
        connection.flush()
        assert connection.response(other).status == 200
        assert not [r for r in origin.records("reply") if r["id"] == "slow"]
        assert all(float(m["VmRSS"].split()[0]) < 200_000 for m in memory)
        connection.reads = True
        connection.h2.increment_flow_control_window(65535, id)
        connection.flush()
        got = connection.response(id)
    assert got.status == 200 and len(got.body) > size
    assert gate.event(prompt)["event.outcome"] == "success"


def test_an_upload_is_read_as_far_as_it_goes_on(gate, client, origin, prompt):
    body = chat_body(prompt, padding="x" * 3_000_000)
    with http2(client, AZURE) as connection:
        id = connection.request("POST", azure_path(), AZURE,
                                {**KEY, "x-test-read-pause-ms": "300", "x-test-id": "up"}, body)
        assert connection.response(id).status == 200
    assert gate.event(prompt)["bytes.request"] == len(body)


def flood(client, write):
    """What the connection ends with, in a time that is no longer than that of one call."""
    with http2(client, AZURE) as connection:
        try:
            for i in range(20_000):
                write(connection, i)
        except OSError:
            pass
        return connection.ended()


def take_back(connection, i):
    id = connection.h2.get_next_available_stream_id()
    connection.h2.send_headers(id, connection.headers("POST", azure_path(), AZURE), end_stream=True)
    connection.h2.reset_stream(id, 8)
    if i % 50 == 0:
        connection.flush()


FLOODS = {
    "rapid reset": take_back,
    "ping": lambda connection, i: connection.raw(6, 0, 0, b"12345678" * 1),
    "settings": lambda connection, i: connection.raw(4, 0, 0),
    "empty data": lambda connection, i: connection.raw(0, 0, 1) if i else chat(connection, "", end=False),
    "continuation": lambda connection, i: connection.raw(9 if i else 1, 0, 1),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods(gate, client, origin, prompt, kind):
    before = gate.counters()["client.flooded"], gate.counters()["exchange.started"]
    ends = flood(client, FLOODS[kind])
    assert not ends or ends[-1][0] in (1, 11), ends  # PROTOCOL_ERROR, ENHANCE_YOUR_CALM
    if kind != "continuation":
        wait_for(lambda: gate.counters()["client.flooded"] > before[0], "the flood to be counted")
    assert gate.counters()["exchange.started"] - before[1] < 1000
    with http2(client, AZURE) as connection:
        assert connection.response(chat(connection, prompt)).status == 200


@pytest.fixture
def configured(gate):
    """The gate with another configuration; afterwards with its own again."""
    def configure(changes):
        gate.write_config(changes)
        gate.reload()

    yield configure
    configure({"http": None})


def test_the_switch(configured, client):
    configured({"http": {"h2": False}})
    context = client.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with client.tls(AZURE, context=context) as connection:
        assert connection.stream.selected_alpn_protocol() == "http/1.1"


def test_deadlines(configured, gate, client, prompt):
    configured({"http": {"head_timeout": "1s", "idle_timeout": "1s", "body_timeout": "1s"}})
    with http2(client, AZURE) as idle:
        assert idle.ended()[-1] == (0, 0)
    with http2(client, AZURE) as mute:
        id = chat(mute, prompt, end=False)
        assert mute.response(id).status == 408
        assert mute.ended()[-1] == (0, id)
    with http2(client, AZURE) as slow:
        assert slow.response(chat(slow, "a call before")).status == 200
        slow.raw(1, 0, 3, b"\x82")  # a head that does not go on
        slow.ended()
    assert gate.event(prompt)["error.type"] == "body_timeout"
    gate.wait_for_events(lambda found: found, lambda e: e.get("error.type") == "request_timeout")


def test_a_reload_loses_no_stream(gate, client, origin, prompt):
    with http2(client, AZURE) as connection:
        ids = [chat(connection, f"{prompt} {i}", stream=True, headers={
            "x-test-events": "10", "x-test-pace-ms": "300", "x-test-id": f"r{i}"}) for i in range(3)]
        for i in range(3):
            origin.request(f"r{i}")
        gate.reload()
        connection.until(lambda: connection.goaways)
        assert connection.goaways[0] == (0, 2**31 - 1)
        # One that could have been on its way when it was said.
        late = chat(connection, "a late call")
        for id in [*ids, late]:
            assert connection.response(id).status == 200
        assert connection.ended()[-1] == (0, late)
    with http2(client, AZURE) as connection:
        assert connection.response(chat(connection, prompt + " new")).status == 200
