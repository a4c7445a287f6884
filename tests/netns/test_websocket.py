# SPDX-License-Identifier: GPL-2.0-or-later
"""WebSocket: sessions of Realtime and of Responses, the calls in them, and what is denied."""

import contextlib
import json

import pytest

from lab.client import Ended
from lab.websocket import BINARY, CLOSE, PING, PONG, TEXT, upgrade, websocket_origin

HOST = "talk.openai.azure.com"
RESPONSES = "/openai/v1/responses"
REALTIME = "/openai/v1/realtime?model=gpt-realtime"
KEY = {"api-key": "client-key-0123456789"}


@pytest.fixture(scope="module")
def gate(standing):
    return standing


@contextlib.contextmanager
def session(lab, client, target, serve, headers=KEY, status=101):
    with websocket_origin(lab, HOST, serve), client.tls(HOST) as connection:
        got, _, websocket = upgrade(connection, HOST, target, headers)
        assert got == status
        yield websocket


def answer(websocket, lane, text, tokens=(11, 7), id="resp_1"):
    """A response as the service streams it."""
    more = {"stream_id": lane} if lane else {}
    response = {"id": id, "object": "response", "model": "gpt-5", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}],
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}}
    websocket.say({"type": "response.created", "response": {"id": id, "model": "gpt-5"}, **more})
    websocket.say({"type": "response.output_text.delta", "output_index": 0, "delta": text, **more})
    websocket.say({"type": "response.output_item.done", "output_index": 0,
                   "item": response["output"][0], **more})
    websocket.say({"type": "response.completed", "response": response, **more})


def create(prompt, lane=None, **more):
    message = {"type": "response.create", "model": "gpt-5",
               "input": [{"type": "message", "role": "user",
                          "content": [{"type": "input_text", "text": prompt}]}], **more}
    return {**message, "stream_id": lane} if lane else message


def leave(websocket):
    """The closing handshake, in order."""
    websocket.close()
    assert websocket.take()[0] == CLOSE
    websocket.connection.rest()


def end(websocket):
    assert websocket.take()[0] == CLOSE
    websocket.close()


def session_event(gate, operation, where=lambda event: True):
    return gate.wait_for_events(lambda found: found, lambda e: (
        e.get("gen_ai.operation.name") == operation and e.get("http.response.status_code") == 101
        and where(e)))[-1]


def test_responses_one_after_the_other(lab, gate, client, prompt):
    def serve(websocket, head):
        for i in range(2):
            assert websocket.hear()["type"] == "response.create"
            answer(websocket, None, f"said {i}", (10 + i, i + 1), f"resp_{i}")
        end(websocket)

    with session(lab, client, RESPONSES, serve) as websocket:
        for i in range(2):
            websocket.say(create(f"{prompt} {i}."))
            for type in ("created", "output_text.delta", "output_item.done", "completed"):
                assert websocket.hear()["type"] == f"response.{type}"
        leave(websocket)
    for i in range(2):
        event = gate.event(f"{prompt} {i}.")
        assert event["gen_ai.operation.name"] == "responses"
        assert event["event.outcome"] == "success"
        assert event["gen_ai.usage.input_tokens"] == 10 + i
        assert event["gen_ai.usage.output_tokens"] == i + 1
        assert event["gen_ai.usage.source"] == "provider"
        assert event["gen_ai.request.model"] == event["gen_ai.response.model"] == "gpt-5"
        assert event["gen_ai.response.id"] == f"resp_{i}"
        assert f"said {i}" in event["gen_ai.output.messages"]
    whole = session_event(gate, "responses")
    assert whole["event.outcome"] == "success"
    assert whole["gen_ai.usage.source"] == "none"


def test_lanes(lab, gate, client, prompt):
    """Two responses at a time, whose events come between each other's."""
    def serve(websocket, head):
        lanes = [websocket.hear()["stream_id"] for _ in range(2)]
        for lane in reversed(lanes):
            answer(websocket, lane, f"in {lane}", (len(lane), 1))
        end(websocket)

    with session(lab, client, RESPONSES, serve) as websocket:
        for lane in ("a", "bb"):
            websocket.say(create(f"{prompt} {lane}.", lane))
        for _ in range(8):
            websocket.hear()
        leave(websocket)
    for lane in ("a", "bb"):
        event = gate.event(f"{prompt} {lane}.")
        assert event["gen_ai.usage.input_tokens"] == len(lane)
        assert f"in {lane}" in event["gen_ai.output.messages"]


