# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that pass: what the client gets, what the origin gets, and what is recorded."""

import gzip
import hashlib
import json
import zlib

import pytest

from lab import network
from lab.appliance import AZURE, OPENAI
from lab.client import Ended, azure_path, chat_body, together
from lab.process import wait_for

CHAT = [
    ("azure", AZURE, azure_path(), "azure.ai.openai"),
    ("azure-v1", AZURE, "/openai/v1/chat/completions", "azure.ai.openai"),
    ("openai", OPENAI, "/v1/chat/completions", "openai"),
]
TEXT = [
    ("azure", AZURE, azure_path("gpt-35-turbo-instruct", "completions")),
    ("azure-v1", AZURE, "/openai/v1/completions"),
    ("openai", OPENAI, "/v1/completions"),
]
KEY = {"Authorization": "Bearer sk-client-key-0123456789", "api-key": "client-key-0123456789"}


@pytest.fixture
def client(lab, standing):
    return lab.client(standing)


def tokens(event):
    return tuple(event[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output", "total"))


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect, host, target, provider", CHAT)
def test_chat(standing, client, origin, prompt, dialect, host, target, provider, streamed):
    body = chat_body(prompt, model="gpt-4o", stream=streamed, temperature=0.5, max_tokens=99)
    got = client.call(host, target, body, headers={**KEY, "x-test-id": "chat"})

    text = f"Answer to: {prompt}"[:75]
    assert got.status == 200
    assert got.text().startswith(text)
    seen = origin.request("chat")
    assert seen.sni == seen.header("host") == host
    assert seen.peer.startswith(network.OUTSIDE + ":")

    event = standing.event(prompt)
    assert event["event.kind"] == "exchange"
    assert event["event.action"] == "allow"
    assert event["event.outcome"] == "success"
    assert event["observer.name"] == "gate"
    assert event["source.ip"] == network.CLIENT
    assert event["destination.ip"] == network.REGION_A
    assert event["destination.port"] == 443
    assert event["server.address"] == event["tls.server_name"] == host
    assert event["tls.client.version"] == "TLSv1.3"
    assert event["http.request.method"] == "POST"
    assert event["http.response.status_code"] == 200
    assert event["url.path"] == target
    assert event["gen_ai.operation.name"] == "chat"
    assert event["gen_ai.provider.name"] == provider
    assert event["gen_ai.request.model"] == "gpt-4o"
    assert event["gen_ai.request.stream"] == streamed
    assert event["gen_ai.request.temperature"] == 0.5
    assert event["gen_ai.request.max_tokens"] == 99
    assert event["gen_ai.response.model"] == "gpt-4o-2024-11-20"
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["stop"]
    assert tokens(event) == (seen.prompt_tokens, 5, seen.prompt_tokens + 5)
    assert event["gen_ai.usage.source"] == "provider"
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "user", "content": prompt}]
    assert got.text() in event["gen_ai.output.messages"]
    assert event["body.readable"]
    assert event["bytes.request"] == len(body)
    assert event["attempts"] == 1
    assert event["response.request_id"] == (
        got.header("apim-request-id") or got.header("x-request-id")
    )
    assert event["ratelimit.remaining_requests"] == 999
    assert 0 < event["timing.first_byte"] <= event["timing.total"]
    assert event["timing.tls_client"] > 0


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("dialect, host, target", TEXT)
def test_completion(standing, client, prompt, dialect, host, target, streamed):
    body = json.dumps({"model": "gpt-35-turbo-instruct", "prompt": prompt, "stream": streamed})
    got = client.call(host, target, body, headers=KEY)
    assert got.status == 200
    event = standing.event(prompt)
    assert event["gen_ai.operation.name"] == "text_completion"
    assert event["gen_ai.response.model"].startswith("gpt-35-turbo-instruct")
    assert event["gen_ai.usage.output_tokens"] == 5
    assert f"Answer to: {prompt}"[:60] in event["gen_ai.output.messages"]


def test_ipv6(standing, client, origin, prompt):
    assert client.chat(AZURE, prompt, ipv6=True, headers={"x-test-id": "ipv6"}).status == 200
    event = standing.event(prompt)
    assert event["source.ip"] == network.CLIENT6
    assert event["destination.ip"] == network.REGION_A6


def test_every_source_has_its_own_address(standing, client, prompt):
    sources = [network.CLIENT, *network.OTHER_CLIENTS]
    for source in sources:
        assert client.chat(AZURE, f"{prompt} {source}!", source=source).status == 200
    for source in sources:
        assert standing.event(f"{prompt} {source}!")["source.ip"] == source


