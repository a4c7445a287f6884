# SPDX-License-Identifier: GPL-2.0-or-later
"""Three regions of one pool: an origin for each, on an address of its own, whose troubles a test makes."""

import os

from . import network

POOL = "pool.openai.azure.com"  # what clients call
KEY = "service-key-of-"


class Region:
    def __init__(self, lab, name, prefix):
        self.lab, self.name = lab, name
        self.address = network.REGIONS[name]
        self.host = f"{name}.openai.azure.com"
        self._prefix = prefix
        self._knobs = os.path.join(lab.directory, f"{prefix}{name}.knobs")
        self._runs = 0
        self._counted = 0
        self.origin = None
        self.meets()
        self.up()

    def up(self):
        """Its origin runs (again)."""
        self._runs += 1
        self.origin = self.lab.add_origin(
            [f"{self.address}:443"], name=f"{self._prefix}{self.name}{self._runs}", region=self.name,
            knobs=self._knobs)

    def down(self):
        """Gone at once: connections are reset, new ones refused."""
        self.origin.process.kill()
        self._counted += len(self.origin.requests())
        self.lab.origins.remove(self.origin)

    def meets(self, **knobs):
        """Every request to it meets these knobs (tests/origin/knob.h) from now on; none: it is well."""
        with open(self._knobs + ".new", "w", encoding="ascii") as file:
            file.write("".join(f"[x-test-{name.replace('_', '-')}={value}]" for name, value in knobs.items()))
        os.rename(self._knobs + ".new", self._knobs)

    def count(self):
        """Requests that have reached it, of all its runs."""
        running = self.origin in self.lab.origins  # else its requests are counted already
        return self._counted + (len(self.origin.requests()) if running else 0)

    def backend(self, gate, **more):
        made = {"name": self.name, "host": self.host, "addresses": [self.address], "region": self.name,
                "key_file": gate.secret(f"{self.name}.key", KEY + self.name), **more}
        return {name: value for name, value in made.items() if value is not None}


class Regions:
    """`with Regions(lab, "name") as regions:`; regions.east and so on."""

    def __init__(self, lab, prefix):
        self.lab = lab
        lab.add_host(POOL, network.REGION_A)
        for name in network.REGIONS:
            lab.certificates.good(f"{name}.openai.azure.com")
        self.all = [Region(lab, name, prefix) for name in network.REGIONS]
        self.east, self.west, self.north = self.all

    def config(self, gate, *, of=("east", "west", "north"), pool=None, **backends):
        """The configuration of a pool of these regions; keys of a backend by its name."""
        members = [region for region in self.all if region.name in of]
        return {
            "hosts": [{"pattern": POOL, "provider": "azure", "pool": "chat"}],
            "backends": [region.backend(gate, **backends.get(region.name, {})) for region in members],
            "pools": [{"name": "chat", "backends": [region.name for region in members], **(pool or {})}],
        }

    def count(self):
        return sum(region.count() for region in self.all)

    def close(self):
        for region in self.all:
            if region.origin in self.lab.origins:
                region.origin.process.kill()
                self.lab.origins.remove(region.origin)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
