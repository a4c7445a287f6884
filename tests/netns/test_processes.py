# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes: their deaths, reloads, stops and starts."""

import json
import os
import signal
import socket
import ssl
import threading

import pytest

from lab import network
from lab.appliance import AZURE, OPENAI, USERS
from lab.client import Ended, chat_body
from lab.load import Load
from lab.process import Process, children_of, descendants_of, wait_for

# --- deaths ---


@pytest.fixture
def gate(appliance):
    return appliance()


def killed(gate, role, number=signal.SIGKILL):
    """Kills all processes of a role and waits for their successors."""
    before = gate.children(role)
    for pid in before:
        os.kill(pid, number)
    wait_for(
        lambda: len(gate.children(role)) == len(before) and not set(gate.children(role)) & set(before),
        f"new {role}",
    )


def test_killed_workers(gate, client, prompt):
    with Load(client, AZURE, prompt) as load:
        for _ in range(3):
            wait_for(load.more(20), "calls")
            killed(gate, "worker")
        wait_for(load.more(20), "calls after the last kill")
    load.assert_recorded(gate)


@pytest.mark.parametrize("role", ["shipper", "signer", "scout", "keeper"])
def test_killed_others_cut_nothing(gate, client, prompt, role):
    with Load(client, AZURE, prompt) as load:
        for _ in range(3):
            wait_for(load.more(20), "calls")
            killed(gate, role)
        wait_for(load.more(20), "calls after the last kill")
    load.assert_nothing_failed()
    load.assert_recorded(gate)


def test_killed_collector(gate, client, prompt):
    with Load(client, AZURE, prompt) as load:
        for _ in range(3):
            wait_for(load.more(20), "calls")
            gate.collector.kill()
            wait_for(load.more(20), "calls without a collector")
            gate.start_collector()
        wait_for(load.more(20), "calls after the last kill")
    load.assert_nothing_failed()
    load.assert_recorded(gate)


def test_everything_killed_at_once(gate, client, prompt):
    with Load(client, AZURE, prompt) as load:
        wait_for(load.more(40), "calls")
        for role in USERS:
            for pid in gate.children(role):
                os.kill(pid, signal.SIGKILL)
        gate.collector.kill()
        gate.start_collector()
        wait_for(load.more(40), "calls afterwards")
    load.assert_recorded(gate)


def test_a_new_host_gets_its_leaf_after_the_signer_died(gate, client, prompt):
    assert client.chat(AZURE, prompt).status == 200
    killed(gate, "signer")
    assert client.call(OPENAI, "/v1/chat/completions", chat_body(prompt, model="gpt-4o"),
                       headers={"Authorization": "Bearer sk-x"}).status == 200


