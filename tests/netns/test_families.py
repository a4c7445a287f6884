# SPDX-License-Identifier: GPL-2.0-or-later
"""The operations besides chat: their words, their tokens and their ends are read as exactly."""

import json

import pytest

from lab.appliance import AZURE
from lab.client import azure_path


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


RESPONSES = "/openai/v1/responses"


def response(client, prompt, headers=(), **fields):
    body = json.dumps({"model": "gpt-5", "input": prompt, **fields})
    return client.call(AZURE, RESPONSES, body, headers=headers)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_response_is_read(gate, client, prompt, streamed):
    got = response(client, prompt, {"x-test-cached": "3", "x-test-reasoning": "2"}, stream=streamed,
                   instructions="Be brief.", store=False, reasoning={"effort": "low"},
                   tools=[{"type": "web_search"}, {"type": "function", "name": "f"}])
    assert got.status == 200
    final = got.events()[-1]["response"] if streamed else got.json()
    event = gate.event(prompt)
    assert event["gen_ai.operation.name"] == "responses"
    assert event["event.outcome"] == "success"
    assert json.loads(event["gen_ai.input.messages"]) == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    assert json.loads(event["gen_ai.output.messages"]) == final["output"]
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["completed"]
    assert event["gen_ai.response.id"] == final["id"]
    assert event["gen_ai.response.model"] == final["model"]
    assert event["gen_ai.usage.source"] == "provider"
    assert event["gen_ai.usage.input_tokens"] == final["usage"]["input_tokens"]
    assert event["gen_ai.usage.output_tokens"] == final["usage"]["output_tokens"]
    assert event["gen_ai.usage.cache_read.input_tokens"] == 3
    assert event["gen_ai.usage.reasoning.output_tokens"] == 2
    assert event["gen_ai.request.tool_types"] == ["function", "web_search"]
    assert event["openai.request.store"] is False
    assert event["openai.request.reasoning_effort"] == "low"
    assert event["openai.response.service_tier"] == "default"


def test_the_stream_of_a_response_is_not_touched(gate, client, prompt):
    """No usage is asked for in the client's name: it comes anyway."""
    got = response(client, prompt, stream=True)
    types = [event["type"] for event in got.events()]
    assert types[0] == "response.created" and types[-1] == "response.completed"
    assert [e["sequence_number"] for e in got.events()] == list(range(len(types)))
    assert "request.edit" not in gate.event(prompt)


def test_a_tool_call_of_a_response(gate, client, prompt):
    got = response(client, prompt, {"x-test-tools": "1"}, stream=True)
    (call,) = json.loads(gate.event(prompt)["gen_ai.output.messages"])
    assert call == got.events()[-1]["response"]["output"][0]
    assert json.loads(call["arguments"]) == {"city": "Paris"}


@pytest.mark.parametrize("end", ["unmarked", "cut"])
def test_a_response_without_its_end_is_truncated(gate, client, prompt, end):
    """A stream that stops is no success, and its client is told."""
    connection = client.tls(AZURE)
    headers = {"api-key": "k", "x-test-end": "unmarked"} if end == "unmarked" else {
        "api-key": "k", "x-test-cut-after": "6"}
    connection.request("POST", RESPONSES, AZURE, headers,
                       json.dumps({"model": "m", "input": prompt, "stream": True}))
    connection.head()
    assert not connection.rest().endswith(b"0\r\n\r\n")
    event = gate.event(prompt)
    assert event["event.outcome"] == "failure"
    assert event["error.type"] == ("truncated" if end == "unmarked" else "origin_lost")
    assert "Answer to" in event["gen_ai.output.messages"]
    assert event["gen_ai.usage.source"] == "estimated"


def test_an_error_in_the_stream_of_a_response(gate, client, prompt):
    response(client, prompt, {"x-test-error-after": "5"}, stream=True)
    event = gate.event(prompt)
    assert (event["event.outcome"], event["error.type"]) == ("failure", "server_error")


def test_an_incomplete_response_says_why(gate, client, prompt):
    response(client, prompt, {"x-test-finish": "max_output_tokens"}, stream=True)
    event = gate.event(prompt)
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["max_output_tokens"]
    assert event["event.outcome"] == "success"


