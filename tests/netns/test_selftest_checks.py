# SPDX-License-Identifier: GPL-2.0-or-later
"""Each check of sallyport selftest, with what it looks at broken: what was seen, and what to do."""

import contextlib
import datetime
import glob
import json
import os
import signal
import socket

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lab import network
from lab.appliance import AZURE
from lab.process import wait_for

RUN = "set -eu; mount --bind \"$1\" \"$2\"; shift 2; exec \"$@\""


@pytest.fixture(scope="module")
def gate(lab):
    made = lab.appliance({"endpoints": {"names": [AZURE]}})
    try:
        yield made.start()
    finally:
        made.close()


def selftest(gate, *before, config=None):
    done = gate.namespace.run(*before, gate.lab.program("sallyport"), "selftest", "--json", "--no-call", "--config",
                              config or gate.config_path, check=False)
    assert done.stdout, done
    return {one["check"]: one for one in json.loads(done.stdout)["checks"]}


@contextlib.contextmanager
def undone(gate, do, undo):
    gate.namespace.run("sh", "-euc", do)
    try:
        yield ()
    finally:
        gate.namespace.run("sh", "-euc", undo)


def mtu(gate):
    return undone(gate, f"ip link set outside mtu 1400; ip route add default via {network.DNS}",
                  "ip link set outside mtu 1500; ip route del default")


def keepalive(gate):
    return undone(gate, "echo 7200 >/proc/sys/net/ipv4/tcp_keepalive_time",
                  "echo 90 >/proc/sys/net/ipv4/tcp_keepalive_time")


