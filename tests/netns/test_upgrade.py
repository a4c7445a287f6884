# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon is replaced by another program while it runs."""

import collections
import json
import os
import shutil
import signal
import threading
import time

import pytest

from lab import network
from lab.appliance import AZURE, USERS
from lab.load import Load
from lab.process import descendants_of, wait_for
from test_processes import kernel_leftovers, killed, slow_stream


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
        """Runs the command; self.notified is what the daemon told the service manager."""
        self.gate.notifications()
        done = self.gate.cli("upgrade", "--config", self.gate.config_path, check=check)
        self.notified = self.gate.notifications()
        return done

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


def workers_replaced(gate, before):
    now = set(gate.children("worker"))
    return now and not now & set(before)


def test_an_upgrade_takes_over(installed, gate, client, prompt):
    before = gate.children("worker")
    installed.install()
    done = installed.upgrade()
    assert f"has taken over (pid {gate.daemon.pid})" in done.stdout
    assert "RELOADING=1" in installed.notified[0]
    # The command may see the end a little before the service manager.
    wait_for(lambda: "READY=1" in installed.notified[-1] or gate.notifications(), "readiness")
    wait_for(lambda: workers_replaced(gate, before), "end of the old workers")
    assert os.readlink(f"/proc/{gate.daemon.pid}/exe") == installed.path
    assert client.chat(AZURE, prompt).status == 200
    assert gate.event(prompt)


def test_what_is_open_goes_on(installed, gate, client, origin, prompt):
    stream = slow_stream(client, f"{prompt} streamed", events=200)
    origin.request("slow")
    with client.tls(AZURE) as kept:
        assert client.chat(AZURE, f"{prompt} kept 1", connection=kept).status == 200
        before = gate.children("worker")
        installed.install()
        installed.upgrade()
        assert not stream.done(), "the stream is to outlive the upgrade"
        # Draining, it is answered and told to go.
        last = client.chat(AZURE, f"{prompt} kept 2", connection=kept)
        assert last.status == 200 and last.header("connection") == "close"
    got = stream.join()
    assert got.body.endswith(b"data: [DONE]\n\n")
    assert got.text().endswith(" t199")
    assert gate.event(f"{prompt} streamed")["gen_ai.usage.output_tokens"] == 200
    gate.event(f"{prompt} kept 1")
    gate.event(f"{prompt} kept 2")
    gate.assert_no_gaps()
    wait_for(lambda: workers_replaced(gate, before), "end of the old workers")


def test_upgrades_under_load_cut_nothing(installed, gate, client, prompt):
    signer = gate.children("signer")
    with Load(client, AZURE, prompt) as load:
        for _ in range(3):
            before = gate.children("worker")
            wait_for(load.more(20), "calls")
            installed.install()
            installed.upgrade()
            wait_for(lambda: workers_replaced(gate, before), "end of the old workers")
        wait_for(load.more(20), "calls after the last upgrade")
    load.assert_nothing_failed()
    load.assert_recorded(gate)
    wait_for(lambda: len(descendants_of(gate.daemon.pid)) == 6, "end of the old processes")
    assert not set(signer) & set(gate.children("signer"))
    # A life of the daemon, and every process of it with a number of its own.
    events = [event for event in gate.events() if prompt in event.get("gen_ai.input.messages", "")]
    assert len({event["event.epoch"] for event in events}) == 1
    assert len({event["event.stream"] for event in events}) == 8


def test_no_connection_is_refused_or_kept_waiting(installed, gate, client):
    """Handshakes as fast as they go: a SYN that is lost would come again after a second."""
    address, ending = client.address_of(AZURE), threading.Event()
    opened, failed = collections.Counter(), []

    def connect(source):
        while not ending.is_set():
            began = time.monotonic()
            try:
                client.tcp(address, source=source).close()
                opened[source] += 1
            except OSError as error:
                failed.append(repr(error))
            if time.monotonic() - began > 0.9:
                failed.append(f"{time.monotonic() - began:.1f} s")

    sources = [network.CLIENT, *network.OTHER_CLIENTS]
    threads = [threading.Thread(target=connect, args=(source,)) for source in sources]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            installed.upgrade()
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert min(opened[source] for source in sources) > 10


def all_counters(gate):
    """What only ever grows, by name: the daemon's and the kernel's."""
    status = json.loads(gate.cli("status", "--config", gate.running_path, "--json", "--all").stdout)
    found = {f"daemon {name}": n for name, n in status["counters"].items()}
    found |= {f"packets {name}": n for name, n in status["kernel"]["packets"].items()}
    for source in status["sources"]:
        found |= {f"{source['address']} {name}": n for name, n in source.items()
                  if isinstance(n, int) and not isinstance(n, bool)}
    return found


