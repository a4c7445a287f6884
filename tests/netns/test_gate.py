# SPDX-License-Identifier: GPL-2.0-or-later
"""What is let through untouched, what is refused, and why."""

import socket
import ssl

import pytest

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lab import network
from lab.appliance import AZURE, AZURE_B, ELSEWHERE, OPENAI, UNLISTED
from lab.certificates import bad_certificates
from lab.client import azure_path, chat_body
from lab.process import wait_for


@pytest.fixture
def client(lab, standing):
    return lab.client(standing)


@pytest.fixture
def direct(lab):
    """A client that trusts the real certificates only: it notices who terminates TLS."""
    return lab.client()


@pytest.fixture
def counted(standing):
    """Asserts that within the test this counter grew by exactly that much."""
    before = standing.counters()

    def check(name, n=1):
        wait_for(lambda: standing.counters()[name] >= before[name] + n, f"{name} + {n}")
        assert standing.counters()[name] == before[name] + n

    return check


# --- steering and bypass ---


def test_an_unlisted_name_is_spliced_untouched(standing, direct, origin, counted, prompt):
    # The origin's own certificate arrives: nobody decrypted this.
    got = direct.chat(UNLISTED, prompt, headers={"x-test-id": "unlisted"})
    assert got.status == 200
    assert origin.request("unlisted").sni == UNLISTED
    counted("bypass.not_listed")
    assert not [e for e in standing.events() if prompt in str(e)]


def test_what_is_no_endpoint_is_not_steered(standing, direct, origin, prompt):
    accepted = standing.counters()["client.accepted"]
    assert direct.chat(ELSEWHERE, prompt, headers={"x-test-id": "elsewhere"}).status == 200
    # Forwarded by the kernel: the origin sees the client's own address.
    assert origin.request("elsewhere").peer.startswith(network.CLIENT + ":")
    assert standing.counters()["client.accepted"] == accepted


def test_another_port_of_an_endpoint_is_not_steered(lab, standing, client):
    with lab.network.origin.inside():
        server = socket.create_server((network.REGION_A, 8080))
    with server:
        accepted = standing.counters()["client.accepted"]
        with client.tcp(network.REGION_A, 8080) as stream:
            connection, peer = server.accept()
            connection.close()
            assert peer[0] == network.CLIENT
        assert standing.counters()["client.accepted"] == accepted


def test_what_is_not_tls_is_spliced_untouched(lab, client, counted):
    with lab.network.origin.inside():
        server = socket.create_server((network.PLAIN, 443))
    with server, client.tcp(network.PLAIN) as stream:
        stream.sendall(b"HELO nobody\r\n")
        accepted, _ = server.accept()
        with accepted, accepted.makefile("rb") as lines:
            assert lines.readline() == b"HELO nobody\r\n"
            accepted.sendall(b"250 hello\r\n")
            assert stream.recv(100) == b"250 hello\r\n"
            # One direction may end before the other.
            stream.shutdown(socket.SHUT_WR)
            assert lines.readline() == b""
            accepted.sendall(b"221 bye\r\n")
        assert stream.recv(100) == b"221 bye\r\n"
        assert stream.recv(100) == b""
    counted("bypass.not_tls")


def test_tls_without_a_name_is_spliced(standing, client, direct, counted):
    context = direct.context(verify=False)
    plain = client.tcp(network.REGION_A)
    with context.wrap_socket(plain) as stream:
        certificate = x509.load_der_x509_certificate(stream.getpeercert(True))
        assert "Test Root" in certificate.issuer.rfc4514_string()
    counted("bypass.no_sni")


