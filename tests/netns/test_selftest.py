# SPDX-License-Identifier: GPL-2.0-or-later
"""sallyport selftest, health and drain: whether the appliance inspects, as its operator is told."""

import contextlib
import http.client
import json
import os
import select
import signal
import socket

import pytest

from lab import exposition, network
from lab.appliance import AZURE, OPENAI
from lab.process import Process, wait_for

NAMES = {"endpoints": {"names": [OPENAI, AZURE]}}
HEALTH = network.INSIDE + ":9465"


def selftest(gate, *options):
    """The exit status, and the checks by name."""
    done = gate.cli("selftest", "--config", gate.config_path, "--json", *options, check=False)
    assert done.stdout, done
    told = json.loads(done.stdout)
    assert told["good"] == (done.returncode == 0)
    return done.returncode, {one.pop("check"): one for one in told["checks"]}


def failed(checks):
    return {name for name, one in checks.items() if one["result"] == "failed"}


@pytest.fixture(scope="module")
def gate(lab):
    made = lab.appliance(NAMES)
    try:
        yield made.start()
    finally:
        made.close()


def leftovers(lab):
    return lab.network.appliance.run("ip", "link", "show", "sp-test0", check=False).returncode == 0


def test_a_gate_that_inspects_is_good(lab, gate):
    wait_for(lambda: gate.status()["record"]["connected"], "the collector")
    before = gate.status()["kernel"]["packets"]["steered"]
    code, checks = selftest(gate)
    assert code == 0 and not failed(checks), [checks[name] for name in failed(checks)]
    for name in ("daemon", "interface", "programs", "routing", "workers", "endpoints", "call", "call-ipv6", "ca",
                 "dns", "forwarding", "offloads", "mtu", "collector", "record"):
        assert checks[name]["result"] == "good", (name, checks[name])
    assert all(one["seen"] and one["question"] for one in checks.values())
    assert all(one["fix"] for one in checks.values() if one["result"] in ("note", "failed"))
    assert f"at {network.REGION_A} was answered by the appliance" in checks["call"]["seen"]
    assert f"at {network.REGION_A6} was answered by the appliance" in checks["call-ipv6"]["seen"]
    assert gate.status()["kernel"]["packets"]["steered"] > before
    # The names of the laboratory have addresses of RFC 1918, as those of private endpoints.
    assert "is a private endpoint" in checks["private-endpoint"]["seen"]
    assert not leftovers(lab)
    # For the eye, only what is to be done.
    text = gate.cli("selftest", "--config", gate.config_path, "--quiet", "--no-call").stdout
    assert "\nnote " in "\n" + text and "-> " in text and "good " not in text


@contextlib.contextmanager
def sysctl(lab, name, value, good):
    lab.network.appliance.sysctl(name, value)
    try:
        yield
    finally:
        lab.network.appliance.sysctl(name, good)


def test_what_is_broken_is_named(lab, gate):
    with sysctl(lab, "ipv4/ip_forward", 0, 1):
        code, checks = selftest(gate, "--no-call")
        assert code == 1 and failed(checks) == {"forwarding"}, checks
        assert "net.ipv4.ip_forward: expected 1, found 0" in checks["settings"]["seen"]
        done = gate.cli("check", gate.config_path, check=False)
        assert done.returncode == 1
        assert "net.ipv4.ip_forward: expected 1, found 0: what is not steered is not forwarded" in done.stderr
        assert gate.cli("check", "--text-only", gate.config_path).returncode == 0
    with sysctl(lab, "ipv4/conf/inside/rp_filter", 1, 0):
        _, checks = selftest(gate, "--no-call")
        assert checks["settings"]["result"] == "note"
        done = gate.cli("check", gate.config_path, check=False)
        assert done.returncode == 0
        assert "warning: net.ipv4.conf.all.rp_filter: expected 0 or 2, found 1: " in done.stderr
    # Somebody removes the rule that delivers steered packets.
    rule = next(line for line in gate.namespace.ip("rule", "show").splitlines() if "fwmark" in line)
    gate.namespace.ip("rule", "del", "pref", rule.split(":")[0])
    try:
        code, checks = selftest(gate)
        assert code == 1 and failed(checks) == {"routing", "call"}, checks
        assert not leftovers(lab)
    finally:
        gate.namespace.ip("rule", "add", "pref", rule.split(":")[0], *rule.split(":")[1].split()[2:])


def test_a_spool_that_its_disk_has_no_room_for(lab, gate):
    _, checks = selftest(gate, "--no-call")
    assert checks["record"]["result"] == "good", checks["record"]
    gate.write_config({"audit": {"spool_size": "1TiB"}})
    gate.reload()
    wait_for(lambda: selftest(gate, "--no-call")[1]["record"]["result"] == "note", "the note", 60)
    checks = selftest(gate, "--no-call")[1]
    assert "audit.spool_size is 1048576 MiB" in checks["record"]["seen"], checks["record"]
    gate.write_config({"audit": {"spool_size": None}})
    gate.reload()


