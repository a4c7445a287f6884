# SPDX-License-Identifier: GPL-2.0-or-later
"""Pools: a call is answered as long as one region is alive and nothing of an answer has passed."""

import hashlib
import json
import os
import re
import threading

import pytest

from lab import network
from lab.certificates import DAY, Authority, pem
from lab.client import azure_path, chat_body
from lab.load import Load
from lab.process import wait_for
from lab.regions import KEY, POOL, Regions
from lab.rogue import rogue_origin

ROGUE = "rogue-pools.openai.azure.com"
FILES = "/openai/files?api-version=2024-10-21"


@pytest.fixture
def regions(lab, request):
    with Regions(lab, f"{abs(hash(request.node.name)) % 100000}-") as made:
        yield made


@pytest.fixture
def pool(lab, regions):
    """pool(…) starts an appliance with the pool of Regions.config; its client calls POOL."""
    made = []

    def make(**config):
        gate = lab.appliance()
        made.append(gate)
        gate.write_config(regions.config(gate, **config))
        gate.start()
        gate.caller = lab.client(gate)
        return gate

    try:
        yield make
        for gate in made:
            gate.stop()
    finally:
        for gate in made:
            gate.close()


def backends(gate):
    """What `sallyport backends` says, by backend and deployment."""
    told = json.loads(gate.cli("backends", "--config", gate.running_path, "--json").stdout)
    return {(row["backend"], row.get("deployment", "")): row for row in told["backends"]}


def state(gate, name, deployment="gpt-4o"):
    row = backends(gate).get((name, deployment))
    return row["state"] if row else "closed"


def answered(gate, prompt, **more):
    got = gate.caller.chat(POOL, prompt, **more)
    assert got.status == 200, got
    assert f"Answer to: {prompt[:50]}" in got.text()  # the origin repeats no more
    return got


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("trouble", [
    {"status": 429}, {"status": 500}, {"status": 503}, {"status": 401}, {"status": 403}, {"answer": "none"},
], ids=lambda trouble: str(*trouble.values()))
def test_another_backend_answers(regions, pool, prompt, trouble, stream):
    regions.east.meets(**trouble)
    gate = pool(of=("east", "west"), west={"priority": 2})
    got = answered(gate, prompt, fields={"stream": stream})
    assert got.header("x-ms-region") == "west"
    assert (regions.east.count(), regions.west.count()) == (1, 1)
    assert regions.west.origin.request().key == KEY + "west"
    event = gate.event(prompt)
    assert event["backend.name"] == event["backend.region"] == "west"
    assert event["backend.address"] == f"{regions.west.address}:443"
    assert event["attempts"] == 2
    assert event["event.outcome"] == "success"
    assert event["gen_ai.usage.source"] == "provider"


def attempts(event):
    """What the event tells of each, without its times."""
    return [{name: value for name, value in made.items() if name != "first_byte"}
            for made in json.loads(event["attempts.made"])]


def test_every_attempt_is_told(regions, pool, prompt):
    regions.east.meets(status=429)
    regions.north.down()
    gate = pool(west={"priority": 3}, north={"priority": 2})
    gate.write_config({"http": {"tell_backend": True}})
    gate.reload()
    assert answered(gate, prompt).header("x-sallyport-backend") == "west"
    event = gate.event(prompt)
    assert attempts(event) == [
        {"connected": True, "backend": "east", "region": "east", "address": f"{regions.east.address}:443",
         "status": 429, "left": "throttled"},
        {"connected": False, "backend": "north", "region": "north", "error": "origin_unreachable",
         "left": "unreached"},
        {"connected": True, "backend": "west", "region": "west", "address": f"{regions.west.address}:443",
         "status": 200},
    ]
    assert event["attempts"] == 2


def test_one_attempt_needs_no_list(regions, pool, prompt):
    gate = pool()
    assert answered(gate, prompt).header("x-sallyport-backend") is None
    assert "attempts.made" not in gate.event(prompt)


def test_an_error_without_a_body(lab, regions, pool, prompt):
    answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    gate = pool(of=("east", "west"), west={"priority": 2},
                east={"host": ROGUE, "addresses": [network.PLAIN]})
    with rogue_origin(lab, ROGUE, lambda *_: answer):
        answered(gate, prompt)
    assert attempts(gate.event(prompt))[0]["status"] == 503


