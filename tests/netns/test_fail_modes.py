# SPDX-License-Identifier: GPL-2.0-or-later
"""What becomes of AI connections while nobody is there to inspect them: datapath.fail, hosts.fail."""

import contextlib
import os
import signal
import socket
import ssl
import threading
import time

import pytest

from cryptography import x509

from lab import network
from lab.appliance import AZURE, AZURE_B, OPENAI
from lab.client import Ended, azure_path, chat_body
from lab.process import children_of, descendants_of, wait_for

# What becomes of a new connection to a host that fails so, while no worker is alive for it.
FATES = {"closed": "refused", "open": "unseen"}
# By worker, for two of them: client addresses whose connections it gets.
SOURCES = {0: network.OTHER_CLIENTS[0], 1: network.CLIENT}
WORKER6 = 1  # the one of network.CLIENT6

both_modes = pytest.mark.parametrize("mode", FATES)
both_families = pytest.mark.parametrize("ipv6", [False, True], ids=["ipv4", "ipv6"])


@pytest.fixture
def gate(appliance):
    """Makes a running appliance that fails like this."""
    def make(mode, changes=None):
        datapath = {"fail": mode, "heartbeat_timeout": "800ms", **(changes or {}).get("datapath", {})}
        return appliance({**(changes or {}), "datapath": datapath})

    return make


def named(*hosts):
    """Only these names are endpoints: (name, fail mode)."""
    return {
        "endpoints": {"prefixes": None},
        "hosts": [{"pattern": name, "provider": "openai" if name == OPENAI else "azure", "fail": fail}
                  for name, fail in hosts],
    }


# --- processes ---