def test_a_certificate_of_another_authority_is_not_ours(lab, gate):
    """Clients would be told of an authority that signs nothing."""
    kept = gate.ca_path + ".kept"
    os.rename(gate.ca_path, kept)
    try:
        other = os.path.join(gate.directory, "other.key")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(other)
        gate.cli("ca", "init", "--out-cert", gate.ca_path, "--out-key", other)
        code, checks = selftest(gate)
        assert code == 1 and failed(checks) == {"call", "call-ipv6"}, checks["call"]
        assert checks["call"]["seen"].startswith("NOT inspected: the certificate for ")
    finally:
        os.rename(kept, gate.ca_path)


def test_the_result_is_event_and_metric(lab, gate):
    def states():
        return [(e["datapath.state"], e.get("datapath.reason", "")) for e in gate.events()
                if e["event.kind"] == "datapath.state" and e["datapath.subject"] == "selftest"]

    selftest(gate)
    wait_for(lambda: states() and states()[-1] == ("good", ""), lambda: str(states()), 60)
    with sysctl(lab, "ipv4/ip_forward", 0, 1):
        selftest(gate, "--no-call")
        wait_for(lambda: states()[-1] == ("failed", "forwarding"), lambda: str(states()), 60)
        told = exposition.parse(gate.cli("metrics", "--config", gate.config_path).stdout)
        assert told["sallyport_selftest_good"].value() == 0
        assert told["sallyport_selftest_result"].value(check="forwarding") == 3
        assert told["sallyport_selftest_result"].value(check="programs") == 0
        assert told["sallyport_selftest_age_seconds"].value() < 600
    selftest(gate, "--no-call")
    wait_for(lambda: states()[-1] == ("good", ""), lambda: str(states()), 60)
    # The same result again is no event.
    count = len(states())
    selftest(gate, "--no-call")
    told = exposition.parse(gate.cli("metrics", "--config", gate.config_path).stdout)
    assert told["sallyport_selftest_good"].value() == 1 and len(states()) == count


def test_without_a_daemon_it_fails(lab, gate):
    gone = lab.appliance(NAMES)
    gone.write_config()
    gone.config["appliance"]["run_directory"] = os.path.join(gone.directory, "nowhere")
    gone.write_config()
    gone.make_ca()
    code, checks = selftest(gone)
    lab.appliances.remove(gone)
    assert code == 1 and {"daemon", "programs", "workers", "call", "call-ipv6", "record"} <= failed(checks), checks


def answer(gate, seconds=20):
    with gate.namespace.inside():
        connection = http.client.HTTPConnection(*HEALTH.rsplit(":", 1), timeout=seconds)
        with contextlib.closing(connection):
            connection.request("GET", "/health")
            response = connection.getresponse()
            return response.status, response.read().decode().strip()


@pytest.fixture
def health(gate):
    server = Process("health", [gate.lab.program("sallyport"), "health", "--config",
                                gate.config_path, "--listen", HEALTH], gate.directory, gate.namespace)

    def answers():
        with contextlib.suppress(OSError):
            return answer(gate)

    try:
        wait_for(answers, "the health port")
        yield server
        assert server.stop(seconds=20) == 0
    finally:
        server.kill()


def test_health_is_inspecting_and_recording_and_not_draining(lab, gate, health):
    def told(status, reason):
        wait_for(lambda: answer(gate) == (status, reason), lambda: f"{status} {reason}: {answer(gate)}", 60)

    told(200, "ready")
    assert gate.cli("health", "--config", gate.config_path).stdout == "ready\n"
    # Before maintenance: no new clients, and those that are there are waited for.
    with lab.client(gate).tls(AZURE):
        wait_for(lambda: gate.status()["kernel"]["flows"]["steered_active"], "an open connection")
        done = gate.cli("drain", "--config", gate.config_path, "--wait", "0.5", check=False)
        assert done.returncode == 1 and "connections are still open" in done.stderr, done
        told(503, "draining")
        done = gate.cli("health", "--config", gate.config_path, check=False)
        assert (done.returncode, done.stdout) == (1, "draining\n")
    done = gate.cli("drain", "--config", gate.config_path, "--wait", "60")
    assert "drained" in done.stdout
    gate.cli("drain", "--config", gate.config_path, "--end")
    told(200, "ready")
    # Without workers nothing is inspected. Their parent would give their places to others.
    stopped = [gate.daemon.pid, *gate.children("worker")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        told(503, "not inspecting")
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)
    told(200, "ready")


def test_who_floods_the_health_port_keeps_no_probe_waiting(lab, gate, health):
    address, port = HEALTH.rsplit(":", 1)
    with contextlib.ExitStack() as stack:
        # Given a client of which one connection after the other says half of a request, and no more
        for _ in range(600):
            with lab.network.client.inside():
                stream = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                stream.connect((address, int(port)))
            select.select([], [stream], [], 0.01)
            with contextlib.suppress(OSError):
                stream.send(b"GET /health HTTP/1.1\r\nHost: ")
        # Then a balancer's probe is answered all the same, within less than such a connection may stay
        assert answer(gate, 8) == (200, "ready")
    assert health.running