def test_an_error_before_all_of_the_request_was_sent(regions, pool, prompt):
    regions.east.meets(status=429, early=1)
    gate = pool(of=("east", "west"), west={"priority": 2})
    body = json.dumps({"input": prompt + "x" * 600_000})
    target = azure_path("text-embedding-3-small", "embeddings")
    assert gate.caller.call(POOL, target, body).status == 200
    assert regions.west.origin.request().body_bytes == len(body)


def test_a_region_that_is_not_there(regions, pool, prompt):
    regions.east.down()
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 2})
    for i in range(4):
        answered(gate, f"{prompt} {i}")
    assert state(gate, "east", "") == "open"
    assert regions.west.count() == 4


@pytest.mark.parametrize("trouble", [{"error_after": 0}, {"cut_after": 0}], ids=["error", "cut"])
def test_a_stream_that_fails_before_its_first_output(regions, pool, prompt, trouble):
    regions.east.meets(**trouble)
    gate = pool(of=("east", "west"), west={"priority": 2})
    got = answered(gate, prompt, fields={"stream": True})
    assert got.header("x-ms-region") == "west"
    assert '"error"' not in got.body.decode()
    assert got.body.decode().count("[DONE]") == 1
    assert gate.event(prompt)["attempts"] == 2


def test_an_answer_that_is_no_stream_is_passed_when_it_is_whole(regions, pool, prompt):
    """Nobody has a use of half an object."""
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 1000, "failure_rate": 0})
    troubles = [{"cut_after": 0}, {"cut_after": 40}, {"cut_after": 40, "framing": "close"},
                {"cut_after": 40, "framing": "chunked"}, {"cut_after": 40, "coding": "gzip"}]
    for n, trouble in enumerate(troubles):
        regions.east.meets(**trouble)
        assert answered(gate, f"{prompt} {n}").header("x-ms-region") == "west", trouble
        assert attempts(gate.event(f"{prompt} {n}"))[0]["left"] == "lost"
    assert (regions.east.count(), regions.west.count()) == (5, 5)
    # What is longer than what is held goes on as it comes.
    regions.east.meets(bytes=400_000, pace_ms=1)
    assert len(gate.caller.chat(POOL, prompt + " long").body) > 400_000


def test_nothing_is_done_after_the_first_output(regions, pool, prompt):
    regions.east.meets(cut_after=3)
    gate = pool(of=("east", "west"), west={"priority": 2})
    with gate.caller.tls(POOL) as connection:
        connection.request("POST", azure_path(), POOL, {"api-key": "k"}, chat_body(prompt, stream=True))
        status, _ = connection.head()
        assert status == 200
        assert b"[DONE]" not in connection.rest()
    assert (regions.east.count(), regions.west.count()) == (1, 0)
    assert gate.event(prompt)["event.outcome"] == "failure"


@pytest.mark.parametrize("status, elsewhere", [(500, False), (429, True)])
def test_what_may_have_had_an_effect_is_not_done_twice(regions, pool, prompt, status, elsewhere):
    regions.east.meets(status=status)
    gate = pool(of=("east", "west"), west={"priority": 2})
    body = json.dumps({"purpose": prompt})
    got = gate.caller.call(POOL, FILES, body, headers={"api-key": "k", "Content-Type": "application/json"})
    assert (got.status == status) != elsewhere
    assert (regions.east.count(), regions.west.count()) == (1, int(elsewhere))


def test_what_is_the_clients_doing_stays_with_it(regions, pool, prompt):
    regions.east.meets(status=404)
    gate = pool(of=("east", "west"), west={"priority": 2})
    assert gate.caller.chat(POOL, prompt).status == 404
    assert regions.west.count() == 0
    assert backends(gate).keys() == {("east", ""), ("west", "")}


@pytest.mark.parametrize("status", [401, 403, 429, 500])
def test_a_key_that_is_not_for_files_is_one_for_models(regions, pool, prompt, status):
    """Nobody can take a backend out by calls that it refuses."""
    regions.east.meets(status=status)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 1})
    gate.caller.call(POOL, FILES, method="GET", headers={"api-key": "k"})
    regions.east.meets()
    assert answered(gate, prompt).header("x-ms-region") == "east"
    assert state(gate, "east", "") == state(gate, "east") == "closed"


