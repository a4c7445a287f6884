# SPDX-License-Identifier: GPL-2.0-or-later
"""Questions to the DNS as a client asks them (RFC 1035, EDNS of RFC 6891)."""

import socket
import struct

from . import network

A, AAAA, HTTPS = 1, 28, 65


def wire_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(name, kind, room=None):
    """room: what the client has for a reply over UDP, told by EDNS."""
    options = struct.pack("!BHHIH", 0, 41, room, 0, 0) if room else b""
    head = struct.pack("!HHHHHH", 0x4242, 0x0100, 1, 0, 0, 1 if room else 0)
    return head + wire_name(name) + struct.pack("!HH", kind, 1) + options


def ask(client, name, kind, seconds=10, room=None, server=network.DNS):
    """The reply to a question over UDP."""
    with client.namespace.inside():
        stream = socket.socket(network.family_of(server), socket.SOCK_DGRAM)
    with stream:
        stream.settimeout(seconds)
        stream.sendto(question(name, kind, room), (server, 53))
        return stream.recv(65535)


def ask_tcp(client, name, kind, server=network.DNS):
    with client.tcp(server, 53) as stream, stream.makefile("rb") as replies:
        message = question(name, kind)
        stream.sendall(struct.pack("!H", len(message)) + message)
        return replies.read(struct.unpack("!H", replies.read(2))[0])