def test_no_counter_goes_back(installed, gate, client, prompt):
    for i in range(5):
        assert client.chat(AZURE, f"{prompt} {i}").status == 200
    gate.wait_events(5, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    before = all_counters(gate)
    assert before["daemon exchange.started"] == 5
    assert before[f"{network.CLIENT} packets"] > 0
    for _ in range(2):
        installed.install()
        installed.upgrade()
        after = all_counters(gate)
        assert {name: (n, after.get(name)) for name, n in before.items() if after.get(name, -1) < n} == {}
        before = after
    assert client.chat(AZURE, f"{prompt} last").status == 200
    gate.event(f"{prompt} last")
    after = all_counters(gate)
    assert after["daemon exchange.started"] == 6
    assert after["daemon upgrade.done"] == 2
    assert after["daemon process.died"] == 0


def patched(lab, *changes):
    """The program of another version, as far as it can be told from this one."""
    with open(lab.program("sallyportd"), "rb") as file:
        content = file.read()
    for old, new in changes:
        assert len(old) == len(new)
        assert content.count(old) >= 1, old
        content = content.replace(old, new)
    return content


def test_another_version_counts_on_in_a_table_of_its_own(lab, installed, gate, client, origin, prompt):
    for i in range(5):
        assert client.chat(AZURE, f"{prompt} {i}").status == 200
    stream = slow_stream(client, f"{prompt} streamed", events=300)
    origin.request("slow")
    gate.wait_events(5, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    before = gate.counters()
    for name in (b"signer.mint3d\0", b"signer.mint4d\0"):
        installed.install(patched(lab, (b"signer.minted\0", name)))
        installed.upgrade()
        after = gate.counters()
        lost = {name: n for name, n in before.items() if after.get(name, -1) < n}
        assert set(lost) <= {"signer.minted", "signer.mint3d"}
        before = after
    assert not stream.done(), "its worker counts in the table of two programs ago"
    stream.join()
    gate.event(f"{prompt} streamed")
    wait_for(lambda: gate.counters()["audit.recorded"] == 6, "the count of the old worker")
    assert gate.counters()["exchange.started"] == 6


def test_processes_that_cannot_start_leave_those_of_before(installed, gate, client, origin, prompt):
    """What the trial cannot see: the parent is the new one, and goes on with the old processes."""
    with open(gate.ca_key_path, "rb") as file:
        key = file.read()
    stream = slow_stream(client, f"{prompt} streamed")
    origin.request("slow")
    before = {role: gate.children(role) for role in USERS}
    gate.namespace.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", gate.ca_key_path)
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert "the processes of before go on" in done.stderr
    # Who was started for nothing ends; the shipper alone may have been replaced.
    del before["shipper"]
    wait_for(lambda: {role: gate.children(role) for role in before} == before, "those of before")
    assert client.chat(AZURE, f"{prompt} meanwhile").status == 200
    with open(gate.ca_key_path, "wb") as file:
        file.write(key)
    gate.reload()
    assert client.chat(AZURE, f"{prompt} afterwards").status == 200
    assert stream.join().text().endswith(" t59")
    gate.wait_events(3, lambda e: prompt in e.get("gen_ai.input.messages", ""))
    gate.assert_no_gaps()


def test_what_the_parent_itself_records_goes_on(lab, appliance, prompt):
    """Each parent has a stream of its own; also the shipper of before takes what the next writes."""
    installed = Installed(lab, appliance, {"accounting": {"summary_interval": "1s"}})
    gate, client = installed.gate, lab.client(installed.gate)

    def told(after):
        """The stream of source summaries that is newer than this one; None yet."""
        assert client.chat(AZURE, prompt).status == 200  # something new to be told
        streams = [e["event.stream"] for e in gate.events() if e["event.kind"] == "source.summary"]
        return max((stream for stream in streams if stream > after), default=None)

    first = wait_for(lambda: told(0), "a source summary")
    installed.upgrade()
    second = wait_for(lambda: told(first), "a source summary of the next parent")
    shipper = gate.children("shipper")
    gate.namespace.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", gate.ca_key_path)
    assert installed.upgrade(check=False).returncode == 1
    assert gate.children("shipper") == shipper
    wait_for(lambda: told(second), "a source summary by the shipper of before")
    gate.assert_no_gaps()


REFUSED = {
    "fails": (b"#!/bin/sh\nexit 7\n", "ended with status 7"),
    "another program": (b"#!/bin/sh\nexit 0\n", "did not say that it can take over"),
    "talks": (b"#!/bin/sh\necho no such thing here\nexit 1\n", "no such thing here"),
    "no program": (b"\x7fELFnonsense", "cannot run"),
    "hangs up": (b"#!/bin/sh\nkill -9 $$\n", "killed by signal 9"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_program_that_cannot_take_over_is_refused(installed, gate, client, prompt, case):
    content, reason = REFUSED[case]
    installed.install(content)
    assert installed.refused(reason) == 1
    assert "upgrade refused" in gate.daemon.log()
    # Also without a file of its program the old one can start its processes.
    killed(gate, "worker")
    assert client.chat(AZURE, prompt).status == 200
    gate.event(prompt)
    installed.install()
    installed.upgrade()
    assert client.chat(AZURE, f"{prompt} afterwards").status == 200


AGREES = b"""#!/bin/sh
for argument; do test "$argument" = --check-handover && echo takes over version 5 && %b exit 0; done
exit 1
"""


def test_what_was_tried_is_what_runs(installed, gate, client, prompt):
    """A package manager at work between the trial and the exec."""
    installed.install(AGREES % b'cp "$0" "$0.new" && mv "$0.new" "$0" &&')
    assert installed.refused("another program came in its place meanwhile") == 1
    assert client.chat(AZURE, prompt).status == 200


def test_a_program_that_promised_too_much_is_a_kill(installed, gate, client, origin, prompt):
    """Who is left drains, and the next start mends."""
    stream = slow_stream(client, f"{prompt} streamed")
    origin.request("slow")
    children = descendants_of(gate.daemon.pid)
    installed.install(AGREES % b"")
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert f"sallyportd (pid {gate.daemon.pid}) ended meanwhile" in done.stderr
    assert gate.daemon.wait() == 1
    installed.install()
    gate.start_daemon()
    assert client.chat(AZURE, f"{prompt} after").status == 200
    assert stream.join().text().endswith(" t59")
    gate.event(f"{prompt} streamed")
    gate.event(f"{prompt} after")
    wait_for(lambda: not [p for p in children if os.path.exists(f"/proc/{p}")], "end of the children", 60)


def test_a_program_that_says_nothing_is_given_up(installed, gate, client, prompt):
    """Meanwhile nothing stands still, and a reload waits for the end of the trial."""
    before = gate.children("worker")
    installed.install(b"#!/bin/sh\nexec sleep 100\n")
    gate.daemon.send(signal.SIGUSR2)
    gate.wait_notified("RELOADING=1")
    gate.daemon.send(signal.SIGHUP)
    assert client.chat(AZURE, f"{prompt} meanwhile").status == 200
    assert gate.children("worker") == before
    wait_for(lambda: gate.counters()["upgrade.refused"] == 1, "refusal", 40)
    assert "does not say in 20 s" in gate.daemon.log()
    wait_for(lambda: workers_replaced(gate, before), "end of the old workers")
    assert gate.counters()["reload.done"] == 1


def test_a_stop_ends_the_trial(installed, gate):
    installed.install(b"#!/bin/sh\nexec sleep 100\n")
    gate.daemon.send(signal.SIGUSR2)
    gate.wait_notified("RELOADING=1")
    children = wait_for(lambda: len(descendants_of(gate.daemon.pid)) == 7 and descendants_of(gate.daemon.pid), "trial")
    assert gate.daemon.stop() == 0
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


def test_a_program_that_is_gone_is_refused(installed, gate, client, prompt):
    os.unlink(installed.path)
    assert installed.refused("No such file") == 1
    assert client.chat(AZURE, prompt).status == 200


def test_a_configuration_that_cannot_be_used_is_refused(installed, gate, client, prompt):
    good = gate.config
    gate.write_config({"hosts": []})
    # The command finds that out before it tells the daemon, and says where it is.
    assert installed.refused(gate.config_path) == 0
    gate.daemon.send(signal.SIGUSR2)
    wait_for(lambda: gate.counters()["upgrade.refused"] == 1, "refusal")
    gate.config = good
    gate.write_config({"datapath": {"mark": 4711}})
    assert installed.refused("datapath.mark differs") == 1
    assert client.chat(AZURE, prompt).status == 200
    gate.config = good
    gate.write_config()
    installed.upgrade()


def test_an_upgrade_takes_a_new_configuration(installed, gate, client, prompt):
    gate.write_config({"appliance": {"workers": 3}})
    installed.install()
    installed.upgrade()
    wait_for(lambda: len(gate.children("worker")) == 3, "workers")
    gate.write_config({"appliance": {"workers": 1}})
    with Load(client, AZURE, prompt) as load:
        wait_for(load.more(10), "calls")
        installed.upgrade()
        wait_for(load.more(20), "calls with one worker")
    load.assert_nothing_failed()
    wait_for(lambda: len(gate.children("worker")) == 1, "one worker")
    load.assert_recorded(gate)


def test_reloads_and_upgrades_during_a_drain(installed, gate, client, origin, prompt):
    """A stream that began three generations ago, with another program."""
    stream = slow_stream(client, f"{prompt} streamed", events=400)
    origin.request("slow")
    first = gate.children("worker")
    gate.reload()
    installed.install()
    installed.upgrade()
    gate.reload()
    installed.install()
    installed.upgrade()
    assert not stream.done(), "the stream is to outlive all of it"
    assert set(first) & set(gate.children("worker")), "its worker drains"
    assert client.chat(AZURE, f"{prompt} meanwhile").status == 200
    got = stream.join()
    assert got.text().endswith(" t399")
    assert gate.event(f"{prompt} streamed")["gen_ai.usage.output_tokens"] == 400
    gate.event(f"{prompt} meanwhile")
    gate.assert_no_gaps()
    wait_for(lambda: len(descendants_of(gate.daemon.pid)) == 6, "end of all that drained")
    assert gate.counters()["process.died"] == 0


def test_a_signal_during_a_reload_waits_for_its_end(installed, gate, client, prompt):
    before = gate.children("worker")
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGHUP, signal.SIGUSR2):
        gate.daemon.send(number)
    wait_for(lambda: gate.counters()["upgrade.done"] >= 1, "upgrade")
    wait_for(lambda: workers_replaced(gate, before), "end of the old workers")
    assert client.chat(AZURE, prompt).status == 200
    assert gate.counters()["upgrade.refused"] == 0


def test_whoever_dies_after_an_upgrade_is_started_again(installed, gate, client, prompt):
    installed.install()
    installed.upgrade()
    wait_for(lambda: len(descendants_of(gate.daemon.pid)) == 6, "end of the old processes")
    for role in ("worker", "signer", "shipper", "scout", "keeper"):
        killed(gate, role)
    assert client.chat(AZURE, prompt).status == 200
    gate.event(prompt)


def test_a_kill_during_an_upgrade_is_a_kill(installed, gate, client, prompt):
    """The old processes end by their own rules, and the next start mends."""
    assert client.chat(AZURE, f"{prompt} before").status == 200
    children = descendants_of(gate.daemon.pid)
    gate.daemon.send(signal.SIGUSR2)
    os.kill(gate.daemon.pid, signal.SIGKILL)
    gate.daemon.wait()
    wait_for(lambda: not [p for p in children if os.path.exists(f"/proc/{p}")], "end of the children", 60)
    gate.start_daemon()
    assert client.chat(AZURE, f"{prompt} after").status == 200
    gate.wait_events(2, lambda e: prompt in e.get("gen_ai.input.messages", ""))


def test_a_stop_after_upgrades_leaves_nothing(installed, gate, client, origin, prompt):
    stream = slow_stream(client, prompt, events=400)
    origin.request("slow")

    def descriptors():
        """Without those of rings that are being emptied."""
        def count():
            time.sleep(0.1)
            return len(os.listdir(f"/proc/{gate.daemon.pid}/fd"))
        return min(count() for _ in range(20))

    def settled():
        """The new six, and the worker of the stream with its signer and keeper."""
        return len(descendants_of(gate.daemon.pid)) == 9

    installed.upgrade()
    wait_for(settled, "end of what does not drain")
    enough = descriptors()
    for _ in range(2):
        installed.upgrade()
        wait_for(settled, "end of what does not drain")
    assert descriptors() <= enough
    children = descendants_of(gate.daemon.pid)
    gate.daemon.send(signal.SIGTERM)
    gate.wait_notified("STOPPING=1")
    # Also the workers of before have until the deadline.
    assert stream.join().text().endswith(" t399")
    assert gate.daemon.wait(60) == 0
    assert gate.event(prompt)["gen_ai.usage.output_tokens"] == 400
    assert kernel_leftovers(gate) == []
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


def test_the_command_says_when_nothing_runs(installed, gate):
    gate.stop()
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert f"no sallyportd runs in {gate.run_directory}" in done.stderr


def test_the_command_signals_nobody_else(installed, gate):
    """The lock is held, and names a process that is not the daemon."""
    path = os.path.join(gate.run_directory, "lock")
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{gate.collector.pid}\n")
    done = installed.upgrade(check=False)
    assert done.returncode == 1
    assert "is not the sallyportd" in done.stderr
    assert gate.collector.running
    assert gate.counters()["upgrade.done"] == 0
