# SPDX-License-Identifier: GPL-2.0-or-later
"""Prometheus' text format, version 0.0.4, read as strictly as it is written down at
https://prometheus.io/docs/instrumenting/exposition_formats, and what promtool complains about."""

import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
VALUE = re.compile(r"-?[0-9]+(\.[0-9]+)?|\+Inf|-Inf|NaN")
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


class Family:
    def __init__(self, name):
        self.name, self.help, self.type = name, None, None
        self.samples = {}  # frozenset of (label, value) → number

    def value(self, **labels):
        return self.samples[frozenset(labels.items())]

    def values(self, label):
        """label's value → number, of families with that label alone."""
        return {dict(labels)[label]: number for labels, number in self.samples.items()}


def unescape(text):
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def read_sample(line):
    found = NAME.match(line)
    assert found, line
    name, at, labels = found[0], found.end(), []
    if line[at] == "{":
        at += 1
        while line[at] != "}":
            pair = LABEL.match(line, at)
            assert pair, f"label at {at}: {line}"
            labels.append((pair[1], unescape(pair[2])))
            at = pair.end()
            assert line[at] in ",}", line
            at += line[at] == ","
        at += 1
    assert len(dict(labels)) == len(labels), f"a label twice: {line}"
    assert line[at] == " ", line
    value = line[at + 1 :]
    assert VALUE.fullmatch(value), line
    return name, frozenset(labels), float(value)


def parse(text):
    """The families by name. Anything that a strict reader would not take is an AssertionError."""
    assert text.endswith("\n")
    families, current = {}, None
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert NAME.fullmatch(name) and words.strip() == words and words, line
            assert not re.search(r"\\[^\\n]", words.replace("\\\\", "")), line
            assert name not in families, f"twice: {name}"
            current = families[name] = Family(name)
            current.help = unescape(words)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert current and current.name == name and kind in TYPES, line
            assert current.type is None and not current.samples, line
            current.type = kind
        else:
            name, labels, value = read_sample(line)
            assert current and current.name == name, f"outside of its family: {line}"
            assert current.type, f"before its type: {line}"
            assert labels not in current.samples, f"twice: {line}"
            current.samples[labels] = value
    for family in families.values():
        assert family.samples, f"empty: {family.name}"
        # promtool check metrics
        assert family.type in ("counter", "gauge"), family.name
        assert (family.type == "counter") == family.name.endswith("_total"), family.name
        assert family.name.lower() == family.name and family.name.startswith("sallyport_")
        assert len({frozenset(dict(labels)) for labels in family.samples}) == 1, family.name
        if family.type == "counter":
            assert all(value >= 0 for value in family.samples.values()), family.name
    return families
