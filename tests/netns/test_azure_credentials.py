# SPDX-License-Identifier: GPL-2.0-or-later
"""Credentials that Azure gives out: Key Vault, managed identity, app registration, and all that goes
wrong there."""

import datetime
import os
import signal
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from lab import network
from lab.appliance import AZURE, AZURE_B, OPENAI
from lab.azure import CLIENT_ID, TENANT, VAULT, Azure
from lab.certificates import key_pem, pem, subject
from lab.process import descendants_of, wait_for
from test_backend import every_file
from test_credentials import credential, load, states

KEYS = [f"vault-key-{n}-0123456789abcdef0123456789ab" for n in range(6)]
AUDIENCE = "https://cognitiveservices.azure.com"


@pytest.fixture(scope="module")
def azure(lab):
    azure = Azure(lab)
    azure.secrets["openai"] = KEYS[0]
    try:
        yield azure
    finally:
        azure.close()


@pytest.fixture(autouse=True)
def mended(azure):
    """Nothing fails when a test begins."""
    azure.failing.clear()
    azure.lifetime = 86400
    yield
    azure.failing.clear()


def certificate_of(name):
    key = rsa.generate_private_key(65537, 2048)
    now = datetime.datetime.utcnow()
    made = (x509.CertificateBuilder().subject_name(subject(name)).issuer_name(subject(name))
            .public_key(key.public_key()).serial_number(1).not_valid_before(now)
            .not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256()))
    return made, (key_pem(key) + pem(made)).decode()


def changes(gate, azure):
    return {
        "hosts": [
            {"pattern": AZURE, "provider": "azure", "backend": "vault"},
            {"pattern": AZURE_B, "provider": "azure", "backend": "identity"},
            {"pattern": OPENAI, "provider": "openai", "backend": "app"},
        ],
        "backends": [
            {"name": "vault", "addresses": [network.REGION_A], "credential": "vaulted"},
            {"name": "identity", "addresses": [network.REGION_B], "credential": "identity"},
            {"name": "app", "addresses": [network.REGION_A], "credential": "app"},
        ],
        "credentials": [
            {"name": "vaulted", "from": "key-vault", "secret": f"https://{VAULT}/secrets/openai",
             "refresh": "1s"},
            {"name": "identity", "from": "managed-identity"},
            {"name": "app", "from": "app", "tenant": TENANT, "client_id": CLIENT_ID,
             "client_secret_file": gate.secret("app.secret", azure.client_secret + "\n"),
             "audience": "https://ai.azure.com"},
        ],
    }


@pytest.fixture(scope="module")
def gate(lab, azure):
    gate = lab.appliance()
    gate.write_config(changes(gate, azure))
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def sent(client, origin, host):
    """Makes a call; the api-key and the Authorization that the origin was sent."""
    number = f"sent-{os.urandom(6).hex()}"
    got = client.chat(host, "which", headers={"x-test-id": number, "api-key": "the-clients-own-key"})
    assert got.status == 200, got.body
    seen = origin.request(number)
    return seen.header("api-key"), seen.header("authorization")


def wait_state(gate, name, *wanted):
    wait_for(lambda: credential(gate, name)["state"] in wanted,
             lambda: f"{wanted} of {credential(gate, name)}", 40)
    return credential(gate, name)


def test_a_key_of_the_vault_by_the_managed_identity(gate, azure, client, origin):
    assert sent(client, origin, AZURE) == (KEYS[0], None)
    path, headers, _ = azure.asked["imds"][0]
    assert headers["Metadata"] == "true" and "Authorization" not in headers
    told = credential(gate, "vaulted")
    assert told["state"] == "fresh" and told["from"] == "key-vault" and told["next_ns"] > told["got_ns"]


def test_rotation_in_the_vault_under_load(gate, azure, client, origin):
    tokens = sum("vault.azure.net" in path for path, *_ in azure.asked["imds"])
    with load(client):
        for key in KEYS[1:3]:
            azure.secrets["openai"] = key
            wait_for(lambda: sent(client, origin, AZURE) == (key, None), "the new key")  # noqa: B023
    gate.wait_for_events(lambda found: states(gate, "vaulted").count("renewed") == 2)
    # One token serves many questions.
    assert sum("vault.azure.net" in path for path, *_ in azure.asked["imds"]) == tokens


