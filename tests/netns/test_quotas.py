# SPDX-License-Identifier: GPL-2.0-or-later
"""How much may be asked: no limit is ever passed, what was not used is given back, and what was used stays
used, whoever dies meanwhile."""

import json
import os
import signal

import pytest

from lab.appliance import AZURE, OPENAI
from lab.client import azure_path, chat_body, together
from lab.network import CLIENT, OTHER_CLIENTS
from lab.process import wait_for

SOURCES = [CLIENT, *OTHER_CLIENTS]
V1 = "/v1/chat/completions"
RACE = 3000  # tokens

# Of a month, so that no test sees two of its periods.
LIMITS = """
limits:
  - {name: three, models: [three], requests: 3, every: month, per: [address], alert: [50, 100]}
  - {name: race, models: [race], tokens: %d, every: month}
  - {name: weighed, models: [weighed], tokens: 1000, every: month, cached_weight: 0.5, reasoning_weight: 2,
     tell: true}
  - {name: spent, models: [spent*], cost: 0.01, every: month, action: cut-off, per: [model]}
  - {name: two-at-once, models: [slow], concurrent: 2}
  - {name: watched, models: [watched], requests: 1, every: month, action: shadow}
  - {name: good, models: [good], requests: 2, every: month, count: success}
  - {name: wire, models: [wire], bytes: 2KiB, every: month}
  - {name: later, models: [later], requests: 1, every: second}
prices:
  - {models: [spent], input: 10, cached: 1, output: 1000}
  - {models: ["*"], input: 0, output: 0}
""" % RACE


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    path = os.path.join(gate.directory, "policy.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write(LIMITS)
    gate.write_config({"appliance": {"workers": 3}, "policy": {"file": path}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def call(client, prompt, model, *, headers=(), source=None, **fields):
    return client.call(OPENAI, V1, chat_body(prompt, model=model, **fields),
                       headers={"Authorization": "Bearer k", **dict(headers)}, source=source)


def limits(gate, name):
    """What is used of the limit: {who: {used, reserved, remaining}}."""
    told = json.loads(gate.cli("limits", "--json", "--config", gate.running_path).stdout)
    found = [limit for limit in told["limits"] if limit["name"] == name]
    return {row["who"]: row for row in found[0]["counted"]}


def test_requests_by_address(gate, client, origin, prompt):
    for _ in range(3):
        assert call(client, prompt, "three").status == 200
    asked = len(origin.requests())
    got = call(client, prompt + "fourth", "three")
    assert got.status == 429 and got.json()["error"]["code"] == "rate_limit_exceeded"
    assert len(origin.requests()) == asked
    # Until the month is over; that is longer than a client waits.
    ms, seconds = int(got.header("retry-after-ms")), int(got.header("retry-after"))
    assert (ms + 999) // 1000 == seconds and 0 < seconds <= 31 * 86400
    assert got.header("x-should-retry") == ("false" if seconds > 60 else None)
    assert got.header("x-ratelimit-limit-requests") == "3"
    assert got.header("x-ratelimit-remaining-requests") == "0"
    event = gate.event(prompt + "fourth")
    assert (event["event.action"], event["limit.name"], event["limit.who"]) == ("deny", "three", f"address={CLIENT}")
    assert (event["limit.used"], event["limit.most"]) == (3, 3)
    # Another address has its own, at another worker; Azure's clients hear Azure's error.
    assert call(client, prompt, "three", source=OTHER_CLIENTS[0]).status == 200
    got = client.call(AZURE, azure_path("three"), chat_body(prompt))
    assert got.status == 429 and set(got.json()["error"]) == {"code", "message"}
    assert limits(gate, "three")[f"address={CLIENT}"]["used"] == 3
    # At half and at all of it, once each.
    alerts = gate.wait_events(2, lambda e: e["event.kind"] == "limit.alert" and e["limit.name"] == "three")
    assert [(e["limit.who"], e["limit.percent"]) for e in alerts] == [(f"address={CLIENT}", 50),
                                                                      (f"address={CLIENT}", 100)]


def test_tokens_by_their_classes_and_what_is_left(gate, client, prompt):
    got = call(client, "x" * 400, "weighed", headers={"x-test-cached": "60", "x-test-reasoning": "10"},
               max_tokens=100)
    usage = got.json()["usage"]
    used = usage["prompt_tokens"] - 60 + 60 * 0.5 + usage["completion_tokens"] - 10 + 10 * 2
    row = limits(gate, "weighed")[""]
    assert (row["used"], row["reserved"], row["remaining"]) == (used, 0, 1000 - used)
    # The head comes before the usage is known: what is told has all that is reserved.
    assert int(got.header("x-sallyport-consumed-tokens")) >= used
    assert got.header("x-ratelimit-limit-tokens") == "1000"
    assert int(got.header("x-ratelimit-remaining-tokens")) == 1000 - int(got.header("x-sallyport-consumed-tokens"))
    # A call that alone may need more is told so, and not to try again; a smaller one passes.
    got = call(client, prompt, "weighed", max_tokens=2000)
    assert got.status == 429 and got.json()["error"]["code"] == "call_exceeds_limit"
    assert got.header("x-should-retry") == "false"
    assert call(client, prompt, "weighed", max_tokens=50).status == 200


def test_cost_by_the_model_and_then_nothing_more(gate, client, prompt):
    assert call(client, prompt, "spent", max_tokens=5).status == 200
    row = limits(gate, "spent")["model=spent"]
    assert 0.005 < row["used"] < 0.01 and row["reserved"] == 0
    got = call(client, prompt, "spent", max_tokens=9)
    assert got.status == 429 and got.json()["error"]["code"] == "insufficient_quota"
    assert got.header("x-should-retry") == "false"
    assert call(client, prompt, "spent-other", max_tokens=9).status == 200  # costs nothing


def test_at_once(gate, client, origin, prompt):
    slow = {"x-test-delay-ms": "300000"}
    with client.tls(OPENAI) as first, client.tls(OPENAI, source=OTHER_CLIENTS[0]) as second:
        for connection in (first, second):
            connection.request("POST", V1, OPENAI, {"Content-Type": "application/json", "Authorization": "Bearer k", **slow},
                               chat_body(prompt, model="slow"))
        wait_for(lambda: len(origin.requests()) == 2, "both calls at the origin")
        assert call(client, prompt, "slow", source=OTHER_CLIENTS[1]).status == 429
        assert limits(gate, "two-at-once")[""]["reserved"] == 2
    wait_for(lambda: "" not in limits(gate, "two-at-once"), "both are given back")
    assert call(client, prompt, "slow").status == 200


def test_a_shadow_passes_and_is_told(gate, client, prompt):
    assert call(client, prompt, "watched").status == 200
    assert call(client, prompt + "again", "watched").status == 200
    assert gate.event(prompt + "again")["limit.shadow"] == "watched"


def test_only_what_succeeds_counts_where_so_configured(gate, client, prompt):
    for _ in range(4):
        assert call(client, prompt, "good", headers={"x-test-status": "400"}).status == 400
    assert [call(client, prompt, "good").status for _ in range(3)] == [200, 200, 429]


def test_bytes_of_both_ways(gate, client, prompt):
    while "" not in limits(gate, "wire") or limits(gate, "wire")[""]["remaining"]:
        assert call(client, prompt, "wire").status == 200
    assert call(client, prompt, "wire").status == 429


def test_the_next_period_begins_when_it_was_said(gate, client, prompt):
    def refused():
        got = call(client, prompt, "later")
        return got if got.status == 429 else None

    ms = int(wait_for(refused, "a second with two calls").header("retry-after-ms"))
    assert 0 < ms <= 1000
    wait_for(lambda: call(client, prompt, "later").status == 200, "the next second")


def race_tokens(origin):
    """What the origin has worked for."""
    return sum(r["prompt_tokens"] + r["completion_tokens"] for r in origin.records("request")
               if b'"race"' in r_body(r))


def r_body(record):
    return record["body"].encode() if isinstance(record["body"], str) else bytes(record["body"])


def test_many_at_once_and_a_worker_killed(gate, client, origin, prompt):
    """200 calls by four addresses at three workers, one of which is killed: never one token too much, by what
    the origin has done; and at the end all but what nobody knows of is accounted for."""
    def one(i):
        try:
            return call(client, f"{prompt} {i} " + "word " * 20, "race", source=SOURCES[i % 4], max_tokens=20,
                        headers={"x-test-events": str(1 + i % 20), "x-test-delay-ms": str(20 * (i % 7))}).status
        except OSError:
            return 0  # its worker was killed
        finally:
            if i == 30:
                os.kill(gate.children("worker")[0], signal.SIGKILL)

    statuses = []
    for begin in range(0, 200, 50):
        statuses += together(50, lambda i, begin=begin: one(begin + i))
    assert set(statuses) <= {200, 429, 0} and 200 in statuses and 429 in statuses
    done = race_tokens(origin)
    assert 0 < done <= RACE
    row = wait_for(lambda: limits(gate, "race").get("") if not limits(gate, "race")[""]["reserved"] else None,
                   "all calls are over")
    assert done <= row["used"] <= RACE


def test_what_was_used_outlives_all(gate, client, prompt):
    """The daemon's end, with what it had in memory, as when the power fails."""
    before = limits(gate, "race")[""]["used"], limits(gate, "three")[f"address={CLIENT}"]["used"]
    gate.stop()
    os.unlink(os.path.join(gate.run_directory, "limits"))
    gate.start()
    assert (limits(gate, "race")[""]["used"], limits(gate, "three")[f"address={CLIENT}"]["used"]) == before
    assert call(client, prompt, "three").status == 429


def test_it_is_told(gate):
    text = gate.cli("limits", "--config", gate.running_path).stdout
    assert "three: 3 requests per month, throttle" in text and f"address={CLIENT}" in text
    samples = gate.cli("metrics", "--config", gate.running_path).stdout
    assert f'sallyport_limit_used{{limit="three",measure="requests",who="address={CLIENT}"}} 3' in samples
    assert "limit: race" in gate.cli("explain", "--source", CLIENT, "--url", f"https://{OPENAI}{V1}", "--request",
                                     gate.secret("body", chat_body("x", model="race")),
                                     "--config", gate.config_path).stdout
