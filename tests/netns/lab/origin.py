# SPDX-License-Identifier: GPL-2.0-or-later
"""The test origin (tests/origin) and what it saw."""

import json
import os

from .process import Process, wait_for


class Request:
    """One request as the origin read it."""

    def __init__(self, record):
        self.__dict__.update(record)
        self.body = record["body"].encode("latin-1") if record["body"] is not None else b""
        self.headers = [(name, value) for name, value in record["headers"]]

    def header(self, name):
        """The value of the only header of that name; None without one."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    def all(self, name):
        return [value for n, value in self.headers if n.lower() == name.lower()]

    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.method} {self.target} {self.outcome} on {self.connection}>"


class Origin:
    def __init__(self, program, directory, namespace, certificates, listen, *, name="origin",
                 region="Sweden Central", keys=(), knobs=None, tls_max=None, processes=1, journal=True,
                 environment=None):
        self.journal_path = os.path.join(directory, name + ".journal")
        self.listen = listen
        argv = [program, "--certificates", certificates.directory, "--region", region]
        for at in listen:
            argv += ["--listen", at]
        for key in keys:
            argv += ["--key", key]
        if knobs:
            argv += ["--knobs", knobs]
        if tls_max:
            argv += ["--tls-max", tls_max]
        if journal:
            argv += ["--journal", self.journal_path]
        argv += ["--processes", str(processes)]
        self.process = Process(name, argv, directory, namespace, environment)
        self.process.wait_for_log("ready")
        self._start = 0

    def records(self, kind=None):
        """The journal since the last forget(), in order."""
        try:
            with open(self.journal_path, "rb") as journal:
                journal.seek(self._start)
                text = journal.read()
        except FileNotFoundError:
            return []
        lines = text[: text.rfind(b"\n") + 1].splitlines()
        records = [json.loads(line) for line in lines]
        return [r for r in records if kind is None or r["kind"] == kind]

    def forget(self):
        """Later reading begins here."""
        if os.path.exists(self.journal_path):
            self._start = os.path.getsize(self.journal_path)

    def requests(self, id=None):
        found = map(Request, self.records("request"))
        return [r for r in found if id is None or r.id == id]

    def request(self, id=None):
        """The only request (with that x-test-id)."""
        wait_for(lambda: self.requests(id), f"request {id or ''} at the origin")
        requests = self.requests(id)
        assert len(requests) == 1, requests
        return requests[0]

    def reply(self, id):
        def find():
            return [r for r in self.records("reply") if r["id"] == id]

        return wait_for(find, f"reply to {id}")[0]

    def application_bytes(self, sni):
        """All bytes inside TLS that came from connections that asked for this name."""
        mine = {r["connection"] for r in self.records("connection") if r["sni"] == sni}
        return sum(r["bytes_in"] for r in self.records("close") if r["connection"] in mine)

    def stop(self):
        self.process.stop()
