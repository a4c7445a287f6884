# SPDX-License-Identifier: GPL-2.0-or-later
"""The same image as a collector alone (appliance/azure/user-data-collector.yaml), whose power is cut while an
appliance sends: what was acknowledged is there."""

import json
import threading

import pytest

from lab import network
from lab.appliance import AZURE
from lab.process import wait_for
from machine import BOOT_SECONDS, Machine, azure_user_data

MAC = "52:54:00:5a:11:02"
ADDRESS = "10.202.0.50"
NETWORK = f"""\
version: 2
ethernets:
  eth0:
    match: {{macaddress: "{MAC}"}}
    addresses: [{ADDRESS}/24]
    routes: [{{to: 0.0.0.0/0, via: {network.DNS}}}]
"""
KEY = "a-key-that-both-sides-have-and-prove"


@pytest.fixture
def machine(lab):
    made = Machine(lab, "collecting", ADDRESS, {MAC: "outside"})
    # The appliance of this test is no machine of its own
    lab.network.appliance.ip("addr", "add", network.OUTSIDE + "/24", "dev", "br-outside")
    try:
        made.seed_with(NETWORK, azure_user_data("user-data-collector.yaml",
                                                {"@COLLECTOR@": ADDRESS, "@COLLECTOR_KEY@": KEY}))
        made.start()
        yield made
    finally:
        made.close()
        lab.network.appliance.ip("addr", "replace", network.OUTSIDE + "/24", "dev", network.OUTSIDE_INTERFACE)


def stored(machine):
    done = machine.ssh("sudo sallyport events --json --limit 0")
    return [json.dumps(json.loads(line)) for line in done.stdout.splitlines()]


def test_a_collector_whose_power_is_cut_has_what_it_acknowledged(lab, machine, appliance, prompt):
    gate = appliance(start=False)
    key = gate.secret("collector.key", KEY + "\n")
    gate.write_config({"audit": {"collector": ADDRESS + ":24224", "collector_key_file": key}})
    gate.make_ca()
    machine.wait_good()
    gate.start_daemon()
    client = lab.client(gate)
    answered = []
    end = threading.Event()

    def calls():
        while not end.is_set():
            client.chat(AZURE, f"<{len(answered)}> of {prompt}")
            answered.append(len(answered))

    thread = threading.Thread(target=calls)
    thread.start()
    try:
        # When the power is cut in the middle of it
        wait_for(lambda: gate.counters()["forward.acknowledged"] >= 20, lambda: str(gate.counters()), BOOT_SECONDS)
        machine.cut()
    finally:
        end.set()
        thread.join(120)
    # Then nothing is missing, and nothing is there twice: what was not acknowledged is sent again
    machine.start()
    machine.wait_good()
    wait_for(lambda: gate.status()["record"]["waiting_events"] == 0, lambda: str(gate.status()["record"]), BOOT_SECONDS,
             every=1)
    found = stored(machine)
    for i in answered:
        assert sum(f"<{i}> of " in one for one in found) == 1, (i, len(answered), len(found))
    assert machine.ssh("systemctl is-enabled sallyportd", check=False).stdout == "masked\n"
    # And the store has the room of the disk
    assert int(machine.ssh("df -k --output=size /data | tail -n 1").stdout) > 3 << 20
