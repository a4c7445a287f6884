# SPDX-License-Identifier: GPL-2.0-or-later
"""Sizes, slowness and clients that leave: memory stays bounded and usage is not lost."""

import hashlib
import json
import time

import pytest

from lab import network
from lab.appliance import AZURE, status
from lab.client import azure_path, chat_body, together
from lab.rogue import rogue_origin

ROGUE = "rogue-limits.openai.azure.com"
MIB = 1 << 20
BIG = 50_000_000
GROWTH = 24 * MIB  # of a worker, whatever passes through it


@pytest.fixture
def client(lab, standing):
    return lab.client(standing)


def peak(standing):
    """The most resident memory that a worker ever had."""
    return max(int(status(pid)["VmHWM"].split()[0]) * 1024 for pid in standing.children("worker"))


@pytest.fixture
def bounded(request, standing, client):
    """Asserts that the test does not make a worker grow, but by so much."""
    client.chat(AZURE, "warm")
    before = peak(standing)
    yield
    assert peak(standing) - before < getattr(request, "param", GROWTH)


def test_a_large_request(standing, client, origin, bounded, prompt):
    body = chat_body(prompt + "x" * BIG).encode()
    got = client.call(AZURE, azure_path(), body, headers={"x-test-id": "large"})
    assert got.status == 200
    assert origin.request("large").body_sha256 == hashlib.sha256(body).hexdigest()
    event = standing.event(prompt)
    assert event["bytes.request"] == len(body)
    assert event["gen_ai.input.messages.truncated"]
    # Cut at 256 KiB, and closed so that it is JSON.
    assert len(event["gen_ai.input.messages"]) <= 256 * 1024 + 132


def test_a_large_request_to_an_origin_that_reads_late(client, origin, bounded, prompt):
    body = chat_body(prompt + "x" * BIG).encode()
    headers = {"x-test-read-pause-ms": "1000", "x-test-id": "late"}
    assert client.call(AZURE, azure_path(), body, headers=headers).status == 200
    assert origin.request("late").body_bytes == len(body)


def test_a_large_chunked_stream_request_gets_its_usage_injected(standing, client, origin, bounded, prompt):
    """The body is longer than any window: the edit is made at its end."""
    messages = [{"role": "user", "content": prompt}, {"role": "user", "content": "x" * BIG}]
    # Nothing is added to what cannot be sent again without it, but for a model that takes it.
    assert client.chat(AZURE, "known", fields={"stream": True}).status == 200
    body = json.dumps({"stream": True, "messages": messages}).encode()
    with client.tls(AZURE) as connection:
        connection.send(
            f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nx-test-id: tail\r\n"
            "Transfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(0, len(body), 1 << 16):
            part = body[at : at + (1 << 16)]
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\n\r\n")
        got = connection.response()
    assert got.status == 200
    assert not any(event.get("usage") for event in got.events())
    assert origin.request("tail").include_usage
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


OPTIONS = {
    '{"include_usage": false}': '{"include_usage": true}',
    '{"include_obfuscation": false}': '{"include_obfuscation": false,"include_usage":true}',
    "{}": '{"include_usage":true}',
    "null": '{"include_usage":true}',
}


@pytest.mark.parametrize("options", OPTIONS, ids=["false", "other", "empty", "null"])
@pytest.mark.parametrize("coding", [None, "identity"])
def test_exact_usage_cannot_be_avoided(standing, client, origin, bounded, prompt, options, coding):
    """Wherever stream_options stands in a body of which a part has gone already."""
    offsets = [60, 65536 - 30, 65536 - 12, 65536, 200_000]  # around http.request_window, and far off
    for at in offsets:
        about = f"{prompt} {at}."
        start = f'{{"stream": true, "messages": [{{"role": "user", "content": "{about}"}}], "user": "'
        start += "u" * (at - len(start)) + '", "stream_options": '
        end = ', "metadata": {"a": "%s"}}' % ("x" * 100_000)
        headers = {"x-test-id": f"{at}", **({"Content-Encoding": coding} if coding else {})}
        got = client.call(AZURE, azure_path(), start + options + end, headers=headers)
        assert got.status == 200
        assert not any(event.get("usage") for event in got.events())
        wanted = (start + OPTIONS[options] + end).encode()
        assert origin.request(f"{at}").body_sha256 == hashlib.sha256(wanted).hexdigest()
        assert standing.event(about)["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_large_response(standing, client, bounded, prompt, framing):
    headers = {"x-test-bytes": str(BIG), "x-test-framing": framing}
    got = client.chat(AZURE, prompt, headers=headers)
    assert len(got.text()) > BIG
    event = standing.event(prompt)
    assert event["gen_ai.output.messages.truncated"]
    assert event["gen_ai.usage.source"] == "provider"
    assert event["bytes.response"] > BIG


def test_a_large_response_to_a_client_that_reads_late(client, bounded, prompt):
    with client.tls(AZURE) as connection:
        headers = {"api-key": "k", "x-test-bytes": str(BIG)}
        connection.request("POST", azure_path(), AZURE, headers, chat_body(prompt))
        connection.head()
        time.sleep(1)  # nothing is asserted about it: it only lets the sender fill every buffer
        assert len(connection.exactly(BIG)) == BIG


def test_a_stream_of_many_events(standing, client, bounded, prompt):
    headers = {"x-test-events": "50000", "x-test-batch": "100"}
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers=headers)
    assert got.text().endswith(" t49999")
    assert standing.event(prompt)["gen_ai.usage.output_tokens"] == 50000


def test_a_huge_event_passes(client, bounded, prompt):
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers={"x-test-bytes": "20000000"})
    assert len(got.text()) > 20_000_000
    assert got.body.endswith(b"data: [DONE]\n\n")


