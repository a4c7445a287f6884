# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients that call the appliance itself, by its own name: the same pools, policy and events."""

import ssl
import threading

import pytest

from lab import network
from lab.appliance import confined
from lab.client import azure_path, chat_body
from lab.load import Load
from lab.process import wait_for
from lab.regions import KEY, POOL, Regions
from test_policy import issue, write
from test_upgrade import Installed

NAME = "ai.contoso.example"
V1 = "/openai/v1/chat/completions"

RULES = """
rules:
  - {name: not-here, hosts: [%s], models: [gpt-4o-mini], action: deny, message: Not by this way.}
""" % NAME


@pytest.fixture(scope="module")
def regions(lab):
    lab.names.set(NAME, network.INSIDE)
    with Regions(lab, "gateway-") as made:
        yield made


def gateway(**changes):
    return {"gateway": {"listen": [network.INSIDE], "name": NAME, "pool": "chat", **changes}}


def configure(gate, regions):
    policy = {"file": write(gate, "policy.yaml", RULES), "keys_file": f"{gate.directory}/keys"}
    gate.write_config({**regions.config(gate, of=("east", "west"), west={"priority": 2}),
                       "policy": policy, **gateway()})
    gate.key = issue(gate, "new", "--name", "ana")


@pytest.fixture(scope="module")
def gate(lab, regions):
    """One gateway for all tests that change nothing of it for long; its port takes a right of its own."""
    gate = lab.appliance()
    gate.before = confined()
    configure(gate, regions)
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def call(client, gate, prompt, *, target=None, headers=None, **more):
    body = more.pop("body", None) or chat_body(prompt)
    return client.call(more.pop("host", NAME), target or azure_path(), body,
                       headers={"api-key": gate.key} if headers is None else headers,
                       **{"address": network.INSIDE, "sni": NAME, **more})


@pytest.mark.parametrize("shown", [
    {"api-key": "%s"}, {"api-key": "x", "Ocp-Apim-Subscription-Key": "%s"},
    {"api-key": "x", "Authorization": "Bearer %s"}, "subscription-key",
], ids=["api-key", "Ocp-Apim-Subscription-Key", "bearer", "query"])
def test_a_key_that_is_issued_here(regions, gate, client, prompt, shown):
    regions.east.origin.forget()
    target = azure_path()
    if shown == "subscription-key":
        target, headers = f"{target}&subscription-key={gate.key}", {"api-key": "x"}
    else:
        headers = {name: value % gate.key if "%s" in value else value for name, value in shown.items()}
    got = call(client, gate, prompt, target=target, headers=headers)
    assert got.status == 200 and got.header("x-ms-region") == "east", got
    asked = regions.east.origin.request()
    assert asked.key == KEY + "east"
    assert asked.header("host") == regions.east.host
    assert gate.key not in repr(asked.headers) + asked.target
    event = gate.event(prompt)
    assert event["subject.name"] == "ana" and event["subject.found_by"] == "key"
    assert event["tls.server_name"] == NAME
    assert event["source.ip"] == network.CLIENT and event["destination.ip"] == network.INSIDE
    assert event["backend.name"] == "east" and event["gen_ai.operation.name"] == "chat"


@pytest.mark.parametrize("headers", [{"api-key": ""}, {"api-key": KEY + "east"}, {"api-key": "%s-"}],
                         ids=["none", "the service's", "damaged"])
def test_no_other_key_is_one(regions, gate, client, prompt, headers):
    before, rejected = regions.count(), gate.counters()["key.rejected"]
    got = call(client, gate, prompt,
               headers={name: value.replace("%s", gate.key) for name, value in headers.items()})
    assert got.status == 401, got
    assert "Access denied" in got.json()["error"]["message"]
    assert regions.count() == before
    wait_for(lambda: gate.counters()["key.rejected"] == rejected + 1, "the counter")


def test_policy_is_the_same(gate, client, prompt):
    got = call(client, gate, prompt, target=azure_path("gpt-4o-mini"))
    assert got.status == 403 and got.json()["error"]["message"] == "Not by this way."
    told = gate.cli("explain", "--config", gate.config_path, "--source", network.CLIENT,
                    "--url", f"https://{NAME}{azure_path('gpt-4o-mini')}").stdout
    assert "not-here" in told and "deny" in told
    # Of an intercepted host it is no rule.
    assert client.chat(POOL, prompt + "there", target=azure_path("gpt-4o-mini")).status == 200


def test_what_one_kind_of_client_learns_of_a_backend_the_other_knows(regions, gate, client, prompt):
    regions.east.meets(status=429, retry_after=60)
    try:
        assert client.chat(POOL, prompt + "intercepted").header("x-ms-region") == "west"
        asked = len(regions.east.origin.requests())
        assert call(client, gate, prompt + "called").header("x-ms-region") == "west"
        assert len(regions.east.origin.requests()) == asked
        assert gate.event(prompt + "called")["attempts"] == 1
    finally:
        regions.east.meets()


def test_the_v1_paths(gate, client, prompt):
    got = call(client, gate, prompt, target=V1, body=chat_body(prompt, model="gpt-4o"),
               headers={"api-key": "x", "Authorization": f"Bearer {gate.key}"})
    assert got.status == 200 and got.text().startswith(f"Answer to: {prompt[:50]}")


