# SPDX-License-Identifier: GPL-2.0-or-later
"""What is known of source addresses: summaries of all, drops, and the totals in events of calls."""

import json
import os
import signal
import socket
import struct
import threading
import time

import pytest

from lab import network
from lab.appliance import AZURE
from lab.process import wait_for
from lab.stranger import answering

PORT = 8080
SILENT, CALLER, BAD = network.OTHER_CLIENTS  # SILENT: never makes a call
SOON = {"accounting": {"summary_interval": "1s"}}
ETH_P_IP = 0x0800


@pytest.fixture
def gate(appliance):
    return appliance(SOON)


@pytest.fixture
def server(lab):
    """A host that is no AI endpoint."""
    with answering(lab, network.OTHER, PORT, times=3):
        yield network.OTHER


class Wire:
    """Counts what the client's interface sends for an address, and gets for it: frames and bytes."""

    def __init__(self, lab, address):
        self.address = socket.inet_aton(address)
        self.sent, self.received, self.flags = [], [], []
        with lab.network.client.inside():
            self.packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.packets.bind(("eth0", 3))  # ETH_P_ALL: what is sent as well
        self.packets.settimeout(0.1)
        self.ended = False
        self.thread = threading.Thread(target=self._count)
        self.thread.start()

    def _count(self):
        while True:
            try:
                frame, (_, protocol, _, *_) = self.packets.recvfrom(65536)
            except TimeoutError:
                if self.ended:
                    return
                continue
            if protocol != ETH_P_IP:
                continue
            if frame[26:30] == self.address:
                self.sent.append(len(frame))
                if frame[23] == socket.IPPROTO_TCP:
                    self.flags.append(frame[14 + 4 * (frame[14] & 15) + 13])
            elif frame[30:34] == self.address:
                self.received.append(len(frame))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.thread.join()
        self.packets.close()


def talk(lab, server, source, pieces=3):
    """A connection over which so many pieces went there and back."""
    stream = lab.client().tcp(server, PORT, source=source)
    for i in range(pieces):
        stream.sendall(b"x" * (10 + i))
        left = 3 * (10 + i)
        while left:
            left -= len(stream.recv(left))
    return stream


def kind(name, source=None):
    return lambda e: e["event.kind"] == name and source in (None, e.get("source.ip"))


def last_summary(gate, source, where):
    """Waits until the last summary of the source is such a one."""
    events = gate.wait_for_events(lambda events: events and where(events[-1]),
                                  kind("source.summary", source))
    return events[-1]


def connections(event):
    prefix = "source.connections."
    return {name[len(prefix):]: event[name] for name in event if name.startswith(prefix)}


def rounds(gate, n):
    """Waits until the sources were looked at so many times more."""
    before = gate.counters()["accounting.looks"]
    wait_for(lambda: gate.counters()["accounting.looks"] >= before + n, "looks at the sources", 60)


# --- summaries ---


def test_who_never_calls_is_known_exactly(lab, gate, server):
    with Wire(lab, SILENT) as wire:
        streams = [talk(lab, server, SILENT) for _ in range(5)]
        event = last_summary(gate, SILENT, lambda e: e["source.connections.active"] == 5)
        assert connections(event) == {"opened": 5, "active": 5, "opening": 0, "closed": 0,
                                      "reset": 0, "steered": 0, "passed": 5}
        for stream in streams[:3]:
            stream.close()
        event = last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == 3)
        event = last_summary(gate, SILENT, lambda e: e["source.connections.active"] == 2)
        streams[3].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        streams[3].close()
        streams[4].close()
        event = last_summary(gate, SILENT, lambda e: e["source.connections.active"] == 0)
    assert connections(event) == {"opened": 5, "active": 0, "opening": 0, "closed": 4, "reset": 1,
                                  "steered": 0, "passed": 5}
    syns = sum(1 for flags in wire.flags if flags & 0x12 == 0x02)
    assert event["source.syns"] + event["source.syn_retransmits"] == syns
    assert event["source.syns"] == 5
    assert event["source.packets"] == len(wire.sent)
    assert event["source.bytes"] == sum(wire.sent)
    assert event["source.packets_received"] == len(wire.received)
    assert event["source.bytes_received"] == sum(wire.received)
    assert event["source.steered_packets"] == event["source.steered_bytes"] == 0
    assert "source.drops" not in event
    assert (event["event.action"], event["event.outcome"]) == ("account", "unknown")
    assert event["observer.name"] == "gate"
    gate.assert_no_gaps()


