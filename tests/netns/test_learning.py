# SPDX-License-Identifier: GPL-2.0-or-later
"""Endpoints that nobody configured: learned from ClientHellos and QUIC."""

import socket
import ssl
import time

import pytest

from lab import network
from lab.appliance import AZURE_B, ELSEWHERE, ONLY_LEARNED, UNLISTED
from lab.dns import A, ask
from lab.process import wait_for
from lab.quic import initial_datagrams


@pytest.fixture
def prompt(request):
    return f"prompt of {request.node.name}."


@pytest.fixture
def gate(appliance):
    return appliance(ONLY_LEARNED)


@pytest.fixture
def client(lab, gate):
    return lab.client(gate)


def datagrams_to(client, address, datagrams):
    """Sends them one after the other; returns whether they were refused."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with client.namespace.inside():
        stream = socket.socket(family, socket.SOCK_DGRAM)
    with stream:
        stream.settimeout(0.5)
        stream.connect((address, 443))
        try:
            for datagram in datagrams:
                stream.send(datagram)
            stream.recv(1)
        except ConnectionRefusedError:
            return True
        except TimeoutError:
            return False
        return False


# --- ClientHello ---


def test_a_connection_to_an_unknown_address_is_reset_and_steered_when_tried_again(gate, client, prompt):
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.chat(AZURE_B, prompt)
    assert gate.endpoints()[network.REGION_B] == "sni"
    assert client.chat(AZURE_B, prompt).status == 200
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.chat(AZURE_B, prompt, ipv6=True)
    assert client.chat(AZURE_B, prompt, ipv6=True).status == 200
    counters = gate.counters()
    assert counters["learn.sni"] == counters["learn.sni_reset"] == 2
    assert counters["learn.unsteered"] == 0


def test_a_hello_in_many_segments(gate, client):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.context().wrap_bio(incoming, outgoing, server_hostname=AZURE_B)
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = outgoing.read()
    with client.tcp(network.REGION_B) as stream:
        for at in range(0, len(hello), 100):
            stream.sendall(hello[at : at + 100])
            time.sleep(0.01)
        with pytest.raises(ConnectionResetError):
            stream.recv(1)
    assert gate.endpoints()[network.REGION_B] == "sni"


def test_a_name_that_is_not_listed_passes(lab, gate, client):
    direct = lab.client()
    with direct.tls(ELSEWHERE):
        pass
    counters = gate.counters()
    assert counters["learn.unlisted"] == 1
    assert counters["bypass.not_listed"] == 0
    assert network.OTHER not in gate.endpoints()


@pytest.mark.parametrize("policy", ["pass", "reset", "deny"])
def test_a_connection_without_a_name(lab, appliance, policy):
    gate = appliance({"endpoints": {**ONLY_LEARNED["endpoints"], "no_sni": policy}})
    direct = lab.client()
    context = direct.context(verify=False)
    stream = direct.tcp(network.OTHER)
    stream.settimeout(1)
    with stream:
        if policy == "pass":
            context.wrap_socket(stream).close()
        else:
            with pytest.raises(ConnectionResetError if policy == "reset" else TimeoutError):
                context.wrap_socket(stream)
    name = "policy.no_sni_passed" if policy == "pass" else "policy.no_sni_refused"
    assert gate.counters()[name] >= 1


# --- QUIC ---


@pytest.mark.parametrize("version, pieces, address", [
    (1, 1, network.REGION_B), (2, 1, network.REGION_B), (1, 2, network.REGION_B), (1, 1, network.REGION_B6),
])
def test_quic_to_a_listed_host_is_refused_and_teaches(
        lab, gate, client, prompt, version, pieces, address):
    # So that it is not the origin that refuses.
    with lab.network.origin.inside():
        server = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind((address, 443))
        refused_and_taught(gate, client, prompt, version, pieces, address)


def refused_and_taught(gate, client, prompt, version, pieces, address):
    assert datagrams_to(client, address, initial_datagrams(AZURE_B, version, pieces))
    assert gate.endpoints()[address] == "sni"
    assert gate.counters()["learn.quic"] == 1
    assert client.chat(AZURE_B, prompt, ipv6=":" in address).status == 200
    # Now whatever goes there by UDP is refused, without a look.
    assert datagrams_to(client, address, [b"\x40 something else"])


def test_quic_to_another_host_passes(lab, gate, client):
    with lab.network.origin.inside():
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with server:
        server.bind((network.OTHER, 443))
        server.settimeout(5)
        sent = initial_datagrams(ELSEWHERE)
        assert not datagrams_to(client, network.OTHER, sent)
        assert server.recv(65535) == sent[0]
    assert gate.counters()["learn.unlisted"] == 1


# --- modes ---


def test_off_adds_no_rule_and_keeps_no_capability(lab, appliance):
    gate = appliance({"endpoints": {"learn": "off"}})
    tables = lab.network.appliance.run("nft", "list", "tables").stdout
    assert "sallyport" not in tables
    with open(f"/proc/{gate.children('scout')[0]}/status", encoding="ascii") as file:
        assert "CapEff:\t0000000000000000" in file.read()


def test_rules_come_and_go_beside_those_of_others(lab, appliance):
    run = lab.network.appliance.run
    run("nft", "add table ip others; add chain ip others c { type filter hook forward priority 0; }")
    try:
        gate = appliance(ONLY_LEARNED)
        assert run("nft", "list", "tables").stdout.count("sallyport_inside") == 2
        gate.config["endpoints"]["learn"] = "off"
        gate.write_config()
        gate.reload()
        wait_for(lambda: "sallyport" not in run("nft", "list", "tables").stdout, "the rules' end")
        gate.config["endpoints"]["learn"] = "dns"
        gate.write_config()
        gate.reload()
        wait_for(lambda: "sallyport" in run("nft", "list", "tables").stdout, "the rules' return")
        ask(lab.client(gate), AZURE_B, A)
        wait_for(lambda: network.REGION_B in gate.endpoints(), "learning")
        gate.stop()
        assert run("nft", "list", "tables").stdout.split() == ["table", "ip", "others"]
    finally:
        run("nft", "delete table ip others")


def test_steer_all_shows_every_connection_to_the_workers(lab, appliance, prompt):
    gate = appliance({"endpoints": {"prefixes": None, "steer": "all", "learn": "off"}})
    assert lab.client(gate).chat(AZURE_B, prompt).status == 200
    with lab.client().tls(ELSEWHERE):
        pass
    wait_for(lambda: gate.counters()["bypass.not_listed"] == 1, "the splice")
