# SPDX-License-Identifier: GPL-2.0-or-later
"""What other gateways get wrong, and what users of other systems complain about: each by its name. Those that
are not here need more than one appliance that stands: limits passed by concurrency (test_quotas.py), failover
and what is kept in one region (test_pools.py: a 429, a stall, names, the prompt cache), WebSocket
(test_websocket.py), batches, tiers and uploads (test_doors.py)."""

import json
import uuid

import pytest

from lab.appliance import AZURE, OPENAI, about
from lab.client import azure_path, chat_body, together


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def usage(event):
    return tuple(event.get(f"gen_ai.usage.{name}") for name in ("source", "input_tokens", "output_tokens"))


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_usage_is_lost_when_the_client_aborts_a_stream(gate, client, prompt, reset):
    client.leave_stream(AZURE, prompt, {"x-test-delay": "20", "x-test-events": "1000"}, reset)
    source, told, answered = usage(gate.event(prompt))
    assert source in ("estimated", "drained") and told > 0 and answered > 0


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}, {"stream_options": None}],
                         ids=["unsaid", "no", "null"])
@pytest.mark.parametrize("host, path", [(AZURE, azure_path()), (OPENAI, "/v1/chat/completions")],
                         ids=["azure", "openai"])
def test_no_usage_when_the_client_did_not_ask_for_it(gate, client, prompt, host, path, options):
    got = client.call(host, path, chat_body(prompt, model="m", stream=True, **options),
                      headers={"Authorization": "Bearer sk-client"})
    assert not [one for one in got.events() if one.get("usage")]
    source, told, answered = usage(gate.event(prompt))
    assert source == "provider" and told and answered


def test_usage_on_a_chunk_with_choices_is_dropped(gate, client, prompt):
    client.chat(AZURE, prompt, fields={"stream": True}, headers={"x-test-usage": "choices"})
    assert usage(gate.event(prompt))[0] == "provider"


def test_streams_of_responses_are_logged_as_0_tokens(gate, client, prompt):
    got = client.call(AZURE, "/openai/v1/responses",
                      json.dumps({"model": "m", "stream": True, "input": [{"role": "user", "content": prompt}]}))
    final = got.events()[-1]["response"]["usage"]
    event = gate.event(prompt)
    assert usage(event) == ("provider", final["input_tokens"], final["output_tokens"])
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "user", "content": prompt}]


def test_streams_are_not_logged(gate, client, prompt):
    got = client.chat(AZURE, prompt, fields={"stream": True})
    event = gate.event(prompt)
    assert json.loads(event["gen_ai.output.messages"])[0]["content"] == got.text()
    assert event["gen_ai.request.stream"] is True


def test_a_truncated_stream_looks_complete(gate, client, prompt):
    with client.tls(AZURE) as connection:
        connection.request("POST", azure_path(), AZURE, {"api-key": "k", "x-test-end": "unmarked"},
                           chat_body(prompt, stream=True))
        assert not connection.rest().endswith(b"0\r\n\r\n")
    assert gate.event(prompt)["error.type"] == "truncated"


@pytest.mark.parametrize("size", [33 << 10, 5 << 20], ids=["33k", "5m"])
def test_bodies_are_refused_and_rows_cut_into_broken_json(gate, client, prompt, size):
    """Above 32 KB nothing is cut; above what is configured the middle goes, and it is JSON."""
    said = [{"role": "user", "content": "x" * size + prompt}]
    got = client.call(AZURE, azure_path(), json.dumps({"messages": said}),
                      headers={"x-test-bytes": str(min(size, 100_000))})
    assert got.status == 200
    (event,) = gate.wait_events(1, lambda event: about(event, prompt))
    kept = json.loads(event["gen_ai.input.messages"])
    answered = json.loads(event["gen_ai.output.messages"])
    assert answered[0]["content"] == got.json()["choices"][0]["message"]["content"]
    assert (kept == said) == (size < 1 << 20)
    assert kept[0]["content"].endswith(prompt)


def test_rows_are_lost_under_load_or_their_ids_collide(gate, client, prompt):
    def calls(i):
        with client.tls(AZURE) as connection:
            for k in range(50):
                assert client.chat(AZURE, f"{prompt}[{i}/{k}]", connection=connection).status == 200

    together(8, calls)
    events = gate.wait_events(400, lambda event: about(event, prompt))
    assert len({event["event.id"] for event in events}) == 400
    assert all(uuid.UUID(event["event.id"]).version == 7 for event in events)
    said = [json.loads(event["gen_ai.input.messages"])[0]["content"] for event in events]
    assert sorted(said) == sorted(f"{prompt}[{i}/{k}]" for i in range(8) for k in range(50))
    gate.assert_no_gaps()


@pytest.mark.parametrize("path", ["/openai/v1/responses", "/openai/responses?api-version=2025-04-01-preview",
                                  "/openai/v1/chat/completions"])
def test_responses_of_azure_and_v1_are_not_routed(gate, client, prompt, path):
    body = {"model": "m", "input": prompt} if "responses" in path else {
        "model": "m", "messages": [{"role": "user", "content": prompt}]}
    assert client.call(AZURE, path, json.dumps(body)).status == 200
    event = gate.event(prompt)
    assert event["gen_ai.operation.name"] == ("responses" if "responses" in path else "chat")
    assert usage(event)[0] == "provider" and event["azure.deployment"] == "m"
