# SPDX-License-Identifier: GPL-2.0-or-later
"""Every door of the API: what stands behind each is read, and what it costs counts once. The origin says
what each test scripts for a path; the appliance is one for all."""

import base64
import hashlib
import json

import pytest

from lab.client import azure_path
from lab.rogue import rogue_origin
from lab.script import Script, events

HOST = "rogue-doors.openai.azure.com"
V1 = "/openai/v1"
USAGE = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18}


@pytest.fixture(scope="module")
def script(lab):
    made = Script()
    with rogue_origin(lab, HOST, made.respond):
        yield made


@pytest.fixture(scope="module")
def gate(lab, script):
    gate = lab.appliance()
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


@pytest.fixture
def call(gate, client, script, request):
    """call("POST /path", answer, body): the response, and the event of it."""
    count = [0]

    def make(what, *answers, body=None, headers=()):
        if answers:
            script.says(what, *answers)
        method, path = what.split(" ")
        count[0] += 1
        agent = f"{request.node.name} {count[0]}"
        got = client.call(HOST, path, json.dumps(body) if isinstance(body, (dict, list)) else body, method=method,
                          headers={"User-Agent": agent, **dict(headers)})
        (event,) = gate.wait_events(1, lambda e: e.get("user_agent.original") == agent)
        return got, event

    return make


def tokens(event):
    return tuple(event.get(f"gen_ai.usage.{name}") for name in ("source", "input_tokens", "output_tokens"))


# ---- prefixes ----

def test_every_prefix_is_known(call):
    answer = {"id": "resp_p", "model": "gpt-5", "status": "completed", "output": [], "usage": USAGE}
    for path, operation in [
            ("/openai/responses?api-version=2025-04-01-preview", "responses"),
            (f"{V1}/responses?beta=true", "responses"),
            ("/api/projects/p/openai/v1/responses", "responses"),
            ("/api/projects/p/openai/responses?api-version=2025-05-01", "responses"),
            ("/api/projects/p/agents/helper/endpoint/protocols/openai/v1/responses", "responses"),
            ("/openai/deployments/gpt%2D4o/embeddings?api-version=2024-10-21", "embeddings"),
            ("/models/chat/completions?api-version=2024-05-01-preview", "chat"),
            (f"{V1}/nothing/known", "unknown")]:
        _, event = call(f"POST {path}", answer, body={"model": "gpt-5", "input": "Hello"})
        assert event["gen_ai.operation.name"] == operation, path
        assert event["event.outcome"] == "success"
        assert event.get("gen_ai.agent.name") == ("helper" if "agents" in path else None)
        if operation != "unknown":
            assert tokens(event) == ("provider", 11, 7), path
        if "deployments" in path:
            assert event["azure.deployment"] == "gpt-4o"


def test_a_path_that_readers_may_understand_differently_is_refused(client):
    got = client.call(HOST, "/openai/deployments/a%2F..%2Fb/chat/completions?api-version=2024-10-21", "{}")
    assert (got.status, got.json()["error"]["code"]) == (400, "path_not_canonical")


# ---- Anthropic ----

MESSAGE = {"model": "claude-opus", "max_tokens": 100, "system": "Be kind.",
           "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]}
CLAUDE_USAGE = {"input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300,
                "output_tokens": 7, "service_tier": "standard"}


def assert_claude(event):
    assert event["gen_ai.operation.name"] == "messages"
    assert json.loads(event["gen_ai.input.messages"]) == [
        {"role": "system", "content": "Be kind."}, *MESSAGE["messages"]]
    assert tokens(event) == ("provider", 330, 7)
    assert event["gen_ai.usage.cache_read.input_tokens"] == 300
    assert event["gen_ai.usage.cache_creation.input_tokens"] == 20
    assert "gen_ai.usage.reasoning.output_tokens" not in event
    assert event["gen_ai.response.model"] == "claude-opus-4"
    assert event["openai.response.service_tier"] == "standard"
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["end_turn"]
    assert event["event.outcome"] == "success"


def test_a_message_of_anthropic(call):
    content = [{"type": "text", "text": "Good day"}]
    got, event = call("POST /anthropic/v1/messages", {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4", "content": content,
        "stop_reason": "end_turn", "usage": CLAUDE_USAGE}, body=MESSAGE)
    assert got.status == 200
    assert_claude(event)
    assert json.loads(event["gen_ai.output.messages"]) == [{"role": "assistant", "content": content}]


STREAM = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-opus-4", "usage": {
        **CLAUDE_USAGE, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Good day"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"}]


