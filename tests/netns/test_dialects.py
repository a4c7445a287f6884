# SPDX-License-Identifier: GPL-2.0-or-later
"""A pool whose backends speak different forms of the API: calls are translated where that is exact."""

import gzip
import json

import pytest

from lab import network
from lab.client import AZURE_VERSION, azure_path, chat_body
from lab.regions import KEY, POOL, Regions

OPEN = "north.api.openai.com"
PLATFORM = "platform.api.openai.com"  # what clients of OpenAI's API call


@pytest.fixture(scope="module")
def regions(lab):
    lab.certificates.good(OPEN)
    lab.add_host(PLATFORM, network.REGION_A)
    with Regions(lab, "dialects-") as made:
        yield made


@pytest.fixture(scope="module")
def gate(lab, regions):
    """east speaks Azure's forms, west its dated one alone, north OpenAI's."""
    gate = lab.appliance()
    changes = regions.config(
        gate, pool={"failures": 1000, "failure_rate": 0}, east={"models": ["gpt-4o=gpt-4o-east"]},
        west={"priority": 2, "dialect": "azure-dated", "api_version": AZURE_VERSION},
        north={"priority": 3, "host": OPEN, "models": ["gpt-4o=gpt-4o-open"]})
    changes["hosts"].append({"pattern": PLATFORM, "provider": "openai", "pool": "chat"})
    gate.write_config(changes)
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


@pytest.fixture
def meeting(regions):
    """meeting("east", "west"): both fail, and are asked all the same."""
    def make(*names):
        for region in regions.all:
            region.origin.forget()
            if region.name in names:
                region.meets(status=503)

    yield make
    for region in regions.all:
        region.meets()


def only(region):
    requests = region.origin.requests()
    assert len(requests) == 1, requests
    return requests[0]


@pytest.mark.parametrize("fields", [{}, {"model": "anything"}, {"stream": True}], ids=["no model", "model", "stream"])
def test_from_dated_paths_to_openai(regions, gate, client, prompt, meeting, fields):
    meeting("east", "west")
    got = client.chat(POOL, prompt, fields=fields)
    assert got.status == 200 and got.text().startswith(f"Answer to: {prompt[:50]}"), got
    asked = only(regions.north)
    assert (asked.target, asked.header("host")) == ("/v1/chat/completions", OPEN)
    assert asked.header("authorization") == f"Bearer {KEY}north" and asked.header("api-key") is None
    body = asked.json()
    assert body["model"] == "gpt-4o-open" and body["messages"][0]["content"] == prompt
    assert len(asked.body) == int(asked.header("content-length"))
    if "stream" in fields:
        assert body["stream_options"] == {"include_usage": True}
    assert only(regions.east).target == azure_path("gpt-4o-east")
    assert only(regions.west).target == azure_path()
    event = gate.event(prompt)
    assert event["backend.name"] == "north" and event["attempts"] == 3
    assert event["azure.deployment"] == "gpt-4o" and event["gen_ai.usage.source"] == "provider"


@pytest.mark.parametrize("last", [False, True], ids=["first", "last"])
def test_from_openai_to_azure(regions, gate, client, prompt, meeting, last):
    """Also where the model stands behind all else, in a body that comes in pieces."""
    fields = {"model": "gpt-4o", "messages": [{"role": "user", "content": prompt}]}
    if last:
        fields = dict(reversed(fields.items()))
    meeting("east")
    with client.tls(PLATFORM) as connection:
        connection.request("POST", "/v1/chat/completions?x=y", PLATFORM, {"Authorization": "Bearer sk-mine"},
                           json.dumps(fields), chunked=True)
        assert connection.response().status == 200
    asked = only(regions.east)
    assert asked.target == "/openai/v1/chat/completions?x=y" and asked.key == KEY + "east"
    assert asked.json()["model"] == "gpt-4o-east"
    asked = only(regions.west)
    assert asked.target == f"/openai/deployments/gpt-4o/chat/completions?api-version={AZURE_VERSION}&x=y"
    assert asked.header("authorization") is None and asked.header("api-key") == KEY + "west"
    assert not regions.north.origin.requests()


def test_a_long_body_whose_model_is_known_only_at_its_end(regions, gate, client, prompt, meeting):
    meeting("east", "west")
    body = json.dumps({"input": prompt + "x" * 300_000, "model": "text-embedding-3-small"})
    got = client.call(POOL, azure_path("text-embedding-3-small", "embeddings"), body)
    assert got.status == 200
    asked = only(regions.north)
    assert asked.target == "/v1/embeddings" and asked.body_bytes == len(body)


@pytest.mark.parametrize("call", [
    {"headers": {"Content-Encoding": "gzip"}, "coded": True},
    {"fields": {"data_sources": [{"type": "azure_search"}]}},
    {"fields": {"model": 7}},
], ids=["gzip", "data_sources", "odd model"])
def test_what_is_not_exact_does_not_go_there(regions, gate, client, prompt, meeting, call):
    meeting("east", "west")
    body = chat_body(prompt, **call.get("fields", {})).encode()
    got = client.call(POOL, azure_path(), gzip.compress(body) if call.get("coded") else body,
                      headers=call.get("headers", {}))
    assert got.status == 503, got
    assert (len(regions.east.origin.requests()), len(regions.west.origin.requests())) == (1, 1)
    assert not regions.north.origin.requests()


def test_a_call_that_no_backend_takes(lab, regions, gate, client, prompt, meeting):
    meeting()
    gate.write_config({"pools": [{"name": "chat", "backends": ["north"]}]})
    gate.reload()
    try:
        got = client.call(POOL, "/openai/files?api-version=2024-10-21", "{}")
        assert got.status == 404 and "cannot be said exactly" in got.json()["error"]["message"], got
        assert got.header("x-should-retry") == "false"
        assert client.chat(POOL, prompt).status == 200
        assert client.call(PLATFORM, "/v1/files", method="GET").status != 404 or regions.north.origin.requests()
    finally:
        gate.write_config({"pools": [{"name": "chat", "backends": ["east", "west", "north"]}]})
        gate.reload()
    checked = gate.cli("check", "--text-only", gate.config_path)
    told = "note: {}: calls in {} form go to {} only where they can be said exactly in {} form of the API\n"
    assert told.format(POOL, "Azure's", "north", "OpenAI's") in checked.stderr
    assert told.format(PLATFORM, "OpenAI's", "west", "Azure's dated") in checked.stderr