def test_who_is_silent_is_told_no_more(lab, gate, server):
    talk(lab, server, SILENT).close()
    last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == 1)
    before = len([e for e in gate.events() if kind("source.summary", SILENT)(e)])
    for _ in range(3):
        talk(lab, server, CALLER).close()
        rounds(gate, 1)
    last_summary(gate, CALLER, lambda e: e["source.connections.closed"] == 3)
    assert len([e for e in gate.events() if kind("source.summary", SILENT)(e)]) == before


def test_a_clean_stop_tells_everybody_a_last_time(lab, appliance, server):
    gate = appliance({"accounting": {"summary_interval": "1d"}})
    talk(lab, server, SILENT).close()
    assert gate.daemon.stop(seconds=60) == 0, gate.daemon.log()
    event = gate.wait_events(1, kind("source.summary", SILENT))[0]
    assert connections(event)["opened"] == 1
    gate.assert_no_gaps()


def test_a_reload_changes_the_interval(lab, appliance, server):
    gate = appliance({"accounting": {"summary_interval": "1d"}})
    talk(lab, server, SILENT).close()
    rounds(gate, 1)
    gate.write_config(SOON)
    gate.reload()
    last_summary(gate, SILENT, lambda e: e["source.connections.opened"] == 1)
    gate.assert_no_gaps()


# --- totals in the events of calls ---


def test_events_of_calls_carry_the_totals_of_their_client(lab, gate, server, prompt):
    client = lab.client(gate)
    with talk(lab, server, CALLER):
        for i in range(3):
            assert client.chat(AZURE, f"{prompt} {i}", source=CALLER).status == 200
        rounds(gate, 2)
        assert client.chat(AZURE, f"{prompt} last", source=CALLER).status == 200
    event = gate.event(f"{prompt} last")
    assert event["source.ip"] == CALLER
    # As published before the call that is told.
    told = connections(event)
    assert (told["opened"], told["steered"], told["passed"]) == (4, 3, 1)
    assert told["active"] == 1
    assert event["source.syns"] == 4
    assert 0 < event["source.steered_bytes"] < event["source.bytes"]
    assert event["source.bytes_received"] > event["source.packets_received"] > 0
    # And the summary goes on from there.
    summary = last_summary(gate, CALLER, lambda e: e["source.connections.steered"] == 4)
    assert summary["source.bytes"] > event["source.bytes"]


# --- drops ---


def mac(namespace, interface):
    return bytes.fromhex(json.loads(namespace.ip("-j", "link", "show", interface))[0]["address"].replace(":", ""))


def frame(lab, source, flags):
    """A TCP segment to a stranger, as no stack of this client would make it."""
    addresses = socket.inet_aton(source) + socket.inet_aton(network.OTHER)
    tcp = struct.pack("!HHIIBBHHH", 4000, PORT, 1, 0, 5 << 4, flags, 1024, 0, 0)
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 1, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    words = struct.unpack("!10H", head)
    total = sum(words)
    total = (total & 0xffff) + (total >> 16)
    head = head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:]
    ethernet = mac(lab.network.appliance, network.INSIDE_INTERFACE) + mac(lab.network.client, "eth0")
    return ethernet + struct.pack("!H", ETH_P_IP) + head + tcp


def send_frames(lab, source, flags, n):
    data = frame(lab, source, flags)
    with lab.network.client.inside():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with raw:
        raw.bind(("eth0", 0))
        for _ in range(n):
            raw.send(data)


def drops(gate, source, reason, n):
    """Waits until the drop events of the source say so many in all; returns them."""
    return gate.wait_for_events(
        lambda events: sum(e["drop.count"] for e in events) >= n,
        lambda e: kind("source.drop", source)(e) and e["drop.reason"] == reason)


SYN, FIN = 2, 1


