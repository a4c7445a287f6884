# SPDX-License-Identifier: GPL-2.0-or-later
"""The Makefile: what was made is not made again. (make 4.4 hands variables of a target on to what it needs, and
with them another command to compile: everything was compiled twice.)"""

import os
import subprocess

from lab.lab import TOP

# In the place of compilers: makes what it is asked to make, empty.
MAKES = """#!/bin/sh
case " $* " in *" -dumpmachine "*) exec gcc -dumpmachine ;; *" gen skeleton "* | *" btf dump "*) exit 0 ;; esac
while [ $# -gt 0 ]; do
	if [ "$1" = -o ]; then mkdir -p "$(dirname "$2")"; : >"$2"; fi
	shift
done
"""


def test_nothing_is_made_twice(tmp_path):
    tool = tmp_path / "tool"
    tool.write_text(MAKES)
    tool.chmod(0o755)

    def make(*targets):
        done = subprocess.run(["make", "-C", TOP, "-j2", f"BUILD={tmp_path}/build", f"CC={tool}", f"CLANG={tool}",
                               f"BPFTOOL={tool}", *targets], check=True, capture_output=True, text=True)
        return [line for line in done.stdout.splitlines() if line.startswith("  ")]

    made = [line for line in make("all", "tests") if line.split()[0] in ("CC", "BPF", "SKEL", "LINK", "WEB")]
    assert len(made) > 500 and len(set(made)) == len(made), [line for line in set(made) if made.count(line) > 1]
    for targets in (["tests"], ["all"], ["tests", f"{tmp_path}/build/tests/origin/origin"], ["all", "tests"]):
        assert make(*targets) == [], targets
    # But when the command to compile it changes
    again = make("all", "CFLAGS=-O1")
    assert len([line for line in again if line.startswith("  CC ")]) > 100
    assert os.path.exists(tmp_path / "build/sallyportd")
