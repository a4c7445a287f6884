# SPDX-License-Identifier: GPL-2.0-or-later
"""The CA over the life of an installed appliance."""

import datetime
import os
import signal
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lab import network
from lab.appliance import AZURE
from lab.certificates import DAY, key_pem, new_key, pem, subject, usage
from lab.client import Client
from test_fail_modes import SOURCES
from test_processes import killed


def old_authority():
    """As `sallyport ca init` wrote it before: basicConstraints says TRUE with the byte 01."""
    key = new_key()
    now = datetime.datetime.utcnow()
    basic = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.19"),
                                       bytes.fromhex("3006010101020100"))
    return (
        x509.CertificateBuilder()
        .subject_name(subject("sallyport CA old")).issuer_name(subject("sallyport CA old"))
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY).not_valid_after(now + 3650 * DAY)
        .add_extension(basic, True)
        .add_extension(usage(key_cert_sign=True), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256()), key)


def test_a_root_that_is_not_der_is_told_and_renewed(lab, appliance, prompt):
    gate = appliance(start=False)
    certificate, key = old_authority()
    old_root = os.path.join(gate.directory, "old.crt")
    for path in (gate.ca_path, old_root):
        with open(path, "wb") as file:
            file.write(pem(certificate))
    gate.secret("ca.key", key_pem(key).decode())
    gate.write_config()

    done = gate.cli("check", gate.config_path)
    assert "not DER" in done.stderr and "sallyport ca renew" in done.stderr
    gate.start()
    assert "sallyport ca renew" in gate.daemon.log()
    with_old = Client(lab.network.client, lab.names, old_root)
    assert with_old.chat(AZURE, prompt + " before").status == 200

    gate.cli("ca", "renew", "--cert", gate.ca_path, "--key", gate.ca_key_path)
    # At once, with the leaves that there are, for clients with the old root and with the new one …
    assert with_old.chat(AZURE, prompt + " old").status == 200
    assert lab.client(gate).chat(AZURE, prompt + " new").status == 200
    # … and after the appliance took it.
    gate.reload()
    assert with_old.chat(AZURE, prompt + " old again").status == 200
    assert lab.client(gate).chat(AZURE, prompt + " new again").status == 200
    done = gate.cli("check", gate.config_path)
    assert "DER" not in done.stderr
    gate.stop()


def test_a_worker_that_asks_for_too_many_leaves_waits_and_is_told_of(lab, appliance):
    gate = appliance({"appliance": {"workers": 1}, "tls": {"leaf_rate": 1}})
    client = lab.client(gate)
    for i in range(12):  # ten at once, and then one a second
        client.tls(f"new-{i}.openai.azure.com", address=network.REGION_A).close()
    told = gate.wait_events(1, lambda event: event.get("datapath.subject") == "signer")[0]
    assert told["datapath.state"] == "limited"
    assert "tls.leaf_rate" in told["datapath.reason"]
    assert gate.counters()["signer.limited"] >= 1
    gate.stop()


def leaf_key(client, kind="ECDSA", host=AZURE, source=None):
    """The public key of the leaf that a new client is shown."""
    context = client.context(version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers(f"ECDHE-{kind}-AES128-GCM-SHA256")
    with client.tls(host, address=network.REGION_A, source=source, context=context) as connection:
        leaf = x509.load_der_x509_certificate(connection.stream.getpeercert(True))
    return leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def test_a_worker_in_anothers_place_has_keys_of_its_own(lab, appliance, prompt):
    gate = appliance({"appliance": {"workers": 1}})
    client = lab.client(gate)

    def keys(host=AZURE):
        return [leaf_key(client, kind, host) for kind in ("ECDSA", "RSA")]

    before = keys()
    assert len(set(before)) == 2
    assert keys() == before
    # Another signer mints for the keys that there are.
    killed(gate, "signer")
    assert keys("fresh.openai.azure.com") == before
    for number in (signal.SIGSEGV, signal.SIGSYS, signal.SIGKILL):
        killed(gate, "worker", number)
        after = keys()
        assert not set(after) & set(before)
        before = after
    assert client.chat(AZURE, f"{prompt} afterwards").status == 200
    assert gate.counters()["signer.key_refused"] == 0
    gate.stop()


def test_workers_share_no_leaf_key(lab, appliance):
    gate = appliance({"appliance": {"workers": 2}})
    client = lab.client(gate)
    # One source for each worker.
    first, second = (leaf_key(client, source=source) for source in SOURCES.values())
    assert first != second
    assert [leaf_key(client, source=source) for source in SOURCES.values()] == [first, second]
    gate.stop()
