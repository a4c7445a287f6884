# SPDX-License-Identifier: GPL-2.0-or-later
"""Configured backends: where calls go, with which key, and where that key is not."""

import contextlib
import gzip
import json
import os
import stat
import subprocess
import urllib.parse

import pytest

from lab import network
from lab.appliance import AZURE, AZURE_B, OPENAI
from lab.client import azure_path, chat_body
from lab.process import descendants_of
from lab.rogue import rogue_origin

SERVICE_KEY = "service-0123456789abcdef0123456789abcdef"
OPENAI_KEY = "sk-proj-0123456789abcdefghijklmnopqrstuvwxyz"
ROGUE, ROGUE_KEY = "rogue-echo.openai.azure.com", "rogue/0123456789+abcdef/0123456789=abcdef"
CLIENT_KEY = "client-fedcba9876543210fedcba9876543210"


@pytest.fixture(scope="module")
def gate(lab):
    """An appliance with a key for Azure, another for OpenAI, and addresses of its own."""
    gate = lab.appliance()
    gate.write_config({
        "hosts": [
            {"pattern": AZURE, "provider": "azure", "backend": "private"},
            {"pattern": AZURE_B, "provider": "azure"},
            {"pattern": OPENAI, "provider": "openai", "backend": "openai"},
            {"pattern": ROGUE, "provider": "azure", "backend": "rogue"},
        ],
        "backends": [
            {"name": "private", "addresses": [network.REGION_B], "region": "swedencentral",
             "key_file": gate.secret("azure.key", SERVICE_KEY + "\n"), "key_header": "api-key"},
            {"name": "openai", "key_file": gate.secret("openai.key", OPENAI_KEY),
             "key_header": "bearer"},
            {"name": "rogue", "host": ROGUE, "key_file": gate.secret("rogue.key", ROGUE_KEY)},
        ],
    })
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


CREDENTIALS = [
    {"api-key": CLIENT_KEY}, {"Authorization": f"Bearer {CLIENT_KEY}"},
    {"api-key": CLIENT_KEY, "Authorization": f"Bearer {CLIENT_KEY}"},
    {"API-KEY": CLIENT_KEY, "authorization": f"bearer {CLIENT_KEY}"},
    {"Ocp-Apim-Subscription-Key": CLIENT_KEY, "api-key": ""}, {},
    {"x-api-key": CLIENT_KEY}, {"api_key": CLIENT_KEY}, {"Cookie": f"session={CLIENT_KEY}"},
    {"Proxy-Authorization": f"Basic {CLIENT_KEY}"},
    {"Sec-WebSocket-Protocol": f"realtime, openai-insecure-api-key.{CLIENT_KEY}"},
]


@pytest.mark.parametrize("credentials", CREDENTIALS, ids=lambda c: "+".join(c) or "none")
def test_the_service_key_replaces_the_clients_credential(gate, client, origin, prompt, credentials):
    with client.tls(AZURE) as connection:
        connection.request("POST", azure_path(), AZURE, {**credentials, "x-test-id": "key"}, chat_body(prompt))
        assert connection.response().status == 200
    seen = origin.request("key")
    assert seen.all("api-key") == [SERVICE_KEY]
    assert seen.all("authorization") == []
    assert CLIENT_KEY not in str(seen.headers)
    event = gate.event(prompt)
    assert event["backend.name"] == "private"
    assert event["backend.region"] == "swedencentral"
    assert event["backend.address"] == f"{network.REGION_B}:443"


def test_as_bearer(gate, client, origin, prompt):
    body = chat_body(prompt, model="gpt-4o")
    headers = {"Authorization": f"Bearer {CLIENT_KEY}", "x-test-id": "bearer"}
    assert client.call(OPENAI, "/v1/chat/completions", body, headers=headers).status == 200
    seen = origin.request("bearer")
    assert seen.all("authorization") == [f"Bearer {OPENAI_KEY}"]
    assert seen.all("api-key") == []


def test_the_configured_address_replaces_the_dns(client, origin, prompt):
    assert client.chat(AZURE, prompt, headers={"x-test-id": "address"}).status == 200
    seen = origin.request("address")
    assert seen.local.startswith(network.REGION_B + ":")
    assert seen.sni == seen.header("host") == AZURE


@pytest.mark.parametrize("name", ["api-key", "subscription-key", "api%2Dkey", "%61pi-key", "API_KEY", ";api-key"])
def test_a_credential_in_the_query_is_removed_and_not_recorded(gate, client, origin, prompt, name):
    target = azure_path() + f"&{name}={CLIENT_KEY}&also=1"
    assert client.chat(AZURE, prompt, target=target, headers={"x-test-id": "query"}).status == 200
    seen = origin.request("query")
    assert CLIENT_KEY not in seen.target
    assert "api-version=" in seen.target and seen.target.endswith("&also=1")
    assert CLIENT_KEY not in gate.event(prompt)["url.path"]