def test_a_hello_in_many_segments(client, prompt):
    """One byte at a time: the name must not be needed in one packet."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client.context().wrap_bio(incoming, outgoing, server_hostname=AZURE)
    with client.tcp(client.address_of(AZURE)) as stream:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    stream.sendall(bytes([byte]))
                incoming.write(stream.recv(65536))
        assert tls.version() == "TLSv1.3"


# --- the client's leg ---


def test_the_leaf_names_exactly_the_host(standing, client):
    with client.tls(AZURE) as connection:
        leaf = x509.load_der_x509_certificate(connection.stream.getpeercert(True))
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [AZURE]
    with open(standing.ca_path, "rb") as file:
        ca = x509.load_pem_x509_certificate(file.read())
    assert leaf.issuer == ca.subject
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (leaf.not_valid_after - leaf.not_valid_before).days <= 200


@pytest.mark.parametrize(
    "version, name", [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_versions(standing, client, prompt, version, name):
    assert client.chat(AZURE, prompt, context=client.context(version)).status == 200
    assert standing.event(prompt)["tls.client.version"] == name


def s_client(client, *arguments):
    return client.namespace.run(
        "openssl", "s_client", "-connect", f"{client.address_of(AZURE)}:443", "-servername", AZURE,
        "-CAfile", client.ca, *arguments, check=False, input="",
    )


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_accepts(client, version):
    done = s_client(client, version, "-verify_return_error", "-verify_hostname", AZURE, "-x509_strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verify return code: 0 (ok)" in done.stdout
    assert "Secure Renegotiation IS NOT supported" not in done.stdout or version == "-tls1_3"


@pytest.mark.parametrize("arguments", [
    ["-tls1_1", "-cipher", "DEFAULT:@SECLEVEL=0"],
    ["-tls1", "-cipher", "DEFAULT:@SECLEVEL=0"],
    ["-tls1_2", "-cipher", "AES128-SHA"],
    ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"],
    ["-tls1_2", "-cipher", "DHE"],
], ids=lambda arguments: " ".join(arguments))
def test_what_is_weak_is_refused(client, arguments):
    done = s_client(client, *arguments)
    assert done.returncode != 0
    assert "alert" in done.stderr


@pytest.mark.parametrize("offered, chosen", [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")])
def test_alpn(client, offered, chosen):
    done = s_client(client, "-alpn", offered)
    assert f"ALPN protocol: {chosen}\n" in done.stdout


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_resumption_works_on_every_worker(standing, client, prompt, version):
    context = client.context(version)
    with client.tls(AZURE, context=context) as connection:
        assert client.chat(AZURE, prompt, connection=connection).status == 200
        session = connection.stream.session
    # Other source addresses land on other workers; the tickets' keys are shared.
    for source in [network.CLIENT, *network.OTHER_CLIENTS]:
        with client.tls(AZURE, context=context, session=session, source=source) as connection:
            assert connection.stream.session_reused, source


def test_a_ticket_of_one_host_does_not_open_another(client, prompt):
    context = client.context()
    with client.tls(AZURE, context=context) as connection:
        client.chat(AZURE, prompt, connection=connection)
        session = connection.stream.session
    with client.tls(AZURE_B, context=context, session=session) as connection:
        assert not connection.stream.session_reused
        leaf = x509.load_der_x509_certificate(connection.stream.getpeercert(True))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [AZURE_B]


def test_a_client_that_does_not_trust_the_ca_is_counted(standing, direct, counted):
    with pytest.raises(ssl.SSLCertVerificationError):
        direct.tls(AZURE)
    counted("handshake.rejected")


# --- the origin's leg ---


def own_ca(standing):
    with open(standing.ca_path, "rb") as file:
        certificate = x509.load_pem_x509_certificate(file.read())
    with open(standing.ca_key_path, "rb") as file:
        return certificate, serialization.load_pem_private_key(file.read(), None)


BAD = [
    "self-signed", "unknown-ca", "same-name-ca", "wrong-name", "parent-domain", "only-in-cn",
    "partial-wildcard", "expired", "not-yet-valid", "expired-intermediate", "not-a-ca",
    "no-basic-constraints", "no-cert-sign", "path-length", "client-only", "no-eku", "ca-leaf",
    "critical-unknown", "name-constraints", "rsa-1024", "sha1", "own-ca",
]


@pytest.fixture(scope="module")
def installers(lab, standing):
    return dict(bad_certificates(lab.certificates, own_ca(standing)))


def test_every_bad_certificate_is_tried(installers):
    assert sorted(installers) == sorted(BAD)


@pytest.mark.filterwarnings("ignore:SHA1")  # on purpose
@pytest.mark.parametrize("shape", BAD)
def test_a_bad_origin_certificate_means_no_byte_sent(lab, standing, client, origin, installers, prompt, shape):
    host = f"bad-{shape}.openai.azure.com"
    installers[shape](host)
    lab.names.set(host, network.REGION_A)
    got = client.chat(host, prompt)
    assert got.status == 502
    error = got.json()["error"]
    assert error["message"]
    assert got.header("x-should-retry") == "false"
    wait_for(lambda: origin.records("close"), "the end of the origin's connection")
    assert origin.application_bytes(host) == 0
    assert origin.requests() == []
    event = standing.event(prompt)
    assert event["event.outcome"] == "failure"
    assert event["error.type"]
    assert event["gen_ai.usage.source"] == "none"


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_old_origin_is_refused(lab, client, prompt, version):
    address = {"1.0": "10.202.0.50", "1.1": "10.202.0.51"}[version]
    host = f"old-{version.replace('.', '')}.openai.azure.com"
    lab.network.origin.ip("addr", "replace", address + "/24", "dev", "eth0")
    old = lab.add_origin([address + ":443"], tls_max=version, name="old" + version)
    lab.certificates.good(host)
    lab.names.set(host, address)
    try:
        assert client.chat(host, prompt, address=network.REGION_A).status == 502
        assert old.requests() == []
    finally:
        old.stop()


def test_the_destination_that_a_client_chose_is_not_trusted(lab, client, origin, prompt):
    """The client dials region B for a name that the DNS puts into region A."""
    got = client.chat(AZURE, prompt, address=network.REGION_B, headers={"x-test-id": "chosen"})
    assert got.status == 200
    assert origin.request("chosen").local.startswith(network.REGION_A)


def test_an_unresolved_origin_is_a_gateway_error(standing, client, prompt):
    got = client.chat("nowhere.openai.azure.com", prompt, address=network.REGION_A)
    assert got.status == 502
    assert standing.event(prompt)["error.type"] == "origin_unresolved"


def test_an_unreachable_origin_is_a_gateway_error(lab, standing, client, prompt):
    lab.names.set("closed.openai.azure.com", network.DNS)  # nobody listens on 443 there
    got = client.chat("closed.openai.azure.com", prompt, address=network.REGION_A)
    assert got.status == 502
    assert standing.event(prompt)["error.type"] == "origin_unreachable"


@pytest.mark.parametrize("host, target", [(AZURE, azure_path()), (OPENAI, "/v1/chat/completions")])
def test_our_errors_speak_the_clients_dialect(lab, client, prompt, host, target):
    with client.tls(host) as connection:
        got = client.call("elsewhere.openai.azure.com", target, chat_body(prompt), connection=connection)
    assert got.status == 421
    error = got.json()["error"]
    assert error["message"] and error["code"]
    assert ("type" in error) == (host == OPENAI)
    assert got.header("x-should-retry") == "false"


# --- requests ---


@pytest.mark.parametrize("host", [AZURE_B, OPENAI, "example.org", AZURE + ".", "", AZURE + ":444"])
def test_host_must_be_the_name_of_the_tls_connection(client, origin, prompt, host):
    with client.tls(AZURE) as connection:
        got = client.call(host, azure_path(), chat_body(prompt), connection=connection)
        assert got.status in ((421,) if host else (400, 421))
    assert origin.requests() == []


@pytest.mark.parametrize("host", [AZURE.upper(), AZURE + ":443"])
def test_host_may_be_written_in_other_ways(client, prompt, host):
    with client.tls(AZURE) as connection:
        assert client.call(host, azure_path(), chat_body(prompt), connection=connection).status == 200


LINE = f"POST {azure_path()} HTTP/1.1\r\n"
HOST = f"Host: {AZURE}\r\n"
GOOD = LINE + HOST + "api-key: k\r\n"
SMUGGLED = {
    "cl-te": GOOD + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-cl": GOOD + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two-lengths": GOOD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x",
    "same-lengths": GOOD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "length-list": GOOD + "Content-Length: 2, 2\r\n\r\n{}",
    "length-sign": GOOD + "Content-Length: +2\r\n\r\n{}",
    "length-hex": GOOD + "Content-Length: 0x2\r\n\r\n{}",
    "length-negative": GOOD + "Content-Length: -1\r\n\r\n{}",
    "length-huge": GOOD + "Content-Length: 99999999999999999999\r\n\r\n{}",
    "length-empty": GOOD + "Content-Length: \r\n\r\n{}",
    "te-twice": GOOD + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "te-identity": GOOD + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "te-list": GOOD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "te-tab": GOOD + "Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
    "te-space": GOOD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "te-quoted": GOOD + 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "fold": GOOD + "X-A: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
    "fold-first": LINE + " X-A: 1\r\n" + HOST + "Content-Length: 0\r\n\r\n",
    "bare-lf": LINE + HOST.replace("\r\n", "\n") + "Content-Length: 0\r\n\r\n",
    "bare-lf-end": GOOD + "Content-Length: 0\n\n",
    "bare-cr": GOOD + "X-A: 1\rX-B: 2\r\nContent-Length: 0\r\n\r\n",
    "chunk-size": GOOD + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "chunk-sign": GOOD + "Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
    "chunk-0x": GOOD + "Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
    "chunk-huge": GOOD + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "chunk-long": GOOD + "Transfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "chunk-lf": GOOD + "Transfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
    "chunk-space": GOOD + "Transfer-Encoding: chunked\r\n\r\n 2\r\n{}\r\n0\r\n\r\n",
    "control-in-name": GOOD + "X\x01A: 1\r\nContent-Length: 0\r\n\r\n",
    "control-in-value": GOOD + "X-A: 1\x01\r\nContent-Length: 0\r\n\r\n",
    "nul": GOOD + "X-A: 1\x00\r\nContent-Length: 0\r\n\r\n",
    "space-in-name": GOOD + "X A: 1\r\nContent-Length: 0\r\n\r\n",
    "no-colon": GOOD + "X-A\r\nContent-Length: 0\r\n\r\n",
    "empty-name": GOOD + ": 1\r\nContent-Length: 0\r\n\r\n",
    "no-host": LINE + "api-key: k\r\nContent-Length: 0\r\n\r\n",
    "two-hosts": LINE + HOST + HOST + "Content-Length: 0\r\n\r\n",
    "absolute-form": f"POST https://{OPENAI}{azure_path()} HTTP/1.1\r\n" + HOST + "Content-Length: 0\r\n\r\n",
    "version-0.9": "GET /\r\n\r\n",
    "version-9": LINE.replace("1.1", "9.1") + HOST + "\r\n",
    "garbage": "\x00\x01\x02\x03\r\n\r\n",
    "tab-in-line": LINE.replace(" ", "\t") + HOST + "Content-Length: 0\r\n\r\n",
    "target-control": LINE.replace("gpt-4o", "gpt\x7f4o") + HOST + "Content-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("shape", SMUGGLED)
def test_smuggling_shapes_are_refused_and_the_connection_closed(client, origin, shape):
    hidden = f"GET /hidden HTTP/1.1\r\nHost: {AZURE}\r\n\r\n"
    with client.tls(AZURE) as connection:
        connection.send((SMUGGLED[shape] + hidden).encode("latin-1"))
        got = connection.response()
        assert got.status in (400, 413, 421, 431, 501, 505), got
        assert connection.closed()
    assert [r for r in origin.requests() if r.wrong or r.target == "/hidden"] == []


def test_a_request_before_the_bad_one_is_still_answered(client, origin, prompt):
    with client.tls(AZURE) as connection:
        connection.request("POST", azure_path(), AZURE, {"api-key": "k"}, chat_body(prompt))
        connection.send(SMUGGLED["cl-te"])
        assert connection.response().status == 200
        assert connection.response().status == 400
        assert connection.closed()


@pytest.mark.parametrize("size, status", [(200_000, 431)])
def test_a_head_that_is_too_long(client, size, status):
    with client.tls(AZURE) as connection:
        connection.send(GOOD + f"X-A: {'a' * size}\r\nContent-Length: 0\r\n\r\n")
        assert connection.response().status == status
        assert connection.closed()


def test_too_many_headers(client):
    with client.tls(AZURE) as connection:
        many = "".join(f"X-{i}: 1\r\n" for i in range(300))
        connection.send(GOOD + many + "Content-Length: 0\r\n\r\n")
        assert connection.response().status == 431
        assert connection.closed()


def test_an_unfinished_body_is_no_request(client, origin, prompt):
    with client.tls(AZURE) as connection:
        connection.send(GOOD + "x-test-id: unfinished\r\nContent-Length: 100\r\n\r\n{")
    wait_for(lambda: origin.records("close") or not origin.records("connection"), "the end")
    assert [r for r in origin.requests("unfinished") if r.outcome == "complete"] == []


def test_hop_by_hop_headers_stay_on_their_hop(client, origin, prompt):
    headers = {
        "Connection": "keep-alive, X-Hop", "X-Hop": "secret", "Keep-Alive": "timeout=5",
        "Proxy-Connection": "keep-alive", "X-End": "kept", "x-test-id": "hop",
    }
    assert client.chat(AZURE, prompt, headers=headers).status == 200
    seen = origin.request("hop")
    assert seen.header("x-hop") is None
    assert seen.header("keep-alive") is None
    assert seen.header("proxy-connection") is None
    assert seen.header("x-end") == "kept"


def test_nothing_identifies_the_client_towards_the_origin(client, origin, prompt):
    assert client.chat(AZURE, prompt, headers={"x-test-id": "anonymous"}).status == 200
    seen = origin.request("anonymous")
    for name in ("x-forwarded-for", "forwarded", "via", "x-real-ip"):
        assert seen.header(name) is None
    assert network.CLIENT not in str(seen.headers)
