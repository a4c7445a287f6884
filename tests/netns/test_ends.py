# SPDX-License-Identifier: GPL-2.0-or-later
"""How streams end: success is what the dialect says is the end, for the event and for the client."""

import threading

import pytest

from lab.appliance import AZURE
from lab.client import Ended, azure_path, chat_body
from lab.rogue import rogue_origin

ASKED = {"stream": True, "stream_options": {"include_usage": True}}  # nothing is injected or hidden


@pytest.fixture(scope="module")
def gate(standing):
    return standing


@pytest.mark.parametrize("fields", [{"stream": True}, ASKED], ids=["injected", "asked"])
@pytest.mark.parametrize("headers", [
    {}, {"x-test-framing": "close"}, {"x-test-coding": "gzip"}, {"x-test-coding": "br"},
    {"x-test-batch": "100"}, {"x-test-chunk": "1"},
], ids=lambda headers: "-".join(headers.values()) or "chunked")
def test_a_stream_without_its_end_mark_is_truncated(gate, client, prompt, fields, headers):
    before = gate.counters()["response.truncated"]
    with pytest.raises(Ended):
        client.chat(AZURE, prompt, fields=fields, headers={"x-test-end": "unmarked", **headers})
    event = gate.event(prompt)
    assert (event["event.outcome"], event["error.type"]) == ("failure", "truncated")
    assert event["gen_ai.usage.output_tokens"] == 5
    assert gate.counters()["response.truncated"] == before + 1


def test_what_came_of_a_truncated_stream_is_delivered(client, prompt):
    with client.tls(AZURE) as connection:
        headers = {"api-key": "k", "x-test-end": "unmarked"}
        connection.request("POST", "/openai/v1/chat/completions", AZURE, headers,
                           chat_body(prompt, model="gpt-4o", stream=True))
        connection.head()
        assert b" t4" in connection.rest()


def test_an_error_takes_the_place_of_the_end_mark(gate, client, prompt):
    headers = {"x-test-error-after": "3", "x-test-end": "unmarked"}
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers=headers)
    assert b'"server_error"' in got.body
    assert gate.event(prompt)["error.type"] == "500"


@pytest.mark.parametrize("fields", [{"stream": True}, ASKED], ids=["injected", "asked"])
@pytest.mark.parametrize("batch", ["1", "100"])
def test_a_cut_after_the_end_mark_is_a_cut_for_both(gate, client, prompt, fields, batch):
    headers = {"x-test-end": "cut", "x-test-batch": batch}
    with pytest.raises(Ended):
        client.chat(AZURE, prompt, fields=fields, headers=headers)
    event = gate.event(prompt)
    assert event["event.outcome"] == "failure"
    assert event["error.type"] in ("origin_lost", "origin_closed")
    assert event["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize("fields", [{"stream": True}, ASKED], ids=["injected", "asked"])
@pytest.mark.parametrize("headers", [{}, {"x-test-batch": "100"}, {"x-test-coding": "gzip"}], ids=str)
def test_silence_after_the_end_mark_is_the_end_for_both(gate, client, prompt, fields, headers):
    with client.tls(AZURE) as connection:
        got = client.chat(AZURE, prompt, fields=fields, connection=connection,
                          headers={"x-test-end": "stall", **headers})
        assert got.status == 200
        assert headers.get("x-test-coding") or got.body.endswith(b"data: [DONE]\n\n")
        event = gate.event(prompt)
        assert event["event.outcome"] == "success"
        assert client.chat(AZURE, prompt + " again", connection=connection).status == 200


ROGUE = "rogue-ends.openai.azure.com"
MARKED = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"e\r\ndata: [DONE]\n\n\r\n")


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


def test_what_trickles_in_behind_the_end_mark_does_not_put_the_end_off(lab, gate, client, prompt):
    answered = threading.Event()

    def respond(head, body):
        yield MARKED
        while not answered.wait(0.1):
            yield chunk(b":\n\n")

    with rogue_origin(lab, ROGUE, respond):
        try:
            got = client.chat(ROGUE, prompt, fields={"stream": True})
        finally:
            answered.set()
    assert got.status == 200 and got.body.startswith(b"data: [DONE]\n\n")
    assert gate.event(prompt)["event.outcome"] == "success"


@pytest.mark.parametrize("fields", [{"stream": True}, ASKED], ids=["injected", "asked"])
def test_a_flood_behind_the_end_mark_is_not_kept(lab, gate, client, prompt, fields):
    def respond(head, body):
        yield MARKED
        for _ in range(200):
            yield chunk(b": flood\n\n" * 10000)
        yield b"0\r\n\r\n"

    with rogue_origin(lab, ROGUE, respond), client.tls(ROGUE) as connection:
        connection.request("POST", azure_path(), ROGUE, {"api-key": "k"}, chat_body(prompt, **fields))
        got = connection.rest()
    assert b"data: [DONE]\n\n" in got
    assert len(got) < 1_000_000 and not got.endswith(b"0\r\n\r\n")
    assert gate.event(prompt)["error.type"] == "response_malformed"


@pytest.mark.parametrize("status, length", [(204, None), (304, "5")])
def test_a_response_without_a_body_whatever_length_it_names(lab, gate, client, prompt, status, length):
    """RFC 9110 section 8.6: a 204 has no Content-Length; that of a 304 is what a 200 would have."""
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nConnection: close\r\n\r\n".encode()
    with rogue_origin(lab, ROGUE, lambda *_: answer), client.tls(ROGUE) as connection:
        for i in range(2):  # nothing is left between them
            got = client.chat(ROGUE, f"{prompt} {i}", connection=connection)
            assert (got.status, got.header("content-length"), got.body) == (status, length, b"")
            assert gate.event(f"{prompt} {i}")["http.response.status_code"] == status