@pytest.mark.parametrize("known", [False, True], ids=["data", "known"])
def test_a_call_that_is_refused_takes_nobody_out(regions, pool, prompt, known):
    """A 401 may be about a store of data that a call names, or about what it asks for."""
    gate = pool(of=("east", "west"), west={"priority": 2})
    fields = {} if known else {"data_sources": [{"type": "azure_search"}]}
    if known:
        answered(gate, f"{prompt} before")
    refused = {"x-test-status": "401"}
    assert gate.caller.chat(POOL, f"{prompt} refused", headers=refused, fields=fields).status == 401
    assert answered(gate, f"{prompt} then").header("x-ms-region") == "east"
    assert state(gate, "east", "") == "closed"
    # One that was never answered may be out: it is asked all the same when nobody else is there.
    regions.east.down()
    assert answered(gate, f"{prompt} at last").header("x-ms-region") == "west"


@pytest.mark.parametrize("target, model", [
    ("/openai/v1/embeddings", "gpt-4o"), ("/openai/v1/responses", "gpt-4o"),
    ("/openai/v1/chat/completions?deployment=gpt-4o", "invented"),
], ids=["embeddings", "responses", "query"])
def test_a_model_that_is_not_for_a_call_is_one_for_others(regions, pool, prompt, target, model):
    regions.east.meets(status=403)
    gate = pool(of=("east", "west"), west={"priority": 2})
    gate.caller.call(POOL, target, json.dumps({"model": model, "input": prompt}))
    regions.east.meets()
    assert answered(gate, prompt).header("x-ms-region") == "east"


@pytest.mark.parametrize("answer", [{"status": 408}, {"answer": "none"}], ids=["408", "close"])
def test_a_client_that_is_slow_takes_nobody_out(regions, pool, prompt, answer):
    """A backend that has waited for it in vain is no worse for others."""
    regions.east.meets(early=1, **answer)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 1})
    target = azure_path("gpt-4o", "chat/completions")
    with gate.caller.tls(POOL) as slow:
        slow.send(f"POST {target} HTTP/1.1\r\nHost: {POOL}\r\napi-key: k\r\nContent-Length: 600000\r\n\r\n"
                  '{"stream":false,"messages":[{"role":"user","content":"' + "x" * 100_000)
        if "status" in answer:
            assert slow.head()[0] == 408
        else:
            wait_for(lambda: gate.counters()["backend.turned"], "another try")
    assert gate.counters()["backend.out"] == 0
    regions.east.meets()
    assert answered(gate, prompt).header("x-ms-region") == "east"


def test_what_one_makes_of_an_edit_says_nothing_of_another(regions, pool, prompt):
    regions.east.meets(strict=1)
    gate = pool(of=("east", "west"), west={"priority": 2})
    answered(gate, f"{prompt} refused", fields={"stream": True})
    assert gate.event(f"{prompt} refused")["gen_ai.usage.source"] == "estimated"
    regions.east.meets(status=429)
    answered(gate, f"{prompt} elsewhere", fields={"stream": True})
    assert gate.event(f"{prompt} elsewhere")["gen_ai.usage.source"] == "provider"


def test_what_belongs_to_the_clients_key_goes_with_it(regions, pool, prompt):
    gate = pool(of=("east",))
    answered(gate, prompt, headers={"OpenAI-Organization": "org-1", "openai-project": "p", "x-mine": "1"})
    got = regions.east.origin.request()
    assert got.all("openai-organization") == got.all("openai-project") == []
    assert got.header("x-mine") == "1"


def test_a_region_whose_certificate_has_expired(lab, regions, pool, prompt):
    expired = lab.certificates.root.issue(regions.east.host, start=-2 * DAY, end=-DAY)
    lab.certificates.install(regions.east.host, *expired)
    gate = pool(of=("east", "west"), west={"priority": 2})
    assert answered(gate, prompt).header("x-ms-region") == "west"
    assert regions.east.count() == 0


