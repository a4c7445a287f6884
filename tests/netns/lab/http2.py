# SPDX-License-Identifier: GPL-2.0-or-later
"""HTTP/2 by Debian's python3-h2: well-formed requests, and what no library would send."""

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from .client import Connection, Ended, Response


class Reset(Exception):
    """The other side has ended the stream with that error."""

    def __init__(self, error):
        super().__init__(f"stream reset: {error}")
        self.error = error


class Http2:
    """A connection of a client: many requests at a time. What comes is kept by stream."""

    def __init__(self, connection, window=None):
        self.stream = connection.stream
        assert self.stream.selected_alpn_protocol() == "h2"
        config = h2.config.H2Configuration(
            header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False, validate_inbound_headers=True)
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        if window is not None:
            self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.responses, self.resets, self.goaways = {}, {}, []
        self.input = bytearray()
        self.reads = True  # False: no window is opened again
        self.flush()

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.stream.sendall(data)

    def headers(self, method, target, host, headers=()):
        return [(":method", method), (":scheme", "https"), (":authority", host), (":path", target),
                *dict(headers).items()]

    def send(self, fields, body=b"", end=True):
        """Sends a head as it is, and a body as far as the window goes at once; the stream's id."""
        id = self.h2.get_next_available_stream_id()
        body = body.encode() if isinstance(body, str) else body
        self.h2.send_headers(id, fields, end_stream=end and not body)
        if body:
            self.body(id, body, end)
        self.flush()
        return id

    def request(self, method, target, host, headers=(), body=b"", end=True):
        return self.send(self.headers(method, target, host, headers), body, end)

    def body(self, id, body, end=True):
        while body or end:
            room = min(self.h2.local_flow_control_window(id), self.h2.max_outbound_frame_size)
            if body and not room:
                self.more()
                if id in self.resets or self.responses.get(id, {}).get("ended"):
                    return
                continue
            piece, body = body[:room], body[room:]
            self.h2.send_data(id, piece, end_stream=end and not body)
            self.flush()
            if not body:
                return

    def reset(self, id, error=8):
        self.h2.reset_stream(id, error)
        self.flush()

    def raw(self, type, flags, id, payload=b""):
        """A frame as it is."""
        self.stream.sendall(len(payload).to_bytes(3, "big") + bytes([type, flags]) +
                            id.to_bytes(4, "big") + payload)

    def more(self):
        """Takes what comes next."""
        try:
            data = self.stream.recv(65536)
        except OSError as error:
            raise Ended(str(error)) from error
        if not data:
            raise Ended("end of file")
        self.input += data
        while len(self.input) >= 9 and len(self.input) >= 9 + int.from_bytes(self.input[:3], "big"):
            frame = bytes(self.input[:9 + int.from_bytes(self.input[:3], "big")])
            del self.input[:len(frame)]
            if frame[3] == 7:  # GOAWAY, after which python3-h2 would look at nothing
                self.goaways.append((int.from_bytes(frame[13:17], "big"),
                                     int.from_bytes(frame[9:13], "big")))
                continue
            for event in self.h2.receive_data(frame):
                self.take(event)
        self.flush()

    def take(self, event):
        id = getattr(event, "stream_id", None)
        found = self.responses.setdefault(
            id, {"status": None, "headers": [], "body": bytearray(), "trailers": [], "ended": False})
        if isinstance(event, h2.events.InformationalResponseReceived):
            found.setdefault("interim", []).append(int(dict(event.headers)[":status"]))
        elif isinstance(event, h2.events.ResponseReceived):
            found["status"] = int(dict(event.headers)[":status"])
            found["headers"] = [h for h in event.headers if not h[0].startswith(":")]
        elif isinstance(event, h2.events.DataReceived):
            found["body"] += event.data
            if self.reads:
                self.h2.acknowledge_received_data(event.flow_controlled_length, id)
        elif isinstance(event, h2.events.TrailersReceived):
            found["trailers"] = list(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            found["ended"] = True
        elif isinstance(event, h2.events.StreamReset):
            self.resets[id] = event.error_code

    def until(self, there):
        while not there():
            self.more()

    def response(self, id):
        """The whole response of that stream."""
        self.until(lambda: id in self.resets or self.responses.get(id, {}).get("ended"))
        found = self.responses.get(id, {})
        if not found.get("ended"):
            raise Reset(self.resets[id])
        return Response(found["status"], found["headers"], bytes(found["body"]), found["trailers"])

    def begun(self, id, mark):
        """Waits for that in the stream's body."""
        self.until(lambda: mark in self.responses.get(id, {}).get("body", b""))

    def ended(self):
        """The last words of the connection, after which it is closed."""
        try:
            while True:
                self.more()
        except (Ended, OSError, h2.exceptions.ProtocolError):
            return self.goaways

    def close(self):
        self.stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def http2(client, host, window=None, **tls):
    """A connection of HTTP/2, by ALPN."""
    context = client.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    connection = client.tls(host, context=context, **tls)
    assert isinstance(connection, Connection)
    return Http2(connection, window)
