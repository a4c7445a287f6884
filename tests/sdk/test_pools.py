# SPDX-License-Identifier: GPL-2.0-or-later
"""The official client at its default settings, while regions of the pool behind it fail: no call of it
fails as long as another region is alive."""

import json
import os
import threading

import pytest

from lab.process import wait_for
from lab.regions import POOL, Regions

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture
def regions(lab, request):
    with Regions(lab, f"sdk-{request.node.callspec.id}-") as made:
        yield made


@pytest.fixture
def gate(lab, regions):
    gate = lab.appliance()
    gate.write_config(regions.config(gate, pool={"out_time": "500ms", "first_output_timeout": "1s"}))
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def killed(regions):
    regions.east.down()
    yield
    regions.east.up()


def meeting(**knobs):
    def trouble(regions):
        regions.east.meets(**knobs)
        regions.west.meets(**knobs)
        yield
        regions.west.meets()

    return trouble


TROUBLES = {
    "killed": killed,
    "throttled": meeting(status=429, retry_after=1),
    "failing": meeting(status=503),
    "brown-out": meeting(delay_ms=30000),
    "error-in-stream": meeting(error_after=0),
    "reset": meeting(answer="none"),
    "dead-key": meeting(status=401),
}


@pytest.mark.parametrize("dialect", ["azure", "azure-v1"])
@pytest.mark.parametrize("trouble", TROUBLES)
def test_no_call_fails(lab, regions, gate, dialect, trouble):
    got = {}

    def run():
        environment = {**os.environ, "NODE_EXTRA_CA_CERTS": gate.ca_path}
        done = lab.network.client.run(
            "node", os.path.join(HERE, "chat.mjs"), dialect, POOL, "many", env=environment)
        got.update(json.loads(done.stdout))

    calls = threading.Thread(target=run)
    calls.start()
    try:
        wait_for(lambda: regions.count() > 30, "the first calls", seconds=60)
        made = TROUBLES[trouble](regions)
        next(made)
        wait_for(lambda: regions.count() > 90 or not calls.is_alive(), "calls in trouble", seconds=60)
        next(made, None)
    finally:
        calls.join()
    assert got == {"answered": 160, "wrong": [], "failed": []}
    # Not because the client tried again: it got an answer each time.
    events = gate.wait_for_events(
        lambda events: len(events) >= 160, lambda e: "many " in e.get("gen_ai.input.messages", ""))
    assert len(events) == 160
    assert {event["event.outcome"] for event in events} == {"success"}
    # Of what an origin that is killed has taken, the last may be written down nowhere.
    unknown = sum("status" not in made for event in events for made in json.loads(event.get("attempts.made", "[]")))
    told = sum(event["attempts"] for event in events)
    if trouble == "killed":
        assert told - unknown <= regions.count() <= told
    else:
        assert told == regions.count()
