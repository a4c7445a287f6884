# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that hide whom they are for, or are for nobody on the list: endpoints.no_sni, .ech,
.encrypted_dns; and where endpoints are, .unlisted, .invalid and .not_tls."""

import contextlib
import socket
import ssl

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B, ELSEWHERE, ONLY_LEARNED, UNLISTED
from lab.quic import client_hello, initial_datagrams, record, send_datagrams, with_ech, with_name
from lab.stranger import answering, listening

POLICIES = pytest.mark.parametrize("policy", ["pass", "reset", "deny"])
FAMILIES = pytest.mark.parametrize("address", [network.OTHER, network.OTHER6])
RESOLVER = "dns.google"
RESOLVERS = {4: "8.8.8.8", 6: "2001:4860:4860::8888"}


@pytest.fixture
def gate(appliance):
    def make(key, policy):
        return appliance({"endpoints": {**ONLY_LEARNED["endpoints"], key: policy}})

    return make


def outcome(lab, address, first, port=443):
    """What becomes of a TCP connection that begins with these bytes: as the policies are named."""
    client = lab.client()
    try:
        with client.tcp(address, port) as stream:
            stream.settimeout(1)
            stream.sendall(first)
            return "pass" if stream.recv(1) else "closed"
    except (ConnectionResetError, ConnectionRefusedError):
        return "reset"
    except TimeoutError:
        return "deny"


def outcome_datagrams(lab, address, datagrams, port=443):
    """The same of UDP; somebody waits for it."""
    with listening(lab, address, port, 0.1) as server:
        if send_datagrams(lab.client(), address, datagrams, port):
            return "reset"
        try:
            return "pass" if server.recv(65535) == datagrams[0] else "changed"
        except TimeoutError:
            return "deny"


def assert_counted(gate, key, policy, n=1):
    counters = gate.counters()
    refused = policy != "pass"
    assert counters[f"policy.{key}_refused"] == (n if refused else 0)
    assert counters[f"policy.{key}_passed"] == (0 if refused else n)
    for other in {"no_sni", "ech", "encrypted_dns"} - {key}:
        assert counters[f"policy.{other}_refused"] == counters[f"policy.{other}_passed"] == 0


@contextlib.contextmanager
def another(lab, address):
    """An address of the origin's for as long as the test."""
    origin, appliance = lab.network.origin, lab.network.appliance
    ipv6 = ":" in address
    origin.ip("addr", "add", f"{address}/{128 if ipv6 else 32}", "dev", "eth0", *["nodad"] * ipv6)
    appliance.ip("route", "add", address, "dev", network.OUTSIDE_INTERFACE)
    try:
        yield
    finally:
        appliance.ip("route", "del", address)
        origin.ip("addr", "del", f"{address}/{128 if ipv6 else 32}", "dev", "eth0")


# --- no name ---


def without_name():
    return record(client_hello(None))


@POLICIES
@FAMILIES
def test_a_connection_without_a_name(lab, gate, policy, address):
    one = gate("no_sni", policy)
    assert outcome(lab, address, without_name()) == policy
    assert_counted(one, "no_sni", policy)


# --- ECH ---


@POLICIES
@FAMILIES
def test_a_connection_whose_name_may_be_a_cover(lab, gate, policy, address):
    one = gate("ech", policy)
    assert outcome(lab, address, record(with_ech(client_hello(ELSEWHERE)))) == policy
    assert_counted(one, "ech", policy)
    # The same without it is nobody's business.
    assert outcome(lab, address, record(client_hello(ELSEWHERE))) == "pass"
    assert one.counters()["learn.unlisted"] == 1


@POLICIES
@FAMILIES
def test_quic_whose_name_may_be_a_cover(lab, gate, policy, address):
    one = gate("ech", policy)
    datagrams = initial_datagrams(ELSEWHERE, hello=with_ech(client_hello(ELSEWHERE)))
    assert outcome_datagrams(lab, address, datagrams) == policy
    assert_counted(one, "ech", policy)


# --- encrypted DNS ---


@POLICIES
@FAMILIES
def test_dns_over_tls(lab, gate, policy, address):
    one = gate("encrypted_dns", policy)
    with answering(lab, address, 853):
        if policy == "deny":
            # Not even its SYN arrives.
            with pytest.raises(TimeoutError), lab.network.client.inside():
                socket.create_connection((address, 853), timeout=0.8)
        else:
            assert outcome(lab, address, record(client_hello(ELSEWHERE)), port=853) == policy
    assert_counted(one, "encrypted_dns", policy)


