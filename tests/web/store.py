# SPDX-License-Identifier: GPL-2.0-or-later
"""A collector of its own, and a sender that gives it events as an appliance would."""

import base64
import http.client
import json
import os
import socket
import struct
import subprocess
import time
import uuid

import msgpack

BUILD = os.environ.get("SALLYPORT_BUILD") or os.path.join(os.path.dirname(__file__), "..", "..", "build")
BEGIN = 1_790_000_000  # seconds since 1970
HOSTILE = "\u202egpj.exe\u2066\u200b\x1b[31m<img src=x onerror=alert(1)>\U000e0041"


def until(condition, what, seconds=60):
    end = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.05)
    return got


class Collector:
    def __init__(self, directory, *options):
        self.directory, self.options = str(directory), options
        self.store, self.socket = f"{self.directory}/events", f"{self.directory}/socket"
        self.review = f"{self.directory}/review"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.sequence, self.log_path = 0, f"{self.directory}/log"
        self.log = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            [f"{BUILD}/sallyport-collector", "--store", self.store, "--socket", self.socket,
             "--review", f"127.0.0.1:{self.port}", "--review-socket", self.review, *options],
            stdout=self.log, stderr=self.log)
        until(lambda: os.path.exists(self.review) or self.process.poll(), "the review socket")
        assert self.process.poll() is None, open(self.log_path).read()

    def close(self):
        self.process.terminate()
        assert self.process.wait(30) == 0
        self.log.close()

    def send(self, events):
        """Events are records without what identifies them, in the order of time."""
        entries = []
        for number, event in enumerate(events):
            self.sequence += 1
            at = event.pop("at", BEGIN + self.sequence)
            stamp = msgpack.ExtType(0, struct.pack(">II", int(at), int(at % 1 * 1e9)))
            entries.append([stamp, {
                "event.epoch": "00000000000000aa", "event.stream": 1, "event.sequence": self.sequence,
                "event.id": str(uuid.UUID(int=self.sequence)), "event.kind": "exchange",
                "observer.name": "gate", **event}])
        chunk = base64.b64encode(os.urandom(16)).decode()
        with socket.socket(socket.AF_UNIX) as to:
            to.connect(self.socket)
            to.sendall(msgpack.packb(["sallyport", entries, {"chunk": chunk}]))
            assert msgpack.unpackb(to.recv(4096)) == {"ack": chunk}
        return entries[0][1]["event.id"]

    def link(self, *options):
        done = subprocess.run([f"{BUILD}/sallyport", "review", "--socket", self.review, *options],
                              capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.strip()

    def request(self, method, path, headers=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host or f"127.0.0.1:{self.port}")
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        answer.body = answer.read()
        connection.close()
        return answer

    def session(self, *options):
        """The headers of a new session."""
        link = self.link(*options).split("#link=")[1]
        answer = self.request("POST", "/api/session", {
            "X-Sallyport-Link": link, "Origin": f"http://127.0.0.1:{self.port}"})
        assert answer.status == 200, answer.body
        cookie = answer.getheader("Set-Cookie")
        return {"Cookie": cookie.split(";")[0], "X-Sallyport-Key": json.loads(answer.body)["key"]}

    def ask(self, question, session):
        answer = self.request("GET", f"/api/{question}", session)
        assert answer.status == 200, answer.body
        return json.loads(answer.body)


def call(prompt, answer="Certainly.", ip="10.20.0.7", model="gpt-4o-2024-08-06", tokens=(120, 30), **more):
    messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    output = answer if isinstance(answer, list) else [{"role": "assistant", "content": answer}]
    return {
        "event.action": "allow", "event.outcome": "success", "source.ip": ip,
        "tls.server_name": "res-a.openai.azure.com", "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "azure.ai.openai", "gen_ai.request.model": model.split("-2")[0],
        "gen_ai.response.model": model, "http.response.status_code": 200,
        "gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.usage.total_tokens": sum(tokens), "gen_ai.usage.source": "provider",
        "gen_ai.request.user": "ada", "user_agent.original": "OpenAI/Python 1.51.0",
        "timing.total": 1_840_000_000, "timing.first_byte": 210_000_000,
        "bytes.request": 2048, "bytes.response": 900,
        "gen_ai.input.messages": json.dumps(messages), "gen_ai.output.messages": json.dumps(output), **more}


def denied(prompt, error="content.credit_card", ip="10.20.0.7", **more):
    return {**call(prompt, [], ip), "event.action": "deny", "event.outcome": "failure", "error.type": error,
            "http.response.status_code": 403, "gen_ai.usage.input_tokens": 0,
            "gen_ai.usage.output_tokens": 0, "gen_ai.usage.total_tokens": 0,
            "gen_ai.output.messages": "[]", **more}
