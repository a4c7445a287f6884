# SPDX-License-Identifier: GPL-2.0-or-later
"""Events on their way to a collector elsewhere: what was said is not to be read on the way, and each side
knows the other."""

import datetime
import os
import socket
import ssl
import threading

import pytest

from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.appliance import AZURE
from lab.certificates import Authority, key_pem, pem
from lab.process import wait_for

COLLECTOR = "127.0.0.1:24224"
CLIENT = [ExtendedKeyUsageOID.CLIENT_AUTH]


class Pki:
    """Files of an authority and of what it certified, of the appliance's directory."""

    def __init__(self, gate, name="pki"):
        self.gate, self.name, self.root = gate, name, Authority(f"Collectors of {name}")
        self.authority = self.file("ca.pem", self.root.pem())

    def file(self, name, content):
        return self.gate.secret(f"{self.name}-{name}", content.decode())

    def pair(self, name, *names, **options):
        certificate, key = self.root.issue(*names, **options)
        return self.file(f"{name}.pem", pem(certificate)), self.file(f"{name}.key", key_pem(key))


def options(server, authority=None, key=None):
    return ["--listen", COLLECTOR, "--certificate", server[0], "--certificate-key", server[1],
            *(["--authority", authority] if authority else []), *(["--key-file", key] if key else [])]


def start(gate, **audit):
    gate.write_config({"audit": {"collector": COLLECTOR, **audit}})
    return gate.start()


# Without a key and without a certificate nobody would be known: that is refused, see below.
@pytest.mark.parametrize("key, mutual", [(True, False), (False, True), (True, True)],
                         ids=["key", "certificate", "both"])
def test_events_go_over_tls(lab, appliance, prompt, key, mutual):
    gate = appliance(start=False)
    pki, audit = Pki(gate), {}
    shared = gate.secret("collector.key", "key-of-both\n") if key else None
    gate.collector_options = options(pki.pair("server", "127.0.0.1"), pki.authority if mutual else None, shared)
    if key:
        audit["collector_key_file"] = shared
    if mutual:
        certificate, own = pki.pair("client", "gate", eku=CLIENT)
        audit |= {"collector_certificate_file": certificate, "collector_certificate_key_file": own}
    start(gate, collector_ca_file=pki.authority, **audit)
    client = lab.client(gate)
    for i in range(30):
        assert client.chat(AZURE, f"{prompt} {i:03} " + "x" * 20000).status == 200
    gate.wait_events(30, lambda event: prompt in str(event.get("gen_ai.input.messages")))
    gate.assert_no_gaps()


def test_nothing_is_readable_on_the_way(lab, appliance, prompt):
    """Who stands between the two sees no word of it."""
    gate = appliance(start=False)
    pki, seen = Pki(gate), []
    key = gate.secret("collector.key", "key-of-both\n")
    gate.collector_options = options(pki.pair("server", "collector.example.org"), key=key)

    def pump(a, b):
        try:
            while data := a.recv(65536):
                seen.append(data)
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    with gate.namespace.inside():
        listener = socket.create_server(("127.0.0.1", 24225))

    def between():
        try:
            while True:
                a = listener.accept()[0]
                with gate.namespace.inside():
                    b = socket.create_connection(("127.0.0.1", 24224))
                threading.Thread(target=pump, args=(a, b), daemon=True).start()
                threading.Thread(target=pump, args=(b, a), daemon=True).start()
        except OSError:
            pass

    threading.Thread(target=between, daemon=True).start()
    try:
        gate.write_config({"audit": {"collector": "127.0.0.1:24225", "collector_key_file": key,
                                     "collector_ca_file": pki.authority, "collector_name": "collector.example.org"}})
        gate.start()
        assert lab.client(gate).chat(AZURE, prompt).status == 200
        gate.event(prompt)
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    assert seen and prompt.encode() not in b"".join(seen)


@pytest.mark.parametrize("wrong, reason", [
    ("authority", "self-signed certificate"), ("name", "IP address mismatch"), ("expired", "certificate has expired"),
    ("plain", "TLS:")])
