# SPDX-License-Identifier: GPL-2.0-or-later
"""Clients: curl as everybody runs it, and bare TLS for what no library would send."""

import json
import os
import socket
import ssl
import tempfile
import threading

from .network import family_of

PATIENCE = 60.0  # seconds; only a hang ever takes that long

AZURE_VERSION = "2024-10-21"


def azure_path(deployment="gpt-4o", operation="chat/completions", version=AZURE_VERSION):
    return f"/openai/deployments/{deployment}/{operation}?api-version={version}"


def chat_body(prompt, **more):
    return json.dumps({"messages": [{"role": "user", "content": prompt}], **more})


class Response:
    def __init__(self, status, headers, body, trailers=()):
        self.status, self.headers, self.body, self.trailers = status, headers, body, list(trailers)

    def header(self, name):
        values = [value for n, value in self.headers if n.lower() == name.lower()]
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    def text(self):
        """The completion's text, streamed or not."""
        if (self.header("content-type") or "").startswith("text/event-stream"):
            return "".join(
                choice["delta"].get("content") or ""
                for event in self.events()
                for choice in event["choices"]
                if "delta" in choice
            )
        return self.json()["choices"][0]["message"]["content"]

    def events(self):
        """The JSON of each event of a stream, without [DONE]."""
        data = [line[6:] for line in self.body.decode().splitlines() if line.startswith("data: ")]
        return [json.loads(d) for d in data if d != "[DONE]"]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Ended(Exception):
    """The other side closed in the middle of a message, or before one."""