def test_a_backend_is_verified_by_roots_of_its_own(lab, regions, pool, prompt):
    """By these alone, and nobody else by them."""
    root = Authority("Root of one region")
    lab.certificates.install(regions.east.host, *root.issue(regions.east.host))
    path = os.path.join(lab.directory, "one-region.pem")
    with open(path, "wb") as file:
        file.write(pem(root.certificate))
    try:
        gate = pool(east={"roots": [path], "priority": 3}, west={"roots": [path]},
                    north={"priority": 2, "host": regions.east.host, "addresses": [regions.east.address]})
        assert answered(gate, prompt).header("x-ms-region") == "east"
    finally:
        lab.certificates.good(regions.east.host)
    made = attempts(gate.event(prompt))
    assert [(one["backend"], one.get("error"), one.get("left")) for one in made] == [
        ("west", "unknown_ca", "unreached"), ("north", "unknown_ca", "unreached"), ("east", None, None)]


def test_a_region_that_moves(lab, regions, pool, prompt):
    """By the DNS: calls follow, and nothing fails meanwhile."""
    lab.names.ttl, before = 1, lab.names.ttl
    try:
        lab.names.set(regions.east.host, regions.east.address)
        gate = lab.appliance({"endpoints": {"ttl_floor": "1s"}})
        config = regions.config(gate, of=("east", "west"), west={"priority": 2})
        del config["backends"][0]["addresses"]
        gate.write_config(config)
        try:
            gate.start()
            gate.caller = lab.client(gate)
            assert answered(gate, f"{prompt} before").header("x-ms-region") == "east"
            lab.names.set(regions.east.host, regions.north.address)
            regions.east.down()
            answered(gate, f"{prompt} meanwhile")
            wait_for(lambda: answered(gate, f"{prompt} after").header("x-ms-region") == "north", "the move")
            gate.stop()
        finally:
            gate.close()
    finally:
        lab.names.ttl = before


def test_a_pause_is_kept_and_then_over(regions, pool, prompt):
    regions.east.meets(status=429, retry_after=3)
    gate = pool(of=("east", "west"), west={"priority": 2})
    for i in range(5):
        answered(gate, f"{prompt} {i}")
    assert regions.east.count() == 1
    assert state(gate, "east") == "paused"
    regions.east.meets()
    wait_for(lambda: state(gate, "east") == "closed", "the end of the pause")
    assert answered(gate, f"{prompt} back").header("x-ms-region") == "east"


def test_all_are_over_their_limit(regions, pool, prompt):
    regions.east.meets(status=429, retry_after=50)
    regions.west.meets(status=429, retry_after=20)
    gate = pool(of=("east", "west"), west={"priority": 2})
    got = gate.caller.chat(POOL, prompt)
    assert got.status == 429
    assert got.json()["error"]
    assert 15000 < int(got.header("retry-after-ms")) <= 20000
    assert 15 <= int(got.header("retry-after")) <= 20
    # Nobody is asked meanwhile, and the client hears when it is worth it.
    again = gate.caller.chat(POOL, f"{prompt} again")
    assert again.status == 429
    assert 10000 < int(again.header("retry-after-ms")) <= 20000
    assert regions.count() == 2
    assert gate.event(f"{prompt} again")["error.type"] == "backends_throttled"


def test_the_more_useful_of_two_answers(regions, pool, prompt):
    regions.east.meets(status=429, retry_after=20)
    regions.west.down()
    gate = pool(of=("east", "west"), west={"priority": 2})
    got = gate.caller.chat(POOL, prompt)
    assert got.status == 429
    assert int(got.header("retry-after-ms")) <= 20000


def test_one_call_tries_a_region_that_was_out(regions, pool, prompt):
    regions.east.meets(status=500)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 2, "out_time": "2s"})
    for i in range(6):
        answered(gate, f"{prompt} {i}")
    assert regions.east.count() == 2
    out = gate.wait_events(1, lambda event: event.get("event.kind") == "backend.state")[0]
    assert (out["event.action"], out["backend.name"], out["error.type"]) == ("out", "east", "failed")
    regions.east.meets()
    wait_for(lambda: state(gate, "east") == "half-open", "the end of out_time")
    assert answered(gate, f"{prompt} probe").header("x-ms-region") == "east"
    assert state(gate, "east") == "closed"
    gate.wait_events(1, lambda event: event.get("event.kind") == "backend.state" and event["event.action"] == "in")


