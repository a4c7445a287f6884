# SPDX-License-Identifier: GPL-2.0-or-later
"""The end of a body arrives, whatever its size, however it is cut, whoever is slow."""

import hashlib

import pytest

from lab.appliance import AZURE
from lab.client import azure_path, chat_body, together

WINDOW = 65536  # http.request_window, http.window and http.head_max: each is a place to wait at
TLS_RECORDS = [1400, 9000, 16384]
AT_ONCE = 6


@pytest.fixture(scope="module", params=["pooled", "fresh"])
def gate(lab, request):
    """fresh: no connection to the origin is used twice."""
    kept = {"pool_max": 64} if request.param == "pooled" else {"pool_max": 0}
    gate = lab.appliance({"http": {"body_timeout": "20s"}, "origin": kept})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def sizes_around_windows(record):
    return sorted({windows * WINDOW + by for windows in (1, 2, 3) for by in (-record, -1, 0, 1, record)})


def in_records(connection, data, record):
    """Each write of up to 16 KiB is a TLS record."""
    for at in range(0, len(data), record):
        connection.send(data[at : at + record])


def send_body(client, path, body, record, chunked, headers):
    with client.tls(AZURE) as connection:
        framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
        lines = [f"POST {path} HTTP/1.1", f"Host: {AZURE}", "api-key: k", framing]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        in_records(connection, "\r\n".join(lines).encode() + b"\r\n\r\n" + body, record)
        return connection.response()


@pytest.mark.parametrize("pause_ms", [0, 60])
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("record", TLS_RECORDS)
def test_bodies_around_every_window(client, origin, prompt, record, chunked, pause_ms):
    cases = []
    for size in sizes_around_windows(record):
        filling = size - len(chat_body(prompt))
        cases.append((f"{size}", chat_body(prompt + "x" * filling).encode()))

    def call(i):
        for id, body in cases[i::AT_ONCE]:
            headers = {"x-test-id": id, "x-test-read-pause-ms": pause_ms}
            assert send_body(client, azure_path(), body, record, chunked, headers).status == 200, id

    together(AT_ONCE, call)
    for id, body in cases:
        assert origin.request(id).body_sha256 == hashlib.sha256(body).hexdigest(), id


@pytest.mark.parametrize("record", TLS_RECORDS)
def test_bodies_under_back_pressure(client, origin, record):
    """Longer than what sockets take: the end comes while the origin does not read."""
    sizes = range(2_900_000, 3_100_000, 26_000)

    def call(i):
        body = b'{"input":"' + b"x" * (sizes[i] - 12) + b'"}'
        headers = {"x-test-id": f"{i}", "x-test-read-pause-ms": 300}
        path = azure_path("text-embedding-3-small", "embeddings")
        assert send_body(client, path, body, record, False, headers).status == 200

    together(len(sizes), call)
    for i, size in enumerate(sizes):
        assert origin.request(f"{i}").body_bytes == size
