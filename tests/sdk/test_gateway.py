# SPDX-License-Identifier: GPL-2.0-or-later
"""The official client whose base_url (endpoint) is the appliance itself, with a key that is issued here."""

import json
import os

import pytest

from lab import network
from lab.regions import KEY, Regions
from test_policy import issue

HERE = os.path.dirname(os.path.abspath(__file__))
NAME = "ai.contoso.example"


@pytest.fixture(scope="module")
def regions(lab):
    lab.names.set(NAME, network.INSIDE)
    with Regions(lab, "sdk-gateway-") as made:
        yield made


@pytest.fixture(scope="module")
def gate(lab, regions):
    gate = lab.appliance()
    gate.write_config({
        **regions.config(gate, of=("east", "west"), west={"priority": 2}),
        "policy": {"keys_file": f"{gate.directory}/keys"},
        "gateway": {"listen": [network.INSIDE], "name": NAME, "pool": "chat"},
    })
    gate.key = issue(gate, "new", "--name", "ana")
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def sdk(lab, gate, dialect, call, key):
    environment = {**os.environ, "NODE_EXTRA_CA_CERTS": gate.ca_path, "SDK_KEY": key}
    done = lab.network.client.run("node", os.path.join(HERE, "chat.mjs"), dialect, NAME, call, env=environment)
    return json.loads(done.stdout)


@pytest.mark.parametrize("dialect", ["azure", "azure-v1", "openai"])
@pytest.mark.parametrize("call", ["chat", "stream"])
def test_a_call(lab, regions, gate, dialect, call):
    regions.east.meets(status=503)  # it shares the pool's other backend
    try:
        assert sdk(lab, gate, dialect, call, gate.key)["text"] == f"Answer to: sdk {dialect} {call}. t1 t2 t3 t4"
    finally:
        regions.east.meets()
    assert regions.west.origin.requests()[-1].key == KEY + "west"
    event = gate.event(f"sdk {dialect} {call}")
    assert event["subject.name"] == "ana" and event["tls.server_name"] == NAME


def test_without_a_key_that_is_issued_here(lab, gate):
    got = sdk(lab, gate, "azure-v1", "denied", "sk-another")
    assert (got["name"], got["status"]) == ("AuthenticationError", 401)