def test_curl_as_everybody_runs_it(standing, client, prompt):
    got = client.curl(
        f"https://{OPENAI}/v1/chat/completions", "--compressed",
        headers={"Authorization": "Bearer sk-client-key-0123456789"},
        data=chat_body(prompt, model="gpt-4o-mini"),
    )
    assert got.status == 200
    assert standing.event(prompt)["user_agent.original"].startswith("curl/")


def test_many_calls_at_once_are_not_mixed_up(standing, client, prompt):
    def call(i):
        mine = f"{i:03} {prompt}"
        got = client.chat(AZURE, mine, fields={"stream": i % 2 == 0}, source=source_of(i))
        return mine, got.text()

    def source_of(i):
        return [network.CLIENT, *network.OTHER_CLIENTS][i % 4]

    for i, (mine, text) in enumerate(together(40, call)):
        assert text.startswith(f"Answer to: {mine}"[:60])
    events = standing.wait_events(40, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    for event in events:
        number = int(json.loads(event["gen_ai.input.messages"])[0]["content"][:3])
        assert event["source.ip"] == source_of(number)
        assert f"Answer to: {number:03}" in event["gen_ai.output.messages"]


# --- usage ---


@pytest.mark.parametrize("dialect, host, target, provider", CHAT)
def test_usage_is_injected_and_hidden(standing, client, origin, prompt, dialect, host, target, provider):
    body = chat_body(prompt, model="gpt-4o", stream=True)
    got = client.call(host, target, body, headers={**KEY, "x-test-id": "inject"})
    seen = origin.request("inject")
    assert seen.include_usage
    assert {**seen.json(), "stream_options": None} == {**json.loads(body), "stream_options": None}
    assert all(event["choices"] or event.get("prompt_filter_results") for event in got.events())
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert not any(event.get("usage") for event in got.events())
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize(
    "options", [{}, {"include_usage": False}, {"include_obfuscation": False}, None], ids=str
)
def test_usage_is_injected_into_options_of_the_client(standing, client, origin, prompt, options):
    body = chat_body(prompt, stream=True, stream_options=options)
    got = client.call(AZURE, azure_path(), body, headers={"x-test-id": "options"})
    seen = origin.request("options").json()["stream_options"]
    assert seen == {**(options or {}), "include_usage": True}
    assert not any(event.get("usage") for event in got.events())
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


def test_usage_that_the_client_asked_for_is_untouched(standing, client, origin, prompt):
    body = chat_body(prompt, stream=True, stream_options={"include_usage": True})
    got = client.call(AZURE, azure_path(), body, headers={"x-test-id": "asked"})
    assert origin.request("asked").body == body.encode()
    assert got.events()[-1]["usage"]["completion_tokens"] == 5
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


def test_usage_is_not_asked_of_an_api_version_without_it(standing, client, origin, prompt):
    body = chat_body(prompt, stream=True)
    got = client.call(AZURE, azure_path(version="2024-06-01"), body, headers={"x-test-id": "old"})
    assert got.status == 200
    assert origin.request("old").body == body.encode()
    event = standing.event(prompt)
    assert event["gen_ai.usage.source"] == "estimated"
    assert event["gen_ai.usage.output_tokens"] > 0


def test_usage_on_a_chunk_with_choices_counts_and_stays(standing, client, prompt):
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers={"x-test-usage": "choices"})
    assert got.events()[-1]["usage"]["completion_tokens"] == 5
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


def test_cached_and_reasoning_tokens(standing, client, prompt):
    client.chat(AZURE, prompt, headers={"x-test-cached": "7", "x-test-reasoning": "30"})
    event = standing.event(prompt)
    assert event["gen_ai.usage.cache_read.input_tokens"] == 7
    assert event["gen_ai.usage.reasoning.output_tokens"] == 30
    assert event["gen_ai.usage.output_tokens"] == 35


# --- bodies and framing ---


