# SPDX-License-Identifier: GPL-2.0-or-later
"""What an origin of lab.rogue says to each call, where a test wants it to be just this."""

import json
import threading


class Script:
    """What the origin answers by method and path; of several, the first until one is left."""

    def __init__(self):
        self.answers, self.lock, self.seen = {}, threading.Lock(), []

    def says(self, call, *answers):
        self.answers[call] = list(answers)

    def respond(self, head, body):
        method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
        with self.lock:
            self.seen.append((f"{method} {path}", head, body))
            answers = self.answers[f"{method} {path}"]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if callable(answer):
            answer = answer(body)
        if isinstance(answer, (dict, list)):
            answer = ("application/json", json.dumps(answer).encode())
        kind, data, *status = answer
        return (f"HTTP/1.1 {status[0] if status else 200} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n"
                "Connection: close\r\n\r\n").encode() + data


def events(*data, done=False):
    """An event stream."""
    text = "".join(f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" if "type" in one
                   else f"data: {json.dumps(one)}\n\n" for one in data)
    return "text/event-stream", (text + ("data: [DONE]\n\n" if done else "")).encode()