def test_a_token_of_the_managed_identity_in_place_of_a_key(gate, azure, client, origin):
    key, bearer = sent(client, origin, AZURE_B)
    assert key is None
    assert azure.tokens[bearer.removeprefix("Bearer ")] == AUDIENCE
    told = credential(gate, "identity")
    assert told["expires_ns"] > told["next_ns"] > told["got_ns"]


def test_a_token_of_an_app_registration(gate, azure, client, origin):
    key, bearer = sent(client, origin, OPENAI)
    assert key is None
    assert azure.tokens[bearer.removeprefix("Bearer ")] == "https://ai.azure.com"


FAILURES = {
    "throttled": ((429, {"error": {"code": "Throttled"}}, {"Retry-After": "2"}), "429 (Throttled)"),
    "broken": ((503, "<html>not JSON</html>"), "answered 503"),
    "forbidden": ((403, {"error": {"code": "Forbidden", "innererror": {"code": "AccessDenied"},
                                   "message": KEYS[0]}}), "403 (Forbidden, AccessDenied)"),
    "gone": ((404, {"error": {"code": "SecretNotFound"}}), "404 (SecretNotFound)"),
    "redirected": ((302, "", {"Location": "https://elsewhere.example/"}), "answered 302"),
    "nonsense": ((200, {"value": "two\nlines"}), "no value"),
    "endless": ((200, "x" * 100000), "too long"),
    "reset": ("reset", "reset by peer"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_when_the_vault_fails_the_last_good_value_stays(gate, azure, client, origin, failure):
    wait_state(gate, "vaulted", "fresh")
    before = sent(client, origin, AZURE)
    azure.failing["vault"], reason = FAILURES[failure]
    told = wait_state(gate, "vaulted", "kept")
    assert reason in told["error"], told
    assert KEYS[0] not in told["error"]
    assert sent(client, origin, AZURE) == before
    asked = len(azure.asked["vault"])
    time.sleep(1)
    assert len(azure.asked["vault"]) - asked <= 3  # no storm
    azure.failing.clear()
    wait_state(gate, "vaulted", "fresh")


def test_a_slow_vault_delays_nobody(gate, azure, client, origin):
    wait_state(gate, "vaulted", "fresh")
    azure.failing["vault"] = "slow"
    with load(client):
        told = wait_state(gate, "vaulted", "kept")
    assert "in time" in told["error"]
    azure.failing.clear()
    wait_state(gate, "vaulted", "fresh")


def test_a_token_for_another_audience_is_refused_and_another_one_asked_for(gate, azure, client, origin):
    """The vault does not know the token any more, as after a change of the tenant's keys."""
    wait_state(gate, "vaulted", "fresh")
    failing = azure.failing
    azure.tokens.clear()
    failing["imds"] = 200, {"access_token": azure._token("https://management.azure.com"), "expires_in": "3600"}
    told = wait_state(gate, "vaulted", "kept")
    assert "401 (Unauthorized)" in told["error"]
    failing.clear()
    wait_state(gate, "vaulted", "fresh")
    assert sent(client, origin, AZURE)[0] == azure.secrets["openai"]


def test_whoever_is_not_the_vault_gets_no_token(lab, gate, azure, client, origin):
    wait_state(gate, "vaulted", "fresh")
    made, key = lab.certificates.root.issue("elsewhere.example")
    lab.certificates.install(VAULT, made, key)
    asked = len(azure.asked["vault"])
    try:
        told = wait_state(gate, "vaulted", "kept")
        assert "certificate" in told["error"] or "name" in told["error"], told
        time.sleep(1)
        assert len(azure.asked["vault"]) <= asked + 1
    finally:
        lab.certificates.good(VAULT)
    wait_state(gate, "vaulted", "fresh")


def test_a_reload_and_an_upgrade_while_nothing_can_be_had(gate, azure, client, origin):
    """What is good is left to the next keeper: nobody waits for a vault that is down."""
    wait_state(gate, "vaulted", "fresh")
    before = {host: sent(client, origin, host) for host in (AZURE, AZURE_B, OPENAI)}
    for who in ("imds", "vault", "login"):
        azure.failing[who] = 500, "down"
    wait_state(gate, "vaulted", "kept")
    keeper = gate.children("keeper")
    for number in (signal.SIGHUP, signal.SIGUSR2):
        with load(client):
            gate.notifications()
            gate.daemon.send(number)
            gate.wait_notified("READY=1")
        assert {host: sent(client, origin, host) for host in before} == before
    assert gate.counters()["upgrade.done"] == 1
    wait_for(lambda: not set(keeper) & set(gate.children("keeper")), "the end of the keepers before")
    assert {host: sent(client, origin, host) for host in before} == before
    azure.failing.clear()
    wait_state(gate, "vaulted", "fresh")


def test_a_killed_keeper_while_nothing_can_be_had(gate, azure, client, origin):
    wait_state(gate, "vaulted", "fresh")
    before = sent(client, origin, AZURE)
    for who in ("imds", "vault", "login"):
        azure.failing[who] = 500, "down"
    keeper = gate.children("keeper")[0]
    with load(client):
        os.kill(keeper, signal.SIGKILL)
        wait_for(lambda: [pid for pid in gate.children("keeper") if pid != keeper], "another keeper")
        # The new one has nothing; workers go on with what they have.
        wait_state(gate, "vaulted", "missing")
    assert sent(client, origin, AZURE) == before
    azure.failing.clear()
    azure.secrets["openai"] = KEYS[3]
    wait_for(lambda: sent(client, origin, AZURE)[0] == KEYS[3], "what the new keeper got")


def test_no_secret_is_to_be_found(gate, azure, client, origin):
    sent(client, origin, AZURE)
    secrets = [*KEYS, azure.client_secret, *azure.tokens]
    own = os.path.join(gate.directory, "app.secret")
    for path, content in every_file(gate.directory):
        assert path == own or not [s for s in secrets if s.encode() in content], path
    recorded = str(gate.events()) + gate.logs() + str(gate.status())
    assert not [s for s in secrets if s in recorded]
    for pid in [gate.daemon.pid, *descendants_of(gate.daemon.pid)]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                content = file.read()
            assert not [s for s in secrets if s.encode() in content]


def test_a_missing_credential_comes_when_it_can_be_had(lab, gate, azure, origin, appliance, prompt):
    """Started while nothing can be had; tokens that are good for seconds only."""
    gate.stop()
    azure.lifetime = 4
    for who in ("imds", "login"):
        azure.failing[who] = 500, "down"
    made, text = certificate_of("app")
    azure.certificate = made
    other = appliance(start=False)
    config = changes(other, azure)
    del config["credentials"][2]["client_secret_file"]
    config["credentials"][2]["client_certificate"] = other.secret("app.pem", text)
    other.write_config({**config, "hosts": config["hosts"] + [{"pattern": "*.openai.azure.com", "provider": "azure"}]})
    other.start()
    client = lab.client(other)
    got = client.chat(AZURE_B, prompt)
    assert got.status == 503
    assert "identity" in got.json()["error"]["message"] and "500" in got.json()["error"]["message"]
    azure.failing.clear()
    wait_state(other, "identity", "fresh")
    wait_state(other, "app", "fresh")
    first = sent(client, origin, AZURE_B)
    sent(client, origin, OPENAI)
    assert azure.asked["login"][-1][2].startswith("grant_type=client_credentials&")
    # They are renewed before they expire …
    wait_for(lambda: sent(client, origin, AZURE_B) != first, "another token")
    # … and one that has expired is not sent.
    azure.failing["imds"] = 400, {"error": "invalid_request", "error_description": "Identity not found"}
    wait_for(lambda: client.chat(AZURE_B, "expired").status == 503, "its end")
    assert "400 (invalid_request)" in credential(other, "identity")["error"]
    azure.failing.clear()
    wait_for(lambda: client.chat(AZURE_B, "back").status == 200, "another one", 40)
    other.stop()


def test_a_key_that_is_refused_is_asked_for_at_once(lab, gate, azure, origin, appliance):
    """It was made anew before its time: nobody waits for the next look into the vault."""
    gate.stop()
    azure.secrets["openai"] = KEYS[4]
    other = appliance(start=False)
    config = changes(other, azure)
    config["credentials"][0]["refresh"] = "1h"
    other.write_config(config)
    other.start()
    client = lab.client(other)
    assert sent(client, origin, AZURE) == (KEYS[4], None)
    azure.secrets["openai"] = KEYS[5]
    asked = len(azure.asked["vault"])
    assert sent(client, origin, AZURE) == (KEYS[4], None)
    # The same key is refused by many at once: the vault is asked once.
    for _ in range(5):
        assert client.chat(AZURE, "refused", headers={"x-test-status": "401"}).status == 401
    wait_for(lambda: sent(client, origin, AZURE) == (KEYS[5], None), "the new key")
    assert len(azure.asked["vault"]) == asked + 1
    assert other.counters()["credential.refused"] >= 1
    other.stop()
