# SPDX-License-Identifier: GPL-2.0-or-later
"""The official `openai` package through the appliance. Its only change: NODE_EXTRA_CA_CERTS."""

import json
import os

import pytest

from lab import network
from lab.appliance import AZURE, OPENAI
from lab.certificates import Authority

HERE = os.path.dirname(os.path.abspath(__file__))
HOSTS = [("azure", AZURE), ("azure-v1", AZURE), ("openai", OPENAI)]


@pytest.fixture
def sdk(lab, standing):
    def run(dialect, host, call):
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": standing.ca_path}
        done = lab.network.client.run(
            "node", os.path.join(HERE, "chat.mjs"), dialect, host, call, env=environment
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture
def event_of(standing):
    # The quote ends the prompt: "sdk azure stream" is the beginning of others.
    return lambda prompt: standing.event(prompt + '"')


def answer_to(dialect, call):
    return f"Answer to: sdk {dialect} {call}. t1 t2 t3 t4"


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_chat(sdk, event_of, dialect, host):
    got = sdk(dialect, host, "chat")
    assert got["text"] == answer_to(dialect, "chat")
    assert got["model"] == "gpt-4o-2024-11-20"
    event = event_of(f"sdk {dialect} chat")
    assert event["source.ip"] in (network.CLIENT, network.CLIENT6)
    assert event["server.address"] == host
    assert event["gen_ai.operation.name"] == "chat"
    assert event["gen_ai.response.model"] == "gpt-4o-2024-11-20"
    assert event["gen_ai.usage.input_tokens"] == got["usage"]["prompt_tokens"]
    assert event["gen_ai.usage.output_tokens"] == got["usage"]["completion_tokens"]
    assert event["gen_ai.usage.source"] == "provider"
    assert got["text"] in event["gen_ai.output.messages"]


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_stream_without_usage_sees_none_and_is_counted(sdk, event_of, dialect, host):
    got = sdk(dialect, host, "stream")
    assert got["text"] == answer_to(dialect, "stream")
    assert got["finish"] == "stop"
    assert got["usage"] is None
    event = event_of(f"sdk {dialect} stream")
    assert event["gen_ai.request.stream"]
    assert event["gen_ai.usage.source"] == "provider"
    assert event["gen_ai.usage.output_tokens"] == 5


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_stream_with_usage_gets_it(sdk, event_of, dialect, host):
    got = sdk(dialect, host, "stream-usage")
    assert got["usageChunk"]
    event = event_of(f"sdk {dialect} stream-usage")
    assert event["gen_ai.usage.total_tokens"] == got["usage"]["total_tokens"]


@pytest.mark.parametrize("call", ["tools", "stream-tools"])
@pytest.mark.parametrize("dialect, host", HOSTS)
def test_tool_calls(sdk, event_of, dialect, host, call):
    got = sdk(dialect, host, call)
    assert got["name"] == "get_weather"
    assert json.loads(got["arguments"]) == {"city": "Paris"}
    event = event_of(f"sdk {dialect} {call}")
    assert "get_weather" in event["gen_ai.tools"]
    assert "get_weather" in event["gen_ai.output.messages"]
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["tool_calls"]


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_completion(sdk, event_of, dialect, host):
    got = sdk(dialect, host, "completion")
    assert got["text"] == answer_to(dialect, "completion")
    event = event_of(f"sdk {dialect} completion")
    assert event["gen_ai.operation.name"] == "text_completion"
    assert event["gen_ai.usage.total_tokens"] == got["usage"]["total_tokens"]


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_an_operation_that_is_not_read_passes(sdk, dialect, host):
    assert sdk(dialect, host, "embeddings")["length"] == 3


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_many_calls_at_once(sdk, dialect, host):
    assert sdk(dialect, host, "together") == [f"Answer to: call {i}. t1 t2 t3 t4" for i in range(20)]


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_the_providers_refusal_is_the_clients_own_error(sdk, dialect, host):
    got = sdk(dialect, host, "refused")
    assert got["error"] == "AuthenticationError"
    assert got["status"] == 401


@pytest.mark.parametrize("dialect", ["azure", "openai"])
def test_the_appliances_refusal_is_the_clients_own_error(lab, standing, sdk, dialect):
    host = f"untrusted-{dialect}.openai.azure.com"
    lab.certificates.install(host, *Authority("Nobody Knows Me").issue(host))
    lab.names.set(host, network.REGION_A)
    got = sdk(dialect, host, "unverified")
    assert got["error"] == "InternalServerError"
    assert got["status"] == 502


@pytest.mark.parametrize("dialect, host", HOSTS)
@pytest.mark.parametrize("call", ["responses", "responses-stream"])
def test_responses(sdk, event_of, dialect, host, call):
    got = sdk(dialect, host, call)
    assert got["text"] == answer_to(dialect, call)
    assert got["status"] == "completed"
    event = event_of(f"sdk {dialect} {call}")
    assert event["gen_ai.operation.name"] == "responses"
    assert event["event.outcome"] == "success"
    assert event["gen_ai.usage.input_tokens"] == got["usage"]["input_tokens"]
    assert event["gen_ai.usage.output_tokens"] == got["usage"]["output_tokens"]
    assert event["gen_ai.usage.source"] == "provider"
    assert got["text"] in event["gen_ai.output.messages"]


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_transcription(sdk, event_of, dialect, host):
    got = sdk(dialect, host, "transcription")
    assert got["text"] == "What was said."
    event = event_of(f"sdk {dialect} transcription")
    assert event["gen_ai.operation.name"] == "transcription"
    assert event["gen_ai.request.model"] == "gpt-4o-transcribe"
    assert event["gen_ai.usage.input_tokens"] == got["usage"]["input_tokens"]
    (message,) = json.loads(event["gen_ai.input.messages"])
    (file,) = [part for part in message["content"] if part["type"] == "file"]
    assert (file["filename"], file["mime_type"], file["bytes"]) == ("speech.mp3", "audio/mpeg", 100000)