@POLICIES
@FAMILIES
def test_dns_over_quic(lab, gate, policy, address):
    one = gate("encrypted_dns", policy)
    assert outcome_datagrams(lab, address, [b"\xc3"], port=853) == policy
    assert_counted(one, "encrypted_dns", policy)


@POLICIES
@FAMILIES
def test_dns_over_https_by_its_name(lab, gate, policy, address):
    one = gate("encrypted_dns", policy)
    assert outcome(lab, address, record(client_hello(RESOLVER))) == policy
    assert_counted(one, "encrypted_dns", policy)
    assert outcome(lab, address, record(client_hello("not-" + RESOLVER))) == "pass"


@POLICIES
@FAMILIES
def test_dns_over_http3_by_its_name(lab, gate, policy, address):
    one = gate("encrypted_dns", policy)
    assert outcome_datagrams(lab, address, initial_datagrams(RESOLVER)) == policy
    assert_counted(one, "encrypted_dns", policy)


@POLICIES
@pytest.mark.parametrize("family", [4, 6])
def test_dns_over_https_by_its_address(lab, gate, policy, family):
    one = gate("encrypted_dns", policy)
    with another(lab, RESOLVERS[family]), answering(lab, RESOLVERS[family], 443):
        assert outcome(lab, RESOLVERS[family], record(client_hello(ELSEWHERE))) == policy
    assert_counted(one, "encrypted_dns", policy)


# --- at endpoints ---

# What ends as listed names do, and is none; and what is no host name at all.
NEARLY_LISTED = ["my_res.openai.azure.com", "a.b.openai.azure.com", "*.openai.azure.com",
                 "MY_RES.openai.azure.com", "-.openai.azure.com"]
NO_NAMES = [network.REGION_A, network.REGION_A6, "some_name.example.org", "a\0.example.org"]


def named(name):
    return record(with_name(name))


KINDS = {  # how a connection begins, and the name that is told of it
    "unlisted": (record(client_hello(UNLISTED)), UNLISTED),
    "no_sni": (without_name(), None),
    "invalid": (named(NEARLY_LISTED[0]), NEARLY_LISTED[0]),
    "ech": (record(with_ech(client_hello(UNLISTED))), UNLISTED),
    "encrypted_dns": (record(client_hello(RESOLVER)), RESOLVER),
    "not_tls": (b"HELO nobody\r\n", None),
}


def bypasses(gate):
    return [event for event in gate.events() if event["event.kind"] == "bypass"]


@POLICIES
def test_connections_to_endpoints_that_name_no_listed_host(lab, appliance, policy):
    # Of an unlisted name there is no silent end.
    policies = {kind: policy for kind in KINDS} | ({"unlisted": "reset"} if policy == "deny" else {})
    gate = appliance({"endpoints": policies})
    for address in (network.REGION_A, network.REGION_A6):
        for kind, (first, _) in KINDS.items():
            found = outcome(lab, address, first)
            # What is no TLS is ended by the origin, which so has heard of it.
            assert found == policies[kind] or (kind, policy) == ("not_tls", "pass"), kind
    events = gate.wait_events(2 * len(KINDS), lambda event: event["event.kind"] == "bypass")
    for event in events:
        assert event["event.action"] == ("bypass" if policy == "pass" else "deny")
        assert event["source.ip"] in (network.CLIENT, network.CLIENT6)
        assert event["destination.port"] == 443
    assert sorted((e["destination.ip"], e["bypass.reason"], e.get("tls.server_name", "")) for e in events) == sorted(
        (address, kind, name or "")
        for address in (network.REGION_A, network.REGION_A6) for kind, (_, name) in KINDS.items())
    counters = gate.counters()
    for kind in KINDS:
        spliced = "not_listed" if kind == "unlisted" else kind
        assert counters[f"bypass.{spliced}"] == (2 if policy == "pass" else 0), kind
        assert counters[f"refused.{kind}"] == (0 if policy == "pass" else 2), kind


PINNING = network.OTHER_CLIENTS[0]