@contextlib.contextmanager
def conntrack(gate):
    """Its bound is the whole machine's: the command is shown another."""
    path = os.path.join(gate.directory, "conntrack_max")
    with open(path, "w", encoding="ascii") as file:
        file.write("1\n")
    with gate.namespace.inside(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
        # One connection that is tracked, at least
        one.setblocking(False)
        one.connect_ex((network.OTHER, 443))
        yield ("unshare", "--mount", "--propagation", "private", "sh", "-c", RUN, "sh", path,
               "/proc/sys/net/netfilter/nf_conntrack_max")


@contextlib.contextmanager
def workers(gate):
    stopped = [gate.daemon.pid, *gate.children("worker")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: selftest(gate)["workers"]["result"] == "failed", "workers that hang", 60)
        yield ()
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
        wait_for(lambda: gate.status()["inspecting"], "workers", 60)


@contextlib.contextmanager
def programs(gate):
    """Somebody takes one away."""
    made = "ip link add late link outside type macvlan"
    with undone(gate, made, "ip link del late"):
        wait_for(lambda: gate.status()["kernel"]["programs"]["guard"]["guarded"] == 3, "the guard of the new one")
        late = json.loads(gate.namespace.ip("-j", "link", "show", "late"))[0]["ifindex"]
        for pin in glob.glob(os.path.join(gate.bpf_directory, "v*", f"link_guard_{late}")):
            os.unlink(pin)
        wait_for(lambda: gate.status()["kernel"]["programs"]["guard"]["guarded"] == 2, "that it is gone")
        yield ()


@contextlib.contextmanager
def collector(gate):
    gate.collector.stop()
    try:
        wait_for(lambda: not gate.status()["record"]["connected"], "the end of the connection")
        yield ()
    finally:
        gate.start_collector()
        wait_for(lambda: gate.status()["record"]["connected"], "the collector", 60)


RUNNING = [
    (mtu, "mtu", "note", "the MTU is 1500 inside and 1400 outside", "the same MTU on both sides"),
    (keepalive, "keepalive", "note", "probed after 7200 s only", "net.ipv4.tcp_keepalive_time = 90"),
    (conntrack, "conntrack", "failed", "of 1 connections are tracked", "sysctl net.netfilter.nf_conntrack_max=4"),
    (workers, "workers", "failed", "0 of 2 workers are alive; new calls of the others are reset", "journalctl"),
    (programs, "programs", "failed", "not attached to inside: guard", "systemctl restart sallyportd"),
    (collector, "collector", "note", "is not connected", "audit.collector"),
]


@pytest.mark.parametrize("broken, check, result, seen, fix", RUNNING, ids=[one[1] for one in RUNNING])
def test_what_is_broken_while_it_runs(gate, broken, check, result, seen, fix):
    with broken(gate) as before:
        found = selftest(gate, *before)[check]
    assert found["result"] == result and seen in found["seen"] and fix in found["fix"], found
    assert selftest(gate)[check]["result"] in ("good", "skipped")


def test_the_way_out(gate):
    found = selftest(gate)["route"]
    assert found["result"] == "note" and "there is no default route" in found["seen"], found
    with undone(gate, f"ip route add default via {network.DNS}", "ip route del default"):
        assert selftest(gate)["route"]["seen"] == "the default route leaves by outside"


@pytest.fixture
def absent(lab, gate):
    """The answer of a machine that runs no daemon, by another configuration."""
    def checks(changes):
        other = lab.appliance(changes)
        lab.appliances.remove(other)
        other.write_config({"appliance": {"run_directory": os.path.join(other.directory, "nowhere")}})
        other.make_ca()
        return selftest(gate, config=other.config_path), other

    return checks


def test_an_interface_that_is_down_or_not_there(gate, absent):
    found, _ = absent({"datapath": {"inside": "nowhere0"}})
    assert found["interface"]["result"] == "failed" and "nowhere0: No such device" in found["interface"]["seen"]
    assert "datapath.inside" in found["interface"]["fix"]
    with undone(gate, "ip link add down0 mtu 1200 type veth", "ip link del down0"):
        found, _ = absent({"datapath": {"inside": "down0"}})
    assert found["interface"]["seen"] == "down0 is down" and "ip link set down0 up" in found["interface"]["fix"]
    assert found["mtu"]["result"] == "failed" and "the MTU of down0 is 1200" in found["mtu"]["seen"]


def test_names_that_nobody_knows(absent):
    found, _ = absent({"endpoints": {"names": ["nobody.openai.azure.com"]}})
    assert found["dns"]["result"] == "note", found["dns"]
    assert "nobody.openai.azure.com" in found["dns"]["seen"] and "correct the name" in found["dns"]["fix"]
    # Where no server answers, that is what is to be seen to.
    found, _ = absent({"endpoints": {"names": [AZURE], "resolvers": [network.PLAIN + ":53"]}})
    assert "no server answers" in found["dns"]["seen"] and "endpoints.resolvers" in found["dns"]["fix"], found["dns"]


def test_an_authority_that_ends_soon(gate, absent):
    _, other = absent({})
    other.cli("ca", "init", "--force", "--days", "30", "--out-cert", other.ca_path, "--out-key", other.ca_key_path)
    found = selftest(gate, config=other.config_path)["ca"]
    assert found["result"] == "note" and "ends in" in found["seen"] and "rotate it" in found["fix"], found


def test_an_authority_of_another_time(gate, absent):
    """Made while the clock was wrong, as at the first boot of a machine without one."""
    _, other = absent({})
    with open(other.ca_key_path, "rb") as key, open(other.ca_path, "rb") as certificate:
        key = serialization.load_pem_private_key(key.read(), None)
        now = x509.load_pem_x509_certificate(certificate.read())
    begin = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=400)
    builder = x509.CertificateBuilder(now.issuer, now.subject, now.public_key(), now.serial_number, begin,
                                      begin + datetime.timedelta(days=900))
    for one in now.extensions:
        builder = builder.add_extension(one.value, one.critical)
    with open(other.ca_path, "wb") as file:
        file.write(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    found = selftest(gate, config=other.config_path)["ca"]
    assert found["result"] == "failed" and "not valid yet" in found["seen"] and "ca lint" in found["fix"], found
    # As the first boot says
    other.cli("ca", "renew", "--cert", other.ca_path, "--key", other.ca_key_path)
    assert selftest(gate, config=other.config_path)["ca"]["result"] == "good"


def test_replies_that_go_another_way(lab, gate):
    """Packets of the client arrive, and the answers to them never do."""
    for _ in range(12):
        with lab.network.client.inside(), socket.socket(socket.AF_INET, socket.SOCK_STREAM) as one:
            one.setblocking(False)
            one.bind((network.OTHER_CLIENTS[2], 0))
            one.connect_ex(("10.202.0.99", 443))
    wait_for(lambda: selftest(gate)["replies"]["result"] != "skipped", "12 connections")
    found = selftest(gate)["replies"]
    # Which is no failure: the client may call nobody, and is not to make the appliance one that is not good
    assert found["result"] == "note" and "never got a packet back through here" in found["seen"], found
    assert "route the replies through the appliance" in found["fix"]


def test_nothing_to_steer(absent):
    found, _ = absent({"endpoints": {"prefixes": None}})
    assert found["endpoints"]["result"] == "note" and "nothing is steered" in found["endpoints"]["seen"]
    assert "endpoints.names" in found["endpoints"]["fix"]