@pytest.mark.parametrize("source, flags, reason", [
    (BAD, SYN | FIN, "flags"), (BAD, 0, "flags"), ("127.0.0.9", SYN, "martian"), ("224.0.0.9", SYN, "martian"),
])
def test_dropped_packets_are_told_with_their_reason(lab, gate, source, flags, reason):
    send_frames(lab, source, flags, 7)
    events = drops(gate, source, reason, 7)
    assert sum(e["drop.count"] for e in events) == events[-1]["drop.total"] == 7
    assert (events[-1]["event.action"], events[-1]["event.outcome"]) == ("drop", "failure")
    summary = last_summary(gate, source, lambda e: "source.drops" in e)
    assert summary["source.drops"] == {reason: 7}
    gate.assert_no_gaps()


def answered(lab, server, source):
    """Whether a connection is made at once; it is closed again."""
    with lab.network.client.inside():
        stream = socket.socket()
    with stream:
        stream.bind((source, 0))
        stream.settimeout(0.5)
        try:
            stream.connect((server, PORT))
        except TimeoutError:
            return False
        return True


def test_a_denied_source_is_told(lab, appliance, server):
    gate = appliance({**SOON, "admission": {"deny": [BAD + "/32"]}})
    assert not answered(lab, server, BAD)
    talk(lab, server, SILENT).close()
    event = drops(gate, BAD, "denied", 1)[0]
    assert event["drop.total"] >= event["drop.count"] >= 1
    summary = last_summary(gate, BAD, lambda e: "source.drops" in e)
    assert summary["source.connections.opened"] == summary["source.connections.passed"] == 0
    gate.assert_no_gaps()


def test_drops_are_told_once_in_ten_seconds_and_none_is_forgotten(lab, gate):
    begin = time.monotonic()
    for _ in range(6):
        send_frames(lab, BAD, 0, 10)
        rounds(gate, 1)
    events = drops(gate, BAD, "flags", 60)
    assert sum(e["drop.count"] for e in events) == events[-1]["drop.total"] == 60
    # One at once, then one for each ten seconds that began.
    assert len(events) <= 2 + (time.monotonic() - begin) / 10
    assert gate.counters()["accounting.drops_put_off"] > 0


def test_a_limit_of_connections_holds_over_sweeps_and_is_told(lab, appliance, server):
    gate = appliance({**SOON, "admission": {"connections": 5}})
    streams = [talk(lab, server, SILENT) for _ in range(5)]
    rounds(gate, 2)
    assert not answered(lab, server, SILENT)
    event = drops(gate, SILENT, "connections", 1)[0]
    assert event["drop.total"] >= 1
    streams.pop().close()
    wait_for(lambda: answered(lab, server, SILENT), "room for one more")
    last_summary(gate, SILENT, lambda e: e["source.connections.active"] == 4)
    assert answered(lab, server, SILENT)
    for stream in streams:
        stream.close()
    last_summary(gate, SILENT, lambda e: e["source.connections.active"] == 0)
    rounds(gate, 2)
    # As many as ever, though many more than five were made.
    streams = [talk(lab, server, SILENT) for _ in range(5)]
    assert not answered(lab, server, SILENT)
    for stream in streams:
        stream.close()


# --- the views ---


