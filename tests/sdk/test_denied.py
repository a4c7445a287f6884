# SPDX-License-Identifier: GPL-2.0-or-later
"""What the official client makes of a policy: it says who denied the call and why, and tries once."""

import json
import os

import pytest

from lab.appliance import AZURE, OPENAI

HERE = os.path.dirname(os.path.abspath(__file__))
HOSTS = [("azure", AZURE), ("azure-v1", AZURE), ("openai", OPENAI)]


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    rules = os.path.join(gate.directory, "policy.yaml")
    with open(rules, "w", encoding="utf-8") as file:
        file.write('rules: [{name: no, models: [gpt-4o], action: deny, message: "Ask for another model."}]')
    gate.write_config({"policy": {"file": rules, "keys_file": os.path.join(gate.directory, "keys")}})
    gate.cli("keys", "new", "--name", "ana", "--config", gate.config_path)
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


@pytest.fixture
def sdk(lab, gate):
    def run(dialect, host, **more):
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": gate.ca_path, **more}
        done = lab.network.client.run("node", os.path.join(HERE, "chat.mjs"), dialect, host, "denied",
                                      env=environment)
        return json.loads(done.stdout)

    return run


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_a_denied_call_is_an_error_that_people_can_read(sdk, gate, dialect, host):
    before = gate.counters()["rule.denied"]
    got = sdk(dialect, host)
    assert (got["name"], got["status"], got["code"]) == ("PermissionDeniedError", 403, "policy_denied")
    assert "Ask for another model." in got["message"]
    assert gate.counters()["rule.denied"] == before + 1


@pytest.mark.parametrize("dialect, host", HOSTS)
def test_a_key_that_is_none_is_an_authentication_error(sdk, gate, dialect, host):
    before = gate.counters()["key.rejected"]
    got = sdk(dialect, host, SDK_KEY="sp-" + "a" * 12 + "-" + "b" * 40)
    assert (got["name"], got["status"]) == ("AuthenticationError", 401)
    assert "invalid subscription key" in got["message"]
    assert gate.counters()["key.rejected"] == before + 1
