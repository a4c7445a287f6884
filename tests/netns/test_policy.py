# SPDX-License-Identifier: GPL-2.0-or-later
"""Who may ask what: keys that are issued here, the rules of policy.yaml, and what is told of both."""

import json
import os
import re
import subprocess
import threading

import pytest

from lab.appliance import AZURE, OPENAI
from lab.client import azure_path, chat_body
from lab.network import CLIENT, REGION_A
from lab.process import wait_for

V1 = "/v1/chat/completions"

RULES = """
default: {action: allow}
groups:
  - {name: lab, sources: [%s]}
rules:
  - {name: watched, models: [gpt-4o], action: shadow}
  - name: no-o1
    models: ["o1*"]
    operations: [chat]
    groups: [lab]
    action: deny
    message: Ask for another model.
  - {name: quiet, groups: [quiet], action: allow, log: metadata}
  - {name: silent, groups: [silent], action: allow, log: none}
  - {name: kept, operations: [responses], store: true, tools: [mcp, shell], action: deny}
  - {name: big, size_above: 100KiB, action: deny}
tests:
  - {name: o1 is not for the lab, source: %s, url: "https://api.openai.com/v1/chat/completions",
     body: '{"model":"o1-mini"}', expect: deny, rule: no-o1}
""" % (CLIENT, CLIENT)


def write(gate, name, text):
    path = os.path.join(gate.directory, name)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)
    return path


def issue(gate, *words):
    """A new key."""
    return gate.cli("keys", *words, "--config", gate.config_path).stdout.strip()


def key_id(key):
    return key.split("-")[1]


def keyed(gate, *unkeyed):
    """api.openai.com is called with a key of ours, which no client has."""
    return {
        "hosts": [{"pattern": OPENAI, "provider": "openai", "backend": "b"},
                  *({"pattern": pattern, "provider": "azure"} for pattern in unkeyed)],
        "backends": [{"name": "b", "key_file": gate.secret("key", "the-service-key"), "key_header": "bearer"}],
    }


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    gate.write_config({
        "policy": {"file": write(gate, "policy.yaml", RULES), "keys_file": os.path.join(gate.directory, "keys")},
        **keyed(gate, "*.openai.azure.com"),
    })
    issue(gate, "new", "--name", "first")
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def call(client, prompt, *, model="gpt-4", headers=(), target=V1, host=OPENAI, **fields):
    return client.call(host, target, chat_body(prompt, model=model, **fields), headers=headers)


def test_a_rule_denies_in_the_dialect_of_the_client(gate, client, origin, prompt):
    got = call(client, prompt, model="o1-mini")
    assert got.status == 403 and got.header("x-should-retry") == "false"
    assert got.json()["error"] == {"message": "Ask for another model.", "type": "permission_error",
                                   "param": None, "code": "policy_denied"}
    event = gate.event(prompt)
    assert (event["event.action"], event["rule.name"]) == ("deny", "no-o1")
    assert (event["subject.found_by"], event["subject.groups"]) == ("address", "lab")
    assert event["error.type"] == "policy_denied"
    assert origin.requests() == []
    # The deployment of the path is the model: Azure's clients hear Azure's error, before the body.
    got = client.call(AZURE, azure_path("o1"), chat_body(prompt + "azure"))
    assert got.status == 403 and got.json()["error"]["code"] == "policy_denied"
    assert origin.requests() == []


def test_the_query_does_not_name_the_model(gate, client, origin, prompt):
    """The service goes by the body: what a query says of a deployment is nothing to it."""
    for query in ("deployment=gpt-4", "a=b&Deployment=gpt-4&deployment=gpt-4"):
        assert call(client, prompt + query, model="o1-mini", target=f"{V1}?{query}").status == 403
    assert origin.requests() == []
    # What the service may read otherwise than we do is read by nobody.
    for query in ("api%2Dversion=1", "api-version=2024%2D10-21", "api-version=&api-version=1"):
        assert call(client, prompt, target=f"{V1}?{query}").status == 400
    assert origin.requests() == []


