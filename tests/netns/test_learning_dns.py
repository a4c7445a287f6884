# SPDX-License-Identifier: GPL-2.0-or-later
"""Endpoints that nobody configured: learned from DNS replies, which are edited on their way."""

import contextlib
import os
import signal
import socket
import struct
import time

import pytest

from lab import network
from lab.appliance import AZURE_B, ELSEWHERE, ONLY_LEARNED
from lab.dns import A, AAAA, HTTPS, ask, ask_tcp, question, wire_name
from lab.names import Names
from lab.process import wait_for

H3, ECH = b"h3", b"\xfe\x0dECHCONFIG"
MANY, EDGE = "many.openai.azure.com", "edge.example.net"
ADDRESSES = [f"10.203.1.{i}" for i in range(1, 201)]


def service(priority):
    """The data of an HTTPS record (RFC 9460) with all that hides a call, and an address."""
    data = struct.pack("!HB", priority, 0) + struct.pack("!HH", 1, 6) + b"\2h3\2h2"
    data += struct.pack("!HH", 5, len(ECH)) + ECH
    return data + struct.pack("!HH", 6, 16) + socket.inet_pton(socket.AF_INET6, network.REGION_B6)


@pytest.fixture
def gate(appliance):
    return appliance(ONLY_LEARNED)


@pytest.fixture
def names(lab):
    """The DNS, as it was afterwards."""
    names = lab.names
    before = dict(names.zone), dict(names.records), names.ttl
    yield names
    names.zone, names.records, names.ttl = before
    names.segment, names.pause = None, 0.0


@pytest.mark.parametrize("over", [ask, ask_tcp])
def test_an_address_in_a_reply_is_an_endpoint_when_the_client_has_it(gate, client, prompt, over):
    assert network.REGION_B not in gate.endpoints()
    for kind, address, ipv6 in ((A, network.REGION_B, False), (AAAA, network.REGION_B6, True)):
        over(client, AZURE_B, kind)
        # The first connection already, with no other chance to learn it than the reply.
        assert client.chat(AZURE_B, prompt, ipv6=ipv6).status == 200
        assert gate.endpoints()[address] == "dns"
    counters = gate.counters()
    assert counters["learn.dns_held"] == counters["learn.dns"] == 2
    assert counters["learn.late"] == counters["learn.sni_reset"] == 0


def test_a_name_that_is_not_listed_teaches_nothing(gate, client):
    ask(client, ELSEWHERE, A)
    assert network.OTHER not in gate.endpoints()
    assert gate.counters()["learn.dns"] == 0


def test_more_addresses_than_one_datagram_holds(gate, client, names):
    names.set(MANY, *ADDRESSES)
    reply = ask(client, MANY, A)
    assert reply[2] & 0x02  # truncated: ask over TCP
    ask_tcp(client, MANY, A)
    assert set(ADDRESSES) <= gate.endpoints().keys()
    assert gate.counters()["learn.late"] == 0


def dropped_fragments(gate):
    """Packets that the appliance could not put together, or not take apart again."""
    text = gate.namespace.run("cat", "/proc/net/snmp", "/proc/net/snmp6").stdout
    lines = [line.split() for line in text.splitlines()]
    found = [dict(zip(names[1:], values[1:])) for names, values in zip(lines, lines[1:]) if names[0] == values[0] == "Ip:"]
    v6 = {line[0]: line[1] for line in lines if len(line) == 2}
    return int(found[0]["FragFails"]) + int(v6["Ip6FragFails"])


@pytest.mark.parametrize("server", [network.DNS, network.DNS6])
@pytest.mark.parametrize("learn", ["dns", "dns+sni"])
def test_a_reply_in_fragments(appliance, lab, names, learn, server):
    gate = appliance({"endpoints": {**ONLY_LEARNED["endpoints"], "learn": learn}})
    client = lab.client(gate)
    names.set(MANY, *ADDRESSES)
    reply = ask(client, MANY, A, room=8192, server=server)
    assert len(reply) > 3000
    assert set(ADDRESSES) <= gate.endpoints().keys()
    # One that is changed, and taken apart again.
    names.records[AZURE_B, HTTPS] = [service(priority) for priority in range(1, 61)]
    reply = ask(client, AZURE_B, HTTPS, room=8192, server=server)
    assert len(reply) > 3000
    assert H3 not in reply and ECH not in reply and reply.count(b"\2h2") == 60
    counters = gate.counters()
    assert counters["learn.dns_disarmed"] == 120
    assert counters["learn.dns_held"] == 2
    assert counters["queue.unreadable"] == counters["learn.late"] == 0
    assert dropped_fragments(gate) == 0