def decoded(body, coding):
    if coding == "gzip":
        return gzip.decompress(body)
    if coding == "deflate":
        return zlib.decompress(body)
    return None


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_coded_responses_are_read_and_passed_as_they_are(standing, client, origin, prompt, coding, streamed):
    # Asked for by the client: with an injected usage chunk the body could not stay as it is.
    fields = {"stream": streamed, **({"stream_options": {"include_usage": True}} if streamed else {})}
    got = client.chat(AZURE, prompt, fields=fields, headers={"x-test-coding": coding, "x-test-id": "coded"})
    assert got.header("content-encoding") == coding
    assert len(got.body) == origin.reply("coded")["bytes"]
    plain = decoded(got.body, coding)
    if plain:
        assert f"Answer to: {prompt}"[:60].encode() in plain
    event = standing.event(prompt)
    assert event["gen_ai.usage.source"] == "provider"
    assert f"Answer to: {prompt}"[:60] in event["gen_ai.output.messages"]


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_coded_stream_without_usage_is_still_whole(standing, client, prompt, coding):
    got = client.curl(
        f"https://{AZURE}{azure_path()}", "--compressed",
        headers={"api-key": "k", "x-test-coding": coding}, data=chat_body(prompt, stream=True),
    )
    assert got.text().startswith(f"Answer to: {prompt}"[:60])
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert f"Answer to: {prompt}"[:60] in standing.event(prompt)["gen_ai.output.messages"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_every_framing_of_a_response(standing, client, prompt, framing, streamed):
    got = client.chat(AZURE, prompt, fields={"stream": streamed}, headers={"x-test-framing": framing})
    assert got.text().startswith(f"Answer to: {prompt}"[:60])
    assert standing.event(prompt)["event.outcome"] == "success"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_events_cut_anywhere(standing, client, prompt, size):
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers={"x-test-chunk": str(size)})
    assert got.text().startswith(f"Answer to: {prompt}"[:60])
    assert f"Answer to: {prompt}"[:60] in standing.event(prompt)["gen_ai.output.messages"]


@pytest.mark.parametrize("newline", ["lf", "crlf", "cr"])
def test_every_line_end_of_events(standing, client, prompt, newline):
    headers = {"x-test-newline": newline, "x-test-comment": "1"}
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers=headers)
    end = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}[newline]
    assert got.body.endswith(b"data: [DONE]" + end + end)
    assert standing.event(prompt)["gen_ai.usage.source"] == "provider"


def test_chunked_request(standing, client, origin, prompt):
    body = chat_body(prompt).encode()
    with client.tls(AZURE) as connection:
        connection.send(
            f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
            "x-test-id: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for at in range(0, len(body), 10):
            part = body[at : at + 10]
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\nx-after: all\r\n\r\n")
        assert connection.response().status == 200
    assert origin.request("chunked").body == body
    assert standing.event(prompt)["body.readable"]


def test_trailers_of_a_response(client, prompt):
    headers = {"x-test-trailers": "1", "TE": "trailers"}
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers=headers)
    assert got.trailers == ["x-test-trailer: sent"]


