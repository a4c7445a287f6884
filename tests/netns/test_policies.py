# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that hide whom they are for: endpoints.no_sni, .ech and .encrypted_dns."""

import contextlib
import socket

import pytest

from lab import network
from lab.appliance import ELSEWHERE, ONLY_LEARNED
from lab.quic import client_hello, initial_datagrams, record, send_datagrams, with_ech
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