class Connection:
    """A connection whose bytes are written and read by hand."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(PATIENCE)
        self.buffer = bytearray()

    def send(self, data):
        self.stream.sendall(data.encode() if isinstance(data, str) else data)

    def request(self, method, target, host, headers=(), body=b"", chunked=False):
        """Sends a well-formed request."""
        body = body.encode() if isinstance(body, str) else body
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in dict(headers).items()]
        if chunked:
            lines.append("Transfer-Encoding: chunked")
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        elif body or method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def _more(self):
        try:
            data = self.stream.recv(65536)
        except (ConnectionError, ssl.SSLEOFError) as error:
            raise Ended(str(error)) from error
        if not data:
            raise Ended("end of file")
        self.buffer += data

    def _take(self, n):
        found = bytes(self.buffer[:n])
        del self.buffer[:n]
        return found

    def until(self, mark):
        at = 0
        while (found := self.buffer.find(mark, max(0, at))) < 0:
            at = len(self.buffer) - len(mark)
            self._more()
        line = self._take(found)
        self._take(len(mark))
        return line

    def exactly(self, n):
        while len(self.buffer) < n:
            self._more()
        return self._take(n)

    def rest(self):
        """All bytes until the other side closes."""
        try:
            while True:
                self._more()
        except Ended:
            return self._take(len(self.buffer))

    def head(self):
        """(status, headers) of the next response head, interim ones included."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status, *_ = lines[0].split(" ", 2)
        assert version == "HTTP/1.1", lines[0]
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        return int(status), headers

    def chunks(self):
        """The data of a chunked body; its trailers are next."""
        parts = []
        while size := int(self.until(b"\r\n"), 16):
            parts.append(self.exactly(size))
            assert self.exactly(2) == b"\r\n"
        return b"".join(parts)

    def response(self, method="POST"):
        """The next final response, whole."""
        status, headers = self.head()
        while status < 200:
            status, headers = self.head()
        response = Response(status, headers, b"")
        if method == "HEAD" or status in (204, 304):
            return response
        if (response.header("transfer-encoding") or "") == "chunked":
            response.body = self.chunks()
            while line := self.until(b"\r\n"):
                response.trailers.append(line.decode("latin-1"))
        elif response.header("content-length") is not None:
            response.body = self.exactly(int(response.header("content-length")))
        else:
            response.body = self.rest()
        return response

    def closed(self):
        """Waits for the other side's close; asserts that nothing came before it."""
        left = self.rest()
        assert left == b"", left
        return True

    def close(self):
        self.stream.close()

    def reset(self):
        """Ends the connection at once, as a killed client does."""
        self.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Client:
    """What runs in the client namespace. `ca` is the one root that clients were given."""

    def __init__(self, namespace, names, ca=None):
        self.namespace, self.names, self.ca = namespace, names, ca

    def address_of(self, host, ipv6=False):
        found = [a for a in self.names.zone[host] if (":" in a) == ipv6]
        return found[0]

    def tcp(self, address, port=443, source=None):
        with self.namespace.inside():
            stream = socket.socket(family_of(address), socket.SOCK_STREAM)
        stream.settimeout(PATIENCE)
        try:
            stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if source:
                stream.bind((source, 0))
            stream.connect((address, port))
        except BaseException:
            stream.close()
            raise
        return stream

    def context(self, version=None, verify=True):
        context = ssl.create_default_context(cafile=self.ca)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
        if version:
            context.minimum_version = context.maximum_version = version
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def tls(self, host, *, sni=None, address=None, ipv6=False, source=None, context=None, session=None):
        """A TLS connection to `host`, as its address in the DNS says."""
        plain = self.tcp(address or self.address_of(host, ipv6), source=source)
        try:
            context = context or self.context()
            return Connection(context.wrap_socket(plain, server_hostname=sni or host, session=session))
        except BaseException:
            plain.close()
            raise

    def call(self, host, target, body=None, *, method="POST", headers=(), connection=None, **tls):
        """One request on a connection of its own (or the one given)."""
        owned = connection is None
        connection = connection or self.tls(host, **tls)
        try:
            all_headers = {"api-key": "client-key", "Content-Type": "application/json", **dict(headers)}
            connection.request(method, target, host, all_headers, body or b"")
            return connection.response(method)
        finally:
            if owned:
                connection.close()

    def chat(self, host, prompt, *, target=None, headers=(), fields=None, **tls):
        return self.call(host, target or azure_path(), chat_body(prompt, **(fields or {})),
                         headers=headers, **tls)

    def leave_stream(self, host, prompt, headers, reset):
        """Begins a streamed chat and leaves in the middle of its answer."""
        connection = self.tls(host)
        connection.request("POST", azure_path(), host, {"api-key": "k", **headers},
                           chat_body(prompt, stream=True))
        connection.head()
        connection.until(b"Answer to: ")
        if reset:
            connection.reset()
        else:
            connection.close()

    def curl(self, url, *arguments, headers=(), data=None, check=True):
        """curl with the system's resolver; returns a Response."""
        with tempfile.TemporaryDirectory() as scratch:
            head, body = os.path.join(scratch, "head"), os.path.join(scratch, "body")
            argv = ["curl", "-sS", "--max-time", str(int(PATIENCE)), "-D", head, "-o", body]
            if self.ca:
                argv += ["--cacert", self.ca]
            for name, value in dict(headers).items():
                argv += ["-H", f"{name}: {value}"]
            if data is not None:
                path = os.path.join(scratch, "data")
                with open(path, "wb") as file:
                    file.write(data.encode() if isinstance(data, str) else data)
                argv += ["--data-binary", "@" + path]
            done = self.namespace.run(*argv, *arguments, url, check=check)
            if done.returncode != 0:
                return done
            with open(head, encoding="latin-1", newline="") as file:
                blocks = [b for b in file.read().split("\r\n\r\n") if b]
            lines = blocks[-1].split("\r\n")
            found = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if ":" in line]
            with open(body, "rb") as file:
                return Response(int(lines[0].split(" ")[1]), found, file.read())


def together(n, call):
    """Runs call(i) for i < n in as many threads; returns their results, raises what one raised."""
    results, errors = [None] * n, []

    def run(i):
        try:
            results[i] = call(i)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
