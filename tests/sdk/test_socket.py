# SPDX-License-Identifier: GPL-2.0-or-later
"""The official client over WebSocket, by npm's `ws`: a call of each kind of session, unmodified."""

import json
import os

import pytest

from lab.websocket import answer, answer_realtime, end, websocket_origin

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "socket.openai.azure.com"


def serve_responses(websocket, head):
    assert websocket.hear()["type"] == "response.create"
    answer(websocket, None, "said")
    end(websocket)


def serve_realtime(websocket, head):
    assert websocket.hear()["type"] == "conversation.item.create"
    assert websocket.hear()["type"] == "response.create"
    answer_realtime(websocket, "said")
    end(websocket)


@pytest.mark.parametrize("kind, serve", [("responses", serve_responses), ("realtime", serve_realtime)])
def test_a_call(lab, standing, kind, serve, prompt):
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": standing.ca_path}
    with websocket_origin(lab, HOST, serve):
        done = lab.network.client.run("node", os.path.join(HERE, "socket.mjs"), kind,
                                      f"https://{HOST}/openai/v1", prompt, env=environment)
    got = json.loads(done.stdout)
    assert "error" not in got
    assert got["usage"]["input_tokens"] == 11
    event = standing.event(prompt)
    assert event["gen_ai.operation.name"] == kind
    assert event["event.outcome"] == "success"
    assert event["gen_ai.usage.input_tokens"] == 11
    assert "said" in event["gen_ai.output.messages"]