def test_a_dead_key_takes_its_backend_out_and_shouts(regions, pool, prompt):
    regions.east.meets(status=401)
    gate = pool(of=("east", "west"), west={"priority": 2})
    for i in range(3):
        answered(gate, f"{prompt} {i}")
    assert regions.east.count() == 1
    assert state(gate, "east", "") == "open"
    assert "backend east refuses credential east" in gate.daemon.log()
    assert KEY not in gate.daemon.log()


def test_a_quota_that_is_used_up_is_no_pause(regions, pool, prompt):
    """It is not asked again with the same credential, and at once with another one."""
    regions.east.meets(status=429, code="insufficient_quota")
    gate = pool(of=("east", "west"), west={"priority": 2})
    for i in range(3):
        answered(gate, f"{prompt} {i}")
    assert regions.east.count() == 1
    assert [made.get("left") for made in attempts(gate.event(f"{prompt} 0"))] == ["quota", None]
    row = backends(gate)["east", ""]
    assert (row["state"], row["reason"]) == ("open", "quota")
    assert "backend east has no quota left for credential east" in gate.daemon.log()
    gate.wait_events(1, lambda event: event.get("event.kind") == "backend.state" and event["error.type"] == "quota")
    regions.east.meets()
    gate.secret("east.key", KEY + "east-renewed")
    wait_for(lambda: "tried again, with another value of credential east" in gate.daemon.log(), "another key")
    wait_for(lambda: answered(gate, f"{prompt} again").header("x-ms-region") == "east", "the region", every=0.2)
    assert regions.east.origin.requests()[-1].key == KEY + "east-renewed"


@pytest.mark.parametrize("comes", [True, False], ids=["late", "never"])
def test_why_it_is_no_comes_behind_the_status(lab, regions, pool, prompt, comes):
    """It is waited for, but not for long."""
    said = b'{"error":{"code":"insufficient_quota","message":"You exceeded your current quota."}}'
    done = threading.Event()

    def respond(*_):
        yield b"HTTP/1.1 429 No\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(said)
        if done.wait(0.3 if comes else 60) or comes:
            yield said

    gate = pool(of=("east", "west"), west={"priority": 2}, east={"host": ROGUE, "addresses": [network.PLAIN]})
    with rogue_origin(lab, ROGUE, respond):
        answered(gate, prompt)
        done.set()
    assert attempts(gate.event(prompt))[0]["left"] == ("quota" if comes else "throttled")


def test_a_quota_of_the_clients_own_takes_nobody_out(regions, pool, prompt):
    regions.east.meets(status=429, code="insufficient_quota")
    gate = pool(of=("east", "west"), east={"key_file": None}, west={"key_file": None, "priority": 2})
    answered(gate, prompt)
    assert attempts(gate.event(prompt))[0]["left"] == "throttled"
    assert "no quota left" not in gate.daemon.log()
    assert backends(gate)["east", ""]["state"] == "closed"


def test_what_is_too_long_for_a_ptu_spills(regions, pool, prompt):
    regions.east.meets(status=400, code="context_length_exceeded")
    regions.west.meets(status=400, code="context_length_exceeded")
    gate = pool(pool={"spill_context_length": True}, east={"kind": "ptu"}, west={"kind": "ptu", "priority": 2},
                north={"kind": "global", "priority": 3})
    assert answered(gate, prompt).header("x-ms-region") == "north"
    assert (regions.east.count(), regions.west.count()) == (1, 0)
    made = attempts(gate.event(prompt))
    assert [(one["kind"], one["status"], one.get("left")) for one in made] == [
        ("ptu", 400, "answered"), ("global", 200, None)]
    assert state(gate, "east") == "closed" and state(gate, "east", "") == "closed"
    # Another 400 is the client's own, and so is that of what is no PTU.
    regions.east.meets(status=400)
    assert gate.caller.chat(POOL, prompt + "other").json()["error"]["code"] == "content_filter"
    regions.north.meets(status=400, code="context_length_exceeded")
    regions.east.meets(status=400, code="context_length_exceeded")
    assert gate.caller.chat(POOL, prompt + "last").json()["error"]["code"] == "context_length_exceeded"
    assert (regions.east.count(), regions.west.count(), regions.north.count()) == (3, 0, 2)


