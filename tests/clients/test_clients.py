# SPDX-License-Identifier: GPL-2.0-or-later
"""Each client as it comes, given nothing but the root: a chat and a stream through the appliance.

Those that every machine has run in `make check`; `make clients` runs all of them, and installs them
first (appliance/deps clients)."""

import glob
import json
import os
import subprocess

import pytest

from lab import system
from lab.appliance import OPENAI
from chromium import Chromium

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "/v1/chat/completions"
URL = f"https://{OPENAI}{PATH}"
PATIENCE = 120  # seconds; a machine under load is given its time

more = pytest.mark.more  # not in `make check`


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("clients")


class Box:
    """A machine with clients on it: a home of its own, and the appliance's root in a file."""

    def __init__(self, lab, standing, scratch):
        self.namespace, self.root, self.scratch = lab.network.client, standing.ca_path, scratch
        self.home = str(scratch / "home")
        os.makedirs(self.home, exist_ok=True)

    def run(self, *argv, trust=None, check=True, **options):
        environment = {"PATH": os.environ["PATH"], "HOME": self.home, "LANG": "C.UTF-8", **(trust or {})}
        return self.namespace.run(*argv, env=environment, timeout=PATIENCE, check=check, **options)

    def answers(self, *argv, trust=None):
        return json.loads(self.run(*argv, trust=trust).stdout)

    def by_hand(self, prompt, *argv, file=False):
        """Clients that know TLS only: the requests are written for them, into a pipe that stays
        open, or a file."""
        got = {}
        for call in ("chat", "stream"):
            body = json.dumps({"model": "gpt-4o", "stream": call == "stream",
                               "messages": [{"role": "user", "content": f"{prompt} {call}"}]})
            request = (f"POST {PATH} HTTP/1.1\r\nHost: {OPENAI}\r\nAuthorization: Bearer sk-hand\r\n"
                       f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
                       f"Connection: close\r\n\r\n{body}")
            path = self.scratch / "request"
            path.write_text(request)
            stdin, typed = os.pipe()
            os.write(typed, request.encode())
            with open(path, "rb") as written:
                done = self.run(*argv, stdin=written if file else stdin, check=False)
            os.close(stdin)
            os.close(typed)
            got[call] = contents(done.stdout)
        return got

    def nss(self):
        """A certificate store of NSS, which Chromium and Firefox use, with the root in it."""
        directory = os.path.join(self.home, ".pki", "nssdb")
        if not os.path.isdir(directory):
            os.makedirs(directory)
            self.run("certutil", "-d", "sql:" + directory, "-N", "--empty-password")
            self.run("certutil", "-d", "sql:" + directory, "-A", "-t", "C,,", "-n", "sallyport",
                     "-i", self.root)
        return directory


def contents(text):
    """The words of all messages and deltas in what a client printed."""
    found = []
    for line in text.splitlines():
        at = line.find("{")
        if '"choices"' not in line or at < 0:
            continue
        for choice in json.JSONDecoder().raw_decode(line[at:])[0]["choices"]:
            found.append((choice.get("message") or choice.get("delta") or {}).get("content") or "")
    return "".join(found)


@pytest.fixture(scope="module")
def box(lab, standing, scratch):
    return Box(lab, standing, scratch)


def go(box, prompt):
    program = str(box.scratch / "chat-go")
    subprocess.run(["go", "build", "-o", program, os.path.join(HERE, "chat.go")], check=True,
                   env={**os.environ, "GO111MODULE": "off", "HOME": box.home,
                        "GOCACHE": str(box.scratch / "go")})
    return box.answers(program, URL, prompt, trust={"SSL_CERT_FILE": box.root})


