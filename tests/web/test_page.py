# SPDX-License-Identifier: GPL-2.0-or-later
"""The page, in Chromium, by the keyboard alone, in both schemes."""

import json
import os
import subprocess
import time

import pytest

from store import HOSTILE, call, denied

HERE = os.path.dirname(os.path.abspath(__file__))
TOOL = {"id": "call_1", "type": "function",
        "function": {"name": "raise_gate", "arguments": json.dumps({"gate": "north", "seconds": 30})}}


def fill(c):
    """A day of a small company; the newest events are those that the walk looks for."""
    now = time.time()
    models = ["gpt-4o-2024-08-06", "gpt-4o-mini-2024-07-18", "o3-2025-04-16"]
    events = []
    for i in range(400):
        at, ip = now - 86000 + i * 200, f"10.20.{i % 3}.{1 + i * 7 % 20}"
        user = ["ada", "joan", "edsger", "barbara"][i % 4]
        if i % 13 == 0:
            events.append(denied(f"Card 4111 1111 1111 {i:04}", ip=ip, at=at,
                                 error=["content.credit_card", "limit.tokens", "model.not_allowed"][i % 3]))
        else:
            events.append(call(f"Summarise ticket {i}: the portcullis is stuck", "It is stuck; oil it.", ip, models[i % 3],
                               (300 + i * 11 % 900, 40 + i % 200), at=at, **{"gen_ai.request.user": user}))
    events.append({"event.kind": "source.summary", "source.ip": "10.20.1.8", "source.packets": 5120, "source.bytes": 3_400_000,
                   "source.packets_received": 4000, "source.bytes_received": 9_100_000, "source.connections.opened": 42,
                   "source.connections.steered": 40, "source.drops": json.dumps({"fragment": 3}), "at": now - 100})
    first = [{"role": "system", "content": "You keep the gates of a fortress."}, {"role": "user", "content": "Open the north gate."}]
    second = first + [{"role": "assistant", "content": None, "tool_calls": [TOOL]},
                      {"role": "tool", "tool_call_id": "call_1", "content": "raised"}]
    third = second + [{"role": "assistant", "content": "It is open."}, {"role": "user", "content": "And now?"}]
    agent = {"ip": "10.20.9.9", "gen_ai.request.user": "grace"}
    for i, (prompt, answer) in enumerate([(first, [{"role": "assistant", "content": None, "tool_calls": [TOOL]}]),
                                          (second, "It is open."), (third, "Now it is shut again, and the inner one is open.")]):
        made = [{"connected": True, "backend": "east", "region": "eastus", "status": 429, "left": "throttled"},
                {"connected": True, "backend": "west", "status": 200, "first_byte": 210_000_000}]
        events.append(call(prompt, answer, agent["ip"], at=now - 60 + i, **{
            "gen_ai.request.user": "grace", "attempts": 2, "attempts.made": json.dumps(made)}))
    # Where a text or a list belongs a client writes what it likes: what it said is shown still.
    odd = {"toString": 1, "length": 3}
    events.append(call([{"role": "user", "content": HOSTILE}, {"role": HOSTILE, "content": [{"type": "text", "text": HOSTILE}]},
                        {"role": "__proto__", "content": [None, {"type": odd}, 7]}, {"role": odd, "name": odd, "refusal": odd, "type": odd},
                        {"role": "user", "tool_calls": odd}, {"role": "user", "tool_calls": [None, {"function": odd}]},
                        {"function_call": {"name": odd, "arguments": odd}}, {"type": "mcp_call", "output": odd, "name": odd}, 7, [odd]],
                       HOSTILE + "<script>alert(2)</script>", "10.20.6.6", model="m" + HOSTILE, at=now - 30,
                       **{"gen_ai.request.user": "mallory", "tls.server_name": HOSTILE, "error.message": HOSTILE}))
    c.send(events)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_walked_by_keyboard(collector, tmp_path, scheme):
    c = collector()
    fill(c)
    pictures = os.environ.get("SCREENSHOTS") or str(tmp_path)
    done = subprocess.run(["node", f"{HERE}/walk.mjs", c.link(), scheme, pictures], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["console"] == [] and seen["dialogs"] == [] and seen["foreign"] == [] and seen["failed"] == []
    steps = seen["steps"]
    assert steps["address"] == "/"  # the link is in no address any more
    assert steps["figures"][0].split()[0] == "404" and steps["figures"][2].split()[0] == "31"
    assert steps["explore"].startswith("Explore") and steps["exchange"].startswith("Exchange")
    assert steps["filterFocus"] == "INPUT" and steps["facetFocus"]
    assert steps["denied"] == 31 and steps["exported"] == 3
    assert "3 messages" in steps["folded"]  # with the tool's answer beside its call
    assert "raise_gate" in steps["callAndResult"] and "raised" in steps["callAndResult"]
    assert [" ".join(line.split()) for line in steps["attempts"]] == [
        "✕ left east eastus status 429 throttled", "✓ answered west status 200, first byte after 210 ms"]
    drawn = "".join(steps["hostile"])
    for name in ("U+202E", "U+2066", "U+200B", "U+001B", "U+E0041"):
        assert f"⟨{name}⟩" in drawn
    assert steps["markup"] == 0 and "<img src=x" in steps["shownText"] and "<script>" in steps["shownText"]
    assert steps["conversations"] >= 2
    assert steps["access"] >= 4 and steps["found"] == 50 and "expected an address" in steps["problem"]
    assert steps["wide"] and "sallyport review" in steps["outside"]


def test_an_operator_sees_no_prompt(collector, tmp_path):
    c = collector()
    fill(c)
    done = subprocess.run(["node", f"{HERE}/operator.mjs", c.link("--role", "operator")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["rows"] == 50 and "portcullis" not in seen["text"] and "10.20." in seen["text"]
    assert "Access" not in seen["pages"] and "a link for a reviewer is needed" in seen["problem"]
