# SPDX-License-Identifier: GPL-2.0-or-later
"""What the end-to-end tests are given, here and in tests/sdk."""

import signal

import pytest

from lab import Lab
from lab.appliance import confined


def _interrupt(number, frame):
    raise KeyboardInterrupt


@pytest.fixture(scope="session")
def lab():
    # Being told to end is no reason to leave anything behind.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    with Lab() as raised:
        yield raised


@pytest.fixture(scope="module")
def standing(lab):
    """One appliance with the default configuration, for all tests of a file that change nothing
    of it; as systemd would start it."""
    appliance = lab.appliance()
    appliance.before = confined()
    try:
        yield appliance.start()
        appliance.stop()
    finally:
        appliance.close()


@pytest.fixture
def appliance(lab):
    """Makes appliances of one test: appliance(changes) is configured and started."""
    made = []

    def make(changes=None, start=True):
        made.append(lab.appliance(changes))
        return made[-1].start() if start else made[-1]

    try:
        yield make
    finally:
        for one in made:
            one.close()


@pytest.fixture
def origin(lab):
    """The origin, with a journal that begins with the test."""
    lab.origin.forget()
    return lab.origin


@pytest.fixture
def client(lab, gate):
    """A client of the gate that the test's file makes."""
    return lab.client(gate)


@pytest.fixture
def prompt(request):
    """Of this test alone, so that its events are found."""
    return f"prompt of {request.node.name}."
