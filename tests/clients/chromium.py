# SPDX-License-Identifier: GPL-2.0-or-later
"""Chromium, without a window, told over its debugging pipe what a page of the host would do."""

import json
import os

# A page of the host itself: what it fetches needs nobody's leave (CORS).
SCRIPT = """(async () => {
  const post = (call, stream) => fetch(%(url)s, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: "Bearer sk-chromium" },
    body: JSON.stringify({ model: "gpt-4o", stream,
      messages: [{ role: "user", content: %(prompt)s + call }] }),
  });
  const chat = (await (await post(" chat", false)).json()).choices[0].message.content;
  let text = "";
  const reader = (await post(" stream", true)).body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done; ) text += part.value;
  const stream = text.split("\\n").filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)).choices[0]?.delta?.content ?? "").join("");
  return JSON.stringify({ chat, stream });
})()"""


class Chromium:
    def __init__(self, start, profile):
        """`start(argv, pass_fds)` runs it and returns the process."""
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        self._number, self._rest = 0, b""
        # The pipe is on descriptors 3 and 4.
        shell = f"exec 3<&{commands} 4>&{answers}; exec \"$@\""
        self.process = start(
            ["bash", "-c", shell, "-", "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--no-default-browser-check",
             f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"],
            (commands, answers))
        os.close(commands)
        os.close(answers)

    def _message(self):
        while b"\0" not in self._rest:
            data = os.read(self._in, 65536)
            assert data, "Chromium ended"
            self._rest += data
        text, self._rest = self._rest.split(b"\0", 1)
        return json.loads(text)

    def tell(self, method, session=None, **parameters):
        """One command of the DevTools protocol, and its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": parameters}
        if session:
            command["sessionId"] = session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while (message := self._message()).get("id") != self._number:
            pass
        assert "error" not in message, message
        return message["result"]

    def talk(self, host, url, prompt):
        target = self.tell("Target.createTarget", url="about:blank")["targetId"]
        session = self.tell("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        at = self.tell("Page.navigate", session, url=f"https://{host}/v1/models")
        assert "errorText" not in at, at["errorText"]
        script = SCRIPT % {"url": json.dumps(url), "prompt": json.dumps(prompt)}
        done = self.tell("Runtime.evaluate", session, expression=script, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return json.loads(done["result"]["value"])

    def close(self):
        os.close(self._out)  # which ends it
        os.close(self._in)
        self.process.wait()
