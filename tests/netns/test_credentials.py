# SPDX-License-Identifier: GPL-2.0-or-later
"""Credentials of backends: changed under load, missing, and their keeper killed."""

import contextlib
import itertools
import os
import signal
import threading

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B
from lab.process import wait_for

KEYS = [f"service-{n}-0123456789abcdef0123456789ab" for n in range(4)]


def replace(gate, name, text):
    """As a careful administrator does it: another file comes in its place."""
    gate.secret(name + ".new", text)
    os.rename(os.path.join(gate.directory, name + ".new"), os.path.join(gate.directory, name))


def credential(gate, name):
    """What the status tells of one."""
    return next(c for c in gate.status()["credentials"] if c["name"] == name)


def states(gate, name):
    """The states of it that were told by events, in order."""
    return [event["datapath.state"] for event in gate.events()
            if event.get("datapath.subject") == f"credential {name}"]


def sent_key(client, origin, numbers=itertools.count()):
    """Makes a call; the key that the origin was sent."""
    number = f"key-{next(numbers)}"
    got = client.chat(AZURE, "which key", headers={"x-test-id": number})
    assert got.status == 200, got.body
    seen = origin.request(number)
    return (seen.all("api-key") or seen.all("authorization"))[0]


@contextlib.contextmanager
def load(client, host=AZURE):
    """Calls without a pause, each on a connection of its own: none may fail."""
    stop, failed, n = threading.Event(), [], [0]

    def call():
        while not stop.is_set():
            try:
                got = client.chat(host, "load")
            except Exception as error:  # noqa: BLE001
                failed.append(error)
                return
            n[0] += 1
            if got.status != 200:
                failed.append((got.status, got.body))

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
        wait_for(lambda: n[0] > 10 or failed, "calls")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed, failed[:3]


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance()
    gate.write_config({
        "hosts": [
            {"pattern": AZURE, "provider": "azure", "backend": "east"},
            {"pattern": AZURE_B, "provider": "azure", "backend": "nowhere"},
            {"pattern": "*.openai.azure.com", "provider": "azure"},
        ],
        "backends": [
            {"name": "east", "addresses": [network.REGION_A], "credential": "east"},
            {"name": "nowhere", "addresses": [network.REGION_B], "credential": "absent"},
        ],
        "credentials": [
            {"name": "east", "from": "file", "file": gate.secret("east.key", KEYS[0] + "\n")},
            {"name": "absent", "from": "systemd"},
        ],
    })
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def test_a_file_that_changes_is_used_without_a_reload(gate, client, origin):
    assert sent_key(client, origin) == KEYS[0]
    with load(client):
        replace(gate, "east.key", KEYS[1])
        wait_for(lambda: sent_key(client, origin) == KEYS[1], "the new key")
    assert gate.counters()["reload.done"] == 0
    assert credential(gate, "east")["state"] == "fresh"
    gate.wait_for_events(lambda found: "renewed" in states(gate, "east"))


def test_a_file_that_goes_bad_leaves_the_last_good_value(gate, client, origin):
    before = sent_key(client, origin)
    os.unlink(os.path.join(gate.directory, "east.key"))
    wait_for(lambda: credential(gate, "east")["state"] == "kept", "that it is told")
    told = credential(gate, "east")
    assert "east.key" in told["error"] and told["got_ns"] > 0
    assert sent_key(client, origin) == before
    text = gate.cli("status", "--config", gate.running_path, check=False).stdout
    assert "Credentials: 2" in text and "kept, from file" in text and "the last attempt failed" in text
    gate.secret("east.key", before)
    wait_for(lambda: credential(gate, "east")["state"] == "fresh", "that it is back")
    gate.wait_for_events(lambda found: states(gate, "east")[-2:] == ["kept", "fresh"])


def test_a_missing_credential_is_a_clear_error_and_others_go_on(gate, client, prompt):
    got = client.chat(AZURE_B, prompt)
    assert got.status == 503
    assert got.header("x-should-retry") is None
    error = got.json()["error"]
    assert error["code"] == "503" or error["code"] == "credential_missing", error
    assert "nowhere" in error["message"] and "LoadCredential=absent" in error["message"]
    assert client.chat(AZURE, "others").status == 200
    event = gate.event(prompt)
    assert event["error.type"] == "credential_missing"
    assert event["http.response.status_code"] == 503
    assert credential(gate, "absent")["state"] == "missing"
    assert gate.counters()["credential.missing"] >= 1


def test_calls_go_on_while_the_keeper_is_killed(gate, client, origin):
    with load(client):
        before = gate.children("keeper")[0]
        os.kill(before, signal.SIGKILL)
        wait_for(lambda: [pid for pid in gate.children("keeper") if pid != before], "another keeper")
        replace(gate, "east.key", KEYS[2])
        wait_for(lambda: sent_key(client, origin) == KEYS[2], "the new key")


def test_a_worker_that_died_hears_of_the_credential_again(gate, client, origin):
    replace(gate, "east.key", KEYS[3])
    wait_for(lambda: sent_key(client, origin) == KEYS[3], "the new key")
    for pid in gate.children("worker"):
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: len(gate.children("worker")) == 2, "other workers")
    assert sent_key(client, origin) == KEYS[3]
    with load(client):
        gate.reload()
    assert sent_key(client, origin) == KEYS[3]


def test_a_credential_of_the_service(lab, gate, appliance, origin, tmp_path):
    gate.stop()
    gate = appliance({
        "hosts": [{"pattern": AZURE, "provider": "azure", "backend": "east"}],
        "backends": [{"name": "east", "credential": "main", "key_header": "bearer"}],
        "credentials": [{"name": "main", "from": "systemd"}],
    }, start=False)
    os.chmod(tmp_path, 0o700)
    (tmp_path / "main").write_text(KEYS[0])
    (tmp_path / "main").chmod(0o400)
    gate.environment["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    gate.start()
    assert sent_key(lab.client(gate), origin) == "Bearer " + KEYS[0]
    assert credential(gate, "main")["from"] == "systemd"
    gate.stop()


def test_a_backend_without_a_credential_is_left_for_another_of_its_pool(lab, gate, appliance, origin, prompt):
    gate.stop()
    one = appliance(start=False)
    one.write_config({
        "hosts": [{"pattern": AZURE, "provider": "azure", "pool": "both"}],
        "pools": [{"name": "both", "backends": ["first", "second"]}],
        "backends": [
            {"name": "first", "addresses": [network.REGION_A], "credential": "absent", "priority": 1},
            {"name": "second", "addresses": [network.REGION_B], "priority": 2,
             "key_file": one.secret("second.key", KEYS[1])},
        ],
        "credentials": [{"name": "absent", "from": "systemd"}],
    })
    one.start()
    client = lab.client(one)
    for n in range(12):  # also when the breaker has taken the first one out
        assert client.chat(AZURE, f"{prompt} {n}").status == 200
    assert sent_key(client, origin) == KEYS[1]
    assert one.event(f"{prompt} 0")["backend.name"] == "second"
    one.stop()