def test_a_compressed_bomb_is_not_unpacked_into_memory(client, bounded, prompt):
    headers = {"x-test-bytes": str(100_000_000), "x-test-coding": "gzip"}
    got = client.chat(AZURE, prompt, headers=headers)
    assert got.status == 200
    assert got.header("content-encoding") == "gzip"


# Of each, what is kept of its body (http.replay_window, in a buffer that doubles) and of its words.
@pytest.mark.parametrize("bounded", [8 * 5 * MIB], indirect=True, ids=["at-once"])
def test_many_large_calls_at_once(client, bounded, prompt):
    def call(i):
        return client.chat(AZURE, f"{i} {prompt}" + "y" * 5_000_000, headers={"x-test-bytes": "5000000"})

    assert all(len(got.text()) > 5_000_000 for got in together(8, call))


def test_an_event_leaves_when_it_comes(client, origin, prompt):
    """The first piece is at the client while the origin has not sent the last one yet."""
    with client.tls(AZURE) as connection:
        headers = {"api-key": "k", "x-test-events": "30", "x-test-pace-ms": "100", "x-test-id": "early"}
        connection.request("POST", azure_path(), AZURE, headers, chat_body(prompt, stream=True))
        connection.head()
        connection.until(f"Answer to: {prompt}"[:60].encode())
        assert [r for r in origin.records("reply") if r["id"] == "early"] == []


# --- clients that leave ---


def test_a_client_that_left_while_sending_reaches_no_answer(standing, client, origin, prompt):
    connection = client.tls(AZURE)
    connection.send(
        f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nx-test-id: half\r\n"
        f"Content-Length: 1000000\r\n\r\n"
    )
    connection.send(chat_body(prompt)[:-1] + " " * 300000)
    connection.reset()
    event = standing.event(prompt)
    assert event["event.outcome"] == "failure"
    assert [r for r in origin.requests("half") if r.outcome == "complete"] == []


def test_clients_that_leave_while_their_answer_is_written(standing, client, prompt):
    died = standing.counters()["process.died"]

    def leave(thread):
        for i in range(100):
            connection = client.tls(AZURE)
            connection.request("POST", azure_path(), AZURE, {"api-key": "k"}, chat_body(prompt))
            time.sleep(i * 0.00004)  # the answer comes within some milliseconds
            connection.reset()

    together(4, leave)
    client.chat(AZURE, f"{prompt} last")
    standing.event(f"{prompt} last")
    assert standing.counters()["process.died"] == died


def test_who_reads_no_answers_is_asked_for_no_more_requests(lab, standing, client):
    """Each answer comes in one record, so that it is whole in the turn in which it begins."""
    n, started = 150, lambda: standing.counters()["exchange.started"]
    before, seen = started(), []
    answer = b'{"answer": "%b"}' % (b"x" * 15_000)
    head = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            b"Content-Length: %d\r\n\r\n" % len(answer))
    with rogue_origin(lab, ROGUE, lambda *_: head + answer), \
            lab.network.appliance.small_buffers(), client.tls(ROGUE) as connection:
        for i in range(n):
            connection.request("POST", azure_path(), ROGUE, {"api-key": "k"}, chat_body(f"call {i}."))
        while len(seen) < 4 or seen[-4] != seen[-1] or seen[-1] == before:  # until it stands still
            seen.append(started())
            time.sleep(0.2)
        for _ in range(n):
            assert connection.response().body == answer
    assert seen[-1] - before < n / 5  # what fits into a window and the buffers of the kernels
    assert started() - before == n


def test_idle_connections_of_clients_are_cheap(standing, client):
    before = sum(int(status(pid)["VmRSS"].split()[0]) for pid in standing.children("worker"))
    connections = [client.tls(AZURE) for _ in range(200)]
    try:
        for connection in connections[:20]:
            assert client.chat(AZURE, "idle", connection=connection).status == 200
        after = sum(int(status(pid)["VmRSS"].split()[0]) for pid in standing.children("worker"))
        assert (after - before) * 1024 / len(connections) < 256 * 1024
    finally:
        for connection in connections:
            connection.close()


def test_the_second_address_of_a_name_is_tried(lab, standing, client, prompt):
    host = "two.openai.azure.com"
    lab.add_host(host, network.DNS, network.REGION_A)  # nobody listens on the first one
    assert client.chat(host, prompt, address=network.REGION_A).status == 200
