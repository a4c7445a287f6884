# SPDX-License-Identifier: GPL-2.0-or-later
"""Kills of workers, shipper, collector and index at random points, for SOAK_SECONDS (600), with SOAK_SEED,
and a collector that is away for a while: each call has one event, and the store is whole."""

import os
import time

from lab.appliance import AZURE
from lab.kills import Kills, assert_whole
from lab.load import Load
from lab.process import wait_for

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
SEED = int(os.environ.get("SOAK_SEED", "0")) or int(time.time())


def test_nothing_lost(lab):
    print(f"SOAK_SEED={SEED}")
    gate = lab.appliance({"accounting": {"summary_interval": "1d"}})
    try:
        gate.start()
        kills = Kills(gate, SEED)
        end = time.monotonic() + SECONDS
        with Load(lab.client(gate), AZURE, "soak") as load:
            while time.monotonic() < end:
                wait_for(load.more(1 + kills.chance.randrange(40)), "calls")
                if kills.chance.random() < 0.1:
                    gate.collector.kill()
                    time.sleep(kills.chance.random() * 10)
                    gate.start_collector()
                kills.one()
            wait_for(load.more(20), "calls after the last kill")
        load.assert_recorded(gate)
        assert_whole(gate)
        gate.stop()
    finally:
        gate.close()
