# SPDX-License-Identifier: GPL-2.0-or-later
"""What is in force, as sallyport status and metrics tell it."""

import contextlib
import json
import socket
import threading

import pytest

from lab import exposition, network
from lab.appliance import AZURE, about
from lab.process import wait_for
from test_audit import without_collector

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


def record_metrics(gate):
    families = exposition.parse(gate.cli("metrics", "--config", gate.config_path).stdout)
    return {name[len("sallyport_record"):].lstrip("_"): family.value()
            for name, family in families.items()
            if name.startswith("sallyport_record")}


def test_whether_the_record_arrives(lab, appliance, prompt):
    """Without a collector events wait, and that is told; a spool that is full is a failure."""
    gate = without_collector(appliance, when_full="block")
    client = lab.client(gate)
    for i in range(3):
        assert client.chat(AZURE, f"{prompt} {i}").status == 200

    def record():
        return gate.status().get("record", {})

    wait_for(lambda: record().get("waiting_events") == 3, lambda: f"3 events: {record()}")
    assert not record()["connected"] and not record()["blocked"]
    assert record()["waiting_bytes"] > 1000 and record()["oldest_age_ns"] > 0
    done = gate.cli("status", "--config", gate.config_path)  # exit status 0: nothing is lost
    assert "\nRecord: waits\n" in done.stdout and "not connected\n" in done.stdout
    # A shipper that is killed has nothing more, and nothing less, to tell.
    (shipper,) = gate.children("shipper")
    lab.network.appliance.run("kill", "-9", str(shipper))
    wait_for(lambda: gate.children("shipper") not in ([], [shipper]), "the next shipper")
    wait_for(lambda: record().get("waiting_events") == 3, lambda: f"3 events: {record()}")

    thread = threading.Thread(
        target=lambda: [client.chat(AZURE, f"{prompt} more {i:03} " + "x" * 10000) for i in range(150)])
    thread.start()
    try:
        wait_for(lambda: record().get("blocked"), lambda: f"a full spool: {record()}", 60)
        done = gate.cli("status", "--config", gate.config_path, check=False)
        assert done.returncode == 1
        assert "sallyport status: new calls are not recorded: the spool" in done.stderr
        told = record_metrics(gate)
        assert told["ing"] == 0 and told["blocked"] == 1 and told["connected"] == 0
        assert told["waiting_events"] > 3 and told["oldest_age_seconds"] > 0
        assert told["spool_bytes"] <= told["spool_limit_bytes"] == 1 << 20
        top = gate.cli("top", "--config", gate.config_path, "--once", "--interval", "0.1").stdout
        assert top.startswith("inspected; record: BLOCKED; ")
    finally:
        gate.start_collector()
        thread.join(120)
    gate.wait_events(153, lambda event: about(event, prompt))
    wait_for(lambda: record()["connected"] and not record()["waiting_events"], lambda: str(record()))
    assert gate.cli("status", "--config", gate.config_path).returncode == 0
    assert record_metrics(gate)["ing"] == 1


def test_who_looks_goes_by_what_runs(standing):
    good = open(standing.config_path, encoding="utf-8").read()
    try:
        with open(standing.config_path, "w", encoding="utf-8") as file:
            file.write("datapath: {insid: x}\n")
        for command in ("status", "sources", "metrics", ("top", "--once", "--interval", "0.1")):
            words = (command,) if isinstance(command, str) else command
            done = standing.cli(words[0], "--config", standing.config_path, *words[1:], check=False)
            if "run_directory" in standing.config["appliance"]:
                # The file does not even tell where the daemon runs.
                assert done.returncode == 1, done
                assert f"sallyport {words[0]}: {standing.config_path}:1: datapath.insid: " in done.stderr
        broken = json.loads(good)
        broken["datapath"]["xdp"] = "fast"
        with open(standing.config_path, "w", encoding="utf-8") as file:
            json.dump(broken, file)
        for command in ("status", "sources", "metrics", ("top", "--once", "--interval", "0.1")):
            words = (command,) if isinstance(command, str) else command
            done = standing.cli(words[0], "--config", standing.config_path, *words[1:])
            assert f"sallyport {words[0]}: {standing.config_path}:1: datapath.xdp: expected auto" in done.stderr
            assert done.stdout
    finally:
        with open(standing.config_path, "w", encoding="utf-8") as file:
            file.write(good)
    assert standing.cli("status", "--config", standing.config_path).stderr == ""


@pytest.mark.parametrize("command", ["status", "sources", "metrics", "version", "check", "--help", "help"])
def test_output_that_cannot_be_written_is_a_failure(standing, command):
    options = "" if command in ("version", "--help", "help") else f" --config {standing.config_path}"
    if command == "check":
        options = f" {standing.config_path}"
    program = standing.lab.program("sallyport")
    done = standing.namespace.run("sh", "-c", f"{program} {command}{options} >/dev/full", check=False)
    assert done.returncode == 1 and "written" in done.stderr, done