def test_what_is_used_of_a_capacity_spills_over(regions, pool, prompt):
    gate = pool(of=("east", "west"), east={"capacity": 1000}, west={"priority": 2})
    assert answered(gate, prompt + "0").header("x-ms-region") == "east"
    row = backends(gate)["east", ""]
    assert row["capacity"] == 1000 and 0 < row["tokens_this_minute"] < 1000
    # A minute that ends here has told nothing of it.
    for i in range(1, 200):
        answered(gate, f"{prompt}{i} " + "word " * 500)
        if regions.west.count():
            break
    assert regions.west.count() == 1
    row = backends(gate)["east", ""]
    assert row["state"] == "low" and row["tokens_this_minute"] >= 1000 or not row["tokens_this_minute"]


def test_a_brown_out(regions, pool, prompt):
    """The first byte does not come."""
    regions.east.meets(delay_ms=60000)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"first_output_timeout": "500ms"})
    got = answered(gate, prompt)
    assert got.header("x-ms-region") == "west"
    assert gate.event(prompt)["attempts"] == 2


def test_a_stream_that_stalls_before_its_first_output(regions, pool, prompt):
    regions.east.meets(stall_after=0)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"first_output_timeout": "500ms"})
    got = answered(gate, prompt, fields={"stream": True})
    assert got.header("x-ms-region") == "west"
    assert got.body.decode().count("[DONE]") == 1


def test_what_comes_before_the_first_output_does_not_put_it_off(regions, pool, prompt):
    """The role's chunk comes in time, the first word does not."""
    regions.east.meets(pace_ms=400)
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"first_output_timeout": "500ms"})
    got = answered(gate, prompt, fields={"stream": True})
    assert got.header("x-ms-region") == "west"


def test_what_is_known_outlives_a_reload(regions, pool, prompt):
    regions.east.meets(status=429, retry_after=50)
    gate = pool(of=("east", "west"), west={"priority": 2})
    answered(gate, prompt)
    gate.write_config({"audit": {"batch": 400}})
    gate.reload()
    answered(gate, f"{prompt} after")
    assert regions.east.count() == 1


def test_a_region_is_killed_under_load(regions, pool):
    gate = pool()
    with Load(gate.caller, POOL, "killed", threads=4) as load:
        wait_for(load.more(40), "calls before")
        regions.east.down()
        wait_for(load.more(60), "calls without east")
        regions.east.up()
        wait_for(load.more(40), "calls after")
    load.assert_nothing_failed()
    load.assert_recorded(gate)
    events = [e for e in gate.events() if "killed" in e.get("gen_ai.input.messages", "")]
    assert {e["event.outcome"] for e in events} == {"success"}


@pytest.mark.parametrize("reset", [False, True], ids=["close", "reset"])
def test_a_client_that_leaves_when_another_backend_is_asked(regions, pool, prompt, reset):
    """Who left is who is named, and the call that was begun for nobody ends."""
    regions.east.meets(status=503)
    regions.west.meets(delay_ms=60000)
    gate = pool(of=("east", "west"), west={"priority": 2})
    connection = gate.caller.tls(POOL)
    connection.request("POST", azure_path(), POOL, {"api-key": "k"}, chat_body(prompt))
    wait_for(lambda: regions.west.count(), "the second attempt")
    connection.reset() if reset else connection.close()
    event = gate.event(prompt)
    assert (event["error.type"], event["attempts"], event["backend.name"]) == ("client_closed", 2, "west")
    assert event["gen_ai.usage.source"] == "estimated" and event["gen_ai.usage.input_tokens"] > 0
    assert state(gate, "west") == "closed"


def test_attempts_are_counted_as_the_origins_saw_them(regions, pool):
    regions.east.meets(status=429, retry_after=1)
    regions.west.meets(status=500)
    gate = pool(pool={"failures": 3, "out_time": "1s"})
    with Load(gate.caller, POOL, "storm", threads=4) as load:
        wait_for(load.more(80), "calls in the storm")
    load.assert_nothing_failed()
    load.assert_recorded(gate)
    events = [e for e in gate.events() if "storm" in e.get("gen_ai.input.messages", "")]
    assert sum(e["attempts"] for e in events) == regions.count()