@pytest.mark.parametrize("field", ["api-key", "x-api-key", "Authorization", "Cookie"])
def test_a_credential_in_the_trailers_is_refused(client, origin, prompt, field):
    body = chat_body(prompt)
    with client.tls(AZURE) as connection:
        connection.send(f"POST {azure_path()} HTTP/1.1\r\nHost: {AZURE}\r\n"
                        f"x-test-id: trailer\r\nTransfer-Encoding: chunked\r\n\r\n"
                        f"{len(body):x}\r\n{body}\r\n0\r\n{field}: {CLIENT_KEY}\r\n\r\n")
        assert connection.response().status == 400
    assert CLIENT_KEY not in str(origin.requests("trailer"))


def test_without_a_backend_the_clients_credential_passes(client, origin, prompt):
    headers = {"api-key": CLIENT_KEY, "x-test-id": "passes"}
    assert client.chat(AZURE_B, prompt, headers=headers).status == 200
    assert origin.request("passes").key == CLIENT_KEY


@pytest.mark.parametrize("knobs", [
    {}, {"x-test-framing": "chunked", "x-test-chunk": "7"}, {"x-test-framing": "close"},
    {"x-test-chunk": "1", "x-test-framing": "chunked"},
], ids=lambda knobs: "+".join(knobs.values()) or "length")
@pytest.mark.parametrize("status", ["401", "500"])
def test_a_key_that_the_origin_echoes_reaches_nobody(gate, client, prompt, status, knobs):
    headers = {"x-test-status": status, "x-test-echo": "1", **knobs}
    got = client.chat(AZURE, prompt, headers=headers)
    assert got.status == int(status)
    assert SERVICE_KEY not in str(got.headers) + got.body.decode()
    hidden = "*" * len(SERVICE_KEY)
    assert got.header("x-you-sent") == hidden
    assert got.json()["error"]["message"].endswith(f" You sent {hidden} twice: {hidden}.")
    assert SERVICE_KEY not in str(gate.event(prompt))


WRITTEN = {
    "as it is": ROGUE_KEY,
    "slashes": ROGUE_KEY.replace("/", "\\/"),
    "JSON in JSON": ROGUE_KEY.replace("/", "\\\\\\/"),
    "unicode": "".join(f"\\u{ord(c):04x}" for c in ROGUE_KEY),
    "percent": urllib.parse.quote(ROGUE_KEY, safe=""),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_an_error_does_not_show_the_key_however_it_is_written(gate, lab, client, prompt, form):
    def respond(head, body):
        assert f"api-key: {ROGUE_KEY}".encode() in head
        said = b'{"error":{"message":"Bad key %b, really %b."}}' % ((WRITTEN[form].encode(),) * 2)
        return b"HTTP/1.1 401 No\r\nx-you-sent: k=%b;\r\nContent-Length: %d\r\n\r\n%b" % (
            WRITTEN[form].encode(), len(said), said)

    with rogue_origin(lab, ROGUE, respond):
        got = client.chat(ROGUE, prompt)
    hidden = "*" * len(WRITTEN[form])
    assert got.status == 401 and got.header("x-you-sent") == f"k={hidden};"
    assert got.json()["error"]["message"] == f"Bad key {hidden}, really {hidden}."
    event = gate.event(prompt)
    assert event["error.message"] == "Bad key [redacted], really [redacted]."
    assert ROGUE_KEY not in json.dumps(event)


def test_an_error_inside_a_stream_does_not_show_the_key(gate, lab, client, prompt):
    said = (b'data: {"id":"a","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Well"}}]}\n\n'
            b'data: {"error":{"message":"Bad key %b."}}\n\ndata: [DONE]\n\n' % ROGUE_KEY.encode())
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said))
    with rogue_origin(lab, ROGUE, lambda *_: answer):
        got = client.chat(ROGUE, prompt, fields={"stream": True})
    assert got.body == said.replace(ROGUE_KEY.encode(), b"*" * len(ROGUE_KEY))
    assert ROGUE_KEY not in json.dumps(gate.event(prompt))


def test_a_key_that_a_cut_goes_through_is_not_recorded(gate, client, prompt):
    """Whichever of its bytes the middle of a message that is too long begins or ends with."""
    kept = 0
    for step in range(0, 60, 5):
        said = f"{prompt} {step:02} " + "x" * step + (ROGUE_KEY + "|") * 8000
        assert client.chat(AZURE, said).status == 200
    for event in gate.wait_events(12, lambda event: prompt in event.get("gen_ai.input.messages", "")):
        text = json.loads(event["gen_ai.input.messages"])[0]["content"]
        kept += "…" in text
        rest = text[text.index("x" * 5) if "x" in text else len(prompt) + 4:].replace("[redacted]", "")
        assert set(rest) <= set("x|…"), rest[:200]
    assert kept == 0  # what stands around a cut goes with it


