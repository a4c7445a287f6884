# SPDX-License-Identifier: GPL-2.0-or-later
"""ca-from-vault of the image: the authority of a group of appliances, from Azure Key Vault."""

import base64
import os
import subprocess

import pytest

from lab.azure import CLOUD, VAULT, Azure
from lab.lab import TOP

FETCH = os.path.join(TOP, "vm", "image.d", "usr", "local", "sbin", "ca-from-vault")
RUN = "mount --bind \"$1\" /etc/hosts; shift; exec \"$@\""
URL = f"https://{VAULT}/secrets/authority"


@pytest.fixture(scope="module")
def azure(lab):
    azure = Azure(lab)
    try:
        yield azure
    finally:
        azure.close()


@pytest.fixture
def made(lab, tmp_path):
    """An authority, as its owner has it."""
    key, certificate = tmp_path / "made.key", tmp_path / "made.pem"
    lab.network.appliance.run(lab.program("sallyport"), "ca", "init", "--out-cert", certificate, "--out-key", key)
    return certificate.read_text(), key.read_text()


@pytest.fixture
def fetch(lab, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{CLOUD} {VAULT}\n")

    def run(url=URL):
        environment = {**os.environ, "SSL_CERT_FILE": lab.certificates.root_path, "https_proxy": "http://127.0.0.1:9",
                       "PATH": os.path.dirname(lab.program("sallyport")) + ":" + os.environ["PATH"]}
        return lab.network.appliance.run(
            "unshare", "--mount", "--propagation", "private", "sh", "-euc", RUN, "sh", hosts, FETCH, url, "--out-cert",
            tmp_path / "ca.pem", "--out-key", tmp_path / "ca.key", check=False, env=environment)

    return run


def pkcs12(certificate, key, directory):
    for name, text in (("p.pem", certificate), ("p.key", key)):
        (directory / name).write_text(text)
    done = subprocess.run(["openssl", "pkcs12", "-export", "-in", "p.pem", "-inkey", "p.key", "-passout", "pass:"],
                          cwd=directory, check=True, capture_output=True)
    return base64.b64encode(done.stdout).decode()


@pytest.mark.parametrize("form", ["pem", "pkcs12"])
def test_it_is_what_the_vault_has(azure, made, fetch, tmp_path, form):
    azure.secrets["authority"] = made[1] + made[0] if form == "pem" else pkcs12(*made, tmp_path)
    done = fetch()
    assert done.returncode == 0, done
    assert (tmp_path / "ca.pem").read_text() == made[0]
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    assert "PRIVATE" not in done.stdout + done.stderr
    # Nothing of it is left elsewhere
    assert not [one for one in os.listdir("/run") if one.startswith("sallyport-ca-")]
    # What is there is not replaced
    assert fetch().returncode == 1


@pytest.mark.parametrize("secret, told", [
    ("not a certificate", "neither PEM nor PKCS#12"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "0 keys and 1 certificates"),
])
def test_a_secret_that_is_none_is_told_and_not_shown(azure, fetch, tmp_path, secret, told):
    azure.secrets["authority"] = secret
    done = fetch()
    assert done.returncode == 1 and told in done.stderr and "AAAA" not in done.stderr, done
    assert not (tmp_path / "ca.pem").exists()


@pytest.mark.parametrize("who, answer, told", [
    ("imds", (404, {"error": "identity not found"}), "the machine's identity: answered 404"),
    ("vault", (403, {"error": "Forbidden"}), "the key vault: answered 403"),
    ("vault", (302, {}, {"Location": "http://10.202.0.50/elsewhere"}), "the key vault: answered 302"),
    ("vault", (200, "{\"value\": 7}"), "answered without a value"),
    ("vault", (200, "<html>"), "the key vault: JSONDecodeError"),
    ("vault", "reset", "the key vault: "),
])
def test_who_does_not_give_it_is_named(azure, fetch, who, answer, told):
    azure.failing[who] = answer
    try:
        done = fetch()
    finally:
        azure.failing.clear()
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr, done


@pytest.mark.parametrize("url", [
    "http://contoso.vault.azure.net/secrets/authority", "https://contoso.example.org/secrets/authority",
    "https://contoso.vault.azure.net.example.org/secrets/authority", "https://contoso.vault.azure.net@example.org/secrets/a",
    "https://contoso.vault.azure.net/keys/authority", "https://contoso.vault.azure.net/secrets/a?x=\n",
])
def test_the_token_is_for_a_vault_alone(azure, fetch, url):
    asked = len(azure.asked["imds"])
    assert "found another address" in fetch(url).stderr
    assert len(azure.asked["imds"]) == asked
