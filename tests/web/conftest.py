# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from store import Collector  # noqa: E402


@pytest.fixture
def collector(tmp_path):
    """Starts collectors, which are ended with the test."""
    started = []

    def start(*options):
        directory = tmp_path / str(len(started))
        directory.mkdir()
        started.append(Collector(directory, *options))
        return started[-1]

    yield start
    for one in started:
        one.close()