def test_a_collector_that_is_not_ours_gets_nothing(lab, appliance, prompt, wrong, reason):
    gate = appliance(start=False)
    ours, other = Pki(gate), Pki(gate, "other")
    key = gate.secret("collector.key", "key-of-both\n")
    server = (ours.pair("server", "127.0.0.9") if wrong == "name" else
              ours.pair("server", "127.0.0.1", start=-datetime.timedelta(days=9), end=-datetime.timedelta(days=2))
              if wrong == "expired" else other.pair("server", "127.0.0.1"))
    gate.collector_options = (["--listen", COLLECTOR, "--key-file", key] if wrong == "plain" else options(server, key=key))
    start(gate, collector_ca_file=ours.authority, collector_key_file=key)
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    gate.daemon.wait_for_log(f"collector {COLLECTOR}: TLS:")
    if wrong != "authority":  # its words differ between versions of OpenSSL
        gate.daemon.wait_for_log(reason)
    assert not gate.events()


@pytest.mark.parametrize("shown", ["none", "other", "server"])
def test_a_sender_without_our_certificate_gives_nothing(lab, appliance, prompt, shown):
    gate = appliance(start=False)
    ours, other, audit = Pki(gate), Pki(gate, "other"), {}
    gate.collector_options = options(ours.pair("server", "127.0.0.1"), ours.authority)
    if shown != "none":
        certificate, key = (other if shown == "other" else ours).pair(
            "client", "gate", eku=CLIENT if shown == "other" else True)
        audit = {"collector_certificate_file": certificate, "collector_certificate_key_file": key}
    start(gate, collector_ca_file=ours.authority, **audit)
    assert lab.client(gate).chat(AZURE, prompt).status == 200
    gate.collector.wait_for_log("TLS:")
    assert not gate.events()


def test_a_peer_that_only_knocks_is_closed(lab, appliance):
    """Half a ClientHello, nothing, plain msgpack: none holds the collector, and senders go on."""
    gate = appliance(start=False)
    pki = Pki(gate)
    gate.collector_options = options(pki.pair("server", "127.0.0.1"), pki.authority)
    gate.start_collector()
    hello = ssl.MemoryBIO()
    half = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="x")
    with pytest.raises(ssl.SSLWantReadError):
        half.do_handshake()
    with gate.namespace.inside():
        ends = [socket.create_connection(("127.0.0.1", 24224)) for _ in range(70)]
    for i, end in enumerate(ends):
        data = hello.read(40) if i == 0 else b"\x93\xa1t\x90\x80" if i % 2 else b""
        try:
            end.sendall(data)
        except OSError:
            pass

    def closed():
        left = []
        for end in ends:
            end.setblocking(False)
            try:
                while end.recv(4096):
                    pass
            except BlockingIOError:
                left.append(end)
            except OSError:
                pass
        return not left

    wait_for(closed, "the end of all connections", 40)
    for end in ends:
        end.close()
    assert gate.collector.running


def test_options_that_would_leave_the_door_open(lab, appliance):
    gate = appliance(start=False)
    pki = Pki(gate)
    certificate, key = pki.pair("server", "127.0.0.1")
    program = lab.program("sallyport-collector")
    for argv, told in (
            (["--listen", COLLECTOR, "--certificate", certificate, "--certificate-key", key], "--key-file or --authority"),
            (["--listen", COLLECTOR, "--authority", pki.authority], "belong together"),
            (["--listen", COLLECTOR, "--key-file", key, "--certificate", certificate], "belong together"),
            (["--certificate", certificate, "--certificate-key", key], "only with --listen")):
        done = gate.namespace.run(program, "--store", gate.store_path, "--socket", gate.socket_path, *argv, check=False)
        assert done.returncode == 2 and told in done.stderr
    os.chmod(key, 0o644)
    done = gate.namespace.run(program, "--store", gate.store_path, "--socket", gate.socket_path,
                              *options((certificate, key), pki.authority), check=False)
    assert done.returncode == 1 and key in done.stderr
