# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS server (RFC 1035) for a handful of names, over UDP and TCP, in threads of this process."""

import ipaddress
import socket
import struct
import threading
import time

from .network import family_of

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Names:
    """`zone` maps a lower-case name to its addresses and may change at any time."""

    def __init__(self, namespace, addresses, port=53):
        self.zone = {}
        self.records = {}  # (name, type) → data of records of other types
        self.ttl = 60
        self.broken = False  # answer SERVFAIL to everything
        self.queries = []  # (name, type)
        self.segment = None  # bytes of each segment over TCP …
        self.pause = 0.0  # … and the seconds between two
        self._servers = []
        for address in addresses:
            with namespace.inside():
                udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
                udp.bind((address, port))
                tcp = socket.create_server((address, port), family=family_of(address))
            self._servers += [udp, tcp]
            threading.Thread(target=self._serve_udp, args=(udp,), daemon=True).start()
            threading.Thread(target=self._serve_tcp, args=(tcp,), daemon=True).start()

    def set(self, name, *addresses):
        self.zone[name.lower()] = list(addresses)

    def asked(self, name):
        return sum(1 for asked, _ in self.queries if asked == name.lower())

    def _serve_udp(self, server):
        while True:
            try:
                query, peer = server.recvfrom(4096)
            except OSError:
                return
            if reply := self._answer(query, 512):
                server.sendto(reply, peer)

    def _serve_tcp(self, server):
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(connection,), daemon=True).start()

    def _serve_stream(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                reply = self._answer(stream.read(struct.unpack("!H", head)[0]), 65535)
                if reply:
                    self._send(connection, struct.pack("!H", len(reply)) + reply)

    def _send(self, connection, data):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        step = self.segment or len(data)
        for at in range(0, len(data), step):
            connection.sendall(data[at : at + step])
            time.sleep(self.pause if at + step < len(data) else 0)

    def _answer(self, query, room):
        if len(query) < 17:
            return None
        number, flags, questions = struct.unpack("!HHH", query[:6])
        if flags & 0x8000 or questions != 1:
            return None
        at, labels = 12, []
        while at < len(query) and query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("ascii", "replace"))
            at += 1 + query[at]
        question, options = query[12 : at + 5], query[at + 5 :]
        if len(question) < 5 or at + 5 > len(query):
            return None
        if room < 65535 and options[:3] == b"\0\0\x29":  # EDNS: as much as the client says
            room = struct.unpack("!H", options[3:5])[0]
        name, kind = ".".join(labels).lower(), struct.unpack("!H", question[-4:-2])[0]
        self.queries.append((name, kind))
        addresses = self.zone.get(name)
        code = SERVFAIL if self.broken else NXDOMAIN if addresses is None else NOERROR
        records = []
        for address in map(ipaddress.ip_address, (addresses or []) if code == NOERROR else []):
            if kind == (A if address.version == 4 else AAAA):
                data = address.packed
                records.append(struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl, len(data)) + data)
        for data in self.records.get((name, kind), ()) if code == NOERROR else ():
            records.append(struct.pack("!HHHIH", 0xC00C, kind, 1, self.ttl, len(data)) + data)
        body = question + b"".join(records)
        truncated = 12 + len(body) > room
        if truncated:
            records, body = [], question
        # response, recursion desired as asked and available, authoritative
        flags = 0x8480 | (flags & 0x0100) | (0x0200 if truncated else 0) | code
        return struct.pack("!HHHHHH", number, flags, 1, len(records), 0, 0) + body

    def close(self):
        for server in self._servers:
            try:
                server.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            server.close()