@pytest.mark.parametrize("over", [ask, ask_tcp])
def test_https_records_lose_what_would_hide_the_call(gate, client, names, over):
    for name, armed in ((AZURE_B, False), (ELSEWHERE, True)):
        names.records[name, HTTPS] = [service(1)]
        reply = over(client, name, HTTPS)
        assert (H3 in reply) == (ECH in reply) == armed
        assert b"\2h2" in reply
        assert len(reply) == len(question(name, HTTPS)) + 12 + len(service(1))
    assert network.REGION_B6 in gate.endpoints()  # a hint is an address
    assert gate.counters()["learn.dns_disarmed"] == 2


@pytest.mark.parametrize("segment", [10, 30, 67])
def test_https_records_over_segments_lose_it_too(gate, client, names, segment):
    names.segment, names.pause = segment, 0.02  # of which no more wait than TCP sends at first
    for name, armed in ((AZURE_B, False), (ELSEWHERE, True)):
        names.records[name, HTTPS] = [service(1)]
        reply = ask_tcp(client, name, HTTPS)
        assert (H3 in reply) == (ECH in reply) == armed
        assert b"\2h2" in reply
    counters = gate.counters()
    assert counters["learn.dns_disarmed"] == 2
    assert counters["learn.dns_spread"] == counters["learn.dns_armed"] == 0


def test_segments_wait_no_longer_than_their_deadline(appliance, lab, names):
    gate = appliance({"endpoints": {**ONLY_LEARNED["endpoints"], "hold": "100ms"}})
    names.segment, names.pause = 75, 1.0
    names.records[AZURE_B, HTTPS] = [service(1)]
    # The first segment that has records in it, and all others, late as they are.
    reply = ask_tcp(lab.client(gate), AZURE_B, HTTPS)
    assert H3 in reply and ECH in reply
    counters = gate.counters()
    assert counters["learn.dns_spread"] == counters["learn.dns_armed"] == 1
    assert counters["learn.dns_disarmed"] == 0


@pytest.mark.parametrize("priority", [0, 1])
def test_where_a_service_leads_is_followed(gate, client, names, priority):
    """In alias mode (0), and to a target with parameters of its own."""
    parameters = struct.pack("!HH", 1, 3) + b"\2h2" if priority else b""
    names.records[AZURE_B, HTTPS] = [struct.pack("!H", priority) + wire_name(EDGE) + parameters]
    names.records[EDGE, HTTPS] = [service(1)]
    names.set(EDGE, network.OTHER, network.OTHER6)
    # Our own resolver asks for the listed name, whoever has the other one.
    names.set(AZURE_B, network.REGION_B, network.REGION_B6, network.OTHER, network.OTHER6)
    assert ECH in ask(client, EDGE, HTTPS)  # anybody's name, until
    ask(client, AZURE_B, HTTPS)
    reply = ask(client, EDGE, HTTPS)
    assert H3 not in reply and ECH not in reply
    for kind, address in ((A, network.OTHER), (AAAA, network.OTHER6)):
        ask(client, EDGE, kind)
        assert gate.endpoints()[address] == "dns"
    assert gate.counters()["learn.alias"] == 1


