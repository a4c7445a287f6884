# SPDX-License-Identifier: GPL-2.0-or-later
"""A DNS server (RFC 1035) for a handful of names, over UDP and TCP, in threads of this process."""

import ipaddress
import socket
import struct
import threading

A, AAAA = 1, 28
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3


class Names:
    """`zone` maps a lower-case name to its addresses and may change at any time."""

    def __init__(self, namespace, address, port=53):
        self.zone = {}
        self.records = {}  # (name, type) → data of records of other types
        self.ttl = 60
        self.broken = False  # answer SERVFAIL to everything
        self.queries = []  # (name, type)
        with namespace.inside():
            self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._udp.bind((address, port))
            self._tcp = socket.create_server((address, port))
        self._threads = [
            threading.Thread(target=self._serve_udp, daemon=True),
            threading.Thread(target=self._serve_tcp, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def set(self, name, *addresses):
        self.zone[name.lower()] = list(addresses)

    def asked(self, name):
        return sum(1 for asked, _ in self.queries if asked == name.lower())

    def _serve_udp(self):
        while True:
            try:
                query, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if reply := self._answer(query, 512):
                self._udp.sendto(reply, peer)

    def _serve_tcp(self):
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_stream, args=(connection,), daemon=True).start()

    def _serve_stream(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(head := stream.read(2)) == 2:
                reply = self._answer(stream.read(struct.unpack("!H", head)[0]), 65535)
                if reply:
                    connection.sendall(struct.pack("!H", len(reply)) + reply)

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
        question = query[12 : at + 5]
        if len(question) < 5 or at + 5 > len(query):
            return None
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
        for server in (self._udp, self._tcp):
            try:
                server.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            server.close()
