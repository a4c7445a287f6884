# SPDX-License-Identifier: GPL-2.0-or-later
"""Beside the door: calls to endpoints that come in by another interface than datapath.inside."""

import contextlib
import glob
import json
import os
import socket

import pytest

from lab import network
from lab.appliance import AZURE
from lab.process import wait_for
from lab.quic import initial_datagrams
from lab.stranger import listening

MODES = pytest.mark.parametrize("fail", ["closed", "open"])

# A client of a network of its own, for each way past the gate.
STRANGER = {4: "10.204.0.2", 6: "fd00:204::2"}


@contextlib.contextmanager
def second_nic(lab):
    """Another interface, in the network of inside."""
    client, appliance = lab.network.client, lab.network.appliance
    lab.network._pair(client, "eth1", appliance, "inside2")
    try:
        client.ip("addr", "add", "10.201.0.66/24", "dev", "eth1")
        appliance.ip("addr", "add", "10.201.0.65/24", "dev", "inside2")
        client.ip("rule", "add", "from", "10.201.0.66", "lookup", "204")
        client.ip("route", "add", "default", "via", "10.201.0.65", "dev", "eth1", "table", "204")
        yield "inside2", "10.201.0.66"
    finally:
        client.ip("rule", "del", "lookup", "204")
        client.ip("link", "del", "eth1")


@contextlib.contextmanager
def macvlan(lab):
    """An interface above inside, with a hardware address of its own."""
    client, appliance = lab.network.client, lab.network.appliance
    appliance.ip("link", "add", "above", "link", network.INSIDE_INTERFACE, "type", "macvlan", "mode", "private")
    try:
        appliance.ip("link", "set", "above", "up")
        appliance.ip("addr", "add", "10.205.0.1/24", "dev", "above")
        client.ip("addr", "add", "10.205.0.2/24", "dev", "eth0")
        client.ip("rule", "add", "from", "10.205.0.2", "lookup", "204")
        client.ip("route", "add", "default", "via", "10.205.0.1", "dev", "eth0", "table", "204")
        # Without arp_ignore inside answers as well: that would be the door.
        hardware = json.loads(appliance.ip("-j", "link", "show", "above"))[0]["address"]
        client.ip("neigh", "replace", "10.205.0.1", "lladdr", hardware, "dev", "eth0")
        yield "above", "10.205.0.2"
    finally:
        client.run("ip", "route", "flush", "table", "204", check=False)
        client.run("ip", "addr", "del", "10.205.0.2/24", "dev", "eth0", check=False)
        client.run("ip", "rule", "del", "lookup", "204", check=False)
        appliance.ip("link", "del", "above")


@contextlib.contextmanager
def new_route(lab):
    """A network that was not there, with a route of its own; over IPv6 too."""
    client, appliance = lab.network.client, lab.network.appliance
    lab.network._pair(client, "eth1", appliance, "side")
    try:
        lab.network._address(client, "eth1", STRANGER[4], STRANGER[6])
        lab.network._address(appliance, "side", "10.204.0.1", "fd00:204::1")
        for family, gateway in (("-4", "10.204.0.1"), ("-6", "fd00:204::1")):
            client.ip(family, "route", "add", "default", "via", gateway, "table", "204")
            client.ip(family, "rule", "add", "from", STRANGER[int(family[1])], "lookup", "204")
        yield "side", STRANGER[4]
    finally:
        for family in ("-4", "-6"):
            client.run("ip", family, "rule", "del", "lookup", "204", check=False)
        client.ip("link", "del", "eth1")


WAYS = pytest.mark.parametrize("way", [second_nic, macvlan, new_route], ids=lambda way: way.__name__)


def outcome(lab, source, address, port=443):
    """What becomes of a connection: "connected", "reset" or "nothing"."""
    with lab.network.client.inside():
        stream = socket.socket(network.family_of(address), socket.SOCK_STREAM)
    with stream:
        stream.settimeout(5)
        stream.bind((source, 0))
        try:
            stream.connect((address, port))
        except (ConnectionResetError, ConnectionRefusedError):
            return "reset"
        except TimeoutError:
            return "nothing"
        return "connected"


def states(gate, interface):
    return [e for e in gate.events() if e["event.kind"] == "datapath.state"
            and e["datapath.subject"] == "interface " + interface]


def assert_told(gate, interface, fail):
    wait_for(lambda: states(gate, interface), "the event")
    event = states(gate, interface)[0]
    assert event["datapath.state"] == "beside"
    assert ("0 passed" in event["datapath.reason"]) == (fail == "closed")
    assert f"interface {interface}: to AI endpoints past the gate" in gate.logs()


def counted(gate):
    outcomes = gate.status()["kernel"]["packets"]
    return outcomes.get("beside", 0), outcomes.get("beside_refused", 0)