def test_a_stream_of_anthropic(call):
    got, event = call("POST /anthropic/v1/messages", events(*STREAM), body={**MESSAGE, "stream": True})
    assert [one["type"] for one in got.events()] == [one["type"] for one in STREAM]
    assert_claude(event)
    assert json.loads(event["gen_ai.output.messages"]) == [{"role": "assistant", "content": "Good day"}]


def test_a_stream_of_anthropic_that_is_cut_is_truncated(client, gate, script):
    script.says("POST /anthropic/v1/messages", events(*STREAM[:4]))
    with client.tls(HOST) as connection:
        connection.request("POST", "/anthropic/v1/messages", HOST, {"api-key": "k", "User-Agent": "cut claude"},
                           json.dumps({**MESSAGE, "stream": True}))
        connection.rest()
    (event,) = gate.wait_events(1, lambda e: e.get("user_agent.original") == "cut claude")
    assert (event["event.outcome"], event["error.type"]) == ("failure", "truncated")
    assert tokens(event) == ("provider", 330, 1)


def test_errors_are_in_the_dialect_of_anthropic(client):
    got = client.call(HOST, "/anthropic/v1/messages", '{"model":"a","model":"b"}')
    assert got.status == 400
    error = got.json()
    assert error["type"] == "error" and error["error"]["type"] == "invalid_request_error"
    assert "duplicate key" in error["error"]["message"]


# ---- what is done later ----

def background(status, **more):
    return {"id": "resp_bg", "object": "response", "background": True, "status": status, "model": "gpt-5-x",
            "output": [], **more}


def test_13_a_response_in_the_background_counts_once(call):
    """Who begins it is charged, whoever asks and how often."""
    _, event = call(f"POST {V1}/responses", background("queued", usage=None),
                    body={"model": "gpt-5", "input": "Hello", "background": True})
    assert tokens(event) == ("later", None, None)
    poll = f"GET {V1}/responses/resp_bg"
    _, event = call(poll, background("in_progress", usage=None))
    assert tokens(event) == ("none", None, None)
    _, event = call(poll, background("completed", usage=USAGE))
    assert tokens(event) == ("provider", 11, 7)
    assert event["gen_ai.usage.owner"]
    for _ in range(2):
        _, event = call(poll)
        assert tokens(event) == ("counted", None, None)
        assert event["gen_ai.response.model"] == "gpt-5-x"
    done = {"type": "response.completed", "response": background("completed", usage=USAGE)}
    _, event = call(f"{poll}?stream=true&starting_after=3", events(done))
    assert tokens(event) == ("counted", None, None) and event["event.outcome"] == "success"


def test_what_was_counted_when_it_was_made_is_not_counted_again(call):
    answer = {"id": "resp_fg", "status": "completed", "background": False, "model": "m", "output": [], "usage": USAGE}
    _, event = call(f"POST {V1}/responses", answer, body={"model": "m", "input": "Hello"})
    assert tokens(event) == ("provider", 11, 7)
    _, event = call(f"GET {V1}/responses/resp_fg", answer)
    assert tokens(event) == ("counted", None, None)


