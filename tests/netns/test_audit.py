# SPDX-License-Identifier: GPL-2.0-or-later
"""The way of the events when it is blocked, narrow or cut; and the questions they answer."""

import csv
import json
import os
import re
import signal
import socket
import threading
import time

from lab import network
from lab.appliance import AZURE, OPENAI, about
from lab.client import azure_path, chat_body
from lab.process import wait_for

COLLECTOR = "127.0.0.1:24224"  # over TCP
NARROW = {"spool_size": "1MiB", "segment_size": "64KiB", "ring_size": "128KiB", "content_max": "16KiB"}


def without_collector(appliance, **audit):
    gate = appliance({"audit": {**NARROW, **audit}, "accounting": {"summary_interval": "1d"}}, start=False)
    gate.write_config()
    gate.make_ca()
    gate.start_daemon()
    return gate


def test_a_full_spool_blocks_and_loses_nothing(lab, appliance, prompt):
    gate = without_collector(appliance, when_full="block")
    client = lab.client(gate)
    answered = []

    def calls():
        for i in range(200):
            assert client.chat(AZURE, f"{prompt} {i:03} " + "x" * 10000).status == 200
            answered.append(i)

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        wait_for(lambda: gate.counters()["audit.blocked"], "a call that waits", 60)
        assert len(answered) < 200
    finally:
        gate.start_collector()
        thread.join(120)
    assert len(answered) == 200
    gate.wait_events(200, lambda event: about(event, prompt))
    gate.assert_no_gaps()


def test_a_collector_over_tcp_shares_a_key(lab, appliance, prompt):
    gate = appliance(start=False)
    key = gate.secret("collector.key", "key-of-both\n")
    gate.collector_options = ["--listen", COLLECTOR, "--key-file", key]
    gate.write_config({"audit": {"collector": COLLECTOR, "collector_key_file": key}})
    gate.start()
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    gate.event(prompt)


def test_a_collector_with_another_key_gets_nothing(lab, appliance, prompt):
    gate = appliance(start=False)
    gate.collector_options = [
        "--listen", COLLECTOR, "--key-file", gate.secret("other.key", "another-key\n"),
    ]
    key = gate.secret("collector.key", "one-key-of-two\n")
    gate.write_config({"audit": {"collector": COLLECTOR, "collector_key_file": key}})
    gate.start()
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    gate.daemon.wait_for_log("it does not take our shared key")
    assert not gate.events()
    # Nor do strangers fill the disk with what is said of them.
    for _ in range(60):
        with gate.namespace.inside(), socket.create_connection(("127.0.0.1", 24224), timeout=20) as stranger:
            stranger.sendall(b"\xc1")
            while stranger.recv(4096):
                pass
    assert 1 <= gate.collector.log().count("connection closed") < 30


def test_a_full_ring_serves_who_waits_in_order_and_once(lab, appliance, prompt):
    """The shipper stands still and the ring is full. Deadlines pass for clients whose answers wait
    for their events, large events wait among small ones: each gets one answer and one event."""
    gate = appliance({"audit": {**NARROW, "spool_size": "64MiB"},
                      "http": {"head_timeout": "1s", "idle_timeout": "1s", "body_timeout": "1s"}})
    client = lab.client(gate)
    got = {}

    def half(i):
        with client.tls(AZURE) as connection:
            connection.send("POST /")
            got["half", i] = connection.response().status
            assert connection.closed()  # one answer, and nothing after it

    def half_a_body(i):
        with client.tls(AZURE) as connection:
            connection.send(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
                            f"Content-Length: 9\r\n\r\n{{")
            got["body", i] = connection.response().status
            assert connection.closed()

    def call(i):
        size = 15000 if i % 3 == 0 else 10
        with client.tls(AZURE) as connection:
            answer = client.chat(AZURE, f"{prompt} {i:03} " + "x" * size, connection=connection)
            got["call", i] = answer.status

    for pid in gate.children("shipper"):
        os.kill(pid, signal.SIGSTOP)
    try:
        n = 0
        while not gate.counters()["audit.blocked"]:  # what waits is answered later: not asked for
            filler = threading.Thread(target=call, args=(n,))
            filler.start()
            filler.join(0.2)
            n += 1
        others = [threading.Thread(target=make, args=(i,))
                  for i in range(6) for make in (half, half_a_body)]
        more = [threading.Thread(target=call, args=(n + i,)) for i in range(12)]
        for thread in others + more:
            thread.start()
        timeouts = lambda: gate.counters()["request.timeout"] + gate.counters()["request.body_timeout"]
        wait_for(lambda: timeouts() == 12, "the deadlines of all halves")
        time.sleep(2.5)  # their deadlines pass once more: nobody hears of it
        assert timeouts() == 12
    finally:
        for pid in gate.children("shipper"):
            os.kill(pid, signal.SIGCONT)
    for thread in others + more:
        thread.join(60)
        assert not thread.is_alive()
    wait_for(lambda: sum(kind == "call" for kind, _ in got) == n + 12, "every answer")
    assert [status for (kind, _), status in got.items() if kind != "call"] == [408] * 12
    assert [status for (kind, _), status in got.items() if kind == "call"] == [200] * (n + 12)
    gate.wait_events(n + 12, lambda event: about(event, prompt))
    gate.wait_events(12, lambda event: event.get("http.response.status_code") == 408)
    gate.assert_no_gaps()
    assert gate.counters()["audit.dropped"] == 0


