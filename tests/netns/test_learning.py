# SPDX-License-Identifier: GPL-2.0-or-later
"""Endpoints that nobody configured: learned from ClientHellos and QUIC."""

import contextlib
import socket
import ssl

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B, ELSEWHERE, ONLY_LEARNED, UNLISTED, merge
from lab.dns import A, AAAA, ask
from lab.process import wait_for
from lab.quic import client_hello, initial_datagrams, record, send_datagrams
from lab.stranger import answering, listening

LEARNED = ("sni", "dns")  # by the word of a client, until our own resolver has confirmed it


@pytest.fixture
def gate(appliance):
    return appliance(ONLY_LEARNED)


# --- ClientHello ---


def test_a_connection_to_an_unknown_address_is_reset_and_steered_when_tried_again(gate, client, prompt):
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.chat(AZURE_B, prompt)
    assert gate.endpoints()[network.REGION_B] in LEARNED
    assert client.chat(AZURE_B, prompt).status == 200
    with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
        client.chat(AZURE_B, prompt, ipv6=True)
    assert client.chat(AZURE_B, prompt, ipv6=True).status == 200
    counters = gate.counters()
    assert counters["learn.sni"] == counters["learn.sni_reset"] == 2
    assert counters["learn.unsteered"] == 0


def send_in_pieces(stream, data, size):
    """Each piece in a segment of its own."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(data), size):
        stream.sendall(data[at : at + size])


def is_refused(stream):
    with contextlib.suppress(TimeoutError):
        stream.settimeout(5)
        try:
            return stream.recv(1) == b""
        except ConnectionResetError:
            return True
    return False


@pytest.mark.parametrize("address", [network.REGION_B, network.REGION_B6])
@pytest.mark.parametrize("size", [1, 20, 100, 4000])
def test_a_hello_in_segments_of_any_length(gate, client, address, size):
    with client.tcp(address) as stream:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            send_in_pieces(stream, record(client_hello(AZURE_B)), size)
        assert is_refused(stream)
    assert gate.endpoints()[address] in LEARNED
    assert gate.counters()["learn.sni_reset"] == 1


def test_a_hello_in_records_of_one_byte(gate, client):
    hello = client_hello(AZURE_B)
    with client.tcp(network.REGION_B) as stream:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            send_in_pieces(stream, b"".join(record(hello[i : i + 1]) for i in range(len(hello))), 50)
        assert is_refused(stream)
    assert gate.endpoints()[network.REGION_B] in LEARNED


@pytest.mark.parametrize("fail", ["closed", "open"])
def test_a_hello_that_cannot_be_decided_is_refused_or_teaches(lab, appliance, fail):
    gate = appliance(merge(ONLY_LEARNED, {"datapath": {"fail": fail}}))
    with answering(lab, network.PLAIN, 443), lab.client(gate).tcp(network.PLAIN) as stream:
        stream.sendall(b"\x16\3\1\0\0")  # a record that is empty
        if fail == "closed":
            assert is_refused(stream)
            assert gate.counters()["learn.undecided_refused"] == 1
        else:
            assert stream.recv(5) == b"\x16\3\1\0\0"
            assert gate.counters()["learn.undecided"] == 1
            wait_for(lambda: gate.endpoints().get(network.PLAIN) == "sni", "the address")
    assert "ClientHello is malformed" in gate.logs()


def test_what_was_judged_is_not_shown_any_more(lab, gate):
    with answering(lab, network.PLAIN, 443), lab.client(gate).tcp(network.PLAIN) as stream:
        for _ in range(3):
            stream.sendall(b"HELO")
            assert stream.recv(4) == b"HELO"
        before = gate.counters()["queue.packets"]
        for _ in range(20):
            stream.sendall(b"HELO")
            assert stream.recv(4) == b"HELO"
        counters = gate.counters()
        assert counters["queue.packets"] == before
        assert counters["learn.not_tls"] == 1


@contextlib.contextmanager
def asymmetric(lab):
    """What the origin answers takes another way to the client than through the appliance."""
    client, origin = lab.network.client, lab.network.origin
    lab.network._pair(client, "aside", origin, "aside")
    try:
        client.ip("addr", "add", "10.203.0.2/24", "dev", "aside")
        origin.ip("addr", "add", "10.203.0.1/24", "dev", "aside")
        origin.ip("route", "add", network.CLIENT + "/32", "via", "10.203.0.2")
        yield
    finally:
        client.ip("link", "del", "aside")


def test_learning_needs_no_answers(lab, gate, client, prompt):
    with asymmetric(lab):
        with pytest.raises((ConnectionResetError, ssl.SSLEOFError)):
            client.chat(AZURE_B, prompt)
        assert gate.endpoints()[network.REGION_B] in LEARNED
        assert client.chat(AZURE_B, prompt).status == 200
    assert gate.counters()["learn.sni_reset"] == 1


def test_answers_that_take_another_way_are_told(lab, gate):
    def states():
        return [e["datapath.state"] for e in gate.events() if e.get("datapath.subject") == "answers"]

    with answering(lab, network.PLAIN, 8080):
        with lab.client(gate).tcp(network.PLAIN, 8080) as stream:
            stream.sendall(b"x")
            assert stream.recv(1) == b"x"
            assert gate.status()["kernel"]["flows"]["unanswered"] == 0
        with asymmetric(lab):
            with lab.client(gate).tcp(network.PLAIN, 8080) as stream:
                stream.sendall(b"x")
                assert stream.recv(1) == b"x"
                assert gate.status()["kernel"]["flows"]["unanswered"] == 1
                assert "answers take another way" in gate.cli("status", "--config", gate.running_path, check=False).stdout
                wait_for(lambda: states() == ["elsewhere"], "the event")


def test_a_name_that_is_not_listed_passes(lab, gate, client):
    direct = lab.client()
    with direct.tls(ELSEWHERE):
        pass
    counters = gate.counters()
    assert counters["learn.unlisted"] == 1
    assert counters["bypass.not_listed"] == 0
    assert network.OTHER not in gate.endpoints()


# --- QUIC ---


@pytest.mark.parametrize("version, pieces, size, address", [
    (1, 1, 1150, network.REGION_B), (2, 1, 1150, network.REGION_B), (1, 2, 1150, network.REGION_B),
    (1, 1, 1150, network.REGION_B6),
    # No client does so, but one could: in IP fragments.
    (1, 1, 3000, network.REGION_B), (1, 1, 3000, network.REGION_B6),
])
def test_quic_to_a_listed_host_is_refused_and_teaches(
        lab, gate, client, prompt, version, pieces, size, address):
    with listening(lab, address):
        assert send_datagrams(client, address, initial_datagrams(AZURE_B, version, pieces, size))
        assert gate.endpoints()[address] in LEARNED
        counters = gate.counters()
        assert counters["learn.quic"] == 1
        assert counters["queue.unreadable"] == 0
        assert client.chat(AZURE_B, prompt, ipv6=":" in address).status == 200
        # Now whatever goes there by UDP is refused, without a look.
        assert send_datagrams(client, address, [b"\x40 something else"])


@pytest.mark.parametrize("size", [1150, 3000])
@pytest.mark.parametrize("address", [network.OTHER, network.OTHER6])
def test_quic_to_another_host_passes(lab, gate, client, address, size):
    with listening(lab, address) as server:
        sent = initial_datagrams(ELSEWHERE, size=size)
        assert not send_datagrams(client, address, sent)
        assert server.recv(65535) == sent[0]
    assert gate.counters()["learn.unlisted"] == 1


def test_quic_behind_other_datagrams_is_found(lab, gate, client):
    """Another protocol's, another connection's, and many of them: each Initial is looked at."""
    with listening(lab, network.REGION_B):
        others = [b"\xc3junk"] * 12 + initial_datagrams(ELSEWHERE) + [b"\x43junk"] * 12
        assert send_datagrams(client, network.REGION_B, others + initial_datagrams(AZURE_B))
        assert gate.endpoints()[network.REGION_B] in LEARNED
        counters = gate.counters()
        assert counters["learn.quic"] == counters["learn.unlisted"] == counters["learn.not_tls"] == 1


# --- modes ---


def test_off_adds_no_rule_and_keeps_no_capability(lab, appliance):
    gate = appliance({"endpoints": {"learn": "off"}})
    tables = lab.network.appliance.run("nft", "list", "tables").stdout
    assert "sallyport_inside" not in tables  # what keeps the workers in their place is another one
    with open(f"/proc/{gate.children('scout')[0]}/status", encoding="ascii") as file:
        assert "CapEff:\t0000000000000000" in file.read()


def test_no_connection_is_tracked(lab, gate, prompt):
    """Fragments are put together without it: a table of connections costs each packet, and fills."""
    def tracked():
        return int(lab.network.appliance.run("sysctl", "-n", "net.netfilter.nf_conntrack_count").stdout)

    before = tracked()  # of the rules of other files
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    assert tracked() <= before


def test_rules_come_and_go_beside_those_of_others(lab, appliance):
    run = lab.network.appliance.run
    run("nft", "add table ip others; add chain ip others c { type filter hook forward priority 0; }")
    try:
        gate = appliance(ONLY_LEARNED)
        assert run("nft", "list", "tables").stdout.count("sallyport_inside") == 2
        gate.config["endpoints"]["learn"] = "off"
        gate.write_config()
        gate.reload()
        wait_for(lambda: "sallyport_inside" not in run("nft", "list", "tables").stdout, "the rules' end")
        gate.config["endpoints"]["learn"] = "dns"
        gate.write_config()
        gate.reload()
        wait_for(lambda: "sallyport_inside" in run("nft", "list", "tables").stdout, "the rules' return")
        ask(lab.client(gate), AZURE_B, A)
        wait_for(lambda: network.REGION_B in gate.endpoints(), "learning")
        gate.stop()
        assert run("nft", "list", "tables").stdout.split() == ["table", "ip", "others"]
    finally:
        run("nft", "delete table ip others")


@pytest.mark.parametrize("learn", ["off", "dns+sni"])
def test_steer_all_shows_every_connection_to_the_workers(lab, appliance, prompt, learn):
    gate = appliance({"endpoints": {"prefixes": None, "steer": "all", "learn": learn}})
    for ipv6 in (False, True):
        assert lab.client(gate).chat(AZURE_B, prompt, ipv6=ipv6).status == 200
        with lab.client().tls(ELSEWHERE, ipv6=ipv6):
            pass
    wait_for(lambda: gate.counters()["bypass.not_listed"] == 2, "the splices")
    if learn != "off":
        # There is no UDP to be peeked into: whoever is refused takes TCP.
        with listening(lab, network.OTHER):
            assert send_datagrams(lab.client(), network.OTHER, initial_datagrams(ELSEWHERE))
        assert gate.counters()["learn.quic_rejected"] == 1


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_steered_address_is_shared_with_names_that_are_not_listed(lab, gate, client, prompt, ipv6):
    """As at a CDN: neither is a neighbour's call decrypted nor a listed name's call ever missed."""
    address = network.REGION_B6 if ipv6 else network.REGION_B
    ask(client, AZURE_B, AAAA if ipv6 else A)
    assert gate.endpoints()[address] == "dns"
    for round in range(1, 4):
        with lab.client().tls(UNLISTED, address=address):  # whose certificate is the origin's own
            pass
        wait_for(lambda: gate.counters()["bypass.not_listed"] == round, "the splice")
        assert client.chat(AZURE_B, f"{prompt} {round}", ipv6=ipv6).status == 200
        assert gate.event(f"{prompt} {round}")
    assert gate.counters()["learn.unlisted"] == 0  # none went past the workers