def test_the_stream_of_a_background_response_counts(call):
    done = {"type": "response.completed", "response": {**background("completed", usage=USAGE), "id": "resp_bs"}}
    _, event = call(f"POST {V1}/responses", events(done),
                    body={"model": "gpt-5", "input": "Hello", "background": True, "stream": True})
    assert tokens(event) == ("provider", 11, 7)
    _, event = call(f"GET {V1}/responses/resp_bs", done["response"])
    assert tokens(event) == ("counted", None, None)


def lines(*calls):
    return "".join(json.dumps(one) + "\n" for one in calls)


def upload(data, purpose="batch", name="calls.jsonl"):
    boundary = "b-1"
    fields = [('name="purpose"', purpose), (f'name="file"; filename="{name}"', data)]
    body = "".join(f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"
                   for head, text in fields) + f"--{boundary}--\r\n"
    return body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def asked(custom_id, model="gpt-5", **body):
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/responses", "body": {"model": model, **body}}


def test_13_a_batch_is_read_and_counts_once_for_who_made_it(call):
    calls = [asked("a", input="First"), asked("b", input="Second")]
    body, headers = upload(lines(*calls))
    _, event = call(f"POST {V1}/files", {"id": "file-in", "object": "file"}, body=body, headers=headers)
    assert event["gen_ai.operation.name"] == "files"
    assert json.loads(event["gen_ai.input.messages"]) == calls
    assert event["gen_ai.request.model"] == "gpt-5"
    assert event["body.readable"] is True

    batch = {"id": "batch_1", "object": "batch", "status": "in_progress", "input_file_id": "file-in"}
    _, event = call(f"POST {V1}/batches", batch, body={"input_file_id": "file-in", "endpoint": "/v1/responses"})
    assert tokens(event) == ("later", None, None)
    _, event = call(f"GET {V1}/batches/batch_1", {**batch, "status": "completed", "output_file_id": "file-out"})
    assert tokens(event) == ("none", None, None)

    answers = [{"id": str(i), "custom_id": name, "error": None, "response": {
        "status_code": 200, "body": {"model": "gpt-5-2025", "usage": USAGE}}} for i, name in enumerate("ab")]
    part = lines(answers[0]).encode()
    _, event = call(f"GET {V1}/files/file-out/content", ("application/octet-stream", part, 206),
                    headers={"Range": f"bytes=0-{len(part) - 1}"})
    assert tokens(event) == ("none", None, None)
    got, event = call(f"GET {V1}/files/file-out/content", ("application/octet-stream", lines(*answers).encode()))
    assert got.body == lines(*answers).encode()
    assert tokens(event) == ("provider", 22, 14)
    assert event["gen_ai.usage.cache_read.input_tokens"] == 8
    assert event["gen_ai.usage.owner"]
    assert event["gen_ai.response.model"] == "gpt-5-2025"
    assert json.loads(event["gen_ai.output.messages"]) == answers
    _, event = call(f"GET {V1}/files/file-out/content")
    assert tokens(event) == ("counted", None, None)
    _, event = call(f"GET {V1}/batches/batch_1", {**batch, "output_file_id": "file-out", "usage": USAGE})
    assert tokens(event) == ("counted", None, None)


def test_a_batch_that_tells_its_usage(call):
    batch = {"id": "batch_2", "object": "batch", "status": "completed", "output_file_id": "file-2"}
    call(f"POST {V1}/batches", {**batch, "output_file_id": None}, body={"input_file_id": "file-in"})
    _, event = call(f"GET {V1}/batches/batch_2", {**batch, "usage": USAGE})
    assert tokens(event) == ("provider", 11, 7) and event["gen_ai.usage.owner"]
    answer = {"response": {"status_code": 200, "body": {"usage": USAGE}}}
    _, event = call(f"GET {V1}/files/file-2/content", ("application/json", lines(answer, answer).encode()))
    assert tokens(event) == ("counted", None, None)


@pytest.mark.parametrize("data, problem", [
    (lines(asked("a")) + '{"custom_id":"b","body":{"model":"x","model":"y"}}\n', "duplicate key"),
    (lines(asked("a")) + "{]\n", "invalid JSON"),
    ("", "not a JSON object")], ids=["duplicate", "invalid", "empty"])