def test_a_form_goes_to_a_backend_by_the_name_of_its_model_there(regions, pool, prompt):
    gate = pool(of=("west",), west={"models": ["whisper-1=missing-in-west"]})
    body = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
            b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n' + prompt.encode() +
            b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nsound\r\n--b--')
    got = gate.caller.call(POOL, "/openai/v1/audio/transcriptions", body,
                           headers={"api-key": "k", "Content-Type": "multipart/form-data; boundary=b"})
    assert got.status == 404  # of the model, as the origin was asked for it
    assert gate.event(prompt)["gen_ai.request.model"] == "whisper-1"


RESPONSES = "/openai/v1/responses"


def respond(gate, prompt, **fields):
    """A call of the Responses API; what came, and who answered."""
    body = json.dumps({"model": "gpt-4o", "input": prompt, **fields})
    got = gate.caller.call(POOL, RESPONSES, body, headers={"api-key": "k", "Content-Type": "application/json"})
    return got, got.header("x-ms-region")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_what_a_region_keeps_is_asked_for_there(regions, pool, prompt, stream):
    gate = pool(of=("east", "west"))
    seen = set()
    for i in range(12):
        got, region = respond(gate, f"{prompt} {i}", stream=stream)
        assert got.status == 200
        data = got.body.decode()
        response_id = re.search(r'"id":\s*"(resp_[^"]+)"', data).group(1)
        seen.add(region)
        for j in range(3):
            assert respond(gate, f"{prompt} {i} {j}", previous_response_id=response_id)[1] == region
        before = {r.name: r.count() for r in regions.all}
        gate.caller.call(POOL, f"{RESPONSES}/{response_id}", method="GET", headers={"api-key": "k"})
        after = {r.name: r.count() for r in regions.all}
        assert [name for name in after if after[name] != before[name]] == [region]
    assert seen == {"east", "west"}


def test_a_name_that_nobody_knows_is_asked_for_everywhere_once(regions, pool, prompt):
    gate = pool(of=("east", "west"), west={"priority": 2})
    got = gate.caller.call(POOL, f"{RESPONSES}/resp_00000000000000000", method="GET", headers={"api-key": "k"})
    assert got.status == 404
    assert (regions.east.count(), regions.west.count()) == (1, 1)
    # What does not look like one is the first one's to answer.
    got = gate.caller.call(POOL, f"{RESPONSES}/nothing", method="GET", headers={"api-key": "k"})
    assert got.status == 404
    assert (regions.east.count(), regions.west.count()) == (2, 1)


def test_a_region_that_is_gone_takes_what_it_keeps_with_it(regions, pool, prompt):
    gate = pool(of=("east", "west"), west={"priority": 2}, pool={"failures": 1})
    got, region = respond(gate, prompt)
    assert region == "east"
    regions.east.down()
    assert respond(gate, f"{prompt} first", previous_response_id=got.json()["id"])[0].status == 502
    got, _ = respond(gate, f"{prompt} then", previous_response_id=got.json()["id"])
    assert got.status == 503
    assert "keeps what this call refers to" in got.json()["error"]["message"]
    assert int(got.header("retry-after-ms")) > 0
    assert respond(gate, f"{prompt} other")[1] == "west"


@pytest.mark.parametrize("fields, elsewhere", [
    ({}, True), ({"background": True}, False), ({"conversation": "conv_0123456789abcdef"}, False),
    ({"tools": [{"type": "mcp", "server_label": "s", "server_url": "https://x.y"}]}, False),
], ids=["plain", "background", "conversation", "mcp"])
def test_a_response_is_made_twice_only_where_that_is_harmless(regions, pool, prompt, fields, elsewhere):
    regions.east.meets(status=500)
    gate = pool(of=("east", "west"), west={"priority": 2})
    got, region = respond(gate, prompt, **fields)
    assert (got.status, region) == ((200, "west") if elsewhere else (500, "east"))
    assert regions.count() == 1 + elsewhere