def test_views_show_calls_and_tell_of_sources_when_asked(lab, gate, server, prompt):
    assert lab.client(gate).chat(AZURE, prompt, source=CALLER).status == 200
    talk(lab, server, SILENT, pieces=40).close()
    send_frames(lab, BAD, 0, 3)
    drops(gate, BAD, "flags", 3)
    last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == 1)
    last_summary(gate, CALLER, lambda e: connections(e)["closed"] + connections(e)["reset"] == 1)
    last_summary(gate, BAD, lambda e: "source.drops" in e)
    gate.event(prompt)

    def view(*arguments):
        done = gate.cli(arguments[0], "--store", gate.store_path, *arguments[1:], "--json")
        return [json.loads(line) for line in done.stdout.splitlines()]

    assert [e["event.kind"] for e in view("events")] == ["exchange"]
    assert {e["event.kind"] for e in view("events", "--kind", "source.drop")} == {"source.drop"}
    # A busy machine may let a worker look hung for a moment.
    kinds = {e["event.kind"] for e in view("events", "--kind", "all")} - {"datapath.state"}
    assert kinds == {"exchange", "source.summary", "source.drop"}
    assert [e["event.kind"] for e in view("tail", "--limit", "1")] == ["exchange"]
    assert view("tail", "--kind", "source.drop", "--limit", "1")[0]["drop.reason"] == "flags"
    assert [row["calls"] for row in view("usage")] == [1]
    assert [row["calls"] for row in view("usage", "--all")] == [1]
    sources = view("usage", "--sources")
    traffic = [e["source.bytes"] + e["source.bytes_received"] for e in sources]
    assert traffic == sorted(traffic, reverse=True)
    assert {SILENT, CALLER, BAD} <= {e["source.ip"] for e in sources}
    assert len({e["source.ip"] for e in sources}) == len(sources)
    assert [e["source.drops"] for e in sources if e["source.ip"] == BAD] == [{"flags": 3}]
    assert len(view("usage", "--sources", "--limit", "1")) == 1
    assert [e["source.ip"] for e in view("usage", "--sources", "--ip", SILENT)] == [SILENT]
    text = gate.cli("usage", "--store", gate.store_path, "--sources").stdout
    assert text.splitlines()[0].split()[:2] == ["SOURCE", "OBSERVER"]
    assert SILENT in text
    text = gate.cli("events", "--store", gate.store_path, "--kind", "source.drop").stdout
    assert "source.drop drop.reason=flags drop.count=3 drop.total=3" in text
    for refused in (("usage", "--sources", "--by", "ip,host"), ("usage", "--limit", "-1"), ("events", "--kind", "calls")):
        assert gate.cli(refused[0], "--store", gate.store_path, *refused[1:], check=False).returncode == 2


# --- deaths ---


def test_a_killed_daemon_is_followed_by_one_that_repeats_nothing(lab, gate, server):
    talk(lab, server, SILENT).close()
    talk(lab, server, CALLER).close()
    before = last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == 1)
    last_summary(gate, CALLER, lambda e: e["source.connections.closed"] == 1)
    rounds(gate, 2)
    gate.daemon.send(signal.SIGKILL)
    gate.daemon.kill()
    gate.start_daemon()
    talk(lab, server, CALLER).close()

    def of_this_life(source):
        return [e for e in gate.events()
                if kind("source.summary", source)(e) and e["event.epoch"] != before["event.epoch"]]

    wait_for(lambda: any(e["source.connections.closed"] == 2 for e in of_this_life(CALLER)), "a summary", 60)
    rounds(gate, 2)
    assert of_this_life(SILENT) == []
    # And its totals go on.
    talk(lab, server, SILENT).close()
    event = last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == 2)
    assert event["source.packets"] > before["source.packets"]
    gate.assert_no_gaps()


def test_what_was_not_told_before_a_kill_is_told_after_it(lab, appliance, server):
    gate = appliance({"accounting": {"summary_interval": "1d"}})
    talk(lab, server, SILENT).close()
    rounds(gate, 1)
    gate.daemon.send(signal.SIGKILL)
    gate.daemon.kill()
    gate.write_config(SOON)
    gate.start_daemon()
    event = last_summary(gate, SILENT, lambda e: True)
    assert event["source.connections.closed"] == 1
    gate.assert_no_gaps()


def test_a_killed_shipper_loses_nothing_of_it(lab, gate, server):
    for i in range(3):
        talk(lab, server, SILENT).close()
        for pid in gate.children("shipper"):
            os.kill(pid, signal.SIGKILL)
        last_summary(gate, SILENT, lambda e: e["source.connections.closed"] == i + 1)
    gate.assert_no_gaps()


def test_a_full_spool_makes_summaries_wait_and_hinders_nobody(lab, appliance, server, prompt):
    gate = appliance({**SOON, "audit": {"spool_size": "1MiB", "segment_size": "64KiB", "ring_size": "128KiB",
                                        "content_max": "16KiB", "when_full": "block"}}, start=False)
    gate.write_config()
    gate.make_ca()
    gate.start_daemon()
    # Enough sources to fill half of the ring; all are dropped, which is counted as well.
    for i in range(1, 250):
        send_frames(lab, f"10.66.1.{i}", 0, 1)
    gate.start_collector()
    found = gate.wait_for_events(
        lambda events: len({e["source.ip"] for e in events}) >= 249,
        lambda e: e["event.kind"] == "source.summary" and e["source.ip"].startswith("10.66.1."))
    assert len(found) == 249
    gate.assert_no_gaps()