def test_what_is_known_with_the_head_waits_for_no_body(gate, client):
    with client.tls(AZURE) as connection:
        connection.send(f"POST {azure_path('o1')} HTTP/1.1\r\nHost: {AZURE}\r\napi-key: k\r\n"
                        "Content-Length: 1000\r\n\r\n")
        assert connection.response().status == 403


def test_others_pass_and_a_shadow_is_told(gate, client, prompt):
    before = gate.counters()["rule.shadowed"]
    assert call(client, prompt, model="gpt-4o").status == 200
    event = gate.event(prompt)
    assert (event["event.action"], event["rule.name"], event["rule.shadow"]) == ("allow", "default", "watched")
    assert gate.counters()["rule.shadowed"] == before + 1


@pytest.mark.parametrize("fields, denied", [
    ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, True),
    ({"tools": [{"type": "mcp"}], "store": False}, False),
    ({"tools": [{"type": "web_search"}]}, False),
    ({"tools": [{"type": "function", "name": "f"}, {"type": "shell"}], "store": True}, True),
    ({"prompt": {"id": "pmpt_1"}}, True),  # its tools are known to the service alone
    ({"prompt": {"id": "pmpt_1"}, "store": False}, False),
])
def test_what_responses_may_use(gate, client, fields, denied):
    got = client.call(OPENAI, "/v1/responses", json.dumps({"model": "gpt-4", "input": "x", **fields}))
    assert (got.status == 403) == denied, got


def test_nothing_is_known_of_what_is_not_read(gate, client, prompt):
    """A model that is denied is not passed in a body that nobody reads."""
    got = client.call(AZURE, "/openai/v1/chat/completions", "{}" + prompt)
    assert got.status == 400  # http.unreadable
    got = client.call(OPENAI, "/v1/audio/transcriptions", prompt, headers={"Content-Type": "multipart/form-data"})
    assert got.status != 403  # no-o1 is of chat


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_denied_before_its_end_goes_on(gate, client, origin, prompt, chunked):
    """It streams to the origin meanwhile, which never gets the whole of it."""
    with client.tls(OPENAI) as connection:
        body = chat_body(prompt + "x" * 300_000, model="gpt-4")
        try:
            connection.request("POST", V1, OPENAI, {"x-test-id": "large"}, body, chunked=chunked)
        except OSError:
            pass
        assert connection.response().status == 403
    event = gate.wait_for_events(lambda events: events, lambda event: event.get("rule.name") == "big")[-1]
    assert event["event.action"] == "deny"
    assert all(request.body != body.encode() for request in origin.requests())


def test_the_model_at_the_end_of_a_long_body(gate, client, origin, prompt):
    """The body has gone on before its model was read: the last of it does not."""
    body = json.dumps({"messages": [{"role": "user", "content": prompt + "x" * 90_000}], "model": "o1"})
    got = client.call(OPENAI, V1, body, headers={"x-test-id": "large"})
    assert got.status == 403
    assert all(request.body != body.encode() for request in origin.requests())


# Each beside a credential of the client's own, for the origin.
PRESENTED = {
    "api-key": lambda key: ({"api-key": key, "Authorization": "Bearer own"}, ""),
    "bearer": lambda key: ({"Authorization": f"bearer  {key}", "api-key": "own"}, ""),
    "apim": lambda key: ({"Ocp-Apim-Subscription-Key": key, "api-key": "own"}, ""),
    "query": lambda key: ({"api-key": "own"}, f"&subscription-key={key}&x=1"),
}