def test_calls_of_a_batch_that_cannot_be_read_are_refused(call, script, data, problem):
    body, headers = upload(data)
    before = len(script.seen)
    got, event = call(f"POST {V1}/files", body=body, headers=headers)
    assert (got.status, event["error.type"], event["body.problem"]) == (400, "body_unreadable", problem)
    # The origin has not got all of it.
    assert len(script.seen) == before


def test_9_an_upload_of_200_mb_costs_no_memory(call, gate, client, script):
    """A line of 64 MB among them; the record keeps what is configured."""
    def rss():
        return sum(int(open(f"/proc/{pid}/statm", encoding="ascii").read().split()[1]) * 4
                   for pid in gate.children("worker"))

    long = json.dumps(asked("long", input="x" * 64_000_000 + " the end")).encode() + b"\r\n"
    short = lines(*[asked(str(i), input="y" * 1000) for i in range(1000)]).encode()
    body, headers = upload("@")
    before, _, after = body.encode().partition(b"@")
    size = 2 * len(long) + 66 * len(short)
    script.says(f"POST {V1}/files", {"id": "file-big", "object": "file"})
    start = rss()
    with client.tls(HOST) as connection:
        connection.send(f"POST {V1}/files HTTP/1.1\r\nHost: {HOST}\r\napi-key: k\r\nUser-Agent: big\r\n"
                        f"Content-Type: {headers['Content-Type']}\r\n"
                        f"Content-Length: {len(before) + size + len(after)}\r\n\r\n")
        connection.send(before)
        for piece in [long, *[short] * 66, long]:
            connection.send(piece)
        most = rss()
        connection.send(after)
        assert connection.response().status == 200
    (event,) = gate.wait_events(1, lambda e: e.get("user_agent.original") == "big")
    print(f"{size >> 20} MB, {most - start} KiB more in the workers")
    assert most - start < 64 << 10
    assert event["body.readable"] is True and event["gen_ai.input.messages.truncated"] is True
    kept = json.loads(event["gen_ai.input.messages"])
    assert kept[-1]["custom_id"] == "long" and kept[-1]["body"]["input"].endswith(" the end")


# ---- assistants ----

def test_a_run_is_read_and_counts_once(call):
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    run = {"id": "run_1", "object": "thread.run", "status": "queued", "model": "gpt-4o", "usage": None}
    thread = "/openai/threads/thread_1"
    version = "?api-version=2024-05-01-preview"
    _, event = call(f"POST {thread}/messages{version}", {"id": "msg_1", "object": "thread.message"},
                    body={"role": "user", "content": "Hello"})
    assert "Hello" in event["gen_ai.input.messages"]
    _, event = call(f"POST {thread}/runs{version}", run, body={"assistant_id": "asst_1", "instructions": "Be kind."})
    assert tokens(event) == ("later", None, None)
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "system", "content": "Be kind."}]
    _, event = call(f"GET {thread}/runs/run_1{version}", {**run, "status": "completed", "usage": usage})
    assert tokens(event) == ("provider", 5, 6) and event["gen_ai.usage.owner"]
    _, event = call(f"GET {thread}/runs/run_1{version}")
    assert tokens(event) == ("counted", None, None)


def test_the_stream_of_a_run(call):
    usage = {"prompt_tokens": 5, "completion_tokens": 6, "total_tokens": 11}
    run = {"id": "run_2", "object": "thread.run", "status": "in_progress", "model": "gpt-4o", "usage": None}
    delta = {"object": "thread.message.delta", "id": "msg_2", "delta": {"content": [
        {"index": 0, "type": "text", "text": {"value": "Good day"}}]}}
    _, event = call("POST /openai/threads/runs?api-version=2024-05-01-preview",
                    events(run, delta, {**run, "status": "completed", "usage": usage}, done=True),
                    body={"assistant_id": "asst_1", "stream": True, "thread": {"messages": [
                        {"role": "user", "content": "Hello"}]}})
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "user", "content": "Hello"}]
    assert json.loads(event["gen_ai.output.messages"]) == [{"role": "assistant", "content": "Good day"}]
    assert json.loads(event["gen_ai.response.finish_reasons"]) == ["completed"]
    assert tokens(event) == ("provider", 5, 6)
    assert event["event.outcome"] == "success"