@pytest.mark.parametrize("ech", ["pass", "reset"])
def test_calls_of_exempt_sources_pass_and_are_told(lab, appliance, origin, prompt, ech):
    # Given sources whose clients pin the certificate of one service: they trust no other
    exempt = [PINNING + "/32", network.CLIENT6 + "/128"]
    gate = appliance({
        "endpoints": {"ech": ech},
        "hosts": [{"pattern": AZURE, "provider": "azure", "exempt_sources": exempt},
                  {"pattern": "*.openai.azure.com", "provider": "azure"}],
    })
    pinning = lab.client()
    # When they call that host, they reach the service itself
    assert pinning.chat(AZURE, prompt, headers={"x-test-id": "exempt"}, source=PINNING).status == 200
    assert origin.request("exempt").sni == AZURE
    assert pinning.chat(AZURE, prompt, ipv6=True).status == 200
    # Other hosts, and other sources, are inspected
    with pytest.raises(ssl.SSLCertVerificationError):
        pinning.chat(AZURE_B, prompt, source=PINNING)
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    # A name that may be a cover is exempt only where such names pass
    assert outcome(lab, network.REGION_A6, record(with_ech(client_hello(AZURE)))) == "pass"
    n = 2 + (ech == "pass")
    events = gate.wait_events(n, lambda event: event["event.kind"] == "bypass")
    assert {(event["source.ip"], event["tls.server_name"], event["destination.ip"]) for event in events} == {
        (PINNING, AZURE, network.REGION_A), (network.CLIENT6, AZURE, network.REGION_A6)}
    assert {(event["bypass.reason"], event["event.action"]) for event in events} == {("exempt", "bypass")}
    assert gate.counters()["bypass.exempt"] == n
    # And nobody is exempt any more when a reload says so
    gate.write_config({"hosts": [{"pattern": "*.openai.azure.com", "provider": "azure"}]})
    gate.reload()
    with pytest.raises(ssl.SSLCertVerificationError):
        pinning.chat(AZURE, prompt, source=PINNING)


def test_names_that_are_none_are_refused_at_endpoints(lab, appliance):
    gate = appliance()
    names = NEARLY_LISTED + NO_NAMES
    assert [outcome(lab, network.REGION_A, named(name)) for name in names] == ["reset"] * len(names)
    events = gate.wait_events(len(names), lambda event: event["event.kind"] == "bypass")
    assert {event["bypass.reason"] for event in events} == {"invalid"}
    assert {event["tls.server_name"] for event in events} == {name.lower() for name in names}
    assert gate.counters()["bypass.invalid"] == 0


@FAMILIES
def test_names_that_nearly_are_listed_are_refused_elsewhere(lab, appliance, address):
    gate = appliance(ONLY_LEARNED)
    assert {outcome(lab, address, named(name)) for name in NEARLY_LISTED} == {"reset"}
    assert gate.counters()["policy.invalid_refused"] == len(NEARLY_LISTED)
    # There, what is no host name is as none.
    assert outcome(lab, address, named("some_name.example.org")) == "pass"
    assert gate.counters()["policy.no_sni_passed"] == 1


def test_many_bypasses_are_told_by_their_number(lab, appliance):
    gate = appliance({"endpoints": {"unlisted": "reset"}})
    n = 60
    assert {outcome(lab, network.REGION_A, named(f"{i:03}.example.org")) for i in range(n)} == {"reset"}
    gate.wait_for_events(lambda events: sum(event.get("bypass.left_out", 1) for event in events) >= n,
                         lambda event: event["event.kind"] == "bypass")
    events = bypasses(gate)
    assert sum(event.get("bypass.left_out", 1) for event in events) == n
    assert len(events) < n
    assert {event["source.ip"] for event in events} == {network.CLIENT}
    counters = gate.counters()
    assert counters["refused.unlisted"] == n
    assert counters["bypass.left_out"] == n - len([e for e in events if "bypass.left_out" not in e])


def test_policies_hold_wherever_everything_is_steered(lab, appliance):
    gate = appliance({"endpoints": {"steer": "all", "encrypted_dns": "reset", "ech": "reset"}})
    assert outcome(lab, network.OTHER, record(client_hello(RESOLVER))) == "reset"
    assert outcome(lab, network.OTHER, record(with_ech(client_hello(ELSEWHERE)))) == "reset"
    assert outcome(lab, network.OTHER, record(client_hello(ELSEWHERE))) == "pass"
    assert len(gate.wait_events(3, lambda event: event["event.kind"] == "bypass")) == 3
