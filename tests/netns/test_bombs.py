# SPDX-License-Identifier: GPL-2.0-or-later
"""Bodies that are small, or plain, and cost much to read: whoever sends them, the worker stays alive
and answers its other clients."""

import ctypes
import ctypes.util
import glob
import gzip
import mmap
import os
import sys
import threading
import time
import zlib

import pytest

from lab import system
from lab.appliance import AZURE
from lab.client import azure_path, together
from lab.load import Load
from lab.process import wait_for
from lab.rogue import rogue_origin

ROGUE = "rogue.openai.azure.com"
AT_ONCE = 8
AGE = 0.3  # seconds: the oldest sign of life
INTERVAL = 0.1  # between two
SLOWEST = 60  # seconds that a neighbour's call may take: many times what it does, and no hang


@pytest.fixture(scope="module")
def gate(lab):
    """One worker, so that every client is a neighbour of every other."""
    gate = lab.appliance({"appliance": {"workers": 1}, "audit": {"content_max": "64KiB"}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


# --- encoders; two of them by the libraries that the appliance decodes with ---


def library(name):
    return ctypes.CDLL(ctypes.util.find_library(name))


def brotli(text):
    size = ctypes.c_size_t(len(text) + 1024)
    out = ctypes.create_string_buffer(size.value)
    assert library("brotlienc").BrotliEncoderCompress(
        3, 22, 0, ctypes.c_size_t(len(text)), text, ctypes.byref(size), out)
    return out.raw[: size.value]


def zstd(text):
    encoder = library("zstd")
    encoder.ZSTD_compress.restype = ctypes.c_size_t
    out = ctypes.create_string_buffer(len(text) + 1024)
    size = encoder.ZSTD_compress(out, ctypes.c_size_t(len(out)), text, ctypes.c_size_t(len(text)), 3)
    assert size < len(out)
    return out.raw[:size]


def twice(text):
    return gzip.compress(gzip.compress(text, 6), 6)


# --- bombs ---

MILLION = 1_000_000
KEYS = b'{"messages":[' + b'{"":1},' * 8 * MILLION + b"{}]}"
VARIED = b'{"messages":[' + b",".join(b'{"%x":%d}' % (i * 2654435761 % 2**32, i) for i in range(MILLION)) + b"]}"

REQUESTS = {
    "gzip": ("gzip", lambda: gzip.compress(KEYS, 6)),
    "deflate": ("deflate", lambda: zlib.compress(KEYS, 6)),
    "br": ("br", lambda: brotli(KEYS)),
    "zstd": ("zstd", lambda: zstd(KEYS)),
    "nested": ("gzip, gzip", lambda: twice(KEYS)),
    "gzip-readable": ("gzip", lambda: gzip.compress(VARIED, 6)),
    "br-readable": ("br", lambda: brotli(VARIED)),
    "zstd-readable": ("zstd", lambda: zstd(VARIED)),
    "deep": (None, lambda: b'{"messages":' + b"[" * 4 * MILLION),
    "keys": (None, lambda: b"{" + b",".join(b'"k%d":1' % i for i in range(MILLION // 2)) + b"}"),
    "messages": (None, lambda: KEYS[: 7 * MILLION] + b'"":1}]}'),
    "number": (None, lambda: b'{"messages":[],"n":' + b"1" * 6 * MILLION + b"}"),
    "escapes": (None, lambda: b'{"messages":["' + b"\\ud83d" * MILLION + b'"]}'),
}

END = b"\n\ndata: [DONE]\n\n"  # a stream without it is cut for the client as well

STREAMS = {
    "cr-lines": (None, lambda: b":\r" * 524287 + b"\r" + END),
    "cr-data": (None, lambda: b"data:\r" * 170000 + b"\r" + END),
    "lf-lines": (None, lambda: b":\n" * 3 * MILLION + END),
    "events": (None, lambda: b"data:\n\n" * MILLION + END),
    "long-event": (None, lambda: b"data: " + b"[" * 1048000 + END),
    "choices": (None, lambda: (b'data: {"choices":[' + b"{}," * 340000 + b"{}]}\n\n") * 4 + END),
    "gzip-lines": ("gzip", lambda: gzip.compress(b":\r" * 400_000 + END, 6)),
    "gzip-expands": ("gzip", lambda: gzip.compress(b":\r" * 8 * MILLION + END, 6)),
    "br-events": ("br", lambda: brotli(b'data: {"choices":[]}\r\r' * MILLION + END)),
    "nested-events": ("gzip, gzip", lambda: twice(b"data: {}\n\n" * MILLION + END)),
}


class Watch:
    """Samples signs of life, as the kernel has them, while a block runs: the worker's, and the
    scout's, which has nothing to do: what it is late by, the machine is to blame for."""

    WORKER, SCOUT, EVERY = 0, 256, 0.005  # bpf/abi.h: an array of u64, CLOCK_MONOTONIC ns

    def __init__(self, gate):
        pin, = glob.glob(os.path.join(gate.bpf_directory, "v*", "heartbeats"))
        fd = system.pinned_object(pin)
        try:
            self._stamps = mmap.mmap(fd, mmap.PAGESIZE, mmap.MAP_SHARED, mmap.PROT_READ)
        finally:
            os.close(fd)
        self._oldest = {self.WORKER: 0, self.SCOUT: 0}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ending.wait(self.EVERY):
            for index in self._oldest:
                stamp = int.from_bytes(self._stamps[8 * index : 8 * index + 8], sys.byteorder)
                age = (time.monotonic_ns() - stamp) / 1e9
                self._oldest[index] = max(self._oldest[index], age)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ending.set()
        self._thread.join()
        self._stamps.close()

    def assert_alive(self):
        worker, scout = self._oldest[self.WORKER], self._oldest[self.SCOUT]
        assert 0 < worker < AGE + max(0, scout - INTERVAL), (worker, scout)


def under_fire(gate, client, prompt, fire):
    """fire(i) is done by several clients at once, while a neighbour calls."""
    with Load(client, AZURE, prompt, threads=2) as neighbour:
        wait_for(neighbour.more(3), "calls before")
        with Watch(gate) as watch:
            together(AT_ONCE, fire)
            wait_for(neighbour.more(3), "calls at the end")
        wait_for(neighbour.more(3), "calls afterwards")
    neighbour.assert_nothing_failed()
    print(f"a neighbour's slowest of {len(neighbour.completed)} calls took {neighbour.slowest:.3f} s")
    assert neighbour.slowest < SLOWEST
    watch.assert_alive()
    assert gate.counters()["process.died"] == 0


@pytest.mark.parametrize("name", REQUESTS)
def test_requests(gate, client, prompt, name):
    coding, make = REQUESTS[name]
    headers = {"Content-Encoding": coding} if coding else {}
    body = make()

    def fire(_):
        assert client.call(AZURE, azure_path(), body, headers=headers).status in (200, 400, 413, 415)

    under_fire(gate, client, prompt, fire)


@pytest.mark.parametrize("name", STREAMS)
def test_streams(lab, gate, client, prompt, name):
    coding, make = STREAMS[name]
    body = make()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n" % len(body)
    if coding:
        head += b"Content-Encoding: " + coding.encode() + b"\r\n"
    answer = head + b"Connection: close\r\n\r\n" + body

    def fire(_):
        got = client.call(ROGUE, azure_path(), b'{"messages":[],"stream":false}')
        assert got.status == 200 and got.body == body

    with rogue_origin(lab, ROGUE, lambda head, body: answer):
        under_fire(gate, client, prompt, fire)


def test_a_body_until_close_whose_end_comes_before_it_is_read(lab, gate, client):
    """The end waits for its turn, as the rest of the body does."""
    text = b'{"choices":[' + b"{}," * 300_000 + b"{}]}"
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\n\r\n" +
              gzip.compress(text, 9))
    assert len(answer) < 1300
    with rogue_origin(lab, ROGUE, lambda head, body: answer, corked=True):
        got = client.chat(ROGUE, "until close", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(got.body) == text
