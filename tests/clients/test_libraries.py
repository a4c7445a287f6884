# SPDX-License-Identifier: GPL-2.0-or-later
"""Libraries that applications call models with, unmodified: every call of theirs is read, and counted."""

import json
import os

import pytest

from lab.rogue import rogue_origin
from lab.service import TEXT, service

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "rogue-libraries.openai.azure.com"
READ = {
    "responses": ("responses", 18), "responsesStream": ("responses", 18),
    "chat": ("chat", 18), "chatStream": ("chat", 18),
    "embedding": ("embeddings", 3),
    "message": ("messages", 18), "messageStream": ("messages", 18),
}
DENIES = """default: {action: allow}
rules:
  - {name: no-forbidden, models: [forbidden], action: deny}
"""


@pytest.fixture(scope="module")
def gate(lab, tmp_path_factory):
    path = tmp_path_factory.mktemp("policy") / "policy.yaml"
    path.write_text(DENIES, encoding="utf-8")
    gate = lab.appliance({"policy": {"file": str(path)}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


@pytest.mark.more
@pytest.mark.parametrize("library", ["agents", "vercel", "langchain", "anthropic"])
def test_every_call_of_a_library_is_read(lab, gate, library):
    before = len(gate.events())
    with rogue_origin(lab, HOST, service().respond):
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": gate.ca_path}
        done = lab.network.client.run("node", os.path.join(HERE, "libraries.mjs"), library, HOST, env=environment)
    got = json.loads(done.stdout)
    if library == "anthropic":
        assert got.pop("refused") == "PermissionDeniedError 403 permission_error"
        (denied,) = gate.wait_events(1, lambda event: event["event.action"] == "deny")
        assert (denied["gen_ai.operation.name"], denied["rule.name"]) == ("messages", "no-forbidden")
        before += 1
    assert got == {call: 3 if call == "embedding" else TEXT for call in got}
    assert len(got) >= 2
    events = gate.wait_for_events(lambda found: len(found) >= before + len(got))
    ours = [event for event in events if event["event.action"] == "allow"][-len(got):]
    said = sorted((event["gen_ai.operation.name"], event["gen_ai.usage.total_tokens"]) for event in ours)
    assert said == sorted(READ[call] for call in got)
    assert {event["gen_ai.usage.source"] for event in ours} == {"provider"}
    assert all(event["body.readable"] for event in ours)
