# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in force, as sallyport status and metrics tell it."""

import contextlib
import json
import socket

from lab import exposition, network
from lab.process import wait_for

DENIED = network.OTHER_CLIENTS[2]


def status(gate):
    done = gate.cli("status", "--config", gate.running_path, "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def test_admission_and_fail_modes_in_force_are_told(lab, appliance):
    # Given an appliance that fails open, and lets one client not in
    gate = appliance({
        "datapath": {"fail": "open"},
        "admission": {"allow": ["10.0.0.0/8", "fd00::/16"], "deny": [DENIED + "/32"],
                      "syn_rate": 50, "syn_burst": 200, "connections": 300},
    })
    with lab.network.client.inside():
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sender:
        sender.bind((DENIED, 0))
        for _ in range(7):
            with contextlib.suppress(ConnectionRefusedError):
                sender.sendto(b"x", (network.OTHER, 9))

    def refused():
        found = [one for one in status(gate)[1]["sources"] if one["address"] == DENIED]
        return found and found[0]["drops"]["denied"] == 7

    wait_for(refused, lambda: f"7 drops of {DENIED}: {status(gate)[1]['sources']}")
    code, told = status(gate)
    assert code == 0 and told["inspecting"] and told["fail"] == "open"
    beats = told["kernel"]["heartbeats"]
    assert len(beats["worker_age_ns"]) == told["kernel"]["alive"] == 2
    assert all(age < beats["timeout_ns"] for age in (*beats["worker_age_ns"], beats["scout_age_ns"]))
    admission = told["admission"]
    assert admission["in_force"] and admission["connections"] == 300
    assert admission["syn_interval_ns"] == 20_000_000
    assert admission["syn_burst_ns"] == 200 * 20_000_000
    rules = {row["prefix"]: row["rule"] for row in admission["prefixes"]}
    assert rules.pop("::/0") == "deny"  # whoever is not allowed
    assert rules == {"10.0.0.0/8": "allow", "fd00::/16": "allow", DENIED: "deny"}
    text = gate.cli("status", "--config", gate.running_path).stdout
    assert "\n  fail       open" in text
    assert "\n  50 SYNs per second and source, 200 at once\n  300 connections per source\n" in text
    assert f"\n  {DENIED:<40} deny\n" in text
    assert "dropped 7 denied" in text

    families = exposition.parse(gate.cli("metrics", "--config", gate.running_path).stdout)
    assert families["sallyport_fail_mode"].values("mode") == {"closed": 0, "open": 1}
    timeout = families["sallyport_heartbeat_timeout_seconds"].value()
    assert timeout == beats["timeout_ns"] / 1e9 > 0
    for worker, age in families["sallyport_worker_heartbeat_age_seconds"].values("worker").items():
        assert worker in ("0", "1") and age < timeout
    assert families["sallyport_scout_heartbeat_age_seconds"].value() < timeout
    assert families["sallyport_admission_in_force"].value() == 1
    assert families["sallyport_admission_prefixes"].values("rule") == {"allow": 2, "deny": 2}
    assert families["sallyport_source_drops_total"].value(address=DENIED, reason="denied") == 7

    # When it is stopped, nothing is in force
    gate.stop()
    code, told = status(gate)
    assert code == 1 and not told["inspecting"] and not told["kernel"]["pinned"]
    assert not told["admission"]["in_force"]
