# SPDX-License-Identifier: GPL-2.0-or-later
"""What is steered: names resolved actively and again, prefixes, and how it is accounted."""

import json
import ssl

import pytest

from lab import network
from lab.appliance import AZURE, OPENAI
from lab.client import chat_body
from lab.process import wait_for

NAMED = "named.openai.azure.com"


@pytest.fixture
def gate(lab, appliance):
    """No prefix at all: endpoints are what names resolve to, and nothing is learned from traffic."""
    lab.add_host(NAMED, network.REGION_A)
    lab.names.ttl = 1
    endpoints = {"prefixes": None, "names": [NAMED], "ttl_floor": "1s", "grace": "1s",
                 "learn": "off"}
    try:
        yield appliance({"endpoints": endpoints})
    finally:
        lab.names.ttl = 60
        lab.names.broken = False


def known(gate):
    """The addresses that are endpoints now."""
    done = gate.cli("status", "--config", gate.running_path, "--json", "--all", check=False)
    return {entry["prefix"] for entry in json.loads(done.stdout)["endpoints"]}


def intercepted(lab, gate, host, address):
    """Whether a connection to this address is answered by the appliance."""
    try:
        lab.client(gate).tls(host, address=address).close()
        return True
    except ssl.SSLCertVerificationError:
        return False


def test_a_name_becomes_an_endpoint(lab, gate, prompt):
    wait_for(lambda: network.REGION_A in known(gate), "endpoint")
    assert lab.client(gate).chat(NAMED, prompt).status == 200
    gate.event(prompt)


def test_an_exact_host_becomes_an_endpoint(lab, gate, prompt):
    lab.names.set(OPENAI, network.REGION_B, network.REGION_B6)
    try:
        wait_for(lambda: {network.REGION_B, network.REGION_B6} <= known(gate), "endpoints")
        got = lab.client(gate).call(OPENAI, "/v1/chat/completions", chat_body(prompt, model="gpt-4o"),
                                    headers={"Authorization": "Bearer sk-x"}, ipv6=True)
        assert got.status == 200
        assert gate.event(prompt)["destination.ip"] == network.REGION_B6
    finally:
        lab.names.set(OPENAI, network.REGION_A, network.REGION_A6)


def test_a_name_that_moves_is_followed(lab, gate):
    wait_for(lambda: network.REGION_A in known(gate), "endpoint")
    assert not intercepted(lab, gate, NAMED, network.REGION_B)
    lab.names.set(NAMED, network.REGION_B)
    wait_for(lambda: network.REGION_B in known(gate), "new endpoint", 30)
    assert intercepted(lab, gate, NAMED, network.REGION_B)


def test_what_left_the_dns_is_an_endpoint_no_more_after_its_grace(lab, gate):
    lab.names.set(NAMED, network.PLAIN)
    wait_for(lambda: network.PLAIN in known(gate), "endpoint", 30)
    lab.names.set(NAMED, network.REGION_B)
    wait_for(lambda: network.PLAIN not in known(gate), "end of the endpoint", 30)


def test_a_dns_that_fails_takes_nothing_away(lab, gate, prompt):
    wait_for(lambda: network.REGION_A in known(gate), "endpoint")
    client = lab.client(gate)
    assert client.chat(NAMED, prompt).status == 200
    lab.names.broken = True
    asked = lab.names.asked(NAMED)
    wait_for(lambda: lab.names.asked(NAMED) > asked + 2, "questions", 30)
    assert network.REGION_A in known(gate)
    assert client.chat(NAMED, prompt + " again").status == 200


def test_more_addresses_than_fit_a_datagram(lab, gate):
    many = [f"10.203.0.{i}" for i in range(1, 60)]
    lab.names.set(NAMED, *many)
    wait_for(lambda: set(many) <= known(gate), "all endpoints", 30)


@pytest.mark.parametrize("xdp", ["native", "generic", "off"])
def test_every_way_to_account(lab, appliance, prompt, xdp):
    gate = appliance({"datapath": {"xdp": xdp}})
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    status = json.loads(gate.cli("status", "--config", gate.running_path, "--json").stdout)
    mine = [one for one in status["sources"] if one["address"] == network.CLIENT]
    assert len(mine) == 1
    assert mine[0]["syns"] >= 1
    assert mine[0]["packets"] > 5
    assert mine[0]["bytes"] > 1000


def test_status_asks_the_kernel_and_not_the_daemon(gate):
    def inspected():
        return gate.cli("status", "--config", gate.running_path, check=False).returncode == 0

    assert inspected()
    gate.daemon.kill()
    wait_for(lambda: not inspected(), "status that says so")
