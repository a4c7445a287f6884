# SPDX-License-Identifier: GPL-2.0-or-later
"""Random troubles of two of three regions at random times, for SOAK_SECONDS (600), with SOAK_SEED: no call
fails, each has one event, the attempts in the events are those that the origins saw, and nothing leaks."""

import json
import os
import random
import time

import pytest

from lab.appliance import status
from lab.load import Load
from lab.process import wait_for
from lab.regions import POOL, Regions

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or int(time.time())

# All of them before the first output: what comes after it cannot be mended.
TROUBLES = [
    {"status": 429, "retry_after": 1}, {"status": 429, "retry_after": 3}, {"status": 500}, {"status": 503},
    {"status": 401}, {"status": 403}, {"answer": "none"}, {"delay_ms": 5000}, {"error_after": 0},
    {"cut_after": 0}, {"stall_after": 0}, {}, {}, {}, {},
]


@pytest.fixture(scope="module")
def regions(lab):
    with Regions(lab, "soak-") as made:
        yield made


@pytest.fixture(scope="module")
def gate(lab, regions):
    gate = lab.appliance()
    gate.write_config(regions.config(gate, pool={"out_time": "1s", "first_output_timeout": "1s"}))
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def held(gate):
    """Descriptors and KiB of each worker."""
    workers = gate.children("worker")
    return {pid: (len(os.listdir(f"/proc/{pid}/fd")), int(status(pid)["VmRSS"].split()[0])) for pid in workers}


def trouble(chance, regions):
    """North is well always, so that somebody is."""
    region = chance.choice([regions.east, regions.west])
    if region.origin not in region.lab.origins:
        region.up()
    elif chance.random() < 0.15:
        region.down()
    else:
        region.meets(**chance.choice(TROUBLES))


def test_soak(lab, regions, gate):
    chance = random.Random(SEED)
    print(f"SOAK_SEED={SEED}")
    client = lab.client(gate)
    end = time.monotonic() + SECONDS
    with Load(client, POOL, "warm", threads=4) as load:
        wait_for(load.more(200), "the first calls")
    before = held(gate)
    with Load(client, POOL, "soak", threads=4) as load:
        while time.monotonic() < end:
            trouble(chance, regions)
            time.sleep(chance.random() * 2)
    for region in (regions.east, regions.west):
        region.meets()
    load.assert_nothing_failed()
    load.assert_recorded(gate)
    events = [e for e in gate.events() if e.get("event.kind") == "exchange"]
    # Of what an origin that is killed has taken, the last may be written down nowhere.
    told = sum(event["attempts"] for event in events)
    unknown = sum("status" not in made and made["connected"]
                  for event in events for made in json.loads(event.get("attempts.made", "[]")))
    assert told - unknown <= regions.count() <= told
    assert {event["event.outcome"] for event in events} == {"success"}
    after = held(gate)
    assert after.keys() == before.keys()  # none has died
    for pid, (descriptors, kib) in after.items():
        assert descriptors < before[pid][0] + 64
        assert kib < before[pid][1] + 32768