def test_an_error_that_cannot_be_looked_into_does_not_pass(gate, client, origin, prompt):
    headers = {"x-test-status": "401", "x-test-echo": "1", "x-test-coding": "gzip", "x-test-id": "coded"}
    got = client.chat(AZURE, prompt, headers={**headers, "Accept-Encoding": "gzip, br"})
    assert got.status == 502
    assert origin.request("coded").all("accept-encoding") == ["identity"]
    assert gate.event(prompt)["error.type"] == "response_unreadable"


def test_every_coding_of_an_error_counts(gate, lab, client, prompt):
    said = gzip.compress(b'{"error":{"message":"Bad key %b."}}' % ROGUE_KEY.encode())
    answer = (b"HTTP/1.1 401 No\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n"
              b"Content-Length: %d\r\n\r\n%b" % (len(said), said))
    with rogue_origin(lab, ROGUE, lambda *_: answer):
        assert client.chat(ROGUE, prompt).status == 502
    assert gate.event(prompt)["error.type"] == "response_unreadable"


def test_a_key_in_a_prompt_and_an_answer_is_not_recorded(gate, client):
    said = f"Say {SERVICE_KEY}!"
    assert SERVICE_KEY in client.chat(AZURE, said).text()
    assert SERVICE_KEY in client.chat(AZURE, said, fields={"stream": True}).text()
    for event in gate.wait_events(2, lambda event: "Say [redacted]!" in event.get("gen_ai.input.messages", "")):
        assert SERVICE_KEY not in str(event)
        assert "Say [redacted]!" in event["gen_ai.output.messages"]


def every_file(*directories):
    """The path and the content of each; what a process takes away meanwhile is passed over."""
    for directory in directories:
        for top, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(top, name)
                with contextlib.suppress(FileNotFoundError):
                    if stat.S_ISREG(os.lstat(path).st_mode):
                        with open(path, "rb") as file:
                            content = file.read()
                        yield path, content


def test_no_secret_in_a_log_an_event_or_a_readable_file(gate, client, prompt):
    leaked = f"{prompt} my key is sk-proj-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 keep it"
    assert client.chat(AZURE, leaked, headers={"api-key": CLIENT_KEY}).status == 200
    gate.event(prompt)
    with open(gate.ca_key_path, encoding="ascii") as file:
        ca_key = file.read().splitlines()[1]
    secrets = [SERVICE_KEY, OPENAI_KEY, CLIENT_KEY, ca_key, "sk-proj-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"]
    own = {gate.ca_key_path, *(os.path.join(gate.directory, n) for n in ("azure.key", "openai.key"))}
    for path, content in every_file(gate.directory):
        found = [secret for secret in secrets if secret.encode() in content]
        if path in own:
            assert os.stat(path).st_mode & 0o077 == 0, path
        else:
            assert not found, f"{path} holds {found}"
    recorded = str(gate.events()) + gate.logs()
    assert not [secret for secret in secrets if secret in recorded]


def test_no_secret_on_a_command_line_or_in_an_environment(gate):
    for pid in [gate.daemon.pid, *descendants_of(gate.daemon.pid)]:
        for name in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{name}", "rb") as file:
                content = file.read()
            assert SERVICE_KEY.encode() not in content
            assert OPENAI_KEY.encode() not in content


@pytest.mark.parametrize("mode, text", [
    (0o644, SERVICE_KEY),
    (0o600, ""),
    (0o600, "two\nlines"),
    (0o600, "control\x01character"),
    (0o600, "seven.."),
])
def test_a_bad_key_file_is_refused_at_the_start(lab, mode, text):
    gate = lab.appliance()
    path = gate.secret("bad.key", text)
    os.chmod(path, mode)
    gate.write_config({
        "hosts": [{"pattern": AZURE, "provider": "azure", "backend": "b"}],
        "backends": [{"name": "b", "key_file": path}],
    })
    gate.make_ca()
    try:
        done = gate.cli("check", gate.config_path, check=False)
        if mode != 0o600:  # what a key may consist of is the daemon's to say
            assert done.returncode == 1
            assert path in done.stderr and "key_file" in done.stderr
        done = subprocess.run([lab.program("sallyportd"), "--config", gate.config_path],
                              preexec_fn=gate.namespace.enter, capture_output=True, text=True,
                              timeout=60, check=False)
        assert done.returncode != 0
        assert path in done.stderr
        assert SERVICE_KEY not in done.stderr
    finally:
        gate.close()
