# SPDX-License-Identifier: GPL-2.0-or-later
"""What each process may do, and what it holds."""

import os

import pytest

from lab.appliance import USERS, status
from lab.process import descendants_of

CAP_NET_ADMIN = 1 << 12


@pytest.mark.parametrize("role", USERS)
def test_children_have_given_up_their_privileges(standing, role):
    pids = standing.children(role)
    assert len(pids) == (2 if role == "worker" else 1)
    for pid in pids:
        facts = status(pid)
        uid = str(USERS[role])
        assert facts["Uid"].split() == facts["Gid"].split() == [uid] * 4
        assert facts["Groups"].strip() in ("", uid)
        allowed = CAP_NET_ADMIN if role == "scout" else 0
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(facts[kind], 16) & ~allowed == 0, kind
        assert facts["NoNewPrivs"] == "1"
        assert facts["Seccomp"] == "2"
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            core = next(line for line in file if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


def test_nobody_but_the_signer_holds_the_key_of_the_ca(standing):
    with open(standing.ca_key_path, encoding="ascii") as file:
        key = file.read()
    for pid in [standing.daemon.pid, *descendants_of(standing.daemon.pid)]:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert target != standing.ca_key_path, pid
    raw = key.split("-----")[2].replace("\n", "")
    for pid in standing.children("worker") + standing.children("shipper"):
        assert not memory_holds(pid, [raw.encode(), raw[:64].encode()])


def memory_holds(pid, needles):
    """Whether one of the byte strings is in the process' writable memory."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            span, mode, *_ = line.split()
            start, end = (int(part, 16) for part in span.split("-"))
            # A sanitizer's shadow is terabytes of address space, and holds no byte of the program.
            if "rw" not in mode or "[v" in line or end - start > 1 << 30:
                continue
            memory.seek(start)
            try:
                content = memory.read(end - start)
            except OSError:
                continue
            if any(needle in content for needle in needles):
                return True
    return False


def niceness(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[16])


def test_the_parent_sees_in_time_what_hangs(standing):
    """It runs before the children, who are no nicer than others."""
    assert niceness(standing.daemon.pid) == -10
    assert {niceness(pid) for role in USERS for pid in standing.children(role)} == {0}
