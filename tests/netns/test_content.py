# SPDX-License-Identifier: GPL-2.0-or-later
"""What the record holds of what was said: the newest words, and JSON where it was JSON."""

import json
import random

import pytest

from lab.appliance import AZURE, JSON_FIELDS
from lab.client import azure_path


@pytest.fixture(scope="module")
def gate(lab):
    gate = lab.appliance({"http": {"unreadable": "pass"}})
    try:
        yield gate.start()
        gate.stop()
    finally:
        gate.close()


def test_the_newest_words_are_kept(gate, client, prompt):
    """A history of 2.2 MB, as agents send it again with each prompt."""
    turns = [{"role": "assistant" if i % 2 else "user", "content": f"turn {i} " + "x" * 4000}
             for i in range(550)]
    messages = [{"role": "system", "content": "The rules."}, *turns, {"role": "user", "content": prompt}]
    body = json.dumps({"messages": messages})
    assert client.call(AZURE, azure_path(), body).status == 200
    event = gate.event(prompt)
    kept = json.loads(event["gen_ai.input.messages"])
    assert kept[0] == messages[0] and kept[1] == messages[1]
    assert kept[-1] == messages[-1] and kept[-2] == messages[-2]
    assert event["gen_ai.input.messages.truncated"] is True
    missing = [m for m in messages if m not in kept]
    assert event["gen_ai.input.messages.cut"] == sum(len(json.dumps(m)) for m in missing)


@pytest.mark.parametrize("path, field", [("chat/completions", "messages"), ("completions", "prompt")])
def test_one_long_message_keeps_its_beginning_and_its_end(gate, client, prompt, path, field):
    text = prompt + " beginning " + "".join(f"{i} " for i in range(150_000)) + "the end."
    said = [{"content": text, "role": "user"}] if field == "messages" else [text]
    assert client.call(AZURE, azure_path(operation=path), json.dumps({field: said})).status == 200
    event = gate.event(prompt)
    kept = json.loads(event["gen_ai.input.messages"])
    beginning, end = (kept[0]["content"] if field == "messages" else kept[0]).split("…")
    assert text.startswith(beginning) and text.endswith(end)
    assert min(len(beginning), len(end)) > 100_000
    assert field == "prompt" or kept[0]["role"] == "user"
    assert event["gen_ai.input.messages.truncated"] is True
    assert event["gen_ai.input.messages.cut"] == len(text) - len(beginning + end)


@pytest.mark.parametrize("path, field", [("chat/completions", "messages"), ("completions", "prompt")])
def test_of_many_short_pieces_the_first_and_the_last_are_kept(gate, client, prompt, path, field):
    """A client that says what it means in thousands of pieces, too short to be shortened."""
    pieces = [prompt, *(f"{i} word" for i in range(60_000)), "the newest words"]
    said = [{"role": "user", "content": [{"type": "text", "text": p} for p in pieces]}]
    said = said if field == "messages" else pieces
    assert client.call(AZURE, azure_path(operation=path), json.dumps({field: said})).status == 200
    event = gate.event(prompt)
    kept = json.loads(event["gen_ai.input.messages"])
    if field == "messages":
        assert kept[0]["role"] == "user"
        kept = [part.get("text") for part in kept[0]["content"]]
    half = kept.index("0 word") + len(kept) // 3
    assert kept[:half] == pieces[:half] and kept[-half:] == pieces[-half:]
    assert event["gen_ai.input.messages.truncated"] is True
    missing = len(json.dumps(said)) - len(event["gen_ai.input.messages"])
    assert missing - 100 < event["gen_ai.input.messages.cut"] < missing + 100


@pytest.mark.parametrize("streamed", [True, False])
def test_a_long_answer_keeps_its_beginning_and_its_end(gate, client, prompt, streamed):
    got = client.chat(AZURE, prompt, fields={"stream": streamed}, headers={"x-test-events": "60000"})
    text = got.text()
    event = gate.event(prompt)
    (message,) = json.loads(event["gen_ai.output.messages"])
    beginning, end = message["content"].split("…")
    assert text.startswith(beginning) and text.endswith(end)
    assert min(len(beginning), len(end)) > 100_000
    assert event["gen_ai.output.messages.truncated"] is True
    assert event["gen_ai.output.messages.cut"] == len(json.dumps(text)) - len(json.dumps(beginning + end))


def test_an_answer_that_fits_is_whole(gate, client, prompt):
    text = client.chat(AZURE, prompt, fields={"stream": True}).text()
    event = gate.event(prompt)
    assert json.loads(event["gen_ai.output.messages"])[0]["content"] == text
    assert "gen_ai.output.messages.cut" not in event


PIECES = [
    r"\ud83d", r"\ude00", r"\ud83d\ude00", r"\u0000", r"\\", r"\"", "ä", "\u202e", "x" * 300, "},{",
    r"api_key=\u0041bcdefgh", r"\nsk-abcdefghij0123456789", r"{\"api_key\":1234567}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "Bearer%20abcdef0123456789",
]


def body_of(chance, number):
    def text():
        return '"' + "".join(chance.choices(PIECES, k=chance.randrange(8))) + '"'

    values = [text, lambda: '"api_key"', lambda: str(chance.randrange(-(10**9), 10**30)), lambda: "null",
              lambda: "[" + text() + "," + text() + "]",
              lambda: '{"api_key":%d,"access_token" : -1234567e+10,"authorization":1234567 }' % 10**9]
    messages = [
        '{"role":%s,"content":%s,"x":%s}' % tuple(chance.choice(values)() for _ in range(3))
        for _ in range(chance.randrange(6))
    ]
    body = '{"user":"%06d","messages":[%s],"tools":[%s],"max_tokens":%s,"temperature":%s,"model":%s}' % (
        number, ",".join(messages), chance.choice(values)(), chance.choice(values)(),
        chance.choice(values)(), text())
    data = bytearray(body.encode("utf-8"))
    for _ in range(chance.choice([0, 0, 0, 1, 3])):  # many are no JSON at all
        data[chance.randrange(20, len(data))] = chance.randrange(256)
    if chance.random() < 0.2:
        del data[chance.randrange(20, len(data)):]
    return bytes(data)


def test_every_row_is_json_and_has_its_types(gate, client):
    chance = random.Random(18)
    recorded, sent = len(gate.events()), 150
    with client.tls(AZURE) as connection:
        for number in range(sent):
            client.call(AZURE, azure_path(), body_of(chance, number), connection=connection)
    gate.wait_for_events(lambda events: len(events) >= recorded + sent)
    lines = gate.cli("events", "--store", gate.store_path, "--json", "--all", "--limit", "0").stdout
    rows = [json.loads(line) for line in lines.splitlines()]
    assert len(rows) >= recorded + sent
    for row in rows:
        for name, value in row.items():
            if name in JSON_FIELDS:
                assert isinstance(value, (list, dict)), (name, value)
            if "tokens" in name or name.endswith(".cut"):
                assert isinstance(value, int) and value >= 0, (name, value)
    assert sum("gen_ai.input.messages" in row for row in rows) > sent / 2
