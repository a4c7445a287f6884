# SPDX-License-Identifier: GPL-2.0-or-later
"""WebSocket: sessions of Realtime and of Responses, the calls in them, and what is denied."""

import contextlib
import json
import os

import pytest

from lab.client import Ended
from lab.websocket import (
    BINARY, CLOSE, PING, PONG, TEXT, answer, answer_realtime, end, upgrade, websocket_origin,
)

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
        answer_realtime(websocket, "hello there")
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
    assert event["gen_ai.usage.input_tokens"] == 11
    assert event["gen_ai.usage.output_tokens"] == 9
    assert event["gen_ai.usage.audio.input_tokens"] == 6
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


def test_a_type_that_readers_may_differ_in_is_no_way_past(lab, gate, client, prompt):
    def serve(websocket, head):
        with pytest.raises(Ended):
            websocket.take()

    for text in ('{"type":"session.update","type":"response.create","input":"%s"}',
                 '{"Type":"response.create","type":"x","input":"%s"}'):
        with session(lab, client, RESPONSES, serve) as websocket:
            websocket.frame(TEXT, text % prompt)
            assert websocket.closed()[0] == 1008


def test_a_long_message_is_held_and_passes(lab, gate, client, prompt):
    long = create(prompt + "x" * 3_000_000)

    def serve(websocket, head):
        assert websocket.hear() == long
        answer(websocket, None, "y" * 2_000_000)
        end(websocket)

    with session(lab, client, RESPONSES, serve) as websocket:
        websocket.say(long)
        while websocket.hear()["type"] != "response.completed":
            pass
        leave(websocket)
    assert gate.event(prompt)["gen_ai.usage.input_tokens"] == 11


RULES = """
rules:
  - {name: no-o1, models: ["o1*"], operations: [responses], action: deny, message: Ask for another model.}
  - {name: no-voice, models: [gpt-voice], operations: [realtime], action: deny}
"""


def test_policy_and_the_service_key(lab, gate, client, prompt):
    """A session of a model is denied at its upgrade, a call inside of one when it is asked for; what goes
    on goes with the key of the service."""
    heads = []

    def serve(websocket, head):
        heads.append(head.decode())
        with contextlib.suppress(Ended):
            while True:
                websocket.hear()
                answer(websocket, None, "said")

    rules = os.path.join(gate.directory, "policy.yaml")
    with open(rules, "w", encoding="utf-8") as file:
        file.write(RULES)
    before = gate.config
    gate.write_config({"policy": {"file": rules}, "backends": [
        {"name": "b", "key_file": gate.secret("key", "the-service-key-1")}],
        "hosts": [{"pattern": HOST, "provider": "azure", "backend": "b"},
                  {"pattern": "*.openai.azure.com", "provider": "azure"}]})
    gate.reload()
    try:
        with session(lab, client, RESPONSES, serve) as websocket:
            websocket.say(create(prompt + " allowed."))
            while websocket.hear()["type"] != "response.completed":
                pass
            websocket.say(create(prompt + " denied.", model="o1-mini"))
            said = websocket.hear()
            assert (said["type"], said["status"]) == ("error", 403)
            assert said["error"]["message"] == "Ask for another model."
            assert websocket.closed() == (1008, "Ask for another model.")
        with websocket_origin(lab, HOST, serve), client.tls(HOST) as connection:
            assert upgrade(connection, HOST, "/openai/v1/realtime?model=gpt-voice", KEY)[0] == 403
    finally:
        gate.config = before
        gate.write_config()
        gate.reload()
    assert gate.event(prompt + " allowed.")["event.action"] == "allow"
    denied = gate.event(prompt + " denied.")
    assert (denied["event.action"], denied["rule.name"]) == ("deny", "no-o1")
    assert len(heads) == 1
    assert "api-key: the-service-key-1" in heads[0] and KEY["api-key"] not in heads[0]


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