def test_frames_pass_as_they_come(lab, gate, client):
    """Pieces, control frames between them, binary, empty ones; both ways, and before anything is whole."""
    def serve(websocket, head):
        websocket.frame(TEXT, b'{"type":"session.', fin=False)
        websocket.frame(PING, b"are you there")
        assert websocket.take() == (PONG, b"are you there")
        websocket.frame(0, b'created"}')
        websocket.frame(BINARY, b"\xff" * 70_000)
        assert websocket.take() == (TEXT, "käse".encode()[:2])
        assert websocket.take() == (PING, b"")
        assert websocket.take() == (0, "käse".encode()[2:])
        assert websocket.take() == (BINARY, b"")
        end(websocket)

    with session(lab, client, REALTIME, serve) as websocket:
        assert websocket.take() == (TEXT, b'{"type":"session.')
        assert websocket.take() == (PING, b"are you there")
        websocket.frame(PONG, b"are you there")
        assert websocket.take() == (0, b'created"}')
        assert websocket.take() == (BINARY, b"\xff" * 70_000)
        websocket.frame(TEXT, "käse".encode()[:2], fin=False)
        websocket.frame(PING)
        websocket.frame(0, "käse".encode()[2:])
        websocket.frame(BINARY, b"")
        leave(websocket)
    event = session_event(gate, "realtime")
    assert event["event.outcome"] == "success"
    assert event["gen_ai.request.model"] == "gpt-realtime"


def test_realtime(lab, gate, client, prompt):
    def serve(websocket, head):
        assert websocket.hear()["type"] == "conversation.item.create"
        assert websocket.hear()["type"] == "response.create"
        websocket.say({"type": "response.created", "response": {"id": "resp_r"}})
        websocket.say({"type": "response.output_audio_transcript.delta", "delta": "hello"})
        websocket.say({"type": "response.done", "response": {
            "id": "resp_r", "status": "completed",
            "output": [{"type": "message", "role": "assistant",
                        "content": [{"type": "output_audio", "transcript": "hello there"}]}],
            "usage": {"total_tokens": 30, "input_tokens": 20, "output_tokens": 10,
                      "input_token_details": {"text_tokens": 5, "audio_tokens": 15, "cached_tokens": 4},
                      "output_token_details": {"text_tokens": 2, "audio_tokens": 8}}}})
        end(websocket)

    with session(lab, client, REALTIME, serve) as websocket:
        websocket.say({"type": "conversation.item.create", "item": {
            "type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}})
        websocket.say({"type": "response.create"})
        for _ in range(3):
            websocket.hear()
        leave(websocket)
    event = gate.event(prompt)
    assert event["gen_ai.operation.name"] == "realtime"
    assert event["gen_ai.request.model"] == "gpt-realtime"
    assert event["gen_ai.usage.input_tokens"] == 20
    assert event["gen_ai.usage.output_tokens"] == 10
    assert event["gen_ai.usage.audio.input_tokens"] == 15
    assert event["gen_ai.usage.audio.output_tokens"] == 8
    assert "hello there" in event["gen_ai.output.messages"]


@pytest.mark.parametrize("kind", ["mask", "reserved", "utf8", "control", "json"])
def test_what_is_no_frame_is_refused_by_a_close(lab, gate, client, kind):
    heard = []

    def serve(websocket, head):
        with contextlib.suppress(Ended):
            heard.append(websocket.take())

    with session(lab, client, RESPONSES, serve) as websocket:
        if kind == "mask":
            websocket.frame(TEXT, "{}", mask=False)
        elif kind == "reserved":
            websocket.frame(TEXT, "{}", reserved=4)
        elif kind == "utf8":
            websocket.frame(TEXT, b"\xed\xa0\x80")
        elif kind == "control":
            websocket.frame(PING, b"x" * 126)
        else:
            websocket.frame(TEXT, "no JSON")
        code, reason = websocket.closed()
        assert code == {"utf8": 1007, "json": 1008}.get(kind, 1002) and reason
        websocket.connection.rest()
    assert not heard
    name = "body_unreadable" if kind == "json" else f"websocket_{kind}"
    assert session_event(gate, "responses", lambda e: e.get("error.type") == name)


def test_an_origin_that_vanishes_is_said(lab, gate, client, prompt):
    def serve(websocket, head):
        websocket.hear()

    with session(lab, client, RESPONSES, serve) as websocket:
        websocket.say(create(prompt))
        assert websocket.closed()[0] == 1011
        websocket.connection.rest()
    assert gate.event(prompt)["error.type"] in ("origin_closed", "origin_lost")


def test_a_client_that_leaves_has_asked(lab, gate, client, prompt):
    def serve(websocket, head):
        websocket.hear()
        with pytest.raises(Ended):
            while True:
                websocket.take()

    with session(lab, client, RESPONSES, serve) as websocket:
        websocket.say(create(prompt))
        websocket.frame(PING)
        websocket.connection.close()
    event = gate.event(prompt)
    assert event["error.type"] == "client_closed"
    assert event["gen_ai.usage.source"] == "estimated"


def test_what_is_no_session_is_refused(lab, gate, client):
    with client.tls(HOST, address=lab.names.zone.get(HOST, ["10.202.0.10"])[0]) as connection:
        status, _, _ = upgrade(connection, HOST, "/openai/v1/chat/completions", KEY)
        assert status == 501


def test_an_origin_that_refuses(lab, gate, client):
    from lab.rogue import rogue_origin

    def respond(head, body):
        return (b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 18\r\n"
                b"Connection: close\r\n\r\n" + json.dumps({"error": {"a": 1}}).encode())

    with rogue_origin(lab, HOST, respond), client.tls(HOST) as connection:
        status, _, _ = upgrade(connection, HOST, RESPONSES, KEY)
        assert status == 403
        assert connection.exactly(18) == b'{"error": {"a": 1}'
