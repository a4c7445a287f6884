# SPDX-License-Identifier: GPL-2.0-or-later
"""What is added to requests: it never makes a call fail, and whoever can be counted is."""

import json

import pytest

from lab.appliance import AZURE
from lab.client import azure_path, chat_body


@pytest.fixture(scope="module")
def gate(standing):
    return standing


def call(client, target, body, **headers):
    return client.call(AZURE, target, body, headers={"x-test-id": "edit", **headers})


def test_a_model_that_refuses_the_edit_is_asked_as_the_client_wrote(gate, client, origin, prompt):
    before = gate.counters()["request.edit_refused"]
    target = azure_path("gpt-strict")
    for i in range(3):
        body = chat_body(f"{prompt} {i}", stream=True)
        got = call(client, target, body, **{"x-test-strict": "1"})
        assert got.status == 200
        assert got.body.endswith(b"data: [DONE]\n\n")
        event = gate.event(f"{prompt} {i}")
        assert event["event.outcome"] == "success"
        assert event["gen_ai.usage.source"] == "estimated"
        assert event["attempts"] == (2 if i == 0 else 1)
        assert event.get("request.edit") == ("usage_refused" if i == 0 else None)
    # It happened once.
    bodies = [request.json() for request in origin.requests("edit")]
    assert [("stream_options" in body) for body in bodies] == [True, False, False, False]
    assert gate.counters()["request.edit_refused"] == before + 1


def test_what_is_refused_in_any_case_says_nothing_of_the_edit(gate, client, origin, prompt):
    """Nobody keeps the usage of others from being asked for."""
    target = azure_path("gpt-shared")
    body = chat_body(prompt, stream=True, stream_options={"include_usage": False})
    assert call(client, target, body, **{"x-test-strict": "1"}).status == 400
    assert call(client, target, chat_body(prompt + " other", stream=True)).status == 200
    assert gate.event(prompt + " other")["gen_ai.usage.source"] == "provider"
    assert len(origin.requests("edit")) == 3


def test_an_edit_fails_no_call_that_is_tried_once(gate, client, prompt):
    gate.write_config({"origin": {"attempts_max": 1}})
    gate.reload()
    try:
        got = call(client, azure_path("gpt-once"), chat_body(prompt, stream=True), **{"x-test-strict": "1"})
        assert got.status == 200
        assert gate.event(prompt)["attempts"] == 2
    finally:
        gate.write_config({"origin": {"attempts_max": 4}})
        gate.reload()


def test_another_version_of_it_is_another_model(gate, client, origin, prompt):
    for version in ("2024-10-21", "2025-01-01-preview"):
        target = azure_path("gpt-stricter", version=version)
        assert call(client, target, chat_body(prompt + version, stream=True), **{"x-test-strict": "1"}).status == 200
    assert len(origin.requests("edit")) == 4


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_an_error_about_something_else_passes_once(gate, client, origin, prompt, framing):
    body = chat_body(prompt, stream=True)
    got = call(client, azure_path(), body, **{"x-test-strict": "2", "x-test-framing": framing})
    assert (got.status, got.json()["error"]["message"]) == (400, "No.")
    assert len(origin.requests("edit")) == 1
    event = gate.event(prompt)
    assert (event["attempts"], event["request.edit"]) == (1, "usage")


def test_a_client_that_asked_for_usage_itself_gets_the_refusal(client, origin, prompt):
    body = chat_body(prompt, stream=True, stream_options={"include_usage": True})
    got = call(client, azure_path("gpt-own"), body, **{"x-test-strict": "1"})
    assert got.status == 400
    assert len(origin.requests("edit")) == 1


def test_usage_is_not_asked_for_beside_data_sources(gate, client, origin, prompt):
    body = chat_body(prompt, stream=True, data_sources=[{"type": "azure_search", "parameters": {}}])
    assert call(client, azure_path(), body).status == 200
    assert origin.request("edit").body == body.encode()
    assert gate.event(prompt)["attempts"] == 1


LONG = [{"role": "user", "content": "x" * 300_000}]


@pytest.mark.parametrize("options", [{"include_usage": False}, {}, None], ids=str)
@pytest.mark.parametrize("first", [True, False])
def test_exact_usage_of_a_long_body_cannot_be_avoided(gate, client, origin, prompt, options, first):
    members = {"messages": [{"role": "user", "content": prompt}, *LONG], "stream": True}
    members = {"stream_options": options, **members} if first else {**members, "stream_options": options}
    got = call(client, azure_path(), json.dumps(members))
    assert got.status == 200
    seen = origin.request("edit")
    assert seen.include_usage
    assert seen.header("transfer-encoding") is None  # its length is known
    assert not any(event.get("usage") for event in got.events())
    assert gate.event(prompt)["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize("coding", ["identity", "identity, identity", ""])
def test_exact_usage_cannot_be_avoided_by_a_coding_that_is_none(gate, client, prompt, coding):
    got = call(client, azure_path(), chat_body(prompt, stream=True), **{"Content-Encoding": coding})
    assert got.status == 200
    assert gate.event(prompt)["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize("stream", [{}, {"stream": False}], ids=str)
@pytest.mark.parametrize("size", [70_000, 900_000, 3_000_000])
def test_a_long_body_that_is_not_edited_keeps_its_framing(client, origin, prompt, size, stream):
    body = json.dumps({"messages": [{"role": "user", "content": prompt + "x" * size}], **stream})
    assert call(client, azure_path(f"gpt-framing-{size}"), body).status == 200
    seen = origin.request("edit")
    assert seen.header("content-length") == str(len(body))
    assert seen.header("transfer-encoding") is None