def test_what_is_asked_for_without_a_body(call):
    for what in ["POST /openai/v1/batches/batch_9/cancel", "DELETE /openai/v1/files/file-9",
                 "POST /openai/v1/responses/resp_9/cancel", "GET /openai/v1/files"]:
        got, event = call(what, {"id": "x", "object": "x"})
        assert (got.status, event["event.outcome"]) == (200, "success"), what
        assert tokens(event) == ("none", None, None), what


# ---- words in other places ----

def test_what_is_put_into_a_conversation_is_read(call):
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}]
    kept = [{**items[0], "id": "msg_1", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]}]
    _, event = call(f"POST {V1}/conversations/conv_1/items", {"object": "list", "data": kept}, body={"items": items})
    assert json.loads(event["gen_ai.input.messages"]) == items
    assert json.loads(event["gen_ai.output.messages"]) == kept
    assert tokens(event) == ("none", None, None)


def test_a_question_to_a_store_of_vectors_is_read(call):
    found = {"file_id": "file-1", "score": 0.5, "content": [{"type": "text", "text": "The answer"}]}
    _, event = call(f"POST {V1}/vector_stores/vs_1/search", {"object": "list", "data": [found]},
                    body={"query": "What is it?"})
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "user", "content": "What is it?"}]
    assert json.loads(event["gen_ai.output.messages"]) == [found]


def test_the_session_that_a_secret_is_made_for_is_read(call):
    _, event = call(f"POST {V1}/realtime/client_secrets", {"value": "ek_not_to_be_seen", "expires_at": 1},
                    body={"session": {"type": "realtime", "model": "gpt-realtime", "instructions": "Be kind.",
                                      "tools": [{"type": "mcp", "server_url": "https://m", "authorization": "hidden"}]}})
    assert event["gen_ai.operation.name"] == "realtime_client_secrets"
    assert event["gen_ai.request.model"] == "gpt-realtime"
    assert event["gen_ai.request.tool_types"] == ["mcp"]
    assert json.loads(event["gen_ai.input.messages"]) == [{"role": "system", "content": "Be kind."}]
    assert "ek_not_to_be_seen" not in json.dumps(event) and "hidden" not in json.dumps(event)


def test_a_film_is_told_by_its_prompt_its_size_and_its_seconds(call):
    job = {"id": "video_1", "object": "video", "model": "sora-2", "status": "queued", "seconds": "8"}
    _, event = call(f"POST {V1}/videos", job, body={"model": "sora-2", "prompt": "A cat", "size": "720x1280", "seconds": "8"})
    assert event["gen_ai.input.messages"] and "A cat" in event["gen_ai.input.messages"]
    assert (event["openai.request.size"], event["openai.request.seconds"]) == ("720x1280", "8")
    assert tokens(event) == ("none", None, None)
    got, event = call(f"GET {V1}/videos/video_1/content", ("video/mp4", bytes(range(256)) * 100))
    assert got.body == bytes(range(256)) * 100
    assert event.get("body.readable") is not False and event["event.outcome"] == "success"