def test_a_client_that_names_no_host_in_tls(gate, client):
    plain = client.tcp(network.INSIDE)
    context = client.context()
    context.check_hostname = False
    with context.wrap_socket(plain) as tls:
        names = [value for kind, value in tls.getpeercert()["subjectAltName"] if kind == "DNS"]
    assert names == [NAME]


@pytest.mark.parametrize("host, target, status", [
    (POOL, azure_path(), 421),
    ("east.openai.azure.com", azure_path(), 421),
    (network.INSIDE, azure_path(), 421),
    (NAME + ":8443", azure_path(), 200),  # a port that is translated on the way
    (NAME.upper(), azure_path(), 200),
    (NAME, f"https://{NAME}{azure_path()}", 200),
    (NAME, f"https://{POOL}{azure_path()}", 400),
    (NAME, "/v1/../openai/deployments/gpt-4o/chat/completions", 400),
    (NAME, "//openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", 400),
])
def test_whom_a_request_is_for(regions, gate, client, prompt, host, target, status):
    before = regions.count()
    got = call(client, gate, prompt, host=host, target=target)
    assert got.status == status, got
    assert regions.count() == before + (status == 200)


@pytest.mark.parametrize("sni", [POOL, "east.openai.azure.com", "www.example.org", "x." + NAME])
def test_another_name_is_not_served(gate, client, sni):
    """Also not one that is intercepted on the way to its own address: the call would go round."""
    before = gate.counters()["gateway.refused"]
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME|unrecognized name"):
        client.tls(sni, address=network.INSIDE, context=client.context(verify=False))
    wait_for(lambda: gate.counters()["gateway.refused"] == before + 1, "the counter")


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\nHost: ai.contoso.example\r\n\r\n", b"\x00" * 100, b"SSH-2.0-x\r\n"])
def test_nothing_but_tls(gate, client, said):
    stream = client.tcp(network.INSIDE)
    with stream, pytest.raises(ConnectionResetError):
        stream.sendall(said)
        while stream.recv(4096):
            pass
        raise ConnectionResetError("closed")  # as good


def nobody_listens(client, port):
    def refused():
        try:
            client.tcp(network.INSIDE, port).close()
        except ConnectionRefusedError:
            return True

    wait_for(refused, "the end of the workers of before")


def test_a_reload_moves_it_and_cuts_nothing(regions, gate, client, prompt):
    moved = (network.INSIDE, 8443)
    with client.tls(NAME, address=network.INSIDE) as kept, Load(client, POOL, prompt, threads=2) as load:
        kept.request("POST", azure_path(), NAME, {"api-key": gate.key, "x-test-delay-ms": "1500"},
                     chat_body(prompt + " kept"))
        wait_for(load.more(5), "calls")
        gate.write_config(gateway(listen=[f"{network.INSIDE}:8443"]))
        gate.reload()
        assert kept.response().status == 200
    load.assert_nothing_failed()
    nobody_listens(client, 443)
    client.tcp(*moved).close()
    # What cannot be bound is refused, and nothing changes.
    gate.write_config(gateway(listen=["192.0.2.1"]))
    before = gate.counters()["reload.refused"]
    gate.reload()
    assert gate.counters()["reload.refused"] == before + 1
    assert "gateway.listen: 192.0.2.1:443: Cannot assign requested address" in gate.daemon.log()
    client.tcp(*moved).close()
    gate.write_config({"gateway": None})
    gate.reload()
    nobody_listens(client, 8443)
    gate.write_config(gateway())
    gate.reload()
    assert call(client, gate, prompt + "back").status == 200


def test_where_all_connections_are_steered(gate, client, prompt):
    """The appliance's own address is none to be intercepted."""
    gate.write_config({"endpoints": {"steer": "all"}})
    gate.reload()
    try:
        assert call(client, gate, prompt).status == 200
        with pytest.raises((ssl.SSLError, ConnectionError)):
            client.tls(POOL, address=network.INSIDE, context=client.context(verify=False))
    finally:
        gate.write_config({"endpoints": {"steer": "endpoints"}})
        gate.reload()


def test_an_upgrade_keeps_its_address(lab, regions, gate, appliance, prompt):
    gate.stop()
    installed = Installed.__new__(Installed)
    other = appliance(start=False)
    configure(other, regions)
    installed.lab, installed.gate = lab, other
    installed.path = other.daemon_path = f"{other.directory}/sallyportd"
    installed.install()
    other.start()
    client, refused, ending = lab.client(other), [], threading.Event()

    def connect():
        while not ending.is_set():
            try:
                client.tcp(network.INSIDE).close()
            except OSError as error:
                refused.append(error)

    connecting = threading.Thread(target=connect)
    connecting.start()
    try:
        before = other.children("worker")
        installed.install()
        installed.upgrade()
        wait_for(lambda: not set(before) & set(other.children("worker")), "end of the old workers")
    finally:
        ending.set()
        connecting.join()
    assert not refused
    assert call(client, other, prompt).status == 200
    other.stop()