@pytest.mark.parametrize("how", PRESENTED)
def test_a_key_is_taken_and_goes_no_further(gate, client, origin, prompt, how):
    key = issue(gate, "new", "--name", "ana@example", "--group", "dev", "--group", "ops")
    headers, query = PRESENTED[how](key)
    got = client.call(AZURE, azure_path() + query, chat_body(prompt), headers={**headers, "x-test-id": how})
    assert got.status == 200, got
    event = gate.event(prompt)
    assert (event["subject.found_by"], event["subject.name"]) == ("key", "ana@example")
    assert (event["subject.key_id"], event["subject.groups"]) == (key_id(key), "dev,ops,lab")
    assert event["subject.credential"] == "issued"
    assert key not in json.dumps(event)
    sent = origin.request(how)
    assert key not in json.dumps(sent.headers) and key not in sent.target and "own" in json.dumps(sent.headers)
    assert not query or sent.target.endswith("&x=1")


def refused(client, prompt, key):
    got = call(client, prompt, headers={"api-key": key})
    assert got.status in (200, 401), got
    return got.status == 401


def test_keys_that_are_none(gate, client, origin, prompt):
    key = issue(gate, "new", "--name", "ana")
    other = issue(gate, "new", "--name", "ben")
    wrong = key[:-1] + ("a" if key[-1] != "a" else "b")
    unknown = "sp-" + "a" * 12 + "-" + "a" * 40
    for n, bad in enumerate([wrong, unknown, key[:17] + other[17:], key[:3] + key_id(other) + key[15:]]):
        assert refused(client, f"{prompt}{n}", bad), bad
    got = call(client, prompt + "both", headers={"api-key": key, "Authorization": "Bearer " + other})
    assert got.status == 401 and "not the only one" in got.json()["error"]["message"]
    # What does not look like a key of ours is somebody else's.
    for n, foreign in enumerate([key + "x", key[:-1], "sk-" + key, "SP" + key[2:]]):
        assert not refused(client, f"{prompt}foreign{n}", foreign), foreign
    events = gate.wait_for_events(lambda events: len(events) >= 2,
                                  lambda event: event.get("subject.credential") in ("wrong", "unknown"))
    assert {event["error.type"] for event in events} == {"invalid_subscription_key"}
    assert key not in json.dumps(gate.events()) and wrong not in json.dumps(gate.events())


def test_revoked_rotated_and_expired(gate, client, prompt):
    """At once, and also on a connection that was open before."""
    key = issue(gate, "new", "--name", "ana")
    with client.tls(OPENAI) as connection:
        def works(n, which, **on):
            got = client.call(OPENAI, V1, chat_body(f"{prompt}{n}"), headers={"api-key": which}, **on)
            return got.status == 200

        assert works(1, key, connection=connection)
        after = issue(gate, "rotate", key_id(key))
        assert works(2, after) and not works(3, key, connection=connection)
    third = issue(gate, "rotate", key_id(after), "--overlap", "1d")
    assert works(4, after) and works(5, third)
    issue(gate, "revoke", key_id(third))
    assert not works(6, third) and works(7, after)
    listed = gate.cli("keys", "list", "--config", gate.config_path).stdout
    assert re.search(rf"{key_id(third)} +revoked", listed)
    assert re.search(rf"{key_id(key)} +expired", listed)
    assert key[16:] not in listed
    for verb, ended in (("rotate", key), ("rotate", third)):  # what follows would have ended as well
        assert gate.cli("keys", verb, key_id(ended), "--config", gate.config_path, check=False).returncode == 1
    assert gate.cli("keys", "revoke", key_id(third), "--config", gate.config_path, check=False).returncode == 1


def test_what_is_kept_of_keys_makes_none(gate):
    key = issue(gate, "new", "--name", "ana")
    path = gate.config["policy"]["keys_file"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="ascii") as file:
        text = file.read()
    assert key_id(key) in text and key[16:] not in text