def test_collector_down_from_the_start(lab, appliance, prompt):
    gate = appliance(start=False)
    gate.write_config()
    gate.make_ca()
    gate.start_daemon()
    client = lab.client(gate)
    for i in range(20):
        assert client.chat(AZURE, f"{prompt} {i:03}").status == 200
    gate.start_collector()
    gate.wait_events(20, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    gate.assert_no_gaps()


# --- reload ---


def test_reload_under_load_cuts_nothing(gate, client, prompt):
    with Load(client, AZURE, prompt) as load:
        for _ in range(6):
            before = gate.children("worker")
            wait_for(load.more(20), "calls")
            gate.reload()
            wait_for(lambda: not set(before) & set(gate.children("worker")), "end of the old workers")
        wait_for(load.more(20), "calls after the last reload")
    load.assert_nothing_failed()
    load.assert_recorded(gate)


class Background:
    """A call in a thread."""

    def __init__(self, call):
        self.result = self.error = None

        def run():
            try:
                self.result = call()
            except BaseException as error:
                self.error = error

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def done(self):
        return not self._thread.is_alive()

    def join(self):
        self._thread.join(120)
        assert not self._thread.is_alive(), "the call hangs"
        if self.error:
            raise self.error
        return self.result


def slow_stream(client, prompt, events=60, pace_ms=50, **more):
    """A stream of some seconds."""
    headers = {"x-test-events": str(events), "x-test-pace-ms": str(pace_ms), "x-test-id": "slow"}
    return Background(lambda: client.chat(AZURE, prompt, fields={"stream": True}, headers=headers, **more))


def test_reload_lets_a_stream_finish(gate, client, origin, prompt):
    stream = slow_stream(client, prompt)
    origin.request("slow")
    before = gate.children("worker")
    gate.reload()
    assert set(gate.children("worker")) - set(before), "no new workers"
    assert client.chat(AZURE, "meanwhile").status == 200
    got = stream.join()
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert got.text().endswith(" t59")
    assert gate.event(prompt)["gen_ai.usage.output_tokens"] == 60
    wait_for(lambda: not set(before) & set(gate.children("worker")), "end of the old workers")


def test_reload_takes_a_new_configuration(lab, gate, client, prompt):
    host = "added.example.net"
    lab.add_host(host, network.REGION_A)
    with pytest.raises(ssl.SSLCertVerificationError):
        client.tls(host)
    gate.write_config({"hosts": [*gate.config["hosts"], {"pattern": host, "provider": "openai"}]})
    gate.reload()
    got = client.call(host, "/v1/chat/completions", chat_body(prompt, model="gpt-4o"),
                      headers={"Authorization": "Bearer sk-x"})
    assert got.status == 200
    assert gate.event(prompt)["server.address"] == host


@pytest.mark.parametrize("workers", [1, 4])
def test_reload_changes_the_number_of_workers(gate, client, prompt, workers):
    with Load(client, AZURE, prompt) as load:
        wait_for(load.more(20), "calls")
        gate.write_config({"appliance": {"workers": workers}})
        gate.reload()
        wait_for(lambda: len(gate.children("worker")) == workers, "workers")
        wait_for(load.more(20), "calls")
    load.assert_nothing_failed()
    load.assert_recorded(gate)


def refused_reload(gate):
    before = gate.children("worker")
    refused = gate.counters()["reload.refused"]
    gate.daemon.send(signal.SIGHUP)
    wait_for(lambda: gate.counters()["reload.refused"] == refused + 1, "refusal")
    assert gate.children("worker") == before


def test_an_invalid_configuration_is_refused_and_the_old_one_stays(gate, client, prompt):
    with open(gate.config_path, "a", encoding="utf-8") as file:
        file.write("}} nonsense: [")
    refused_reload(gate)
    assert gate.config_path in gate.daemon.log()
    assert client.chat(AZURE, prompt).status == 200


def test_what_a_reload_cannot_change_is_refused(gate, client, prompt):
    gate.write_config({"datapath": {"mark": 4711}})
    refused_reload(gate)
    assert "mark" in gate.daemon.log()
    assert client.chat(AZURE, prompt).status == 200


# --- stop and start ---


def kernel_leftovers(gate):
    """What the datapath puts into the kernel, as far as it is there."""
    run = gate.namespace.run
    found = []
    link = run("ip", "-details", "link", "show", network.INSIDE_INTERFACE).stdout
    if "xdp" in link:
        found.append(link)
    for direction in ("ingress", "egress"):
        found.append(run("tc", "filter", "show", "dev", network.INSIDE_INTERFACE, direction).stdout)
    if "clsact" in run("tc", "qdisc", "show", "dev", network.INSIDE_INTERFACE).stdout:
        found.append("clsact")
    for family in ("-4", "-6"):
        rules = run("ip", family, "rule", "show").stdout
        found += [line for line in rules.splitlines() if "5111" in line or "fwmark" in line or "prohibit" in line]
        found.append(run("ip", family, "route", "show", "table", "5111", check=False).stdout)
    found += [line for line in run("nft", "list", "tables").stdout.splitlines() if "sallyport_" in line]
    for top, directories, files in os.walk(gate.bpf_directory):
        found += [os.path.join(top, name) for name in files]
    programs = json.loads(run("bpftool", "-j", "net", "show").stdout)
    for entry in programs:
        found += [str(entry[kind]) for kind in ("xdp", "tc") if entry.get(kind)]
    return [one for one in found if one]


def test_a_clean_stop_leaves_nothing(gate, client, prompt):
    assert client.chat(AZURE, prompt).status == 200
    assert kernel_leftovers(gate)
    children = descendants_of(gate.daemon.pid)
    assert gate.daemon.stop() == 0
    assert kernel_leftovers(gate) == []
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]
    listening = gate.namespace.run("ss", "-ltnH").stdout
    assert ":15100" not in listening and ":15101" not in listening
    # Traffic flows past the place where the gate was.
    with pytest.raises(ssl.SSLCertVerificationError):
        client.tls(AZURE)


