# SPDX-License-Identifier: GPL-2.0-or-later
"""A small internet in network namespaces: a client, the appliance, origins and their DNS.

Everything hangs off this process: namespaces live in children that die with it, mounts in a
mount namespace of its own. So nothing is left behind, however the process ends.
"""

from .lab import Lab

__all__ = ["Lab"]