def test_expect_continue(client, origin, prompt):
    body = chat_body(prompt)
    with client.tls(AZURE) as connection:
        connection.send(
            f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\nx-test-id: expect\r\n"
            f"Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        status, _ = connection.head()
        assert status == 100
        connection.send(body)
        assert connection.response().text().startswith("Answer to: ")
    assert origin.request("expect").body == body.encode()


@pytest.mark.parametrize("status", [102, 103])
def test_interim_responses(client, prompt, status):
    got = client.chat(AZURE, prompt, headers={"x-test-interim": str(status)})
    assert got.status == 200
    assert got.text().startswith("Answer to: ")


def test_pipelined_requests_are_answered_in_order(standing, client, prompt):
    with client.tls(AZURE) as connection:
        for i in range(10):
            body = chat_body(f"{i} {prompt}", stream=i % 2 == 1)
            connection.request("POST", azure_path(), AZURE, {"api-key": "k"}, body, chunked=i % 3 == 0)
        for i in range(10):
            assert connection.response().text().startswith(f"Answer to: {i} prompt of")
    standing.wait_events(10, lambda e: prompt in e.get("gen_ai.input.messages", ""))


def test_a_connection_is_used_again_on_both_sides(standing, client, origin, prompt):
    with client.tls(AZURE) as connection:
        for i in range(20):
            headers = {"x-test-id": "again"}
            got = client.chat(AZURE, f"{i} {prompt}", connection=connection, headers=headers)
            assert got.status == 200
    assert len({request.connection for request in origin.requests("again")}) == 1


@pytest.mark.parametrize("status", [204, 304])
def test_responses_without_a_body(client, prompt, status):
    with client.tls(AZURE) as connection:
        headers = {"x-test-status": str(status)}
        got = client.chat(AZURE, prompt, connection=connection, headers=headers)
        assert (got.status, got.body) == (status, b"")
        assert client.chat(AZURE, prompt, connection=connection).status == 200


def test_head(client):
    with client.tls(OPENAI) as connection:
        for _ in range(2):
            got = client.call(OPENAI, "/v1/models", method="HEAD", headers=KEY, connection=connection)
            assert got.status == 200
            assert int(got.header("content-length")) > 0
        assert client.call(OPENAI, "/v1/models", method="GET", headers=KEY, connection=connection).json()


def test_upgrade_is_refused_and_the_connection_goes_on_or_closes(client):
    with client.tls(AZURE) as connection:
        connection.send(
            f"GET /openai/v1/realtime?model=gpt-4o HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        got = connection.response("GET")
        assert 400 <= got.status < 600
        assert got.json()["error"]["message"]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_errors_of_the_origin_pass(standing, client, prompt, status):
    got = client.chat(AZURE, prompt, headers={"x-test-status": str(status)})
    assert got.status == status
    assert got.json()["error"]["code"]
    event = standing.event(prompt)
    assert event["http.response.status_code"] == status
    assert event["event.outcome"] == "failure"
    assert event["event.action"] == "allow"
    assert event["gen_ai.usage.source"] == "none"


def test_content_filter(standing, client, prompt):
    got = client.chat(AZURE, prompt, headers={"x-test-status": "400"})
    assert got.json()["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
    assert standing.event(prompt)["error.type"] == "content_filter"


def test_an_error_inside_a_stream(standing, client, prompt):
    got = client.chat(AZURE, prompt, fields={"stream": True}, headers={"x-test-error-after": "4"})
    assert got.status == 200
    assert b'"server_error"' in got.body
    event = standing.event(prompt)
    assert event["event.outcome"] == "failure"
    assert "server had an error" in event["error.message"]


@pytest.mark.parametrize("streamed", [False, True])
def test_a_truncated_response_does_not_look_complete(standing, client, prompt, streamed):
    headers = {"x-test-cut-after": "4" if streamed else "50"}
    with pytest.raises(Ended):
        client.chat(AZURE, prompt, fields={"stream": streamed}, headers=headers)
    assert standing.event(prompt)["event.outcome"] == "failure"


@pytest.mark.parametrize(
    "bad", ["cl-te", "two-lengths", "header", "fold", "bare-lf", "status-line", "not-http", "te"]
)
def test_malformed_responses_are_refused(standing, client, prompt, bad):
    got = client.chat(AZURE, prompt, headers={"x-test-bad": bad, "x-test-framing": "chunked"})
    assert got.status == 502
    assert got.json()["error"]["message"]
    event = standing.event(prompt)
    assert event["event.outcome"] == "failure"


def test_an_answer_before_the_body_was_sent(client, origin, prompt):
    body = chat_body(prompt, stream=False)
    with client.tls(AZURE) as connection:
        connection.send(
            f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
            f"x-test-early: 1\r\nx-test-status: 429\r\nContent-Length: {len(body) + 200000}\r\n\r\n"
        )
        connection.send(body)
        connection.send(b" " * 100000)
        assert connection.response().status == 429


def test_a_kept_origin_connection_that_was_closed_is_no_error(client, origin, prompt):
    with client.tls(AZURE) as connection:
        for i in range(5):
            closed = len(origin.records("close"))
            headers = {"x-test-quiet-close": "1"}
            got = client.chat(AZURE, f"{i} {prompt}", connection=connection, headers=headers)
            assert got.status == 200
            # What arrives before the origin closes may have been read, and is not sent again.
            wait_for(lambda: len(origin.records("close")) > closed, "the origin's close")


def test_multibyte_text_survives(standing, client, prompt):
    text = f"{prompt} Grüße, 世界 🚀 \\ \" \u0001 end"
    got = client.chat(AZURE, text)
    assert got.status == 200
    event = standing.event(prompt)
    assert json.loads(event["gen_ai.input.messages"])[0]["content"] == text


def test_tools(standing, client, prompt):
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": {}}}]
    got = client.chat(AZURE, prompt, fields={"tools": tools, "stream": True}, headers={"x-test-tools": "1"})
    assert got.status == 200
    event = standing.event(prompt)
    assert json.loads(event["gen_ai.tools"]) == tools
    call = json.loads(event["gen_ai.output.messages"])[0]["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) == ("get_weather", {"city": "Paris"})


def test_the_body_is_the_same_at_both_ends(client, origin, prompt):
    body = chat_body(prompt, padding="\u00e9" * 300000)
    client.call(AZURE, azure_path(), body, headers={"x-test-id": "same"})
    assert origin.request("same").body_sha256 == hashlib.sha256(body.encode()).hexdigest()
