# SPDX-License-Identifier: GPL-2.0-or-later
"""An origin that answers whatever a test wants, byte by byte."""

import contextlib
import os
import socket
import ssl
import threading

from . import network


def unchunked(body):
    data = bytearray()
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size.split(b";")[0], 16)
        if not length:
            return data
        data += body[:length]
        body = body[length + 2:]


@contextlib.contextmanager
def rogue_origin(lab, host, respond, corked=False, talk=None, early=False):
    """A TLS server with a good certificate for `host`: respond(request head and body) gives the
    bytes of each answer, or its pieces one after the other, after which the connection is closed;
    corked: with its end in one segment; talk(stream, head) does all by itself; early: the answer does not
    wait for the body."""
    lab.add_host(host, network.PLAIN)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # the first that comes is the answer
    context.load_cert_chain(os.path.join(lab.certificates.directory, host + ".pem"))
    with lab.network.origin.inside():
        listener = socket.create_server((network.PLAIN, 443), backlog=64)
    threads = []

    def read_request(stream):
        data = b""
        while b"\r\n\r\n" not in data:
            if not (piece := stream.recv(65536)):
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        body = bytearray(body)
        if early:
            return head, bytes(body)
        length = [int(line.split(b":")[1]) for line in head.split(b"\r\n")
                  if line.lower().startswith(b"content-length:")]
        while len(body) < (length or [0])[0]:
            if not (piece := stream.recv(65536)):
                return None
            body += piece
        if b"transfer-encoding: chunked" in head.lower():
            while not body.endswith(b"0\r\n\r\n"):
                if not (piece := stream.recv(65536)):
                    return None
                body += piece
            body = unchunked(body)
        return head, bytes(body)

    def serve(plain):
        with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as stream:
            stream.settimeout(60)
            request = read_request(stream)
            if request and talk:
                talk(stream, request[0])
            elif request:
                answer = respond(*request)
                stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, int(corked))
                for piece in [answer] if isinstance(answer, bytes) else answer:
                    stream.sendall(piece)
                stream.unwrap()

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=serve, args=(listener.accept()[0],)))
                threads[-1].start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for one in threads:
            one.join()
