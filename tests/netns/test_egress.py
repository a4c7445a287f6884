# SPDX-License-Identifier: GPL-2.0-or-later
"""Where processes may not go. A file of its own: it needs an appliance that it starts itself."""

import contextlib
import errno
import socket

from lab import network
from lab.appliance import USERS
from lab.process import Process, wait_for

METADATA, HOST_AGENT, COLLECTOR = "169.254.169.254", "168.63.129.16", "10.202.0.2"


def connects(namespace, user, address, port):
    """What connect(2) says to a process of that user; it waits for nobody's answer."""
    program = f"""
import os, socket
os.setgid({user}); os.setuid({user})
s = socket.socket(); s.setblocking(False)
print(s.connect_ex(({address!r}, {port})))
"""
    return errno.errorcode.get(int(namespace.run("/usr/bin/python3", "-c", program).stdout))


def test_workers_may_not_go_where_the_machine_gets_its_secrets(lab, appliance, prompt):
    gate = appliance({"audit": {"collector": COLLECTOR + ":24224", "collector_others": [COLLECTOR + ":24225"]}},
                     start=False)
    gate.write_config()
    gate.make_ca()
    gate.start_daemon()
    forbidden = [(METADATA, 80), (METADATA, 443), (HOST_AGENT, 80), (HOST_AGENT, 32526), (COLLECTOR, 24224),
                 (COLLECTOR, 24225)]
    for address, port in forbidden:
        for user in ("worker", "scout", "signer"):
            assert connects(gate.namespace, USERS[user], address, port) == "EACCES", (user, address, port)
        own = address == COLLECTOR  # the shipper's
        assert (connects(gate.namespace, USERS["shipper"], address, port) != "EACCES") == own, (address, port)
    # The machine's identity is the keeper's business.
    assert connects(gate.namespace, USERS["keeper"], METADATA, 80) != "EACCES"
    # The host agent is also the name server, and the collector's machine has other ports.
    gate.namespace.ip("route", "add", HOST_AGENT, "via", COLLECTOR)
    for address, port in ((HOST_AGENT, 53), (COLLECTOR, 443), (network.REGION_A, 443)):
        for user in ("worker", "scout"):
            assert connects(gate.namespace, USERS[user], address, port) != "EACCES", (user, address, port)
    assert connects(gate.namespace, USERS["worker"], HOST_AGENT, 80) == "EACCES"
    gate.namespace.ip("route", "del", HOST_AGENT)
    # Nor does a worker go there for a client, whatever the DNS says.
    lab.add_host("astray.openai.azure.com", METADATA)
    got = lab.client(gate).chat("astray.openai.azure.com", prompt, address=network.REGION_A)
    assert got.status == 502
    gate.reload()
    assert connects(gate.namespace, USERS["worker"], METADATA, 80) == "EACCES"
    assert "prohibit" in gate.namespace.ip("rule")
    gate.stop()
    assert "prohibit" not in gate.namespace.ip("rule")


@contextlib.contextmanager
def identities(lab):
    """Outside, where the platform answers whoever comes with the appliance's address; and another host."""
    origin, place = lab.network.origin, lab.network.appliance
    addresses = [METADATA, HOST_AGENT, "169.254.1.1"]
    for address in addresses:  # some may be there, of what stands for Azure in other files
        origin.ip("addr", "replace", address + "/32", "dev", "eth0")
        place.ip("route", "replace", address, "via", COLLECTOR)
    try:
        with origin.inside(), socket.create_server(("0.0.0.0", 80)):
            yield addresses
    finally:
        for address in addresses:
            place.ip("route", "del", address)
            origin.ip("addr", "del", address + "/32", "dev", "eth0")


def test_clients_do_not_get_at_the_machines_identity(lab, appliance):
    """A router's clients are forwarded with its address, as in appliance/azure/user-data.yaml."""
    def becomes(address):
        with lab.network.client.inside(), socket.socket() as stream:
            stream.settimeout(10)
            return errno.errorcode.get(stream.connect_ex((address, 80)))

    gate = appliance()
    with identities(lab) as addresses:
        for again in ("started", "reloaded"):
            assert becomes(network.OTHER) is None
            assert {becomes(address) for address in addresses} == {"EHOSTUNREACH"}, again
            # The machine itself is answered
            with gate.namespace.inside():
                socket.create_connection((METADATA, 80), timeout=20).close()
            gate.reload()
    gate.stop()
    assert "prohibit" not in gate.namespace.ip("rule")


def test_a_reload_never_leaves_a_rule_out(lab, appliance):
    gate = appliance()
    monitor = Process("monitor", ["ip", "monitor", "rule"], gate.directory, gate.namespace)
    try:
        def listens():
            for what in ("add", "del"):
                gate.namespace.ip("rule", what, "pref", "9999", "from", "10.99.0.1", "lookup", "main")
            return "9999" in monitor.log()

        wait_for(listens, "the monitor", every=0.1)
        def rules():
            return [line.split(" proto ")[0] for line in gate.namespace.ip("rule").splitlines() if "prohibit" in line]

        there = rules()
        assert len(there) == 2 + 2 * 4  # of clients, and of all users but the keeper's
        for _ in range(3):
            gate.reload()
            assert rules() == there
        before = monitor.log().count("Deleted 9999")
        wait_for(lambda: listens() and monitor.log().count("Deleted 9999") > before, "all of it", every=0.1)
        count = len(there)
        told = [line for line in monitor.log().splitlines() if "prohibit" in line]
        assert len(told) == 3 * 2 * len(there), told
        for line in told:
            count += -1 if line.startswith("Deleted") else 1
            assert count >= len(there), told
    finally:
        monitor.kill()