def test_a_full_spool_may_drop_and_count(lab, appliance, prompt):
    gate = without_collector(appliance, when_full="drop")
    client = lab.client(gate)
    for i in range(200):
        assert client.chat(AZURE, f"{prompt} {i:03} " + "x" * 10000).status == 200

    def dropped():
        counters = gate.counters()
        return counters["audit.dropped"] + counters["spool.dropped"]

    wait_for(lambda: dropped() > 0, "an event that is dropped")
    gate.start_collector()
    # Every event is either stored or counted as dropped; the last ones may be under way still.
    gate.wait_for_events(lambda events: len(events) == 200 - dropped(), lambda e: about(e, prompt))


def test_content_can_be_left_out(lab, appliance, prompt):
    gate = appliance({"audit": {"content": False}})
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    event = gate.wait_events(1, lambda e: e["event.kind"] == "exchange")[0]
    assert event["gen_ai.usage.source"] == "provider"
    assert prompt not in str(event)
    assert "Answer to" not in str(event)


def test_what_was_said_is_found_shown_and_exported(lab, appliance):
    gate = appliance()
    client = lab.client(gate)
    for text in ("the quick brown fox", "a lazy dog \u202e, =1+1"):
        assert client.chat(AZURE, text).status == 200
    dog = gate.wait_events(1, lambda event: about(event, "lazy"))[0]

    def asked(command, *arguments, check=True):
        return gate.cli(command, "--store", gate.store_path, *arguments, check=check)

    def found(*words):
        return [json.loads(line) for line in asked("search", "--json", *words).stdout.splitlines()]

    wait_for(lambda: found("lazy"), "the index")
    assert [e["event.id"] for e in found("lazy dog", "answer")] in ([], [dog["event.id"]])
    assert [e["event.id"] for e in found("laz*")] == [dog["event.id"]]
    assert not found("quick", "dog")
    assert not found("dog lazy")
    shown = asked("show", dog["event.id"]).stdout
    assert "lazy dog <U+202E>, =1+1" in shown and "gen_ai.usage.input_tokens" in shown
    rows = list(csv.DictReader(asked("export", "--format", "csv").stdout.splitlines()))
    assert {row["event_id"] for row in rows} >= {dog["event.id"]}
    assert len(asked("export").stdout.splitlines()) == len(rows)
    azure = [json.loads(line) for line in asked("export", "--format", "azure").stdout.splitlines()]
    column = {row["CorrelationId"]: row for row in azure}[dog["event.id"]]
    assert column["IsRequestSuccess"] is True and column["ResponseCode"] == 200
    assert column["PromptTokens"] == dog["gen_ai.usage.input_tokens"]
    assert column["TotalTime"] == dog["timing.total"] / 1e6
    assert "lazy dog" in json.dumps(column["RequestMessages"])
    audited = asked("audit", "verify")
    assert " 0 damaged, 0 in conflict" in audited.stdout and " 0 events are missing" in audited.stdout
    assert ": 0 times broken" in audited.stdout
    head = re.search(r"^head +(\S+)", audited.stdout, re.M).group(1)
    assert f"has        {head}" in asked("audit", "verify", head).stdout
    lost = asked("audit", "verify", head[:-4] + "beef", check=False)
    assert lost.returncode == 1 and "lost  " in lost.stdout
    for wrong in (
        ("events", "--ip", "bogus"), ("events", "--ip", "10.0.0.1/8"), ("search", "!?"),
        ("usage", "--since", "2026-02-30"), ("events", "--since", "1h", "--until", "2h"),
        ("events", "--outcome", "good"), ("show", "no-such-id"), ("search", "--model", "x", "word"),
    ):
        done = asked(*wrong, check=False)
        assert done.returncode in (1, 2) and not done.stdout and "sallyport" in done.stderr, wrong


def test_the_two_questions(lab, appliance):
    """Usage by address and model; recent prompts and completions with model and tokens."""
    gate = appliance()
    client = lab.client(gate)
    openai = {"Authorization": "Bearer sk-x"}
    for source, n in ((network.CLIENT, 3), (network.OTHER_CLIENTS[0], 2)):
        for i in range(n):
            assert client.chat(AZURE, f"question {i}", source=source).status == 200
    body = chat_body("question", model="gpt-4o-mini")
    assert client.call(OPENAI, "/v1/chat/completions", body, headers=openai).status == 200
    assert client.chat(AZURE, "refused", headers={"x-test-status": "429"}).status == 429
    events = gate.wait_events(7, lambda e: e["event.kind"] == "exchange")

    def expected(ip, model):
        mine = [
            e for e in events
            if e["source.ip"] == ip and e.get("gen_ai.response.model") == model
            and e["event.outcome"] == "success"
        ]
        return [sum(e[f"gen_ai.usage.{kind}_tokens"] for e in mine) for kind in ("input", "output", "total")]

    done = gate.cli("usage", "--store", gate.store_path, "--by", "ip,model", "--json")
    rows = {(row["ip"], row["model"]): row for row in map(json.loads, done.stdout.splitlines())}
    assert len(rows) == 3
    for (ip, model), row in rows.items():
        assert [row["input_tokens"], row["output_tokens"], row["total_tokens"]] == expected(ip, model)
    assert rows[network.CLIENT, "gpt-4o-2024-11-20"]["calls"] == 3

    shown = gate.cli("events", "--store", gate.store_path, "--ip", network.OTHER_CLIENTS[0]).stdout
    assert shown.count("Answer to: question") == 2
    assert shown.index("question 1") < shown.index("question 0")  # newest first
    assert "gpt-4o-2024-11-20" in shown
