# SPDX-License-Identifier: GPL-2.0-or-later
"""The breadth of the official client, the latest and two majors back: unmodified, and read."""

import json
import os

import pytest

from lab.rogue import rogue_origin
from lab.service import CONTENT, TEXT, service

HERE = os.path.dirname(os.path.abspath(__file__))
HOST = "rogue-sdk-doors.openai.azure.com"
# What each call gives, and what its event says: operation, source of the usage, tokens.
CALLS = {
    "chat": (TEXT, "chat", "provider", 18),
    "chatStream": (TEXT, "chat", "provider", 18),
    "tools": (TEXT, "chat", "provider", 18),
    "structured": (TEXT, "chat", "provider", 18),
    "responses": (TEXT, "responses", "provider", 18),
    "responsesStream": (TEXT, "responses", "provider", 18),
    "embeddings": (3, "embeddings", "provider", 3),
    "image": ("aGk=", "image_generation", "provider", 18),
    "imageEdit": ("aGk=", "image_edit", "provider", 18),
    "speech": (1000, "speech", "estimated", None),
    "transcription": ("What was said.", "transcription", "provider", None),
    "moderation": (False, "moderation", "none", None),
    "batch": (len(CONTENT), None, None, None),
    "models": (1, "models", "none", None),
    "aborted": (True, None, None, None),
}


@pytest.mark.parametrize("package", ["openai-5", "openai", "openai-7"])
def test_every_call_of_the_official_client(lab, standing, package):
    before = len(standing.events())
    with rogue_origin(lab, HOST, service().respond):
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": standing.ca_path}
        done = lab.network.client.run("node", os.path.join(HERE, "doors.mjs"), package, HOST, env=environment)
        got = json.loads(done.stdout)
    assert got == {call: wanted[0] for call, wanted in CALLS.items()}
    # One for each call; of the batch, four.
    count = len(CALLS) + 3
    events = standing.wait_for_events(lambda found: len(found) >= before + count)[before:]
    ours = [event for event in events if event.get("tls.server_name") == HOST]
    assert len(ours) == count
    assert all(event["body.readable"] is not False for event in ours if "body.readable" in event)
    said = [(event["gen_ai.operation.name"], event["gen_ai.usage.source"]) for event in ours]
    for call, (_, operation, source, total) in CALLS.items():
        if operation:
            assert (operation, source) in said, (call, said)
    totals = sorted(event["gen_ai.usage.total_tokens"] for event in ours
                    if event["gen_ai.usage.source"] == "provider" and "gen_ai.usage.total_tokens" in event)
    # Those of the batch come once: with its file.
    wanted = [total for _, operation, source, total in CALLS.values() if source == "provider" and total] + [18]
    assert totals == sorted(wanted + [18] * (len(totals) - len(wanted)))
    assert [event["gen_ai.usage.source"] for event in ours if event["gen_ai.operation.name"] == "batches"][0] in (
        "later", "none")
