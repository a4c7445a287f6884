# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application does with urllib; prints what it got as JSON.

    chat.py URL PROMPT
"""

import json
import sys
import urllib.request

url, prompt = sys.argv[1:]


def post(call, stream):
    body = {"model": "gpt-4o", "stream": stream,
            "messages": [{"role": "user", "content": f"{prompt} {call}"}]}
    return urllib.request.urlopen(urllib.request.Request(
        url, json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": "Bearer sk-python"}))


chat = json.load(post("chat", False))["choices"][0]["message"]["content"]
stream = ""
for line in post("stream", True):
    if line.startswith(b"data: {"):
        for choice in json.loads(line[6:])["choices"]:
            stream += choice["delta"].get("content") or ""
print(json.dumps({"chat": chat, "stream": stream}))
