# SPDX-License-Identifier: GPL-2.0-or-later
"""WebSocket by hand, of both sides: frames as they are."""

import base64
import contextlib
import hashlib
import json
import os

from .client import Connection
from .rogue import rogue_origin

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WebSocket:
    def __init__(self, connection, mask):
        self.connection, self.mask = connection, mask

    def frame(self, opcode, payload=b"", fin=True, reserved=0, mask=None):
        """Sends a frame; mask: other than it should be."""
        mask = self.mask if mask is None else mask
        payload = payload.encode() if isinstance(payload, str) else payload
        head = bytes([(fin << 7) | (reserved << 4) | opcode])
        bit = 0x80 if mask else 0
        if len(payload) < 126:
            head += bytes([bit | len(payload)])
        elif len(payload) < 65536:
            head += bytes([bit | 126]) + len(payload).to_bytes(2, "big")
        else:
            head += bytes([bit | 127]) + len(payload).to_bytes(8, "big")
        if mask:
            key = os.urandom(4)
            head += key
            payload = bytes(c ^ key[i & 3] for i, c in enumerate(payload))
        self.connection.send(head + payload)

    def say(self, message):
        self.frame(TEXT, json.dumps(message))

    def take(self):
        """(opcode, payload) of the next frame."""
        head = self.connection.exactly(2)
        length = head[1] & 0x7F
        if length > 125:
            length = int.from_bytes(self.connection.exactly(2 if length == 126 else 8), "big")
        key = self.connection.exactly(4) if head[1] & 0x80 else b"\0\0\0\0"
        payload = self.connection.exactly(length)
        return head[0] & 0xF, bytes(c ^ key[i & 3] for i, c in enumerate(payload))

    def hear(self):
        """The next message, which is JSON."""
        opcode, payload = self.take()
        assert opcode == TEXT, (opcode, payload)
        return json.loads(payload)

    def closed(self):
        """(code, reason) of the Close that comes next."""
        opcode, payload = self.take()
        assert opcode == CLOSE, (opcode, payload)
        return int.from_bytes(payload[:2], "big"), payload[2:].decode()

    def close(self, code=1000):
        self.frame(CLOSE, code.to_bytes(2, "big"))


def upgrade(connection, host, target, headers=()):
    """Asks for a WebSocket; the response's head, and the WebSocket if it is one."""
    key = base64.b64encode(os.urandom(16)).decode()
    fields = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
              "Sec-WebSocket-Key": key, "Sec-WebSocket-Extensions": "permessage-deflate", **dict(headers)}
    connection.send("".join([f"GET {target} HTTP/1.1\r\nHost: {host}\r\n",
                             *(f"{n}: {v}\r\n" for n, v in fields.items()), "\r\n"]))
    status, got = connection.head()
    if status == 101:
        accept = base64.b64encode(hashlib.sha1(
            (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        assert dict((n.lower(), v) for n, v in got)["sec-websocket-accept"] == accept
    return status, got, WebSocket(connection, True)


@contextlib.contextmanager
def websocket_origin(lab, host, serve):
    """An origin that grants every upgrade: serve(websocket, head), in a thread of its own."""
    def talk(stream, head):
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        key = [line[19:] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key: ")]
        assert b"sec-websocket-extensions" not in fields
        accept = base64.b64encode(hashlib.sha1(
            key[0] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        stream.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        serve(WebSocket(Connection(stream), False), head)

    with rogue_origin(lab, host, None, talk=talk):
        yield


def answer(websocket, lane, text, tokens=(11, 7), id="resp_1"):
    """A response as the service streams it."""
    more = {"stream_id": lane} if lane else {}
    response = {"id": id, "object": "response", "model": "gpt-5", "status": "completed", "output": [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}],
        "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1], "total_tokens": sum(tokens)}}
    websocket.say({"type": "response.created", "response": {"id": id, "model": "gpt-5"}, **more})
    websocket.say({"type": "response.output_text.delta", "output_index": 0, "delta": text, **more})
    websocket.say({"type": "response.output_item.done", "output_index": 0,
                   "item": response["output"][0], **more})
    websocket.say({"type": "response.completed", "response": response, **more})


def answer_realtime(websocket, text):
    """A response of a realtime session: what it says in the end is all of it."""
    websocket.say({"type": "response.created", "response": {"id": "resp_r"}})
    websocket.say({"type": "response.output_audio_transcript.delta", "delta": text})
    websocket.say({"type": "response.done", "response": {
        "id": "resp_r", "status": "completed",
        "output": [{"type": "message", "role": "assistant",
                    "content": [{"type": "output_audio", "transcript": text}]}],
        "usage": {"total_tokens": 20, "input_tokens": 11, "output_tokens": 9,
                  "input_token_details": {"text_tokens": 5, "audio_tokens": 6, "cached_tokens": 4},
                  "output_token_details": {"text_tokens": 1, "audio_tokens": 8}}}})


def end(websocket):
    assert websocket.take()[0] == CLOSE
    websocket.close()