def test_words_of_agents_are_kept_to_the_newest(gate, client, prompt):
    items = [{"role": "user", "content": "old " + "x" * 4000} for _ in range(300)]
    items += [{"type": "function_call_output", "call_id": "c", "output": "result"},
              {"role": "user", "content": [{"type": "input_text", "text": prompt}]}]
    body = json.dumps({"model": "m", "instructions": "The rules.", "input": items})
    assert client.call(AZURE, RESPONSES, body).status == 200
    event = gate.event(prompt)
    kept = json.loads(event["gen_ai.input.messages"])
    assert kept[0] == {"role": "system", "content": "The rules."}
    assert kept[-2:] == items[-2:]
    assert event["gen_ai.input.messages.truncated"] is True


def test_embeddings(gate, client, prompt):
    got = client.call(AZURE, azure_path(operation="embeddings"), json.dumps({"input": [prompt, "b"]}))
    event = gate.event(prompt)
    assert event["gen_ai.operation.name"] == "embeddings"
    assert json.loads(event["gen_ai.input.messages"]) == [prompt, "b"]
    assert event["gen_ai.usage.input_tokens"] == got.json()["usage"]["prompt_tokens"]
    assert event["gen_ai.usage.source"] == "provider"
    assert "gen_ai.usage.output_tokens" not in event
    assert "gen_ai.output.messages" not in event


@pytest.mark.parametrize("operation", ["embeddings", "responses"])
def test_a_body_that_cannot_be_read_is_refused(gate, client, prompt, operation):
    body = '{"model":"m","Input":"%s"}' % prompt
    got = client.call(AZURE, f"/openai/v1/{operation}", body)
    assert got.status == 400
    (event,) = gate.wait_events(1, lambda e: e.get("error.type") == "body_unreadable"
                                and e["url.path"] == f"/openai/v1/{operation}")
    assert event["event.action"] == "deny"


def form(parts, boundary="b-1"):
    body = b""
    for fields, data in parts:
        body += f"--{boundary}\r\nContent-Disposition: form-data; {fields}\r\n\r\n".encode() + data + b"\r\n"
    return body + f"--{boundary}--\r\n".encode()


def transcription(client, prompt, sound, boundary="b-1", extra=()):
    parts = [('name="model"', b"whisper-1"), ('name="prompt"', prompt.encode()), *extra,
             ('name="file"; filename="a.wav"\r\nContent-Type: audio/wav', sound)]
    return client.call(AZURE, azure_path(operation="audio/transcriptions"), form(parts),
                       headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})


def test_a_form_is_read(gate, client, prompt):
    sound = bytes(range(256)) * 1000 + b"\r\n--b-2\r\n"
    got = transcription(client, prompt, sound)
    assert got.status == 200
    event = gate.event(prompt)
    assert event["gen_ai.operation.name"] == "transcription"
    assert event["gen_ai.request.model"] == "whisper-1"
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "user", "content": [
        {"type": "text", "text": prompt},
        {"type": "file", "name": "file", "filename": "a.wav", "mime_type": "audio/wav",
         "bytes": len(sound)}]}]
    assert json.loads(event["gen_ai.output.messages"]) == [
        {"role": "assistant", "content": "What was said."}]
    assert event["gen_ai.usage.total_tokens"] == got.json()["usage"]["total_tokens"]
    assert event["gen_ai.usage.source"] == "provider"


def test_seconds_of_sound_are_counted(gate, client, prompt):
    transcription(client, prompt + "[x-test-usage=seconds]", b"sound")
    event = gate.event(prompt)
    assert event["gen_ai.usage.audio_seconds"] == 2.5
    assert event["gen_ai.usage.source"] == "provider"
    assert "gen_ai.usage.total_tokens" not in event


def test_a_form_that_readers_may_understand_differently_is_refused(gate, client, prompt):
    got = transcription(client, prompt, b"sound", extra=[('name="model"', b"another")])
    assert got.status == 400
    event = gate.event(prompt)
    assert (event["error.type"], event["body.problem"]) == ("body_unreadable", "duplicate key")
