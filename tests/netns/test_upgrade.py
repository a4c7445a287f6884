# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is replaced by another program while it runs."""

import os
import shutil
import signal
import threading

import pytest

from lab import network
from lab.appliance import AZURE
from lab.client import azure_path, chat_body
from lab.load import Load
from lab.process import descendants_of, wait_for
from test_processes import Background, kernel_leftovers, killed, slow_stream


@pytest.fixture
def prompt(request):
    return f"prompt of {request.node.name}."


class Installed:
    """A gate whose daemon is a file of its own, so that a test can put another in its place."""

    def __init__(self, lab, appliance, changes=None):
        self.lab = lab
        self.gate = appliance(changes, start=False)
        self.path = os.path.join(self.gate.directory, "sallyportd")
        self.gate.daemon_path = self.path
        self.install()
        self.gate.start()

    def install(self, content=None):
        """Puts a program there as a package manager does: a new file of the same name. None: the
        one that was built."""
        new = self.path + ".new"
        if content is None:
            shutil.copy(self.lab.program("sallyportd"), new)
        else:
            with open(new, "wb") as file:
                file.write(content)
            os.chmod(new, 0o755)
        os.rename(new, self.path)

    def upgrade(self, check=True):
        return self.gate.cli("upgrade", "--config", self.gate.config_path, check=check)

    def refused(self, reason):
        """An upgrade that leaves everything as it was."""
        before = descendants_of(self.gate.daemon.pid)
        count = self.gate.counters()["upgrade.refused"]
        done = self.upgrade(check=False)
        assert done.returncode == 1, done
        assert reason in done.stderr, done
        assert descendants_of(self.gate.daemon.pid) == before
        return self.gate.counters()["upgrade.refused"] - count


@pytest.fixture
def installed(lab, appliance):
    return Installed(lab, appliance)


@pytest.fixture
def gate(installed):
    return installed.gate


@pytest.fixture
def client(lab, gate):
    return lab.client(gate)


def workers_replaced(gate, before):
    now = set(gate.children("worker"))
    return now and not now & set(before)


def test_an_upgrade_takes_over(installed, gate, client, prompt):
    before = gate.children("worker")
    installed.install()
    done = installed.upgrade()
    assert f"has taken over (pid {gate.daemon.pid})" in done.stdout
    wait_for(lambda: workers_replaced(gate, before), "end of the old workers")
    assert os.readlink(f"/proc/{gate.daemon.pid}/exe") == installed.path
    assert client.chat(AZURE, prompt).status == 200
    assert gate.event(prompt)
