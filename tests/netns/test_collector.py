# SPDX-License-Identifier: GPL-2.0-or-later
"""The collector in trouble: what was acknowledged is stored once, what was not comes again."""

import glob
import json
import os

from lab.appliance import AZURE, about
from lab.kills import Kills, assert_whole
from lab.load import Load
from lab.process import Process, wait_for

SEED = 20261129


def test_killed_at_random_points(appliance, lab, prompt):
    gate = appliance({"accounting": {"summary_interval": "1d"}})
    kills = Kills(gate, SEED)
    with Load(lab.client(gate), AZURE, prompt) as load:
        for _ in range(14):
            wait_for(load.more(1 + kills.chance.randrange(12)), "calls")
            kills.one()
        wait_for(load.more(20), "calls after the last kill")
    assert set(kills.done) == {"worker", "shipper", "index", "collector"}
    load.assert_recorded(gate)
    assert_whole(gate)


def test_a_full_disk_loses_nothing(appliance, lab, prompt):
    """The store has three MiB, in a mount of its own; then it gets more."""
    gate = appliance({"audit": {"content_max": "64KiB"}, "accounting": {"summary_interval": "1d"}}, start=False)
    gate.write_config()
    gate.make_ca()
    os.makedirs(gate.store_path, mode=0o700)
    gate.collector = Process(
        "collector",
        ["unshare", "-m", "sh", "-ec",
         'mount -t tmpfs -o size=3m,mode=700 tmpfs "$1"; shift; exec "$@"', "sh", gate.store_path,
         lab.program("sallyport-collector"), "--store", gate.store_path, "--socket", gate.socket_path,
         "--user", "64103"],
        gate.directory, gate.namespace)
    gate.collector.wait_for_log("listening")
    gate.start_daemon()
    client = lab.client(gate)

    def inside(*argv):
        return gate.namespace.run("nsenter", "-m", "-t", str(gate.collector.pid), *argv, check=False)

    n = 60
    for i in range(n):  # 60 × 60 KB of what does not pack
        noise = os.urandom(22000).hex()
        assert client.chat(AZURE, f"{prompt} {i:02} {noise}").status == 200
    wait_for(lambda: "full" in gate.collector.log(), "the store that is full", 60)
    assert inside("mount", "-o", "remount,size=200m", gate.store_path).returncode == 0

    def stored():
        done = inside(lab.program("sallyport"), "events", "--store", gate.store_path, "--json", "--limit", "0")
        return len(done.stdout.splitlines()) if done.returncode == 0 else 0

    wait_for(lambda: stored() >= n, lambda: f"events; there are {stored()}: {gate.logs()}", 60, every=0.5)
    assert stored() == n
    verified = inside(lab.program("sallyport"), "audit", "verify", "--store", gate.store_path)
    assert verified.returncode == 0, verified.stdout


def test_a_damaged_day_is_set_aside_and_named(appliance, lab, prompt):
    gate = appliance({"accounting": {"summary_interval": "1d"}})
    client = lab.client(gate)
    for i in range(30):
        assert client.chat(AZURE, f"{prompt} {i:02}").status == 200
    gate.wait_events(30, lambda event: about(event, prompt))
    gate.collector.stop()  # in order, so that nothing is in a log beside the file
    (day,) = glob.glob(os.path.join(gate.store_path, "20*.db"))
    with open(day, "r+b") as file:
        size = os.path.getsize(day)
        file.seek(4096)
        file.write(os.urandom(max(size, 8192) - 4096))
    assert not glob.glob(day + "-*")
    gate.start_collector()
    for i in range(30, 40):
        assert client.chat(AZURE, f"{prompt} {i:02}").status == 200
    wait_for(lambda: glob.glob(day + ".damaged-*"), "the damaged file under another name", 60)
    gate.wait_events(10, lambda event: about(event, prompt))
    verified = gate.cli("audit", "verify", "--store", gate.store_path, check=False)
    assert verified.returncode == 1
    assert "it was damaged and set aside" in verified.stdout, verified.stdout


def test_another_collector_takes_over(appliance, lab, prompt):
    """Two of them, over TCP: the one that is there takes the events, and none is lost or there twice."""
    gate = appliance({"accounting": {"summary_interval": "1d"}}, start=False)
    key = gate.secret("collector.key", "a-key-of-all\n")
    gate.collector_options = ["--listen", "127.0.0.1:24224", "--key-file", key]
    gate.write_config({"audit": {"collector": "127.0.0.1:24224", "collector_others": ["127.0.0.1:24225"],
                                 "collector_key_file": key}})
    gate.make_ca()
    store = os.path.join(gate.directory, "second.db")

    def second():
        made = Process("second", [lab.program("sallyport-collector"), "--store", store, "--socket",
                                  gate.socket_path + "-2", "--listen", "127.0.0.1:24225", "--key-file", key],
                       gate.directory, gate.namespace)
        made.wait_for_log("listening")
        return made

    def in_second():
        done = gate.cli("events", "--store", store, "--json", "--limit", "0", check=False)
        return [json.loads(line)["event.id"] for line in done.stdout.splitlines()]

    def in_first():
        return [event["event.id"] for event in gate.events()]

    def calls(client, first, last):
        for i in range(first, last):
            assert client.chat(AZURE, f"{prompt} {i:02}").status == 200

    other = None
    try:
        other = second()
        gate.start_daemon()
        client = lab.client(gate)
        calls(client, 0, 10)
        wait_for(lambda: len(in_second()) == 10, "events in the second, while there is no first", 60)
        gate.start_collector()
        calls(client, 10, 20)
        wait_for(lambda: len(in_second()) == 20, "events in the second, which has not failed", 60)
        other.kill()
        calls(client, 20, 30)
        wait_for(lambda: len(in_first()) == 10, "events in the first", 60)
        gate.collector.kill()
        calls(client, 30, 35)
        other = second()
        wait_for(lambda: len(in_second()) == 25, "events that waited, in the second", 60)
        assert len({*in_first(), *in_second()}) == len(in_first()) + len(in_second()) == 35
    finally:
        if other:
            other.kill()
