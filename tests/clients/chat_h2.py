# SPDX-License-Identifier: GPL-2.0-or-later
"""What an application does with httpx and HTTP/2; prints what it got as JSON.

    chat_h2.py URL PROMPT
"""

import json
import sys

import httpx

url, prompt = sys.argv[1:]
client = httpx.Client(http2=True)


def ask(call, stream):
    return {"headers": {"Authorization": "Bearer sk-httpx"},
            "json": {"model": "gpt-4o", "stream": stream,
                     "messages": [{"role": "user", "content": f"{prompt} {call}"}]}}


answer = client.post(url, **ask("chat", False))
assert answer.http_version == "HTTP/2"
stream = ""
with client.stream("POST", url, **ask("stream", True)) as response:
    for line in response.iter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                stream += choice["delta"].get("content") or ""
print(json.dumps({"chat": answer.json()["choices"][0]["message"]["content"], "stream": stream}))
