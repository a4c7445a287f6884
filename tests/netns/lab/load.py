# SPDX-License-Identifier: GPL-2.0-or-later
"""Calls that go on while something else happens, and what must hold of them afterwards."""

import collections
import itertools
import json
import ssl
import threading
import time

from . import network
from .client import Ended, azure_path, chat_body


class Load:
    """Threads that call one after the other, each prompt once:

        with Load(client, host) as load:
            ...
        load.assert_recorded(appliance)

    keep: calls per connection. Every answer is compared with its prompt at once."""

    def __init__(self, client, host, name, threads=4, keep=10, headers=()):
        self.client, self.host, self.name, self.keep = client, host, name, keep
        self.headers = dict(headers)
        self.completed, self.failed, self.wrong = [], [], []
        self.slowest = 0.0  # seconds that a call took
        self._numbers = itertools.count()
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        for thread in self._threads:
            thread.join()
        assert not self.wrong, self.wrong

    def more(self, n):
        """A condition: n further calls have been completed."""
        goal = len(self.completed) + n
        return lambda: len(self.completed) >= goal

    def _run(self, index):
        source = [network.CLIENT, *network.OTHER_CLIENTS][index % 4]
        while not self._ending.is_set():
            prompt = None
            try:
                with self.client.tls(self.host, source=source) as connection:
                    for _ in range(self.keep):
                        if self._ending.is_set():
                            return
                        prompt = f"{self.name} {next(self._numbers):06}"
                        if not self._call(connection, prompt):
                            break
            except (Ended, OSError, ssl.SSLError) as error:
                self.failed.append((prompt, repr(error)))
                self._ending.wait(0.02)

    def _call(self, connection, prompt):
        """True when the connection can be used again."""
        streamed = int(prompt[-1]) % 2 == 0
        begun = time.monotonic()
        connection.request("POST", azure_path(), self.host, {"api-key": "k", **self.headers},
                           chat_body(prompt, stream=streamed))
        got = connection.response()
        self.slowest = max(self.slowest, time.monotonic() - begun)
        if got.status >= 500:
            self.failed.append((prompt, f"{got.status} {got.body[:200]!r}"))
        elif got.status != 200 or not got.text().startswith(f"Answer to: {prompt}."):
            self.wrong.append((prompt, got))
        else:
            self.completed.append(prompt)
        return (got.header("connection") or "").lower() != "close"

    def assert_nothing_failed(self):
        assert not self.failed, self.failed[:10]

    def assert_recorded(self, appliance):
        """Each completed call has one event with its own answer, no call has two, and no worker's
        sequence has a gap."""
        wanted = set(self.completed)

        def mine(event):
            return self.name in event.get("gen_ai.input.messages", "")

        def prompt_of(event):
            return json.loads(event["gen_ai.input.messages"])[0]["content"]

        found = appliance.wait_for_events(
            lambda events: wanted <= {prompt_of(event) for event in events}, mine
        )
        counts = collections.Counter(map(prompt_of, found))
        assert [prompt for prompt, n in counts.items() if n > 1] == []
        for event in found:
            if prompt_of(event) in wanted:
                assert f"Answer to: {prompt_of(event)}." in event["gen_ai.output.messages"]
        appliance.assert_no_gaps()