def workers(gate):
    """The pid of each worker by its index."""
    found = {}
    for pid in gate.children("worker"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(
                f"/proc/{pid}/comm", encoding="ascii") as comm:
            found[int(comm.read().split()[1])] = pid
    return found


def everyone(gate):
    """The daemon first: it must not replace whom it sees end."""
    return [gate.daemon.pid, *descendants_of(gate.daemon.pid)]


def tell(pids, number):
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


@contextlib.contextmanager
def stopped(pids):
    pids = list(pids)
    tell(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        tell(pids, signal.SIGCONT)


def helpless(gate, pids):
    """These hang, and nobody takes their place."""
    return stopped([gate.daemon.pid, *pids])


@contextlib.contextmanager
def hanging(gate):
    """Every worker hangs, and without a signer no other one would be of use in its place."""
    away = gate.ca_key_path + ".away"
    os.rename(gate.ca_key_path, away)
    tell(gate.children("signer"), signal.SIGKILL)
    wait_for(lambda: not gate.children("signer"), "end of the signer")
    try:
        with stopped(gate.children("worker")):
            yield
    finally:
        os.rename(away, gate.ca_key_path)


# --- connections ---


def fate(client, host, ipv6=False, source=None):
    """What becomes of a new connection: it is refused; or its TLS is terminated by the appliance
    (inspected), or by the origin itself (unseen); or it waits, or is cut."""
    try:
        plain = client.tcp(client.address_of(host, ipv6), source=source)
    except ConnectionRefusedError:
        return "refused"
    plain.settimeout(2)
    try:
        with client.context(verify=False).wrap_socket(plain, server_hostname=host) as stream:
            leaf = x509.load_der_x509_certificate(stream.getpeercert(True))
    except TimeoutError:
        return "waits"
    except (OSError, ssl.SSLError):
        return "cut"
    finally:
        plain.close()
    return "unseen" if "Test Root" in leaf.issuer.rfc4514_string() else "inspected"


def becomes(wanted, client, host, ipv6=False, source=None):
    seen = []

    def so():
        seen.append(fate(client, host, ipv6, source))
        return seen[-1] == wanted

    wait_for(so, lambda: f"{wanted} connection to {host}: {seen[-5:]}", 40)


class Wire:
    """What arrives at the origin from a client's port, past the appliance."""

    def __init__(self, lab):
        with lab.network.origin.inside():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK,
                                         socket.htons(3))  # ETH_P_ALL
        self._ports = set()

    def arrived(self, port):
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (_, protocol, kind, *_) = self._socket.recvfrom(2048)
                if kind != socket.PACKET_HOST:
                    continue
                if protocol == 0x0800 and packet[9] == socket.IPPROTO_TCP:
                    source, at = packet[12:16], 4 * (packet[0] & 15)
                    mine = source == socket.inet_aton(network.CLIENT)
                elif protocol == 0x86DD and packet[6] == socket.IPPROTO_TCP:
                    source, at = packet[8:24], 40
                    mine = source == socket.inet_pton(socket.AF_INET6, network.CLIENT6)
                else:
                    continue
                if mine:
                    self._ports.add(int.from_bytes(packet[at:at + 2], "big"))
        return port in self._ports

    def close(self):
        self._socket.close()


@pytest.fixture
def wire(lab):
    opened = Wire(lab)
    yield opened
    opened.close()


def port_of(connection):
    return connection.stream.getsockname()[1]


def ask(connection, prompt):
    connection.request("POST", azure_path(), AZURE, {"api-key": "k"}, chat_body(prompt))


def answers(connection, prompt):
    got = connection.response()
    assert got.status == 200
    assert got.text().startswith(f"Answer to: {prompt}"[:50])  # it repeats the beginning only


# --- what is told ---


def states(gate, subject):
    """The states of a part of the datapath, as the collector learned of them."""
    return [e["datapath.state"] for e in gate.events()
            if e["event.kind"] == "datapath.state" and e["datapath.subject"] == subject]


def told(gate, subject, wanted):
    wait_for(lambda: states(gate, subject) == wanted,
             lambda: f"states {wanted} of {subject}: {states(gate, subject)}", 40, every=0.1)


def counted(gate, name, n):
    wait_for(lambda: gate.counters()[name] == n, lambda: f"{name} {n}: {gate.counters()[name]}")


# --- a worker ---


@both_families
@both_modes
def test_another_worker_takes_the_place_of_one_that_hangs(lab, gate, mode, ipv6, prompt):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    before = workers(gate)[WORKER6 if ipv6 else 1]
    connection = client.tls(AZURE, ipv6=ipv6)
    with stopped([before]):
        wait_for(lambda: gate.counters()["worker.relieved"] == 1, "the other worker")
        becomes("inspected", client, AZURE, ipv6)
        ask(connection, prompt)
        assert before in gate.children("worker")
    # It comes to itself: what it has goes on, and then it is gone.
    answers(connection, prompt)
    gate.event(prompt)
    connection.close()
    wait_for(lambda: before not in gate.children("worker"), "end of the first worker")
    assert states(gate, "worker 1")[0] == "relieved"
    assert gate.counters()["process.died"] == 0


@both_modes
def test_workers_that_are_made_to_hang_again_and_again(lab, gate, mode):
    """One client cannot make the appliance fail open, were it to know how to make a worker hang: here
    one after the other does, as soon as it works; and nothing is gathered."""
    gate = gate(mode, {"appliance": {"workers": 1}, "datapath": {"heartbeat_timeout": "3s"}})
    client = lab.client(gate)
    becomes("inspected", client, AZURE)
    seen = []
    for n in range(1, 7):
        tell(gate.children("worker"), signal.SIGSTOP)
        wait_for(lambda n=n: gate.counters()["worker.relieved"] >= n, f"relief {n}", 40)
        with contextlib.suppress(OSError):
            seen.append(fate(client, AZURE))
    becomes("inspected", client, AZURE)
    assert "unseen" not in seen
    assert gate.status()["kernel"]["packets"]["failed_open"] == 0
    assert len(gate.children("worker")) <= 6


@both_modes
def test_a_worker_that_takes_its_time_to_start_in_anothers_place(lab, gate, mode):
    """However long the new one needs, on a machine with much else to do: until it works connections wait
    for it. Nothing depends on who is quicker, it or the kernel."""
    gate = gate(mode, {"appliance": {"workers": 1}, "datapath": {"heartbeat_timeout": "800ms"}})
    client = lab.client(gate)
    becomes("inspected", client, AZURE)
    before = set(children_of(gate.daemon.pid))

    def newcomers():
        found = [pid for pid in children_of(gate.daemon.pid) if pid not in before]
        tell(found, signal.SIGSTOP)
        return found

    old = gate.children("worker")
    tell(old, signal.SIGSTOP)
    started = []
    try:
        wait_for(lambda: started.extend(newcomers()) or started, "the other worker", every=0.001)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            with contextlib.closing(client.tcp(network.REGION_A)):
                pass  # into the listener: the kernel takes the place for alive
            time.sleep(0.05)
        packets = gate.status()["kernel"]["packets"]
        assert packets["failed_open"] == 0 and packets["reset"] == 0, packets
    finally:
        tell(old + started, signal.SIGCONT)
    becomes("inspected", client, AZURE)


@both_families
@both_modes
def test_a_hung_worker_that_nobody_relieves_fails_for_its_clients_alone(lab, gate, mode, ipv6):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    with helpless(gate, [workers(gate)[WORKER6 if ipv6 else 1]]):
        becomes(FATES[mode], client, AZURE, ipv6)
        assert fate(client, AZURE, source=SOURCES[0]) == "inspected"
    becomes("inspected", client, AZURE, ipv6)


@both_families
@both_modes
def test_a_killed_worker_that_nobody_replaces(lab, gate, mode, ipv6):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    with stopped([gate.daemon.pid]):
        tell([workers(gate)[WORKER6 if ipv6 else 1]], signal.SIGKILL)
        becomes(FATES[mode], client, AZURE, ipv6)
        assert fate(client, AZURE, source=SOURCES[0]) == "inspected"
    becomes("inspected", client, AZURE, ipv6)
    told(gate, "worker 1", ["missing", "alive"])


def test_a_crash_that_is_repaired_in_time_refuses_nobody(lab, gate):
    gate = gate("closed", {"datapath": {"heartbeat_timeout": "20s"}})
    client = lab.client(gate)
    becomes("inspected", client, AZURE)
    before = workers(gate)
    fates, over = [], threading.Event()

    def connect():
        while not over.is_set():
            with contextlib.closing(client.tcp(network.REGION_A)):
                fates.append(True)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        wait_for(lambda: len(fates) > 10, "connections")
        tell(before.values(), signal.SIGKILL)
        wait_for(lambda: len(workers(gate)) == 2 and not set(workers(gate).values()) & set(before.values()),
                 "new workers")
        n = len(fates)
        wait_for(lambda: len(fates) > n + 10, "connections afterwards")
    finally:
        over.set()
        thread.join()
    assert thread.is_alive() is False and len(fates) > n
    becomes("inspected", client, AZURE)
    assert states(gate, "worker 0") == states(gate, "worker 1") == []


def test_a_worker_that_goes_on_hanging_is_killed(lab, gate):
    gate = gate("closed")
    client = lab.client(gate)
    before = workers(gate)[1]
    with stopped([before]):
        counted(gate, "process.hung", 1)
        becomes("inspected", client, AZURE)
        assert workers(gate)[1] != before


# --- all workers ---


@both_families
@both_modes
def test_all_workers_hung(lab, gate, mode, ipv6):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    begun = time.time_ns()
    with hanging(gate):
        for source in (None, SOURCES[0]):
            becomes(FATES[mode], client, AZURE, ipv6 and not source, source)
        told(gate, "appliance", [mode])
        if mode == "open":
            wait_for(lambda: gate.status()["open"]["now"], "status that says so")
    becomes("inspected", client, AZURE, ipv6)
    counted(gate, "fail.ended", 1)
    counted(gate, f"fail.{mode}", 1)
    told(gate, "appliance", [mode, "inspecting"])
    assert states(gate, "worker 1")[-1] == "alive"
    if mode == "closed":
        assert gate.status()["open"] is None
        return
    # How long it was, and what passed.
    counted(gate, "fail.open_periods", 1)
    event = gate.wait_events(1, lambda event: event["event.kind"] == "datapath.open")[0]
    assert begun < event["datapath.begin"] < event["datapath.end"] < time.time_ns()
    passed = gate.status()["kernel"]["packets"]["failed_open"]
    assert event["datapath.passed"] == passed >= 2
    status = gate.status()["open"]
    assert status == {"now": False, "begin_ns": event["datapath.begin"], "end_ns": event["datapath.end"],
                      "passed": passed, "passed_since": 0}
    text = gate.cli("status", "--config", gate.running_path).stdout
    assert f"{passed} connections passed unseen" in text


# --- everybody ---


@both_families
def test_a_stopped_parent_changes_nothing(lab, gate, ipv6):
    gate = gate("closed")
    client = lab.client(gate)
    with stopped([gate.daemon.pid]):
        until = time.monotonic() + 2.5  # several times as long as a hung worker may be silent
        while time.monotonic() < until:
            assert fate(client, AZURE, ipv6) == "inspected"


@both_families
@both_modes
def test_everybody_stopped(lab, gate, mode, ipv6):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    with stopped(everyone(gate)):
        becomes(FATES[mode], client, AZURE, ipv6)
        assert fate(client, AZURE, ipv6) == FATES[mode]
    becomes("inspected", client, AZURE, ipv6)


@both_families
@both_modes
def test_everybody_killed(lab, gate, mode, ipv6, prompt):
    gate = gate(mode)
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    tell(everyone(gate), signal.SIGKILL)
    gate.daemon.wait()
    becomes(FATES[mode], client, AZURE, ipv6)
    for _ in range(5):
        assert fate(client, AZURE, ipv6) == FATES[mode]
    passed = gate.status()["open"]
    assert passed is None if mode == "closed" else passed["passed"] + passed["passed_since"] >= 6
    gate.start_daemon()
    becomes("inspected", client, AZURE, ipv6)
    assert client.chat(AZURE, prompt, ipv6=ipv6).status == 200
    gate.event(prompt)
    # Nobody was there to see it, and it is told all the same.
    if mode == "open":
        event = gate.wait_events(1, lambda event: event["event.kind"] == "datapath.open")[0]
        assert event["datapath.passed"] >= 6 and event["datapath.begin"] < event["datapath.end"]


@both_modes
def test_what_is_new_while_the_appliance_ends(lab, gate, origin, mode, prompt):
    gate = gate(mode)
    client = lab.client(gate)
    slow = {"x-test-events": "60", "x-test-pace-ms": "100", "x-test-id": "slow"}
    with client.tls(AZURE) as connection:
        connection.request("POST", azure_path(), AZURE, {"api-key": "k", **slow},
                           chat_body(prompt, stream=True))
        origin.request("slow")
        gate.daemon.send(signal.SIGTERM)
        gate.wait_notified("STOPPING=1")
        becomes(FATES[mode], client, AZURE)
        assert connection.response().text().endswith(" t59")
    assert gate.daemon.wait() == 0
    becomes("unseen", client, AZURE)


# --- by host ---


@both_families
def test_hosts_fail_each_in_its_own_way(lab, gate, ipv6):
    gate = gate("open", named((AZURE, "default"), (AZURE_B, "closed")))
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    becomes("inspected", client, AZURE_B, ipv6)
    with hanging(gate):
        becomes("unseen", client, AZURE, ipv6)
        assert fate(client, AZURE_B, ipv6) == "refused"
        assert fate(client, AZURE, ipv6) == "unseen"
    becomes("inspected", client, AZURE, ipv6)
    becomes("inspected", client, AZURE_B, ipv6)
    told(gate, "appliance", ["mixed", "inspecting"])
    counted(gate, "fail.closed", 1)
    counted(gate, "fail.open", 1)


@both_families
@both_modes
def test_hosts_fail_each_in_its_own_way_when_everybody_is_killed(lab, gate, mode, ipv6):
    gate = gate(mode, named((AZURE, "open"), (AZURE_B, "closed")))
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    becomes("inspected", client, AZURE_B, ipv6)
    tell(everyone(gate), signal.SIGKILL)
    gate.daemon.wait()
    becomes("refused", client, AZURE_B, ipv6)
    becomes("unseen", client, AZURE, ipv6)


@both_families
def test_on_a_shared_address_the_strictest_host_wins(lab, gate, ipv6):
    gate = gate("open", named((AZURE, "open"), (OPENAI, "closed")))
    client = lab.client(gate)
    assert client.address_of(AZURE, ipv6) == client.address_of(OPENAI, ipv6)
    becomes("inspected", client, AZURE, ipv6)
    with helpless(gate, workers(gate).values()):
        becomes("refused", client, AZURE, ipv6)
        assert fate(client, OPENAI, ipv6) == "refused"


@pytest.mark.parametrize("by", ["prefixes", "names"])
def test_a_reload_changes_the_mode(lab, gate, by):
    def changes(mode):
        if by == "names":
            return named((AZURE, mode))
        return {"datapath": {"fail": mode}}

    gate = gate("closed", changes("closed"))
    client = lab.client(gate)
    becomes("inspected", client, AZURE)
    for mode in ("open", "closed"):
        before = set(workers(gate).values())
        gate.write_config({"datapath": {"fail": mode}, **changes(mode)})
        gate.reload()
        wait_for(lambda: not before & set(workers(gate).values()), "end of the old workers")
        becomes("inspected", client, AZURE)
        with helpless(gate, workers(gate).values()):
            becomes(FATES[mode], client, AZURE)
        becomes("inspected", client, AZURE)


# --- established connections ---


@both_families
@both_modes
def test_a_steered_connection_waits_for_its_worker(lab, gate, wire, mode, ipv6, prompt):
    gate = gate(mode)
    client = lab.client(gate)
    with client.tls(AZURE, ipv6=ipv6) as connection:
        ask(connection, "before " + prompt)
        answers(connection, "before " + prompt)
        # The parent would kill them after a while.
        with stopped([gate.daemon.pid, *workers(gate).values()]):
            becomes(FATES[mode], client, AZURE, ipv6)
            ask(connection, "meanwhile " + prompt)
            if mode == "open":
                # What is new goes to the origin itself.
                with lab.client().tls(AZURE, ipv6=ipv6) as direct:
                    wait_for(lambda: wire.arrived(port_of(direct)), "the new connection's packets")
            assert not wire.arrived(port_of(connection))
        answers(connection, "meanwhile " + prompt)
        ask(connection, "after " + prompt)
        answers(connection, "after " + prompt)
        assert not wire.arrived(port_of(connection))
    for when in ("before", "meanwhile", "after"):
        gate.event(f"{when} {prompt}")


@both_families
def test_a_steered_connection_is_cut_when_everybody_dies(lab, gate, wire, ipv6, prompt):
    gate = gate("open")
    client = lab.client(gate)
    with client.tls(AZURE, ipv6=ipv6) as connection:
        ask(connection, prompt)
        answers(connection, prompt)
        tell(everyone(gate), signal.SIGKILL)
        gate.daemon.wait()
        becomes("unseen", client, AZURE, ipv6)
        with pytest.raises((Ended, OSError, ssl.SSLError)):
            while True:
                ask(connection, prompt)
                connection.response()
        assert not wire.arrived(port_of(connection))


@both_families
def test_what_passed_unseen_goes_on_unseen(lab, gate, wire, ipv6, prompt):
    gate = gate("open")
    client = lab.client(gate)
    becomes("inspected", client, AZURE, ipv6)
    with contextlib.ExitStack() as both:
        with helpless(gate, workers(gate).values()):
            becomes("unseen", client, AZURE, ipv6)
            direct = both.enter_context(lab.client().tls(AZURE, ipv6=ipv6))
            ask(direct, prompt)
            answers(direct, prompt)
        becomes("inspected", client, AZURE, ipv6)
        ask(direct, prompt)
        answers(direct, prompt)
        assert wire.arrived(port_of(direct))
    assert not [e for e in gate.events() if prompt in str(e)]