@pytest.mark.parametrize("damage", [lambda text: text[: len(text) // 2], lambda text: text.rsplit("\n", 2)[0],
                                    lambda text: text.replace(" ana", " eva", 1), lambda text: ""],
                         ids=["half", "no-end", "changed", "empty"])
def test_a_damaged_file_of_keys_changes_nothing(gate, client, prompt, damage):
    key = issue(gate, "new", "--name", "ana")
    path = gate.config["policy"]["keys_file"]
    with open(path, encoding="ascii") as file:
        whole = file.read()
    before = gate.counters()["keys.refused"]
    mode = lambda p, flags: os.open(p, flags, 0o600)  # noqa: E731
    with open(path + ".bad", "w", encoding="ascii", opener=mode) as file:
        file.write(damage(whole))
    os.rename(path + ".bad", path)
    wait_for(lambda: gate.counters()["keys.refused"] > before, "the refusal")
    assert not refused(client, prompt, key)
    assert "restore" in gate.cli("keys", "list", "--config", gate.config_path, check=False).stderr
    assert gate.cli("check", gate.config_path, check=False).returncode == 1
    loaded = gate.counters()["keys.loaded"]
    with open(path + ".good", "w", encoding="ascii", opener=mode) as file:
        file.write(whole)
    os.rename(path + ".good", path)
    wait_for(lambda: gate.counters()["keys.loaded"] > loaded, "the keys of before")


def test_what_is_recorded_is_said_by_the_rule(gate, client, prompt):
    quiet = issue(gate, "new", "--name", "quiet", "--group", "quiet")
    silent = issue(gate, "new", "--name", "silent", "--group", "silent")
    before = gate.counters()["rule.unrecorded"]
    assert call(client, prompt, headers={"api-key": silent}).status == 200
    assert call(client, prompt, headers={"api-key": quiet}).status == 200
    event = gate.wait_events(1, lambda event: event.get("subject.name") == "quiet")[0]
    assert event["rule.name"] == "quiet" and event["gen_ai.usage.total_tokens"]
    assert prompt not in json.dumps(event) and "Answer to" not in json.dumps(event)
    assert gate.counters()["rule.unrecorded"] == before + 1
    assert not [event for event in gate.events() if event.get("subject.name") == "silent"]
    gate.assert_no_gaps()


def test_a_call_that_is_left_undecided_shows_no_content(gate, client, prompt):
    quiet = issue(gate, "new", "--name", "leaves", "--group", "quiet")
    with client.tls(OPENAI) as connection:
        body = chat_body(prompt)
        connection.send(f"POST {V1} HTTP/1.1\r\nHost: {OPENAI}\r\napi-key: {quiet}\r\n"
                        f"Content-Length: {len(body) + 100}\r\n\r\n" + body)
        connection.reset()
    event = gate.wait_events(1, lambda event: event.get("subject.name") == "leaves")[0]
    assert "rule.name" not in event and prompt not in json.dumps(event)


def test_the_subject_stands_in_every_event(gate, lab, client, prompt):
    """Also of what never came to a rule: a request that is refused, a connection that is not ours to read,
    a client that does not trust us."""
    key = issue(gate, "new", "--name", "upgrader", "--group", "dev")
    got = client.call(OPENAI, "/v1/realtime", method="GET",
                      headers={"Connection": "upgrade", "Upgrade": "h2c", "api-key": key})
    assert got.status == 501
    event = gate.wait_events(1, lambda event: event.get("subject.name") == "upgrader")[0]
    assert event["subject.groups"] == "dev,lab" and event["error.type"] == "upgrade_refused"
    with client.tls(OPENAI) as connection:
        connection.send("GARBAGE\r\n\r\n")
        assert connection.response().status == 400
    event = gate.wait_events(1, lambda event: event.get("http.response.status_code") == 400
                             and event["event.kind"] == "exchange" and "url.path" not in event)[0]
    assert (event["subject.found_by"], event["subject.groups"]) == ("address", "lab")
    stranger = lab.client(gate)
    stranger.ca = lab.certificates.root_path
    with pytest.raises(OSError):
        stranger.tls(OPENAI).close()
    event = gate.wait_for_events(lambda events: events, lambda event: event["event.kind"] == "handshake")[0]
    assert event["subject.groups"] == "lab"
    with client.tcp(REGION_A) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        event = gate.wait_for_events(lambda events: events, lambda event: event["event.kind"] == "bypass")[0]
    assert (event["subject.found_by"], event["subject.groups"]) == ("address", "lab")


def test_explain_says_why(gate, tmp_path):
    body = tmp_path / "body"
    body.write_text('{"model":"o1-mini","messages":[]}')
    key = issue(gate, "new", "--name", "quiet", "--group", "quiet")

    def explain(*words):
        return gate.cli("explain", "--config", gate.config_path, "--url", f"https://{OPENAI}{V1}", *words).stdout

    told = explain("--source", CLIENT, "--request", str(body))
    assert "rule: no-o1" in told and "verdict: deny" in told and "models        o1-mini: fits" in told
    assert "verdict: allow" in explain("--source", "192.0.2.1", "--request", str(body))
    told = explain("--source", "192.0.2.1", "--key", key_id(key), "--all")
    assert "rule: quiet" in told and "log: metadata" in told and "before: no-o1" in told
    assert gate.cli("explain", "--source", CLIENT, "--url", "https://www.example.org/", "--config",
                    gate.config_path, check=False).returncode == 1


def test_check_asks_the_tests_of_the_policy(gate):
    path = gate.config["policy"]["file"]
    assert gate.cli("check", gate.config_path).returncode == 0
    write(gate, "policy.yaml", RULES.replace("expect: deny, rule: no-o1", "expect: allow"))
    done = gate.cli("check", "--text-only", gate.config_path, check=False)
    assert done.returncode == 1
    assert re.search(re.escape(path) + r":\d+: tests\[0\]: .*expected allow, found deny by no-o1", done.stderr)
    write(gate, "policy.yaml", RULES)


BAD = """
rules:
  - {name: a, action: refuse}
  - {name: b, action: deny, models: ["*a*"], hours: "8-18"}
  - {name: b, modelz: [x], action: deny}
"""


def test_a_bad_policy_never_replaces_a_good_one(gate, client, prompt):
    write(gate, "policy.yaml", BAD)
    done = gate.cli("check", gate.config_path, check=False)
    for line, key in ((3, "rules[0].action"), (4, "rules[1].models[0]"), (4, "rules[1].hours"), (5, "modelz")):
        assert re.search(rf"policy.yaml:{line}: .*{re.escape(key)}", done.stderr), done.stderr
    before = gate.counters()["reload.refused"]
    gate.reload()
    assert gate.counters()["reload.refused"] == before + 1
    assert "policy.yaml:5:" in gate.daemon.log()
    assert call(client, prompt, model="o1").status == 403
    write(gate, "policy.yaml", RULES)
    gate.reload()


def test_calls_in_flight_keep_the_policy_they_began_with(gate, client, origin, prompt):
    """While calls come all the time, the policy changes back and forth: each is decided by one of both,
    none fails otherwise; one whose body comes slowly goes by the policy of its beginning."""
    other = RULES.replace('models: ["o1*"]', 'models: ["o3*"]')
    done, results = threading.Event(), []

    def caller(i):
        while not done.is_set():
            results.append(call(client, f"{prompt}{i}", model="o1").status)

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    with client.tls(OPENAI) as slow:
        body = chat_body(prompt + "slow", model="o1")
        slow.send(f"POST {V1} HTTP/1.1\r\nHost: {OPENAI}\r\nContent-Length: {len(body)}\r\n\r\n" + body[:20])
        gate.wait_for_events(lambda events: events, lambda event: event.get("error.type") == "policy_denied")
        try:
            for text in (other, RULES, other):
                write(gate, "policy.yaml", text)
                gate.reload()
        finally:
            done.set()
            for thread in threads:
                thread.join()
        slow.send(body[20:])
        assert slow.response().status == 403
    assert set(results) == {200, 403}
    write(gate, "policy.yaml", RULES)
    gate.reload()