@pytest.mark.parametrize("fields, prompts", [
    ({"prompt_cache_key": "one"}, ["{} a", "{} b"]), ({}, ["y" * 5000 + " {} a", "y" * 5000 + " {} b"]),
], ids=["key", "beginning"])
def test_what_belongs_together_stays_together_and_yields(regions, pool, prompt, fields, prompts):
    gate = pool(of=("east", "west"))

    def ask(i):
        got = gate.caller.chat(POOL, prompts[i % 2].format(f"{prompt} {i}"), fields=fields)
        assert got.status == 200
        return got.header("x-ms-region")

    first = {ask(i) for i in range(12)}
    assert len(first) == 1
    region, = (r for r in regions.all if {r.name} == first)
    region.meets(status=429, retry_after=2)
    assert {ask(i) for i in range(4)} == {"east", "west"} - first
    region.meets()
    wait_for(lambda: state(gate, region.name) == "closed", "the end of the pause")
    assert {ask(i) for i in range(4)} == first


def test_short_prompts_go_by_weight(regions, pool, prompt):
    gate = pool(of=("east", "west"))
    assert {answered(gate, prompt).header("x-ms-region") for _ in range(20)} == {"east", "west"}


MAPS = {"models": ["gpt-4o=gpt-4o-of-west"], "api_versions": ["2024-10-21=2024-06-01"]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_deployment_has_another_name_elsewhere(regions, pool, prompt, stream):
    """In the path: the client's bytes but for the names."""
    regions.east.meets(status=429)
    gate = pool(of=("east", "west"), west={"priority": 2, **MAPS})
    answered(gate, prompt, target=azure_path() + "&also=gpt-4o", fields={"stream": stream})
    sent = regions.east.origin.request()
    got = regions.west.origin.request()
    assert sent.target == "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21&also=gpt-4o"
    assert got.target == ("/openai/deployments/gpt-4o-of-west/chat/completions?api-version=2024-06-01"
                          "&also=gpt-4o")
    assert got.json()["messages"] == sent.json()["messages"]
    assert gate.event(prompt)["azure.deployment"] == "gpt-4o"


def test_a_deployment_in_the_query_has_another_name_elsewhere(regions, pool, prompt):
    gate = pool(of=("west",), west=MAPS)
    gate.caller.call(POOL, "/openai/realtime?api-version=2024-10-21&deployment=gpt-4o", method="GET")
    assert regions.west.origin.request().target == (
        "/openai/realtime?api-version=2024-06-01&deployment=gpt-4o-of-west")


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("pad", [0, 200_000], ids=["short", "long"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_model_has_another_name_elsewhere(regions, pool, prompt, chunked, pad, stream):
    """In the body, also behind a long prompt: the client's bytes but for the name."""
    regions.east.meets(status=429)
    gate = pool(of=("east", "west"), west={"priority": 2, **MAPS})
    fields = ', "stream": true, "stream_options": {"include_usage": true}' if stream else ""
    body = (f'{{ "messages" : [{{"role":"user","content":"{prompt}{"x" * pad}"}}]{fields},\n'
            '  "user": "gpt-4o", "model"\t:\t"gpt-4o" , "top_p": 1.0 }')
    with gate.caller.tls(POOL) as connection:
        connection.request("POST", "/openai/v1/chat/completions", POOL, {"api-key": "k"}, body, chunked=chunked)
        assert connection.response().status == 200
    assert regions.east.origin.request().body.decode() == body[:65536]
    got = regions.west.origin.request()
    wanted = body.replace('"model"\t:\t"gpt-4o"', '"model"\t:\t"gpt-4o-of-west"')
    assert got.body_sha256 == hashlib.sha256(wanted.encode()).hexdigest()
    assert gate.event(prompt)["gen_ai.request.model"] == "gpt-4o"


@pytest.mark.parametrize("window", ["1MiB", "32MiB"])
def test_a_large_upload_is_sent_to_another_backend_as_far_as_it_is_kept(regions, pool, prompt, window):
    """Whole, though far more of it is kept than goes at once."""
    regions.east.meets(status=429)
    gate = pool(of=("east", "west"), west={"priority": 2})
    gate.write_config({"http": {"replay_window": window}})
    gate.reload()
    body = chat_body(prompt, padding="x" * 20_000_000).encode()
    with gate.caller.tls(POOL) as connection:
        connection.request("POST", azure_path(), POOL, {"api-key": "k"}, body)
        got = connection.response()
    kept = window != "1MiB"
    assert got.status == (200 if kept else 429)
    assert (regions.east.count(), regions.west.count()) == (1, int(kept))
    if kept:
        assert regions.west.origin.request().body_sha256 == hashlib.sha256(body).hexdigest()