def test_status_tells_where_the_guard_is(lab, appliance):
    gate = appliance()
    found = gate.status()["kernel"]["programs"]["guard"]
    assert found["attached"] and found["interfaces"] == found["guarded"] == 2, found
    text = gate.cli("status", "--config", gate.running_path).stdout
    assert f"guard      TC {found['mode']} on 2 of 2 interfaces\n" in text
    # Somebody takes it away.
    gate.namespace.ip("link", "add", "late", "link", "outside", "type", "macvlan")
    try:
        wait_for(lambda: gate.status()["kernel"]["programs"]["guard"]["guarded"] == 3, "the guard of the new one")
        late = json.loads(gate.namespace.ip("-j", "link", "show", "late"))[0]["ifindex"]
        for pin in glob.glob(os.path.join(gate.bpf_directory, "v*", "link_guard_*")):
            if os.path.basename(pin) == f"link_guard_{late}":
                os.unlink(pin)

        def missed():
            found = gate.status()["kernel"]["programs"]["guard"]
            return not found["attached"] and found["guarded"] == 2 and found["unguarded"] == "late"

        wait_for(missed, "that it is missed")
        text = gate.cli("status", "--config", gate.running_path, check=False).stdout
        assert "on 2 of 3 interfaces, not on late" in text
    finally:
        gate.namespace.ip("link", "del", "late")


@MODES
@WAYS
def test_a_call_beside_the_door_is_refused_or_told(lab, appliance, way, fail):
    """The interface comes when the appliance runs already."""
    gate = appliance({"datapath": {"fail": fail}})
    with way(lab) as (interface, source):
        wait_for(lambda: outcome(lab, source, network.OTHER) == "connected", "the way")
        assert counted(gate) == (0, 0)
        assert outcome(lab, source, network.REGION_A) == ("reset" if fail == "closed" else "connected")
        passed, refused = counted(gate)
        assert (passed > 0, refused > 0) == (fail == "open", fail == "closed")
        assert_told(gate, interface, fail)
        # Other ports, and whoever comes by the door, are no business of its.
        assert outcome(lab, source, network.REGION_A, 53) == "reset"  # by the origin itself
        assert lab.client(gate).chat(AZURE, f"by the door, {fail}").status == 200


def test_datagrams_and_the_other_family_are_refused_too(lab, appliance):
    gate = appliance()
    with new_route(lab) as (interface, source):
        wait_for(lambda: outcome(lab, STRANGER[6], network.OTHER6) == "connected", "the way")
        assert outcome(lab, STRANGER[6], network.REGION_A6) == "reset"
        with lab.network.client.inside():
            stream = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with stream, listening(lab, network.REGION_A, seconds=0.5) as server:
            stream.bind((source, 0))
            stream.sendto(initial_datagrams(AZURE)[0], (network.REGION_A, 443))
            with pytest.raises(TimeoutError):
                server.recv(1)
        assert_told(gate, interface, "closed")
        pings = lab.network.client.run("ping", "-c1", "-W5", "-I", source, network.REGION_A, check=False)
        assert pings.returncode == 0


def test_a_steered_packet_that_loses_its_way_does_not_leave(lab, appliance):
    """The routing rule is gone, as a network manager may take it away."""
    gate = appliance()
    rules = lab.network.appliance.run("ip", "rule", "show").stdout
    preference = next(line.split(":")[0] for line in rules.splitlines() if "fwmark" in line)
    lab.network.appliance.ip("rule", "del", "pref", preference)
    assert outcome(lab, network.CLIENT, network.REGION_A) == "reset"
    assert counted(gate)[1] > 0


def test_a_second_interface_in_the_network_is_told_at_the_start(lab, appliance):
    with second_nic(lab):
        gate = appliance()
        assert "inside2 (10.201.0.65) is in the same network as inside" in gate.logs()
        checked = gate.cli("check", gate.config_path, check=False)
        assert "inside2 (10.201.0.65) is in the same network" in checked.stderr


def test_the_guard_stands_at_every_interface_and_goes_with_the_appliance(lab, appliance):
    """On kernels before TCX it is a filter instead."""
    def guards(gate):
        pins = glob.glob(gate.bpf_directory + "/v*/link_guard_*")
        filters = [lab.network.appliance.run("tc", "filter", "show", "dev", interface, "egress").stdout.count("sally_guard")
                   for interface in (network.INSIDE_INTERFACE, network.OUTSIDE_INTERFACE)]
        return len(pins) + sum(filters)

    gate = appliance()
    assert guards(gate) == 2
    with new_route(lab):
        wait_for(lambda: guards(gate) == 3, "the guard of an interface that comes")
    gate.stop()
    assert guards(gate) == 0
    assert "clsact" not in lab.network.appliance.run("tc", "qdisc", "show").stdout
