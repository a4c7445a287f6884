# SPDX-License-Identifier: GPL-2.0-or-later
"""Tokens of Microsoft Entra: they say who a client is, and its keys may change."""

import base64
import json
import os
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.appliance import AZURE, AZURE_B
from lab.azure import LOGIN, TENANT, Azure
from lab.client import azure_path, chat_body
from lab.process import wait_for

ISSUER = f"https://{LOGIN}/{TENANT}/v2.0"
JWKS = f"/{TENANT}/discovery/v2.0/keys"

POLICY = """
rules:
  - {name: finance-only, models: [finance], groups: [group-finance], action: allow}
  - {name: admins-only, models: [finance], groups: [role.Admin], action: allow}
  - {name: nobody-else, models: [finance], action: deny}
limits:
  - {name: each, models: [counted], requests: 1, every: month, per: [subject]}
"""


def base64url(data):
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class Issuer:
    """Signs tokens, and publishes its keys where Entra does."""

    def __init__(self, azure):
        self.keys = {"k1": rsa.generate_private_key(65537, 2048)}
        login = azure._login
        azure._login = lambda request, body: self._published() if request.path == JWKS else login(request, body)
        self.azure = azure

    def _published(self):
        def number(n):
            return base64url(n.to_bytes((n.bit_length() + 7) // 8, "big"))

        public = {kid: key.public_key().public_numbers() for kid, key in self.keys.items()}
        return 200, {"keys": [{"kty": "RSA", "use": "sig", "kid": kid, "n": number(n.n), "e": number(n.e),
                               "x5c": ["MIIDBTCCAe2gAwIBAgIQ"]} for kid, n in public.items()]}

    def token(self, kid="k1", **claims):
        head = {"typ": "JWT", "alg": "RS256", "kid": kid}
        claims = {"iss": ISSUER, "aud": "api://gate", "tid": TENANT, "nbf": int(time.time()) - 10,
                  "exp": int(time.time()) + 3600, "oid": "object-1", "azp": "app-1",
                  "preferred_username": "ann@contoso.com", **claims}
        signed = ".".join(base64url(json.dumps(part).encode()) for part in (head, claims))
        return signed + "." + base64url(self.keys[kid].sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))

    def asked(self):
        return len([path for path, *_ in self.azure.asked["login"] if path == JWKS])


@pytest.fixture(scope="module")
def issuer(lab):
    azure = Azure(lab)
    try:
        yield Issuer(azure)
    finally:
        azure.close()


@pytest.fixture(scope="module")
def gate(lab, issuer):
    gate = lab.appliance()
    policy = os.path.join(gate.directory, "policy.yaml")
    with open(policy, "w", encoding="utf-8") as file:
        file.write(POLICY)
    gate.write_config({
        "appliance": {"workers": 1},
        "policy": {"file": policy},
        "hosts": [{"pattern": AZURE, "provider": "azure"},
                  {"pattern": AZURE_B, "provider": "azure", "backend": "keyed"}],
        "backends": [{"name": "keyed", "host": AZURE, "key_file": gate.secret("key", "the-service-key")}],
        "credentials": [{"name": "entra", "from": "jwks", "url": f"https://{LOGIN}{JWKS}"}],
        "tokens": [{"name": "contoso", "keys": "entra", "issuers": [ISSUER], "audiences": ["api://gate"],
                    "tenant": TENANT}],
    })
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def call(client, prompt, token, *, host=AZURE, model="gpt-4o", id="x"):
    with client.tls(host) as connection:
        connection.request("POST", azure_path(model), host,
                           {"Content-Type": "application/json", "Authorization": f"Bearer {token}", "x-test-id": id},
                           chat_body(prompt))
        return connection.response()


def test_who_it_is(gate, client, origin, issuer, prompt):
    token = issuer.token(groups=["group-sales"], roles=["User"])
    assert call(client, prompt, token, id="passed").status == 200
    event = gate.event(prompt)
    assert (event["subject.found_by"], event["subject.name"]) == ("token", "ann@contoso.com")
    assert (event["subject.object_id"], event["subject.app_id"]) == ("object-1", "app-1")
    assert event["subject.tenant_id"] == TENANT and event["subject.credential"] == "token"
    assert event["subject.groups"] == "group-sales,role.User,app.app-1"
    assert token not in json.dumps(event)
    # It goes on where the client's own credential does …
    assert origin.request("passed").all("authorization") == [f"Bearer {token}"]
    # … and stays here where there is another one.
    assert call(client, prompt, token, host=AZURE_B, id="replaced").status == 200
    replaced = origin.request("replaced")
    assert replaced.all("api-key") == ["the-service-key"] and replaced.all("authorization") == []


@pytest.mark.parametrize("claims, status", [
    ({"groups": ["group-finance"]}, 200),
    ({"roles": ["Admin"]}, 200),
    ({"groups": ["group-sales"]}, 403),
    ({"_claim_names": {"groups": "src1"}}, 403),
])
def test_rules_go_by_its_groups(gate, client, issuer, prompt, claims, status):
    assert call(client, prompt, issuer.token(oid=prompt[-12:], **claims), model="finance").status == status
    event = gate.wait_events(1, lambda e: e.get("subject.object_id") == prompt[-12:])[0]
    assert event.get("subject.groups_overage", False) == ("_claim_names" in claims)


@pytest.mark.parametrize("claims, why", [
    ({"exp": 1700000000}, "expired"),
    ({"nbf": 4000000000}, "not valid yet"),
    ({"aud": "api://other"}, "for another audience"),
    ({"tid": "other"}, "of another tenant"),
])
def test_one_that_is_not_good_is_refused(gate, client, origin, issuer, prompt, claims, why):
    got = call(client, prompt, issuer.token(**claims))
    assert got.status == 401 and f"the token is {why}" in got.json()["error"]["message"]
    assert gate.wait_events(1, lambda e: e.get("subject.credential") == why)
    assert origin.requests() == []


def test_each_has_its_own_limit(gate, client, issuer, prompt):
    first, second = issuer.token(oid="object-2"), issuer.token(oid="object-3")
    assert [call(client, prompt, t, model="counted").status for t in (first, first, second)] == [200, 429, 200]


def test_one_of_somebody_else_says_nothing(gate, client, issuer, prompt):
    assert call(client, prompt, issuer.token(iss="https://other/")).status == 200
    event = gate.event(prompt)
    assert (event["subject.found_by"], event["subject.credential"]) == ("address", "other")


def test_another_key(gate, client, issuer, prompt):
    """It is fetched when a token names it; and what a key has signed that is no more is not believed."""
    old = issuer.token()
    assert call(client, prompt, old).status == 200
    asked = issuer.asked()
    issuer.keys = {"k2": rsa.generate_private_key(65537, 2048)}
    fresh = issuer.token("k2")
    assert call(client, prompt, fresh).status == 401
    wait_for(lambda: call(client, prompt, fresh).status == 200, "the other key")
    assert call(client, prompt, old).status == 401
    # Who invents names of keys makes nobody ask for them again and again.
    issuer.keys["k3"] = rsa.generate_private_key(65537, 2048)
    invented = issuer.token("k3")
    for _ in range(5):
        call(client, prompt, invented)
    assert issuer.asked() <= asked + 2
