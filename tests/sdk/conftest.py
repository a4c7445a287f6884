# SPDX-License-Identifier: GPL-2.0-or-later
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "netns"))

from fixtures import lab, origin, prompt, standing  # noqa: E402, F401
