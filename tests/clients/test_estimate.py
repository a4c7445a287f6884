# SPDX-License-Identifier: GPL-2.0-or-later
"""How far the estimate of tokens, where no provider tells them, is from the count by the models' vocabulary."""

import json
import os

import pytest

from lab.appliance import OPENAI

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.join(HERE, "..", "..")


def file(*path):
    with open(os.path.join(TOP, *path), encoding="utf-8") as opened:
        return opened.read()[:20_000]


TEXTS = {
    "english": file("userspace", "README.md"),
    "c": file("userspace", "openai", "operation.c"),
    "python": file("tests", "netns", "test_doors.py"),
    "yaml": file("appliance", "sallyport.yaml"),
    "german": "Die Würde des Menschen ist unantastbar. Sie zu achten und zu schützen ist Verpflichtung aller "
              "staatlichen Gewalt. " * 40,
    "chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。" * 40,
}


@pytest.mark.more
def test_the_estimate_against_the_count(lab, standing):
    done = lab.network.client.run("node", os.path.join(HERE, "estimate.mjs"), input=json.dumps(list(TEXTS.values())))
    errors = {}
    for (name, text), counted in zip(TEXTS.items(), json.loads(done.stdout)):
        client = lab.client(standing)
        body = json.dumps({"model": "gpt-4o", "user": name, "messages": [{"role": "user", "content": text}]},
                          ensure_ascii=False)
        got = client.call(OPENAI, "/v1/chat/completions", body.encode(),
                          headers={"Authorization": "Bearer sk-1", "x-test-usage": "none"})
        assert got.status == 200
        (event,) = standing.wait_events(1, lambda one, name=name: one.get("gen_ai.request.user") == name)
        assert event["gen_ai.usage.source"] == "estimated"
        errors[name] = 100 * (event["gen_ai.usage.input_tokens"] - counted) / counted
    print("".join(f"\n  {name:10} {error:+6.1f} %" for name, error in errors.items()))
    assert abs(errors["english"]) < 25
    assert all(abs(error) < 60 for error in errors.values())
