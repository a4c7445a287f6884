# SPDX-License-Identifier: GPL-2.0-or-later
"""Servers of the origin's that are no AI endpoints: what comes to them passed the appliance."""

import contextlib
import socket
import threading

from .network import family_of


@contextlib.contextmanager
def listening(lab, address, port=443, seconds=5):
    """A UDP socket there, so that it is not the origin that refuses a datagram."""
    with lab.network.origin.inside():
        server = socket.socket(family_of(address), socket.SOCK_DGRAM)
    with server:
        server.settimeout(seconds)
        server.bind((address, port))
        yield server


@contextlib.contextmanager
def answering(lab, address, port, times=1):
    """A TCP server that answers each piece with so many of it, until its client leaves."""
    with lab.network.origin.inside():
        listener = socket.create_server((address, port), family=family_of(address), backlog=64)

    def serve(stream):
        with stream, contextlib.suppress(OSError):
            while piece := stream.recv(4096):
                stream.sendall(piece * times)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
