# SPDX-License-Identifier: GPL-2.0-or-later
"""Names under a pattern that clients invent: a worker's memory does not grow with them."""

import itertools

from lab import network
from lab.appliance import AZURE, status
from lab.client import azure_path, chat_body, together

NAMES = 6500  # as many as the report had, with which a worker grew by 13 MB
WARM = 800    # after which every table is full
THREADS = 8
GROWTH = 2048  # KiB


def resident(gate):
    """KiB of the only worker's own memory."""
    worker, = gate.children("worker")
    return int(status(worker)["RssAnon"].split()[0])


def test_memory_does_not_grow_with_names_that_cannot_be_resolved(lab, appliance, prompt):
    gate = appliance({
        "appliance": {"workers": 1}, "origin": {"names_max": 64},
        "tls": {"leaf_cache": 64, "leaf_rate": 10000}, "audit": {"content": False},
    })
    client = lab.client(gate)
    context, numbers = client.context(), itertools.count()

    def call(until):
        while (number := next(numbers)) < until:
            got = client.call(f"invented-{number}.openai.azure.com", azure_path(), chat_body("x"),
                              address=network.REGION_A, context=context)
            assert got.status == 502, got

    together(THREADS, lambda _: call(WARM))
    before = resident(gate)
    together(THREADS, lambda _: call(NAMES))
    after = resident(gate)
    print(f"a worker's own memory: {before} KiB after {WARM} names, {after} KiB after {NAMES}")
    assert after < before + GROWTH, (before, after)
    # Nothing of it stands in the way of a name that there is.
    assert client.chat(AZURE, prompt).status == 200
    assert gate.counters()["process.died"] == 0