def test_stop_and_start_again(gate, client, prompt):
    for i in range(3):
        assert client.chat(AZURE, f"{prompt} {i}").status == 200
        assert gate.daemon.stop() == 0
        gate.start_daemon()
    assert client.chat(AZURE, f"{prompt} last").status == 200
    gate.wait_events(4, lambda e: prompt in e.get("gen_ai.input.messages", ""))


def test_sigterm_lets_an_exchange_finish(gate, client, origin, prompt):
    stream = slow_stream(client, prompt)
    origin.request("slow")
    gate.daemon.send(signal.SIGTERM)
    gate.wait_notified("STOPPING=1")
    got = stream.join()
    assert got.text().endswith(" t59")
    assert gate.daemon.wait(60) == 0
    assert gate.event(prompt)["gen_ai.usage.output_tokens"] == 60


def test_sigterm_has_a_deadline(appliance, lab, origin, prompt):
    gate = appliance({"processes": {"drain_timeout": "1s"}})
    client = lab.client(gate)
    stream = slow_stream(client, prompt, events=1000, pace_ms=100)
    origin.request("slow")
    gate.daemon.send(signal.SIGTERM)
    assert gate.daemon.wait(60) == 0
    with pytest.raises((Ended, OSError, ssl.SSLError)):
        stream.join()
    assert gate.event(prompt)["event.outcome"] == "failure"


@pytest.mark.parametrize("who", ["parent", "all"])
def test_an_unclean_stop_is_mended_by_the_next_start(gate, client, prompt, who):
    assert client.chat(AZURE, f"{prompt} before").status == 200
    if who == "all":
        # With every process gone, what was on its way from a worker to the shipper is gone too.
        gate.event(f"{prompt} before")
    children = descendants_of(gate.daemon.pid)
    os.kill(gate.daemon.pid, signal.SIGKILL)
    if who == "all":
        for pid in children:
            os.kill(pid, signal.SIGKILL)
    gate.daemon.wait()
    wait_for(lambda: not [p for p in children if os.path.exists(f"/proc/{p}")], "end of the children", 60)
    gate.start_daemon()
    assert client.chat(AZURE, f"{prompt} after").status == 200
    gate.wait_events(2, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    assert gate.daemon.stop() == 0
    assert kernel_leftovers(gate) == []


def test_a_second_instance_is_refused(lab, gate, client, prompt):
    second = Process("second", [lab.program("sallyportd"), "--config", gate.config_path],
                     gate.directory, gate.namespace)
    assert second.wait() != 0
    assert "run" in second.log()
    assert client.chat(AZURE, prompt).status == 200


def test_children_end_with_the_daemon(gate):
    pids = children_of(gate.daemon.pid)
    assert len(pids) == 6  # two workers, signer, shipper, scout, keeper
    gate.stop()
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]


@pytest.mark.parametrize("changes, named", [
    ({"datapath": {"inside": "nosuch0"}}, "nosuch0"),
    ({"tls": {"ca_key": "/nonexistent/ca.key"}}, "/nonexistent/ca.key"),
    ({"tls": {"origin_roots": ["/nonexistent/root.pem"]}}, "/nonexistent/root.pem"),
    ({"hosts": []}, "hosts"),
    ({"unknown": 1}, "unknown"),
    ({"datapath": {"inside": "nosuch0", "xdp": "perhaps"}}, "xdp"),
])
def test_a_start_that_cannot_work_says_why(lab, appliance, changes, named):
    gate = appliance(changes, start=False)
    gate.write_config()
    gate.make_ca()
    started = Process("refused", [lab.program("sallyportd"), "--config", gate.config_path],
                      gate.directory, gate.namespace)
    assert started.wait(60) != 0
    assert named in started.log()
    assert gate.config_path in started.log()
    assert kernel_leftovers(gate) == []


def test_an_occupied_port_is_said(lab, appliance):
    gate = appliance(start=False)
    gate.write_config()
    gate.make_ca()
    with gate.namespace.inside():
        taken = socket.create_server(("127.0.0.1", 15100))
    with taken:
        started = Process("refused", [lab.program("sallyportd"), "--config", gate.config_path],
                          gate.directory, gate.namespace)
        assert started.wait(60) != 0
    assert "15100" in started.log()
    assert kernel_leftovers(gate) == []

