# SPDX-License-Identifier: GPL-2.0-or-later
"""A Script of a service that answers all of the API, whole or streamed, as the libraries expect it."""

import json

from .script import Script, events

V1 = "/openai/v1"
TEXT = '{"city":"Paris"}'
USAGE = {"input_tokens": 11, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 7,
         "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 18}
CHAT_USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
OUTPUT = [{"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
    {"type": "output_text", "text": TEXT, "annotations": []}]}]
LINE = {"id": "1", "custom_id": "a", "error": None, "response": {
    "status_code": 200, "body": {"model": "gpt-5-x", "usage": USAGE}}}
CONTENT = (json.dumps(LINE) + "\n").encode()


def streams(body):
    return json.loads(body).get("stream") is True


def chat(body):
    common = {"id": "chatcmpl-1", "created": 1, "model": "gpt-5-x"}
    if not streams(body):
        return {**common, "object": "chat.completion", "usage": CHAT_USAGE, "choices": [
            {"index": 0, "finish_reason": "stop", "logprobs": None,
             "message": {"role": "assistant", "content": TEXT, "refusal": None}}]}
    common["object"] = "chat.completion.chunk"
    pieces = [TEXT[:5], TEXT[5:]]
    chunks = [{**common, "choices": [{"index": 0, "finish_reason": None, "delta": {"role": "assistant", "content": one}}]}
              for one in pieces]
    chunks.append({**common, "choices": [{"index": 0, "finish_reason": "stop", "delta": {}}]})
    if (json.loads(body).get("stream_options") or {}).get("include_usage"):
        chunks.append({**common, "choices": [], "usage": CHAT_USAGE})
    return events(*chunks, done=True)


def responses(body):
    done = {"id": "resp_1", "object": "response", "created_at": 1, "model": "gpt-5-x", "status": "completed",
            "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "output": OUTPUT,
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": USAGE, "background": False}
    if not streams(body):
        return done
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    told = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**OUTPUT[0], "content": [],
                                                                           "status": "in_progress"}},
        {"type": "response.content_part.added", **where, "part": part},
        {"type": "response.output_text.delta", **where, "delta": TEXT, "logprobs": []},
        {"type": "response.output_text.done", **where, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": {**part, "text": TEXT}},
        {"type": "response.output_item.done", "output_index": 0, "item": OUTPUT[0]},
        {"type": "response.completed", "response": done}]
    return events(*[{**one, "sequence_number": i} for i, one in enumerate(told)])


def messages(body):
    usage = {"input_tokens": 10, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 1, "output_tokens": 7}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_reason": "end_turn",
               "stop_sequence": None, "content": [{"type": "text", "text": TEXT}], "usage": usage}
    if not streams(body):
        return message
    return events(
        {"type": "message_start", "message": {**message, "content": [], "stop_reason": None,
                                              "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
         "usage": {"output_tokens": 7}},
        {"type": "message_stop"})


def service():
    script = Script()
    batch = {"id": "batch_1", "object": "batch", "status": "in_progress", "input_file_id": "file-in",
             "endpoint": "/v1/responses", "completion_window": "24h", "created_at": 1, "output_file_id": None}
    image = {"created": 1, "data": [{"b64_json": "aGk="}], "usage": USAGE}
    for what, answer in {
            "POST /chat/completions": chat,
            "POST /responses": responses,
            "POST /embeddings": {"object": "list", "model": "emb", "data": [
                {"object": "embedding", "index": 0, "embedding": [0.5, 0.25, 0.125]}],
                "usage": {"prompt_tokens": 3, "total_tokens": 3}},
            "POST /images/generations": image,
            "POST /images/edits": image,
            "POST /audio/speech": ("audio/mpeg", bytes(1000)),
            "POST /audio/transcriptions": {"text": "What was said.", "usage": {"type": "duration", "seconds": 2.5}},
            "POST /moderations": {"id": "m", "model": "mod", "results": [{"flagged": False}]},
            "POST /files": {"id": "file-in", "object": "file", "purpose": "batch"},
            "POST /batches": batch,
            "GET /batches/batch_1": {**batch, "status": "completed", "output_file_id": "file-out"},
            "GET /files/file-out/content": ("application/octet-stream", CONTENT),
            "GET /models": {"object": "list", "data": [{"id": "gpt-5", "object": "model"}]}}.items():
        method, path = what.split(" ")
        script.says(f"{method} {V1}{path}", answer)
    script.says("POST /anthropic/v1/messages", messages)
    return script