def test_a_stored_chat_is_not_counted_again(call):
    answer = {"id": "chatcmpl-s", "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
              "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]}
    _, event = call(f"GET {V1}/chat/completions/chatcmpl-s", answer)
    assert event["gen_ai.operation.name"] == "stored_chat"
    assert tokens(event) == ("counted", None, None)


def test_what_is_no_text_is_told_by_kind_size_and_hash(call):
    picture, sound = bytes(range(256)) * 5000, b"RIFF" + bytes(1000)
    content = [{"type": "text", "text": "What is it?"},
               {"type": "image_url", "image_url": {
                   "url": "data:image/png;base64," + base64.b64encode(picture).decode()}},
               {"type": "image_url", "image_url": {"url": "https://example.org/picture.png"}},
               {"type": "input_audio", "input_audio": {
                   "data": base64.b64encode(sound).decode(), "format": "wav"}}]
    _, event = call(f"POST {azure_path()}", {"id": "c", "model": "m", "choices": [], "usage": {
        "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
        body={"messages": [{"role": "user", "content": content}]})
    assert json.loads(event["gen_ai.input.parts"]) == [
        {"kind": "image", "mime_type": "image/png", "bytes": len(picture),
         "sha256": hashlib.sha256(picture).hexdigest()},
        {"kind": "audio", "bytes": len(sound), "sha256": hashlib.sha256(sound).hexdigest()}]
    body, headers = upload("%PDF-1.7 of a kind", "assistants", "a.pdf")
    _, event = call(f"POST {V1}/files", {"id": "file-pdf", "object": "file"}, body=body, headers=headers)
    assert json.loads(event["gen_ai.input.parts"]) == [
        {"kind": "file", "bytes": 18, "sha256": hashlib.sha256(b"%PDF-1.7 of a kind").hexdigest()}]


def test_what_the_filter_found_and_the_model_refused_is_told(call):
    answer = {"id": "c", "model": "m", "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {
        "jailbreak": {"filtered": False, "detected": True}, "hate": {"filtered": False, "severity": "safe"}}}],
        "choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": {
            "violence": {"filtered": True, "severity": "high"}},
            "message": {"role": "assistant", "content": None, "refusal": "I cannot."}}]}
    _, event = call(f"POST {azure_path()}", answer,
                    body={"messages": [{"role": "user", "content": "Hello"}], "n": 2, "logprobs": True})
    assert json.loads(event["azure.content_filter"]) == [
        "prompt.jailbreak.detected", "violence.filtered", "violence.high"]
    assert event["gen_ai.response.refused"] is True
    assert event["gen_ai.request.choice.count"] == 2 and event["openai.request.logprobs"] is True


# ---- usage of all classes ----

def test_12_what_is_told_of_tokens_is_kept_apart(call):
    """Absent is not 0; the tier that served it, not the one that was asked for."""
    usage = {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30,
             "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 3, "audio_tokens": 4,
                                       "text_tokens": 5, "image_tokens": 1},
             "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 6,
                                           "accepted_prediction_tokens": 7, "rejected_prediction_tokens": 8}}
    answer = {"id": "c", "model": "m", "service_tier": "flex", "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}]}
    ask = {"messages": [{"role": "user", "content": "Hello"}], "service_tier": "priority"}
    path = f"POST {azure_path()}"
    _, event = call(path, {**answer, "usage": usage}, body=ask)
    assert {name[13:]: value for name, value in event.items() if name.startswith("gen_ai.usage.")} == {
        "source": "provider", "input_tokens": 10, "output_tokens": 20, "total_tokens": 30,
        "cache_read.input_tokens": 0, "cache_creation.input_tokens": 3, "audio.input_tokens": 4,
        "text.input_tokens": 5, "image.input_tokens": 1, "reasoning.output_tokens": 2, "audio.output_tokens": 6,
        "accepted_prediction.output_tokens": 7, "rejected_prediction.output_tokens": 8}
    assert (event["openai.request.service_tier"], event["openai.response.service_tier"]) == ("priority", "flex")
    chunks = [{"id": "c", "model": "m", "choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": None},
              {"id": "c", "model": "m", "choices": [], "usage": {**usage, "prompt_tokens_details": None}}]
    _, event = call(path, events(*chunks, done=True), body={**ask, "stream": True})
    assert event["gen_ai.usage.reasoning.output_tokens"] == 2
    assert "gen_ai.usage.cache_read.input_tokens" not in event
