# SPDX-License-Identifier: GPL-2.0-or-later
"""Service keys in clients' hands, and many rules and keys; each with an appliance of its own."""

import os

from lab.appliance import OPENAI
from test_policy import call, issue, keyed, write


def test_who_presents_a_service_key_is_flagged(lab, appliance, prompt):
    gate = appliance(start=False)
    rules = 'rules: [{name: leaked, credentials: [service], action: deny, message: "Never use that key."}]'
    gate.write_config({**keyed(gate), "policy": {"file": write(gate, "policy.yaml", rules)}})
    gate.start()
    client = lab.client(gate)
    assert call(client, prompt).status == 200
    got = call(client, prompt + "leaked", headers={"Authorization": "Bearer the-service-key"})
    assert got.status == 403 and got.json()["error"]["message"] == "Never use that key."
    event = gate.wait_events(1, lambda event: event.get("rule.name") == "leaked")[0]
    assert event["subject.credential"] == "service" and event["event.action"] == "deny"
    assert gate.counters()["key.service"] == 1
    assert "rotate it" in gate.daemon.log() and "the-service-key" not in gate.daemon.log()
    gate.stop()


def test_many_rules_and_many_keys(lab, appliance, prompt):
    """Thousands of rules and ten thousand keys are loaded, and each is found."""
    gate = appliance(start=False)
    rules = "rules:\n" + "".join(f"- {{name: r{i}, models: [m{i}], groups: [g{i}], action: deny}}\n"
                                 for i in range(4096))
    keys = os.path.join(gate.directory, "keys")
    gate.write_config({**keyed(gate), "policy": {"file": write(gate, "policy.yaml", rules), "keys_file": keys}})
    key = issue(gate, "new", "--name", "ana", "--group", "g4095")
    with open(keys, encoding="ascii") as file:
        lines = file.read().splitlines()
    letters = "abcdefghijkmnpqrstuvwxyz23456789"
    for i in range(10_000):
        name = "".join(letters[i >> shift & 31] for shift in range(0, 60, 5))
        lines.insert(2, f"{name} {'0' * 64} 1 0 0 k{i} -")
    text = "\n".join(lines[:-1]) + "\n"
    with open(keys, "w", encoding="ascii") as file:
        file.write(f"{text}end 10001 {crc32c(text.encode()):08x}\n")
    gate.start()
    client = lab.client(gate)
    assert call(client, prompt, model="m4095", headers={"api-key": key}).status == 403
    assert call(client, prompt + "other", model="m4094", headers={"api-key": key}).status == 200
    assert gate.event(prompt + "other")["subject.name"] == "ana"
    gate.stop()


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