def chromium(box, prompt):
    box.nss()

    def start(argv, fds):
        def before_exec():
            system.die_with_parent()
            box.namespace.enter()

        return subprocess.Popen(argv, pass_fds=fds, preexec_fn=before_exec,
                                env={"PATH": os.environ["PATH"], "HOME": box.home},
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    browser = Chromium(start, str(box.scratch / "profile"))
    try:
        return browser.talk(OPENAI, URL, prompt)
    finally:
        browser.close()


def python(box, prompt):
    return box.answers("/usr/bin/python3", os.path.join(HERE, "chat.py"), URL, prompt,
                       trust={"SSL_CERT_FILE": box.root})


def node(box, prompt):
    return box.answers("node", os.path.join(HERE, "chat.mjs"), URL, prompt,
                       trust={"NODE_EXTRA_CA_CERTS": box.root})


def httpx(box, prompt):
    return box.answers("/usr/bin/python3", os.path.join(HERE, "chat_h2.py"), URL, prompt,
                       trust={"SSL_CERT_FILE": box.root})


def node_http2(box, prompt):
    return box.answers("node", os.path.join(HERE, "chat_h2.mjs"), URL, prompt,
                       trust={"NODE_EXTRA_CA_CERTS": box.root})


def curl(box, prompt):
    return by_curl(box, prompt)


def by_curl(box, prompt, *options):
    got = {}
    for call in ("chat", "stream"):
        body = json.dumps({"model": "gpt-4o", "stream": call == "stream",
                           "messages": [{"role": "user", "content": f"{prompt} {call}"}]})
        got[call] = contents(box.run("curl", "-sSN", "-H", "Authorization: Bearer sk-curl",
                                     "--json", body, *options, URL, trust={"CURL_CA_BUNDLE": box.root}).stdout)
    return got


def rsa_tls12(box, prompt):
    """A client that knows RSA only: of TLS 1.2 …"""
    return by_curl(box, prompt, "--tls-max", "1.2", "--ciphers", "ECDHE-RSA-AES128-GCM-SHA256")


def rsa_tls13(box, prompt):
    """… and of TLS 1.3."""
    return box.by_hand(prompt, "openssl", "s_client", "-connect", OPENAI + ":443", "-quiet", "-tls1_3",
                       "-servername", OPENAI, "-verify_return_error", "-CAfile", box.root,
                       "-sigalgs", "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384")


def gnutls(box, prompt):
    return box.by_hand(prompt, "gnutls-cli", "--x509cafile", box.root, "--port", "443", OPENAI)


def tstclnt(box, prompt):
    return box.by_hand(prompt, "tstclnt", "-h", OPENAI, "-p", "443", "-d", "sql:" + box.nss(), file=True)


def npm_program(package):
    """A program of a package for this machine: {deno,bun} has one per platform beside it."""
    found = glob.glob(os.path.join(HERE, "node_modules", package))
    assert len(found) == 1, f"{package}: run make clients ({found})"
    return found[0]


def deno(box, prompt):
    return box.answers(npm_program("@deno/*/deno"), "run", "--allow-net", "--allow-env",
                       os.path.join(HERE, "chat.mjs"), URL, prompt, trust={"DENO_CERT": box.root})


def bun(box, prompt):
    return box.answers(npm_program("@oven/*/bin/bun"), os.path.join(HERE, "chat.mjs"), URL, prompt,
                       trust={"NODE_EXTRA_CA_CERTS": box.root})


def java(box, prompt):
    store = str(box.scratch / "java.p12")
    box.run("keytool", "-importcert", "-noprompt", "-keystore", store, "-storetype", "PKCS12",
            "-storepass", "changeit", "-alias", "sallyport", "-file", box.root)
    return box.answers("java", "-Djavax.net.ssl.trustStore=" + store,
                       "-Djavax.net.ssl.trustStorePassword=changeit",
                       os.path.join(HERE, "Chat.java"), URL, prompt)


def codex(box, prompt):
    """The agent, which knows the Responses API only, and streams: it says the same in both."""
    program = npm_program("@openai/codex-*/vendor/*/bin/codex")
    home = os.path.join(box.home, ".codex")
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, "config.toml"), "w", encoding="utf-8") as file:
        file.write(CODEX)
    got = {}
    for call in ("chat", "stream"):
        done = box.run(program, "exec", "--skip-git-repo-check", "--sandbox", "read-only", "--json",
                       f"{prompt} {call}", trust={"SSL_CERT_FILE": box.root, "CODEX_API_KEY": "sk-codex"},
                       cwd=str(box.scratch), stdin=subprocess.DEVNULL)
        said = [json.loads(line).get("item", {}) for line in done.stdout.splitlines() if line.startswith("{")]
        got[call] = "".join(item["text"] for item in said if item.get("type") == "agent_message")
    return got


# Nothing but what it needs where nobody but the API can be reached.
CODEX = """model = "gpt-4o"
web_search = "disabled"
check_for_update_on_startup = false
[analytics]
enabled = false
"""

CLIENTS = [
    curl, python, node, httpx, node_http2, rsa_tls12, rsa_tls13,
    pytest.param(go, marks=more), pytest.param(chromium, marks=more),
    pytest.param(gnutls, marks=more), pytest.param(tstclnt, marks=more),
    pytest.param(java, marks=more), pytest.param(deno, marks=more), pytest.param(bun, marks=more),
    pytest.param(codex, marks=more),
]


@pytest.mark.parametrize("client", CLIENTS)
def test_chat_and_stream(box, standing, client):
    prompt = f"hello from {client.__name__}"
    got = client(box, prompt)
    for call in ("chat", "stream"):
        assert got[call] == f"Answer to: {prompt} {call}. t1 t2 t3 t4"
        event = standing.event(f'{prompt} {call}"')
        assert event["event.outcome"] == "success"
        assert got[call] in event["gen_ai.output.messages"]