def test_an_address_lives_as_long_as_it_is_in_the_dns(appliance, lab, names):
    gate = appliance({"endpoints": {
        **ONLY_LEARNED["endpoints"], "ttl_floor": "1s", "ttl_ceiling": "1s", "grace": "1s"}})
    client = lab.client(gate)
    names.ttl = 0  # the floor holds
    ask(client, AZURE_B, A)
    # Seen again and again it stays, over several sweeps,
    end = time.monotonic() + 12
    while time.monotonic() < end:
        assert network.REGION_B in gate.endpoints()
        ask(client, AZURE_B, A)
        time.sleep(0.3)
    assert gate.counters()["learn.dns_held"] == 1  # one and the same
    # and it is gone when it is not.
    wait_for(lambda: network.REGION_B not in gate.endpoints(), "its end")
    ask(client, AZURE_B, A)
    assert network.REGION_B in gate.endpoints()


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
        return network.REGION_B in gate.endpoints()

    wait_for(learns, "the next scout")


# --- the word of a client's own server ---

STRANGERS = [[f"10.66.{i}.{j}" for j in range(1, 60)] for i in range(24)]


@pytest.fixture
def rogue(lab):
    """A server of a client that says of many listed names that they are at many addresses."""
    server = Names(lab.network.origin, [network.OTHER])
    for i, addresses in enumerate(STRANGERS):
        server.set(f"rogue-{i}.openai.azure.com", *addresses)
    yield server
    server.close()


def ask_rogue(client, over):
    for i in range(len(STRANGERS)):
        over(client, f"rogue-{i}.openai.azure.com", A, server=network.OTHER, **({"room": 1400} if over is ask else {}))


@pytest.mark.parametrize("fail", ["open", "closed"])
@pytest.mark.parametrize("over", [ask, ask_tcp])
def test_one_client_makes_no_stranger_an_endpoint(appliance, lab, rogue, prompt, fail, over):
    gate = appliance({"endpoints": ONLY_LEARNED["endpoints"],
                      "datapath": {"max_endpoints": 1024, "fail": fail}})
    client = lab.client(gate)
    before = gate.endpoints()
    ask_rogue(client, over)
    assert gate.endpoints() == before
    counters = gate.counters()
    assert counters["learn.dns"] == 0
    assert counters["learn.unconfirmed"] + 59 * counters["learn.unasked"] >= 24 * 59
    # Who really is at a new address is learned, and inspected: also for this one, a second later.
    def learned():
        ask(client, AZURE_B, A)
        return network.REGION_B in gate.endpoints()

    wait_for(learned, "the true endpoint")
    assert client.chat(AZURE_B, prompt).status == 200
    assert gate.endpoints()[network.REGION_B] == "dns"
    gate.event(prompt)


def test_a_table_that_is_full_keeps_resolved_names_and_says_so(appliance, lab, rogue, prompt):
    """Where DNS replies are all there is, the client's word has to do, within its share."""
    gate = appliance({
        "endpoints": {**ONLY_LEARNED["endpoints"], "learn": "dns", "claims_per_source": 4096},
        "datapath": {"max_endpoints": 64}})
    client = lab.client(gate)
    resolved = {a for a, source in gate.endpoints().items() if source == "resolved"}
    assert resolved
    ask_rogue(client, ask_tcp)
    known = gate.endpoints()
    assert len(known) <= 64 and resolved <= known.keys()
    counters = gate.counters()
    assert counters["process.endpoint_forgotten"] > 0
    assert counters["learn.late"] == counters["process.endpoint_refused"] == 0
    # The address that was heard of last is there.
    ask(client, AZURE_B, A)
    assert client.chat(AZURE_B, prompt).status == 200
    gate.event(prompt)
    states = [e["datapath.state"] for e in gate.events()
              if e["event.kind"] == "datapath.state" and e["datapath.subject"] == "endpoints"]
    assert states == ["full"]


def test_a_reply_that_claims_too_much_is_not_told_where_nobody_looks_further(appliance, lab, rogue):
    gate = appliance({"endpoints": {**ONLY_LEARNED["endpoints"], "learn": "dns"}})
    client = lab.client(gate)
    with pytest.raises(TimeoutError):
        ask(client, "rogue-0.openai.azure.com", A, server=network.OTHER, room=1400, seconds=1)
    assert gate.counters()["learn.dns_refused"] >= 1
    ask(client, AZURE_B, A)
    assert network.REGION_B in gate.endpoints()
