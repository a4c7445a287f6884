# SPDX-License-Identifier: GPL-2.0-or-later
"""Packets that wait for the scout while it hangs or is gone: datapath.fail holds for them too."""

import contextlib
import os
import signal
import socket
import ssl
import time

import pytest

from lab import network
from lab.appliance import AZURE_B, ELSEWHERE, ONLY_LEARNED, OPENAI, merge
from lab.dns import A, ask
from lab.process import wait_for
from lab.stranger import listening

MODES = pytest.mark.parametrize("fail", ["open", "closed"])


@pytest.fixture
def gate(appliance):
    def make(fail, learn="dns+sni"):
        return appliance(merge(ONLY_LEARNED, {
            "datapath": {"fail": fail, "heartbeat_timeout": "800ms"}, "endpoints": {"learn": learn},
        }))

    return make


def tables(lab):
    return lab.network.appliance.run("nft", "list", "tables").stdout.count("sallyport_inside")


def is_answered(lab, seconds=0.7):
    with contextlib.suppress(TimeoutError):
        return bool(ask(lab.client(), ELSEWHERE, A, seconds))
    return False


def connects(lab, address, port=443, seconds=0.7):
    """Whether a connection to an unknown address passes; below the first retransmission."""
    with lab.network.client.inside():
        stream = socket.socket(network.family_of(address), socket.SOCK_STREAM)
    with stream:
        stream.settimeout(seconds)
        try:
            stream.connect((address, port))
        except TimeoutError:
            return False
        return True


def datagram_arrives(lab, address):
    with lab.network.client.inside():
        stream = socket.socket(network.family_of(address), socket.SOCK_DGRAM)
    with listening(lab, address, seconds=0.5) as server, stream:
        stream.sendto(b"\xc3", (address, 443))  # as QUIC begins
        with contextlib.suppress(TimeoutError):
            return server.recv(1) == b"\xc3"
        return False


def passes_where_it_should(lab, fail):
    for address in (network.OTHER, network.OTHER6):
        assert connects(lab, address) == (fail == "open")
        assert datagram_arrives(lab, address) == (fail == "open")


def learns(lab, gate):
    """The scout is back: what was unknown is learned."""
    def learned():
        with contextlib.suppress(TimeoutError):
            ask(lab.client(gate), AZURE_B, A, 1)
        return network.REGION_B in gate.endpoints()

    wait_for(learned, "learning")


def scout_away(gate):
    """Kills scouts until the pause before the next one is long enough for a test (3.2 s)."""
    for _ in range(6):
        wait_for(lambda: gate.children("scout"), "a scout")
        os.kill(gate.children("scout")[0], signal.SIGKILL)
        wait_for(lambda: not gate.children("scout"), "its end", every=0.001)


@MODES
def test_a_killed_scout(lab, gate, fail):
    one = gate(fail)
    scout_away(one)
    assert is_answered(lab)  # whatever the mode: the next connection is looked at
    passes_where_it_should(lab, fail)
    # What is known is inspected all the while.
    assert lab.client(one).chat(OPENAI, "hello", headers={"Authorization": "Bearer x"}).status == 200
    assert not one.children("scout"), "it took too long to tell"
    wait_for(lambda: one.children("scout"), "the next scout")
    learns(lab, one)
    assert connects(lab, network.OTHER)
    counters = one.counters()
    assert counters["scout.missing"] >= 1
    assert counters["scout.hung"] == 0


@MODES
def test_a_hung_scout(lab, gate, fail):
    one = gate(fail)
    scout = one.children("scout")[0]
    start = time.monotonic()
    os.kill(scout, signal.SIGSTOP)
    # Nothing hangs with it for longer than a second, and the time to ask again.
    wait_for(lambda: is_answered(lab, 0.2), "a reply", every=0)
    assert time.monotonic() - start < 1.5
    wait_for(lambda: scout not in one.children("scout"), "its end")
    assert time.monotonic() - start < 1.5
    one.daemon.wait_for_log("hangs and is killed")
    learns(lab, one)
    counters = one.counters()
    assert counters["scout.hung"] == 1
    assert counters["process.died"] == 1


def test_no_call_passes_unseen_while_a_scout_hangs(lab, gate):
    """Closed: a listed name at an unknown address is reset or dropped, until it is inspected."""
    one = gate("closed")
    os.kill(one.children("scout")[0], signal.SIGSTOP)

    def inspected():
        # The origin's own certificate would be no valid one.
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError, TimeoutError):
            return lab.client(one).chat(AZURE_B, "hello").status == 200
        return False

    wait_for(inspected, "an inspected call")
    assert one.endpoints()[network.REGION_B] in ("sni", "dns")


@MODES
def test_a_queue_that_a_client_fills_lets_nothing_pass(lab, appliance, fail):
    """As long as there is a scout: here it is only late."""
    one = appliance(merge(ONLY_LEARNED, {"datapath": {"fail": fail, "heartbeat_timeout": "1m"}}))
    late = [one.daemon.pid, one.children("scout")[0]]
    for pid in late:
        os.kill(pid, signal.SIGSTOP)
    try:
        with lab.network.client.inside():
            for _ in range(12000):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stream:
                    stream.sendto(b"\xc3", (network.OTHER, 443))
        assert not connects(lab, network.OTHER)
        assert not datagram_arrives(lab, network.OTHER)
    finally:
        for pid in late:
            os.kill(pid, signal.SIGCONT)
    # It goes on when it is there again, and what was lost is told.
    wait_for(lambda: connects(lab, network.OTHER, seconds=3), "a connection")
    wait_for(lambda: one.counters()["queue.dropped"] > 1000, "the count")
    assert "queue.dropped" in one.cli("status", "--config", one.running_path, check=False).stdout


@MODES
def test_everything_killed(lab, gate, fail):
    one = gate(fail)
    one.daemon.kill()
    assert tables(lab) == (2 if fail == "closed" else 0)
    assert is_answered(lab)
    passes_where_it_should(lab, fail)
    one.start_daemon()
    assert tables(lab) == 2
    learns(lab, one)
    assert connects(lab, network.OTHER)
    one.stop()
    assert tables(lab) == 0
    assert connects(lab, network.OTHER)


def test_without_a_guard_behind_it_a_reply_is_dropped(lab, gate):
    """learn: dns alone and closed: an address that nobody could learn is not told either."""
    one = gate("closed", "dns")
    scout_away(one)
    assert not is_answered(lab)
    assert connects(lab, network.OTHER)  # nobody looks at these in any case
    wait_for(lambda: one.children("scout"), "the next scout")
    learns(lab, one)


@pytest.mark.parametrize("change", [
    {"endpoints": {"learn": "off"}}, {"datapath": {"fail": "open"}}, {"endpoints": {"learn": "dns"}},
])
def test_what_was_left_is_replaced_by_the_next_start(lab, gate, change):
    one = gate("closed")
    one.daemon.kill()
    assert tables(lab) == 2
    one.write_config(change)
    one.start_daemon()
    assert tables(lab) == (0 if change == {"endpoints": {"learn": "off"}} else 2)
    assert connects(lab, network.OTHER)
    one.stop()
    assert tables(lab) == 0


def test_a_reload_changes_the_mode(lab, gate):
    one = gate("open")
    for fail in ("closed", "open"):
        one.write_config({"datapath": {"fail": fail}})
        one.reload()
        assert tables(lab) == 2
        wait_for(lambda: connects(lab, network.OTHER), "the new scout")
    one.daemon.kill()
    assert tables(lab) == 0
