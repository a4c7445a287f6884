# SPDX-License-Identifier: GPL-2.0-or-later
"""Two appliances in two network namespaces of one host, with one BPF file system."""

import os

import pytest

from lab import Lab
from lab.appliance import AZURE
from lab.load import Load
from lab.process import Process, wait_for
from test_processes import kernel_leftovers


@pytest.fixture(scope="module")
def other_lab(lab):
    """Client, gate and origin once more, with the same addresses in other namespaces."""
    with Lab() as raised:
        yield raised


@pytest.fixture
def gates(lab, other_lab):
    """Not started: the gate of each lab, and its client."""
    learning = {"endpoints": {"learn": "dns+sni"}}
    one, other = lab.appliance(learning), other_lab.appliance(learning)
    other.bpf_directory = os.path.join(lab.bpf_directory, "other")
    other.write_config({"datapath": {"bpf_directory": other.bpf_directory}})
    try:
        yield one, other
    finally:
        other.close()
        one.close()


@pytest.fixture
def running(gates, lab, other_lab):
    one, other = gates
    return one.start(), other.start(), lab.client(one), other_lab.client(other)


def counted(gate):
    """What the daemon and the kernel count of calls; a gate without any does not change it."""
    counters = gate.counters()
    names = ("client.accepted", "exchange.started", "audit.recorded", "signer.minted", "reload.done",
             "upgrade.done", "process.started", "process.died")
    return {name: counters[name] for name in names}


def test_each_sees_its_own_calls(running, prompt):
    one, other, client, other_client = running
    before = counted(other)
    for i in range(3):
        assert client.chat(AZURE, f"{prompt} one {i}").status == 200
    assert counted(other) == before
    assert other_client.chat(AZURE, f"{prompt} other").status == 200
    one.wait_events(3, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    other.wait_events(1, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    assert counted(one)["exchange.started"] == 3
    assert counted(other)["exchange.started"] == 1


def test_reload_and_upgrade_of_one_leave_the_other_alone(running, prompt):
    one, other, client, other_client = running
    assert other_client.chat(AZURE, f"{prompt} other").status == 200
    other.event(f"{prompt} other")
    before, workers = counted(other), other.children("worker")
    one.reload()
    one.cli("upgrade", "--config", one.config_path)
    assert client.chat(AZURE, f"{prompt} one").status == 200
    one.event(f"{prompt} one")
    assert counted(one)["upgrade.done"] == 1
    assert counted(other) == before
    assert other.children("worker") == workers


def test_a_stop_of_one_leaves_the_other_alone(running, prompt):
    one, other, client, other_client = running
    with Load(other_client, AZURE, prompt) as load:
        wait_for(load.more(20), "calls")
        assert one.daemon.stop() == 0
        assert kernel_leftovers(one) == []
        wait_for(load.more(20), "calls after the stop of the other")
        one.start_daemon()
        wait_for(load.more(20), "calls after its start")
    load.assert_nothing_failed()
    load.assert_recorded(other)
    assert client.chat(AZURE, f"{prompt} one").status == 200
    one.event(f"{prompt} one")
    one.stop()
    other.stop()
    assert kernel_leftovers(other) == []


def test_a_kill_of_one_leaves_the_other_alone(running, prompt):
    one, other, client, other_client = running
    with Load(other_client, AZURE, prompt) as load:
        wait_for(load.more(20), "calls")
        one.daemon.kill()
        one.start_daemon()
        wait_for(load.more(20), "calls afterwards")
    load.assert_nothing_failed()
    load.assert_recorded(other)
    assert client.chat(AZURE, f"{prompt} one").status == 200


@pytest.mark.parametrize("section, key, reason", [
    ("datapath", "bpf_directory", "belongs to another running appliance"),
    ("appliance", "run_directory", "another sallyportd (pid"),
])
def test_what_they_cannot_share_is_refused(other_lab, gates, lab, prompt, section, key, reason):
    one, other = gates
    one.start()
    other.write_config({section: {key: one.config[section][key]}})
    other.make_ca()
    started = Process("refused", [other_lab.program("sallyportd"), "--config", other.config_path],
                      other.directory, other.namespace)
    assert started.wait(60) != 0
    assert reason in started.log()
    assert lab.client(one).chat(AZURE, prompt).status == 200
    one.event(prompt)
