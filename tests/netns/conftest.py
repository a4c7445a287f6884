# SPDX-License-Identifier: GPL-2.0-or-later
import os
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import pytest  # noqa: E402

from lab import Lab  # noqa: E402


def interrupt(number, frame):
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def lab():
    # Being told to end is no reason to leave anything behind.
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGHUP, interrupt)
    with Lab() as raised:
        yield raised


@pytest.fixture(scope="session")
def standing(lab):
    """One appliance with the default configuration, for all tests that change nothing of it."""
    appliance = lab.appliance(name="standing")
    try:
        yield appliance.start()
        appliance.stop()
    finally:
        appliance.close()


@pytest.fixture
def origin(lab):
    lab.origin.forget()
    return lab.origin
