# SPDX-License-Identifier: GPL-2.0-or-later
"""Endpoints that nobody configured: learned from DNS replies, ClientHellos and QUIC."""

import contextlib
import json
import os
import signal
import socket
import ssl
import struct
import time

import pytest

from lab import network
from lab.appliance import AZURE_B, ELSEWHERE
from lab.process import wait_for
from lab.quic import initial_datagrams

A, AAAA, HTTPS = 1, 28, 65
# Nothing is an endpoint but what api.openai.com resolves to: not REGION_B.
# A machine under load is given its time.
ONLY_LEARNED = {"endpoints": {"prefixes": None, "learn": "dns+sni", "hold": "2s"}}
H3, ECH = b"h3", b"\xfe\x0dECHCONFIG"


@pytest.fixture
def prompt(request):
    return f"prompt of {request.node.name}."


@pytest.fixture
def gate(appliance):
    return appliance(ONLY_LEARNED)


@pytest.fixture
def client(lab, gate):
    return lab.client(gate)


def endpoints(gate):
    status = json.loads(gate.cli("status", "--config", gate.running_path, "--json").stdout)
    return {e["prefix"].split("/")[0]: e["source"] for e in status["endpoints"]}


def question(name, kind):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 0x4242, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def ask(client, name, kind, seconds=10):
    """The reply to a question over UDP."""
    with client.namespace.inside():
        stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with stream:
        stream.settimeout(seconds)
        stream.sendto(question(name, kind), (network.DNS, 53))
        return stream.recv(65535)


def ask_tcp(client, name, kind):
    with client.tcp(network.DNS, 53) as stream, stream.makefile("rb") as replies:
        message = question(name, kind)
        stream.sendall(struct.pack("!H", len(message)) + message)
        return replies.read(struct.unpack("!H", replies.read(2))[0])


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


# --- DNS ---


@pytest.mark.parametrize("over", [ask, ask_tcp])
def test_an_address_in_a_reply_is_an_endpoint_when_the_client_has_it(gate, client, prompt, over):
    assert network.REGION_B not in endpoints(gate)
    for kind, address, ipv6 in ((A, network.REGION_B, False), (AAAA, network.REGION_B6, True)):
        over(client, AZURE_B, kind)
        # The first connection already, with no other chance to learn it than the reply.
        assert client.chat(AZURE_B, prompt, ipv6=ipv6).status == 200
        assert endpoints(gate)[address] == "dns"
    counters = gate.counters()
    assert counters["learn.dns_held"] == counters["learn.dns"] == 2
    assert counters["learn.late"] == counters["learn.sni_reset"] == 0


def test_a_name_that_is_not_listed_teaches_nothing(gate, client):
    ask(client, ELSEWHERE, A)
    assert network.OTHER not in endpoints(gate)
    assert gate.counters()["learn.dns"] == 0


def test_more_addresses_than_one_datagram_holds(lab, gate, client):
    many = [f"10.203.1.{i}" for i in range(1, 201)]
    lab.names.set("many.openai.azure.com", *many)
    reply = ask(client, "many.openai.azure.com", A)
    assert reply[2] & 0x02  # truncated: ask over TCP
    ask_tcp(client, "many.openai.azure.com", A)
    assert set(many) <= endpoints(gate).keys()
    assert gate.counters()["learn.late"] == 0


@pytest.mark.parametrize("over", [ask, ask_tcp])
def test_https_records_lose_what_would_hide_the_call(lab, gate, client, over):
    data = b"\0\1\0" + struct.pack("!HH", 1, 6) + b"\2h3\2h2" + struct.pack("!HH", 5, len(ECH)) + ECH
    data += struct.pack("!HH", 6, 16) + socket.inet_pton(socket.AF_INET6, "fd00:203::7")
    for name, armed in ((AZURE_B, False), (ELSEWHERE, True)):
        lab.names.records[name, HTTPS] = [data]
        reply = over(client, name, HTTPS)
        assert (H3 in reply) == (ECH in reply) == armed
        assert b"\2h2" in reply
        assert len(reply) == len(question(name, HTTPS)) + 12 + len(data)
    assert "fd00:203::7" in endpoints(gate)  # a hint is an address
    assert gate.counters()["learn.dns_disarmed"] == 2


def test_a_reply_waits_no_longer_than_its_deadline(gate, client):
    gate.daemon.send(signal.SIGSTOP)
    try:
        start = time.monotonic()
        ask(client, AZURE_B, A)
        assert time.monotonic() - start >= 2  # and there was a reply
    finally:
        gate.daemon.send(signal.SIGCONT)
    wait_for(lambda: gate.counters()["learn.late"] == 1, "learn.late")


def test_dns_goes_on_without_the_scout_and_learning_comes_back(gate, client):
    scout = gate.children("scout")[0]
    os.kill(scout, signal.SIGKILL)
    # What was in its hands may be lost: resolvers ask again.
    with contextlib.suppress(TimeoutError):
        ask(client, AZURE_B, A, seconds=1)
    ask(client, AZURE_B, A)

    def learns():
        ask(client, AZURE_B, A)
        return network.REGION_B in endpoints(gate)

    wait_for(learns, "the next scout")


# --- ClientHello ---


def test_a_connection_to_an_unknown_address_is_reset_and_steered_when_tried_again(gate, client, prompt):
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.chat(AZURE_B, prompt)
    assert endpoints(gate)[network.REGION_B] == "sni"
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
    assert endpoints(gate)[network.REGION_B] == "sni"


def test_a_name_that_is_not_listed_passes(lab, gate, client):
    direct = lab.client()
    with direct.tls(ELSEWHERE):
        pass
    counters = gate.counters()
    assert counters["learn.unlisted"] == 1
    assert counters["bypass.not_listed"] == 0
    assert network.OTHER not in endpoints(gate)


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
    assert endpoints(gate)[address] == "sni"
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
        wait_for(lambda: network.REGION_B in endpoints(gate), "learning")
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