LOCAL = ["127.0.0.1", "127.9.9.9", "::1", network.INSIDE, network.INSIDE6, network.OUTSIDE, network.OUTSIDE6,
         METADATA, HOST_AGENT]
PORT, RESOLVER_PORT, BACKEND_PORT = 8099, 5399, 8443


@contextlib.contextmanager
def services(namespace):
    """What listens on every address of the appliance, TCP and UDP."""
    opened = []
    with namespace.inside(), contextlib.ExitStack() as closed:
        for port in (53, PORT, RESOLVER_PORT, BACKEND_PORT):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                opened.append(closed.enter_context(socket.socket(socket.AF_INET6, kind)))
                opened[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                opened[-1].bind(("::", port))
                if kind == socket.SOCK_STREAM:
                    opened[-1].listen()
        yield


def reach(namespace, user, targets):
    """What becomes of a datagram to, and of a connection with, each of (address, port)."""
    program = f"""
import errno, os, socket
os.setgid({user}); os.setuid({user})
for address, port in {targets!r}:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(family, kind) as s:
            s.settimeout(20)
            try:
                s.connect((address, port))
                s.send(b"x")
                print("yes")
            except OSError as error:
                print(errno.errorcode.get(error.errno, error))
"""
    said = namespace.run("/usr/bin/python3", "-c", program).stdout.split()
    return {target: tuple(said[2 * i: 2 * i + 2]) for i, target in enumerate(targets)}


def tables(gate):
    return [line for line in gate.namespace.run("nft", "list", "tables").stdout.splitlines()
            if "sallyport_egress_" in line]


def test_workers_may_not_go_to_the_machine_itself(appliance):
    gate = appliance({
        "endpoints": {"resolvers": [network.DNS + ":53", f"127.0.0.1:{RESOLVER_PORT}", f"[::1]:{RESOLVER_PORT}"]},
        "backends": [{"name": "here", "host": "res-a.openai.azure.com", "port": BACKEND_PORT,
                      "addresses": ["127.0.0.1", f"[::1]:{BACKEND_PORT}"]}],
    }, start=False)
    place = gate.namespace
    for address in (METADATA, HOST_AGENT):
        place.ip("addr", "add", address + "/32", "dev", "lo")
    try:
        gate.write_config()
        gate.make_ca()
        gate.start_daemon()
        forbidden = [(address, port) for address in LOCAL for port in (PORT, 53)]
        forbidden += [(METADATA, RESOLVER_PORT), (network.INSIDE, BACKEND_PORT)]
        resolvers = [("127.0.0.1", RESOLVER_PORT), ("::1", RESOLVER_PORT)]
        backends = [("127.0.0.1", BACKEND_PORT), ("::1", BACKEND_PORT)]
        everywhere = forbidden + resolvers + backends

        def refused():
            found = reach(place, USERS["worker"], everywhere)
            assert {found[target] for target in forbidden} == {("EPERM", "ECONNREFUSED")}, found
            assert {found[target] for target in resolvers} == {("yes", "yes")}, found
            assert {found[target] for target in backends} == {("EPERM", "yes")}, found

        with services(place):
            refused()
            assert set(reach(place, USERS["shipper"], everywhere).values()) == {("yes", "yes")}
            gate.reload()
            refused()
            # Without resolvers of ours it is the port of the DNS.
            gate.write_config({"endpoints": {"resolvers": None}})
            gate.reload()
            found = reach(place, USERS["worker"], [("127.0.0.53", 53), ("::1", 53), ("127.0.0.1", RESOLVER_PORT)])
            assert list(found.values()) == [("yes", "yes")] * 2 + [("EPERM", "ECONNREFUSED")], found
            gate.daemon.kill()
            assert len(tables(gate)) == 2
            gate.start_daemon()
            assert len(tables(gate)) == 2
            gate.stop()
            assert not tables(gate)
            assert set(reach(place, USERS["worker"], everywhere).values()) == {("yes", "yes")}
    finally:
        for address in (METADATA, HOST_AGENT):
            place.ip("addr", "del", address + "/32", "dev", "lo")


def test_a_worker_cannot_use_its_listener_to_go_where_it_may_not(appliance):
    """connect(2) to AF_UNSPEC makes of a socket that listens one that connects: it is the workers', not
    the daemon's, by what the rules go by."""
    gate = appliance()
    with open(f"/proc/{gate.daemon.pid}/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file if ":" in line]
    owners = {row[7] for row in rows if row[3] == "0A" and 15100 <= int(row[1].split(":")[1], 16) < 15102}
    assert owners == {str(USERS["worker"])}
